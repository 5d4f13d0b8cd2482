//! Arrays larger than one binding: with small bindings, and one that exceeds the largest binding of software Vulkan.

use crate::common::{Random, gpu, put, small};
use polyarray_core::*;

#[test]
fn elementwise_work_in_pieces() {
    let Some(device) = small("gpu with bindings of 16 KiB for maps", 16 << 10) else { return };
    let n = 3 * 70 * 101;
    let data: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let x = put(&device, &data, [3, 70, 101]);
    let row = put(&device, &data[..101], [101]);
    let got = (&x * 2.0 + &row).eval().unwrap().to_vec().unwrap();
    assert!((0..n).all(|i| got[i] == data[i] * 2.0 + data[i % 101]));
    let host = Array::from_slice(&data, [3, 70, 101]).unwrap();
    for view in [
        |a: &Array<f32>| a.t(),
        |a: &Array<f32>| a.slice(s![..;-1, ..;-3, 1..]).unwrap(),
        |a: &Array<f32>| a.permute(&[1, 0, 2]).unwrap(),
    ] {
        let got = (-&view(&x)).eval().unwrap().to_contiguous().unwrap().to_vec().unwrap();
        assert_eq!(got, view(&host).to_vec().unwrap().iter().map(|x| -x).collect::<Vec<_>>());
    }
    let mut y = put(&device, &data, [n]);
    with_device(&device, || y += 1.0);
    assert!(y.to_vec().unwrap().iter().zip(&data).all(|(y, x)| *y == x + 1.0), "in place");
}

#[test]
fn reductions_in_pieces() {
    let Some(device) = small("gpu with bindings of 16 KiB for reductions", 16 << 10) else { return };
    let (a, b, c) = (5, 90, 130);
    let data: Vec<f32> = (0..a * b * c).map(|i| ((i * 7919) % 1000) as f32 - 500.0).collect();
    let x = put(&device, &data, [a, b, c]);
    // Whole numbers below 2^24: every order of additions gives the same sum.
    assert_eq!(x.sum().unwrap(), data.iter().sum::<f32>());
    assert_eq!(x.max().unwrap(), 499.0);
    let at = |i: usize, j: usize, k: usize| data[(i * b + j) * c + k];
    let first = x.sum_axis(0).unwrap().to_vec().unwrap();
    assert!((0..b * c).all(|o| first[o] == (0..a).map(|i| at(i, o / c, o % c)).sum::<f32>()));
    let middle = x.sum_axis(1).unwrap().to_vec().unwrap();
    assert!((0..a * c).all(|o| middle[o] == (0..b).map(|j| at(o / c, j, o % c)).sum::<f32>()));
    let last = x.t().min_axis(0).unwrap().to_vec().unwrap();
    assert!((0..a * b).all(|o| last[o] == (0..c).map(|k| at(o % a, o / a, k)).fold(f32::INFINITY, f32::min)));
    let outer = x.sum_axis([0, 2]).unwrap().to_vec().unwrap();
    assert!((0..b).all(|j| outer[j] == (0..a * c).map(|i| at(i / c, j, i % c)).sum::<f32>()));
}

#[test]
fn products_and_distances_in_pieces() {
    let Some(device) = small("gpu with bindings of 16 KiB for products", 16 << 10) else { return };
    let mut random = Random(13);
    for (m, k, n) in [(100, 90, 110), (9, 1500, 8), (1500, 8, 5), (2, 20_000, 3)] {
        let whole =
            |n: usize, random: &mut Random| random.floats(n, -3.0, 3.0).iter().map(|x| x.round()).collect::<Vec<f32>>();
        let (a, b) = (whole(m * k, &mut random), whole(k * n, &mut random));
        let (x, y) = (put(&device, &a, [m, k]), put(&device, &b, [k, n]));
        let expected: Vec<f32> =
            (0..m * n).map(|i| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum()).collect();
        let y_t = y.t().to_contiguous().unwrap().t();
        for y in [&y, &y_t] {
            assert!(x.matmul(y).unwrap().to_vec().unwrap() == expected, "[{m}, {k}, {n}]");
            // The epilogue cannot be applied to partial sums. Core runs it afterwards, as a separate operation.
            let after = Matmul::new(&x, y).map(|e| e * 2.0 + 1.0).on(&device).run().unwrap().to_vec().unwrap();
            assert!(after.iter().zip(&expected).all(|(a, e)| *a == e * 2.0 + 1.0), "[{m}, {k}, {n}] and more");
        }
    }
    let (n, m, d) = (150, 130, 40);
    let (a, b) = (random.floats(n * d, -1.0, 1.0), random.floats(m * d, -1.0, 1.0));
    let got = distance::cdist(&put(&device, &a, [n, d]), &put(&device, &b, [m, d]), Metric::SquaredEuclidean)
        .unwrap()
        .to_vec()
        .unwrap();
    for i in 0..n * m {
        let want: f64 = (0..d).map(|l| f64::from(a[i / m * d + l]) - f64::from(b[i % m * d + l])).map(|x| x * x).sum();
        assert!((f64::from(got[i]) - want).abs() <= 43.0 * f64::from(f32::EPSILON) * want);
    }
    let long = put(&device, &[1.0f32; 20_000], [2, 10_000]);
    let refused = with_device(&device, || distance::cdist(&long, &long, Metric::Euclidean)).unwrap_err().to_string();
    assert!(refused.contains("10000 coordinates") && refused.contains("binding"), "{refused}");
}

/// 128 MiB and 4 bytes: one element more than lavapipe binds at once, and 131,073 workgroups.
#[test]
fn one_element_more_than_a_binding() {
    let Some(device) = gpu() else { return };
    let n = (1 << 25) + 1;
    let mut data = vec![0.0f32; n];
    (data[0], data[n / 2], data[n - 1]) = (5.0, 7.0, 9.0);
    let x = Array::from_vec(data, [n]).unwrap().to_device(&device).unwrap();
    assert_eq!(x.sum().unwrap(), 21.0, "nothing is left out or counted twice");
    let y = (x + 1.0).eval().unwrap();
    assert_eq!(y.min().unwrap(), 1.0, "every element was written");
    assert_eq!(y.max().unwrap(), 10.0);
    for (at, want) in [(0, 6.0), (1, 1.0), (n / 2, 8.0), (n - 2, 1.0), (n - 1, 10.0)] {
        assert_eq!(y.get([at]).unwrap(), want, "element {at}");
    }
    assert_eq!(y.slice(s![(n as isize - 3)..]).unwrap().to_vec().unwrap(), [1.0, 1.0, 10.0]);
}
