//! Joining, cutting, moving, repeating and padding, against plain models of indices.

use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::{Axes, MAX_NDIM, with_dtype};
use proptest::prelude::*;

fn shapes(e: &Error) -> bool {
    matches!(e, Error::Shapes { .. })
}

fn argument(e: &Error) -> bool {
    matches!(e, Error::Argument { .. })
}

/// Returns the array whose element at each index is `f` of the index.
fn made(shape: &[usize], mut f: impl FnMut(&[usize]) -> f32) -> Array<f32> {
    Array::from_fn(shape, |ix| f(ix)).unwrap()
}

fn same(x: &Array<f32>, want: &Array<f32>) {
    assert_eq!((x.shape(), x.to_vec().unwrap()), (want.shape(), want.to_vec().unwrap()));
}

#[test]
fn arrays_of_any_layout_are_joined() {
    on_every_device(|_| {
        let x = count([3, 4]);
        let views = [
            x.clone(),
            count([4, 3]).t(),
            x.slice(s![..;-1, ..;-1])?,
            count([6, 8]).slice(s![..;2, ..;2])?,
            count([4]).broadcast_to([3, 4])?,
        ];
        for a in &views {
            for b in &views {
                let rows = made(&[6, 4], |ix| if ix[0] < 3 { a } else { b }.get([ix[0] % 3, ix[1]]).unwrap());
                same(&Array::concatenate(&[a, b], 0)?, &rows);
                same(&Array::vstack(&[a, b])?, &rows);
                let columns = made(&[3, 8], |ix| if ix[1] < 4 { a } else { b }.get([ix[0], ix[1] % 4]).unwrap());
                same(&Array::concatenate(&[a, b], -1)?, &columns);
                same(&Array::hstack(&[a, b])?, &columns);
                let both = [a, b];
                same(&Array::stack(&both, 0)?, &made(&[2, 3, 4], |ix| both[ix[0]].get(&ix[1..]).unwrap()));
                same(&Array::stack(&both, 1)?, &made(&[3, 2, 4], |ix| both[ix[1]].get([ix[0], ix[2]]).unwrap()));
                same(&Array::stack(&both, -1)?, &made(&[3, 4, 2], |ix| both[ix[2]].get(&ix[..2]).unwrap()));
            }
        }
        assert!(Array::concatenate(&[&views[1], &views[1]], 1)?.is_f_contiguous());
        let (none, one) = (count([0, 4]), count([1, 4]));
        same(&Array::concatenate(&[&none, &one, &none], 0)?, &one);
        assert_eq!(Array::concatenate(&[&none, &none], 0)?.shape(), [0, 4]);
        assert_eq!(Array::stack(&[&none; 3], 0)?.shape(), [3, 0, 4]);
        same(&Array::vstack(&[&count([4]), &x, &count([4])])?.slice(s![1..4])?, &x);
        same(&Array::hstack(&[&count(()), &count([2])])?, &Array::from_vec(vec![0.0, 0.0, 1.0], [3])?);
        Ok(())
    });
}

#[test]
fn every_dtype_is_joined_moved_and_repeated() {
    on_every_device(|device| {
        for dtype in DType::ALL {
            with_dtype!(dtype, T => {
                // Once on the fast path of small arrays, once beyond it.
                for n in [5, 40_000] {
                    let x = (count([n, 2]) % 2.0).cast::<T>().eval()?;
                    let data = x.to_vec()?;
                    assert!(Array::concatenate(&[&x, &x], 0)?.to_vec()? == data.repeat(2), "{device} {dtype}");
                    let rolled = x.roll(3, 0)?.to_vec()?;
                    assert!(rolled[6..] == data[..2 * n - 6] && rolled[..6] == data[2 * n - 6..], "{device} {dtype}");
                    let twice = x.repeat(2, 1)?.to_vec()?;
                    assert!(twice.chunks(2).zip(&data).all(|(two, one)| two == [*one, *one]), "{device} {dtype}");
                    assert!(x.tile(&[2, 1])?.to_vec()? == data.repeat(2), "{device} {dtype}");
                    let padded = x.pad(&[(1, 0), (0, 0)], Pad::Constant(data[1]))?.to_vec()?;
                    assert!(padded[..2] == [data[1]; 2] && padded[2..] == data, "{device} {dtype}");
                }
            });
        }
        Ok(())
    });
}

