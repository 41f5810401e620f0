//! Reads a quota: `"60/minute burst 20; 1000/day"`.
//!
//! The grammar is that of `limits` and Flask-Limiter, whole:
//! `<count> (/|per) [<n>] <second|minute|hour|day|month|year>[s]`, in any case, several joined by `,` `;` or
//! `|`; a month has 30 days and a year 360. Ours in addition, at the end of a quota, the rule by which it is counted:
//!
//! 1. nothing, or `burst <cells>`: a rate. Without `burst` the burst is the count: a key that was quiet may spend the count at
//!    once, and then one cell each `period / count`. That interval is rounded *up* to whole nanoseconds, so rounding never admits more;
//! 2. `fixed [<zone>]`: so many in each window of the calendar: `1000/day fixed Europe/Berlin` begins anew at each midnight there. Months and
//!    years are then those of the calendar; several units make one window where they divide the next larger unit: `6 hours`, not `7 hours`;
//! 3. `sliding`: about so many in any period, by two counters of which the older one counts for the part of it that is still within the period, as if it had
//!    been spent evenly. Who spends all of it in its last instant and then as it comes back has `2 * count - 1` in one period, at worst;
//! 4. instead of a period, `concurrent`: `20 concurrent` are in progress at once at most.
//!
//! What cannot be meant is refused, not guessed: zero, numbers over 2^32 - 1, anything after the end.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::ConfigError;

use super::{LONGEST, SECOND};

/// How many cells a key may spend: `count` per `period`, at most `burst` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    count: NonZeroU32,
    burst: NonZeroU32,
    /// In nanoseconds.
    period: u64,
    rule: Rule,
    text: String,
    cells: governor::Quota,
}

/// How a quota is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// By GCRA: a cell comes back each `period / count`.
    Rate,
    /// In windows of the calendar.
    Fixed(Span),
    /// In the period that ends now, approximately: less than twice as many.
    Sliding,
    /// While it lasts. It has no period.
    Concurrent,
}

/// Which windows of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `second` to `year`.
    pub unit: &'static str,
    /// How many units make a window.
    pub every: u32,
    /// The time zone's name in the IANA database.
    pub zone: String,
}

impl Quota {
    /// Reads one or several quotas.
    pub fn parse(text: &str) -> Result<Vec<Self>, ConfigError> {
        if text.len() > MAX_TEXT {
            return Err(ConfigError::new(format!(
                "a quota of {} bytes is not readable text: at most {MAX_TEXT} bytes",
                text.len()
            )));
        }
        text.split([',', ';', '|']).map(|one| Self::parse_one(one, text)).collect()
    }

    /// Cells per period.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// The period, in nanoseconds.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// The most cells that may be spent at once.
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// How it is counted.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The one way to write this quota, for example `60/minute burst 20`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Nanoseconds in which one cell comes back, rounded up.
    pub fn interval(&self) -> u64 {
        self.cells.replenish_interval().as_nanos() as u64
    }

    /// Nanoseconds in which an empty counter becomes full.
    pub fn fill(&self) -> u64 {
        self.interval() * u64::from(self.burst())
    }

    /// Seconds in which an empty counter becomes full, rounded up, by the quota as written.
    ///
    /// From the fraction and not from [`interval`](Self::interval), whose rounding would turn the 60 of `7/minute` into 61.
    pub fn window(&self) -> u64 {
        let nanos = (u128::from(self.period) * u128::from(self.burst())).div_ceil(u128::from(self.count()));
        (nanos.div_ceil(u128::from(SECOND)) as u64).max(1)
    }

    /// The quota as governor's.
    pub(crate) fn cells(&self) -> governor::Quota {
        self.cells
    }

