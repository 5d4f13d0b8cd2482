//! Sequences of slicing, reshaping, transposing, indexing, masking and assigning, compared with a model.

#[path = "../common/model.rs"]
mod model;

use model::{Model, Step, apply};
use polyarray::prelude::*;
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    let ranges = || {
        let one = (0usize..4, 0usize..8, prop_oneof![Just(1isize), Just(-1), Just(2), Just(-2), Just(3)]);
        proptest::collection::vec(one, 4)
    };
    let indices = || proptest::collection::vec(any::<i64>(), 0..6);
    let pairs = || proptest::collection::vec(any::<(i64, i64)>(), 0..6);
    let how = || proptest::sample::select(&Combine::ALL[..]);
    prop_oneof![
        ranges().prop_map(Step::Slice),
        (0usize..4, 0usize..7).prop_map(|(axis, i)| Step::Index(axis, i)),
        Just(Step::Transpose),
        (0usize..4, 0usize..4).prop_map(|(from, to)| Step::MoveAxis(from, to)),
        (0usize..5).prop_map(Step::NewAxis),
        Just(Step::Flatten),
        (1usize..5).prop_map(Step::Split),
        (2i32..5).prop_map(Step::Mask),
        (ranges(), any::<i8>()).prop_map(|(r, v)| Step::Fill(r, v.into())),
        (ranges(), any::<i8>()).prop_map(|(r, v)| Step::AssignReversed(r, v.into())),
        (2i32..5, any::<i8>()).prop_map(|(m, v)| Step::AssignWhere(m, v.into())),
        any::<i8>().prop_map(|v| Step::AddInPlace(v.into())),
        (0usize..4, indices()).prop_map(|(axis, ix)| Step::Take(axis, ix)),
        pairs().prop_map(Step::TakeAt),
        (0usize..4, 2usize..4).prop_map(|(axis, every)| Step::Compress(axis, every)),
        (0usize..4, -9isize..9).prop_map(|(axis, shift)| Step::Roll(axis, shift)),
        (0usize..4).prop_map(Step::Flip),
        (0usize..4).prop_map(Step::Concatenate),
        (how(), 0usize..4, indices(), any::<i8>()).prop_map(|(h, axis, ix, v)| Step::Scatter(h, axis, ix, v.into())),
        (how(), pairs(), any::<i8>()).prop_map(|(h, ix, v)| Step::ScatterAt(h, ix, v.into())),
        Just(Step::Share),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sequences_of_views_and_writes(
        shape in proptest::collection::vec(1usize..7, 0..4),
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let data: Vec<i32> = (0..shape.iter().product::<usize>() as i32).collect();
        let mut array = Array::from_vec(data.clone(), &shape[..]).unwrap();
        let (mut model, mut shared) = (Model { shape, data }, Vec::new());
        for step in &steps {
            apply(step, &mut array, &mut model, &mut shared).unwrap();
            prop_assert_eq!(array.shape(), &model.shape[..], "after {:?}", step);
            prop_assert_eq!(array.to_vec().unwrap(), &model.data[..], "after {:?}", step);
        }
        // Every element can be read alone, and no clone has changed.
        for number in 0..model.data.len() {
            prop_assert_eq!(array.get(model.index(number)).unwrap(), model.data[number]);
        }
        for (array, model) in shared {
            prop_assert_eq!((array.shape(), array.to_vec().unwrap()), (&model.shape[..], model.data));
        }
    }
}
