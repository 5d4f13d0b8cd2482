//! `Serialize` and `Deserialize`: a struct of dtype, shape, and the elements in C order.
//!
//! The declared shape allocates nothing: the elements are read first and then compared with it.

use crate::{Array, DType, Element, Wide};
use ::serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use ::serde::ser::{Error as _, Serialize, SerializeSeq, Serializer};
use std::fmt;

/// As its name: `"f32"`.
impl Serialize for DType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// From its name.
impl<'de> Deserialize<'de> for DType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<DType, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = DType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a dtype, such as \"f32\"")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<DType, E> {
                name.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Name)
    }
}

#[derive(::serde::Serialize)]
#[serde(crate = "::serde", rename = "Array", bound = "")]
struct Written<'a, T: Element> {
    dtype: DType,
    shape: &'a [usize],
    data: Data<'a, T>,
}

#[derive(::serde::Deserialize)]
#[serde(crate = "::serde", rename = "Array", bound = "")]
struct Read<T: Element> {
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<Item<T>>,
}

/// Writes a struct with the fields `dtype` (its name), `shape`, and `data`, the elements in C order. A complex number
/// is a pair. Half floats are written as f32. Formats for people, such as JSON, have NaN and infinities as the strings
/// `"NaN"`, `"inf"` and `"-inf"`. Every element is read back with the same bits, except for the payload of a NaN, if
/// the format reads floats exactly: `serde_json` does with its feature `float_roundtrip`.
///
/// ```
/// # use polyarray_core::*;
/// let a = Array::from([[1.5f32, f32::INFINITY]]);
/// let text = serde_json::to_string(&a).unwrap();
/// assert_eq!(text, r#"{"dtype":"f32","shape":[1,2],"data":[1.5,"inf"]}"#);
/// assert_eq!(serde_json::from_str::<Array<f32>>(&text).unwrap(), a);
/// ```
impl<T: Element> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written { dtype: T::DTYPE, shape: self.shape(), data: Data(self) }.serialize(to)
    }
}

/// Reads what [`Serialize`] writes. Fails if the dtype is another one, if the shape and the number of elements differ,
/// or if an element does not fit the dtype. The memory that is allocated is in proportion to the input.
impl<'de, T: Element> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Array<T>, D::Error> {
        let Read { dtype, shape, data } = Read::<T>::deserialize(from)?;
        if dtype != T::DTYPE {
            return Err(de::Error::custom(format!("the array has dtype {dtype}, but {} was requested", T::DTYPE)));
        }
        Array::from_vec(data.into_iter().map(|item| item.0).collect(), shape).map_err(de::Error::custom)
    }
}

/// The elements of an array, as a sequence.
struct Data<'a, T: Element>(&'a Array<T>);

impl<T: Element> Serialize for Data<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut sequence = to.serialize_seq(Some(self.0.len()))?;
        for x in self.0.iter().map_err(S::Error::custom)? {
            sequence.serialize_element(&Item(x))?;
        }
        sequence.end()
    }
}

/// An element.
struct Item<T>(T);

/// Implements both directions, with the dtypes whose elements are written as they are.
macro_rules! forms {
    ($($integer:ident $ty:ty),*) => {
        impl<T: Element> Serialize for Item<T> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match (T::DTYPE, self.0.to_wide()) {
                    (DType::Bool, x) => x.truth().serialize(to),
                    $( (DType::$integer, Wide::Int(i)) => (i as $ty).serialize(to), )*
                    (DType::F64, x) => Double(x.real()).serialize(to),
                    (DType::C32, Wide::Complex(re, im)) => (Single(re as f32), Single(im as f32)).serialize(to),
                    (_, Wide::Complex(re, im)) => (Double(re), Double(im)).serialize(to),
                    (_, x) => Single(x.real() as f32).serialize(to),
                }
            }
        }

        impl<'de, T: Element> Deserialize<'de> for Item<T> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Item<T>, D::Error> {
                let wide = match T::DTYPE {
                    DType::Bool => Wide::Int(bool::deserialize(from)?.into()),
                    $( DType::$integer => Wide::Int(<$ty>::deserialize(from)?.into()), )*
                    DType::F16 | DType::BF16 | DType::F32 => Wide::Float(Single::deserialize(from)?.0.into()),
                    DType::F64 => Wide::Float(Double::deserialize(from)?.0),
                    DType::C32 => {
                        let (re, im) = <(Single, Single)>::deserialize(from)?;
                        Wide::Complex(re.0.into(), im.0.into())
                    }
                    DType::C64 => {
                        let (re, im) = <(Double, Double)>::deserialize(from)?;
                        Wide::Complex(re.0, im.0)
                    }
                };
                let element = T::from_wide(wide);
                if wide.real().is_finite() && !element.to_wide().real().is_finite() {
                    return Err(de::Error::custom(format!("{} is too large for {}", wide.real(), T::DTYPE)));
                }
                Ok(Item(element))
            }
        }
    };
}
forms! { I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64 }

/// Defines a float that formats for people write as a string if it is not finite.
macro_rules! float {
    ($Name:ident $ty:ty, $serialize:ident, $deserialize:ident) => {
        struct $Name($ty);

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match to.is_human_readable() && !self.0.is_finite() {
                    true => to.serialize_str(&self.0.to_string()),
                    false => to.$serialize(self.0),
                }
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$Name, D::Error> {
                struct Number;
                impl Visitor<'_> for Number {
                    type Value = $ty;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
                    }
                    fn visit_f32<E: de::Error>(self, x: f32) -> Result<$ty, E> {
                        Ok(x as $ty)
                    }
                    fn visit_f64<E: de::Error>(self, x: f64) -> Result<$ty, E> {
                        let number = x as $ty;
                        let fits = number.is_finite() || !x.is_finite();
                        if fits { Ok(number) } else { Err(E::invalid_value(Unexpected::Float(x), &self)) }
                    }
                    fn visit_i64<E: de::Error>(self, x: i64) -> Result<$ty, E> {
                        Ok(x as $ty)
                    }
                    fn visit_u64<E: de::Error>(self, x: u64) -> Result<$ty, E> {
                        Ok(x as $ty)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$ty, E> {
                        match text {
                            "NaN" => Ok(<$ty>::NAN),
                            "inf" => Ok(<$ty>::INFINITY),
                            "-inf" => Ok(<$ty>::NEG_INFINITY),
                            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                        }
                    }
                }
                match from.is_human_readable() {
                    true => from.deserialize_any(Number).map($Name),
                    false => from.$deserialize(Number).map($Name),
                }
            }
        }
    };
}
float!(Single f32, serialize_f32, deserialize_f32);
float!(Double f64, serialize_f64, deserialize_f64);
