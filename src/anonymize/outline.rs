//! Says what kind of values a column's results are, before there are any: tables whose columns have types need to know.
//!
//! It is the rule alone that says; a value that the rule cannot read does not change it.

use super::column::Column;
use super::pseudonym::Form;
use super::rules::Rule;
use super::suppress::Suppress;
use super::value::Made;

/// What a rule makes of values.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Whatever a function of the program's returns.
    Custom,
    /// Floating-point numbers.
    Float,
    /// Numbers of the kind that they were, but for an integer, which may become a float; texts of texts.
    Fraction,
    /// Integers.
    Integer,
    /// Nothing, and no column either.
    None,
    /// Nothing in each place.
    Null,
    /// What they were, but for texts in them that change.
    Redacted,
    /// What they were.
    Same,
    /// Texts.
    Text,
    /// Numbers of the kind that they were; texts of texts.
    Whole,
}

impl Gives {
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Float => "float",
            Self::Fraction => "fraction",
            Self::Integer => "integer",
            Self::None => "none",
            Self::Null => "null",
            Self::Redacted => "redacted",
            Self::Same => "same",
            Self::Text => "text",
            Self::Whole => "whole",
        }
    }
}

impl Column {
    /// What kind of values its results are.
    pub fn gives(&self) -> Gives {
        match self.rule() {
            Rule::Age(_)
            | Rule::Date(_)
            | Rule::Ff1(_)
            | Rule::Ip(_)
            | Rule::Postcode(_)
            | Rule::Token(_) => Gives::Text,
            Rule::Custom(_) => Gives::Custom,
            // A point of the grid between two integers is none that is nearer to either.
            Rule::Geo(_) => Gives::Whole,
            Rule::Keep => Gives::Same,
            Rule::Number(rule) if rule.makes_bins() => Gives::Text,
            Rule::Number(rule) if rule.is_whole() => Gives::Whole,
            Rule::Number(_) => Gives::Fraction,
            Rule::Pseudonym(rule) => match rule.form() {
                Form::Integer(..) => Gives::Integer,
                _ => Gives::Text,
            },
            // `[REDACTED]`, whatever it was.
            Rule::Redact if self.is_secret() => Gives::Text,
            Rule::Redact => Gives::Redacted,
            Rule::Suppress(Suppress::Constant(Made::Int(_))) => Gives::Integer,
            Rule::Suppress(Suppress::Constant(Made::Float(_))) => Gives::Float,
            Rule::Suppress(Suppress::Constant(_)) => Gives::Text,
            Rule::Suppress(Suppress::Drop) => Gives::None,
            Rule::Suppress(Suppress::Null) => Gives::Null,
        }
    }
}
