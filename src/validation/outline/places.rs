//! Which subschemas apply at each place of a value.
//!
//! A place is the set of subschemas that lead there, with how surely: whether they hold for every valid value
//! ([`Way::Must`]), in one alternative ([`Way::Branch`]), or are merely asked ([`Way::Condition`]: `if`, `contains`). The
//! places are the states of an automaton whose steps are names and indexes; recursion leads back to a place that is known.
//!
//! An alternative that is the only one for this kind of value (`anyOf` of an object and null) holds surely.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::lint::steps::Pattern;
use super::graph::{ARRAY, Node, OBJECT, OTHER, Sub, TEXT, Tie};
use crate::error::ConfigError;

/// How surely a subschema holds for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::validation) enum Way {
    Must,
    Branch,
    Condition,
}

/// How a subschema comes to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::validation) struct Via {
    pub(in crate::validation) way: Way,
    /// Under an alternative or a condition. If it let less pass, more might pass on the whole (`oneOf`), and what it refuses
    /// is told as the alternatives' failure.
    pub(in crate::validation) shaky: bool,
}

impl Via {
    const SURE: Self = Self { way: Way::Must, shaky: false };

    fn at_least(self, way: Way) -> Self {
        Self { way: self.way.max(way), ..self }
    }

    fn one_of(self, several: bool) -> Self {
        Self { way: if several { self.way.max(Way::Branch) } else { self.way }, shaky: true }
    }

    fn asked(self) -> Self {
        Self { way: Way::Condition, shaky: true }
    }
}

/// Subschemas that lead to a place, in order.
pub(in crate::validation) type Set = BTreeMap<usize, Via>;

#[derive(Debug, Default)]
pub(in crate::validation) struct Place<'s> {
    /// What leads here.
    pub(in crate::validation) from: Vec<(usize, Via)>,
    /// What applies here to an object, an array, a text.
    pub(in crate::validation) objects: Set,
    pub(in crate::validation) arrays: Set,
    pub(in crate::validation) texts: Set,
    /// To a number, a boolean or null.
    pub(in crate::validation) others: Set,
    /// Members that are spoken of. Those of which nothing is said lead nowhere.
    pub(in crate::validation) members: BTreeMap<&'s str, Option<usize>>,
    /// Names that a pattern matches and that are not listed.
    pub(in crate::validation) patterns: Vec<Matching<'s>>,
    /// Names that several patterns match, or of which that cannot be told.
    pub(in crate::validation) mixed: Option<usize>,
    /// Every other member.
    pub(in crate::validation) other: Option<usize>,
    pub(in crate::validation) prefix: Vec<Option<usize>>,
    pub(in crate::validation) rest: Option<usize>,
}

/// Where the names of a pattern lead.
#[derive(Debug)]
pub(in crate::validation) struct Matching<'s> {
    pub(in crate::validation) written: &'s str,
    pub(in crate::validation) pattern: Pattern,
    /// Names that match it alone.
    pub(in crate::validation) alone: Option<usize>,
    /// All names that match it, listed ones as well.
    pub(in crate::validation) all: Option<usize>,
}

/// Which names that are not listed.
#[derive(Clone, Copy)]
enum Other<'s> {
    Any,
    /// Those that this pattern matches, and no other.
    Of(&'s str),
    /// Those that no pattern matches.
    Unmatched,
}

impl Place<'_> {
    /// All places that it leads to.
    pub(in crate::validation) fn next(&self) -> impl Iterator<Item = usize> {
        let matching = self.patterns.iter().flat_map(|one| [&one.alone, &one.all]);
        let rest = [&self.mixed, &self.other, &self.rest];
        self.members.values().chain(&self.prefix).chain(matching).chain(rest).filter_map(|to| *to)
    }

    /// Whether the object here has its members named, so that others are unknown.
    pub(in crate::validation) fn names(&self, nodes: &[Node<'_>]) -> bool {
        self.speaking(nodes).any(|(node, _)| node.names())
    }

    /// Whether the schema says itself that there may be others; in one alternative, or surely.
    pub(in crate::validation) fn opens(&self, nodes: &[Node<'_>], surely: bool) -> bool {
        self.speaking(nodes).any(|(node, via)| node.opens() && (!surely || via.way == Way::Must))
    }

    /// Whether it says surely that there may not.
    pub(in crate::validation) fn shuts(&self, nodes: &[Node<'_>]) -> bool {
        self.speaking(nodes).any(|(node, via)| node.shuts() && via.way == Way::Must)
    }

    /// Subschemas of the object here that say something of it, and do not merely ask.
    pub(in crate::validation) fn speaking<'n, 's>(
        &'n self,
        nodes: &'n [Node<'s>],
    ) -> impl Iterator<Item = (&'n Node<'s>, Via)> {
        self.objects
            .iter()
            .filter(|(_, via)| via.way != Way::Condition)
            .map(|(node, via)| (&nodes[*node], *via))
    }

    /// Subschemas that the object here is merely asked.
    pub(in crate::validation) fn asking(&self) -> impl Iterator<Item = usize> {
        self.objects.iter().filter(|(_, via)| via.way == Way::Condition).map(|(node, _)| *node)
    }
}

/// How many steps the search may take: well under a second.
const MOST_WORK: usize = 1_000_000;

/// All places of the values that a schema speaks of; the first is the value itself.
pub(in crate::validation) fn places<'s>(nodes: &[Node<'s>]) -> Result<Vec<Place<'s>>, ConfigError> {
    let mut search = Search { nodes, places: Vec::new(), known: HashMap::new(), work: 0 };
    if !nodes.is_empty() {
        search.place(Set::from([(0, Via::SURE)]));
    }
    let mut next = 0;
    while next < search.places.len() {
        search.steps(next);
        if search.work > MOST_WORK {
            return Err(ConfigError::new(
                "the schema combines its subschemas in too many ways to say which names it knows where; use fewer \
                 overlapping alternatives, or validate(unknown=\"ignore\")",
            ));
        }
        next += 1;
    }
    Ok(search.places)
}

