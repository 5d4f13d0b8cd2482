//! Reductions: several lanes for each output, a tree over the lanes, and further passes over partial results.

use crate::device::{Gpu, Launch, Limits};
use crate::kernel::{Source, THREADS, Words, coordinates, fill, param_word, position, prelude, stride_word};
use crate::memory::{View, allocate};
use crate::pipeline::{self, Key};
use crate::render::{self, from_word, loaded, stored, types};
use crate::split::{self, Cut};
use polyarray_core::op::{Params, Reduce, Reduction};
use polyarray_core::order::Order;
use polyarray_core::{Binary, Buffer, DType, Program, Result};
use std::fmt::Write;
use std::sync::Arc;

/// The largest number of elements that one lane combines in a pass. The error grows with it, and with the logarithm of
/// the number of lanes.
const PER_LANE: usize = 64;
/// The same with a single lane for each output. It combines the elements in blocks of 16.
const PER_LONE_LANE: usize = 1024;
/// The number of workgroups that keep a GPU busy. If there are fewer outputs, their elements are split into segments.
const BUSY: usize = 1024;
/// The largest number of inner elements of one piece, since indices are 32-bit numbers.
const COUNT: usize = 1 << 30;

/// The structure of a reduction: everything that its kernel depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Structure {
    pub kind: Reduction,
    pub before: Program,
    pub after: Program,
    pub outer_rank: usize,
    pub inner_rank: usize,
    /// The number of lanes for each output.
    pub width: u32,
}

/// A reduction of operands in this memory.
pub(crate) struct Spec<'a> {
    pub kind: Reduction,
    pub before: Program,
    pub params: Params,
    pub outer: Vec<usize>,
    pub inner: Vec<usize>,
    /// The inputs, with strides for `outer`, then `inner`.
    pub inputs: Vec<View<'a>>,
    /// Whether neighbours in memory belong to different outputs.
    pub across: bool,
    pub after: Program,
    pub after_params: Params,
    /// The output, with strides for `outer`.
    pub output: View<'a>,
}

/// Returns the dtype that lanes combine: truth values are words.
fn word_type(acc: DType) -> DType {
    if acc == DType::Bool { DType::U32 } else { acc }
}

/// Returns whether there is a kernel for this kind. The kernels combine values, with one dtype throughout.
pub(crate) fn has_kernel(kind: Reduction) -> bool {
    matches!(kind, Reduction::Sum | Reduction::Prod | Reduction::Min | Reduction::Max)
}

fn combiner(kind: Reduction) -> Binary {
    match kind {
        Reduction::Sum => Binary::Add,
        Reduction::Prod => Binary::Mul,
        Reduction::Min => Binary::Minimum,
        Reduction::Max => Binary::Maximum,
        Reduction::ArgMin | Reduction::ArgMax | Reduction::Deviations => {
            unreachable!("estimate refuses {}", kind.name())
        }
    }
}

/// Returns the bits of the identity, which combines with any `x` to `x`.
fn identity(kind: Reduction, acc: DType) -> u32 {
    match (kind, word_type(acc)) {
        (Reduction::Sum, DType::F32) => (-0.0f32).to_bits(),
        (Reduction::Prod, DType::F32) => 1.0f32.to_bits(),
        (Reduction::Min, DType::F32) => f32::INFINITY.to_bits(),
        (Reduction::Max, DType::F32) => f32::NEG_INFINITY.to_bits(),
        (Reduction::Sum, _) => 0,
        (Reduction::Prod, _) => 1,
        (Reduction::Min, DType::I32) => i32::MAX as u32,
        (Reduction::Max, DType::I32) => i32::MIN as u32,
        (Reduction::Min, _) => u32::MAX,
        (Reduction::Max, _) => 0,
        (Reduction::ArgMin | Reduction::ArgMax | Reduction::Deviations, _) => {
            unreachable!("estimate refuses {}", kind.name())
        }
    }
}

