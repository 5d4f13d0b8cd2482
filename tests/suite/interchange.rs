//! Exchange with other libraries and files, each with the feature of its name.

#[cfg(any(feature = "ndarray", feature = "faer", feature = "serde", feature = "safetensors", feature = "dlpack"))]
use crate::common::count;
#[cfg(any(feature = "ndarray", feature = "faer", feature = "serde", feature = "safetensors", feature = "dlpack"))]
use polyarray::prelude::*;

/// Returns views of every kind of the numbers 0 to 23.
#[cfg(any(feature = "ndarray", feature = "serde", feature = "safetensors", feature = "dlpack"))]
fn views() -> Vec<Array<f32>> {
    let a = count([2, 3, 4]);
    vec![
        a.clone(),
        a.t(),
        a.permute(&[1, 0, 2]).unwrap(),
        a.slice(s![.., ..;-1, 1..;2]).unwrap(),
        a.slice(s![1, 2]).unwrap(),
        a.slice(s![1, 2, 3]).unwrap(),
        a.slice(s![..;-1, NewAxis, 1..2]).unwrap(),
        a.slice(s![0, 0, ..]).unwrap().broadcast_to([5, 4]).unwrap(),
        a.slice(s![.., 1..1]).unwrap(),
        a.slice(s![0..0]).unwrap().t(),
    ]
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use super::*;
    use ::ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayViewD, ArrayViewMut2, Axis, Ix2, IxDyn, Slice, s as nd};

    #[test]
    fn views_share_the_elements_and_strides() {
        for view in views() {
            let theirs = ArrayViewD::try_from(&view).unwrap();
            assert_eq!(theirs.shape(), view.shape());
            assert!(theirs.iter().copied().eq(view.iter().unwrap()), "{view:?}");
            assert_eq!(Array::try_from(&theirs).unwrap(), view);
            if let Some(elements) = view.as_slice().filter(|e| !e.is_empty()) {
                assert_eq!(theirs.as_ptr(), elements.as_ptr());
            }
            let owned = ArrayD::try_from(&view).unwrap();
            assert_eq!(owned, theirs);
        }
    }

    #[test]
    fn owned_arrays_are_taken_over_with_their_strides() {
        let base = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as i64);
        let place = base.as_ptr();
        let a = Array::try_from(base.clone()).unwrap();
        assert_eq!((a.shape(), a.get([2, 3]).unwrap()), (&[4, 6][..], 23));
        let a = Array::try_from(base).unwrap();
        assert_eq!(a.as_slice().unwrap().as_ptr(), place, "not copied");
        let make = || Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as i64);
        let mut sliced = make();
        sliced.slice_collapse(nd![1..;2, ..;-2]);
        let expected = Array::try_from(&sliced).unwrap();
        let mut a = Array::try_from(sliced).unwrap();
        assert!(a == expected && a.is_unique());
        a += 1;
        assert_eq!(a, (expected + 1).eval().unwrap());
        let transposed = Array::try_from(make().reversed_axes()).unwrap();
        assert_eq!(transposed.strides(), [1, 6]);
        let none = Array::try_from(Array2::<f32>::zeros((0, 3))).unwrap();
        assert_eq!(none.shape(), [0, 3]);
        let mut single = Array1::from_vec(vec![1u8, 2, 3]);
        single.slice_axis_inplace(Axis(0), Slice::from(1..2));
        assert_eq!(Array::try_from(single).unwrap(), Array::from([2]));
        assert!(Array::try_from(ArrayD::<u8>::zeros(IxDyn(&[1; 17]))).is_err(), "too many axes");
    }

    #[test]
    fn writable_views_write_through() {
        let mut a = count([3, 4]);
        let mut view = a.slice_mut(s![..;-1, 1..3]).unwrap();
        let mut theirs = ArrayViewMut2::try_from(&mut view).unwrap();
        theirs[[0, 0]] = -1.0;
        theirs.row_mut(2).fill(-2.0);
        assert_eq!(a, Array::from([[0.0, -2.0, -2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, -1.0, 10.0, 11.0]]));
        assert!(ArrayViewMut2::try_from(&mut a.slice_mut(s![0]).unwrap()).is_err());
    }

    #[test]
    fn another_number_of_axes_or_memory_is_an_error() {
        let a = count([2, 3]);
        let why = ::ndarray::Array1::try_from(&a).unwrap_err().to_string();
        assert!(why.contains("the array has 2 axes, the type of the other array 1"), "{why}");
        assert!(::ndarray::ArrayView3::try_from(&a).is_err());
        for device in Device::all() {
            let there = a.to_device(&device).unwrap();
            let view = ArrayView2::try_from(&there);
            assert_eq!(view.is_ok(), there.device().name() == "auto", "{device}");
            assert_eq!(::ndarray::Array::<_, Ix2>::try_from(&there).unwrap().sum(), 15.0);
        }
    }
}

