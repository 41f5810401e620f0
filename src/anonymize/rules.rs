//! What is done to one column, as its table in the plan says.
//!
//! | `do` | members (those with a default in brackets) |
//! |---|---|
//! | `keep`, `drop`, `null`, `redact` | none |
//! | `constant` | `value` |
//! | `custom` | `function` |
//! | `pseudonym` | `scope`, \[`form`, `bits`, `low`, `high`, `normalise`\] |
//! | `token` | `scope`, \[`keyset`\] |
//! | `ff1` | `scope`, \[`alphabet`, `separators`, `tweak`\] |
//! | `date` | `to`, \[`format`, `earliest`\] |
//! | `age` | `reference`, \[`width`, `top`, `format`\] |
//! | `number` | one of `edges`, `width` (\[`origin`\]), `round`; \[`low`, `high`\] |
//! | `postcode` | `keep`, \[`country`, `small`, `instead`\] |
//! | `ip` | \[`v4`, `v6`\] |
//! | `geo` | `decimals` |

use serde_json::Value;

use super::ff1::{Alphabet, Ff1};
use super::generalise::{
    Ages, DateFormat, Dates, Grid, Networks, Numbers, Postcodes, Unit, ZIP3_SMALL_2000, named_date,
};
use super::key::MasterKey;
use super::plan::Hands;
use super::pseudonym::{BASE32_BITS, EMAIL_BITS, Form, HEX_BITS, Pseudonymizer};
use super::reading::Fields;
use super::spelling::Spelling;
use super::suppress::Suppress;
use super::token::Tokenizer;
use super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// What is done to the values of a column.
pub(super) enum Rule {
    Age(Ages),
    Custom(String),
    Date(Dates),
    Ff1(Box<Ff1>),
    Geo(Grid),
    Ip(Networks),
    Keep,
    Number(Numbers),
    Postcode(Postcodes),
    Pseudonym(Pseudonymizer),
    Redact,
    Suppress(Suppress),
    Token(Tokenizer),
}

/// Every rule, in alphabetical order.
pub const RULES: [&str; 15] = [
    "age",
    "constant",
    "custom",
    "date",
    "drop",
    "ff1",
    "geo",
    "ip",
    "keep",
    "null",
    "number",
    "postcode",
    "pseudonym",
    "redact",
    "token",
];

impl Rule {
    /// The rule that a table says, and the word for it.
    pub fn read(fields: &mut Fields<'_>, hands: &Hands<'_>) -> Result<(Self, &'static str), ConfigError> {
        let Some(word) = fields.word("do", &RULES)? else {
            return Err(fields
                .wrong("do", "it is missing. A path with dots stands in quotes: [columns.\"user.email\"]"));
        };
        Ok((Self::of(word, fields, hands)?, word))
    }

    /// A rule that needs nothing but its word.
    pub fn bare(word: &str, hands: &Hands<'_>) -> Option<Self> {
        match word {
            "keep" => Some(Self::Keep),
            "drop" => Some(Self::Suppress(Suppress::Drop)),
            "null" => Some(Self::Suppress(Suppress::Null)),
            "redact" if hands.scrub.is_some() => Some(Self::Redact),
            _ => None,
        }
    }

    fn of(word: &str, fields: &mut Fields<'_>, hands: &Hands<'_>) -> Result<Self, ConfigError> {
        if let Some(bare) = Self::bare(word, hands) {
            return Ok(bare);
        }
        Ok(match word {
            "constant" => Self::Suppress(Suppress::Constant(constant(fields)?)),
            "custom" => Self::Custom(custom(fields, hands)?),
            "pseudonym" => Self::Pseudonym(pseudonym(fields, hands)?),
            "token" => {
                let scope = fields.needed("scope", "\"mail\"")?;
                let keyset = fields.text("keyset")?;
                Self::Token(match (hands.sealer, keyset) {
                    (Some(sealer), keyset) => Tokenizer::with(sealer(scope, keyset)?, scope)?,
                    (None, None) => Tokenizer::new(key(fields, hands)?, scope)?,
                    (None, Some(_)) => {
                        return Err(fields.wrong("keyset", "no keysets were given: sealer=rampart.vault"));
                    }
                })
            }
            "ff1" => {
                let scope = fields.needed("scope", "\"card\"")?;
                let alphabet = Alphabet::new(fields.text("alphabet")?.unwrap_or("digits"))
                    .map_err(|error| fields.wrong("alphabet", &error.to_string()))?;
                let separators = fields.text("separators")?.unwrap_or("");
                let tweak = fields.text("tweak")?.unwrap_or("");
                Self::Ff1(Box::new(Ff1::scoped(
                    key(fields, hands)?,
                    scope,
                    alphabet,
                    separators,
                    tweak.as_bytes(),
                )?))
            }
            "date" => {
                let Some(unit) = fields.word("to", &Unit::NAMES)?.and_then(Unit::named) else {
                    return Err(fields.wrong("to", "it is missing; such as \"month\""));
                };
                let earliest = fields.integer("earliest")?.map(i32::try_from).transpose();
                let earliest = earliest.map_err(|_| fields.wrong("earliest", "a year is expected"))?;
                Self::Date(Dates::new(unit, format(fields)?, earliest)?)
            }
            "age" => {
                let reference = named_date(fields.needed("reference", "\"2026-01-31\"")?)?;
                let (width, top) = (fields.small("width", 10)?, fields.small("top", 90)?);
                Self::Age(Ages::new(reference, width, top, format(fields)?)?)
            }
            "number" => Self::Number(numbers(fields)?),
            "postcode" => Self::Postcode(postcode(fields)?),
            "ip" => Self::Ip(Networks::new(fields.small("v4", 24)?, fields.small("v6", 48)?)?),
            "geo" => {
                let Some(decimals) = fields.integer("decimals")? else {
                    return Err(fields.wrong("decimals", "it is missing; such as 1, some 11 km"));
                };
                Self::Geo(Grid::new(
                    u32::try_from(decimals).map_err(|_| fields.wrong("decimals", "it is 0 to 4"))?,
                )?)
            }
            _ => return Err(fields.wrong("do", "there is nothing here that redacts")),
        })
    }

