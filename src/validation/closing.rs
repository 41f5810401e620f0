//! Closes a schema: an object whose members it names has no others.
//!
//! # The rule
//! A place of a value is closed if something that applies there lists `properties`, and nothing that surely applies there
//! says itself what becomes of other names (`additionalProperties`, `unevaluatedProperties`, `patternProperties`). What is known
//! there is what all that applies there speaks of, also in `required`. An object of which nothing is named stays free.
//!
//! # How
//! The first of these that tells the truth, for each place:
//! 1. one subschema knows all the names of every place at which it applies, and surely applies: it gets
//!    `"additionalProperties": false`, the engine's fast path;
//! 2. one subschema leads there and is used nowhere else: it gets the names of all that it applies, and
//!    `"additionalProperties": false`; or, where names depend on alternatives, `"unevaluatedProperties": false`, by which a
//!    name is known only if an alternative that holds knows it;
//! 3. otherwise, names that anything there speaks of are known: a second schema ([`Closed::aside`]) of nothing but names
//!    judges beside the first.
//!
//! In drafts 4 to 7, which have no `unevaluatedProperties`, and where it would cost too much (the engine judges alternatives
//! again for it), the names of all alternatives are known. An alternative that says itself that there may be other
//! names then opens the place.
//!
//! # What it does not do
//! It changes nothing under `not`, `if` or `contains`, nor in an alternative: a condition that lets less pass could let
//! more pass on the whole, and what an alternative refuses is told as "none of them". Closing only ever refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::outline::graph::Node;
use super::outline::places::{Place, Way};

/// A schema whose objects have no members but those that it names.
pub(super) struct Closed {
    /// It itself, with what it did not say.
    pub(super) schema: Value,
    /// What else must hold.
    pub(super) aside: Option<Value>,
    /// Whether alternatives are judged again to tell which names they know.
    pub(super) strict: bool,
}

/// Closes `schema`, of these nodes and places. Unless `strict`, names of all alternatives are known.
pub(super) fn close(schema: &Value, nodes: &[Node<'_>], places: &[Place<'_>], strict: bool) -> Closed {
    let survey = Survey::of(nodes, places);
    let mut closed = Closed { schema: schema.clone(), aside: None, strict: false };
    let mut aside = vec![false; places.len()];
    for (at, place) in places.iter().enumerate().filter(|(at, _)| survey.closes[*at]) {
        if let Some(node) = survey.sole(at) {
            add(&mut closed.schema, &nodes[node].pointer, nodes[node].known(), "additionalProperties");
            continue;
        }
        let branches = |node: &Node<'_>, via: Way| via == Way::Branch && (node.names() || node.opens());
        let depends = place.speaking(nodes).any(|(node, via)| branches(node, via.way));
        let opens = place.opens(nodes, false);
        // What an `if` has looked at counts as looked at to `unevaluatedProperties`: one that lets any name be would open the place.
        let asks_open = place.asking().any(|node| nodes[node].opens());
        match survey.owner(at) {
            Some(owner) if strict && depends && nodes[owner].modern && (opens || !asks_open) => {
                let always = survey.always(at);
                add(&mut closed.schema, &nodes[owner].pointer, always.into_iter(), "unevaluatedProperties");
                closed.strict = true;
            }
            Some(owner) if !opens && !nodes[owner].lonely => {
                let known = place.members.keys().copied();
                add(&mut closed.schema, &nodes[owner].pointer, known, "additionalProperties");
            }
            _ => aside[at] = !opens,
        }
    }
    closed.aside = beside(places, &aside);
    closed
}

struct Survey<'p, 's> {
    nodes: &'p [Node<'s>],
    places: &'p [Place<'s>],
    /// Which places are closed.
    closes: Vec<bool>,
    /// At how many places each node applies to an object; the last of them.
    at: Vec<(usize, usize)>,
    /// Where nothing may be changed: under `not`, `if`, `propertyNames`, `contains`.
    asks: Vec<bool>,
    /// Nodes that know all names, wherever they apply to an object.
    know_all: Vec<bool>,
}

