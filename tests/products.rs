//! Products of matrices into what is there, on every device.

mod common;

use common::on_every_device;
use polyarray::prelude::*;
use polyarray::{Complex, bf16, f16};

fn counting<T: Element>(m: usize, n: usize, make: impl Fn(i32) -> T) -> Array<T> {
    Array::from_vec((0..m * n).map(|i| make((i * 7 % 11) as i32 - 5)).collect(), [m, n]).expect("as many as the shape holds")
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
            // With gaps between rows, and transposed.
            let mut wide = Array::full([m + 2, n + 3], make(1))?;
            Matmul::new(&a, &b).run_into(&mut wide.slice_mut(s![1..m + 1, 2..n + 2])?)?;
            assert_eq!(wide.slice(s![1..m + 1, 2..n + 2])?.to_vec()?, product.to_vec()?);
            assert_eq!(wide.get([0, 0])?, make(1));
            Matmul::new(&a, &b).add_into(&mut wide.slice_mut(s![1..m + 1, 2..n + 2])?)?;
            assert_eq!(wide.slice(s![1..m + 1, 2..n + 2])?.to_vec()?, twice.to_vec()?);
            // With something to do in between.
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
        for error in [Matmul::new(&a, &b).run_into(&mut out.view_mut()?), Matmul::new(&a, &b).add_into(&mut out.view_mut()?)] {
            let message = error.unwrap_err().to_string();
            assert!(message.contains("the product's shape is [2, 4], the output's [4, 2]"), "{message}");
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
