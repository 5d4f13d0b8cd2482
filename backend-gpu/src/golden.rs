//! The output of the generator, compared with the files in `shaders/golden/`.
//! `POLYARRAY_GOLDEN=write cargo test -p polyarray-gpu golden` rewrites the files; the diff then needs a review.

use crate::kernel::Source;
use crate::map::Step;
use crate::tile::{Inner, Loader};
use crate::{map, reduce, tile};
use polyarray_core::op::{Measure, Reduction};
use polyarray_core::{Binary, DType, Instr, Program, Ref, Unary};

const X: Ref = Ref::Input(0);

fn program(inputs: &[DType], params: usize, instrs: &[Instr]) -> Program {
    Program::new(inputs, &vec![DType::F32; params], instrs, Ref::Value(instrs.len() as u32 - 1)).unwrap()
}

/// Returns `a * x^2 + b * x + c`, with every step rounded separately.
fn polynomial() -> Program {
    let bin = |op, a, b| Instr::Binary(op, a, b);
    let (p, v) = (Ref::Param, Ref::Value);
    let steps = [
        Instr::Unary(Unary::Square, X),
        bin(Binary::Mul, p(0), v(0)),
        bin(Binary::Mul, p(1), X),
        bin(Binary::Add, v(1), v(2)),
        bin(Binary::Add, v(3), p(2)),
    ];
    program(&[DType::F32], 3, &steps)
}

/// Returns `exp(x)` where `x < y`, else `y`, over two axes. The output is also the input x.
fn select_in_place() -> map::Structure {
    let steps = [
        Instr::Binary(Binary::Less, X, Ref::Input(1)),
        Instr::Unary(Unary::Exp, X),
        Instr::Select(Ref::Value(0), Ref::Value(1), Ref::Input(1)),
    ];
    map::Structure::new(program(&[DType::F32; 2], 0, &steps), 2, Step::Strided, vec![None, Some(Step::Strided)])
}

fn sum_of_squares() -> reduce::Structure {
    let before = program(&[DType::F32], 0, &[Instr::Unary(Unary::Square, X)]);
    let after = program(&[DType::F32], 0, &[Instr::Unary(Unary::Sqrt, X)]);
    reduce::Structure { kind: Reduction::Sum, before, after, outer_rank: 1, inner_rank: 2, width: 256 }
}

/// Returns whether any element is true, for each column.
fn any() -> reduce::Structure {
    let identity = Program::identity(DType::Bool);
    reduce::Structure {
        kind: Reduction::Max,
        before: identity.clone(),
        after: identity,
        outer_rank: 1,
        inner_rank: 1,
        width: 1,
    }
}

/// Returns `max(A @ B + bias, p)`.
fn layer(large: bool) -> tile::Structure {
    let steps =
        [Instr::Binary(Binary::Add, X, Ref::Input(1)), Instr::Binary(Binary::Maximum, Ref::Value(0), Ref::Param(0))];
    tile::Structure {
        inner: Inner::Product,
        dtype: DType::F32,
        batch_rank: 1,
        left: Loader { along_k: true, vectors: false },
        right: Loader { along_k: false, vectors: true },
        vectors_out: false,
        accumulate: false,
        large,
        after: program(&[DType::F32; 2], 1, &steps),
    }
}

fn cosine() -> tile::Structure {
    let loader = Loader { along_k: true, vectors: true };
    tile::Structure {
        inner: Inner::Distance(Measure::Cosine),
        batch_rank: 0,
        left: loader,
        right: loader,
        vectors_out: true,
        after: Program::identity(DType::F32),
        ..layer(false)
    }
}

fn cases() -> Vec<(&'static str, Source)> {
    vec![
        ("map_polynomial", map::Structure::new(polynomial(), 1, Step::One, vec![Some(Step::One)]).source()),
        (
            "map_copy_strided",
            map::Structure::new(Program::identity(DType::U32), 1, Step::One, vec![Some(Step::Strided)]).source(),
        ),
        ("map_select_in_place", select_in_place().source()),
        ("reduce_norm", sum_of_squares().source()),
        ("reduce_any_columns", any().source()),
        ("tile_layer", layer(false).source()),
        ("tile_cosine", cosine().source()),
    ]
}

