//! Tiled kernels over pairs of rows: matrix products and distances.

use crate::device::{Gpu, Launch, Limits};
use crate::kernel::{Source, THREADS, Words, coordinates, fill, param_word, position, prelude, stride_word};
use crate::memory::View;
use crate::pipeline::{self, Key};
use crate::render::{self, Snippets, loaded, stored, types};
use crate::split::{self, Cut};
use polyarray_core::op::{Measure, Params};
use polyarray_core::{DType, Program, Result};
use std::fmt::Write;

/// The quantity that is summed over k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Inner {
    Product,
    Distance(Measure),
}

/// How an operand's part of a strip is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Loader {
    /// Whether neighbouring invocations read along k, instead of along the operand's other axis.
    pub along_k: bool,
    /// Whether elements are read four at a time.
    pub vectors: bool,
}

/// The structure of a tiled kernel: everything that it depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Structure {
    pub inner: Inner,
    pub dtype: DType,
    pub batch_rank: usize,
    pub left: Loader,
    pub right: Loader,
    /// Whether results are written four at a time.
    pub vectors_out: bool,
    /// Whether results are added to the contents of the output.
    pub accumulate: bool,
    /// Whether a workgroup computes 128 x 128 results and an invocation 8 x 8, instead of half as many along each side.
    pub large: bool,
    /// The epilogue. Its first input is the sum over k, converted to a distance where `inner` is one; the others are
    /// read at the position of the result.
    pub after: Program,
}

const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];
/// The number of invocations of a workgroup along each side of a tile.
const SIDE: usize = 16;
/// The number of results along each side of a small tile. A large tile has twice as many.
const SMALL_TILE: usize = 64;
/// The number of indices of k in a strip.
const DEPTH: usize = 16;

/// The parameter words of an operand.
struct Words3 {
    base: String,
    outer: String,
    k: String,
}

impl Structure {
    /// Returns the number of results of a workgroup along each side.
    fn tile(&self) -> usize {
        if self.large { 2 * SMALL_TILE } else { SMALL_TILE }
    }

    /// Returns the number of results of an invocation along each side, a multiple of 4. They form blocks of 4 x 4; the
    /// blocks of one invocation are `4 * SIDE` results apart, so that the blocks of the whole workgroup fit between
    /// them.
    fn each(&self) -> usize {
        self.tile() / SIDE
    }

    /// Returns the number of vectors in a row of a strip. It is one more than needed, so that invocations that write a
    /// column access different banks.
    fn strip_row(&self) -> usize {
        self.tile() / 4 + 1
    }

    /// Returns the bytes of workgroup memory.
    pub fn workgroup_bytes(large: bool) -> usize {
        let row = if large { 33 } else { 17 };
        2 * DEPTH * row * 16
    }