impl Structure {
    /// Generates the kernel. Its words after the leading zero:
    /// - the numbers of items, of outputs, of elements of a segment and of elements of the inner space, and the
    ///   identity;
    /// - the first element of the output, its step from segment to segment, the lengths of all outer axes but the
    ///   first, and the strides of the output;
    /// - the lengths of all inner axes but the first;
    /// - for each input the first element and the strides;
    /// - the parameters of `before` and of `after`.
    pub fn source(&self) -> Source {
        let mut words = Words::new();
        let [items, outputs, segment_len, inner_len] = std::array::from_fn(|_| words.next());
        let acc = self.before.output();
        let word = word_type(acc);
        let first = from_word(word, &words.next());
        let (out_base, out_segment) = (words.next(), words.next());
        let outer_lens = words.many(self.outer_rank - 1);
        let out_strides = words.many(self.outer_rank);
        let inner_lens = words.many(self.inner_rank - 1);

        let mut buffers = vec![("out".to_string(), types(self.after.output()).1.to_string(), false)];
        let mut outer = coordinates("o", "c", &outer_lens, "    ");
        let mut element = coordinates("j", "k", &inner_lens, "                ");
        let mut values = Vec::new();
        for (i, &dtype) in self.before.inputs().iter().enumerate() {
            buffers.push((format!("in{i}"), types(dtype).1.into(), true));
            let (base, strides) = (words.next(), words.many(self.outer_rank + self.inner_rank));
            writeln!(outer, "    let base{i} = {};", position(&base, "c", &strides[..self.outer_rank]))
                .expect("writing to a String");
            let load = format!("in{i}[{}]", position(&format!("base{i}"), "k", &strides[self.outer_rank..]));
            writeln!(element, "                let x{i} = {};", loaded(dtype, &load)).expect("writing to a String");
            values.push(format!("x{i}"));
        }
        let params = words.params(self.before.params());
        let before = render::program(&self.before, &values, &params, "                ", "b");
        element += &before.text;
        let (tree_memory, tree, total) = self.tree(types(word).0);
        let params = words.params(self.after.params());
        let after = render::program(&self.after, &[loaded(acc, total)], &params, "        ", "a");
        let out_at = position(&format!("{out_base} + segment * {out_segment}"), "c", &out_strides);
        let tail = format!("{}        out[{out_at}] = {};\n", after.text, stored(self.after.output(), &after.result));
        let (combine, mut snippets) = render::combined(combiner(self.kind), word, "x", "y");
        snippets.add(before.snippets);
        snippets.add(after.snippets);
        let text = fill(
            polyarray_shaders::REDUCE,
            &[
                ("prelude", &prelude(words.count(), &buffers, snippets)),
                ("tree_memory", &tree_memory),
                ("acc", types(word).0),
                ("combine", &combine),
                ("threads", &THREADS.to_string()),
                ("width", &self.width.to_string()),
                ("items_per_group", &(THREADS / self.width).to_string()),
                ("items", &items),
                ("outputs", &outputs),
                ("segment_len", &segment_len),
                ("inner_len", &inner_len),
                ("identity", &first),
                ("outer", &outer),
                ("element", &element),
                ("value", &stored(acc, &before.result)),
                ("tree", &tree),
                ("after", &tail),
            ],
        );
        Source { text, read_only: buffers.iter().map(|b| b.2).collect(), words: words.count() }
    }

    /// Returns the declaration of the tree's memory, the statements of its steps, and the expression of the total.
    fn tree(&self, word: &str) -> (String, String, &'static str) {
        if self.width == 1 {
            return (String::new(), String::new(), "total");
        }
        let mut steps = String::from("    tree[t] = total;\n    workgroupBarrier();\n");
        let mut half = self.width / 2;
        while half > 0 {
            write!(
                steps,
                "    if (lane < {half}u) {{ tree[t] = combine(tree[t], tree[t + {half}u]); }}\n    \
                 workgroupBarrier();\n"
            )
            .expect("writing to a String");
            half /= 2;
        }
        (format!("var<workgroup> tree: array<{word}, {THREADS}>;\n"), steps, "tree[t]")
    }
}

