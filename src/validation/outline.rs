//! What a schema does to a value beside judging it: which names go, which texts are cleaned, which defaults are put in.
//!
//! 1. Before it is judged: with `unknown="strip"`, names that nobody speaks of go; then each text is cleaned by the `x-clean`
//!    that surely applies to it. So `minLength` and `pattern` hold for the clean text.
//! 2. After it is judged: members that are absent and have a `default` get it, made anew, at any depth. So a default
//!    counts neither for `required` nor for `minProperties`. A default's own members are as it says: none is put into it.
//!
//! Only what surely applies does anything: a `default` in one alternative of several (`anyOf`, `oneOf`, `then`) is not put in,
//! as the value may be of another; an `x-clean` there is an error at start-up. An alternative that is the only one for its kind of
//! value (an object, or null) applies surely.
//!
//! What cannot be done is told at start-up: a default that its own schema refuses, or two that differ; an `x-clean` of
//! what is no string, where it would not run, or of a name that is no cleaner's.
//!
//! # What it does not do
//! Names are not cleaned: two that look alike stay two. Keywords under `not`, `if`, `contains` and `propertyNames` ask and do not say.
//!
//! # Cost
//! None for a schema that does nothing of this. Otherwise one walk before and one after, linear in the value; places
//! where nothing is to be done are not entered. Cleaned texts may grow by `max_bytes` in all; then the body is refused.

pub(super) mod graph;
pub(super) mod places;
mod refine;

use std::collections::HashMap;

use serde_json::Value;

use self::graph::{Node, kind};
use self::places::{Place, Way};
use super::cleaners::{Clean, Cleaners, NAME};
use super::lint::steps::Pattern;
use super::parts::Unknown;
use crate::error::ConfigError;

pub use self::refine::{EachElement, EachMember, Fate, Tree};

/// A pointer to a subschema, the name of a member, and a value that is what the subschema says.
pub(super) type Promise<'p> = (String, &'p str, Value);

/// What is done at each place of a value; the first is the value itself.
pub(super) struct Outline {
    spots: Vec<Spot>,
}

#[derive(Default)]
struct Spot {
    members: HashMap<Box<str>, Option<usize>>,
    patterns: Vec<(Pattern, Option<usize>)>,
    mixed: Option<usize>,
    other: Option<usize>,
    prefix: Vec<Option<usize>>,
    rest: Option<usize>,
    /// Members that are not listed go.
    strips: bool,
    clean: Option<Clean>,
    defaults: Vec<(Box<str>, Value)>,
    /// Whether there is something to do before judging, here or below; and after.
    before: bool,
    after: bool,
}

