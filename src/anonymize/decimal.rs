//! Decimal numbers as they are written, exact: bins and grids of 0.1 have the edges that a reader expects.
//!
//! Taken are an optional minus, digits, a point with digits, and an exponent (RFC 8259 section 6, but for leading zeros, which
//! stand in many a column). Not taken are blanks, a plus, separators of thousands, a comma, `inf` and `nan`. Within 30 digits before and after the point.

use super::value::{Cell, Made, Refused};

/// A number: an integer, divided by a power of ten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal {
    units: i128,
    places: u32,
}

/// Most digits of a number, on both sides of the point together; 10^34 times 1000 is below the largest `i128`.
const DIGITS: usize = 30;

impl Decimal {
    /// The number that this text says, if it says one.
    pub fn read(text: &str) -> Result<Self, Refused> {
        // Shorter than this, it cannot make work either.
        if text.len() > 64 {
            return Err(Refused::Number);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, part) = match digits.split_once('.') {
            Some((_, "")) => return Err(Refused::Number),
            Some((whole, part)) => (whole, part),
            None => (digits, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Number);
        }
        let part = part.trim_end_matches('0');
        let mut units = 0i128;
        for byte in whole.bytes().chain(part.bytes()) {
            units = units
                .checked_mul(10)
                .and_then(|u| u.checked_add(i128::from(byte - b'0')))
                .ok_or(Refused::Range)?;
        }
        if negative {
            units = -units;
        }
        let places = i32::try_from(part.len()).map_err(|_| Refused::Range)? - exponent;
        let (units, places) = match u32::try_from(places) {
            Ok(places) => (units, places),
            Err(_) => (raised(units, places.unsigned_abs())?, 0),
        };
        Self { units, places }.bounded()
    }

    /// The number of a cell: an integer, a finite float as it is written shortest, or a text.
    pub fn of(cell: Cell<'_>) -> Result<Self, Refused> {
        match cell {
            Cell::Int(number) => Ok(Self { units: i128::from(number), places: 0 }),
            Cell::Float(number) if number.is_finite() => Self::read(&format!("{number:e}")),
            Cell::Float(_) => Err(Refused::Number),
            Cell::Text(text) => Self::read(text),
            _ => Err(Refused::Kind),
        }
    }

    pub fn integer(number: i64) -> Self {
        Self { units: i128::from(number), places: 0 }
    }

    /// 10^-places.
    pub fn step(places: u32) -> Self {
        Self { units: 1, places }
    }

    fn bounded(self) -> Result<Self, Refused> {
        let limit = 10i128.pow(DIGITS as u32);
        if self.places as usize > DIGITS || self.units.abs() >= limit {
            return Err(Refused::Range);
        }
        Ok(self)
    }

    pub fn is_positive(self) -> bool {
        self.units > 0
    }

    /// Which is larger; exact.
    pub fn cmp(self, other: Self) -> Result<std::cmp::Ordering, Refused> {
        let (one, other, _) = aligned(self, other)?;
        Ok(one.cmp(&other))
    }

    /// The multiple of *width* from *origin* at or below this, and the next.
    pub fn bin(self, width: Self, origin: Self) -> Result<(Self, Self), Refused> {
        let (number, width, places) = aligned3(self, width, origin)?;
        let below = number.0.checked_sub(number.1).ok_or(Refused::Range)?.div_euclid(width);
        let low = below.checked_mul(width).and_then(|at| at.checked_add(number.1)).ok_or(Refused::Range)?;
        let high = low.checked_add(width).ok_or(Refused::Range)?;
        Ok((Self { units: low, places }, Self { units: high, places }))
    }

    /// The nearest multiple of *step*; of two, the one further from zero.
    pub fn rounded(self, step: Self) -> Result<Self, Refused> {
        let (number, step, places) = aligned(self, step)?;
        let half = number.unsigned_abs().checked_mul(2).ok_or(Refused::Range)?;
        let step = step.unsigned_abs();
        let times =
            half.checked_add(step).ok_or(Refused::Range)? / step.checked_mul(2).ok_or(Refused::Range)?;
        let units =
            i128::try_from(times.checked_mul(step).ok_or(Refused::Range)?).map_err(|_| Refused::Range)?;
        Ok(Self { units: if number < 0 { -units } else { units }, places })
    }

