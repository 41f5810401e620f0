//! A schema as a graph: subschemas, the ones they apply to the same value, the ones they apply below.
//!
//! Keywords of all drafts are followed in every schema. Following one that its draft ignores adds
//! an edge that is never taken, which is safe: the lint then counts too much, not too little.

use std::collections::HashMap;
use std::rc::Rc;

use referencing::{Draft, Registry, Resolver, uri};
use serde_json::{Map, Value};

use super::steps::{Pattern, Step};
use crate::error::ConfigError;

/// Where the engine bases a schema without `$id`.
pub(in crate::validation) const BASE: &str = "json-schema:///";

pub(super) struct Graph {
    /// The first is the root.
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// JSON Pointer into the schema.
    pointer: String,
    /// What one visit costs, in visits of a plain subschema.
    pub(super) cost: u64,
    /// Subschemas applied to the same value.
    pub(super) here: Vec<usize>,
    /// Those of them that a reference names.
    pub(super) references: Vec<usize>,
    /// Subschemas applied to values in it.
    pub(super) down: Vec<(Step, usize)>,
}

impl Node {
    /// What to call this subschema in a message.
    pub(super) fn name(&self) -> String {
        if self.pointer.is_empty() { "its root".to_owned() } else { self.pointer.clone() }
    }
}

impl Graph {
    pub(super) fn of(schema: &Value) -> Result<Self, ConfigError> {
        let outside =
            |error: referencing::Error| ConfigError::new(format!("a reference cannot be resolved: {error}"));
        let draft = Draft::default().detect(schema);
        let registry =
            Registry::new().draft(draft).add(BASE, schema).map_err(outside)?.prepare().map_err(outside)?;
        let base = uri::from_str(BASE).map_err(outside)?;
        let resolver =
            registry.resolver(base).in_subresource(draft.create_resource_ref(schema)).map_err(outside)?;
        let mut anchors = Anchors::default();
        anchors.collect(schema, true);
        let mut pointers = HashMap::new();
        point(schema, String::new(), &mut pointers);
        let mut work =
            Survey { pointers, anchors, known: HashMap::new(), nodes: Vec::new(), open: Vec::new() };
        work.node(schema, &resolver, draft, Role::Judge);
        while let Some(task) = work.open.pop() {
            work.edges(&task).map_err(|error| match error {
                Fault::Reference(error) => outside(error),
                Fault::Empty(place) => ConfigError::new(format!(
                    "{place} has a reference that is empty or no string, which the engine would ignore; \
                     the root of the schema is \"#\""
                )),
                Fault::Outside(reference) => ConfigError::new(format!(
                    "the reference \"{reference}\" leaves the schema; put what it refers to under \"$defs\""
                )),
            })?;
        }
        Ok(Self { nodes: work.nodes })
    }
}

/// What a subschema is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    /// Whether the value is valid.
    Judge,
    /// Which members and elements it has looked at, for an `unevaluated…` keyword around it. The
    /// engine judges the alternatives again to find out.
    Mark,
}

struct Task<'s> {
    node: usize,
    address: usize,
    schema: &'s Map<String, Value>,
    resolver: Resolver<'s>,
    draft: Draft,
    role: Role,
}

enum Fault {
    Reference(referencing::Error),
    Outside(String),
    /// It means the root (RFC 3986 §4.4), and the engine drops it without a word.
    Empty(String),
}

impl From<referencing::Error> for Fault {
    fn from(error: referencing::Error) -> Self {
        Self::Reference(error)
    }
}

struct Survey<'s> {
    /// JSON Pointer of each object of the schema document, by address.
    pointers: HashMap<usize, String>,
    anchors: Anchors<'s>,
    known: HashMap<(usize, Role), usize>,
    nodes: Vec<Node>,
    open: Vec<Task<'s>>,
}

impl<'s> Survey<'s> {
    /// The node of a subschema; `None` for `true` and `false`, which cost nothing.
    fn node(&mut self, schema: &'s Value, around: &Resolver<'s>, draft: Draft, role: Role) -> Option<usize> {
        let map = schema.as_object()?;
        let address = std::ptr::from_ref(schema) as usize;
        if let Some(&node) = self.known.get(&(address, role)) {
            return Some(node);
        }
        let node = self.nodes.len();
        let pointer = self.pointers.get(&address).cloned().unwrap_or_default();
        self.nodes.push(Node { pointer, cost: cost(map), ..Node::default() });
        self.known.insert((address, role), node);
        let draft = draft.detect(schema);
        // An `$id` that cannot be resolved was refused by the engine before.
        let resolver =
            around.in_subresource(draft.create_resource_ref(schema)).unwrap_or_else(|_| around.clone());
        self.open.push(Task { node, address, schema: map, resolver, draft, role });
        Some(node)
    }