    /// Generates the kernel. Its words after the leading zero:
    /// - m, n, k;
    /// - for both operands the first element, the stride along m or n, and the stride along k;
    /// - the first element of the output and its stride along m;
    /// - the lengths of all batch axes but the first;
    /// - the batch strides of left, right and output;
    /// - for each extra operand the first element, the strides along m and n, and the batch strides;
    /// - the parameters.
    pub fn source(&self) -> Source {
        let mut words = Words::new();
        let [m, n, k] = std::array::from_fn(|_| words.next());
        let [left, right] =
            std::array::from_fn(|_| Words3 { base: words.next(), outer: words.next(), k: words.next() });
        let (out_base, out_row) = (words.next(), words.next());
        let lens = words.many(self.batch_rank.saturating_sub(1));
        let batch_strides: [Vec<String>; 3] = std::array::from_fn(|_| words.many(self.batch_rank));
        let element = types(self.dtype).0;
        let output = types(self.after.output()).1;
        let array =
            |vectors: bool, element: &str| if vectors { format!("vec4<{element}>") } else { element.to_string() };
        let mut buffers = vec![
            ("out".to_string(), array(self.vectors_out, output), false),
            ("left".to_string(), array(self.left.vectors, element), true),
            ("right".to_string(), array(self.right.vectors, element), true),
        ];
        let mut batch = if self.batch_rank > 0 { coordinates("group.z", "c", &lens, "    ") } else { String::new() };
        let mut base = |name: &str, first: &str, strides: &[String]| {
            writeln!(batch, "    let {name}_base = {};", position(first, "c", strides)).expect("writing to a String");
        };
        base("left", &left.base, &batch_strides[0]);
        base("right", &right.base, &batch_strides[1]);
        base("out", &out_base, &batch_strides[2]);
        let mut extras = Vec::new();
        for (i, &dtype) in self.after.inputs()[1..].iter().enumerate() {
            buffers.push((format!("extra{i}"), types(dtype).1.into(), true));
            let (first, row, column) = (words.next(), words.next(), words.next());
            base(&format!("extra{i}"), &first, &words.many(self.batch_rank));
            extras.push((row, column));
        }
        let params = words.params(self.after.params());
        let (finish, snippets) = self.finish(&params);
        let strip = DEPTH * self.strip_row();
        let load =
            self.load("left", self.left, &left, "row0", "m") + &self.load("right", self.right, &right, "col0", "n");
        let text = fill(
            polyarray_shaders::TILE,
            &[
                ("prelude", &prelude(words.count(), &buffers, snippets)),
                ("rows", &self.tile().to_string()),
                ("columns", &self.tile().to_string()),
                ("depth", &DEPTH.to_string()),
                ("type", element),
                ("left_len", &strip.to_string()),
                ("right_len", &strip.to_string()),
                ("finish", &finish),
                ("threads", &THREADS.to_string()),
                ("across", &SIDE.to_string()),
                ("m", &m),
                ("n", &n),
                ("k", &k),
                ("batch", &batch),
                ("declare", &self.declare()),
                ("load", &load),
                ("multiply", &self.multiply()),
                ("store", &self.store(&out_row, &extras)),
            ],
        );
        Source { text, read_only: buffers.iter().map(|b| b.2).collect(), words: words.count() }
    }

    fn is_cosine(&self) -> bool {
        self.inner == Inner::Distance(Measure::Cosine)
    }

    /// Returns the function that converts a sum to a result: `finish(sum, [|x|^2, |y|^2,] extra positions ..)`.
    fn finish(&self, params: &[String]) -> (String, Snippets) {
        let element = types(self.dtype).0;
        let mut snippets = Snippets::NONE;
        let value = match self.inner {
            Inner::Distance(Measure::Euclidean) => "    let value = sqrt(sum);\n",
            Inner::Distance(Measure::Cosine) => {
                snippets.add(Snippets::BITS);
                "    let norm = sqrt(xx) * sqrt(yy);\n    var value = from_bits(0x7fc00000u);\n    \
                 if (norm != 0.0f) { value = 1.0f - sum / norm; }\n    value = select(value, 0.0f, value < 0.0f);\n    \
                 value = select(value, 2.0f, value > 2.0f);\n    \
                 // Roots and quotients are not exact, and the three sums of equal points are equal.\n    \
                 value = select(value, 0.0f, norm != 0.0f && sum == xx && sum == yy);\n"
            }
            Inner::Product | Inner::Distance(_) => "    let value = sum;\n",
        };
        let norms = if self.is_cosine() { ", xx: f32, yy: f32" } else { "" };
        let mut inputs = vec!["value".to_string()];
        let (mut arguments, mut loads) = (String::new(), String::new());
        for (i, &dtype) in self.after.inputs()[1..].iter().enumerate() {
            write!(arguments, ", at{i}: u32").expect("writing to a String");
            writeln!(loads, "    let e{i} = {};", loaded(dtype, &format!("extra{i}[at{i}]")))
                .expect("writing to a String");
            inputs.push(format!("e{i}"));
        }
        let rendered = render::program(&self.after, &inputs, params, "    ", "v");
        snippets.add(rendered.snippets);
        let (output, result) = (types(self.after.output()).1, stored(self.after.output(), &rendered.result));
        let text = format!(
            "fn finish(sum: {element}{norms}{arguments}) -> {output} {{\n{value}{loads}{}    return {result};\n}}\n",
            rendered.text
        );
        (text, snippets)
    }

