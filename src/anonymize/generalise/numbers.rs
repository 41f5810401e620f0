//! Numbers: bins of a width or between edges, rounding, and coding of the lowest and highest.
//!
//! 1. Below `low` a number is `low`, above `high` it is `high` (top and bottom coding): before a bin, as `<low` and `>=high`.
//! 2. Then, if asked for, it goes into a bin, `[20, 30)`, whose first number is in it and whose last is not; or it is rounded to
//!    the nearest multiple, halves away from zero.
//!
//! All of it is exact in decimals (`decimal.rs`). What is rounded keeps its kind; a bin is a text.

use std::cmp::Ordering;

use super::super::decimal::Decimal;
use super::super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// Makes numbers coarser.
pub struct Numbers {
    low: Option<Decimal>,
    high: Option<Decimal>,
    way: Way,
}

enum Way {
    Clamp,
    Edges(Vec<Decimal>),
    Round(Decimal),
    Width { width: Decimal, origin: Decimal },
}

/// Most edges of bins.
const MAX_EDGES: usize = 1000;

impl Numbers {
    /// Bins between these edges, as decimals, in rising order; what is below the first or not below the last is in `<first` or
    /// `>=last`.
    ///
    /// # Errors
    /// For edges that are no numbers, do not rise, or are none or more than 1000.
    pub fn edges(edges: &[&str]) -> Result<Self, ConfigError> {
        let edges = edges.iter().map(|edge| number("edges", edge)).collect::<Result<Vec<_>, _>>()?;
        let rising = edges.windows(2).all(|pair| matches!(pair, [a, b] if below(*a, *b)));
        if edges.is_empty() || edges.len() > MAX_EDGES || !rising {
            return Err(ConfigError::new(format!("edges: 1 to {MAX_EDGES} numbers that rise")));
        }
        Ok(Self { low: None, high: None, way: Way::Edges(edges) })
    }

    /// Bins of one width, counted from *origin*.
    ///
    /// # Errors
    /// If they are no numbers, or *width* is not above 0.
    pub fn width(width: &str, origin: &str) -> Result<Self, ConfigError> {
        let width = positive("width", width)?;
        Ok(Self { low: None, high: None, way: Way::Width { width, origin: number("origin", origin)? } })
    }

    /// Multiples of *step*.
    ///
    /// # Errors
    /// If it is no number above 0.
    pub fn round(step: &str) -> Result<Self, ConfigError> {
        Ok(Self { low: None, high: None, way: Way::Round(positive("round", step)?) })
    }

    /// Nothing but the bounds that [`Numbers::between`] sets.
    pub fn clamp() -> Self {
        Self { low: None, high: None, way: Way::Clamp }
    }

    /// With bounds.
    ///
    /// # Errors
    /// If they are no numbers, *low* is not below *high*, or there are edges, which have bounds of their own.
    pub fn between(mut self, low: Option<&str>, high: Option<&str>) -> Result<Self, ConfigError> {
        self.low = low.map(|low| number("low", low)).transpose()?;
        self.high = high.map(|high| number("high", high)).transpose()?;
        if let (Some(low), Some(high)) = (self.low, self.high)
            && !below(low, high)
        {
            return Err(ConfigError::new("low is below high"));
        }
        if matches!(self.way, Way::Edges(_)) && (self.low.is_some() || self.high.is_some()) {
            return Err(ConfigError::new("edges have bounds of their own: leave out low and high"));
        }
        if matches!(self.way, Way::Clamp) && self.low.is_none() && self.high.is_none() {
            return Err(ConfigError::new("a number needs one of edges, width, round, low, high"));
        }
        Ok(self)
    }

    /// Whether the results are names of bins.
    pub fn makes_bins(&self) -> bool {
        matches!(self.way, Way::Edges(_) | Way::Width { .. })
    }

    /// Whether each integer becomes an integer.
    pub fn is_whole(&self) -> bool {
        let step = if let Way::Round(step) = &self.way { Some(*step) } else { None };
        [self.low, self.high, step].into_iter().flatten().all(Decimal::is_whole)
    }

    /// The bin or the number.
    ///
    /// # Errors
    /// [`Refused::Number`], [`Refused::Range`] for one beyond 30 digits, or [`Refused::Kind`].
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let number = Decimal::of(cell)?;
        let under = match self.low {
            Some(low) if number.cmp(low)? == Ordering::Less => Some(low),
            _ => None,
        };
        let over = match self.high {
            Some(high) if number.cmp(high)? != Ordering::Less => Some(high),
            _ => None,
        };
        match &self.way {
            Way::Clamp => Ok(under.or(over).unwrap_or(number).like(cell)),
            Way::Round(step) => match under.or(over) {
                Some(bound) => Ok(bound.like(cell)),
                // Rounding may lead beyond a bound again.
                None => {
                    let rounded = number.rounded(*step)?;
                    let beyond = |bound: Option<Decimal>, way| match bound {
                        Some(bound) if rounded.cmp(bound).is_ok_and(|order| order == way) => Some(bound),
                        _ => None,
                    };
                    let bound = beyond(self.low, Ordering::Less).or(beyond(self.high, Ordering::Greater));
                    Ok(bound.unwrap_or(rounded).like(cell))
                }
            },
            Way::Width { width, origin } => Ok(Made::Text(match (under, over) {
                (Some(low), _) => format!("<{}", low.written()),
                (_, Some(high)) => format!(">={}", high.written()),
                _ => {
                    let (from, to) = number.bin(*width, *origin)?;
                    // A bin that a bound cuts is named as far as it goes.
                    let from = self.low.filter(|low| below(from, *low)).unwrap_or(from);
                    let to = self.high.filter(|high| below(*high, to)).unwrap_or(to);
                    format!("[{}, {})", from.written(), to.written())
                }
            })),
            Way::Edges(edges) => {
                let mut at = 0usize;
                for edge in edges {
                    if number.cmp(*edge)? == Ordering::Less {
                        break;
                    }
                    at += 1;
                }
                Ok(Made::Text(match (at.checked_sub(1).and_then(|at| edges.get(at)), edges.get(at)) {
                    (Some(from), Some(to)) => format!("[{}, {})", from.written(), to.written()),
                    (Some(last), None) => format!(">={}", last.written()),
                    (None, Some(first)) => format!("<{}", first.written()),
                    (None, None) => return Err(Refused::Range),
                }))
            }
        }
    }
}

fn below(one: Decimal, other: Decimal) -> bool {
    one.cmp(other).is_ok_and(|order| order == Ordering::Less)
}

fn number(name: &str, text: &str) -> Result<Decimal, ConfigError> {
    Decimal::read(text).map_err(|_| ConfigError::new(format!("{name}: {text:?} is not a number")))
}

fn positive(name: &str, text: &str) -> Result<Decimal, ConfigError> {
    match number(name, text)? {
        number if number.is_positive() => Ok(number),
        _ => Err(ConfigError::new(format!("{name} is above 0"))),
    }
}
