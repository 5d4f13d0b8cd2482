//! Dtypes and memory: an image of bytes, scaled to numbers from 0 to 1.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let height = tour.size(1_080);
    let image = random::Generator::new(1).integers::<u8>([height, 1_920, 3], 0..=255)?;
    assert_eq!(image.nbytes(), height * 1_920 * 3);

    // Eight bytes a number, and two passes.
    let naive = tour.time("scaled in f64, in two steps", || {
        let wide = image.cast::<f64>().eval()?;
        (&wide / 255.0).eval()
    })?;
    assert_eq!(naive.nbytes(), 8 * image.nbytes());
    // Casts are steps of an expression as others are.
    let scaled = tour.time("scaled in f32", || (image.cast::<f32>() / 255.0).eval())?;
    assert_eq!(scaled.nbytes(), 4 * image.nbytes());
    let small = tour.time("scaled in f32, stored in f16", || (image.cast::<f32>() / 255.0).cast::<f16>().eval())?;
    assert_eq!(small.nbytes(), 2 * image.nbytes());
    let back = small.cast::<f64>().eval()?;
    assert!(back.isclose(&naive, 1e-3, 0.0).all()? && scaled.cast::<f64>().isclose(&naive, 1e-7, 0.0).all()?);

    // Sums and means are wider than the elements: nothing is converted in memory.
    let means = tour.time("mean of each channel of the bytes", || image.mean_axis([0, 1]))?;
    assert!(means.allclose(naive.mean_axis([0, 1])? * 255.0, 1e-12, 0.0)?);

    // Arithmetic has the dtype of its operands, and integers wrap. `maximum` first, or a cast, keeps them in range.
    let darker = tour.time("subtraction that stops at zero", || (image.maximum(50) - 50).eval())?;
    assert_eq!(darker.max()?, 205);
    assert_eq!((Array::from([250u8]) + 10).eval()?, Array::from([4]));
    // Casts of floats to integers saturate.
    assert_eq!(Array::from([-5.0f32, 300.0, f32::NAN]).cast::<u8>().eval()?, Array::from([0, 255, 0]));

    // The bits of a number are a view.
    assert_eq!(Array::from([1.0f32]).view_as::<u32>()?, Array::from([0x3f80_0000]));
    Ok(())
}
