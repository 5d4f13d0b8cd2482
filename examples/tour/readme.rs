//! Views, reductions, ufuncs, contractions and errors, and every line of the README's table from NumPy to polyarray.
//! Nothing here is measured.

use polyarray::prelude::*;

/// Checks each statement.
pub fn run(_: &mut super::Tour) -> Result<()> {
    println!("{} lines of the table are as the README says", lines()?);
    Ok(())
}

/// Checks each statement. Returns the number of lines of the table.
pub fn lines() -> Result<usize> {
    // Views share their buffer and cost nothing. Writing to a shared buffer copies it first, so a write to one array
    // never changes another.
    let a = Array::from_vec((0..12).collect::<Vec<i64>>(), [3, 4])?;
    let last = a.slice(s![.., -1])?;
    assert_eq!(last.to_vec()?, [3, 7, 11]);
    let mut b = a.clone();
    b.slice_mut(s![0, ..])?.fill(-1)?;
    assert_eq!((a.get([0, 0])?, b.get([0, 0])?), (0, -1));

    // Reductions over all elements return a value, reductions over axes an array. Both accept expressions, without
    // materialising them.
    assert_eq!(a.sum()?, 66);
    assert_eq!((&a * &a).sum_axis(0)?.to_vec()?, [80, 107, 140, 179]);
    assert_eq!(a.mean_axis(axis(1).keepdims())?.shape(), [3, 1]);

    // Ufuncs have NumPy's names, and operators are those of Rust. Order statistics sort only as much as necessary.
    assert_eq!(((&a % 3).equal(0) & a.greater(4)).count_nonzero()?, 2);
    assert_eq!(a.cast::<f64>().eval()?.median()?, 5.5);
    assert_eq!(a.t().argmax_axis(0)?.to_vec()?, [3, 3, 3]);

    // Contractions choose their order, and read operands without copying them. Products can be added to an existing
    // array.
    let rows = einsum("ij,kj->ik", &[&a, &a])?;
    assert_eq!(rows.get([0, 1])?, 38);
    let mut total = rows.clone();
    Matmul::new(&a, &a.t()).add_into(&mut total.view_mut()?)?;
    assert_eq!(total.get([0, 1])?, 76);

    // Products of narrow numbers can have a wider dtype. Products of f32 can be faster, with less precision.
    let narrow = Array::from_vec(vec![100i8, -100], [1, 2])?;
    assert_eq!(Matmul::wide(&narrow, &narrow.t()).run()?.to_vec()?, [20_000i32]);
    let x = Array::<f32>::ones([2, 2])?;
    assert_eq!(Matmul::new(&x, &x).precision(Precision::Fast).run()?.to_vec()?, [2.0; 4]);

    // `eval` returns the errors of an expression.
    let e = (&a + &last).eval().unwrap_err();
    assert_eq!(e.to_string(), "cannot broadcast [3, 4] with [3]: axis 1 is 4 against 3");
    from_numpy()
}