    fn edges(&mut self, task: &Task<'s>) -> Result<(), Fault> {
        match task.role {
            Role::Judge => {
                self.judge_here(task)?;
                self.judge_elements(task);
                self.judge_members(task);
                if unevaluated(task.schema).next().is_some() {
                    // The same address asked for marks is another node.
                    let mark = self.mark_of(task);
                    self.nodes[task.node].here.push(mark);
                }
            }
            Role::Mark => {
                self.mark(task)?;
                self.judge_unevaluated(task);
                if let Some(contains) = task.schema.get("contains") {
                    self.down(task, Step::From(0), contains);
                }
            }
        }
        Ok(())
    }

    fn mark_of(&mut self, task: &Task<'s>) -> usize {
        if let Some(&node) = self.known.get(&(task.address, Role::Mark)) {
            return node;
        }
        let node = self.nodes.len();
        let pointer = self.nodes[task.node].pointer.clone();
        self.nodes.push(Node { pointer, cost: 1, ..Node::default() });
        self.known.insert((task.address, Role::Mark), node);
        let (schema, resolver, draft) = (task.schema, task.resolver.clone(), task.draft);
        self.open.push(Task { node, address: task.address, schema, resolver, draft, role: Role::Mark });
        node
    }

    fn judge_here(&mut self, task: &Task<'s>) -> Result<(), Fault> {
        for (_, schema) in alternatives(task.schema).chain(conditions(task.schema)) {
            self.here(task, schema, Role::Judge);
        }
        if let Some(schema) = task.schema.get("not") {
            self.here(task, schema, Role::Judge);
        }
        self.references(task, Role::Judge)
    }

    fn mark(&mut self, task: &Task<'s>) -> Result<(), Fault> {
        for (_, schema) in alternatives(task.schema) {
            self.here(task, schema, Role::Judge);
            self.here(task, schema, Role::Mark);
        }
        for (keyword, schema) in conditions(task.schema) {
            if keyword == "if" {
                self.here(task, schema, Role::Judge);
            }
            self.here(task, schema, Role::Mark);
        }
        self.references(task, Role::Mark)
    }

    fn judge_elements(&mut self, task: &Task<'s>) {
        let mut leading = 0;
        for keyword in ["prefixItems", "items"] {
            if let Some(Value::Array(schemas)) = task.schema.get(keyword) {
                leading = schemas.len();
                for (index, schema) in schemas.iter().enumerate() {
                    self.down(task, Step::Index(index), schema);
                }
            }
        }
        for keyword in ["items", "additionalItems"] {
            if let Some(schema) = task.schema.get(keyword) {
                self.down(task, Step::From(leading), schema);
            }
        }
        if let Some(schema) = task.schema.get("contains") {
            self.down(task, Step::From(0), schema);
        }
        self.judge_unevaluated(task);
    }

    fn judge_members(&mut self, task: &Task<'s>) {
        for (name, schema) in object(task.schema, "properties") {
            self.down(task, Step::Member(name.as_str().into()), schema);
        }
        for (pattern, schema) in object(task.schema, "patternProperties") {
            self.down(task, Step::Pattern(Pattern::new(pattern)), schema);
        }
        if let Some(schema) = task.schema.get("additionalProperties") {
            self.down(task, rest(task.schema), schema);
        }
        if let Some(schema) = task.schema.get("propertyNames") {
            self.down(task, Step::Name, schema);
        }
    }

    fn judge_unevaluated(&mut self, task: &Task<'s>) {
        for (keyword, schema) in unevaluated(task.schema) {
            if keyword == "unevaluatedProperties" {
                self.down(task, rest(task.schema), schema);
            } else {
                let leading = object_or_array_len(task.schema.get("prefixItems"));
                self.down(task, Step::From(leading), schema);
            }
        }
    }

    fn references(&mut self, task: &Task<'s>, role: Role) -> Result<(), Fault> {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let reference = task.schema.get(keyword);
            if reference.is_some_and(|reference| reference.as_str().is_none_or(str::is_empty)) {
                return Err(Fault::Empty(self.nodes[task.node].name()));
            }
        }
        if let Some(Value::String(reference)) = task.schema.get("$ref") {
            self.refer(task, reference, role)?;
        }
        if let Some(Value::String(reference)) = task.schema.get("$dynamicRef") {
            let resolved = task.resolver.lookup(reference)?;
            let name = reference.rsplit_once('#').map_or("", |(_, name)| name);
            let is_dynamic = resolved.contents().get("$dynamicAnchor").and_then(Value::as_str) == Some(name);
            let dynamic = if is_dynamic { self.anchors.named(name) } else { Vec::new() };
            self.refer_any(task, reference, dynamic, role)?;
        }
        if let Some(Value::String(reference)) = task.schema.get("$recursiveRef") {
            let resolved = task.resolver.lookup(reference)?;
            let is_recursive = resolved.contents().get("$recursiveAnchor") == Some(&Value::Bool(true));
            let recursive = if is_recursive { self.anchors.recursive.clone() } else { Vec::new() };
            self.refer_any(task, reference, recursive, role)?;
        }
        Ok(())
    }

    fn refer(&mut self, task: &Task<'s>, reference: &str, role: Role) -> Result<(), Fault> {
        let (target, resolver, draft) = task.resolver.lookup(reference)?.into_inner();
        if !self.pointers.contains_key(&(std::ptr::from_ref(target) as usize)) {
            return Err(Fault::Outside(reference.to_owned()));
        }
        if let Some(node) = self.node(target, &resolver, draft, role) {
            self.nodes[task.node].here.push(node);
            self.nodes[task.node].references.push(node);
        }
        Ok(())
    }

    /// A reference that the dynamic scope decides: to each place that it might mean.
    fn refer_any(
        &mut self,
        task: &Task<'s>,
        reference: &str,
        targets: Vec<&'s Value>,
        role: Role,
    ) -> Result<(), Fault> {
        if targets.is_empty() {
            return self.refer(task, reference, role);
        }
        for target in targets {
            if let Some(node) = self.node(target, &task.resolver, task.draft, role) {
                self.nodes[task.node].here.push(node);
                self.nodes[task.node].references.push(node);
            }
        }
        Ok(())
    }

    fn here(&mut self, task: &Task<'s>, schema: &'s Value, role: Role) {
        if let Some(node) = self.node(schema, &task.resolver, task.draft, role) {
            self.nodes[task.node].here.push(node);
        }
    }

    fn down(&mut self, task: &Task<'s>, step: Step, schema: &'s Value) {
        if let Some(node) = self.node(schema, &task.resolver, task.draft, Role::Judge) {
            self.nodes[task.node].down.push((step, node));
        }
    }
}

