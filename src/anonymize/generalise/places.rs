//! Where somebody is: postcodes, IP addresses, coordinates.
//!
//! - A postcode keeps its first characters. Under HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)(B)) a ZIP code keeps three, and
//!   becomes `000` where the areas of these three have 20,000 people or fewer; which these are, the plan says.
//! - An IP address becomes the network that it is in: /24 for IPv4, /48 for IPv6. An IPv4 address that is written in IPv6 is one:
//!   mapped (`::ffff:0:0/96`), by 6to4 (`2002::/16`, RFC 3056), whose /48 would hold the whole of it, or by NAT64 (`64:ff9b::/96`, RFC
//!   6052).
//! - A coordinate is rounded to so many decimals: of a degree, one is some 11 km from north to south, two are 1.1 km.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::decimal::Decimal;
use super::super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// The first three digits of those ZIP codes whose areas had 20,000 people or fewer in the census of 2000, as the US Department of
/// Health and Human Services lists them in its guidance on de-identification (2012). Later censuses have others.
pub const ZIP3_SMALL_2000: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884",
    "890", "893",
];

/// Keeps the first characters of postcodes.
pub struct Postcodes {
    keep: usize,
    shape: Shape,
    small: Vec<String>,
    instead: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Letters, digits, and single spaces or dashes between them.
    Any,
    /// Five digits, and four more after a dash.
    Us,
}

impl Postcodes {
    /// *country* is `"us"`, for ZIP codes, or none. Beginnings that are listed as *small* become *instead*.
    ///
    /// # Errors
    /// If *keep* is not 1 to 8, below 5 for ZIP codes, or a small beginning is longer or shorter than what is kept, or has
    /// letters that no beginning has.
    pub fn new(
        keep: usize,
        country: Option<&str>,
        small: &[&str],
        instead: &str,
    ) -> Result<Self, ConfigError> {
        let shape = match country {
            None => Shape::Any,
            Some("us") => Shape::Us,
            Some(other) => {
                return Err(ConfigError::new(format!(
                    "country: {other:?} is not known. There is \"us\"; leave it out for any other"
                )));
            }
        };
        let most = if shape == Shape::Us { 4 } else { 8 };
        if !(1..=most).contains(&keep) {
            return Err(ConfigError::new(format!("keep: 1 to {most} characters")));
        }
        if let Some(odd) = small.iter().find(|beginning| beginning.chars().count() != keep) {
            return Err(ConfigError::new(format!(
                "small: {odd:?} has not {keep} characters, as many as are kept"
            )));
        }
        let (can_be, what): (fn(&char) -> bool, _) = match shape {
            Shape::Us => (char::is_ascii_digit, "digits"),
            Shape::Any => (char::is_ascii_alphanumeric, "letters and digits"),
        };
        // One that never matches would let a small place pass, unseen.
        if let Some(odd) = small.iter().find(|beginning| !beginning.chars().all(|letter| can_be(&letter))) {
            return Err(ConfigError::new(format!(
                "small: {odd:?} is no beginning: they have {what} of ASCII alone"
            )));
        }
        let mut small: Vec<String> = small.iter().map(|beginning| beginning.to_ascii_uppercase()).collect();
        small.sort_unstable();
        Ok(Self { keep, shape, small, instead: instead.to_owned() })
    }

    /// The beginning of a postcode, in capitals.
    ///
    /// # Errors
    /// [`Refused::Postcode`] for what is none or would be kept whole; [`Refused::Kind`] for what is no text: a number has lost its
    /// leading zeros.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let Cell::Text(text) = cell else { return Err(Refused::Kind) };
        if !self.is_postcode(text) {
            return Err(Refused::Postcode);
        }
        let letters: String = text
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        if letters.len() <= self.keep {
            return Err(Refused::Postcode);
        }
        let kept: String = letters.chars().take(self.keep).collect();
        let small = self.small.binary_search(&kept).is_ok();
        Ok(Made::Text(if small { self.instead.clone() } else { kept }))
    }

    fn is_postcode(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self.shape {
            Shape::Us => {
                let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
                match bytes.len() {
                    5 => digits(bytes),
                    10 => bytes.get(5) == Some(&b'-') && digits(&bytes[..5]) && digits(&bytes[6..]),
                    _ => false,
                }
            }
            Shape::Any => {
                (3..=12).contains(&bytes.len())
                    && bytes.iter().any(u8::is_ascii_digit)
                    && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
                    && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
                    && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-'))
                    && !bytes.windows(2).any(|pair| pair.iter().all(|byte| !byte.is_ascii_alphanumeric()))
            }
        }
    }
}

/// Makes networks of IP addresses.
pub struct Networks {
    v4: u32,
    v6: u32,
}

impl Networks {
    /// # Errors
    /// If nothing would be cut: for IPv4 0 to 31 bits stay, for IPv6 0 to 127.
    pub fn new(v4: u32, v6: u32) -> Result<Self, ConfigError> {
        if v4 > 31 || v6 > 127 {
            return Err(ConfigError::new("v4 is 0 to 31 bits, v6 0 to 127"));
        }
        Ok(Self { v4, v6 })
    }

    /// The network of an address, such as `192.0.2.0/24`.
    ///
    /// # Errors
    /// [`Refused::Ip`], or [`Refused::Kind`] for no text.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let Cell::Text(text) = cell else { return Err(Refused::Kind) };
        let address: IpAddr = text.parse().map_err(|_| Refused::Ip)?;
        Ok(Made::Text(match within(address) {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - self.v4).unwrap_or(0);
                format!("{}/{}", Ipv4Addr::from_bits(address.to_bits() & mask), self.v4)
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - self.v6).unwrap_or(0);
                format!("{}/{}", Ipv6Addr::from_bits(address.to_bits() & mask), self.v6)
            }
        }))
    }
}

/// The IPv4 address that an IPv6 address holds, or the address itself.
fn within(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match six.segments() {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        _ => address,
    }
}

/// Puts coordinates on a grid.
pub struct Grid(Decimal);

impl Grid {
    /// # Errors
    /// If *decimals* is not 0 to 4.
    pub fn new(decimals: u32) -> Result<Self, ConfigError> {
        if decimals > 4 {
            return Err(ConfigError::new("decimals is 0 to 4: five are a metre"));
        }
        Ok(Self(Decimal::step(decimals)))
    }

    /// A coordinate, in degrees, or a text of two, `latitude,longitude`, on the grid.
    ///
    /// # Errors
    /// [`Refused::Number`], [`Refused::Kind`], or [`Refused::Range`] beyond 180 degrees, and beyond 90 for a latitude.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        if let Cell::Text(text) = cell
            && let Some((latitude, longitude)) = text.split_once(',')
        {
            let longitude = longitude.strip_prefix(' ').unwrap_or(longitude);
            let (latitude, longitude) = (Decimal::read(latitude)?, Decimal::read(longitude)?);
            let (latitude, longitude) = (self.on(latitude, 90)?, self.on(longitude, 180)?);
            return Ok(Made::Text(format!("{},{}", latitude.written(), longitude.written())));
        }
        Ok(self.on(Decimal::of(cell)?, 180)?.like(cell))
    }

    fn on(&self, degrees: Decimal, most: i64) -> Result<Decimal, Refused> {
        use std::cmp::Ordering::{Greater, Less};
        if degrees.cmp(Decimal::integer(-most))? == Less || degrees.cmp(Decimal::integer(most))? == Greater {
            return Err(Refused::Range);
        }
        degrees.rounded(self.0)
    }
}
