//! Elementwise operations.

use crate::device::{Gpu, Launch, Limits};
use crate::kernel::{Source, THREADS, Words, coordinates, fill, param_word, position, prelude, stride_word};
use crate::memory::View;
use crate::pipeline::{self, Key};
use crate::render::{self, loaded, stored, types};
use crate::split::{self, Cut};
use polyarray_core::op::Map;
use polyarray_core::{Buffer, DType, Program, Result};
use std::fmt::Write;

/// The step of an operand along the only axis of a map of rank 1. In maps of higher rank all operands are
/// [`Step::Strided`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The operand does not move.
    Zero,
    /// The operand moves to the neighbouring element.
    One,
    /// The operand moves by its stride.
    Strided,
}

/// The structure of a map: everything that its kernel depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Structure {
    program: Program,
    rank: usize,
    /// The step of the output, then those of the inputs. An input without a step is the output itself, read before it
    /// is written.
    output: Step,
    inputs: Vec<Option<Step>>,
}

impl Structure {
    fn of(op: &Map, out: &Buffer) -> Structure {
        let rank = op.shape.len();
        let step = |strides: &[isize]| match strides {
            [0] => Step::Zero,
            [1] => Step::One,
            _ => Step::Strided,
        };
        Structure {
            program: as_bits(&op.program),
            rank,
            output: step(&op.output.strides),
            inputs: op.inputs.iter().map(|i| (!i.buffer.same(out)).then(|| step(&i.strides))).collect(),
        }
    }

    #[cfg(test)]
    pub fn new(program: Program, rank: usize, output: Step, inputs: Vec<Option<Step>>) -> Structure {
        Structure { program, rank, output, inputs }
    }

    #[cfg(test)]
    pub fn fill_of_rank(rank: usize) -> Structure {
        let program = Program::new(&[], &[DType::U32], &[], polyarray_core::Ref::Param(0)).expect("a fill");
        Structure { program, rank, output: Step::Strided, inputs: Vec::new() }
    }

    #[cfg(test)]
    pub fn copy() -> Structure {
        Structure {
            program: Program::identity(DType::U32),
            rank: 1,
            output: Step::Strided,
            inputs: vec![Some(Step::Strided)],
        }
    }

    /// Generates the kernel. Its words after the leading zero:
    /// - the number of elements;
    /// - the lengths of all axes but the first;
    /// - for the output and each input with a binding of its own: the first element and the strides;
    /// - the parameters of the program.
    pub fn source(&self) -> Source {
        let mut words = Words::new();
        let count = words.next();
        let lens = words.many(self.rank - 1);
        let mut body = if self.rank > 1 { coordinates("i", "c", &lens, "    ") } else { "    let c0 = i;\n".into() };
        let mut place = |step: Step| {
            let (base, strides) = (words.next(), words.many(self.rank));
            match step {
                Step::Zero => base,
                Step::One => format!("{base} + i"),
                Step::Strided => position(&base, "c", &strides),
            }
        };
        let (dtype, out_at) = (self.program.output(), place(self.output));
        writeln!(body, "    let at = {out_at};").expect("writing to a String");
        let mut buffers = vec![("out".to_string(), types(dtype).1.to_string(), false)];
        let mut values = Vec::new();
        for (i, step) in self.inputs.iter().enumerate() {
            let dtype = self.program.inputs()[i];
            let load = match step {
                Some(step) => {
                    buffers.push((format!("in{i}"), types(dtype).1.into(), true));
                    format!("in{i}[{}]", place(*step))
                }
                None => "out[at]".into(),
            };
            writeln!(body, "    let x{i} = {};", loaded(dtype, &load)).expect("writing to a String");
            values.push(format!("x{i}"));
        }
        let params = words.params(self.program.params());
        let rendered = render::program(&self.program, &values, &params, "    ", "v");
        writeln!(body, "{}    out[at] = {};", rendered.text, stored(dtype, &rendered.result))
            .expect("writing to a String");
        let prelude = prelude(words.count(), &buffers, rendered.snippets);
        let text = fill(
            polyarray_shaders::MAP,
            &[("prelude", &prelude), ("threads", &THREADS.to_string()), ("count", &count), ("body", &body)],
        );
        Source { text, read_only: buffers.iter().map(|b| b.2).collect(), words: words.count() }
    }
}

/// Treats a copy as a copy of u32, since it moves bits: one kernel serves all dtypes, and no driver can change a NaN.
fn as_bits(program: &Program) -> Program {
    if program.is_identity() { Program::identity(DType::U32) } else { program.clone() }
}

/// Returns the estimated seconds for `count` elements of a map.
fn seconds(limits: &Limits, op: &Map, count: usize) -> f64 {
    let bytes: f64 = std::iter::once(&op.output.strides)
        .chain(op.inputs.iter().map(|i| &i.strides))
        .map(|s| split::traffic(s))
        .sum();
    limits.speed.seconds(count as f64 * op.program.weight().max(1.0), count as f64 * bytes)
}

/// Returns the lengths of the pieces in which a map is launched.
pub(crate) fn pieces(limits: &Limits, op: &Map) -> Option<Vec<usize>> {
    let room = limits.room();
    split::pieces(&op.shape, |piece| {
        let operands = std::iter::once(&op.output.strides).chain(op.inputs.iter().map(|i| &i.strides));
        let time = || split::in_time(piece, 0..piece.len(), seconds(limits, op, piece.iter().product()), limits.launch);
        operands.map(|s| split::check(piece, s, 1, room)).find(|c| *c != Cut::Fits).unwrap_or_else(time)
    })
}

pub(crate) fn run(gpu: &Gpu, op: &Map, out: &Buffer) -> Result<()> {
    let structure = Structure::of(op, out);
    let mut views = vec![View::output(out, &op.output)];
    views.extend(op.inputs.iter().filter(|i| !i.buffer.same(out)).map(View::of));
    let pipeline = pipeline::get(gpu, Key::Map(structure))?;
    let piece = pieces(&gpu.limits, op).unwrap_or_else(|| unreachable!("one element of each operand fits"));
    split::for_each(&op.shape, &piece, |start, lens| {
        let count: usize = lens.iter().product();
        let mut words = vec![count as u32];
        words.extend(lens[1..].iter().map(|&n| n as u32));
        let mut bindings = Vec::with_capacity(views.len());
        for view in &views {
            let (binding, base) = view.bind(gpu, start, lens);
            bindings.push(binding);
            words.push(base);
            words.extend(view.strides.iter().map(|&s| stride_word(s)));
        }
        words.extend(op.params.iter().map(param_word));
        gpu.launch(&Launch {
            pipeline: &pipeline,
            words: &words,
            bindings: &bindings,
            groups: Gpu::grid(count.div_ceil(THREADS as usize)),
            seconds: seconds(&gpu.limits, op, count),
        })
    })
}