    fn declare(&self) -> String {
        let (vector, each) = (format!("vec4<{}>()", types(self.dtype).0), self.each());
        let mut out = String::new();
        for i in 0..each {
            for j in 0..each / 4 {
                writeln!(out, "    var sum{i}_{j} = {vector};").expect("writing to a String");
            }
        }
        if self.is_cosine() {
            for i in 0..each / 4 {
                writeln!(out, "    var xx{i} = {vector};\n    var yy{i} = {vector};").expect("writing to a String");
            }
        }
        out
    }

    /// Returns statements that load the part of `name` for this strip into workgroup memory, with zeros beyond its end.
    ///
    /// Each invocation writes whole vectors of four neighbours along the operand's other axis. FXC, which compiles for
    /// Direct3D 12, compiles writes to a component wrongly if its index is not a constant.
    fn load(&self, name: &str, loader: Loader, w: &Words3, first: &str, limit: &str) -> String {
        let (tile, row, element) = (self.tile(), self.strip_row(), types(self.dtype).0);
        let (columns, Words3 { outer, k, .. }) = (tile / 4, w);
        let at = |o: &str| format!("{name}_base + ({first} + {o}) * {outer} + (k0 + kk) * {k}");
        // The number of indices of k that one invocation loads. Along the other axis it loads four.
        let depth = if loader == (Loader { along_k: true, vectors: true }) { 4 } else { 1 };
        let items = columns * DEPTH / depth;
        let places = if loader.along_k {
            format!(
                "let kk = e % {0}u{1}; let o = e / {0}u * 4u;",
                DEPTH / depth,
                if depth == 4 { " * 4u" } else { "" }
            )
        } else {
            format!("let o = e % {columns}u * 4u; let kk = e / {columns}u;")
        };
        let strip = |kk: &str| format!("{name}_strip[{kk} * {row}u + (o >> 2u)]");
        let mut body = String::new();
        let mut line = |text: String| writeln!(body, "            {text}").expect("writing to a String");
        match loader {
            Loader { along_k: false, vectors: true } => {
                line(format!("var v = vec4<{element}>();"));
                line(format!("if ({first} + o < {limit} && k0 + kk < k) {{ v = {name}[({}) >> 2u]; }}", at("o")));
                line(format!("{} = v;", strip("kk")));
            }
            Loader { vectors: false, .. } => {
                line(format!("var v = vec4<{element}>();"));
                for (q, component) in COMPONENTS.into_iter().enumerate() {
                    let o = format!("o + {q}u");
                    line(format!(
                        "if ({first} + {o} < {limit} && k0 + kk < k) {{ v.{component} = {name}[{}]; }}",
                        at(&o)
                    ));
                }
                line(format!("{} = v;", strip("kk")));
            }
            Loader { along_k: true, vectors: true } => {
                for q in 0..4 {
                    let o = format!("o + {q}u");
                    line(format!("var v{q} = vec4<{element}>();"));
                    line(format!(
                        "if ({first} + {o} < {limit} && k0 + kk < k) {{ v{q} = {name}[({}) >> 2u]; }}",
                        at(&o)
                    ));
                }
                for (q, component) in COMPONENTS.into_iter().enumerate() {
                    let column = (0..4).map(|i| format!("v{i}.{component}")).collect::<Vec<_>>().join(", ");
                    line(format!("{} = vec4<{element}>({column});", strip(&format!("(kk + {q}u)"))));
                }
            }
        }
        let threads = THREADS as usize;
        let mut out = String::new();
        for i in 0..items.div_ceil(threads) {
            let guard = if items < threads { format!("if (t < {items}u) ") } else { String::new() };
            write!(out, "        {guard}{{\n            let e = t + {}u; {places}\n{body}        }}\n", i * threads)
                .expect("writing to a String");
        }
        out
    }