struct Search<'n, 's> {
    nodes: &'n [Node<'s>],
    places: Vec<Place<'s>>,
    known: HashMap<Vec<(usize, Via)>, usize>,
    work: usize,
}

impl<'s> Search<'_, 's> {
    fn place(&mut self, from: Set) -> Option<usize> {
        if from.is_empty() {
            return None;
        }
        let from: Vec<_> = from.into_iter().collect();
        if let Some(&place) = self.known.get(&from) {
            return Some(place);
        }
        let place = self.places.len();
        self.known.insert(from.clone(), place);
        self.places.push(Place { from, ..Place::default() });
        Some(place)
    }

    fn steps(&mut self, at: usize) {
        let from = self.places[at].from.clone();
        let (objects, arrays) = (self.closed(&from, OBJECT), self.closed(&from, ARRAY));
        let (texts, others) = (self.closed(&from, TEXT), self.closed(&from, OTHER));
        let mut names = BTreeSet::new();
        for node in objects.keys() {
            names.extend(self.nodes[*node].known());
        }
        let sets: Vec<(&str, Set)> =
            names.into_iter().map(|name| (name, self.member(&objects, name))).collect();
        let (patterns, mixed) = self.matching(&objects, &sets);
        let members = sets.into_iter().map(|(name, set)| (name, self.place(set))).collect();
        let unmatched = self.unlisted(&objects, Other::Unmatched);
        let other = self.place(unmatched);
        let longest = arrays.keys().map(|node| self.nodes[*node].prefix.len()).max().unwrap_or(0);
        let mut prefix = Vec::with_capacity(longest);
        for index in 0..longest {
            let set = self.element(&arrays, index);
            prefix.push(self.place(set));
        }
        let rest = self.element(&arrays, longest);
        let rest = self.place(rest);
        let place = &mut self.places[at];
        (place.objects, place.arrays, place.texts, place.others) = (objects, arrays, texts, others);
        (place.members, place.other, place.prefix, place.rest) = (members, other, prefix, rest);
        (place.patterns, place.mixed) = (patterns, mixed);
    }

    /// What applies to a value of this kind because `from` do.
    fn closed(&mut self, from: &[(usize, Via)], kind: u8) -> Set {
        let mut found = Set::new();
        let mut open = from.to_vec();
        while let Some((at, via)) = open.pop() {
            self.work += 1;
            let merged = match found.get(&at) {
                Some(known) => merge(*known, via),
                None => via,
            };
            if found.insert(at, merged) == Some(merged) {
                continue;
            }
            let mut go = |sub: Sub, via| open.extend(sub.node().map(|node| (node, via)));
            for tie in &self.nodes[at].here {
                match tie {
                    Tie::Must(sub) => go(*sub, merged),
                    Tie::May(sub) => go(*sub, merged.at_least(Way::Branch)),
                    // Of what is no object, nothing depends on a member.
                    Tie::Depends(sub) if kind == OBJECT => go(*sub, merged.at_least(Way::Branch)),
                    Tie::Depends(_) => {}
                    Tie::If(sub) => go(*sub, merged.asked()),
                    Tie::Any(subs) | Tie::One(subs) => {
                        let fit = |sub: &&Sub| match sub {
                            Sub::Node(node) => self.nodes[*node].kinds & kind != 0,
                            Sub::Any | Sub::Absent => true,
                            Sub::Never => false,
                        };
                        let several = subs.iter().filter(fit).count() > 1;
                        for sub in subs.iter().filter(fit) {
                            let via = merged.one_of(several);
                            go(*sub, via);
                        }
                    }
                }
            }
        }
        found
    }

    fn member(&mut self, objects: &Set, name: &str) -> Set {
        let (mut found, mut unevaluated) = (Set::new(), Vec::new());
        for (&at, &via) in objects {
            let node = &self.nodes[at];
            self.work += 1 + node.patterns.len();
            let listed = node.members.get(name);
            let (mut covered, mut maybe) = (listed.is_some(), false);
            if let Some(sub) = listed {
                add(&mut found, *sub, via);
            }
            for (_, pattern, sub) in &node.patterns {
                match pattern.matches(name) {
                    Some(true) => {
                        covered = true;
                        add(&mut found, *sub, via);
                    }
                    Some(false) => {}
                    None => {
                        maybe = true;
                        add(&mut found, *sub, via.at_least(Way::Branch));
                    }
                }
            }
            if !covered {
                add(&mut found, node.additional, if maybe { via.at_least(Way::Branch) } else { via });
            }
            unevaluated.push((node.unevaluated, via));
        }
        // It judges what nothing else has looked at.
        if found.values().all(|via| via.way != Way::Must) {
            let rest = |via: Via| via.one_of(!found.is_empty());
            let added: Vec<_> = unevaluated.iter().map(|(sub, via)| (*sub, rest(*via))).collect();
            added.into_iter().for_each(|(sub, via)| add(&mut found, sub, via));
        }
        found
    }

    /// Where names lead that patterns match; and where, if it cannot be told which.
    fn matching(&mut self, objects: &Set, members: &[(&'s str, Set)]) -> (Vec<Matching<'s>>, Option<usize>) {
        let mut patterns: BTreeMap<&str, Pattern> = BTreeMap::new();
        for node in objects.keys() {
            for (written, pattern, _) in &self.nodes[*node].patterns {
                patterns.entry(written).or_insert_with(|| pattern.clone());
            }
        }
        if patterns.is_empty() {
            return (Vec::new(), None);
        }
        let any = self.unlisted(objects, Other::Any);
        let mixed = self.place(any.clone());
        let mut found = Vec::with_capacity(patterns.len());
        for (&written, pattern) in &patterns {
            self.work += patterns.len() + members.len();
            let set = self.unlisted(objects, Other::Of(written));
            let alone = self.place(set);
            let listed: Vec<_> =
                members.iter().filter(|(name, _)| pattern.matches(name) != Some(false)).collect();
            let is_apart = patterns.keys().all(|other| *other == written || are_apart(other, written));
            let all = if listed.is_empty() && is_apart {
                alone
            } else {
                let mut all = any.clone();
                for (&node, via) in listed.into_iter().flat_map(|(_, set)| set) {
                    add(&mut all, Sub::Node(node), via.at_least(Way::Branch));
                }
                self.place(all)
            };
            found.push(Matching { written, pattern: pattern.clone(), alone, all });
        }
        (found, mixed)
    }

    fn unlisted(&mut self, objects: &Set, names: Other<'_>) -> Set {
        let mut found = Set::new();
        let mut sources = 0;
        for (&at, &via) in objects {
            let node = &self.nodes[at];
            self.work += 1 + node.patterns.len();
            // Beside patterns alone, any name may have anything.
            let free = !node.patterns.is_empty() && node.additional == Sub::Absent;
            let several = node.patterns.len() + usize::from(free || node.additional.opens()) > 1;
            let via = if several { via.at_least(Way::Branch) } else { via };
            let matches = |written: &str| match names {
                Other::Any => true,
                Other::Of(name) => name == written,
                Other::Unmatched => false,
            };
            let matched = node.patterns.iter().filter(|(written, ..)| matches(written));
            let mut subs: Vec<Sub> = matched.map(|(.., sub)| *sub).collect();
            if subs.is_empty() || matches!(names, Other::Any) {
                subs.push(node.additional);
            }
            for sub in subs {
                sources += usize::from(sub.node().is_some());
                add(&mut found, sub, via);
            }
        }
        for (&at, &via) in objects {
            add(&mut found, self.nodes[at].unevaluated, via.one_of(sources > 0));
        }
        found
    }

    fn element(&mut self, arrays: &Set, index: usize) -> Set {
        let mut found = Set::new();
        for (&at, &via) in arrays {
            let node = &self.nodes[at];
            self.work += 1;
            add(&mut found, node.prefix.get(index).copied().unwrap_or(node.rest), via);
            add(&mut found, node.contains, via.asked());
        }
        let surely = found.values().any(|via| via.way == Way::Must);
        for (&at, &via) in arrays.iter().filter(|_| !surely) {
            let via = via.one_of(!found.is_empty());
            add(&mut found, self.nodes[at].unevaluated_items, via);
        }
        found
    }
}

/// Whether no name matches both patterns for certain: each begins with letters of its own.
fn are_apart(one: &str, two: &str) -> bool {
    let start = |pattern: &str| -> Vec<u8> {
        let is_plain =
            |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'/' | b' ');
        let rest = pattern.strip_prefix('^').filter(|rest| !rest.contains('|')).unwrap_or_default();
        let mut start: Vec<u8> = rest.bytes().take_while(is_plain).collect();
        if rest.as_bytes().get(start.len()).is_some_and(|next| matches!(next, b'?' | b'*' | b'+' | b'{')) {
            // The last letter may be missing.
            start.pop();
        }
        start
    };
    start(one).iter().zip(&start(two)).any(|(one, two)| one != two)
}

fn add(set: &mut Set, sub: Sub, via: Via) {
    if let Some(node) = sub.node() {
        let merged = set.get(&node).map_or(via, |known| merge(*known, via));
        set.insert(node, merged);
    }
}

fn merge(one: Via, other: Via) -> Via {
    Via { way: one.way.min(other.way), shaky: one.shaky || other.shaky }
}