impl Outline {
    /// What is to be done for `places`; nothing if there is nothing to do.
    ///
    /// `broken` finds a promise that does not hold, and the rule that it breaks.
    ///
    /// # Errors
    /// For an `x-clean` or `default` that cannot be meant.
    pub(super) fn of(
        nodes: &[Node<'_>],
        places: &[Place<'_>],
        unknown: Unknown,
        cleaners: &Cleaners,
        broken: impl FnOnce(&[Promise<'_>]) -> Result<Option<(usize, String)>, ConfigError>,
    ) -> Result<Option<Self>, ConfigError> {
        check_cleaners(nodes, places)?;
        let mut spots = Vec::with_capacity(places.len());
        for place in places {
            spots.push(Spot {
                members: place.members.iter().map(|(name, to)| ((*name).into(), *to)).collect(),
                patterns: place.patterns.iter().map(|one| (one.pattern.clone(), one.alone)).collect(),
                mixed: place.mixed,
                other: place.other,
                prefix: place.prefix.clone(),
                rest: place.rest,
                strips: unknown == Unknown::Strip && place.names(nodes) && !place.opens(nodes, false),
                clean: clean(nodes, place, cleaners)?,
                ..Spot::default()
            });
        }
        let mut outline = Self { spots };
        outline.mark(places, |spot| spot.strips || spot.clean.is_some(), |spot| &mut spot.before);
        let mut promises = Vec::new();
        for (at, place) in places.iter().enumerate() {
            for (name, to) in &place.members {
                let Some(to) = *to else { continue };
                let Some(default) = default(nodes, &places[to], name)? else { continue };
                let default = outline.prepared(default.clone(), to);
                let sure = places[to].from.iter().filter(|(_, via)| via.way == Way::Must);
                promises.extend(sure.map(|(node, _)| (nodes[*node].pointer.clone(), *name, default.clone())));
                outline.spots[at].defaults.push(((*name).into(), default));
            }
        }
        if !promises.is_empty()
            && let Some((at, rule)) = broken(&promises)?
            && let Some((pointer, name, _)) = promises.get(at)
        {
            return Err(ConfigError::new(format!(
                "the default of {name:?} is not what its schema says ({rule}), at {pointer}"
            )));
        }
        outline.mark(places, |spot| !spot.defaults.is_empty(), |spot| &mut spot.after);
        Ok(outline.spots.first().is_some_and(|spot| spot.before || spot.after).then_some(outline))
    }

    /// Marks the spots that do something, and those that lead to them.
    fn mark(
        &mut self,
        places: &[Place<'_>],
        does: impl Fn(&Spot) -> bool,
        flag: impl Fn(&mut Spot) -> &mut bool,
    ) {
        let mut into: Vec<Vec<usize>> = vec![Vec::new(); self.spots.len()];
        let mut open = Vec::new();
        for (at, spot) in self.spots.iter().enumerate() {
            places.get(at).into_iter().flat_map(Place::next).for_each(|to| into[to].push(at));
            if does(spot) {
                open.push(at);
            }
        }
        while let Some(at) = open.pop() {
            let flag = flag(&mut self.spots[at]);
            if !std::mem::replace(flag, true) {
                open.extend(&into[at]);
            }
        }
    }
}

/// Every `x-clean` runs somewhere, and nowhere only now and then.
fn check_cleaners(nodes: &[Node<'_>], places: &[Place<'_>]) -> Result<(), ConfigError> {
    let says = |at: usize| !nodes[at].lonely && nodes[at].schema.contains_key(NAME);
    let mut runs = vec![false; nodes.len()];
    for place in places {
        for &at in place.objects.keys().chain(place.arrays.keys()).filter(|at| says(**at)) {
            if !place.texts.contains_key(&at) {
                return Err(no_text(&nodes[at].pointer));
            }
        }
        for (&at, via) in place.texts.iter().filter(|(at, _)| says(**at)) {
            let said = nodes[at].schema.get(NAME);
            let is_sure = |(other, via): (&usize, &places::Via)| {
                via.way == Way::Must && says(*other) && nodes[*other].schema.get(NAME) == said
            };
            if via.way != Way::Must && !place.texts.iter().any(is_sure) {
                return Err(ConfigError::new(format!(
                    "the x-clean at {} would clean in one alternative and not in another, and which it is, is judged \
                     after cleaning; write it in every case: beside the \"anyOf\", \"oneOf\" or \"if\", or, of a pattern, with \
                     \"additionalProperties\": false beside it",
                    nodes[at].pointer
                )));
            }
            runs[at] = true;
        }
    }
    match (0..nodes.len()).find(|at| nodes[*at].schema.contains_key(NAME) && !runs[*at]) {
        Some(at) => Err(ConfigError::new(format!(
            "the x-clean at {} cleans nothing: names, and what stands under \"not\" or beside a \"$ref\" of draft 7 or older, \
             are not cleaned; write it in the schema of the text",
            nodes[at].pointer
        ))),
        None => Ok(()),
    }
}

/// The cleaner of a text at this place.
fn clean(nodes: &[Node<'_>], place: &Place<'_>, cleaners: &Cleaners) -> Result<Option<Clean>, ConfigError> {
    let mut found: Option<(&Value, &str)> = None;
    let sure = || place.texts.iter().filter(|(_, via)| via.way == Way::Must).map(|(at, _)| &nodes[*at]);
    for node in sure().filter(|node| !node.lonely) {
        let Some(said) = node.schema.get(NAME) else { continue };
        match found {
            Some((other, _)) if other == said => {}
            Some((_, pointer)) => {
                return Err(ConfigError::new(format!(
                    "the x-clean at {pointer} and at {} are of the same text, and differ",
                    node.pointer
                )));
            }
            None => found = Some((said, &node.pointer)),
        }
    }
    let Some((said, pointer)) = found else { return Ok(None) };
    let clean = cleaners.make(said, pointer)?;
    let is_text = |node: &&Node<'_>| {
        let types = node.schema.get("type").into_iter();
        let mut types =
            types.flat_map(|types| types.as_array().map_or(std::slice::from_ref(types), Vec::as_slice));
        types.any(|name| name == "string")
    };
    if sure().any(|node| node.kinds & graph::TEXT == 0) || !sure().any(|node| is_text(&node)) {
        return Err(no_text(pointer));
    }
    Ok(Some(clean))
}

fn no_text(pointer: &str) -> ConfigError {
    ConfigError::new(format!(
        "the x-clean at {pointer} is of something that may be no string; say \"type\": \"string\" beside it, or move it to the \
         strings inside"
    ))
}

/// The default of a member that leads to `place`.
fn default<'s>(nodes: &[Node<'s>], place: &Place<'s>, name: &str) -> Result<Option<&'s Value>, ConfigError> {
    let mut found: Option<&Value> = None;
    let kinds = [
        (&place.objects, graph::OBJECT),
        (&place.arrays, graph::ARRAY),
        (&place.texts, graph::TEXT),
        (&place.others, graph::OTHER),
    ];
    for (applying, of) in kinds {
        for (at, _) in applying.iter().filter(|(_, via)| via.way == Way::Must) {
            let node = &nodes[*at];
            let said = node.schema.get("default").filter(|said| !node.lonely && kind(said) == of);
            match (found, said) {
                (_, None) => {}
                (Some(other), Some(said)) if other != said => {
                    return Err(ConfigError::new(format!(
                        "{name:?} has two defaults, one of them at {}, and they differ",
                        node.pointer
                    )));
                }
                (_, said) => found = said,
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