    /// What is put in the place of a value that is there; `None` for the rules that this module does not carry out.
    pub fn made(&self, cell: Cell<'_>) -> Option<Result<Made, Refused>> {
        Some(match self {
            Self::Age(rule) => rule.apply(cell),
            Self::Date(rule) => rule.apply(cell),
            Self::Ff1(rule) => rule.apply(cell),
            Self::Geo(rule) => rule.apply(cell),
            Self::Ip(rule) => rule.apply(cell),
            Self::Number(rule) => rule.apply(cell),
            Self::Postcode(rule) => rule.apply(cell),
            Self::Pseudonym(rule) => rule.apply(cell),
            Self::Token(rule) => rule.apply(cell),
            Self::Custom(_) | Self::Keep | Self::Redact | Self::Suppress(_) => return None,
        })
    }
}

fn key<'h>(fields: &Fields<'_>, hands: &Hands<'h>) -> Result<&'h MasterKey, ConfigError> {
    hands.key.ok_or_else(|| {
        fields.wrong("do", "this rule needs a key, which is given beside the plan, never in it")
    })
}

fn constant(fields: &mut Fields<'_>) -> Result<Made, ConfigError> {
    match fields.get("value") {
        Some(Value::String(text)) => Ok(Made::Text(text.clone())),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(Made::Int(number)),
            (None, Some(number)) => Ok(Made::Float(number)),
            _ => Err(fields.wrong("value", "a text or a number is expected")),
        },
        _ => Err(fields.wrong("value", "a text or a number is expected, such as \"removed\"")),
    }
}

fn custom(fields: &mut Fields<'_>, hands: &Hands<'_>) -> Result<String, ConfigError> {
    let name = fields.needed("function", "\"shorten\"")?;
    if hands.customs.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let known = if hands.customs.is_empty() { "none".to_owned() } else { hands.customs.join(", ") };
    Err(fields.wrong("function", &format!("{name:?} was not given. There are {known}")))
}

fn pseudonym(fields: &mut Fields<'_>, hands: &Hands<'_>) -> Result<Pseudonymizer, ConfigError> {
    let scope = fields.needed("scope", "\"mail\"")?;
    let form = match fields.word("form", &["hex", "base32", "email", "integer"])?.unwrap_or("hex") {
        "base32" => Form::Base32(fields.small("bits", BASE32_BITS)?),
        "email" => Form::Email(fields.small("bits", EMAIL_BITS)?),
        "integer" => match (fields.integer("low")?, fields.integer("high")?) {
            (low, Some(high)) => Form::Integer(low.unwrap_or(0), high),
            _ => return Err(fields.wrong("high", "it is missing: the largest integer")),
        },
        _ => Form::Hex(fields.small("bits", HEX_BITS)?),
    };
    let spelling = Spelling::new(fields.texts("normalise")?.unwrap_or_default())?;
    Pseudonymizer::new(key(fields, hands)?, scope, form, spelling)
}

fn numbers(fields: &mut Fields<'_>) -> Result<Numbers, ConfigError> {
    let (edges, width, round) =
        (fields.decimals("edges")?, fields.decimal("width")?, fields.decimal("round")?);
    let (low, high) = (fields.decimal("low")?, fields.decimal("high")?);
    let origin = if width.is_some() { fields.decimal("origin")? } else { None };
    let numbers = match (edges, width, round) {
        (Some(edges), None, None) => Numbers::edges(&edges.iter().map(String::as_str).collect::<Vec<_>>())?,
        (None, Some(width), None) => Numbers::width(&width, origin.as_deref().unwrap_or("0"))?,
        (None, None, Some(step)) => Numbers::round(&step)?,
        (None, None, None) => Numbers::clamp(),
        _ => return Err(fields.wrong("do", "a number has one of edges, width and round")),
    };
    numbers.between(low.as_deref(), high.as_deref())
}

fn postcode(fields: &mut Fields<'_>) -> Result<Postcodes, ConfigError> {
    let Some(keep) = fields.integer("keep")? else {
        return Err(fields.wrong("keep", "it is missing: how many characters stay"));
    };
    let keep = usize::try_from(keep).map_err(|_| fields.wrong("keep", "it is 1 to 8"))?;
    let country = fields.text("country")?;
    let small = match fields.get("small") {
        Some(Value::String(name)) if name == "us-2000" => ZIP3_SMALL_2000.to_vec(),
        Some(Value::String(_)) => return Err(fields.wrong("small", "a list, or \"us-2000\", is expected")),
        _ => fields.texts("small")?.unwrap_or_default(),
    };
    Postcodes::new(keep, country, &small, fields.text("instead")?.unwrap_or("000"))
}

fn format(fields: &mut Fields<'_>) -> Result<DateFormat, ConfigError> {
    fields.text("format")?.map_or_else(|| Ok(DateFormat::default()), DateFormat::new)
}
