//! Builds `serde_json::Value`: for schemas, tests and fuzzing. Python gets its own builder.

use std::borrow::Cow;
use std::convert::Infallible;

use serde_json::{Map, Number, Value};

use super::bounds::Bounds;
use super::outline::{EachElement, EachMember, Fate, Tree};
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

/// A default, made anew: what a view changes in it is not there at the next request.
pub(super) fn copied<B: Builder>(value: &Value, builder: &mut B) -> Result<B::Value, B::Fault> {
    Ok(match value {
        Value::Null => builder.null(),
        Value::Bool(value) => builder.boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => builder.integer(value),
            None if number.is_f64() => builder.float(number.as_f64().unwrap_or_default()),
            None => builder.big_integer(&number.to_string())?,
        },
        Value::String(text) => builder.string(text)?,
        Value::Array(items) => {
            let mut array = builder.array();
            for item in items {
                let item = copied(item, builder)?;
                builder.push(&mut array, item)?;
            }
            builder.end_array(array)?
        }
        Value::Object(members) => {
            let mut object = builder.object();
            for (name, member) in members {
                let (key, value) = (builder.key(name)?, copied(member, builder)?);
                builder.insert(&mut object, key, value)?;
            }
            match builder.end_object(object, members.len()) {
                Some(value) => value,
                None => builder.null(),
            }
        }
    })
}

impl Tree for ValueBuilder {
    fn members(
        &mut self,
        value: &mut Value,
        each: EachMember<'_, Self>,
    ) -> Result<(), ParseError<Infallible>> {
        let Value::Object(map) = value else { return Ok(()) };
        let mut dropped = Vec::new();
        for (name, member) in map.iter_mut() {
            if each(self, name, member)? == Fate::Dropped {
                dropped.push(name.clone());
            }
        }
        for name in &dropped {
            map.remove(name);
        }
        Ok(())
    }

    fn elements(
        &mut self,
        value: &mut Value,
        each: EachElement<'_, Self>,
    ) -> Result<(), ParseError<Infallible>> {
        let Value::Array(items) = value else { return Ok(()) };
        items.iter_mut().enumerate().try_for_each(|(index, item)| each(self, index, item).map(|_| ()))
    }

    fn text<'v>(&self, value: &'v Value) -> Result<Option<Cow<'v, str>>, ParseError<Infallible>> {
        Ok(value.as_str().map(Cow::Borrowed))
    }

    fn has(&mut self, value: &Value, name: &str) -> Result<Option<bool>, Infallible> {
        Ok(value.as_object().map(|map| map.contains_key(name)))
    }

    fn give(&mut self, object: &mut Value, name: &str, value: Value) -> Result<(), Infallible> {
        if let Value::Object(map) = object {
            map.insert(name.to_owned(), value);
        }
        Ok(())
    }
}
