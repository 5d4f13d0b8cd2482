//! Matrix products on every device: into new and existing outputs, with epilogues, and with wider results.

use crate::common::on_every_device;
use polyarray::prelude::*;
use polyarray::{Complex, bf16, f16};

fn counting<T: Element>(m: usize, n: usize, make: impl Fn(i32) -> T) -> Array<T> {
    Array::from_vec((0..m * n).map(|i| make((i * 7 % 11) as i32 - 5)).collect(), [m, n])
        .expect("the vector has as many elements as the shape")
}

fn all_outputs<T: Element>(make: impl Fn(i32) -> T + Copy) {
    on_every_device(|device| {
        for (m, k, n) in [(3, 4, 5), (37, 50, 41), (120, 130, 110)] {
            let (a, b) = (counting(m, k, make), counting(k, n, make));
            let Ok(product) = with_device(&Device::scalar(), || a.matmul(&b)) else { continue };
            match a.matmul(&b) {
                Err(Error::Refused { .. }) => continue,
                done => assert_eq!(done?.to_vec()?, product.to_vec()?, "{m}x{k}x{n} on {}", device.name()),
            }
            let mut out = Array::full([m, n], make(3))?;
            Matmul::new(&a, &b).run_into(&mut out.view_mut()?)?;
            assert_eq!(out.to_vec()?, product.to_vec()?);
            Matmul::new(&a, &b).add_into(&mut out.view_mut()?)?;
            let twice = with_device(&Device::scalar(), || (&product + &product).eval())?;
            assert_eq!(out.to_vec()?, twice.to_vec()?, "added, {m}x{k}x{n} on {}", device.name());
            // Into an output with gaps between its rows.
            let mut wide = Array::full([m + 2, n + 3], make(1))?;
            Matmul::new(&a, &b).run_into(&mut wide.slice_mut(s![1..m + 1, 2..n + 2])?)?;
            assert_eq!(wide.slice(s![1..m + 1, 2..n + 2])?.to_vec()?, product.to_vec()?);
            assert_eq!(wide.get([0, 0])?, make(1));
            Matmul::new(&a, &b).add_into(&mut wide.slice_mut(s![1..m + 1, 2..n + 2])?)?;
            assert_eq!(wide.slice(s![1..m + 1, 2..n + 2])?.to_vec()?, twice.to_vec()?);
            // With an epilogue before the addition.
            Matmul::new(&a, &b).map(|e| e * T::from_wide(polyarray::Wide::Int(2))).add_into(&mut out.view_mut()?)?;
            let four = with_device(&Device::scalar(), || (&twice + &twice).eval())?;
            assert_eq!(out.to_vec()?, four.to_vec()?);
        }
        Ok(())
    });
}

#[test]
fn outputs_are_written_and_added_to() {
    all_outputs(|i| i as f32);
    all_outputs(f64::from);
    all_outputs(|i| i);
    all_outputs(|i| i as i8);
    all_outputs(|i| i as u64);
    all_outputs(|i| Complex::new(f64::from(i), 1.0));
    all_outputs(|i| f16::from_f32((i % 2) as f32));
    all_outputs(|i| bf16::from_f32((i % 2) as f32));
}

#[test]
fn an_output_of_another_shape_is_an_error() {
    on_every_device(|_| {
        let (a, b) = (Array::<f32>::ones([2, 3])?, Array::<f32>::ones([3, 4])?);
        let mut out = Array::<f32>::zeros([4, 2])?;
        for error in
            [Matmul::new(&a, &b).run_into(&mut out.view_mut()?), Matmul::new(&a, &b).add_into(&mut out.view_mut()?)]
        {
            let message = error.unwrap_err().to_string();
            assert!(message.contains("the product has shape [2, 4], but the output has shape [4, 2]"), "{message}");
        }
        let (a, b) = (Array::<f32>::ones([0, 3])?, Array::<f32>::ones([3, 4])?);
        assert!(Matmul::new(&a, &b).run_into(&mut out.view_mut()?).is_err());
        Ok(())
    });
}

