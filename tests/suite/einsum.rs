//! Einsum against loops over all indices, related functions, the copies that einsum makes, and its errors for bad
//! input.

use crate::common::{count, on_every_device};
use polyarray::prelude::*;
use polyarray::{Dims, SliceItem, trace};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The subscripts and the shapes of the operands.
type Case = (&'static str, &'static [&'static [usize]]);

const CASES: &[Case] = &[
    // The examples of NumPy's documentation.
    ("ii", &[&[5, 5]]),
    ("ii->i", &[&[5, 5]]),
    ("ij->i", &[&[5, 5]]),
    ("...j->...", &[&[5, 5]]),
    ("ji", &[&[2, 3]]),
    ("ij->ji", &[&[2, 3]]),
    ("i,i", &[&[5], &[5]]),
    ("ij,j", &[&[5, 5], &[5]]),
    ("...j,j", &[&[5, 5], &[5]]),
    ("..., ...", &[&[], &[2, 3]]),
    (",ij", &[&[], &[2, 3]]),
    ("i,j", &[&[2], &[5]]),
    ("i...->...", &[&[2, 3]]),
    ("ijk,jil->kl", &[&[3, 4, 5], &[4, 3, 2]]),
    ("ki,jk->ij", &[&[3, 2], &[4, 3]]),
    ("ki,...k->i...", &[&[3, 2], &[4, 3]]),
    ("k...,jk", &[&[3, 2], &[4, 3]]),
    ("ijk,ilm,njm,nlk,abc->", &[&[2, 3, 4], &[2, 3, 4], &[2, 3, 4], &[2, 3, 4], &[2, 3, 4]]),
    ("i...,i...", &[&[5], &[5]]),
    ("ij...,j...->i...", &[&[2, 3, 4], &[3, 1]]),
    // One operand.
    ("", &[&[]]),
    ("->", &[&[]]),
    ("i", &[&[4]]),
    ("i->", &[&[4]]),
    ("ijk->kij", &[&[2, 3, 4]]),
    ("ijk->j", &[&[2, 3, 4]]),
    ("cba", &[&[2, 3, 4]]),
    ("iii->i", &[&[3, 3, 3]]),
    ("iji->j", &[&[3, 2, 3]]),
    ("iji->ij", &[&[3, 2, 3]]),
    ("iijj->ji", &[&[2, 2, 3, 3]]),
    ("ijij", &[&[2, 3, 2, 3]]),
    ("...ii->...i", &[&[2, 3, 3]]),
    ("ii...->...", &[&[3, 3, 2]]),
    ("i...j->j...i", &[&[2, 3, 4, 2]]),
    ("...", &[&[2, 3]]),
    ("aB", &[&[2, 3]]),
    // Matrix products.
    ("ij,jk->ik", &[&[2, 3], &[3, 4]]),
    ("ij,jk->ki", &[&[2, 3], &[3, 4]]),
    ("ij,jk", &[&[2, 3], &[3, 4]]),
    ("ji,jk->ik", &[&[3, 2], &[3, 4]]),
    ("ij,kj->ik", &[&[2, 3], &[4, 3]]),
    ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
    ("bij,bjk->ikb", &[&[2, 3, 4], &[2, 4, 5]]),
    ("...ij,...jk->...ik", &[&[2, 1, 3, 4], &[5, 4, 2]]),
    ("...ij,jk", &[&[2, 3, 4], &[4, 2]]),
    ("ib,jb->bij", &[&[2, 4], &[3, 4]]),
    ("bi,bi->b", &[&[3, 4], &[3, 4]]),
    ("ij,ij->", &[&[3, 4], &[3, 4]]),
    ("ij,ji->", &[&[3, 4], &[4, 3]]),
    ("abcd,cdef->abef", &[&[2, 3, 2, 3], &[2, 3, 2, 2]]),
    ("abcd,dcef->eafb", &[&[2, 3, 2, 3], &[3, 2, 2, 2]]),
    ("acbd,cedf->aebf", &[&[2, 3, 2, 3], &[3, 2, 3, 2]]),
    ("abc,cab->", &[&[2, 3, 4], &[4, 2, 3]]),
    ("abcd,bd->ca", &[&[2, 3, 4, 2], &[3, 2]]),
    ("aib,ajb->abij", &[&[2, 3, 2], &[2, 4, 2]]),
    ("iij,jkk->ik", &[&[2, 2, 3], &[3, 2, 2]]),
    ("iij,jkk", &[&[2, 2, 3], &[3, 2, 2]]),
    // Elementwise products, and products of operands that are summed first.
    ("ij,ij->ij", &[&[2, 3], &[2, 3]]),
    ("ij,ji->ij", &[&[2, 3], &[3, 2]]),
    ("ij,i->ij", &[&[2, 3], &[2]]),
    ("ij,kl->ijkl", &[&[2, 3], &[2, 2]]),
    ("ij,kl->ljki", &[&[2, 3], &[2, 2]]),
    ("ij,kl->", &[&[2, 3], &[2, 2]]),
    ("ij,jk->", &[&[2, 3], &[3, 4]]),
    ("ij,k->ik", &[&[2, 3], &[4]]),
    (",", &[&[], &[]]),
    (",,->", &[&[], &[], &[]]),
    ("i,->i", &[&[3], &[]]),
    // Three or more operands.
    ("i,ij,j", &[&[2], &[2, 3], &[3]]),
    ("ab,bc,cd,de->ae", &[&[2, 3], &[3, 4], &[4, 2], &[2, 3]]),
    ("ab,bc,cd,de->ea", &[&[2, 3], &[3, 4], &[4, 2], &[2, 3]]),
    ("i,i,i,i->i", &[&[3], &[3], &[3], &[3]]),
    ("ij,ik,il->jkl", &[&[3, 2], &[3, 2], &[3, 2]]),
    ("i,j,k", &[&[2], &[3], &[4]]),
    ("bhqd,bhkd,bhkv->bhqv", &[&[2, 2, 3, 2], &[2, 2, 3, 2], &[2, 2, 3, 4]]),
    ("pi,qj,rk,ijk->pqr", &[&[2, 3], &[2, 2], &[3, 2], &[3, 2, 2]]),
    ("ab,bc,cd,de,ef,fg,gh,hi,ij,jk->ak", &[&[2usize, 2] as &[usize]; 10]),
    ("i...,i...,...i->...", &[&[2, 3], &[2, 1], &[4, 3, 2]]),
    // Axes of length 1 and of length 0.
    ("ij,jk->ik", &[&[2, 1], &[3, 4]]),
    ("ij,jk->ik", &[&[1, 3], &[3, 1]]),
    ("ij,ij->ij", &[&[2, 1], &[1, 3]]),
    ("ij,ij->", &[&[2, 1], &[1, 3]]),
    ("i,i,i->", &[&[1], &[3], &[1]]),
    ("ii,ij->j", &[&[1, 1], &[3, 2]]),
    ("...i,...i->...", &[&[1, 3], &[2, 1, 1]]),
    ("ij,jk->ik", &[&[2, 0], &[0, 3]]),
    ("ij,jk->ik", &[&[0, 2], &[2, 3]]),
    ("ij->i", &[&[2, 0]]),
    ("ij->j", &[&[2, 0]]),
    ("i,i->i", &[&[1], &[0]]),
    ("i,i", &[&[0], &[0]]),
    ("ii->i", &[&[0, 0]]),
    ("...i,i->...", &[&[0, 3], &[3]]),
];

/// The layout of an operand.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Plain,
    Transposed,
    Reversed,
    EveryOther,
    Repeated,
}

const LIES: [Lie; 5] = [Lie::Plain, Lie::Transposed, Lie::Reversed, Lie::EveryOther, Lie::Repeated];

/// Returns a small integer, without a pattern in `i`.
fn number(seed: usize, i: usize) -> i64 {
    let mixed = (i as u64 + 1 + 1000 * seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 41) as i64 % 5 - 2
}

/// Builds an operand of small integers with the given layout.
fn operand<T: Element>(seed: usize, shape: &[usize], lie: Lie) -> Result<Array<T>> {
    let plain = |shape: &[usize]| {
        let shape = Dims::from(shape);
        let numbers =
            (0..shape.size()).map(|i| T::from_wide(polyarray::Wide::Int(i128::from(number(seed, i))))).collect();
        Array::from_vec(numbers, shape)
    };
    let stepped = |a: Array<T>, step: isize| a.slice(vec![SliceItem::Range { start: 0, end: None, step }; a.ndim()]);
    match lie {
        Lie::Plain => plain(shape),
        Lie::Transposed => Ok(plain(&shape.iter().rev().copied().collect::<Vec<_>>())?.t()),
        Lie::Reversed => stepped(plain(shape)?, -1),
        Lie::EveryOther => stepped(plain(&shape.iter().map(|n| 2 * n).collect::<Vec<_>>())?, 2),
        Lie::Repeated => {
            let one: Vec<usize> =
                shape.iter().enumerate().map(|(i, &n)| if i == seed % shape.len() && n > 0 { 1 } else { n }).collect();
            plain(&one)?.broadcast_to(shape)
        }
    }
}

/// Computes the shape and the elements of an einsum by a loop over all indices. Digits denote the axes of ellipses.
fn naive(subscripts: &str, operands: &[&Array<i64>]) -> (Vec<usize>, Vec<i64>) {
    let subscripts = subscripts.replace(' ', "");
    let (inputs, output) = subscripts.split_once("->").map_or((&subscripts[..], None), |(i, o)| (i, Some(o)));
    let terms: Vec<&str> = inputs.split(',').collect();
    let hidden: Vec<usize> = terms.iter().zip(operands).map(|(t, a)| a.ndim() - t.replace("...", "").len()).collect();
    let digits = |n: usize| "0123456789"[10 - n..].to_string();
    let terms: Vec<Vec<char>> =
        terms.iter().zip(&hidden).map(|(t, &n)| t.replace("...", &digits(n)).chars().collect()).collect();
    let mut sizes = BTreeMap::new();
    for (&c, &n) in terms.iter().zip(operands).flat_map(|(t, a)| t.iter().zip(a.shape())) {
        let size = sizes.entry(c).or_insert(n);
        *size = if *size == 1 { n } else { *size };
    }
    let once = |c: &&char| c.is_ascii_digit() || terms.iter().flatten().filter(|t| t == c).count() == 1;
    let output: Vec<char> = match output {
        Some(o) => o.replace("...", &digits(hidden.iter().copied().max().unwrap_or(0))).chars().collect(),
        None => sizes.keys().filter(once).copied().collect(),
    };
    let elements: Vec<Vec<i64>> = operands.iter().map(|a| a.to_vec().unwrap()).collect();
    let shape: Vec<usize> = output.iter().map(|c| sizes[c]).collect();
    let mut result = vec![0i64; shape.iter().product()];
    let names: Vec<char> = sizes.keys().copied().collect();
    for n in 0..sizes.values().product() {
        let mut rest = n;
        let mut at = BTreeMap::new();
        for c in &names {
            at.insert(*c, rest % sizes[c]);
            rest /= sizes[c];
        }
        let place = |t: &[char], shape: &[usize]| {
            t.iter().zip(shape).fold(0, |i, (c, &n)| i * n + if n == 1 { 0 } else { at[c] })
        };
        let product = terms
            .iter()
            .zip(operands)
            .zip(&elements)
            .map(|((t, a), e)| e[place(t, a.shape())])
            .fold(1, i64::wrapping_mul);
        let to = place(&output, &shape);
        result[to] = result[to].wrapping_add(product);
    }
    (shape, result)
}

/// Compares `einsum` in `T` with the loop.
fn check<T: Element>(subscripts: &str, shapes: &[&[usize]], lies: &[Lie]) -> Result<()> {
    let lie = |i: usize, shape: &[usize]| if shape.is_empty() { Lie::Plain } else { lies[i % lies.len()] };
    let make = |i: usize, shape: &[usize]| operand::<i64>(i + 1, shape, lie(i, shape));
    let exact: Vec<Array<i64>> = shapes.iter().enumerate().map(|(i, s)| make(i, s)).collect::<Result<_>>()?;
    let (shape, expected) = naive(subscripts, &exact.iter().collect::<Vec<_>>());
    let operands: Vec<Array<T>> =
        shapes.iter().enumerate().map(|(i, s)| operand(i + 1, s, lie(i, s))).collect::<Result<_>>()?;
    let result = einsum(subscripts, &operands.iter().collect::<Vec<_>>())?;
    assert_eq!(result.shape(), shape, "{subscripts} {shapes:?} {lies:?}");
    let expected: Vec<T> = expected.iter().map(|&x| T::from_wide(polyarray::Wide::Int(i128::from(x)))).collect();
    assert_eq!(result.to_vec()?, expected, "{subscripts} {shapes:?} {lies:?} {}", T::DTYPE);
    Ok(())
}

#[test]
fn the_table_against_loops() -> Result<()> {
    assert!(CASES.len() >= 60);
    for (subscripts, shapes) in CASES {
        for lie in LIES {
            check::<i64>(subscripts, shapes, &[lie])?;
            check::<f64>(subscripts, shapes, &[lie, Lie::Plain])?;
            check::<i64>(subscripts, shapes, &[Lie::Transposed, lie])?;
        }
    }
    Ok(())
}

#[test]
fn the_table_in_other_dtypes() -> Result<()> {
    for (subscripts, shapes) in CASES {
        check::<i8>(subscripts, shapes, &[Lie::Plain])?;
        check::<u16>(subscripts, shapes, &[Lie::Reversed])?;
        check::<i32>(subscripts, shapes, &[Lie::Plain])?;
        check::<Complex<f64>>(subscripts, shapes, &[Lie::Plain])?;
    }
    Ok(())
}

#[test]
fn a_part_of_the_table_on_every_device() {
    on_every_device(|_| {
        CASES
            .iter()
            .filter(|(_, shapes)| shapes.len() < 4)
            .step_by(3)
            .try_for_each(|(s, shapes)| check::<f32>(s, shapes, &[Lie::Plain]))
    });
}

#[test]
fn integers_wrap() -> Result<()> {
    let a = Array::from_vec(vec![100i8, 100, 100], [3])?;
    assert_eq!(einsum("i->", &[&a])?.item()?, 44);
    assert_eq!(einsum("i,i->", &[&a, &a])?.item()?, (30_000i32 as i8));
    assert_eq!(einsum("i,i->i", &[&a, &a])?.to_vec()?, [16; 3]);
    assert_eq!(einsum("i,j->", &[&a, &a])?.item()?, (90_000i32 as i8));
    Ok(())
}

#[test]
fn one_operand_without_a_sum_is_a_view() -> Result<()> {
    let a = count([3, 3, 2]);
    for subscripts in ["ijk->kji", "iij->ij", "iij->ji", "...", "i...->...i"] {
        let (view, trace) = trace::record(|| einsum(subscripts, &[&a]));
        assert!(view?.shares_memory(&a), "{subscripts}");
        assert!(trace.events.is_empty() && trace.allocations == 0, "{subscripts}: {trace}");
    }
    assert_eq!(einsum("iij->ji", &[&a])?.strides(), [1, 8]);
    Ok(())
}

#[test]
fn the_same_array_as_several_operands() -> Result<()> {
    let a = operand::<i64>(1, &[3, 3], Lie::Plain)?;
    for subscripts in ["ij,jk", "ij,ij->", "ii,jj->ij", "ij,ij,ij->ij", "ij,ji,ii->j"] {
        let operands = vec![&a; subscripts.matches(',').count() + 1];
        let (shape, expected) = naive(subscripts, &operands);
        let result = einsum(subscripts, &operands)?;
        assert_eq!((result.shape(), result.to_vec()?), (&shape[..], expected), "{subscripts}");
    }
    assert_eq!(a.to_vec()?, operand::<i64>(1, &[3, 3], Lie::Plain)?.to_vec()?, "an operand is never written");
    Ok(())
}

#[test]
fn products_of_matrices_copy_nothing() -> Result<()> {
    let (a, b) = (count([4, 5]), count([5, 6]));
    let (at, bt) = (count([5, 4]).t(), count([6, 5]).t());
    let flipped = count([4, 5]).slice(s![..;-1, ..;-1])?;
    for (a, b) in [(&a, &b), (&at, &b), (&a, &bt), (&at, &bt), (&flipped, &b)] {
        for subscripts in ["ij,jk->ik", "ij,jk->ki"] {
            let (result, trace) = trace::record(|| einsum(subscripts, &[a, b]));
            assert!(
                result?.is_c_contiguous(),
                "{subscripts}: the operands are ordered so that the product has the layout of the result"
            );
            assert!(
                trace.copies.is_empty() && trace.events.len() == 1,
                "{subscripts} {:?} {:?}: {trace}",
                a.strides(),
                b.strides()
            );
            assert!(trace.events[0].op.starts_with("matmul"), "{trace}");
            assert_eq!(trace.allocated, result_bytes(4 * 6), "{subscripts}: {trace}");
        }
    }
    Ok(())
}

/// Returns the size in bytes of the block that the host allocates for an f32 result of so many elements.
fn result_bytes(elements: usize) -> usize {
    let (made, trace) = trace::record(|| (&count(elements) + 1.0).eval());
    made.unwrap();
    trace.allocated
}

#[test]
fn axes_are_merged_by_views_where_strides_allow() -> Result<()> {
    let no_copy: &[(&str, &[&[usize]])] = &[
        ("abcd,cdef->abef", &[&[2, 3, 4, 5], &[4, 5, 2, 3]]),
        ("abcd,cdef->efab", &[&[2, 3, 4, 5], &[4, 5, 2, 3]]),
        // The result has a and b in another order than the strides of the operand: the result is a transposed view.
        ("abcd,cd->ba", &[&[2, 3, 4, 5], &[4, 5]]),
        ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
        ("bhqd,bhkd->bhqk", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
        ("bqhd,bkhd->bhqk", &[&[2, 3, 2, 4], &[2, 5, 2, 4]]),
    ];
    for (subscripts, shapes) in no_copy {
        let (a, b) = (count(shapes[0]), count(shapes[1]));
        let (result, trace) = trace::record(|| einsum(subscripts, &[&a, &b]));
        result?;
        assert!(trace.copies.is_empty() && trace.events.len() == 1, "{subscripts}: {trace}");
    }
    // a and b are in another order in the second operand: the smaller operand is copied.
    let (large, small) = (count([3, 4, 10]), count([4, 3, 2]));
    for (subscripts, operands) in [("abk,bal->kl", [&large, &small]), ("bal,abk->kl", [&small, &large])] {
        let (result, trace) = trace::record(|| einsum(subscripts, &operands));
        result?;
        assert_eq!(trace.copies, [(small.nbytes(), "reshape")], "{subscripts}: {trace}");
    }
    Ok(())
}

#[test]
fn as_many_axes_as_an_array_can_have() -> Result<()> {
    let ones = Array::<f64>::ones([1; 16])?;
    let pair = Array::<f64>::full([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2], 3.0)?;
    assert_eq!(
        einsum("abcdefghijklmnop,abcdefghijklmnop->abcdefghijklmno", &[&pair, &pair])?.to_vec()?,
        [18.0],
        "without room for the axes of a matrix product"
    );
    assert_eq!(einsum("abcdefghijklmnop,abcdefghijklmnop->abcdefghijklmnop", &[&ones, &pair])?.len(), 2);
    assert_eq!(einsum("...,...", &[&ones, &pair])?.ndim(), 16);
    let (a, b) = (Array::<f64>::ones([2, 2, 2, 2, 2, 2, 2, 2, 3])?, Array::<f64>::ones([3, 2, 2, 2, 2, 2, 2, 2, 2])?);
    let product = einsum("abcdefghx,xijklmnop", &[&a, &b])?;
    assert_eq!((product.ndim(), product.sum()?), (16, 3.0 * 65536.0));
    Ok(())
}

#[test]
fn paths_say_what_is_done() -> Result<()> {
    let path = einsum_path("ab,bc,cd,de->ae", &[[10, 1000], [1000, 2], [2, 1000], [1000, 3]])?;
    let steps: Vec<&str> = path.steps().iter().map(|s| &s.subscripts[..]).collect();
    assert_eq!(steps, ["ab,bc->ac", "cd,de->ce", "ac,ce->ae"]);
    assert_eq!((path.multiply_adds(), path.largest_intermediate()), (20_000 + 6_000 + 60, 20));
    assert_eq!(path.steps()[2].values, [4, 5]);
    let shown = path.to_string();
    for part in [
        "26060 multiply-adds, largest intermediate 20 elements",
        "ab,bc->ac  of #0, #1: matmul [10, 1000, 2], 20000 multiply-adds, 20 elements",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let path = einsum_path("...ij,...j,k->...i", &[&[5, 2, 3][..], &[5, 3], &[7]])?;
    let steps: Vec<(&str, &str)> = path.steps().iter().map(|s| (&s.subscripts[..], &s.operation[..])).collect();
    assert_eq!(steps, [("k->", "sum"), ("...ij,...j->...i", "5 x matmul [2, 3, 1]"), ("...i,->...i", "multiply")]);
    assert_eq!(einsum_path("ij->ji", &[[2, 3]])?.steps(), []);
    let huge = einsum_path("ij,jk,kl->", &[[1 << 40; 2]; 3])?;
    assert_eq!(huge.multiply_adds(), (1 << 80) + (1 << 40), "nothing overflows");
    Ok(())
}

/// Returns the part of the error message after the shapes. Asserts that `einsum` and `einsum_path` give the same error.
fn why(subscripts: &str, shapes: &[&[usize]]) -> String {
    let operands: Vec<Array<f32>> = shapes.iter().map(|&s| count(s)).collect();
    let error = einsum(subscripts, &operands.iter().collect::<Vec<_>>()).unwrap_err();
    let path = einsum_path(subscripts, shapes).unwrap_err();
    assert_eq!(error.to_string(), path.to_string());
    let Error::Einsum { why, .. } = error else { panic!("{error}") };
    assert_eq!(path.to_string(), format!("einsum {subscripts:?} of shapes {shapes:?}: {why}"));
    why
}

#[test]
fn bad_input_is_an_error_that_says_why() {
    let cases: &[(&str, &[&[usize]], &str)] = &[
        ("i?j", &[&[2, 2]], "'?' at 1 is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"),
        ("i1", &[&[2, 2]], "'1' at 1 is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"),
        ("é", &[&[2]], "'é' at 0 is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"),
        ("ij>i", &[&[2, 2]], "'>' at 2 is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"),
        ("ij-i", &[&[2, 2]], "'-' at 2 is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"),
        ("i->i->i", &[&[2]], "'->' at 4: only one '->' is allowed"),
        ("ij->i,j", &[&[2, 2]], "',' at 5: only one output is allowed after '->'"),
        ("i.", &[&[2, 2]], "'.' at 1 is not part of '...'"),
        ("i..j", &[&[2, 2]], "'.' at 1 is not part of '...'"),
        ("....i", &[&[2, 2]], "'.' at 3 is not part of '...'"),
        ("...i...", &[&[2, 2]], "'...' at 4: a term may contain '...' only once"),
        ("ij,jk->ik", &[&[2, 2]], "the subscripts have 2 terms for 1 operands; write one term for each operand"),
        ("ij", &[&[2, 2], &[2, 2]], "the subscripts have 1 terms for 2 operands; write one term for each operand"),
        ("", &[], "the subscripts have 1 terms for 0 operands; write one term for each operand"),
        ("i,ijk", &[&[2], &[2, 2]], "operand 1 of shape [2, 2] has 2 axes, but its term has 3 indices"),
        ("i,j", &[&[2], &[2, 2]], "operand 1 of shape [2, 2] has 2 axes, but its term has 1 indices"),
        ("...ijk", &[&[2, 2]], "operand 0 of shape [2, 2] has 2 axes, but its term has at least 3 indices"),
        ("ij,jk->ik", &[&[2, 3], &[4, 5]], "index 'j' is 3 in operand 0 and 4 in operand 1"),
        ("i,i,i->", &[&[1], &[3], &[0]], "index 'i' is 3 in operand 1 and 0 in operand 2"),
        ("ii->i", &[&[2, 3]], "index 'i' is 2 and 3 in operand 0: the axes of a diagonal must have equal lengths"),
        (
            "j,ii->i",
            &[&[2], &[1, 3]],
            "index 'i' is 1 and 3 in operand 1: the axes of a diagonal must have equal lengths",
        ),
        ("...,...", &[&[5, 2, 3], &[4, 3]], "axis 1 of '...' is 2 in operand 0 and 4 in operand 1"),
        ("ij->iz", &[&[2, 3]], "output index 'z' does not occur in any operand"),
        ("ij->ii", &[&[2, 3]], "output index 'i' occurs more than once"),
        ("...i->i", &[&[2, 3, 4]], "the output needs '...', because '...' in the operands stands for 2 axes"),
        ("abcdefgh,ijklmnopq", &[&[1; 8], &[1; 9]], "the result would have 17 axes; the maximum is 16"),
    ];
    for (subscripts, shapes, expected) in cases {
        assert_eq!(why(subscripts, shapes), *expected, "{subscripts}");
    }
}

#[test]
fn results_too_large_to_count_and_dtypes_without_products() -> Result<()> {
    let wide = Array::<f64>::ones([1])?.broadcast_to([1 << 40])?;
    let e = einsum("i,j->ij", &[&wide, &wide]).unwrap_err();
    assert!(matches!(e, Error::Einsum { .. }) && e.to_string().contains("its size in bytes overflows"), "{e}");
    assert_eq!(einsum("i,j->", &[&wide.slice(s![..8])?, &wide.slice(s![..4])?])?.item()?, 32.0);
    let bools = Array::from_vec(vec![true, false], [2])?;
    let e = einsum("i,i->i", &[&bools, &bools]).unwrap_err();
    assert_eq!(
        e.to_string(),
        "einsum is not defined for bool (it is defined for integers, floats, complex); cast first: x.cast::<..>()"
    );
    assert!(matches!(bools.outer(&bools), Err(Error::DTypeUndefined { op: "outer", .. })));
    assert!(matches!(bools.inner(&bools), Err(Error::DTypeUndefined { op: "inner", .. })));
    Ok(())
}

#[test]
fn tensordot_pairs_axes() -> Result<()> {
    let (a, b) = (operand::<i64>(1, &[2, 3, 4], Lie::Plain)?, operand::<i64>(2, &[3, 4, 5], Lie::Plain)?);
    let same = |x: Array<i64>, subscripts: &str, operands: [&Array<i64>; 2]| {
        let (shape, expected) = naive(subscripts, &operands);
        assert_eq!((x.shape(), x.to_vec().unwrap()), (&shape[..], expected), "{subscripts}");
    };
    same(a.tensordot(&b, 2)?, "abc,bcd", [&a, &b]);
    same(a.tensordot(&b, 0)?, "abc,def->abcdef", [&a, &b]);
    same(a.tensordot(&b, ([1, 2], [0, 1]))?, "abc,bcd", [&a, &b]);
    same(a.tensordot(&b, (-1, 1))?, "abc,dce->abde", [&a, &b]);
    same(a.tensordot(&a, ([0, 2], [0, 2]))?, "abc,adc->bd", [&a, &a]);
    same(a.tensordot(&a, ([2, 0], [2, 0]))?, "abc,adc->bd", [&a, &a]);
    same(a.tensordot(&a, 0usize)?, "abc,def->abcdef", [&a, &a]);
    let scalar = Array::from_vec(vec![3i64], ())?;
    same(a.tensordot(&scalar, 0)?, "abc,->abc", [&a, &scalar]);
    let e = a.tensordot(&b, 1).unwrap_err();
    assert_eq!(
        e.to_string(),
        "tensordot: shapes [2, 3, 4] and [3, 4, 5] are incompatible: axis 2 of the left is 4, axis 0 of the right is 3"
    );
    let e = a.tensordot(&b, 4).unwrap_err();
    assert_eq!(
        e.to_string(),
        "tensordot: shapes [2, 3, 4] and [3, 4, 5] are incompatible: cannot sum over 4 axes: the arrays have 3 and 3"
    );
    assert!(a.tensordot(&b, -1).is_err());
    let e = a.tensordot(&b, ([0, 1], [1])).unwrap_err();
    assert_eq!(
        e.to_string(),
        "tensordot: shapes [2, 3, 4] and [3, 4, 5] are incompatible: 2 axes of the left are paired with 1 axes of the \
         right; both lists need the same length"
    );
    assert!(matches!(a.tensordot(&b, (3, 0)), Err(Error::Axis { op: "tensordot", axis: 3, ndim: 3 })));
    assert!(matches!(a.tensordot(&b, ([1, 1], [0, 1])), Err(Error::RepeatedAxis { op: "tensordot", axis: 1 })));
    assert!(
        matches!(a.expand_dims(0)?.tensordot(&b, (0, 1)), Err(Error::Shapes { .. })),
        "axes of length 1 do not broadcast"
    );
    let many = Array::<i64>::ones([1; 9])?;
    assert!(many.tensordot(&many, 0).unwrap_err().to_string().contains("18 axes"));
    Ok(())
}

#[test]
fn inner_and_outer() -> Result<()> {
    let (a, b) = (operand::<i64>(1, &[2, 3], Lie::Reversed)?, operand::<i64>(2, &[4, 2, 3], Lie::Transposed)?);
    assert_eq!(a.inner(&b)?.to_vec()?, naive("ij,klj->ikl", &[&a, &b]).1);
    let scalar = Array::from_vec(vec![3i64], ())?;
    assert_eq!(scalar.inner(&a)?.to_vec()?, (&a * 3).eval()?.to_vec()?);
    assert_eq!(scalar.inner(&scalar)?.item()?, 9);
    let v = a.slice(s![0])?;
    assert_eq!((v.inner(&v)?.shape(), v.inner(&v)?.item()?), (&[][..], naive("i,i", &[&v, &v]).1[0]));
    let e = a.inner(&a.t()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "inner: shapes [2, 3] and [3, 2] are incompatible: axis 1 of the left is 3, axis 1 of the right is 2"
    );
    let outer = a.outer(&b)?;
    assert_eq!(outer.shape(), [6, 24]);
    assert_eq!(outer.to_vec()?, naive("ij,klm->ijklm", &[&a, &b]).1);
    assert_eq!(scalar.outer(&scalar)?.shape(), [1, 1]);
    Ok(())
}

#[test]
fn traces() -> Result<()> {
    let a = count([2, 3, 4]);
    assert_eq!(a.trace_axes(0, 0, 2)?.to_vec()?, [13., 21., 29.]);
    assert_eq!(a.trace_axes(-1, 0, -1)?.to_vec()?, [12., 16., 20.]);
    for offset in [4, -2, isize::MAX, isize::MIN] {
        assert_eq!(a.trace_axes(offset, 0, 2)?.to_vec()?, [0.0; 3], "of an empty diagonal");
    }
    let square = count([3, 3]);
    assert_eq!(square.trace()?, 12.0);
    assert_eq!(square.slice(s![.., ..;-1])?.trace()?, 12.0);
    assert_eq!(square.greater(3.0).eval()?.trace()?, 2i64, "truth values are counted");
    assert_eq!(Array::<f32>::ones([0, 3])?.trace()?, 0.0);
    assert_eq!(
        a.trace().unwrap_err().to_string(),
        "trace: axes = 3: trace needs a matrix with two axes; use trace_axes to select two of several axes"
    );
    assert!(matches!(a.trace_axes(0, 1, 1), Err(Error::RepeatedAxis { axis: 1, .. })));
    Ok(())
}

/// The lengths of the indices a to e, and of the two axes of an ellipsis.
type Lengths = ([usize; 5], [usize; 2]);

/// The letters of a term; the position and the number of axes of its ellipsis; a bit mask of the axes whose length is 1
/// instead (ignored if bit 7 is set); the index of its layout.
type Random = (Vec<usize>, Option<(usize, usize)>, u8, usize);

fn lengths() -> impl Strategy<Value = Lengths> {
    let length = || prop_oneof![1 => Just(0usize), 2 => Just(1), 4 => Just(2), 4 => Just(3)];
    ([length(), length(), length(), length(), length()], [length(), length()])
}

fn term() -> impl Strategy<Value = Random> {
    (
        proptest::collection::vec(0..5usize, 0..4),
        proptest::option::weighted(0.3, (0..4usize, 0..3usize)),
        any::<u8>(),
        0..LIES.len(),
    )
}

/// Returns the text of a term and the shape of its operand.
fn written((letters, ellipsis, ones, _): &Random, (of, hidden): &Lengths) -> (String, Vec<usize>) {
    let length = |i: usize, n: usize| if ones >> i & 1 == 1 && ones & 128 == 0 { 1 } else { n };
    let mut term: String = letters.iter().map(|&l| (b'a' + l as u8) as char).collect();
    let mut shape: Vec<usize> = letters.iter().map(|&l| length(l, of[l])).collect();
    if let Some((at, n)) = *ellipsis {
        let at = at.min(letters.len());
        term.insert_str(at, "...");
        shape.splice(at..at, (2 - n..2).map(|i| length(5 + i, hidden[i])));
    }
    (term, shape)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn random_subscripts_against_loops(
        lengths in lengths(),
        terms in proptest::collection::vec(term(), 1..5),
        order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
        keep in proptest::option::of((any::<u8>(), 0..6usize)),
    ) {
        let (names, shapes): (Vec<String>, Vec<Vec<usize>>) = terms.iter().map(|t| written(t, &lengths)).unzip();
        let mut subscripts = names.join(",");
        if let Some((mask, ellipsis)) = keep {
            let there = |l: usize| terms.iter().any(|t| t.0.contains(&l));
            let mut output: String = order
                .iter()
                .filter(|&&l| mask >> l & 1 == 1 && there(l))
                .map(|&l| (b'a' + l as u8) as char)
                .collect();
            if terms.iter().any(|t| t.1.is_some()) {
                output.insert_str(ellipsis.min(output.len()), "...");
            }
            subscripts = format!("{subscripts}->{output}");
        }
        let lies: Vec<Lie> = terms.iter().map(|t| LIES[t.3]).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        check::<i64>(&subscripts, &shapes, &lies).unwrap();
        check::<f64>(&subscripts, &shapes, &lies).unwrap();
    }

    #[test]
    fn random_text_never_panics(
        subscripts in "[a-cZ.,> -]{0,12}|[a-c]{0,3}(,[a-c.]{0,5}){0,2}(->[a-c.]{0,5})?",
        ndims in proptest::collection::vec(0..4usize, 0..4),
    ) {
        let operands: Vec<Array<f32>> = ndims.iter().map(|&n| count(vec![2; n])).collect();
        let result = einsum(&subscripts, &operands.iter().collect::<Vec<_>>());
        let path = einsum_path(&subscripts, &operands.iter().map(Array::shape).collect::<Vec<_>>());
        prop_assert_eq!(result.is_ok(), path.is_ok());
    }
}
