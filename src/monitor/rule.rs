//! What is too much of what, by whom, and in which time.

use crate::error::ConfigError;

use super::marks::Answer;
use super::observation::{Observation, Signs};

/// By whom is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The account that a login names.
    Account,
    /// The client's address; of IPv6, its prefix.
    Address,
    /// The principal, and where there is none, the address.
    Caller,
    /// All requests together.
    Host,
    /// The client's network: /24 of IPv4; of IPv6, its prefix.
    Network,
    /// Who it was found to be.
    Principal,
    /// The credential that it came with.
    Token,
}

impl Subject {
    /// Each with the name that rules call it by.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("account", Self::Account),
        ("address", Self::Address),
        ("caller", Self::Caller),
        ("host", Self::Host),
        ("network", Self::Network),
        ("principal", Self::Principal),
        ("token", Self::Token),
    ];

    /// The subject of a name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        named(&Self::NAMES, name, "subject")
    }

    /// What rules call it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, subject)| *subject == self).map_or("", |(name, _)| name)
    }

    /// Whether what is counted by this may be of such a subject.
    pub(super) fn may_be(self, subject: Self) -> bool {
        self == subject || self == Self::Caller && matches!(subject, Self::Address | Self::Principal)
    }

    /// Who it is here; none if nobody.
    #[inline]
    pub(super) fn of(self, observation: &Observation) -> Option<(Self, u64)> {
        let found = match self {
            Self::Account => (self, observation.account),
            Self::Address => (self, observation.address),
            Self::Caller if observation.principal != 0 => (Self::Principal, observation.principal),
            Self::Caller => (Self::Address, observation.address),
            Self::Host => (self, 1),
            Self::Network => (self, observation.network),
            Self::Principal => (self, observation.principal),
            Self::Token => (self, observation.token),
        };
        (found.1 != 0).then_some(found)
    }
}

/// Different ones of which are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Accounts that logins name.
    Accounts,
    /// Clients' addresses.
    Addresses,
    /// What was wrong with requests: route, code and reason.
    Kinds,
    /// Clients' networks.
    Networks,
    /// Paths with their queries.
    Objects,
    /// Paths.
    Places,
}

impl Item {
    #[inline]
    pub(super) fn of(self, observation: &Observation) -> u64 {
        match self {
            Self::Accounts => observation.account,
            Self::Addresses => observation.address,
            Self::Kinds => observation.kind,
            Self::Networks => observation.network,
            Self::Objects => observation.object,
            Self::Places => observation.place,
        }
    }
}

/// What somebody usually does, in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// What was given out.
    Bytes,
    /// 4xx, but 401 and 429.
    Errors,
    /// Whether they are here at such an hour at all.
    Hours,
    /// How many.
    Requests,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// What was given out.
    Bytes,
    /// How many.
    Count,
    /// How many different things.
    Distinct(Item),
    /// How often the table had to forget somebody who was being counted, or found no place.
    Evictions,
    /// How often it came from another network than the time before, of the same version of IP.
    Switches,
    /// Against what was learned of a principal.
    Unusual(Quantity),
}

impl Measure {
    /// Each with the name that rules call it by.
    pub const NAMES: [(&'static str, Self); 14] = [
        ("accounts", Self::Distinct(Item::Accounts)),
        ("addresses", Self::Distinct(Item::Addresses)),
        ("bytes", Self::Bytes),
        ("count", Self::Count),
        ("evictions", Self::Evictions),
        ("kinds", Self::Distinct(Item::Kinds)),
        ("networks", Self::Distinct(Item::Networks)),
        ("objects", Self::Distinct(Item::Objects)),
        ("places", Self::Distinct(Item::Places)),
        ("switches", Self::Switches),
        ("unusual_bytes", Self::Unusual(Quantity::Bytes)),
        ("unusual_errors", Self::Unusual(Quantity::Errors)),
        ("unusual_hours", Self::Unusual(Quantity::Hours)),
        ("unusual_requests", Self::Unusual(Quantity::Requests)),
    ];

    /// The measure of a name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        named(&Self::NAMES, name, "measure")
    }
}

