//! Says of what type a file is, by what is in it. Neither its name nor what its sender calls it has a say.
//!
//! 1. A signature at its beginning, with what must follow it for the file to be one: [`signature`].
//! 2. Models, which have little of a signature: [`models`].
//! 3. Text: UTF-8 without control characters. Markup and scripts are told apart from it, and are never plain text: [`text`].
//!
//! What is none of these has no type, and is refused wherever a type is asked for. Whether it unpickles is [`super::pickle`]'s to say.

mod arrays;
mod models;
mod signature;
mod table;
mod text;

pub(super) use self::arrays::npy_has_objects;
pub(super) use self::models::{is_onnx, is_safetensors};
pub(super) use self::signature::{is_archive, signature};
pub use self::table::{Family, Kind, kinds};
pub(super) use self::table::{kind_named, named};
pub(super) use self::text::{Text, is_csv, is_json, markup};