#[cfg(feature = "faer")]
mod faer {
    use super::*;
    use ::faer::{Mat, MatRef};

    #[test]
    fn matrices_go_there_and_back() {
        let a = count([3, 4]);
        for view in [
            a.clone(),
            a.t(),
            a.slice(s![..;-1, ..]).unwrap(),
            a.slice(s![1.., ..;-1]).unwrap(),
            a.slice(s![..;2, 1..3]).unwrap(),
            a.t().slice(s![..;-1, ..;-2]).unwrap(),
            a.slice(s![.., 1..2]).unwrap(),
            a.slice(s![1..2, ..;2]).unwrap(),
            a.slice(s![2..3, 3..4]).unwrap(),
            a.slice(s![0, ..]).unwrap().broadcast_to([5, 4]).unwrap(),
            a.slice(s![..0]).unwrap(),
        ] {
            let shared = MatRef::try_from(&view).unwrap();
            assert_eq!([shared.nrows(), shared.ncols()], view.shape());
            let copied: Mat<f32> = (&view).try_into().unwrap();
            assert_eq!(shared, copied.as_ref(), "{view:?}");
            assert_eq!(Array::try_from(shared).unwrap(), view);
            assert_eq!(Array::try_from(&copied).unwrap(), view);
        }
    }

    #[test]
    fn what_is_no_matrix_is_an_error() {
        let a = count([4, 6]);
        let why = MatRef::try_from(&a.slice(s![.., ..;2]).unwrap()).unwrap_err().to_string();
        assert!(why.contains("strides [6, 2]"), "{why}");
        assert!(Mat::try_from(&a.slice(s![.., ..;2]).unwrap()).is_ok());
        assert!(MatRef::try_from(&count([3])).is_err() && Mat::try_from(&count([1, 1, 1])).is_err());
    }
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;
    use polyarray::with_dtype;

    fn again<T: Element>(a: &Array<T>) -> Array<T> {
        serde_json::from_str(&serde_json::to_string(a).unwrap()).unwrap()
    }

