//! Refuses a schema whose cost could grow faster than the body it judges.
//!
//! `{"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "maxItems": 2}]}` looks harmless,
//! and forty-five bytes of brackets keep the engine busy for 17 seconds: each level of nesting is
//! judged twice, and each of those twice below it. The same doubling without any recursion is the
//! "billion laughs": `a1 = allOf [a2, a2]`, `a2 = allOf [a3, a3]`, and so on (CWE-776, CWE-407).
//!
//! # The rule
//! The subschemas that judge one value of a body are decided by the path to it: the schema is an
//! automaton that reads paths. For every path that a body within `max_depth` can have, the number
//! of times that subschemas are asked about the value there is at most the number of subschemas and
//! [`MOST_VISITS`] more; an array or object in an `enum` counts as two. This is computed, not guessed: from the root,
//! each kind of step (this member, any other member, this index, any other index) leads from one
//! multiset of subschemas to the next, until no new multiset appears.
//!
//! Where the exact set cannot be known it is taken too large, so what is accepted is bounded, and
//! now and then a harmless schema is refused. A tree with `left` and `right`, a list of lists, any
//! JSON value as a schema: all pass. An expression language whose `and` and `or` are separate
//! branches with a member `args` each does not; one branch with `"enum": ["and", "or"]` does.
//!
//! In the same way it is computed how deep the engine can call itself: [`stack`].
//!
//! It does not bound the cost of one visit: a long pattern on a long string, say.
//!
//! Beside the cost: what a schema would silently not check is refused ([`keywords`]), and what it lets be as large as the whole
//! body is found ([`unbounded`](mod@unbounded)).

pub(super) mod graph;
mod keywords;
mod stack;
pub(super) mod steps;
pub mod unbounded;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde_json::Value;

use self::graph::{Graph, Node};
use self::steps::Step;
use crate::error::ConfigError;

/// How often subschemas may be asked about one value, beside once each.
const MOST_VISITS: u64 = 64;

/// How many steps the examination may take before it gives up: well under a second.
const MOST_WORK: usize = 1_000_000;

/// How many subschemas judge a value: (subschema, times), ordered, none zero.
type Visits = Vec<(usize, u64)>;

/// Examines what the members of `schema` are called, before anything is made of it.
///
/// # Errors
/// A [`ConfigError`] that points at the first member that would check nothing.
pub(super) fn check_words(schema: &Value) -> Result<(), ConfigError> {
    keywords::check(schema)
}

/// Examines `schema` for bodies nested at most `max_depth` deep.
///
/// # Errors
/// A [`ConfigError`] that points at the subschema where the cost multiplies.
pub(super) fn check(schema: &Value, max_depth: usize) -> Result<(), ConfigError> {
    if !schema.is_object() {
        return Ok(());
    }
    let graph = Graph::of(schema)?;
    let most = MOST_VISITS + graph.nodes.len() as u64;
    let order = in_place_order(&graph.nodes)?;
    let closures = closures(&graph.nodes, &order, most)?;
    if let Some(depth) = stack::too_deep(&graph.nodes, &order, max_depth) {
        return Err(ConfigError::new(format!(
            "the schema applies so many subschemas to one value that a body nested {depth} deep could \
             exhaust the stack, and max_depth is {max_depth}; lower max_depth, or shorten the chain of \
             references and alternatives between one level and the next"
        )));
    }
    let mut work = 0;
    let mut seen: HashSet<Visits> = HashSet::new();
    let mut queue: VecDeque<(Visits, usize)> = VecDeque::from([(vec![(0, 1)], 0)]);
    while let Some((arrivals, depth)) = queue.pop_front() {
        let visits = expand(&arrivals, &closures, &mut work);
        if visits.values().fold(0, |sum: u64, times| sum.saturating_add(*times)) > most {
            return Err(multiplies(&graph.nodes, &visits));
        }
        if depth == max_depth {
            continue;
        }
        for next in successors(&graph.nodes, &visits, &mut work) {
            if !seen.contains(&next) {
                seen.insert(next.clone());
                queue.push_back((next, depth + 1));
            }
        }
        if work > MOST_WORK {
            return Err(ConfigError::new(
                "the schema combines its subschemas in too many ways for its cost to be bounded; \
                 use fewer overlapping alternatives",
            ));
        }
    }
    Ok(())
}