/// Where `$dynamicRef` and `$recursiveRef` may lead.
#[derive(Default)]
pub(in crate::validation) struct Anchors<'s> {
    /// `$dynamicAnchor`s of the outermost resource: the dynamic scope always starts there.
    outermost: Vec<(&'s str, &'s Value)>,
    inner: Vec<(&'s str, &'s Value)>,
    pub(in crate::validation) recursive: Vec<&'s Value>,
}

impl<'s> Anchors<'s> {
    pub(in crate::validation) fn collect(&mut self, schema: &'s Value, is_outermost: bool) {
        match schema {
            Value::Object(map) => {
                if let Some(Value::String(name)) = map.get("$dynamicAnchor") {
                    let found = if is_outermost { &mut self.outermost } else { &mut self.inner };
                    found.push((name, schema));
                }
                if map.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
                    self.recursive.push(schema);
                }
                for value in map.values() {
                    let is_resource = value.get("$id").is_some_and(Value::is_string);
                    self.collect(value, is_outermost && !is_resource);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| {
                let is_resource = item.get("$id").is_some_and(Value::is_string);
                self.collect(item, is_outermost && !is_resource);
            }),
            _ => {}
        }
    }

    pub(in crate::validation) fn named(&self, wanted: &str) -> Vec<&'s Value> {
        let of = |anchors: &[(&'s str, &'s Value)]| -> Vec<&'s Value> {
            anchors.iter().filter(|(name, _)| *name == wanted).map(|(_, schema)| *schema).collect()
        };
        let outermost = of(&self.outermost);
        if outermost.is_empty() { of(&self.inner) } else { outermost }
    }
}

/// Arrays and objects in an `enum` are compared one by one; everything else is looked up at once.
fn cost(schema: &Map<String, Value>) -> u64 {
    let members = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    1 + 2 * members.filter(|member| member.is_array() || member.is_object()).count() as u64
}

fn alternatives(schema: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &Value)> {
    ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|keyword| {
        let branches = schema.get(keyword).and_then(Value::as_array);
        branches.into_iter().flatten().map(move |branch| (keyword, branch))
    })
}

/// Subschemas applied to the same value depending on it.
fn conditions(schema: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &Value)> {
    let simple =
        ["if", "then", "else"].into_iter().filter_map(|keyword| Some((keyword, schema.get(keyword)?)));
    let dependent = ["dependentSchemas", "dependencies"]
        .into_iter()
        .flat_map(|keyword| object(schema, keyword).map(move |(_, schema)| (keyword, schema)));
    simple.chain(dependent)
}

fn unevaluated(schema: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &Value)> {
    ["unevaluatedItems", "unevaluatedProperties"]
        .into_iter()
        .filter_map(|keyword| Some((keyword, schema.get(keyword)?)))
}

fn object<'s>(
    schema: &'s Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'s String, &'s Value)> {
    schema.get(keyword).and_then(Value::as_object).into_iter().flatten()
}

fn object_or_array_len(value: Option<&Value>) -> usize {
    value.and_then(Value::as_array).map_or(0, Vec::len)
}

fn rest(schema: &Map<String, Value>) -> Step {
    Step::Rest {
        named: object(schema, "properties").map(|(name, _)| Rc::from(name.as_str())).collect(),
        patterns: object(schema, "patternProperties").map(|(pattern, _)| Pattern::new(pattern)).collect(),
    }
}

/// JSON Pointer of each value in `value`, by address.
pub(in crate::validation) fn point(value: &Value, pointer: String, pointers: &mut HashMap<usize, String>) {
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                point(member, format!("{pointer}/{name}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                point(item, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.insert(std::ptr::from_ref(value) as usize, pointer);
}