    #[test]
    fn every_dtype_and_layout_goes_there_and_back() {
        for view in views() {
            assert_eq!(again(&view), view);
        }
        for dtype in polyarray::DType::ALL {
            with_dtype!(dtype, T => {
                let a = (count([2, 3]) - 1.5).eval().unwrap().cast::<T>().eval().unwrap();
                assert_eq!(again(&a), a, "{dtype}");
            });
        }
        let bounds = Array::from([i64::MIN, i64::MAX]);
        assert_eq!(again(&bounds), bounds);
        assert_eq!(again(&Array::from([u64::MAX])), Array::from([u64::MAX]));
        let complex = Array::from([Complex::new(1.5f32, -2.0)]);
        assert_eq!(serde_json::to_string(&complex).unwrap(), r#"{"dtype":"c32","shape":[1],"data":[[1.5,-2.0]]}"#);
        let special = Array::from([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX]);
        let bits = |a: &Array<f64>| a.iter().unwrap().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&again(&special)), bits(&special));
        assert_eq!(again(&Array::full((), 3u8).unwrap()).shape(), [0usize; 0]);
    }

    #[test]
    fn hostile_input_is_an_error() {
        let read = |text: &str| serde_json::from_str::<Array<i8>>(text).unwrap_err().to_string();
        let cases = [
            (r#"{"dtype":"i8","shape":[1099511627776],"data":[1]}"#, "holds 1099511627776 elements, not 1"),
            (r#"{"dtype":"i8","shape":[4294967296,4294967296,4294967296],"data":[]}"#, "too large"),
            (r#"{"dtype":"i8","shape":[18446744073709551616],"data":[]}"#, "expected usize"),
            (r#"{"dtype":"i8","shape":[-1],"data":[]}"#, "-1"),
            (r#"{"dtype":"i8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data":[1]}"#, "17 axes"),
            (r#"{"dtype":"i8","shape":[1],"data":[128]}"#, "128"),
            (r#"{"dtype":"i8","shape":[1],"data":[1.5]}"#, "1.5"),
            (r#"{"dtype":"i8","shape":[1],"data":["1"]}"#, "string"),
            (r#"{"dtype":"u8","shape":[1],"data":[1]}"#, "the array has dtype u8, but i8 was requested"),
            (r#"{"dtype":"i128","shape":[1],"data":[1]}"#, "unknown dtype"),
            (r#"{"dtype":"i8","shape":[1]}"#, "data"),
        ];
        for (text, why) in cases {
            let said = read(text);
            assert!(said.contains(why), "{text}: {said}");
        }
        let floats = serde_json::from_str::<Array<f32>>(r#"{"data":[1,"inf",-2],"shape":[3],"dtype":"f32"}"#).unwrap();
        assert_eq!(floats, Array::from([1.0, f32::INFINITY, -2.0]), "fields in any order");
        assert!(serde_json::from_str::<Array<f32>>(r#"{"dtype":"f32","shape":[1],"data":["infinity"]}"#).is_err());
        assert!(serde_json::from_str::<Array<f32>>(r#"{"dtype":"f32","shape":[1],"data":[1e300]}"#).is_err());
        assert!(serde_json::from_str::<Array<f16>>(r#"{"dtype":"f16","shape":[1],"data":[70000]}"#).is_err());
        assert!(serde_json::from_str::<Array<bool>>(r#"{"dtype":"bool","shape":[1],"data":[2]}"#).is_err());
    }
}

#[cfg(feature = "safetensors")]
mod safetensors {
    use super::*;
    use polyarray::interchange::safetensors::{SafeTensors, write};
    use polyarray::{DType, DynArray};
    use std::path::PathBuf;

    /// A file name that is unique to this process and test. The file is removed on drop.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(test: &str) -> Temporary {
            Temporary(std::env::temp_dir().join(format!("polyarray-{}-{test}.safetensors", std::process::id())))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).ok();
        }
    }

    #[test]
    fn every_dtype_and_layout_goes_there_and_back() {
        let out = Temporary::new("dtypes");
        let mut arrays: Vec<(String, DynArray)> = Vec::new();
        for dtype in DType::ALL.into_iter().filter(|&d| d != DType::C64) {
            arrays.push((dtype.name().into(), DynArray::from(&count([3, 1])).cast(dtype).eval().unwrap()));
        }
        arrays.extend(views().iter().enumerate().map(|(i, view)| (format!("view {i}"), view.into())));
        write(&out.0, arrays.iter().map(|(name, array)| (name, array))).unwrap();
        let file = SafeTensors::open(&out.0).unwrap();
        assert_eq!((file.len(), file.is_empty()), (arrays.len(), false));
        for (name, array) in &arrays {
            assert_eq!(&file.get(name).unwrap(), array, "{name}");
        }
        let (mut x, y) = (file.read::<f32>("view 0").unwrap(), file.read::<f32>("view 1").unwrap());
        assert!(x.shares_memory(&y), "not copied");
        x.set([0, 0, 0], 99.0).unwrap();
        assert_eq!(file.read::<f32>("view 0").unwrap(), views()[0], "a write copies the elements first");
        drop(file);
        assert_eq!(y, views()[1]);
    }

    #[test]
    fn elements_that_are_not_aligned_are_copied() {
        let header = concat!(
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#,
            r#""b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.push(7);
        bytes.extend([1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()));
        let out = Temporary::new("unaligned");
        std::fs::write(&out.0, &bytes).unwrap();
        let file = SafeTensors::open(&out.0).unwrap();
        assert_eq!(file.read::<f32>("b").unwrap(), Array::from([1.5, -2.0]));
        assert_eq!(file.read::<u8>("a").unwrap(), Array::from([7]));
        // No file that is cut or changed makes it panic.
        for at in 0..bytes.len() {
            std::fs::write(&out.0, &bytes[..at]).unwrap();
            assert!(SafeTensors::open(&out.0).is_err());
            let mut changed = bytes.clone();
            changed[at] ^= 0x11;
            std::fs::write(&out.0, &changed).unwrap();
            if let Ok(file) = SafeTensors::open(&out.0) {
                let names: Vec<String> = file.names().map(str::to_string).collect();
                names.iter().for_each(|name| drop(file.get(name)));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let out = Temporary::new("wrong");
        let say = |e: Error| e.to_string();
        write(&out.0, [("x", Array::from([true, false]))]).unwrap();
        let file = SafeTensors::open(&out.0).unwrap();
        assert!(say(file.get("y").unwrap_err()).ends_with("has no array \"y\""));
        let why = say(file.read::<f32>("x").unwrap_err());
        assert!(why.ends_with("\"x\" holds bool, but f32 was requested; read it as bool and cast"), "{why}");
        let mut bytes = std::fs::read(&out.0).unwrap();
        *bytes.last_mut().unwrap() = 2;
        std::fs::write(&out.0, &bytes).unwrap();
        let why = say(SafeTensors::open(&out.0).unwrap().get("x").unwrap_err());
        assert!(why.ends_with("\"x\" holds bool, but element 1 is the byte 2"), "{why}");
        let why = say(write(&out.0, [("z", Array::from([Complex::new(1.0, 2.0)]))]).unwrap_err());
        assert!(why.contains("\"z\" holds c64"), "{why}");
        let x = Array::from([1u8]);
        assert!(say(write(&out.0, [("x", &x), ("x", &x)]).unwrap_err()).contains("occurs twice"));
        assert!(say(SafeTensors::open("/no/such/file").unwrap_err()).contains("cannot be read"));
        assert!(say(write("/no/such/folder/x", [("x", &x)]).unwrap_err()).contains("cannot be written"));
    }
}

#[cfg(feature = "dlpack")]
mod dlpack {
    use super::*;
    use polyarray::interchange::dlpack::{ManagedTensor, Tensor, TensorDType, TensorDevice, export, import};
    use polyarray::{DType, DynArray};
    use std::ffi::c_void;
    use std::ptr::{NonNull, null_mut};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_dtype_and_layout_goes_there_and_back() {
        for view in views() {
            // SAFETY: the tensor is that of `export`, and nothing else uses it.
            let back = unsafe { import(export(&view).unwrap()) }.unwrap();
            assert_eq!(back.typed::<f32>().unwrap(), view);
        }
        for dtype in DType::ALL {
            let a = DynArray::from(&count([2, 3])).cast(dtype).eval().unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { import(export(&a).unwrap()) }.unwrap(), a, "{dtype}");
        }
        for device in Device::all() {
            let there = count([2, 3]).to_device(&device).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { import(export(there).unwrap()) }.unwrap(), DynArray::from(&count([2, 3])), "{device}");
        }
    }

    #[test]
    fn an_array_of_its_own_is_not_copied_and_a_shared_one_is() {
        let a = count([100]);
        let place = a.as_slice().unwrap().as_ptr();
        let tensor = export(a).unwrap();
        // SAFETY: the tensor is that of `export`.
        let data = unsafe { tensor.as_ref().tensor.data };
        assert_eq!(data.cast_const().cast(), place);
        // SAFETY: the tensor is that of `export`, and nothing else uses it.
        let mut back = unsafe { import(tensor) }.unwrap().typed::<f32>().unwrap();
        assert_eq!(back.as_slice().unwrap().as_ptr(), place);
        assert!(!back.is_unique(), "the elements of a tensor are read only");
        back.set([0], 5.0).unwrap();
        assert_ne!(back.as_slice().unwrap().as_ptr(), place, "a write copies them");

        let kept = count([100]);
        let tensor = export(&kept).unwrap();
        // SAFETY: the tensor is that of `export`, whose receiver may write its elements.
        unsafe { tensor.as_ref().tensor.data.cast::<f32>().write(-1.0) };
        assert_eq!(kept.get([0]).unwrap(), 0.0);
        // SAFETY: the tensor is that of `export`, and nothing else uses it.
        assert_eq!(unsafe { import(tensor) }.unwrap().typed::<f32>().unwrap().get([0]).unwrap(), -1.0);
    }

    static FREED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn count_free(tensor: *mut ManagedTensor) {
        FREED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the context is the box that `foreign` leaked, and a tensor is freed once.
        unsafe { drop(Box::from_raw((*tensor).context.cast::<Foreign>())) }
    }

    /// A tensor as another library makes it, of i16.
    struct Foreign {
        managed: ManagedTensor,
        shape: Vec<i64>,
        strides: Vec<i64>,
    }

    fn foreign(data: &'static [i16], shape: &[i64], strides: Option<&[i64]>, change: impl Fn(&mut Tensor)) -> Foreign {
        let mut foreign = Foreign {
            managed: ManagedTensor {
                tensor: Tensor {
                    data: data.as_ptr().cast_mut().cast::<c_void>(),
                    device: TensorDevice { kind: 1, id: 0 },
                    ndim: shape.len() as i32,
                    dtype: TensorDType { code: 0, bits: 16, lanes: 1 },
                    shape: null_mut(),
                    strides: null_mut(),
                    byte_offset: 0,
                },
                context: null_mut(),
                deleter: Some(count_free),
            },
            shape: shape.to_vec(),
            strides: strides.unwrap_or_default().to_vec(),
        };
        foreign.managed.tensor.shape = foreign.shape.as_mut_ptr();
        if strides.is_some() {
            foreign.managed.tensor.strides = foreign.strides.as_mut_ptr();
        }
        change(&mut foreign.managed.tensor);
        foreign
    }

    fn given(foreign: Foreign) -> Result<DynArray> {
        let all = Box::into_raw(Box::new(foreign));
        // SAFETY: the tensor is valid, its elements lie in static memory that nothing writes, and `count_free` frees
        // the box. Where a test changes a field, `import` refuses the tensor before it reads elements.
        unsafe {
            (*all).managed.context = all.cast();
            import(NonNull::new_unchecked(&raw mut (*all).managed))
        }
    }

    #[test]
    fn tensors_of_other_libraries() {
        static DATA: [i16; 6] = [0, 1, 2, 3, 4, 5];
        let before = FREED.load(Ordering::Relaxed);
        let same = |_: &mut Tensor| {};
        let typed = |a: Result<DynArray>| a.unwrap().typed::<i16>().unwrap();
        assert_eq!(typed(given(foreign(&DATA, &[2, 3], None, same))), Array::from([[0, 1, 2], [3, 4, 5]]));
        let columns = typed(given(foreign(&DATA, &[3, 2], Some(&[1, 3]), same)));
        assert_eq!((columns.strides(), &columns), (&[1, 3][..], &Array::from([[0, 3], [1, 4], [2, 5]])));
        assert!(columns.as_slice().is_none());
        let backwards = typed(given(foreign(&DATA, &[3], Some(&[-2]), |t| t.byte_offset = 8)));
        assert_eq!(backwards, Array::from([4, 2, 0]));
        let repeated = typed(given(foreign(&DATA, &[2, 3], Some(&[0, 1]), same)));
        assert_eq!(repeated, Array::from([[0, 1, 2], [0, 1, 2]]));
        assert_eq!(typed(given(foreign(&DATA, &[], None, same))).item().unwrap(), 0);
        let none = typed(given(foreign(&DATA, &[0, 3], None, |t| t.data = null_mut())));
        assert_eq!(none.shape(), [0, 3]);
        let refused = |shape: &[i64], strides: Option<&[i64]>, change: fn(&mut Tensor), why: &str| {
            let said = given(foreign(&DATA, shape, strides, change)).unwrap_err().to_string();
            assert!(said.contains(why), "{why}: {said}");
        };
        refused(&[2], None, |t| t.device.kind = 2, "kind 2");
        refused(&[2], None, |t| t.dtype.bits = 4, "no such dtype");
        refused(&[2], None, |t| t.dtype.lanes = 2, "no such dtype");
        refused(&[-1], None, |_| {}, "negative");
        refused(&[2], None, |t| t.ndim = -1, "ndim");
        refused(&[2], None, |t| t.ndim = 17, "ndim");
        refused(&[2], None, |t| t.data = null_mut(), "null");
        refused(&[2], None, |t| t.shape = null_mut(), "shape");
        refused(&[1 << 40, 1 << 40], None, |_| {}, "too large");
        refused(&[3, 3], Some(&[i64::MAX, i64::MAX]), |_| {}, "overflows");
        refused(&[2, 2], Some(&[i64::MIN, i64::MIN]), |_| {}, "overflows");
        refused(&[2], None, |t| t.byte_offset = 1, "aligned");
        let bools = |t: &mut Tensor| {
            t.dtype = TensorDType { code: 6, bits: 8, lanes: 1 };
            t.byte_offset = 4;
        };
        refused(&[2], None, bools, "a byte 2");
        drop((columns, backwards, repeated, none));
        assert_eq!(FREED.load(Ordering::Relaxed) - before, 19, "each tensor is freed once");
    }
}
