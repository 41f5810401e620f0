//! A schema as a graph, with how surely one subschema follows from another.
//!
//! Unlike the lint's graph, which may take too much for true, this one goes by the draft: what stands beside a `$ref`
//! does not count before 2019-09, nor do keywords that a draft does not have where they would open an object.

use std::collections::{BTreeMap, HashMap};

use referencing::{Draft, Registry, Resolver, uri};
use serde_json::{Map, Value};

use super::super::lint::graph::{Anchors, BASE, point};
use super::super::lint::steps::Pattern;
use crate::error::ConfigError;

/// A subschema, as far as places go: `true` and `{}` say nothing, `false` lets nothing be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::validation) enum Sub {
    /// The keyword is not there.
    Absent,
    Never,
    Any,
    Node(usize),
}

impl Sub {
    pub(in crate::validation) fn node(self) -> Option<usize> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }

    /// Whether it lets something be.
    pub(in crate::validation) fn opens(self) -> bool {
        matches!(self, Self::Any | Self::Node(_))
    }
}

/// How a subschema for the same value follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::validation) enum Tie {
    /// It holds: `$ref`, `allOf`.
    Must(Sub),
    /// One of them at least: `anyOf`.
    Any(Vec<Sub>),
    /// One of them exactly: `oneOf`.
    One(Vec<Sub>),
    /// It holds where something else is so: `then`, what a dynamic reference may mean.
    May(Sub),
    /// It holds of an object that has some member: `dependentSchemas`.
    Depends(Sub),
    /// It is asked, and may be false: `if`.
    If(Sub),
}

/// Kinds of values, as bits.
pub(in crate::validation) const OBJECT: u8 = 1;
pub(in crate::validation) const ARRAY: u8 = 2;
pub(in crate::validation) const TEXT: u8 = 4;
/// Numbers, booleans and null.
pub(in crate::validation) const OTHER: u8 = 8;
const ALL: u8 = 15;

#[derive(Debug)]
pub(in crate::validation) struct Node<'s> {
    /// JSON Pointer into the schema.
    pub(in crate::validation) pointer: String,
    pub(in crate::validation) schema: &'s Map<String, Value>,
    /// Draft 2019-09 or later: `unevaluatedProperties` is known.
    pub(in crate::validation) modern: bool,
    /// A `$ref` of an older draft: nothing beside it counts.
    pub(in crate::validation) lonely: bool,
    /// Draft 6 or later: `const` is known.
    has_const: bool,
    pub(in crate::validation) here: Vec<Tie>,
    pub(in crate::validation) members: BTreeMap<&'s str, Sub>,
    /// Each as it is written, and what its names lead to.
    pub(in crate::validation) patterns: Vec<(&'s str, Pattern, Sub)>,
    pub(in crate::validation) additional: Sub,
    pub(in crate::validation) unevaluated: Sub,
    pub(in crate::validation) prefix: Vec<Sub>,
    pub(in crate::validation) rest: Sub,
    pub(in crate::validation) unevaluated_items: Sub,
    pub(in crate::validation) contains: Sub,
    /// `not` and `propertyNames`: nothing that they say is said of a place.
    pub(in crate::validation) outside: Vec<usize>,
    /// The kinds of values that it lets pass, at most.
    pub(in crate::validation) kinds: u8,
}

impl<'s> Node<'s> {
    /// Whether its schema lists members.
    pub(in crate::validation) fn names(&self) -> bool {
        !self.lonely && self.schema.get("properties").is_some_and(Value::is_object)
    }

    /// Whether it says that members which it does not list may be.
    pub(in crate::validation) fn opens(&self) -> bool {
        !self.patterns.is_empty() || self.additional.opens() || self.unevaluated.opens()
    }

    /// Whether it says that they may not.
    pub(in crate::validation) fn shuts(&self) -> bool {
        self.additional == Sub::Never || self.unevaluated == Sub::Never
    }