    fn parse_one(one: &str, whole: &str) -> Result<Self, ConfigError> {
        let refuse =
            |why: String| ConfigError::new(format!("the quota {} cannot be read: {why}", quoted(whole)));
        let mut rest = Cursor(one.trim());
        if rest.0.is_empty() {
            return Err(refuse("a quota is missing. Write one such as \"60/minute\"".into()));
        }
        let Some(count) = rest.digits() else {
            return Err(refuse(format!(
                "{} does not begin with a count. Write one such as \"60/minute\" or \"1 per 2 hours\"",
                quoted(rest.0)
            )));
        };
        let count_text = count;
        let count = number(count, "the count").map_err(refuse)?;
        if rest.word_prefix("concurrent") {
            if !rest.0.is_empty() {
                return Err(refuse(format!("{} is left over after \"concurrent\"", quoted(rest.0))));
            }
            return Self::concurrent(count).map_err(refuse);
        }
        if !(rest.sign('/') || rest.word_prefix("per")) {
            let cure = format!("Write \"{count_text}/minute\" or \"{count_text} per minute\"");
            return Err(refuse(format!("\"/\" or \"per\" is missing after {count_text}. {cure}")));
        }
        let every = match rest.digits() {
            Some(digits) => number(digits, "the number of units").map_err(refuse)?,
            None => NonZeroU32::MIN,
        };
        let word = rest.letters();
        let (unit, seconds) = unit(word).ok_or_else(|| refuse(unknown_unit(count_text, word)))?;
        let mut burst = count;
        let mut rule = Rule::Rate;
        if rest.word_prefix("burst") {
            let Some(digits) = rest.digits() else {
                return Err(refuse("\"burst\" needs a number of cells, as in \"60/minute burst 20\"".into()));
            };
            burst = number(digits, "the burst").map_err(refuse)?;
        } else if rest.word_prefix("fixed") {
            rule = Rule::Fixed(Span::new(unit, every.get(), rest.zone()).map_err(refuse)?);
        } else if rest.word_prefix("sliding") {
            rule = Rule::Sliding;
        }
        if !rest.0.is_empty() {
            let cure = "After the unit only \"burst\" and a number, \"fixed\" and a time zone, or \"sliding\" may follow; \
                        quotas are joined by \";\"";
            return Err(refuse(format!("{} is left over. {cure}", quoted(rest.0))));
        }
        Self::new(count, every, unit, seconds, burst, rule).map_err(refuse)
    }

    fn concurrent(count: NonZeroU32) -> Result<Self, String> {
        if count.get() > MOST_CONCURRENT {
            return Err(format!("at most {MOST_CONCURRENT} can be counted at once"));
        }
        let mut quota = Self::new(count, NonZeroU32::MIN, "second", 1, count, Rule::Concurrent)?;
        quota.text = format!("{count} concurrent");
        Ok(quota)
    }

    fn new(
        count: NonZeroU32,
        every: NonZeroU32,
        unit: &'static str,
        seconds: u64,
        burst: NonZeroU32,
        rule: Rule,
    ) -> Result<Self, String> {
        let too_long = || "it would take over 100 years to replenish. Ask for a shorter period".to_owned();
        let period = u64::from(every.get()).checked_mul(seconds * SECOND).filter(|&ns| ns <= LONGEST);
        let period = period.ok_or_else(too_long)?;
        let interval = period.div_ceil(u64::from(count.get()));
        interval.checked_mul(u64::from(burst.get())).filter(|&ns| ns <= LONGEST).ok_or_else(too_long)?;
        let cells = governor::Quota::with_period(Duration::from_nanos(interval)).ok_or_else(too_long)?;
        let mut text = match every.get() {
            1 => format!("{count}/{unit}"),
            n => format!("{count}/{n} {unit}s"),
        };
        if burst != count {
            text.push_str(&format!(" burst {burst}"));
        }
        match &rule {
            Rule::Fixed(span) if span.zone == UTC => text.push_str(" fixed"),
            Rule::Fixed(span) => text.push_str(&format!(" fixed {}", span.zone)),
            Rule::Sliding => text.push_str(" sliding"),
            Rule::Rate | Rule::Concurrent => {}
        }
        if !matches!(rule, Rule::Rate) && period > LONGEST / 8 {
            return Err(too_long());
        }
        Ok(Self { count, burst, period, rule, text, cells: cells.allow_burst(burst) })
    }
}

