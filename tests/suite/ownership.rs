//! Views, clones, donation and copy on write: every array keeps its elements while others are sliced, dropped, donated
//! or moved to a device.

use crate::common::{count, on_every_device, required_devices};
use polyarray::prelude::*;
use proptest::prelude::*;

/// The length of an array large enough for several threads.
const LARGE: usize = 2_000_000;

/// Donates a slice that outlives its parent: the slice's buffer becomes the output, although the slice need not begin
/// at the start of the buffer.
#[test]
fn slices_that_are_given_away() {
    on_every_device(|device| {
        for n in [8, 1000, LARGE] {
            for start in [0, 3, n / 5, n / 3] {
                let make = || -> Result<Array<f32>> {
                    let x = count([n]).to_device(device)?;
                    x.slice(s![start..])
                };
                let expected: Vec<f32> = (start..n).map(|i| i as f32 * 2.0 + 1.0).collect();
                let y = (make()? * 2.0 + 1.0).eval()?;
                assert!(y.to_vec()? == expected, "{device}: a program, {n} from {start}");
                let y = (make()? + 1.0).eval()?;
                assert!(
                    y.to_vec()? == (start..n).map(|i| i as f32 + 1.0).collect::<Vec<_>>(),
                    "{device}: one ufunc, {n} from {start}"
                );
                let y = (make()?.into_expr()).eval()?;
                assert!(
                    y.to_vec()? == (start..n).map(|i| i as f32).collect::<Vec<_>>(),
                    "{device}: no ufunc, {n} from {start}"
                );
                let (x, other) = (make()?, make()?);
                let y = (x * other).eval()?;
                assert!(
                    y.to_vec()? == (start..n).map(|i| i as f32 * i as f32).collect::<Vec<_>>(),
                    "{device}: two donated operands, {n} from {start}"
                );
                let (kept, given) = (make()?, make()?);
                let y = (&kept - given.abs()).eval()?;
                assert!(y.to_vec()?.iter().all(|&d| d == 0.0), "{device}");
                assert!(
                    kept.to_vec()? == (start..n).map(|i| i as f32).collect::<Vec<_>>(),
                    "{device}: the borrowed operand is unchanged"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn columns_reversed_and_transposed_views_that_are_given_away() {
    on_every_device(|device| {
        let n = 1200;
        let make = || count([n, n]).to_device(device);
        let expected = |f: &dyn Fn(usize, usize) -> f32| (0..n * n).map(|at| f(at / n, at % n)).collect::<Vec<f32>>();
        let value = |i: usize, j: usize| (i * n + j) as f32;
        assert!((make()?.t() + 1.0).eval()?.to_vec()? == expected(&|i, j| value(j, i) + 1.0), "{device}: transposed");
        let reversed = make()?.slice(s![..;-1, ..;-1])?;
        assert!(
            (reversed + 1.0).eval()?.to_vec()? == expected(&|i, j| value(n - 1 - i, n - 1 - j) + 1.0),
            "{device}: reversed"
        );
        let rows = make()?.slice(s![n / 2..])?;
        assert!(
            (rows + 1.0).eval()?.to_vec()? == expected(&|i, j| value(i, j) + 1.0)[n * n / 2..],
            "{device}: the lower half"
        );
        let columns = make()?.slice(s![.., 1..])?;
        let y = (columns + 1.0).eval()?;
        assert!(
            y.to_vec()?
                == expected(&|i, j| value(i, j) + 1.0).chunks(n).flat_map(|row| &row[1..]).copied().collect::<Vec<_>>(),
            "{device}: columns"
        );
        let wide = make()?.slice(s![0..1])?.broadcast_to([n, n])?;
        assert!((wide + 1.0).eval()?.to_vec()? == expected(&|_, j| value(0, j) + 1.0), "{device}: a row, broadcast");
        Ok(())
    });
}

/// An action on the arrays of the pool. The numbers select arrays, axes and bounds, modulo the available count.
#[derive(Clone, Debug)]
enum Action {
    New {
        shape: Vec<usize>,
    },
    Clone {
        which: usize,
    },
    Drop {
        which: usize,
    },
    Slice {
        which: usize,
        axis: usize,
        from: usize,
        to: usize,
        step: isize,
    },
    Pick {
        which: usize,
        axis: usize,
        at: usize,
    },
    Transpose {
        which: usize,
    },
    Reshape {
        which: usize,
    },
    Broadcast {
        which: usize,
        times: usize,
    },
    /// `a * 2 + b`, each operand by value or by reference. An operand that is given by value leaves the pool.
    Combine {
        a: usize,
        b: usize,
        give_a: bool,
        give_b: bool,
    },
    /// A chain of additions and negations on one operand.
    Chain {
        which: usize,
        give: bool,
        steps: usize,
    },
    AddAssign {
        a: usize,
        b: usize,
    },
    Fill {
        which: usize,
        axis: usize,
        from: usize,
        to: usize,
    },
    Shift {
        which: usize,
    },
    Set {
        which: usize,
        at: usize,
    },
    Move {
        which: usize,
        device: usize,
    },
    Compact {
        which: usize,
    },
    Sum {
        which: usize,
        axis: usize,
    },
    Sort {
        which: usize,
        axis: usize,
    },
    Evaluate {
        which: usize,
    },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    use Action::*;
    let n = || 0usize..64;
    let one = prop_oneof![
        prop::collection::vec(1usize..5, 0..4).prop_map(|shape| New { shape }),
        n().prop_map(|which| Clone { which }),
        n().prop_map(|which| Drop { which }),
        (n(), n(), n(), n(), prop_oneof![Just(1isize), Just(-1), Just(2), Just(-3)])
            .prop_map(|(which, axis, from, to, step)| Slice { which, axis, from, to, step }),
        (n(), n(), n()).prop_map(|(which, axis, at)| Pick { which, axis, at }),
        n().prop_map(|which| Transpose { which }),
        n().prop_map(|which| Reshape { which }),
        (n(), 1usize..4).prop_map(|(which, times)| Broadcast { which, times }),
        (n(), n(), any::<bool>(), any::<bool>()).prop_map(|(a, b, give_a, give_b)| Combine { a, b, give_a, give_b }),
        (n(), any::<bool>(), 0usize..90).prop_map(|(which, give, steps)| Chain { which, give, steps }),
        (n(), n()).prop_map(|(a, b)| AddAssign { a, b }),
        (n(), n(), n(), n()).prop_map(|(which, axis, from, to)| Fill { which, axis, from, to }),
        n().prop_map(|which| Shift { which }),
        (n(), n()).prop_map(|(which, at)| Set { which, at }),
        (n(), n()).prop_map(|(which, device)| Move { which, device }),
        n().prop_map(|which| Compact { which }),
        (n(), n()).prop_map(|(which, axis)| Sum { which, axis }),
        (n(), n()).prop_map(|(which, axis)| Sort { which, axis }),
        n().prop_map(|which| Evaluate { which }),
    ];
    prop::collection::vec(one, 1..60)
}

/// The expected state of an array: its shape and its elements in C order. The elements stay small integers, so that
/// every device gives the same result.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Model {
    /// Builds a model of this `shape`. Its element at each index is the element of `self` at the index that `from`
    /// returns.
    fn gather(&self, shape: Vec<usize>, from: impl Fn(&[usize]) -> Vec<usize>) -> Model {
        let at = |n: usize| {
            let (mut index, mut rest) = (vec![0; shape.len()], n);
            for axis in (0..shape.len()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            let flat = from(&index).iter().zip(&self.shape).fold(0, |at, (i, n)| at * n + i);
            self.data[flat]
        };
        let data = (0..shape.iter().product()).map(at).collect();
        Model { shape, data }
    }

    fn map(&self, f: impl Fn(f32) -> f32) -> Model {
        Model { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    fn broadcast(&self, shape: &[usize]) -> Model {
        let extra = shape.len() - self.shape.len();
        let own = self.shape.clone();
        self.gather(shape.to_vec(), |ix| {
            own.iter().enumerate().map(|(a, &n)| if n == 1 { 0 } else { ix[a + extra] }).collect()
        })
    }
}

fn common_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let n = a.len().max(b.len());
    let at = |s: &[usize], i: usize| if i + s.len() < n { 1 } else { s[i + s.len() - n] };
    (0..n)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Keeps absolute values below 1024.
fn fold(x: f32) -> f32 {
    x % 1024.0
}

struct Pool(Vec<(Array<f32>, Model)>);

impl Pool {
    fn run(&mut self, action: Action, devices: &[Device], serial: f32) -> Result<()> {
        let all = &mut self.0;
        if let Action::New { shape } = action {
            let n = shape.iter().product::<usize>();
            let data: Vec<f32> = (0..n).map(|i| fold(serial * 16.0 + i as f32)).collect();
            all.push((Array::from_vec(data.clone(), &shape)?, Model { shape, data }));
            return Ok(());
        }
        if all.is_empty() {
            return Ok(());
        }
        let count = all.len();
        match action {
            Action::New { .. } => unreachable!("handled above"),
            Action::Clone { which } => {
                let copy = all[which % count].clone();
                all.push(copy);
            }
            Action::Drop { which } => drop(all.swap_remove(which % count)),
            Action::Slice { which, axis, from, to, step } => {
                let (x, m) = &all[which % count];
                if m.shape.is_empty() {
                    return Ok(());
                }
                let axis = axis % m.shape.len();
                let n = m.shape[axis];
                let (lo, hi) = ((from % (n + 1)).min(to % (n + 1)), (from % (n + 1)).max(to % (n + 1)));
                let items: Vec<polyarray::SliceItem> = (0..m.shape.len())
                    .map(|a| if a == axis { polyarray::SliceItem::from(lo..hi).step(step) } else { (..).into() })
                    .collect();
                let len = (hi - lo).div_ceil(step.unsigned_abs());
                let mut shape = m.shape.clone();
                shape[axis] = len;
                let pick = |i: usize| if step > 0 { lo + i * step as usize } else { hi - 1 - i * step.unsigned_abs() };
                let model = m.gather(shape, |ix| {
                    ix.iter().enumerate().map(|(a, &i)| if a == axis { pick(i) } else { i }).collect()
                });
                let view = x.slice(&items)?;
                all.push((view, model));
            }
            Action::Pick { which, axis, at } => {
                let (x, m) = &all[which % count];
                if m.shape.is_empty() || m.shape.contains(&0) {
                    return Ok(());
                }
                let axis = axis % m.shape.len();
                let at = at % m.shape[axis];
                let items: Vec<polyarray::SliceItem> =
                    (0..m.shape.len()).map(|a| if a == axis { at.into() } else { (..).into() }).collect();
                let shape = m.shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &n)| n).collect();
                let model = m.gather(shape, |ix| {
                    ix[..axis].iter().copied().chain([at]).chain(ix[axis..].iter().copied()).collect()
                });
                let view = x.slice(&items)?;
                all.push((view, model));
            }
            Action::Transpose { which } => {
                let (x, m) = &all[which % count];
                let model = m.gather(m.shape.iter().rev().copied().collect(), |ix| ix.iter().rev().copied().collect());
                let view = x.t();
                all.push((view, model));
            }
            Action::Reshape { which } => {
                let (x, m) = &all[which % count];
                let n = m.data.len();
                let shape = if n % 2 == 0 && n > 0 { vec![2, n / 2] } else { vec![n] };
                let view = x.reshape(&shape)?;
                let model = Model { shape, data: m.data.clone() };
                all.push((view, model));
            }
            Action::Broadcast { which, times } => {
                let (x, m) = &all[which % count];
                if m.shape.len() < 4 && m.data.len() < 100 {
                    let shape: Vec<usize> = std::iter::once(times).chain(m.shape.iter().copied()).collect();
                    let (view, model) = (x.broadcast_to(&shape)?, m.broadcast(&shape));
                    all.push((view, model));
                }
            }
            Action::Combine { a, b, give_a, give_b } => {
                let (a, b) = (a % count, b % count);
                let Some(shape) = common_shape(&all[a].1.shape, &all[b].1.shape) else { return Ok(()) };
                let (x, y) = (all[a].1.broadcast(&shape), all[b].1.broadcast(&shape));
                let data = x.data.iter().zip(&y.data).map(|(x, y)| fold(x * 2.0 + y)).collect();
                // Removes donated operands from the pool first, so that nothing in the pool holds their buffers except
                // other arrays that share them.
                let (left, right) = (all[a].0.clone(), all[b].0.clone());
                let mut gone: Vec<usize> =
                    [(a, give_a), (b, give_b)].iter().filter(|(_, give)| *give).map(|(i, _)| *i).collect();
                gone.sort_unstable();
                gone.dedup();
                gone.into_iter().rev().for_each(|i| drop(all.swap_remove(i)));
                let e = match (give_a, give_b) {
                    (true, true) => (left * 2.0 + right) % 1024.0,
                    (true, false) => (left * 2.0 + &right) % 1024.0,
                    (false, true) => (&left * 2.0 + right) % 1024.0,
                    (false, false) => (&left * 2.0 + &right) % 1024.0,
                };
                all.push((e.eval()?, Model { shape, data }));
            }
            Action::Chain { which, give, steps } => {
                let which = which % count;
                let model =
                    (0..steps).fold(all[which].1.clone(), |m, i| m.map(|x| if i % 2 == 0 { x + 1.0 } else { -x }));
                let x = if give { all.swap_remove(which).0 } else { all[which].0.clone() };
                let e = (0..steps).fold(x.into_expr(), |e, i| if i % 2 == 0 { e + 1.0 } else { -e });
                let y = (e % 1024.0).eval()?;
                all.push((y, model.map(fold)));
            }
            Action::AddAssign { a, b } => {
                let (a, b) = (a % count, b % count);
                let fits = common_shape(&all[a].1.shape, &all[b].1.shape).is_some_and(|s| s == all[a].1.shape);
                if !fits || common_is_broadcast(&all[a].0) {
                    return Ok(());
                }
                let (right, add) = (all[b].0.clone(), all[b].1.broadcast(&all[a].1.shape));
                let (x, m) = &mut all[a];
                *x += &right;
                m.data.iter_mut().zip(add.data).for_each(|(x, y)| *x += y);
                *x %= 1024.0;
                m.data.iter_mut().for_each(|x| *x = fold(*x));
            }
            Action::Fill { which, axis, from, to } => {
                let (x, m) = &mut all[which % count];
                if m.shape.is_empty() || common_is_broadcast(x) {
                    return Ok(());
                }
                let axis = axis % m.shape.len();
                let n = m.shape[axis];
                let (lo, hi) = ((from % (n + 1)).min(to % (n + 1)), (from % (n + 1)).max(to % (n + 1)));
                let items: Vec<polyarray::SliceItem> =
                    (0..m.shape.len()).map(|a| if a == axis { (lo..hi).into() } else { (..).into() }).collect();
                x.slice_mut(&items)?.fill(serial)?;
                let inner: usize = m.shape[axis + 1..].iter().product();
                m.data
                    .iter_mut()
                    .enumerate()
                    .filter(|(i, _)| (lo..hi).contains(&(i / inner.max(1) % n.max(1))))
                    .for_each(|(_, x)| *x = serial);
            }
            Action::Shift { which } => {
                let (x, m) = &mut all[which % count];
                if m.shape.first().is_none_or(|&n| n < 2) || common_is_broadcast(x) {
                    return Ok(());
                }
                // Writes an array from another view of the same array.
                let ahead = x.slice(s![1..])?;
                x.slice_mut(s![..-1])?.assign(&ahead)?;
                let row = m.data.len() / m.shape[0];
                m.data.copy_within(row.., 0);
            }
            Action::Set { which, at } => {
                let (x, m) = &mut all[which % count];
                if m.data.is_empty() || common_is_broadcast(x) {
                    return Ok(());
                }
                let at = at % m.data.len();
                let (mut index, mut rest) = (vec![0; m.shape.len()], at);
                for axis in (0..index.len()).rev() {
                    index[axis] = rest % m.shape[axis];
                    rest /= m.shape[axis];
                }
                assert_eq!(x.get(&index)?, m.data[at]);
                x.set(&index, serial)?;
                m.data[at] = serial;
            }
            Action::Move { which, device } => {
                let (x, _) = &mut all[which % count];
                *x = x.to_device(&devices[device % devices.len()])?;
            }
            Action::Compact { which } => all[which % count].0.compact()?,
            Action::Sum { which, axis } => {
                let (x, m) = &all[which % count];
                if m.shape.is_empty() {
                    assert_eq!(x.sum()?, m.data[0]);
                    return Ok(());
                }
                let axis = axis % m.shape.len();
                let shape: Vec<usize> =
                    m.shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &n)| n).collect();
                let mut total = vec![0.0; shape.iter().product()];
                let inner: usize = m.shape[axis + 1..].iter().product();
                m.data
                    .iter()
                    .enumerate()
                    .for_each(|(i, x)| total[i / (inner * m.shape[axis]) * inner + i % inner] += x);
                let sum = x.sum_axis(axis)?;
                all.push((sum, Model { shape, data: total }));
                let (x, m) = all.last_mut().expect("it was just pushed");
                *x %= 1024.0;
                m.data.iter_mut().for_each(|x| *x = fold(*x));
            }
            Action::Sort { which, axis } => {
                let (x, m) = &all[which % count];
                if m.shape.is_empty() {
                    return Ok(());
                }
                let axis = axis % m.shape.len();
                let inner: usize = m.shape[axis + 1..].iter().product();
                let n = m.shape[axis];
                let mut data = m.data.clone();
                for start in (0..data.len()).filter(|i| n > 0 && (i / inner).is_multiple_of(n)) {
                    let mut line: Vec<f32> = (0..n).map(|i| data[start + i * inner]).collect();
                    line.sort_by(f32::total_cmp);
                    line.into_iter().enumerate().for_each(|(i, x)| data[start + i * inner] = x);
                }
                let model = Model { shape: m.shape.clone(), data };
                let sorted = x.sort(axis as isize)?;
                all.push((sorted, model));
            }
            Action::Evaluate { which } => {
                let which = which % count;
                let (x, m) = all.swap_remove(which);
                all.push((x.into_expr().eval()?, m));
            }
        }
        all.truncate(12);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        for (x, m) in &self.0 {
            assert_eq!(x.shape(), m.shape);
            assert_eq!(x.to_vec()?, m.data, "{x:?}");
        }
        Ok(())
    }
}

fn common_is_broadcast(x: &Array<f32>) -> bool {
    x.layout().is_broadcast()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arrays_are_what_a_plain_model_says(actions in actions(), in_force in 0usize..8) {
        // `blas` supports only matrix products and distances, which no action computes.
        let devices: Vec<Device> =
            std::iter::once(Device::auto()).chain(required_devices()).filter(|d| d.name() != "blas").collect();
        // Under a named device, all arrays stay in host memory; under `auto`, they may lie on every device.
        let in_turn: Vec<&Device> = devices
            .iter()
            .filter(|d| **d == Device::auto() || d.memory() == Device::auto().memory())
            .collect();
        let current = in_turn[in_force % in_turn.len()].clone();
        let hosts: Vec<Device> = devices.iter().filter(|d| d.memory() == Device::auto().memory()).cloned().collect();
        let places = if current == Device::auto() { devices } else { hosts };
        let run = || -> Result<()> {
            let mut pool = Pool(Vec::new());
            for (serial, action) in actions.into_iter().enumerate() {
                let before = format!("{action:?}");
                match pool.run(action, &places, serial as f32) {
                    Ok(()) => {}
                    Err(e) => panic!("{before}: {e}"),
                }
                pool.check()?;
            }
            Ok(())
        };
        with_device(&current, run).expect("every action works");
    }
}
