//! Builds `serde_json::Value`: for schemas, tests and fuzzing. Python gets its own builder.

use std::convert::Infallible;

use serde_json::{Map, Number, Value};

use super::bounds::Bounds;
use super::parser::{Builder, ParseError, Parsed, parse};
use super::rejection::JsonRejection;

/// Makes `serde_json::Value`. An integer beyond 64 bits becomes the nearest double.
#[derive(Debug, Default)]
pub struct ValueBuilder {
    /// The first integer that was rounded, as written.
    rounded: Option<String>,
}

/// Reads `data` into a `serde_json::Value`, under the same rules as a body.
///
/// # Errors
/// The first refusal met from the left.
pub fn parse_value(data: &[u8], bounds: &Bounds) -> Result<Parsed<Value>, JsonRejection> {
    Ok(parse_rounding(data, bounds)?.0)
}

/// The same, and the first integer that was rounded.
pub(super) fn parse_rounding(
    data: &[u8],
    bounds: &Bounds,
) -> Result<(Parsed<Value>, Option<String>), JsonRejection> {
    let mut builder = ValueBuilder::default();
    match parse(data, bounds, &mut builder) {
        Ok(parsed) => Ok((parsed, builder.rounded)),
        Err(ParseError::Rejected(rejection)) => Err(rejection),
        Err(ParseError::Fault(never)) => match never {},
    }
}

impl Builder for ValueBuilder {
    type Value = Value;
    type Key = String;
    type Array = Vec<Value>;
    type Object = Map<String, Value>;
    type Fault = Infallible;

    fn null(&mut self) -> Value {
        Value::Null
    }

    fn boolean(&mut self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn integer(&mut self, value: i64) -> Value {
        Value::Number(value.into())
    }

    fn big_integer(&mut self, literal: &str) -> Result<Value, Infallible> {
        if let Ok(value) = literal.parse::<u64>() {
            return Ok(Value::Number(value.into()));
        }
        self.rounded.get_or_insert_with(|| literal.to_owned());
        // At most `max_digits` long; beyond a double it is only ever a limit that nothing reaches.
        let nearest = literal.parse::<f64>().unwrap_or(f64::MAX).clamp(f64::MIN, f64::MAX);
        Ok(Number::from_f64(nearest).map_or(Value::Null, Value::Number))
    }

    fn float(&mut self, value: f64) -> Value {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }

    fn string(&mut self, value: &str) -> Result<Value, Infallible> {
        Ok(Value::String(value.to_owned()))
    }

    fn array(&mut self) -> Vec<Value> {
        Vec::new()
    }

    fn push(&mut self, array: &mut Vec<Value>, value: Value) -> Result<(), Infallible> {
        array.push(value);
        Ok(())
    }

    fn end_array(&mut self, array: Vec<Value>) -> Result<Value, Infallible> {
        Ok(Value::Array(array))
    }

    fn object(&mut self) -> Map<String, Value> {
        Map::new()
    }

    fn key(&mut self, name: &str) -> Result<String, Infallible> {
        Ok(name.to_owned())
    }

    fn insert(
        &mut self,
        object: &mut Map<String, Value>,
        key: String,
        value: Value,
    ) -> Result<(), Infallible> {
        object.insert(key, value);
        Ok(())
    }

    fn end_object(&mut self, object: Map<String, Value>, members: usize) -> Option<Value> {
        (object.len() == members).then_some(Value::Object(object))
    }
}
