//! Whose place a newcomer takes, where sixteen are taken: so that no network and no rule crowds out the others.
//!
//! 1. A **party** is a wide network (/16 of IPv4, /32 of IPv6) and a rule. Of each sixteen places, those of one network
//!    are sure of four, and those of one rule of six.
//! 2. A counter that has come some way to its threshold is **kept**: it goes for nobody, unless there are more of its
//!    network or rule than their share, and then only for a party that has less than its own.
//! 3. A network that has its share takes the places of its own, or of one that has more; of what is not kept alone. So
//!    does a rule, but from a network that has more than its share.
//!    Within a network's share, a narrow one in it (/24, /48) that has several places gives way to one that has fewer,
//!    whatever is kept: so who floods out of one of them hides none of its neighbours.
//! 4. Who goes is of a network that has more than its share, if there is one, and else one that is not kept: of the
//!    network that has most, whoever is furthest from the threshold.
//!
//! So a flood out of one network displaces itself, however many addresses, accounts or paths it comes with. One out of
//! eight wide networks, of several rules, can fill all with what is kept; what then finds no place is charged to a counter
//! that is shared (`engine`).
//!
//! Of **marks** (`marks`) none is kept: whoever has most of the sixteen gives way, and nobody for when theirs ends.
//! What somebody has is the most of what their narrow network has, what their account or principal has, and a quarter of
//! what their wide network has. So one network fills no more than others leave it, whatever accounts it makes up, and one
//! account no more, whatever networks it comes from; both push out themselves.

use super::observation::Observation;
use super::rule::Subject;

/// Whose a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Party {
    /// A hash of the wide network (20 bits), and of the narrow one in it (12).
    pub(super) source: u32,
    /// A hash of the rule; of a mark, of the account or the principal.
    pub(super) rule: u16,
}

impl Party {
    /// Of a mark: out of a network, of an account or a principal.
    pub fn of(source: u32, whose: u64) -> Self {
        Self { source, rule: whose as u16 }
    }

    /// Of a mark that is of no network: nobody has more of its like by being in one.
    pub fn apart(whose: u64) -> Self {
        Self::of(source_of(whose >> 32, whose >> 16), whose)
    }

    /// Who is behind a finding about a subject: of a token its principal, who may have any number of them.
    pub fn behind(seen: &Observation, subject: Subject) -> Self {
        let whose = match subject {
            Subject::Account => seen.account,
            Subject::Token if seen.principal == 0 => seen.token,
            Subject::Principal | Subject::Token => seen.principal,
            Subject::Address | Subject::Caller => seen.address,
            Subject::Network => seen.network,
            Subject::Host => return Self::apart(1),
        };
        Self::of(seen.source, whose)
    }

    /// As one number, for who hands it on.
    pub fn number(self) -> u64 {
        u64::from(self.source) << 16 | u64::from(self.rule)
    }

    /// The party of a number.
    pub fn numbered(number: u64) -> Self {
        Self { source: (number >> 16) as u32, rule: number as u16 }
    }
}

/// A place that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub party: Party,
    /// How near the threshold is.
    pub near: u64,
    pub is_kept: bool,
}

/// Which of these places goes to one of a party; none if each is to stay.
pub(super) fn taken(held: &[Held], party: Party) -> Option<usize> {
    let of_source = |source| held.iter().filter(|held| wide_of(held.party.source) == wide_of(source)).count();
    let of_narrow = |source| held.iter().filter(|held| held.party.source == source).count();
    let of_rule = |rule| held.iter().filter(|held| held.party.rule == rule).count();
    let (ours, of_our_rule) = (of_source(party.source), of_rule(party.rule));
    let goes = |held: &Held, theirs: usize| {
        let of_their_rule = of_rule(held.party.rule);
        if ours >= OF_SOURCE {
            let is_ours = wide_of(held.party.source) == wide_of(party.source);
            let is_crowd = of_narrow(held.party.source) > of_narrow(party.source).max(1);
            is_ours && is_crowd || !held.is_kept && (is_ours || theirs > ours)
        } else if of_our_rule >= OF_RULE {
            theirs > OF_SOURCE
                || !held.is_kept && (held.party.rule == party.rule || of_their_rule > of_our_rule)
        } else {
            !held.is_kept || theirs > OF_SOURCE || of_their_rule > OF_RULE
        }
    };
    held.iter()
        .enumerate()
        .map(|(index, held)| (index, held, of_source(held.party.source)))
        .filter(|(_, held, theirs)| goes(held, *theirs))
        .min_by_key(|(_, held, theirs)| {
            let crowd = usize::MAX - of_narrow(held.party.source);
            (*theirs <= OF_SOURCE, held.is_kept, usize::MAX - theirs, crowd, held.near)
        })
        .map(|(index, ..)| index)
}

/// Which of these marks goes for one of a party; and whether that says that none of the party's own had to go before, as
/// another has had more than its share, and clearly more.
///
/// Who has `most` places of one account or principal takes their own.
pub(super) fn shed(held: &[Held], party: Party, most: usize) -> Option<(usize, bool)> {
    let load = |of: Party| {
        let [narrow, wide, rule] =
            held.iter().map(|each| each.party).fold([0; 3], |[narrow, wide, rule], each| {
                let is_wide = wide_of(each.source) == wide_of(of.source);
                [
                    narrow + usize::from(each.source == of.source),
                    wide + usize::from(is_wide),
                    rule + usize::from(each.rule == of.rule),
                ]
            });
        (wide.max(OF_WIDE * narrow.max(rule)), wide, rule)
    };
    let (ours, our_wide, of_our_rule) = load(party);
    let ((most_held, its_wide, _), _, index) = held
        .iter()
        .enumerate()
        .filter(|(_, held)| of_our_rule < most || held.party.rule == party.rule)
        .map(|(index, held)| (load(held.party), held.near, index))
        .max_by_key(|((load, wide, _), near, _)| (*load, *wide, u64::MAX - near))?;
    // Had the newcomer been here, it would not have gone while another had so much more.
    let is_clear = most_held >= ours + 2 * OF_WIDE || its_wide >= our_wide + OF_SOURCE;
    let is_crowd = most_held >= OF_WIDE * OF_SOURCE || its_wide >= OF_CROWD;
    Some((index, is_crowd && is_clear))
}

/// A party's source, of hashes of its networks.
pub(super) fn source_of(wide: u64, narrow: u64) -> u32 {
    (wide as u32) << NARROW | narrow as u32 & ((1 << NARROW) - 1)
}

/// Which wide network a source is in.
pub(super) fn wide_of(source: u32) -> u32 {
    source >> NARROW
}

/// A wide network has as much of marks as so many narrow ones, or accounts.
const OF_WIDE: usize = 4;
/// Of one wide network, so many of sixteen are a crowd.
const OF_CROWD: usize = 8;
/// Bits of a source that tell the narrow network.
const NARROW: u32 = 12;
/// Places of sixteen that a network is sure of.
const OF_SOURCE: usize = 4;
/// Places of sixteen that a rule is sure of.
const OF_RULE: usize = 6;
