//! Models that have little or no signature.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::source::{File, Gone, le64};

/// Longest header of safetensors that is read, in bytes. The format's own bound is 100 MB.
const MOST_HEADER: u64 = 16 * 1024 * 1024;

/// Whether a file is safetensors: the length of a header, the header as JSON, and exactly the tensors that it names, one behind the other.
pub(in crate::uploads) fn is_safetensors(file: &mut File<'_>) -> Result<bool, Gone> {
    let head = file.bytes(0, 9)?;
    let size = le64(head, 0);
    if head.get(8) != Some(&b'{') || size > MOST_HEADER || size > file.length() - 8 {
        return Ok(false);
    }
    let mut text = Vec::new();
    while (text.len() as u64) < size {
        let at = 8 + text.len() as u64;
        let left = usize::try_from(size - text.len() as u64).unwrap_or(usize::MAX);
        let piece = file.piece(at)?;
        text.extend_from_slice(piece.get(..left.min(piece.len())).unwrap_or_default());
    }
    let Ok(Header(mut tensors)) = serde_json::from_slice(&text) else { return Ok(false) };
    tensors.sort_unstable_by_key(|tensor| tensor.offsets);
    let mut at = 0;
    for Tensor { bits, shape, offsets: (from, to) } in &tensors {
        let size = shape.iter().try_fold(*bits, |size, &one| size.checked_mul(one));
        if *from != at || to < from || size.is_none_or(|size| size != (to - from).saturating_mul(8)) {
            return Ok(false);
        }
        at = *to;
    }
    Ok(at == file.length() - 8 - size)
}

struct Tensor {
    bits: u64,
    shape: Vec<u64>,
    offsets: (u64, u64),
}

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 64;

// By hand: a value of any shape would take many times the memory of its text.
impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Tensor;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tensor")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensor, A::Error> {
                let (mut dtype, mut shape, mut offsets) = (None, None, None);
                let mut is_twice = false;
                while let Some(name) = map.next_key::<String>()? {
                    is_twice |= match name.as_str() {
                        "dtype" => dtype.replace(map.next_value::<String>()?).is_some(),
                        "shape" => shape.replace(map.next_value::<Shape>()?).is_some(),
                        "data_offsets" => offsets.replace(map.next_value::<(u64, u64)>()?).is_some(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            false
                        }
                    };
                }
                match (dtype, shape, offsets) {
                    (Some(dtype), Some(Shape(shape)), Some(offsets)) if !is_twice => {
                        Ok(Tensor { bits: bits(&dtype), shape, offsets })
                    }
                    _ => Err(A::Error::custom("no tensor")),
                }
            }
        }
        deserializer.deserialize_map(Read)
    }
}

struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a shape")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = sequence.next_element()? {
                    if sizes.len() >= MOST_DIMENSIONS {
                        return Err(A::Error::custom("a shape"));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// How many bits an item has; more than there can be, of a type that nobody knows.
fn bits(dtype: &str) -> u64 {
    match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E5M2FNUZ" | "F8_E4M3FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => u64::MAX,
    }
}

/// The tensors of a header, each named once.
struct Header(Vec<Tensor>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut names, mut tensors) = (HashSet::new(), Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        tensors.push(map.next_value()?);
                    }
                    if !names.insert(name) {
                        return Err(A::Error::custom("a name twice"));
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Whether a file may be ONNX: a protocol buffer whose outermost fields are those of a `ModelProto`, to the file's last byte, with the
/// version of its form, a graph, and the operators that it needs.
pub(in crate::uploads) fn is_onnx(file: &mut File<'_>) -> Result<bool, Gone> {
    let length = file.length();
    if file.bytes(0, 1)? != [0x08] {
        return Ok(false);
    }
    let (mut at, mut has_version, mut has_graph, mut has_operators) = (0_u64, false, false, false);
    while at < length {
        let head = file.bytes(at, 20)?;
        let Some((tag, after)) = varint(head) else { return Ok(false) };
        let Some((value, end)) = head.get(after..).and_then(varint) else { return Ok(false) };
        at += (after + end) as u64;
        match (tag >> 3, tag & 7) {
            (1, 0) => has_version = (1..=64).contains(&value),
            (5, 0) => {}
            (field @ (2 | 3 | 4 | 6 | 7 | 8 | 14 | 20 | 25 | 26), 2) => {
                has_graph |= field == 7;
                has_operators |= field == 8;
                at = at.saturating_add(value);
            }
            _ => return Ok(false),
        }
    }
    Ok(at == length && has_version && has_graph && has_operators)
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}