#[test]
fn arrays_that_do_not_fit_together() {
    let (x, y) = (count([2, 3]), count([2, 4]));
    refused(Array::concatenate(&[&x, &y], 0), shapes, &["concatenate", "[2, 3]", "[2, 4]", "axis 0"]);
    refused(Array::concatenate(&[&x, &count([3])], 0), shapes, &["[3]"]);
    refused(Array::concatenate(&[&x], 2), |e| matches!(e, Error::Axis { .. }), &["axis 2"]);
    refused(Array::concatenate(&[&count(())], 0), |e| matches!(e, Error::Axis { .. }), &["0 axes"]);
    refused(Array::<f32>::concatenate(&[], 0), argument, &["at least one"]);
    refused(Array::<f32>::stack(&[], 0), argument, &["at least one"]);
    refused(Array::<f32>::hstack(&[]), argument, &["at least one"]);
    refused(Array::stack(&[&x, &y], 0), shapes, &["stack", "[2, 3]", "[2, 4]"]);
    let wide = count([1]).broadcast_to([isize::MAX as usize / 8]).unwrap();
    refused(Array::concatenate(&[&wide, &wide, &wide], 0), |e| matches!(e, Error::TooLarge { .. }), &["too large"]);
    refused(count([2]).repeat(usize::MAX, 0), |e| matches!(e, Error::TooLarge { .. }), &["too large"]);
    refused(count([2]).tile(&[usize::MAX, 2]), |e| matches!(e, Error::TooLarge { .. }), &["too large"]);
    refused(count([2]).pad(&[(usize::MAX, 1)], Pad::Edge), |e| matches!(e, Error::TooLarge { .. }), &["too large"]);
    refused(count([2]).repeat_each(&[usize::MAX, 2], 0), |e| matches!(e, Error::TooLarge { .. }), &["too large"]);
    refused(count([1; MAX_NDIM]).repeat(2, 0), shapes, &["17", "16"]);
    refused(count([2]).repeat_each(&[1], 0), |e| matches!(e, Error::Count { .. }), &["2", "1"]);
    refused(x.pad(&[(1, 1); 3], Pad::Edge), argument, &["3 pairs for 2 axes"]);
    refused(count([2, 0]).pad(&[(0, 0), (0, 1)], Pad::Wrap), |e| matches!(e, Error::Empty { .. }), &["[2, 0]"]);
    refused(x.split(2, 1), argument, &["length 3", "array_split"]);
    refused(x.array_split(0, 1), argument, &["0"]);
    refused(x.array_split(usize::MAX, 1).map(|_| ()), |e| matches!(e, Error::OutOfMemory { .. }), &[]);
    refused(x.moveaxis([0, 1], 0), argument, &["2 axes", "1 positions"]);
    refused(x.moveaxis([0, 0], [0, 1]), |e| matches!(e, Error::RepeatedAxis { .. }), &["moveaxis"]);
    refused(x.swapaxes(0, 2), |e| matches!(e, Error::Axis { .. }), &["swapaxes"]);
    refused(x.rot90(1, [1, 1]), |e| matches!(e, Error::RepeatedAxis { .. }), &["rot90"]);
    refused(x.windows([3, 1]), argument, &["3", "length 2"]);
    refused(x.windows([0, 1]), argument, &["0"]);
    refused(x.windows([1]), |e| matches!(e, Error::IndexCount { .. }), &["2 axes"]);
    refused(count([1; 9]).windows([1; 9]), shapes, &["18", "16"]);
    refused(x.blocks([1, 0]).map(|_| ()), argument, &["at least one"]);
    refused(x.blocks([1]).map(|_| ()), |e| matches!(e, Error::IndexCount { .. }), &["2 axes"]);
    refused(count([1, 1, 1]).diag(0), shapes, &["diag"]);
    refused(count([3]).tril(0), shapes, &["tril", "two axes"]);
    refused(Array::meshgrid(&[&x], Indexing::Ij), shapes, &["meshgrid"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn repeated_and_tiled_arrays_agree_with_a_model(
        shape in prop::collection::vec(0usize..4, 0..4),
        repeats in prop::collection::vec(0usize..4, 0..5),
        transposed in any::<bool>(),
    ) {
        on_every_device(|_| {
            let x = count(&shape[..]);
            let x = if transposed { x.t() } else { x };
            let ndim = x.ndim().max(repeats.len());
            let lead = |n: &[usize]| [&vec![1; ndim - n.len()][..], n].concat();
            let (lens, times) = (lead(x.shape()), lead(&repeats));
            let tiled: Vec<usize> = lens.iter().zip(&times).map(|(n, r)| n * r).collect();
            let skip = ndim - x.ndim();
            let want = made(&tiled, |ix| {
                let ix: Vec<usize> = ix.iter().zip(&lens).map(|(i, n)| i % n).skip(skip).collect();
                x.get(&ix).unwrap()
            });
            same(&x.tile(&repeats)?, &want);
            for axis in 0..x.ndim() {
                let n = repeats.first().copied().unwrap_or(2);
                let mut longer = x.shape().to_vec();
                longer[axis] *= n;
                let want = made(&longer, |ix| {
                    let mut ix = ix.to_vec();
                    ix[axis] /= n;
                    x.get(&ix).unwrap()
                });
                same(&x.repeat(n, axis as isize)?, &want);
                same(&x.repeat_each(&vec![n; x.shape()[axis]], axis as isize)?, &want);
            }
            Ok(())
        });
    }

    #[test]
    fn padding_agrees_with_a_model(
        shape in prop::collection::vec(1usize..5, 1..4),
        widths in prop::collection::vec((0usize..9, 0usize..9), 3),
        mode in 0usize..5,
        transposed in any::<bool>(),
    ) {
        let mode = [Pad::Constant(-1.0), Pad::Edge, Pad::Reflect, Pad::Symmetric, Pad::Wrap][mode];
        on_every_device(|_| {
            let x = count(&shape[..]);
            let x = if transposed { x.t() } else { x };
            let widths = &widths[..x.ndim()];
            check_pad(&x, widths, mode)
        });
    }

    #[test]
    fn rolled_arrays_agree_with_a_model(
        shape in prop::collection::vec(0usize..5, 1..4),
        shift in prop_oneof![-12isize..12, Just(isize::MIN), Just(isize::MAX)],
        axis in 0usize..3,
    ) {
        let axis = axis % shape.len();
        on_every_device(|_| {
            for x in [count(&shape[..]), count(&shape.iter().rev().copied().collect::<Vec<_>>()[..]).t()] {
                let n = shape[axis] as i128;
                let want = made(&shape, |ix| {
                    let mut ix = ix.to_vec();
                    ix[axis] = (ix[axis] as i128 - shift as i128).rem_euclid(n) as usize;
                    x.get(&ix).unwrap()
                });
                same(&x.roll(shift, axis as isize)?, &want);
            }
            Ok(())
        });
    }
}

/// Compares a padded array with a model that finds the source of each element.
fn check_pad(x: &Array<f32>, widths: &[(usize, usize)], mode: Pad<f32>) -> Result<()> {
    let shape: Vec<usize> = x.shape().iter().zip(widths).map(|(n, (b, a))| n + b + a).collect();
    let source = |i: usize, before: usize, n: usize| {
        let (i, n) = (i as isize - before as isize, n as isize);
        let at = match mode {
            Pad::Constant(_) => i,
            Pad::Edge => i.clamp(0, n - 1),
            Pad::Wrap => i.rem_euclid(n),
            Pad::Symmetric => {
                let i = i.rem_euclid(2 * n);
                if i < n { i } else { 2 * n - 1 - i }
            }
            Pad::Reflect if n == 1 => 0,
            Pad::Reflect => {
                let i = i.rem_euclid(2 * n - 2);
                if i < n { i } else { 2 * n - 2 - i }
            }
        };
        usize::try_from(at).ok().filter(|&at| at < n as usize)
    };
    let want = made(&shape, |ix| {
        let at: Option<Vec<usize>> = (0..ix.len()).map(|a| source(ix[a], widths[a].0, x.shape()[a])).collect();
        at.map_or(-1.0, |at| x.get(at).unwrap())
    });
    same(&x.pad(widths, mode)?, &want);
    Ok(())
}

#[test]
fn padding_that_is_much_longer_than_the_array() {
    on_every_device(|_| {
        for mode in [Pad::Edge, Pad::Reflect, Pad::Symmetric, Pad::Wrap] {
            for n in [1, 2, 3] {
                check_pad(&count([n, 2]), &[(100, 71), (1, 40)], mode)?;
            }
        }
        check_pad(&count([2, 3]), &[(1, 2), (1, 2)], Pad::Edge)?;
        same(&count([2, 3]).pad(&[(1, 2)], Pad::Edge)?, &count([2, 3]).pad(&[(1, 2); 2], Pad::Edge)?);
        same(&count([0, 2]).pad(&[(1, 0), (0, 0)], Pad::Constant(4.0))?, &Array::full([1, 2], 4.0)?);
        same(&count(()).pad(&[], Pad::Wrap)?, &count(()));
        // Beyond the fast path of small arrays.
        check_pad(&count([200, 150]), &[(3, 2), (1, 4)], Pad::Constant(-1.0))?;
        check_pad(&count([200, 150]).t(), &[(3, 2), (1, 4)], Pad::Reflect)
    });
}

#[test]
fn parts_are_views() {
    let x = count([6, 4]);
    let parts = x.split(3, 0).unwrap();
    assert_eq!(parts.len(), 3);
    same(&parts[1], &x.slice(s![2..4]).unwrap());
    assert!(parts[1].shares_memory(&x));
    let lengths = |parts: Vec<Array<f32>>| parts.iter().map(|p| p.shape()[1]).collect::<Vec<_>>();
    assert_eq!(lengths(x.array_split(3, 1).unwrap()), [2, 1, 1]);
    assert_eq!(lengths(x.array_split(6, -1).unwrap()), [1, 1, 1, 1, 0, 0]);
    assert_eq!(lengths(x.split_at(&[1, 1, -1, 9, 2], 1).unwrap()), [1, 0, 2, 1, 0, 2]);
    let whole = Array::concatenate(&x.array_split(5, 0).unwrap().iter().collect::<Vec<_>>(), 0).unwrap();
    same(&whole, &x);
    let columns = x.unstack(1).unwrap();
    assert_eq!((columns.len(), columns[3].shape()), (4, &[6][..]));
    same(&Array::stack(&columns.iter().collect::<Vec<_>>(), 1).unwrap(), &x);
    assert_eq!(count([0, 3]).unstack(0).unwrap().len(), 0);
    assert_eq!(count([0, 3]).split(2, 0).unwrap().len(), 2);
}

#[test]
fn axes_move_and_turn() {
    let x = count([2, 3, 4]);
    assert!(x.flip(0).unwrap().shares_memory(&x));
    same(&x.flip([0, 2]).unwrap(), &made(&[2, 3, 4], |ix| x.get([1 - ix[0], ix[1], 3 - ix[2]]).unwrap()));
    assert_eq!(count([0, 2]).flip([0, 1]).unwrap().shape(), [0, 2]);
    assert_eq!(x.moveaxis(-1, 0).unwrap().shape(), [4, 2, 3]);
    same(&x.moveaxis([0, 2], [2, 0]).unwrap(), &x.t());
    same(&x.moveaxis(Axes::from(&[0usize; 0][..]), Axes::from(&[0usize; 0][..])).unwrap(), &x);
    same(&x.swapaxes(0, -1).unwrap(), &x.t());
    let plane = count([2, 3]);
    same(&plane.rot90(1, [0, 1]).unwrap(), &Array::from_vec(vec![2., 5., 1., 4., 0., 3.], [3, 2]).unwrap());
    for turns in -5isize..6 {
        let mut want = plane.clone();
        (0..turns.rem_euclid(4)).for_each(|_| want = want.rot90(1, [0, 1]).unwrap());
        same(&plane.rot90(turns, [0, 1]).unwrap(), &want);
        same(&plane.rot90(-turns, [1, 0]).unwrap(), &want);
    }
}

#[test]
fn windows_overlap_and_cannot_be_written() {
    on_every_device(|_| {
        for x in [count([5, 4]), count([4, 5]).t(), count([5, 8]).slice(s![..;-1, ..;2])?] {
            let windows = x.windows([2, 3])?;
            let want = made(&[4, 2, 2, 3], |ix| x.get([ix[0] + ix[2], ix[1] + ix[3]]).unwrap());
            same(&windows, &want);
            same(&windows.mul(2.0).eval()?, &want.mul(2.0).eval()?);
            assert_eq!(windows.sum_axis([2, 3])?.to_vec()?, want.sum_axis([2, 3])?.to_vec()?);
            assert_eq!(x.windows([5, 4])?.shape(), [1, 1, 5, 4]);
        }
        let mut windows = count([6]).windows_along(3, 0)?;
        assert_eq!(windows.shape(), [4, 3]);
        assert!(windows.is_unique());
        for result in [windows.set([0, 1], 9.0), windows.view_mut().map(|_| ()), windows.put(&row(), 1.0, 0)] {
            assert!(matches!(result, Err(Error::NotWritable { .. })), "{result:?}");
        }
        // A new array of the elements can be written.
        let mut copy = windows.into_expr().eval()?.flatten()?;
        copy.set([1], 9.0)?;
        assert_eq!(copy.to_vec()?[..4], [0.0, 9.0, 2.0, 1.0]);
        let mut apart = count([6]).windows_along(2, 0)?.slice(s![..;2])?;
        apart.set([1, 0], 9.0)?;
        assert_eq!(apart.to_vec()?, [0.0, 1.0, 9.0, 3.0, 4.0, 5.0]);
        Ok(())
    });
}

fn row() -> Array<i64> {
    Array::from_vec(vec![0], [1]).unwrap()
}

#[test]
fn blocks_cover_the_array_once() {
    let x = count([5, 7]);
    for block in [[2, 3], [5, 7], [1, 1], [9, 2]] {
        let blocks = x.blocks(block).unwrap();
        assert_eq!(blocks.len(), 5usize.div_ceil(block[0]) * 7usize.div_ceil(block[1]));
        let (mut sum, mut elements, mut last) = (0.0, 0, 0.0);
        for part in blocks {
            assert!(part.shares_memory(&x) && part.shape()[0] <= block[0] && part.shape()[1] <= block[1]);
            (sum, elements, last) = (sum + part.sum().unwrap(), elements + part.len(), part.get([-1, -1]).unwrap());
        }
        assert_eq!((sum, elements, last), (x.sum().unwrap(), 35, 34.0));
    }
    assert_eq!(count([0, 3]).blocks([2, 2]).unwrap().count(), 0);
    assert_eq!(count(()).blocks(()).unwrap().map(|b| b.item().unwrap()).collect::<Vec<_>>(), [0.0]);
}

#[test]
fn the_same_bytes_as_another_dtype() {
    let x = Array::from_vec(vec![1.0f32, -2.0, f32::NAN, 0.0], [2, 2]).unwrap();
    let bits = x.view_as::<u32>().unwrap();
    assert!(bits.shares_memory(&x));
    assert_eq!(bits.to_vec().unwrap(), x.to_vec().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    assert_eq!(x.t().view_as::<i32>().unwrap().strides(), [1, 2]);
    assert_eq!(x.view_as::<u16>().unwrap().shape(), [2, 4]);
    assert_eq!(x.view_as::<u64>().unwrap().shape(), [2, 1]);
    let reversed = x.slice(s![..;-1]).unwrap().view_as::<u8>().unwrap();
    assert_eq!((reversed.shape(), reversed.strides()), (&[2, 8][..], &[-8, 1][..]));
    assert_eq!(reversed.get([1, 3]).unwrap(), 0x3f);
    let complex = Array::from_vec(vec![Complex::new(1.0f64, 2.0)], [1]).unwrap();
    assert_eq!(complex.view_as::<f64>().unwrap().to_vec().unwrap(), [1.0, 2.0]);
    let parts = Array::from_vec(vec![1.0f64, 2.0, 3.0, 4.0], [4]).unwrap();
    assert_eq!(parts.view_as::<Complex<f64>>().unwrap().to_vec().unwrap()[1], Complex::new(3.0, 4.0));
    let bools = Array::from_vec(vec![true, false], [2]).unwrap();
    assert_eq!(bools.view_as::<u8>().unwrap().to_vec().unwrap(), [1, 0]);
    assert_eq!(bools.view_as::<bool>().unwrap().to_vec().unwrap(), [true, false]);
    // Writing copies the bytes first.
    let mut bytes = bools.view_as::<u8>().unwrap();
    bytes.set([1], 7).unwrap();
    assert_eq!((bytes.to_vec().unwrap(), bools.to_vec().unwrap()), (vec![1, 7], vec![true, false]));
    refused(bytes.view_as::<bool>(), |e| matches!(e, Error::DTypeUndefined { .. }), &["view_as", "u8", "bool"]);
    refused(x.t().view_as::<u8>(), argument, &["not adjacent"]);
    refused(x.slice(s![.., 1..]).unwrap().view_as::<u64>(), argument, &["4 bytes"]);
    refused(count(()).view_as::<u8>(), argument, &["without axes"]);
    assert_eq!(count(()).view_as::<u32>().unwrap().item().unwrap(), 0);
    let odd = Array::from_vec((0..9u8).collect(), [9]).unwrap();
    refused(odd.view_as::<u16>(), argument, &["9 bytes", "2"]);
    refused(odd.slice(s![1..]).unwrap().view_as::<u16>(), argument, &[]);
    assert_eq!(count([0]).view_as::<u8>().unwrap().shape(), [0]);
    assert_eq!(count([3, 0]).view_as::<f64>().unwrap().shape(), [3, 0]);
}

#[test]
fn grids_diagonals_and_triangles() {
    on_every_device(|_| {
        let (x, y, z) = (count([3]), count([2]), count([4]));
        let grid = Array::meshgrid(&[&x, &y, &z], Indexing::Ij)?;
        for (i, g) in grid.iter().enumerate() {
            same(g, &made(&[3, 2, 4], |ix| ix[i] as f32));
        }
        let grid = Array::meshgrid(&[&x, &y, &z], Indexing::Xy)?;
        for (i, axis) in [(0, 1), (1, 0), (2, 2)] {
            same(&grid[i], &made(&[2, 3, 4], |ix| ix[axis] as f32));
        }
        assert_eq!(Array::meshgrid(&[&count(())], Indexing::Xy)?[0].shape(), [1]);
        assert!(Array::<f32>::meshgrid(&[], Indexing::Xy)?.is_empty());
        let both = Array::broadcast_arrays(&[&count([3, 1]), &count([4])])?;
        assert!(both.iter().all(|b| b.shape() == [3, 4]));
        assert!(Array::broadcast_arrays(&[&count([3]), &count([4])]).is_err());
        for k in [-3isize, -1, 0, 2, 5, isize::MAX, isize::MIN] {
            let m = count([2, 3, 4]);
            let m = m.add(1.0).eval()?;
            for m in [m.clone(), m.permute(&[0, 2, 1])?] {
                let inside = |ix: &[usize], lower: bool| {
                    let over = ix[2] as i128 - ix[1] as i128;
                    if lower { over <= k as i128 } else { over >= k as i128 }
                };
                let shape = m.shape();
                same(&m.tril(k)?, &made(shape, |ix| if inside(ix, true) { m.get(ix).unwrap() } else { 0.0 }));
                same(&m.triu(k)?, &made(shape, |ix| if inside(ix, false) { m.get(ix).unwrap() } else { 0.0 }));
            }
            if k.unsigned_abs() < 9 {
                let wide = x.diag(k)?;
                let n = 3 + k.unsigned_abs();
                let on = |ix: &[usize]| ix[1] as isize - ix[0] as isize == k;
                let at = |ix: &[usize]| ix[0].min(ix[1]) as f32;
                same(&wide, &made(&[n, n], |ix| if on(ix) { at(ix) } else { 0.0 }));
                same(&wide.diag(k)?, &x);
            } else {
                assert!(matches!(x.diag(k), Err(Error::TooLarge { .. })));
            }
        }
        Ok(())
    });
}