impl<'p, 's> Survey<'p, 's> {
    fn of(nodes: &'p [Node<'s>], places: &'p [Place<'s>]) -> Self {
        let closes: Vec<bool> = places
            .iter()
            .map(|place| place.names(nodes) && !place.opens(nodes, true) && !place.shuts(nodes))
            .collect();
        let mut asks = vec![false; nodes.len()];
        let mut open: Vec<usize> = nodes.iter().flat_map(|node| node.outside.iter().copied()).collect();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut asks[node], true) {
                open.extend(nodes[node].all());
            }
        }
        let known: Vec<usize> =
            nodes.iter().map(|node| node.known().collect::<BTreeSet<_>>().len()).collect();
        let mut know_all: Vec<bool> =
            nodes.iter().zip(&asks).map(|(node, asks)| node.names() && !asks).collect();
        let mut at = vec![(0, 0); nodes.len()];
        for (index, place) in places.iter().enumerate() {
            let is_closed = closes[index] && !place.opens(nodes, false);
            for (node, via) in &place.objects {
                at[*node] = (at[*node].0 + 1, index);
                // All that it knows is known at each of its places: if they are as many, they are the same.
                know_all[*node] &=
                    is_closed && via.way == Way::Must && !via.shaky && place.members.len() == known[*node];
            }
        }
        Self { nodes, places, closes, at, asks, know_all }
    }

    /// The node that knows all names at this place, and everywhere else where it applies.
    fn sole(&self, place: usize) -> Option<usize> {
        self.places[place].objects.keys().copied().find(|node| self.know_all[*node])
    }

    /// The node that alone leads to this place, and is used nowhere else.
    fn owner(&self, place: usize) -> Option<usize> {
        match self.places[place].from.as_slice() {
            [(node, via)] if via.way == Way::Must && !via.shaky => {
                (self.at[*node] == (1, place) && !self.asks[*node]).then_some(*node)
            }
            _ => None,
        }
    }

    /// Names that are known there whichever alternatives hold, though the engine would not say so.
    fn always(&self, place: usize) -> BTreeSet<&'s str> {
        let mut found = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for (node, via) in &self.places[place].objects {
            let node = &self.nodes[*node];
            found.extend(
                node.known().filter(|name| via.way == Way::Condition || !node.members.contains_key(name)),
            );
            if via.way == Way::Branch {
                listed.extend(node.members.keys().copied());
            }
        }
        // What an alternative lists is known by it alone, also where something else requires it.
        let asked =
            |name: &str| self.places[place].asking().any(|node| self.nodes[node].members.contains_key(name));
        found.retain(|name| asked(name) || !listed.contains(name));
        found
    }
}

/// Lets the object at `pointer` have these names and no others.
fn add<'n>(schema: &mut Value, pointer: &str, names: impl Iterator<Item = &'n str>, keyword: &str) {
    let Some(Value::Object(map)) = schema.pointer_mut(pointer) else { return };
    let properties = map.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        for name in names {
            // Not `true`, which draft 4 does not know.
            properties.entry(name).or_insert_with(|| json!({}));
        }
    }
    map.insert(keyword.to_owned(), Value::Bool(false));
}

/// A schema of the names at these places: one subschema for each place, so each value is judged by one.
fn beside(places: &[Place<'_>], closed: &[bool]) -> Option<Value> {
    let mut needed = closed.to_vec();
    let mut into: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        place.next().for_each(|to| into.entry(to).or_default().push(at));
    }
    let mut open: Vec<usize> = (0..places.len()).filter(|at| closed[*at]).collect();
    while let Some(at) = open.pop() {
        for from in into.get(&at).into_iter().flatten() {
            if !std::mem::replace(&mut needed[*from], true) {
                open.push(*from);
            }
        }
    }
    if !*needed.first()? {
        return None;
    }
    let to = |to: Option<usize>| match to {
        Some(at) if needed[at] => json!({"$ref": format!("#/$defs/{at}")}),
        _ => Value::Bool(true),
    };
    let mut definitions = Map::new();
    for (at, place) in places.iter().enumerate().filter(|(at, _)| needed[*at]) {
        let mut of = Map::new();
        let other = !closed[at]
            && place
                .other
                .iter()
                .chain(place.patterns.iter().filter_map(|one| one.all.as_ref()))
                .any(|to| needed[*to]);
        if closed[at] || other || place.members.values().flatten().any(|to| needed[*to]) {
            let properties: Map<_, _> =
                place.members.iter().map(|(name, member)| ((*name).to_owned(), to(*member))).collect();
            of.insert("properties".to_owned(), Value::Object(properties));
        }
        if closed[at] {
            of.insert("additionalProperties".to_owned(), Value::Bool(false));
        } else if other {
            let patterns: Map<_, _> =
                place.patterns.iter().map(|one| (one.written.to_owned(), to(one.all))).collect();
            if !patterns.is_empty() {
                of.insert("patternProperties".to_owned(), Value::Object(patterns));
            }
            of.insert("additionalProperties".to_owned(), to(place.other));
        }
        if place.prefix.iter().flatten().any(|to| needed[*to]) {
            of.insert("prefixItems".to_owned(), place.prefix.iter().map(|item| to(*item)).collect());
        }
        if place.rest.is_some_and(|rest| needed[rest]) {
            of.insert("items".to_owned(), to(place.rest));
            // Beside `prefixItems` alone it begins behind them.
            if !place.prefix.is_empty() {
                of.insert("prefixItems".to_owned(), place.prefix.iter().map(|item| to(*item)).collect());
            }
        }
        definitions.insert(at.to_string(), Value::Object(of));
    }
    Some(json!({"$ref": "#/$defs/0", "$defs": definitions}))
}

#[cfg(test)]
mod tests;