    /// Every name that it speaks of: what must be there is known as well.
    pub(in crate::validation) fn known(&self) -> impl Iterator<Item = &'s str> {
        let schema = if self.lonely { None } else { Some(self.schema) };
        let listed = schema.into_iter().flat_map(|schema| object(schema, "properties")).map(|(name, _)| name);
        let required = schema.into_iter().flat_map(|schema| texts(schema.get("required")));
        let depend = schema.into_iter().flat_map(|schema| {
            ["dependentRequired", "dependentSchemas", "dependencies"].into_iter().flat_map(|word| {
                object(schema, word).flat_map(|(name, needs)| std::iter::once(name).chain(texts(Some(needs))))
            })
        });
        listed.chain(required).chain(depend)
    }

    /// All that follow from it, for whatever value.
    pub(in crate::validation) fn all(&self) -> impl Iterator<Item = usize> {
        let here = self.here.iter().flat_map(|tie| match tie {
            Tie::Must(sub) | Tie::May(sub) | Tie::Depends(sub) | Tie::If(sub) => std::slice::from_ref(sub),
            Tie::Any(subs) | Tie::One(subs) => subs,
        });
        let down = self.members.values().chain(self.patterns.iter().map(|(.., sub)| sub));
        let rest = [&self.additional, &self.unevaluated, &self.rest, &self.unevaluated_items, &self.contains];
        let subs = here.chain(down).chain(&self.prefix).chain(rest);
        subs.filter_map(|sub| sub.node()).chain(self.outside.iter().copied())
    }
}

