//! Interprets bytes as a sequence of slicing, reshaping, indexing, masking and assigning, and compares the array with
//! the model of the test suite after each step.

#![no_main]

#[path = "../../tests/common/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::{Model, Step, apply};
use polyarray::prelude::*;

/// The most steps of a sequence.
const STEPS: usize = 16;

/// Returns the next byte; 0 after the last one.
fn byte(bytes: &mut std::slice::Iter<u8>) -> u8 {
    bytes.next().copied().unwrap_or(0)
}

/// Returns up to five values of two bytes each.
fn values<T>(bytes: &mut std::slice::Iter<u8>, of: fn(i64, i64) -> T) -> Vec<T> {
    (0..byte(bytes) % 6).map(|_| of((byte(bytes) as i8).into(), (byte(bytes) as i8).into())).collect()
}

fn ranges(bytes: &mut std::slice::Iter<u8>) -> Vec<(usize, usize, isize)> {
    let one = |bytes: &mut std::slice::Iter<u8>| {
        let ends = byte(bytes);
        (usize::from(ends % 4), usize::from(ends / 4 % 8), [1, -1, 2, -2, 3][usize::from(byte(bytes)) % 5])
    };
    (0..4).map(|_| one(bytes)).collect()
}

fn step(bytes: &mut std::slice::Iter<u8>) -> Step {
    let (kind, detail) = (byte(bytes), byte(bytes));
    let (axis, number) = (usize::from(detail % 4), usize::from(detail / 4));
    let (divisor, value) = (2 + i32::from(detail % 3), i32::from(detail as i8));
    let how = Combine::ALL[number % 4];
    match kind % 21 {
        0 => Step::Slice(ranges(bytes)),
        1 => Step::Index(axis, number),
        2 => Step::Transpose,
        3 => Step::MoveAxis(axis, number),
        4 => Step::NewAxis(number),
        5 => Step::Flatten,
        6 => Step::Split(1 + axis),
        7 => Step::Mask(divisor),
        8 => Step::Fill(ranges(bytes), value),
        9 => Step::AssignReversed(ranges(bytes), value),
        10 => Step::AssignWhere(divisor, value),
        11 => Step::AddInPlace(value),
        12 => Step::Take(axis, values(bytes, |a, b| a * b)),
        13 => Step::TakeAt(values(bytes, |a, b| (a, b))),
        14 => Step::Compress(axis, 2 + number % 2),
        15 => Step::Roll(axis, number as isize - 32),
        16 => Step::Flip(axis),
        17 => Step::Concatenate(axis),
        18 => Step::Scatter(how, axis, values(bytes, |a, b| a * b), value),
        19 => Step::ScatterAt(how, values(bytes, |a, b| (a, b)), value),
        _ => Step::Share,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut bytes.iter();
    let shape: Vec<usize> = (0..byte(bytes) % 4).map(|_| usize::from(1 + byte(bytes) % 6)).collect();
    let data: Vec<i32> = (0..shape.iter().product::<usize>() as i32).collect();
    let mut array = Array::from_vec(data.clone(), &shape[..]).expect("as many numbers as the shape has elements");
    let (mut model, mut shared) = (Model { shape, data }, Vec::new());
    for _ in 0..STEPS {
        if bytes.len() == 0 {
            break;
        }
        let step = step(bytes);
        apply(&step, &mut array, &mut model, &mut shared).unwrap_or_else(|e| panic!("{step:?}: {e}"));
        assert_eq!(array.shape(), &model.shape[..], "after {step:?}");
        assert_eq!(array.to_vec().expect("an array of the host"), model.data, "after {step:?}");
    }
    for (array, model) in shared {
        assert_eq!(array.to_vec().expect("an array of the host"), model.data, "a clone has changed");
    }
});