    /// Returns the multiply-adds of a strip, unrolled: compilers of WGSL handle loops over named values worst.
    fn multiply(&self) -> String {
        let (each, row, element) = (self.each(), self.strip_row(), types(self.dtype).0);
        let float = self.dtype == DType::F32;
        let mut out = String::new();
        for kk in 0..DEPTH {
            out += "        {\n";
            for i in 0..each / 4 {
                let at = |lane: &str| format!("{}u + {lane}", kk * row + i * SIDE);
                writeln!(
                    out,
                    "            let a{i} = left_strip[{}];\n            let b{i} = right_strip[{}];",
                    at("ly"),
                    at("lx")
                )
                .expect("writing to a String");
            }
            for (i, j) in (0..each).flat_map(|i| (0..each / 4).map(move |j| (i, j))) {
                let (a, b, sum) = (
                    format!("vec4<{element}>(a{}.{})", i / 4, COMPONENTS[i % 4]),
                    format!("b{j}"),
                    format!("sum{i}_{j}"),
                );
                let step = match self.inner {
                    Inner::Product | Inner::Distance(Measure::Cosine | Measure::Dot) if float => {
                        format!("{sum} = fma({a}, {b}, {sum});")
                    }
                    Inner::Product | Inner::Distance(Measure::Dot) => format!("{sum} += {a} * {b};"),
                    Inner::Distance(Measure::Cityblock) => format!("{sum} += abs({a} - {b});"),
                    Inner::Distance(_) => format!("{{ let d = {a} - {b}; {sum} = fma(d, d, {sum}); }}"),
                };
                writeln!(out, "            {step}").expect("writing to a String");
            }
            if self.is_cosine() {
                for i in 0..each / 4 {
                    writeln!(
                        out,
                        "            xx{i} = fma(a{i}, a{i}, xx{i});\n            yy{i} = fma(b{i}, b{i}, yy{i});"
                    )
                    .expect("writing to a String");
                }
            }
            out += "        }\n";
        }
        out
    }

    fn store(&self, out_row: &str, extras: &[(String, String)]) -> String {
        let mut out = String::new();
        for i in 0..self.each() {
            let block = i / 4 * SIDE * 4 + i % 4;
            writeln!(out, "    {{\n        let row = row0 + {block}u + ly * 4u;\n        if (row < m) {{")
                .expect("writing to a String");
            for j in 0..self.each() / 4 {
                writeln!(out, "            let column{j} = col0 + {}u + lx * 4u;", j * SIDE * 4)
                    .expect("writing to a String");
                if self.vectors_out {
                    let value = (0..4).map(|q| self.finished(i, j, q, extras)).collect::<Vec<_>>().join(", ");
                    let element = types(self.after.output()).1;
                    writeln!(
                        out,
                        "            if (column{j} < n) {{ out[(out_base + row * {out_row} + column{j}) >> 2u] = \
                         vec4<{element}>({value}); }}"
                    )
                    .expect("writing to a String");
                    continue;
                }
                for q in 0..4 {
                    let at = format!("out[out_base + row * {out_row} + column{j} + {q}u]");
                    let before = if self.accumulate { format!("{at} + ") } else { String::new() };
                    writeln!(
                        out,
                        "            if (column{j} + {q}u < n) {{ {at} = {before}{}; }}",
                        self.finished(i, j, q, extras)
                    )
                    .expect("writing to a String");
                }
            }
            out += "        }\n    }\n";
        }
        out
    }

    /// Returns the call that finishes one sum.
    fn finished(&self, i: usize, j: usize, q: usize, extras: &[(String, String)]) -> String {
        let component = COMPONENTS[q];
        let mut call = format!("finish(sum{i}_{j}.{component}");
        if self.is_cosine() {
            write!(call, ", xx{}.{}, yy{j}.{component}", i / 4, COMPONENTS[i % 4]).expect("writing to a String");
        }
        for (x, (row, column)) in extras.iter().enumerate() {
            write!(call, ", extra{x}_base + row * {row} + (column{j} + {q}u) * {column}").expect("writing to a String");
        }
        call + ")"
    }
}

/// Returns the number of small tiles in a piece.
fn tiles(piece: &[usize]) -> usize {
    let (batch, tail) = piece.split_at(piece.len() - 3);
    batch.iter().product::<usize>() * tail[0].div_ceil(SMALL_TILE) * tail[1].div_ceil(SMALL_TILE)
}