/// The launch plan of a reduction.
struct Plan {
    /// The lengths of the pieces along the outer axes, then the inner axes.
    piece: Vec<usize>,
    segment_len: usize,
    width: u32,
    /// The number of partial results for each output.
    parts: usize,
}

impl Spec<'_> {
    /// Returns the estimated seconds for combining `count` elements.
    fn seconds(&self, limits: &Limits, count: usize) -> f64 {
        let bytes: f64 = self.inputs.iter().map(|i| split::traffic(&i.strides)).sum();
        limits.speed.seconds(count as f64 * (1.0 + self.before.weight()), count as f64 * bytes)
    }

    fn plan(&self, limits: &Limits) -> Plan {
        let (outputs, count): (usize, usize) = (self.outer.iter().product(), self.inner.iter().product());
        let width = match count {
            _ if self.across => 1,
            0..=15 => 1,
            16..=256 => 16,
            _ => THREADS,
        };
        let (least, most) =
            if width == 1 { (32, PER_LONE_LANE) } else { (8 * width as usize, PER_LANE * width as usize) };
        let wanted = (BUSY * (THREADS / width) as usize).div_ceil(outputs);
        let segment_len = count.div_ceil(wanted).clamp(least, most);
        let lens: Vec<usize> = self.outer.iter().chain(&self.inner).copied().collect();
        let parts = |piece: &[usize]| {
            let mut parts = 0;
            split::for_each(&self.inner, &piece[self.outer.len()..], |_, here| {
                parts += here.iter().product::<usize>().div_ceil(segment_len);
                Ok(())
            })
            .expect("nothing in it fails");
            parts
        };
        let piece = split::pieces(&lens, |piece| self.check(piece, parts(piece), limits))
            .unwrap_or_else(|| unreachable!("one element of each operand fits"));
        Plan { parts: parts(&piece), piece, segment_len, width }
    }

    fn check(&self, piece: &[usize], parts: usize, limits: &Limits) -> Cut {
        let (rank, room) = (self.outer.len(), limits.room());
        if piece[rank..].iter().product::<usize>() > COUNT {
            let longest = (rank..piece.len()).max_by_key(|&a| piece[a]).expect("an inner axis");
            return Cut::Halve(longest);
        }
        let strides = if parts > 1 { partial_strides(&self.outer, parts) } else { self.output.strides.clone() };
        let out = split::check(&piece[..rank], &strides, 1, room.saturating_sub(parts));
        let time =
            || split::in_time(piece, 0..piece.len(), self.seconds(limits, piece.iter().product()), limits.launch);
        std::iter::once(out)
            .chain(self.inputs.iter().map(|i| split::check(piece, &i.strides, 1, room)))
            .find(|c| *c != Cut::Fits)
            .unwrap_or_else(time)
    }
}

/// Returns the strides of the partial results. Those of one output are adjacent.
fn partial_strides(outer: &[usize], parts: usize) -> Vec<isize> {
    let mut strides = vec![parts as isize; outer.len()];
    for axis in (1..outer.len()).rev() {
        strides[axis - 1] = strides[axis] * outer[axis] as isize;
    }
    strides
}

pub(crate) fn run(gpu: &Arc<Gpu>, op: &Reduce, out: &Buffer) -> Result<()> {
    run_spec(
        gpu,
        Spec {
            kind: op.kind,
            before: op.before.clone(),
            params: op.params.clone(),
            outer: op.outer.to_vec(),
            inner: op.inner.to_vec(),
            inputs: op.inputs.iter().map(View::of).collect(),
            across: op.order == Order::Rows,
            after: op.after.clone(),
            after_params: op.after_params.clone(),
            output: View::output(out, &op.output),
        },
    )
}

