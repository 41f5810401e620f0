//! `minimum`, `maximum` and the exclusive ones, exactly, for numbers of any length.
//!
//! The engine compares an integer beyond 64 bits as the nearest double: with `"minimum": -9223372036854775808`, the `int64` of
//! OpenAPI, -9223372036854775809 passes, and a database's driver raises. Here:
//! 1. an integer is compared as an integer, of whatever length, with a bound that is written as an integer or as a double;
//! 2. a double is compared by its exact value.
//!
//! Only a schema that has a bound of 2^53 or more pays for it ([`needed`]): beneath, the nearest double is on the same side.
//!
//! Sources: JSON Schema 2020-12 validation, section 6.2; draft 4, section 5.1 (`exclusiveMinimum` is true or false there).

use std::cmp::Ordering;

use jsonschema::json::{Json, JsonNumber, Node};
use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Number, Value};

/// The keywords' names.
pub(super) const NAMES: [&str; 4] = ["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"];

/// Whether some bound in a schema is so far from zero that a double does not tell its neighbours apart.
pub(super) fn needed(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().any(|(word, value)| match value {
            Value::Number(bound) => {
                NAMES.contains(&word.as_str()) && bound.as_f64().is_some_and(|bound| bound.abs() >= EXACT)
            }
            _ => needed(value),
        }),
        Value::Array(items) => items.iter().any(needed),
        _ => false,
    }
}

/// Up to here a double holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn minimum<'a, F: Json>(
    parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Made<'a, F> {
    let is_open = parent.get("exclusiveMinimum") == Some(&Value::Bool(true));
    made(value, Ordering::Less, is_open)
}

pub(super) fn maximum<'a, F: Json>(
    parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Made<'a, F> {
    let is_open = parent.get("exclusiveMaximum") == Some(&Value::Bool(true));
    made(value, Ordering::Greater, is_open)
}

pub(super) fn exclusive_minimum<'a, F: Json>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Made<'a, F> {
    made(value, Ordering::Less, true)
}

pub(super) fn exclusive_maximum<'a, F: Json>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Made<'a, F> {
    made(value, Ordering::Greater, true)
}

type Made<'a, F> = Result<Box<dyn for<'i> Keyword<'i, F>>, ValidationError<'a>>;

fn made<F: Json>(value: &Value, refuses: Ordering, is_open: bool) -> Made<'_, F> {
    let bound = match value {
        Value::Number(number) => Exact::of_bound(number),
        // Draft 4's, which speaks of the bound beside it.
        Value::Bool(_) => None,
        _ => return Err(ValidationError::custom("a bound is a number")),
    };
    Ok(Box::new(Order { bound, refuses, is_open }))
}

struct Order {
    bound: Option<Exact>,
    /// On which side of the bound a number may not be.
    refuses: Ordering,
    /// Whether it may not be the bound either.
    is_open: bool,
}

impl<'i, F: Json> Keyword<'i, F> for Order {
    fn validate(&self, instance: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<F>::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom("beyond a bound"))
    }

    // As in `multiple.rs`: nothing is made where there is nothing to tell.
    fn iter_errors(&self, instance: F::Node<'i>) -> Box<dyn Iterator<Item = ValidationError<'i>> + 'i> {
        match Keyword::<F>::validate(self, instance) {
            Ok(()) => Box::new(std::iter::empty()),
            Err(error) => Box::new(std::iter::once(error)),
        }
    }

    fn is_valid(&self, instance: F::Node<'i>) -> bool {
        let (Some(bound), Some(number)) = (&self.bound, instance.as_number()) else { return true };
        // What cannot be read is within no bound.
        let Some(value) = Exact::of(&number) else { return false };
        match value.cmp(bound) {
            Ordering::Equal => !self.is_open,
            side => side != self.refuses,
        }
    }
}

/// A number, without rounding.
#[derive(Debug, Clone, PartialEq)]
enum Exact {
    /// An integer; or the next one below a double that is none, and that double.
    Short(i128, Option<f64>),
    /// An integer beyond 128 bits, and whether it is negative: digits without zeros before them.
    Long(bool, String),
}

impl Exact {
    fn of_bound(bound: &Number) -> Option<Self> {
        match (bound.as_i64(), bound.as_u64()) {
            (Some(whole), _) => Some(Self::Short(whole.into(), None)),
            (_, Some(whole)) => Some(Self::Short(whole.into(), None)),
            _ => Self::of_double(bound.as_f64()?),
        }
    }

    fn of(number: &impl JsonNumber) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return Some(Self::Short(whole.into(), None));
        }
        if number.is_written_as_integer() {
            let text = number.as_str();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(Self::of_digits(digits, text.starts_with('-')));
            }
        }
        Self::of_double(number.as_f64()?)
    }

    fn of_double(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let floor = value.floor();
        // The digits of a whole double are written out, all of them.
        let whole = Self::of_digits(&format!("{:.0}", floor.abs()), floor.is_sign_negative());
        Some(match whole {
            Self::Short(whole, _) => Self::Short(whole, (floor != value).then_some(value)),
            long => long,
        })
    }

    fn of_digits(digits: &str, is_negative: bool) -> Self {
        let digits = digits.trim_start_matches('0');
        match digits.parse::<i128>() {
            Ok(whole) => Self::Short(if is_negative { -whole } else { whole }, None),
            Err(_) if digits.is_empty() => Self::Short(0, None),
            Err(_) => Self::Long(is_negative, digits.to_owned()),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Short(one, more), Self::Short(two, and)) => one.cmp(two).then_with(|| match (more, and) {
                (Some(one), Some(two)) => one.total_cmp(two),
                (more, and) => more.is_some().cmp(&and.is_some()),
            }),
            (Self::Long(true, _), Self::Short(..) | Self::Long(false, _)) => Ordering::Less,
            (Self::Long(false, _), Self::Short(..) | Self::Long(true, _)) => Ordering::Greater,
            (Self::Short(..), Self::Long(..)) => other.cmp(self).reverse(),
            (Self::Long(is_negative, one), Self::Long(_, two)) => {
                let order = (one.len(), one).cmp(&(two.len(), two));
                if *is_negative { order.reverse() } else { order }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_stand_in_their_order_however_they_are_written() {
        let of = |digits: &str| Exact::of_digits(digits.trim_start_matches('-'), digits.starts_with('-'));
        let double = |value| Exact::of_double(value).unwrap();
        let nines = "9".repeat(400);
        let rising = [
            of(&format!("-{nines}")),
            double(-1e300),
            of("-9223372036854775809"),
            of("-9223372036854775808"),
            double(-1.5),
            of("-1"),
            double(-0.5),
            double(-0.25),
            double(-1e-300),
            of("0"),
            double(1e-300),
            double(0.25),
            double(0.5),
            of("1"),
            of("18446744073709551616"),
            double(1e20),
            of("100000000000000000001"),
            double(f64::MAX),
            of(&nines),
        ];
        for (at, one) in rising.iter().enumerate() {
            for (other, two) in rising.iter().enumerate() {
                assert_eq!(one.cmp(two), at.cmp(&other), "{one:?} and {two:?}");
            }
        }
        assert_eq!(double(-0.0), of("0"));
        assert_eq!(double(1e20), of("100000000000000000000"));
        assert_eq!(Exact::of_double(f64::NAN), None);
    }
}