/// The index space of a tiled operation (batch axes, m, n, k), and the strides of left, right, output and extras over
/// it.
pub(crate) struct Geometry {
    pub lens: Vec<usize>,
    pub strides: Vec<Vec<isize>>,
    /// Whether sums may be computed in several parts.
    pub cut_k: bool,
}

/// Returns strides over another index space: new axis `i` is the old axis `axes[i]`, or an axis with stride 0 if
/// `None`.
pub(crate) fn spread(strides: &[isize], axes: &[Option<usize>]) -> Vec<isize> {
    axes.iter().map(|a| a.map_or(0, |a| strides[a])).collect()
}

impl Geometry {
    fn batch_rank(&self) -> usize {
        self.lens.len() - 3
    }

    /// Returns the estimated seconds for a piece. However few tiles it has, it takes as long as a piece with one tile
    /// for each of the workgroups that run at a time.
    pub fn seconds(&self, piece: &[usize], limits: &Limits) -> f64 {
        let k = self.batch_rank() + 2;
        let tile = SMALL_TILE * SMALL_TILE * piece[k];
        limits.speed.seconds(tile as f64 * (tiles(piece) as f64).max(limits.speed.groups), 0.0)
    }

    /// Checks whether a piece keeps to the time limit of a launch, and otherwise determines where to cut it.
    fn in_time(&self, piece: &[usize], limits: &Limits) -> Cut {
        let seconds = self.seconds(piece, limits);
        if seconds <= limits.launch {
            return Cut::Fits;
        }
        let k = self.batch_rank() + 2;
        if tiles(piece) as f64 > limits.speed.groups {
            let count = |&a: &usize| if a < k - 2 { piece[a] } else { piece[a].div_ceil(SMALL_TILE) };
            if let Some(axis) = (0..k).max_by_key(count).filter(|a| count(a) > 1) {
                return Cut::Halve(axis);
            }
        }
        if self.cut_k && piece[k] > DEPTH {
            return Cut::Halve(k);
        }
        if seconds <= limits.longest { Cut::Fits } else { Cut::Never }
    }

    /// Returns the lengths of the pieces in which the operation is launched, or `None` if no piece fits.
    pub fn pieces(&self, limits: &Limits) -> Option<Vec<usize>> {
        let (room, batch) = (limits.room(), self.batch_rank());
        let k = batch + 2;
        split::pieces(&self.lens, |piece| {
            // The grid numbers tiles along y and x, and batches along z.
            let too_many = (batch..k).find(|&a| piece[a] > Gpu::GRID * 64).or_else(|| {
                let over = piece[..batch].iter().product::<usize>() > Gpu::GRID;
                over.then(|| (0..batch).max_by_key(|&a| piece[a]).expect("some batch axis"))
            });
            if let Some(axis) = too_many {
                return Cut::Halve(axis);
            }
            let fits = |s: &Vec<isize>| self.check(piece, s, room);
            self.strides.iter().map(fits).find(|c| *c != Cut::Fits).unwrap_or_else(|| self.in_time(piece, limits))
        })
    }

    fn check(&self, piece: &[usize], strides: &[isize], room: usize) -> Cut {
        let k = self.batch_rank() + 2;
        if piece[k] > 1 << 30 {
            return if self.cut_k { Cut::Halve(k) } else { Cut::Never };
        }
        match split::check(piece, strides, 1, room) {
            // k cannot be cut, so another axis is, as far as that is possible.
            Cut::Halve(axis) if axis == k && !self.cut_k => match split::check(&piece[..k], &strides[..k], 1, 0) {
                Cut::Halve(axis) => Cut::Halve(axis),
                _ => Cut::Never,
            },
            cut => cut,
        }
    }
}

/// A tiled operation on operands in this memory.
pub(crate) struct Spec<'a> {
    pub inner: Inner,
    pub geometry: Geometry,
    /// Left, right, output and extras, with the geometry's strides.
    pub views: Vec<View<'a>>,
    pub after: Program,
    pub after_params: Params,
}