    /// This number in the kind of a cell that it came from: an integer stays one if it can.
    pub fn like(self, cell: Cell<'_>) -> Made {
        match cell {
            Cell::Text(_) => Made::Text(self.written()),
            Cell::Int(_) if self.trimmed().places == 0 => match i64::try_from(self.trimmed().units) {
                Ok(number) => Made::Int(number),
                Err(_) => Made::Text(self.written()),
            },
            // A decimal text is always a float's.
            _ => self.written().parse().map_or(Made::Null, Made::Float),
        }
    }

    /// As a text with no more digits than are needed.
    pub fn written(self) -> String {
        let Self { units, places } = self.trimmed();
        let digits = units.unsigned_abs().to_string();
        let places = places as usize;
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        let sign = if units < 0 { "-" } else { "" };
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    /// Whether it is an integer.
    pub fn is_whole(self) -> bool {
        self.trimmed().places == 0
    }

    fn trimmed(mut self) -> Self {
        while self.places > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.places -= 1;
        }
        self
    }
}

fn exponent_of(text: &str) -> Result<i32, Refused> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refused::Number);
    }
    // `parse` takes a plus as well. More than four digits are beyond any bound here.
    if digits.len() > 4 { Err(Refused::Range) } else { text.parse().map_err(|_| Refused::Number) }
}

fn raised(units: i128, places: u32) -> Result<i128, Refused> {
    if units == 0 {
        return Ok(0);
    }
    10i128.checked_pow(places).and_then(|power| units.checked_mul(power)).ok_or(Refused::Range)
}

/// Both in units of the finer, and how fine that is.
fn aligned(one: Decimal, other: Decimal) -> Result<(i128, i128, u32), Refused> {
    let places = one.places.max(other.places);
    Ok((raised(one.units, places - one.places)?, raised(other.units, places - other.places)?, places))
}

fn aligned3(number: Decimal, width: Decimal, origin: Decimal) -> Result<((i128, i128), i128, u32), Refused> {
    let places = number.places.max(width.places).max(origin.places);
    let at = |of: Decimal| raised(of.units, places - of.places);
    Ok(((at(number)?, at(origin)?), at(width)?, places))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Decimal {
        Decimal::read(text).unwrap()
    }

    #[test]
    fn numbers_are_read_and_written_as_they_are() {
        for (text, written) in [
            ("0", "0"),
            ("-0", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("-0.05", "-0.05"),
            ("1e3", "1000"),
            ("1.25E+1", "12.5"),
            ("5e-3", "0.005"),
            ("0e400", "0"),
        ] {
            assert_eq!(read(text).written(), written, "{text}");
        }
        assert!(Decimal::of(Cell::Float(f64::NAN)).is_err());
        assert!(Decimal::of(Cell::Float(1e300)).is_err());
        assert_eq!(Decimal::of(Cell::Float(0.1)).unwrap().written(), "0.1");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            "+1",
            "1.",
            ".5",
            "1,5",
            " 1",
            "1 ",
            "inf",
            "nan",
            "0x1",
            "1e",
            "1e1.5",
            "--1",
            "1_000",
            "\u{661}",
            "1e99999",
            "1e31",
            "1e-31",
            &"9".repeat(31),
            &"1".repeat(65),
        ] {
            assert!(Decimal::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bins_have_the_edges_that_are_written() {
        let bin = |number: &str, width: &str, origin: &str| {
            let (low, high) = read(number).bin(read(width), read(origin)).unwrap();
            (low.written(), high.written())
        };
        assert_eq!(bin("0.3", "0.1", "0"), ("0.3".into(), "0.4".into()));
        assert_eq!(bin("0.29", "0.01", "0"), ("0.29".into(), "0.3".into()));
        assert_eq!(bin("-0.5", "10", "0"), ("-10".into(), "0".into()));
        assert_eq!(bin("17", "10", "5"), ("15".into(), "25".into()));
        assert_eq!(read("25").rounded(read("10")).unwrap().written(), "30");
        assert_eq!(read("-25").rounded(read("10")).unwrap().written(), "-30");
        assert_eq!(read("2.345").rounded(Decimal::step(2)).unwrap().written(), "2.35");
    }
}