impl Span {
    fn new(unit: &'static str, every: u32, zone: &str) -> Result<Self, String> {
        let (within, larger) = match unit {
            "second" => (60, "a minute"),
            "minute" => (60, "an hour"),
            "hour" => (24, "a day"),
            "month" => (12, "a year"),
            "day" => (1, "a day"),
            _ => (1, "a year"),
        };
        if within % every != 0 {
            return Err(format!(
                "{every} {unit}s do not divide {larger}, so no window of the calendar is that long. Write \"sliding\" \
                 instead of \"fixed\", or another number"
            ));
        }
        Ok(Self { unit, every, zone: if zone.is_empty() { UTC } else { zone }.to_owned() })
    }
}

/// What is left to read. Each step also takes the white space that follows.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn digits(&mut self) -> Option<&'a str> {
        let taken = self.take_while(|b| b.is_ascii_digit());
        (!taken.is_empty()).then_some(taken)
    }

    fn letters(&mut self) -> &'a str {
        self.take_while(|b| b.is_ascii_alphabetic())
    }

    /// Whatever may be the name of a time zone: `Europe/Berlin`, `Etc/GMT+5`.
    fn zone(&mut self) -> &'a str {
        self.take_while(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
    }

    fn sign(&mut self, sign: char) -> bool {
        let Some(rest) = self.0.strip_prefix(sign) else { return false };
        self.0 = rest.trim_start();
        true
    }

    /// Takes `word` in any case, whatever follows it: `10per5minutes` is in the grammar.
    fn word_prefix(&mut self, word: &str) -> bool {
        match self.0.split_at_checked(word.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(word) => {
                self.0 = rest.trim_start();
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|b| !wanted(b)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        taken
    }
}

fn number(digits: &str, what: &str) -> Result<NonZeroU32, String> {
    let Ok(value) = digits.parse::<u32>() else {
        return Err(format!("{what} {digits} is over 4294967295"));
    };
    NonZeroU32::new(value)
        .ok_or_else(|| format!("{what} is 0, which would refuse everyone or no one. Write 1 or more"))
}

fn unit(word: &str) -> Option<(&'static str, u64)> {
    let lower = word.to_ascii_lowercase();
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    UNITS.into_iter().find(|(name, _)| *name == singular)
}

fn unknown_unit(count: &str, word: &str) -> String {
    let known = "second, minute, hour, day, month (30 days) and year (360 days)";
    if word.is_empty() {
        return format!("the unit is missing. Write \"{count}/minute\", for example; the units are {known}");
    }
    let lower = word.to_ascii_lowercase();
    let meant = match lower.as_str() {
        "week" | "weeks" | "w" => Some("7 days"),
        "m" | "min" | "mins" => Some("minute"),
        "h" | "hr" | "hrs" => Some("hour"),
        "y" | "yr" | "yrs" => Some("year"),
        _ => UNITS.into_iter().map(|(name, _)| name).find(|name| near(&lower, name)),
    };
    let hint = meant.map(|unit| format!(" Did you mean \"{count}/{unit}\"?")).unwrap_or_default();
    format!("{} is not a unit.{hint} The units are {known}", quoted(word))
}

/// Whether `word` abbreviates `name`, or is one slip away from it: a letter more, less or other, or two swapped.
fn near(word: &str, name: &str) -> bool {
    let word = word.strip_suffix('s').unwrap_or(word);
    if !word.is_empty() && name.starts_with(word) {
        return true;
    }
    let (a, b) = (word.as_bytes(), name.as_bytes());
    let same_head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let same_tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let longer = a.len().max(b.len());
    let shorter = a.len().min(b.len());
    let slip = longer - (same_head + same_tail).min(shorter);
    let swapped = a.len() == b.len()
        && slip == 2
        && a.get(same_head) == b.get(same_head + 1)
        && a.get(same_head + 1) == b.get(same_head);
    slip <= 1 || swapped
}

/// The text as a developer wrote it, shortened.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

const MAX_TEXT: usize = 1000;

const UTC: &str = "UTC";

/// Each is looked for in a place of its own.
const MOST_CONCURRENT: u32 = 1024;

const UNITS: [(&str, u64); 6] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("month", 30 * 86_400),
    ("year", 360 * 86_400),
];