/// Calls `then` with the graph of a schema that the lint has passed, so that nothing refers to itself for one value. The
/// first node is the root; a schema that is `true` or `false` has none.
///
/// # Errors
/// What `then` says; and for a reference that cannot be resolved, which the engine has told before.
pub(in crate::validation) fn with_graph<T>(
    schema: &Value,
    then: impl FnOnce(&[Node<'_>]) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let fault =
        |error: referencing::Error| ConfigError::new(format!("a reference cannot be resolved: {error}"));
    let draft = Draft::default().detect(schema);
    let registry = Registry::new().draft(draft).add(BASE, schema).map_err(fault)?.prepare().map_err(fault)?;
    let base = uri::from_str(BASE).map_err(fault)?;
    let resolver =
        registry.resolver(base).in_subresource(draft.create_resource_ref(schema)).map_err(fault)?;
    let mut anchors = Anchors::default();
    anchors.collect(schema, true);
    let mut pointers = HashMap::new();
    point(schema, String::new(), &mut pointers);
    let mut survey = Survey { pointers, anchors, known: HashMap::new(), nodes: Vec::new(), open: Vec::new() };
    survey.sub(Some(schema), &resolver, draft);
    while let Some((node, resolver, draft)) = survey.open.pop() {
        survey.edges(node, &resolver, draft).map_err(fault)?;
    }
    let mut nodes = survey.nodes;
    let mut known = vec![None; nodes.len()];
    for node in 0..nodes.len() {
        kinds(&nodes, node, &mut known);
    }
    for (node, kinds) in nodes.iter_mut().zip(known) {
        node.kinds = kinds.unwrap_or(ALL);
    }
    then(&nodes)
}

struct Survey<'s> {
    pointers: HashMap<usize, String>,
    anchors: Anchors<'s>,
    known: HashMap<usize, usize>,
    nodes: Vec<Node<'s>>,
    open: Vec<(usize, Resolver<'s>, Draft)>,
}

impl<'s> Survey<'s> {
    fn sub(&mut self, schema: Option<&'s Value>, around: &Resolver<'s>, draft: Draft) -> Sub {
        let Some(schema) = schema else { return Sub::Absent };
        let map = match schema {
            Value::Bool(false) => return Sub::Never,
            Value::Object(map) => map,
            _ => return Sub::Any,
        };
        let address = std::ptr::from_ref(schema) as usize;
        if let Some(&node) = self.known.get(&address) {
            return Sub::Node(node);
        }
        let node = self.nodes.len();
        let draft = draft.detect(schema);
        let modern = draft >= Draft::Draft201909;
        self.nodes.push(Node {
            pointer: self.pointers.get(&address).cloned().unwrap_or_default(),
            schema: map,
            modern,
            lonely: !modern && map.get("$ref").is_some_and(Value::is_string),
            has_const: draft >= Draft::Draft6,
            here: Vec::new(),
            members: BTreeMap::new(),
            patterns: Vec::new(),
            additional: Sub::Absent,
            unevaluated: Sub::Absent,
            prefix: Vec::new(),
            rest: Sub::Absent,
            unevaluated_items: Sub::Absent,
            contains: Sub::Absent,
            outside: Vec::new(),
            kinds: ALL,
        });
        self.known.insert(address, node);
        let resolver =
            around.in_subresource(draft.create_resource_ref(schema)).unwrap_or_else(|_| around.clone());
        self.open.push((node, resolver, draft));
        Sub::Node(node)
    }

    fn edges(&mut self, at: usize, resolver: &Resolver<'s>, draft: Draft) -> Result<(), referencing::Error> {
        let (schema, lonely, modern) = (self.nodes[at].schema, self.nodes[at].lonely, self.nodes[at].modern);
        let mut here = self.references(schema, resolver, draft)?;
        if lonely {
            self.nodes[at].here = here;
            return Ok(());
        }
        for (word, tie) in [("anyOf", Tie::Any as fn(Vec<Sub>) -> Tie), ("oneOf", Tie::One)] {
            if let Some(Value::Array(branches)) = schema.get(word) {
                here.push(tie(branches
                    .iter()
                    .map(|branch| self.sub(Some(branch), resolver, draft))
                    .collect()));
            }
        }
        for branch in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            here.push(Tie::Must(self.sub(Some(branch), resolver, draft)));
        }
        if schema.contains_key("if") {
            here.push(Tie::If(self.sub(schema.get("if"), resolver, draft)));
            for word in ["then", "else"] {
                here.push(Tie::May(self.sub(schema.get(word), resolver, draft)));
            }
        }
        for word in ["dependentSchemas", "dependencies"] {
            for (_, needs) in object(schema, word).filter(|(_, needs)| !needs.is_array()) {
                here.push(Tie::Depends(self.sub(Some(needs), resolver, draft)));
            }
        }
        let members =
            object(schema, "properties").map(|(name, of)| (name, self.sub(Some(of), resolver, draft)));
        let members = members.collect();
        let patterns = object(schema, "patternProperties");
        let patterns = patterns
            .map(|(pattern, of)| (pattern, Pattern::new(pattern), self.sub(Some(of), resolver, draft)))
            .collect();
        let items = schema.get("items");
        let (prefix, rest) = match (schema.get("prefixItems"), items) {
            (Some(Value::Array(prefix)), _) if draft >= Draft::Draft202012 => (prefix.as_slice(), items),
            (_, Some(Value::Array(prefix))) => (prefix.as_slice(), schema.get("additionalItems")),
            _ => (&[][..], items),
        };
        let prefix = prefix.iter().map(|of| self.sub(Some(of), resolver, draft)).collect();
        let rest = self.sub(rest, resolver, draft);
        let additional = self.sub(schema.get("additionalProperties"), resolver, draft);
        let contains = self.sub(schema.get("contains"), resolver, draft);
        let outside = ["not", "propertyNames"]
            .iter()
            .filter_map(|word| self.sub(schema.get(*word), resolver, draft).node())
            .collect();
        let mut unevaluated =
            |word| if modern { self.sub(schema.get(word), resolver, draft) } else { Sub::Absent };
        let (of_members, of_items) = (unevaluated("unevaluatedProperties"), unevaluated("unevaluatedItems"));
        let node = &mut self.nodes[at];
        (node.here, node.members, node.patterns, node.prefix) = (here, members, patterns, prefix);
        (node.rest, node.additional, node.contains, node.outside) = (rest, additional, contains, outside);
        (node.unevaluated, node.unevaluated_items) = (of_members, of_items);
        Ok(())
    }

    fn references(
        &mut self,
        schema: &'s Map<String, Value>,
        resolver: &Resolver<'s>,
        draft: Draft,
    ) -> Result<Vec<Tie>, referencing::Error> {
        let mut found = Vec::new();
        if let Some(Value::String(reference)) = schema.get("$ref") {
            let (target, resolver, draft) = resolver.lookup(reference)?.into_inner();
            found.push(Tie::Must(self.sub(Some(target), &resolver, draft)));
        }
        for (word, anchor) in [("$dynamicRef", "$dynamicAnchor"), ("$recursiveRef", "$recursiveAnchor")] {
            let Some(Value::String(reference)) = schema.get(word) else { continue };
            let (target, around, of) = resolver.lookup(reference)?.into_inner();
            let name = reference.rsplit_once('#').map_or("", |(_, name)| name);
            let candidates = match target.get(anchor) {
                Some(Value::String(given)) if given == name => self.anchors.named(name),
                Some(Value::Bool(true)) => self.anchors.recursive.clone(),
                _ => Vec::new(),
            };
            if candidates.is_empty() {
                found.push(Tie::Must(self.sub(Some(target), &around, of)));
            } else {
                let may = candidates.len() > 1;
                for candidate in candidates {
                    let sub = self.sub(Some(candidate), resolver, draft);
                    found.push(if may { Tie::May(sub) } else { Tie::Must(sub) });
                }
            }
        }
        Ok(found)
    }
}

/// The kinds of values that a node lets pass, at most.
fn kinds(nodes: &[Node<'_>], at: usize, known: &mut [Option<u8>]) -> u8 {
    if let Some(kinds) = known[at] {
        return kinds;
    }
    // Whoever asks meanwhile asks in a circle, which the lint has refused.
    known[at] = Some(ALL);
    let node = &nodes[at];
    let mut of = |sub: &Sub| match sub {
        Sub::Node(node) => kinds(nodes, *node, known),
        Sub::Never => 0,
        Sub::Any | Sub::Absent => ALL,
    };
    let mut found = if node.lonely { ALL } else { own_kinds(node.schema, node.has_const) };
    for tie in &node.here {
        found &= match tie {
            Tie::Must(sub) => of(sub),
            Tie::Any(subs) | Tie::One(subs) => subs.iter().fold(0, |all, sub| all | of(sub)),
            Tie::May(_) | Tie::Depends(_) | Tie::If(_) => ALL,
        };
    }
    known[at] = Some(found);
    found
}

fn own_kinds(schema: &Map<String, Value>, has_const: bool) -> u8 {
    let named = |name: &Value| match name.as_str() {
        Some("object") => OBJECT,
        Some("array") => ARRAY,
        Some("string") => TEXT,
        _ => OTHER,
    };
    let mut found = match schema.get("type") {
        Some(Value::Array(several)) => several.iter().fold(0, |all, name| all | named(name)),
        Some(name) => named(name),
        None => ALL,
    };
    if let Some(value) = schema.get("const").filter(|_| has_const) {
        found &= kind(value);
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        found &= values.iter().fold(0, |all, value| all | kind(value));
    }
    found
}

/// The kind of a value.
pub(in crate::validation) fn kind(value: &Value) -> u8 {
    match value {
        Value::Object(_) => OBJECT,
        Value::Array(_) => ARRAY,
        Value::String(_) => TEXT,
        _ => OTHER,
    }
}

fn object<'s>(schema: &'s Map<String, Value>, word: &str) -> impl Iterator<Item = (&'s str, &'s Value)> {
    let members = schema.get(word).and_then(Value::as_object).into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