pub(crate) fn run_spec(gpu: &Arc<Gpu>, spec: Spec<'_>) -> Result<()> {
    let plan = spec.plan(&gpu.limits);
    if plan.parts == 1 {
        return pass(gpu, &spec, &plan, &spec.output, 0, &spec.after, &spec.after_params);
    }
    let acc = spec.before.output();
    let outputs: usize = spec.outer.iter().product();
    let scratch = allocate(gpu, outputs * plan.parts * 4)?;
    let strides = partial_strides(&spec.outer, plan.parts);
    let partial = View { handle: &scratch, dtype: acc, offset: 0, strides: strides.clone() };
    pass(gpu, &spec, &plan, &partial, 1, &Program::identity(acc), &Params::new())?;
    let rest = Spec {
        kind: spec.kind,
        before: Program::identity(acc),
        params: Params::new(),
        inputs: vec![View { strides: strides.into_iter().chain([1]).collect(), ..partial }],
        inner: vec![plan.parts],
        across: false,
        outer: spec.outer,
        after: spec.after,
        after_params: spec.after_params,
        output: spec.output,
    };
    run_spec(gpu, rest)
}

/// Launches one pass. Consecutive parts of an output are `part_step` elements apart.
fn pass(
    gpu: &Gpu,
    spec: &Spec<'_>,
    plan: &Plan,
    output: &View<'_>,
    part_step: usize,
    after: &Program,
    after_params: &Params,
) -> Result<()> {
    let rank = spec.outer.len();
    let pipeline = pipeline::get(
        gpu,
        Key::Reduce(Structure {
            kind: spec.kind,
            before: spec.before.clone(),
            after: after.clone(),
            outer_rank: rank,
            inner_rank: spec.inner.len(),
            width: plan.width,
        }),
    )?;
    let lens: Vec<usize> = spec.outer.iter().chain(&spec.inner).copied().collect();
    // The number of parts of the current outputs that the previous pieces have written.
    let mut part = 0;
    split::for_each(&lens, &plan.piece, |start, here| {
        if start[rank..].iter().all(|&s| s == 0) {
            part = 0;
        }
        let (outputs, count): (usize, usize) = (here[..rank].iter().product(), here[rank..].iter().product());
        let segments = count.div_ceil(plan.segment_len);
        let items = outputs * segments;
        // The parts are one more axis of the output. This piece writes `segments` elements along it.
        let with_parts =
            View { strides: output.strides.iter().copied().chain([part_step as isize]).collect(), ..output.clone() };
        let at = |axes: &[usize], last: usize| axes.iter().copied().chain([last]).collect::<Vec<usize>>();
        let (binding, base) = with_parts.bind(gpu, &at(&start[..rank], part), &at(&here[..rank], segments));
        part += segments;
        let mut words: Vec<u32> = [items, outputs, plan.segment_len, count].iter().map(|&n| n as u32).collect();
        words.extend([identity(spec.kind, spec.before.output()), base, part_step as u32]);
        words.extend(here[1..rank].iter().map(|&n| n as u32));
        words.extend(output.strides.iter().map(|&s| stride_word(s)));
        words.extend(here[rank + 1..].iter().map(|&n| n as u32));
        let mut bindings = vec![binding];
        for input in &spec.inputs {
            let (binding, base) = input.bind(gpu, start, here);
            bindings.push(binding);
            words.push(base);
            words.extend(input.strides.iter().map(|&s| stride_word(s)));
        }
        words.extend(spec.params.iter().chain(after_params).map(param_word));
        gpu.launch(&Launch {
            pipeline: &pipeline,
            words: &words,
            bindings: &bindings,
            groups: Gpu::grid(items.div_ceil((THREADS / plan.width) as usize)),
            seconds: spec.seconds(&gpu.limits, here.iter().product()),
        })
    })
}