/// Returns the best way to read an operand from element `base` of its binding. `outer` is its axis besides k.
fn loader(strides: &[isize], lens: &[usize], outer: usize, base: u32) -> Loader {
    let k = strides.len() - 1;
    let along_k = strides[k].unsigned_abs() == 1
        || (strides[outer].unsigned_abs() != 1 && strides[k].unsigned_abs() < strides[outer].unsigned_abs());
    let (fast, slow) = if along_k { (k, outer) } else { (outer, k) };
    let whole = |axis: usize| strides[axis] % 4 == 0 || lens[axis] == 1;
    let batches = (0..strides.len() - 3).all(whole);
    Loader {
        along_k,
        vectors: strides[fast] == 1 && lens[fast].is_multiple_of(4) && base.is_multiple_of(4) && whole(slow) && batches,
    }
}

pub(crate) fn run(gpu: &Gpu, spec: &Spec<'_>) -> Result<()> {
    let lens = &spec.geometry.lens;
    let batch = spec.geometry.batch_rank();
    let (m, n, k) = (batch, batch + 1, batch + 2);
    let piece = spec
        .geometry
        .pieces(&gpu.limits)
        .unwrap_or_else(|| unreachable!("`estimate` refuses operations that cannot be cut into pieces"));
    let dtype = spec.views[0].dtype;
    split::for_each(lens, &piece, |start, here| {
        let bound: Vec<_> = spec.views.iter().map(|v| v.bind(gpu, start, here)).collect();
        let base = |i: usize| bound[i].1;
        let strides = |i: usize| &spec.views[i].strides;
        let large_tiles = here[..batch].iter().product::<usize>() * here[m].div_ceil(128) * here[n].div_ceil(128);
        let accumulate = start[k] > 0;
        let out = loader(
            &spread(strides(2), &axes_with_k_last(batch)),
            &[&here[..batch], &[here[m], 1, here[n]]].concat(),
            m,
            base(2),
        );
        let structure = Structure {
            inner: spec.inner,
            dtype,
            batch_rank: batch,
            left: loader(strides(0), here, m, base(0)),
            right: loader(strides(1), here, n, base(1)),
            vectors_out: out.along_k && out.vectors && !accumulate,
            accumulate,
            large: large_tiles >= gpu.limits.large_tiles_from
                && Structure::workgroup_bytes(true) <= gpu.limits.workgroup,
            after: spec.after.clone(),
        };
        let tile = structure.tile();
        let pipeline = pipeline::get(gpu, Key::Tile(structure))?;
        let mut words: Vec<u32> = [here[m], here[n], here[k]].iter().map(|&n| n as u32).collect();
        for (i, outer) in [(0, m), (1, n)] {
            words.extend([base(i), stride_word(strides(i)[outer]), stride_word(strides(i)[k])]);
        }
        words.extend([base(2), stride_word(strides(2)[m])]);
        words.extend(here[..batch].iter().skip(1).map(|&n| n as u32));
        let batch_strides = |i: usize| strides(i)[..batch].iter().map(|&s| stride_word(s));
        (0..3).for_each(|i| words.extend(batch_strides(i)));
        for i in 3..spec.views.len() {
            words.extend([base(i), stride_word(strides(i)[m]), stride_word(strides(i)[n])]);
            words.extend(batch_strides(i));
        }
        words.extend(spec.after_params.iter().map(param_word));
        let groups = (
            here[n].div_ceil(tile) as u32,
            here[m].div_ceil(tile) as u32,
            here[..batch].iter().product::<usize>() as u32,
        );
        let mut bindings: Vec<_> = bound.into_iter().map(|(b, _)| b).collect();
        // The kernel declares the output first.
        bindings[..3].rotate_right(1);
        gpu.launch(&Launch {
            pipeline: &pipeline,
            words: &words,
            bindings: &bindings,
            groups,
            seconds: spec.geometry.seconds(here, &gpu.limits),
        })
    })
}

/// Returns the output's axes in the order for [`loader`]: n takes the place of k.
fn axes_with_k_last(batch: usize) -> Vec<Option<usize>> {
    (0..batch).map(Some).chain([Some(batch), None, Some(batch + 1)]).collect()
}