/// A detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// 1 to 32 characters.
    pub name: String,
    /// Requests with any of these signs count.
    pub counts: Signs,
    /// Those that count must be at least `share` of those with any of these signs.
    pub among: Signs,
    /// By whom is counted.
    pub by: Subject,
    /// What is counted.
    pub measure: Measure,
    /// What is too much: requests, different things, or bytes. Of what is unusual, what is not looked at below.
    pub threshold: u64,
    /// Seconds. Of what is unusual it is always an hour, of evictions ten minutes.
    pub window: u32,
    /// 0.0 to 1.0; 0.0 asks nothing of `among`.
    pub share: f64,
    /// So many times the threshold are too many whatever their share is; 0 always asks for the share.
    pub alone: u64,
    /// How many standard deviations above the mean are unusual.
    pub deviations: f64,
    /// Active hours that must have been learned before anything is unusual.
    pub learned: u32,
    /// What is in force then on whom it is about: so it can be put in force again, if it is no longer.
    pub answer: Answer,
}

impl Rule {
    /// Checks what types do not.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let wrong = |what: &str| Err(ConfigError::new(format!("the rule {:?}: {what}", self.name)));
        if self.name.is_empty() || self.name.len() > NAME || !self.name.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(ConfigError::new(format!(
                "a rule's name is 1 to {NAME} letters, digits and signs without spaces, not {:?}",
                self.name
            )));
        }
        if self.counts.0 == 0 && self.measure != Measure::Evictions {
            return wrong("it counts nothing: name at least one sign in `counts`");
        }
        if self.threshold == 0 {
            return wrong("a threshold is at least 1");
        }
        if matches!(self.measure, Measure::Distinct(_)) && self.threshold > MOST_DISTINCT {
            return wrong("at most 1000000 different things are told apart");
        }
        if !matches!(self.measure, Measure::Bytes | Measure::Unusual(Quantity::Bytes))
            && self.threshold > MOST_COUNT
        {
            return wrong("a threshold is at most 1000000000");
        }
        if !(2..=7 * 86_400).contains(&self.window) {
            return wrong("a window is 2 seconds to 7 days");
        }
        if !(0.0..=1.0).contains(&self.share) {
            return wrong("a share is 0.0 to 1.0");
        }
        if self.share > 0.0 && self.among.0 == 0 {
            return wrong("a share is one of something: name at least one sign in `among`");
        }
        if self.alone > MOST_ALONE {
            return wrong("`alone` is at most 20 times the threshold");
        }
        if !(1.0..=100.0).contains(&self.deviations) {
            return wrong("deviations are 1 to 100");
        }
        match self.measure {
            Measure::Unusual(_) if self.by != Subject::Principal => {
                wrong("what is unusual is learned of principals: by = \"principal\"")
            }
            Measure::Evictions if self.by != Subject::Host => wrong("the table is the host's: by = \"host\""),
            Measure::Switches if matches!(self.by, Subject::Address | Subject::Network) => {
                wrong("an address never changes its network")
            }
            _ => Ok(self),
        }
    }

    /// Of different things, one in two to this power is counted.
    pub(super) fn sampling(&self) -> u32 {
        match self.measure {
            Measure::Distinct(_) => {
                // The larger one is estimated twice as far into the sketch, where it is as exact as the smaller one.
                let most = self.threshold.max(self.threshold * self.alone / 2);
                most.div_ceil(FEW_DISTINCT).next_power_of_two().trailing_zeros()
            }
            _ => 0,
        }
    }
}

impl Answer {
    /// The answer of a name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        named(&Self::NAMES, name, "response")
    }
}

fn named<T: Copy>(known: &[(&'static str, T)], name: &str, what: &str) -> Result<T, ConfigError> {
    known.iter().find(|(known, _)| *known == name).map(|(_, found)| *found).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        ConfigError::new(format!("{name:?} is no {what} of a rule; these are: {}", known.join(", ")))
    })
}

/// Bytes of a rule's name.
pub(super) const NAME: usize = 32;
const MOST_DISTINCT: u64 = 1_000_000;
const MOST_COUNT: u64 = 1_000_000_000;
const FEW_DISTINCT: u64 = 300;
const MOST_ALONE: u64 = 20;