/// The lines of the table, in its order.
fn from_numpy() -> Result<usize> {
    let x = Array::from_vec(vec![3.0f32, 1.0, 2.0], [3])?;
    let a = Array::<f32>::from_fn([2, 3], |ix| (3 * ix[0] + ix[1]) as f32)?;
    let (mut m, q) = (a.clone(), Array::<f32>::ones([4, 3])?);
    let (y, z) = (Array::<f32>::arange(1.0, 4.0, 1.0)?, Array::<f32>::arange(1.5, 4.0, 1.0)?);
    let mut rng = random::Generator::new(7);
    let checks = [
        Array::from_vec(vec![3.0f32, 1.0, 2.0], [3])?.len() == 3,
        Array::from([[1, 2], [3, 4]]).shape() == [2, 2],
        Array::<f32>::zeros([2, 3])?.sum()? == 0.0,
        a.zeros_like()?.shape() == [2, 3] && a.full_like(2.0)?.sum()? == 12.0,
        Array::<f64>::arange(0.0, 10.0, 2.0)?.len() == 5,
        Array::<f64>::linspace(0.0, 1.0, 5)?.get([1])? == 0.25,
        a.shape() == [2, 3] && a.dtype() == DType::F32,
        a.slice(s![.., 1..])?.shape() == [2, 2] && a.slice(s![0, ..;-1])?.to_vec()? == [2.0, 1.0, 0.0],
        a.slice(s![.., NewAxis, ..])?.shape() == [2, 1, 3],
        a.t().shape() == [3, 2] && a.permute(&[1, 0])?.shape() == [3, 2],
        a.reshape([3, 2])?.shape() == [3, 2] && a.ravel()?.shape() == [6],
        (&a + &x).eval()?.shape() == [2, 3],
        (x.exp() + x.sin()).eval()?.len() == 3,
        x.remainder(2.0).eval()?.to_vec()? == [1.0, 1.0, 0.0] && a.logaddexp(&x).eval()?.shape() == [2, 3],
        select(x.greater(1.5), &x, 0.0).eval()?.to_vec()? == [3.0, 0.0, 2.0],
        x.clip(1.5, 2.5).eval()?.to_vec()? == [2.5, 1.5, 2.0],
        x.cast::<i32>().eval()?.to_vec()? == [3, 1, 2],
        {
            (&a * 2.0).eval_into(&mut m.view_mut()?)?;
            m.get([1, 2])? == 10.0
        },
        {
            m.slice_mut(s![0, ..])?.fill(0.0)?;
            m.slice_mut(s![1, ..])?.assign(&x)?;
            m.sum()? == 6.0
        },
        {
            m += &a;
            m.get([0, 2])? == 2.0
        },
        {
            m.update(|m| (m * 2.0 + 1.0).square())?;
            m.get([0, 2])? == 25.0
        },
        a != q && a.equal(2.0).eval()?.iter()?.position(|equal| equal) == Some(2),
        a.axis_iter(1)?.next() == Some(Array::from([0.0, 3.0])) && a.iter()?.last() == Some(5.0),
        a.map_elements(f32::sqrt)?.get([1, 1])? == 2.0,
        a.sum()? == 15.0 && a.sum_axis(0)?.to_vec()? == [3.0, 5.0, 7.0],
        a.mean_axis(axis(1).keepdims())?.shape() == [2, 1],
        x.std(0)? > 0.8 && x.argmax()? == 0,
        x.greater(2.5).any()? && x.greater(0.0).all()?,
        x.cumsum(0)?.to_vec()? == [3.0, 4.0, 6.0],
        x.sort(0)?.to_vec()? == [1.0, 2.0, 3.0] && x.argsort(0)?.to_vec()? == [1, 2, 0],
        x.median()? == 2.0 && x.quantile(0.5)? == 2.0,
        x.quantiles(&[0.1, 0.9])?.len() == 2 && x.nanmean()? == 2.0,
        a.cov(1)?.to_vec()? == [1.0; 4] && a.corrcoef()?.min()? > 0.999,
        x.diff(1, 0)?.to_vec()? == [-2.0, 1.0] && x.trapezoid(0.5, 0)?.item()? == 1.75,
        x.histogram(4, None)?.0.to_vec()? == [1, 0, 1, 1] && x.interp(&y, &z)?.to_vec()? == [3.5, 1.5, 2.5],
        x.convolve(&y, Overlap::Same)?.len() == 3 && x.isin(&y)?.all()?,
        rng == random::Generator::new(7),
        rng.normal::<f32>([2, 3], 0.0, 1.0)?.shape() == [2, 3] && rng.permutation(5)?.sum()? == 10,
        x.unique()?.len() == 3 && x.topk(2, 0)?.0.to_vec()? == [3.0, 2.0],
        x.mask(&x.greater(1.5).eval()?)?.to_vec()? == [3.0, 2.0] && x.nonzero()?[0].len() == 3,
        {
            let (columns, i) = (Array::from_vec(vec![2, -1], [2])?, x.argsort(0)?);
            a.take(&columns, 1)?.shape() == [2, 2] && x.take_along_axis(&i, 0)?.to_vec()? == [1.0, 2.0, 3.0]
        },
        {
            let (mut m, rows) = (a.clone(), Array::from_vec(vec![0, 0], [2])?);
            m.assign_where(&m.less(2.0).eval()?, 0.0)?;
            m.scatter_add(&rows, &a, 0)?;
            m.slice(s![1])?.to_vec()? == a.slice(s![1])?.to_vec()? && m.sum()? > a.sum()?
        },
        Array::concatenate(&[&a, &m], 1)?.shape() == [2, 6] && x.tile(&[2])?.shape() == [6],
        x.pad(&[(1, 1)], Pad::Edge)?.len() == 5 && x.roll(1, 0)?.to_vec()? == [2.0, 3.0, 1.0],
        a.matmul(&a.t())?.shape() == [2, 2] && x.dot(&x)?.item()? == 14.0,
        einsum("ij,kj->ik", &[&a, &a])?.shape() == [2, 2],
        x.norm()? > 3.7,
        distance::cdist(&a, &q, Metric::Euclidean)?.shape() == [2, 4],
        distance::nearest(&q, &a, 1, Metric::Euclidean)?.indices.shape() == [4, 1],
        {
            let path = std::env::temp_dir().join(format!("polyarray-tour-{}.npy", std::process::id()));
            io::write_npy(&path, &a)?;
            let same = io::read_npy::<f32>(&path)?.to_vec()? == a.to_vec()?;
            std::fs::remove_file(&path).expect("the file was written");
            same
        },
    ];
    assert_eq!(checks.iter().position(|right| !right), None, "the first wrong line");
    Ok(checks.len())
}