#[test]
fn the_generator_writes_what_the_golden_files_hold() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shaders/golden"));
    let write = std::env::var("POLYARRAY_GOLDEN").is_ok_and(|v| v == "write");
    for (name, source) in cases() {
        let file = folder.join(format!("{name}.wgsl"));
        if write {
            std::fs::write(&file, &source.text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(
            golden == source.text,
            "{name} differs from {}; rewrite it with POLYARRAY_GOLDEN=write and review the diff",
            file.display()
        );
    }
}

/// Returns the kernels of the golden files, and tiled kernels with every way of reading and writing.
fn all() -> Vec<(String, Source)> {
    let mut all: Vec<(String, Source)> = cases().into_iter().map(|(name, source)| (name.to_string(), source)).collect();
    for bits in 0..64 {
        let bit = |i: u32| bits >> i & 1 == 1;
        let (left, right) = (Loader { along_k: bit(0), vectors: bit(1) }, Loader { along_k: bit(2), vectors: bit(3) });
        let (vectors_out, large) = (bit(4), bit(5));
        for base in [layer(large), tile::Structure { large, ..cosine() }] {
            let accumulate = !vectors_out;
            all.push((
                format!("tile {bits}"),
                tile::Structure { left, right, vectors_out, accumulate, ..base }.source(),
            ));
        }
    }
    all
}

/// Returns the assignments of a kernel that write a vector component by a non-constant index. FXC, which compiles
/// kernels for Direct3D 12, has been seen to compile these wrongly.
fn indexed_components(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut vectors = Vec::new();
    for statement in text.split([';', '{', '}', '\n']).map(str::trim) {
        // Matches `var v = vec4<f32>()` and `var v: vec4<f32>`. An index after an element of an array selects a
        // component, because arrays hold vectors.
        if let Some((_, declared)) = statement.split_once("var ") {
            let name = declared.split([' ', ':', '=']).next().unwrap_or_default();
            let ty = declared[name.len()..].trim_start_matches([' ', ':', '=']);
            if ty.starts_with("vec") {
                vectors.push(name.to_string());
            }
            continue;
        }
        let Some((to, _)) = statement.split_once(" = ").or_else(|| statement.split_once(" += ")) else { continue };
        let name = to.split(['[', '.']).next().unwrap_or_default();
        let index = to.rfind('[').map_or("", |at| to[at + 1..].trim_end_matches(']'));
        let of_element = to.contains("][");
        let of_vector = to.ends_with(']') && vectors.iter().any(|v| v == name);
        if (of_element || of_vector) && index.trim_end_matches('u').parse::<u32>().is_err() {
            found.push(to.to_string());
        }
    }
    found
}

#[test]
fn no_kernel_writes_a_component_by_its_index() {
    let bad =
        "var v = vec4<f32>(); v[i] = x; strip[at][o & 3u] = v.x; v[2u] = y; v.x = z; strip[at] = v; out[o] = v[i];";
    assert_eq!(indexed_components(bad), ["v[i]", "strip[at][o & 3u]"]);
    for (name, source) in all() {
        assert_eq!(indexed_components(&source.text), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_golden_kernel_compiles() {
    let Some(gpu) = crate::tests::gpu() else { return };
    for key in [
        crate::pipeline::Key::Map(map::Structure::new(polynomial(), 1, Step::One, vec![Some(Step::One)])),
        crate::pipeline::Key::Map(select_in_place()),
        crate::pipeline::Key::Reduce(sum_of_squares()),
        crate::pipeline::Key::Reduce(any()),
        crate::pipeline::Key::Tile(layer(false)),
        crate::pipeline::Key::Tile(layer(true)),
        crate::pipeline::Key::Tile(cosine()),
    ] {
        crate::pipeline::get(&gpu, key).unwrap();
    }
}
