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
//! thousands of networks fills all; what then finds no place is charged to a counter that is shared (`engine`).

/// Whose a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Party {
    /// A hash of the wide network (20 bits), and of the narrow one in it (12).
    pub source: u32,
    /// A hash of the rule.
    pub rule: u16,
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

/// A party's source, of hashes of its networks.
pub(super) fn source_of(wide: u64, narrow: u64) -> u32 {
    (wide as u32) << NARROW | narrow as u32 & ((1 << NARROW) - 1)
}

/// Which wide network a source is in.
pub(super) fn wide_of(source: u32) -> u32 {
    source >> NARROW
}

/// Bits of a source that tell the narrow network.
const NARROW: u32 = 12;
/// Places of sixteen that a network is sure of.
const OF_SOURCE: usize = 4;
/// Places of sixteen that a rule is sure of.
const OF_RULE: usize = 6;