/// For each subschema, which ones judge the same value because of it, itself included.
fn closures(nodes: &[Node], order: &[usize], most: u64) -> Result<Vec<Visits>, ConfigError> {
    let mut closures: Vec<Visits> = vec![Vec::new(); nodes.len()];
    for &index in order {
        let mut visits = BTreeMap::from([(index, nodes[index].cost)]);
        for &inner in &nodes[index].here {
            for &(node, times) in &closures[inner] {
                add(&mut visits, node, times);
            }
        }
        if visits.values().fold(0, |sum: u64, times| sum.saturating_add(*times)) > most {
            return Err(multiplies(nodes, &visits));
        }
        closures[index] = visits.into_iter().collect();
    }
    Ok(closures)
}

/// The subschemas with the ones that they apply to the same value before them.
fn in_place_order(nodes: &[Node]) -> Result<Vec<usize>, ConfigError> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for start in 0..nodes.len() {
        if state[start] != State::New {
            continue;
        }
        state[start] = State::Open;
        let mut stack = vec![(start, 0)];
        while let Some((index, edge)) = stack.pop() {
            let Some(&inner) = nodes[index].here.get(edge) else {
                state[index] = State::Done;
                order.push(index);
                continue;
            };
            stack.push((index, edge + 1));
            match state[inner] {
                State::Done => {}
                State::New => {
                    state[inner] = State::Open;
                    stack.push((inner, 0));
                }
                State::Open => {
                    return Err(ConfigError::new(format!(
                        "the schema at {} refers to itself for the same value, so it says nothing; \
                         a recursive reference belongs below \"properties\" or \"items\"",
                        nodes[inner].name()
                    )));
                }
            }
        }
    }
    Ok(order)
}

fn expand(arrivals: &Visits, closures: &[Visits], work: &mut usize) -> BTreeMap<usize, u64> {
    let mut visits = BTreeMap::new();
    for &(node, times) in arrivals {
        for &(inner, each) in &closures[node] {
            *work += 1;
            add(&mut visits, inner, each.saturating_mul(times));
        }
    }
    visits
}

/// The multisets that one step down can lead to.
///
/// Names and indexes that no subschema mentions need no step of their own: the "any other" step
/// reaches at least what they reach.
fn successors(nodes: &[Node], visits: &BTreeMap<usize, u64>, work: &mut usize) -> Vec<Visits> {
    let edges =
        || visits.iter().flat_map(|(&node, &times)| nodes[node].down.iter().map(move |edge| (edge, times)));
    let mut members: HashMap<&str, BTreeMap<usize, u64>> = HashMap::new();
    let mut indexes: HashMap<usize, BTreeMap<usize, u64>> = HashMap::new();
    let (mut other_member, mut other_index, mut name) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for ((step, target), times) in edges() {
        *work += 1;
        match step {
            Step::Member(member) => add(members.entry(member).or_default(), *target, times),
            Step::Index(index) => add(indexes.entry(*index).or_default(), *target, times),
            Step::Pattern(_) | Step::Rest { .. } => add(&mut other_member, *target, times),
            Step::From(_) => add(&mut other_index, *target, times),
            Step::Name => add(&mut name, *target, times),
        }
    }
    // The open steps take part in the named ones too, unless they exclude them.
    for ((step, target), times) in edges() {
        *work += match step {
            Step::Pattern(_) | Step::Rest { .. } => members.len(),
            Step::From(_) => indexes.len(),
            _ => 0,
        };
        for (_, reached) in members.iter_mut().filter(|(member, _)| step.may_be_member(member)) {
            add(reached, *target, times);
        }
        for (index, reached) in &mut indexes {
            if step.may_be_index(*index) {
                add(reached, *target, times);
            }
        }
    }
    let mut all: Vec<_> = members.into_values().chain(indexes.into_values()).collect();
    all.extend([other_member, other_index, name]);
    all.into_iter()
        .filter(|reached| !reached.is_empty())
        .map(|reached| reached.into_iter().collect())
        .collect()
}

fn add(visits: &mut BTreeMap<usize, u64>, node: usize, times: u64) {
    let sum = visits.entry(node).or_insert(0);
    *sum = sum.saturating_add(times);
}

fn multiplies(nodes: &[Node], visits: &BTreeMap<usize, u64>) -> ConfigError {
    if visits.keys().any(|&node| nodes[node].cost > MOST_VISITS) {
        return ConfigError::new(
            "an enum holds so many arrays and objects that comparing each value with each of them could \
             keep the server busy; 30 of them are fine, and strings and numbers without number",
        );
    }
    let worst = visits.iter().max_by_key(|(_, times)| **times).map_or(0, |(&node, _)| node);
    ConfigError::new(format!(
        "the schema at {} is reached in more than one way for the same value, and each way multiplies: \
         a small body could keep the server busy for minutes; merge the alternatives that lead to it, \
         or tell them apart by the names of their members",
        nodes[worst].name()
    ))
}

#[cfg(test)]
mod tests;
