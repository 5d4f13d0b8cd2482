//! Outputs so large that kernels write them past the caches: the values are the same as those of small outputs.

use polyarray::prelude::*;

/// A number of f32 elements that takes more than 8 MiB and is no multiple of any block length.
const N: usize = (9 << 18) + 37;

#[test]
fn streamed_results_are_right_wherever_they_begin_and_end() -> Result<()> {
    let x = Array::from_fn([N], |ix| ix[0] as f32)?;
    with_device(&Device::simd()?, || {
        for (offset, left_out) in [(0, 0), (1, 0), (0, 1), (3, 5), (15, 17), (17, 2)] {
            let mut out = Array::<f32>::full([N], -1.0)?;
            let range = offset..N - left_out;
            (x.slice(s![range.clone()])? + 0.5).eval_into(&mut out.slice_mut(s![range])?)?;
            let all = out.to_vec()?;
            let wrong = all
                .iter()
                .enumerate()
                .find(|&(i, &v)| v != if i < offset || i >= N - left_out { -1.0 } else { i as f32 + 0.5 });
            assert_eq!(wrong, None, "elements from {offset} on, without the last {left_out}");
        }
        Ok(())
    })
}

#[test]
fn streamed_transposes_are_right() -> Result<()> {
    let (m, n) = (1531, 1549);
    let x = Array::from_fn([m, n], |ix| (ix[0] * n + ix[1]) as f32)?;
    with_device(&Device::simd()?, || {
        let t = x.t().to_contiguous()?.to_vec()?;
        let wrong = t.iter().enumerate().find(|&(i, &v)| v != (i % m * n + i / m) as f32);
        assert_eq!(wrong, None);
        let cut = x.slice(s![1.., 3..])?.t().to_contiguous()?.to_vec()?;
        let wrong = cut.iter().enumerate().find(|&(i, &v)| v != ((i % (m - 1) + 1) * n + i / (m - 1) + 3) as f32);
        assert_eq!(wrong, None);
        Ok(())
    })
}