#[test]
fn nothing_added_up_is_zero() {
    on_every_device(|_| {
        let (a, b) = (Array::<f64>::ones([2, 0])?, Array::<f64>::ones([0, 3])?);
        let mut out = Array::<f64>::full([2, 3], 7.0)?;
        Matmul::new(&a, &b).add_into(&mut out.view_mut()?)?;
        assert_eq!(out.to_vec()?, [7.0; 6]);
        Matmul::new(&a, &b).run_into(&mut out.view_mut()?)?;
        assert_eq!(out.to_vec()?, [0.0; 6]);
        Ok(())
    });
}

#[test]
fn narrow_numbers_are_given_as_what_they_are_added_up_in() {
    on_every_device(|device| {
        for (m, k, n) in [(3, 4, 5), (70, 200, 90)] {
            let (a, b) = (counting(m, k, |i| (i * 25) as i8), counting(k, n, |i| (i * 25) as i8));
            let wide = |x: &Array<i8>| x.cast::<i32>().eval();
            let product = match Matmul::wide(&a, &b).run() {
                Err(Error::Refused { .. }) => continue,
                product => product?,
            };
            let exact = with_device(&Device::scalar(), || wide(&a)?.matmul(&wide(&b)?))?;
            assert_eq!(product.to_vec()?, exact.to_vec()?, "{m}x{k}x{n} on {}", device.name());
            // The product in i8 is the exact one, wrapped to eight bits.
            assert_eq!(a.matmul(&b)?.to_vec()?, exact.cast::<i8>().eval()?.to_vec()?);
            let mut out = Array::full([m, n], 1000i32)?;
            Matmul::wide(&a, &b).add_into(&mut out.view_mut()?)?;
            assert_eq!(out.to_vec()?, (&exact + 1000).eval()?.to_vec()?);
            let relu = Matmul::wide(&a, &b).bias(&Array::full([n], 50i32)?).map(|e| e.maximum(0)).run()?;
            assert_eq!(relu.to_vec()?, (&exact + 50).maximum(0).eval()?.to_vec()?);
        }
        Ok(())
    });
    // Products of f16 give f32 results with the precision of f32; other dtypes give results of their own dtype.
    let (a, b) = (
        Array::full([2, 1000], f16::from_f32(1.0 / 3.0)).unwrap(),
        Array::full([1000, 2], f16::from_f32(3.0)).unwrap(),
    );
    let third = f16::from_f32(1.0 / 3.0).to_f32();
    assert!(
        Matmul::wide(&a, &b).run().unwrap().to_vec().unwrap().iter().all(|x: &f32| (x - 3000.0 * third).abs() < 1e-3)
    );
    let c: Array<f64> = Matmul::wide(&Array::<f64>::eye(2).unwrap(), &Array::<f64>::eye(2).unwrap()).run().unwrap();
    assert_eq!(c.to_vec().unwrap(), [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn speed_may_cost_precision_within_the_bound() {
    on_every_device(|device| {
        for (m, k, n) in [(7, 30, 5), (80, 700, 90)] {
            let value = |i: usize| ((i * 7919 + 13) % 10_007) as f64 / 5000.0 - 1.0;
            let (a, b) = (
                Array::from_fn([m, k], |ix| value(ix[0] * k + ix[1]) as f32)?,
                Array::from_fn([k, n], |ix| value(ix[1] * k + ix[0]) as f32)?,
            );
            let product = match Matmul::new(&a, &b).precision(Precision::Fast).run() {
                Err(Error::Refused { .. }) => continue,
                product => product?.cast::<f64>().eval()?,
            };
            let (exact, size) = with_device(&Device::scalar(), || {
                let (a, b) = (a.cast::<f64>().eval()?, b.cast::<f64>().eval()?);
                Ok::<_, Error>((a.matmul(&b)?, a.abs().eval()?.matmul(&b.abs().eval()?)?))
            })?;
            let off = ((&product - &exact).abs() / &size).eval()?.max()?;
            assert!(off <= 2f64.powi(-15), "{off:e} on {}", device.name());
        }
        Ok(())
    });
}

#[test]
fn large_products_of_integers_are_exact() {
    // Large enough for every product algorithm; all sums stay below 2^24.
    let (m, k, n) = (530, 600, 515);
    let [a, b] =
        [(m, k), (k, n)].map(|(r, c)| (0..r * c).map(|i| ((i * 31 + i / 7) % 23) as i64 - 11).collect::<Vec<_>>());
    let mut exact = vec![0i64; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                exact[i * n + j] += a[i * k + p] * b[p * n + j];
            }
        }
    }
    fn check<T: Element, U: Element>(
        product: impl Fn(&Array<T>, &Array<T>) -> Result<Array<U>>,
        a: &[i64],
        b: &[i64],
        [m, n, k]: [usize; 3],
        exact: &[i64],
    ) {
        let array = |x: &[i64], shape| {
            Array::from_vec(x.iter().map(|&x| T::from_wide(polyarray::Wide::Int(x.into()))).collect(), shape).unwrap()
        };
        let (a, b) = (array(a, [m, k]), array(b, [k, n]));
        let got = product(&a, &b).unwrap().to_vec().unwrap();
        assert!(
            got.iter().zip(exact).all(|(x, &y)| *x == U::from_wide(polyarray::Wide::Int(y.into()))),
            "{} on {}",
            T::DTYPE,
            Device::current().unwrap()
        );
    }
    let shape = [m, n, k];
    // Under `auto`, one device would hide the others.
    on_every_device(|device| {
        check::<f32, f32>(|a, b| a.matmul(b), &a, &b, shape, &exact);
        if device.memory() != polyarray::MemoryId::HOST {
            return Ok(());
        }
        check::<f64, f64>(|a, b| a.matmul(b), &a, &b, shape, &exact);
        check::<Complex<f32>, Complex<f32>>(|a, b| a.matmul(b), &a, &b, shape, &exact);
        if device.name() != "blas" {
            check::<i8, i32>(|a, b| Matmul::wide(a, b).run(), &a, &b, shape, &exact);
            check::<bf16, f32>(|a, b| Matmul::wide(a, b).run(), &a, &b, shape, &exact);
            check::<f16, f32>(|a, b| Matmul::wide(a, b).run(), &a, &b, shape, &exact);
        }
        Ok(())
    });
}

#[test]
fn what_follows_a_large_product_finds_its_place() {
    // More than one block of rows, of columns, and of the scratch in a wider dtype. The numbers are small integers, so
    // that all results are exact.
    fn check<T: Element>([m, k, n]: [usize; 3], make: impl Fn(i32) -> T + Copy) -> Result<()> {
        let (a, b) = (counting(m, k, make), counting(k, n, make));
        let bias = Array::from_vec((0..m * n).map(|i| make((i % 13) as i32)).collect(), [m, n])?;
        let zero = make(0);
        let (product, finished) = with_device(&Device::scalar(), || {
            let product = a.matmul(&b)?;
            Ok::<_, Error>((product.to_vec()?, (&product + &bias).maximum(zero).eval()?.to_vec()?))
        })?;
        on_every_device(|device| {
            let run = |bias: &Array<T>| Matmul::new(&a, &b).bias(bias).map(move |e| e.maximum(zero)).run();
            match run(&bias) {
                Err(Error::Refused { .. }) => return Ok(()),
                got => assert!(got?.to_vec()? == finished, "{} on {}", T::DTYPE, device.name()),
            }
            // A bias in column-major order.
            let transposed = bias.t().to_contiguous()?;
            assert!(run(&transposed.t())?.to_vec()? == finished, "{} on {}, in columns", T::DTYPE, device.name());
            let mut out = Array::full([m, n], zero)?;
            match Matmul::new(&a, &b).add_into(&mut out.view_mut()?) {
                Err(Error::Refused { .. }) => Ok(()),
                done => {
                    done?;
                    assert!(out.to_vec()? == product, "{} on {}, added", T::DTYPE, device.name());
                    Ok(())
                }
            }
        });
        Ok(())
    }
    check([1100, 3, 1000], |i| i as f32).unwrap();
    check([1100, 3, 1000], |i| i as i8).unwrap();
    check([70, 5, 5000], |i| i as i8).unwrap();
    check([300, 3, 4100], |i| bf16::from_f32(i as f32)).unwrap();
    // A vector as either operand.
    check([3000, 40, 1], |i| i as f32).unwrap();
    check([1, 40, 3000], f64::from).unwrap();
}
