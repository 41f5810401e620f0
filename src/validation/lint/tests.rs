#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use jsonschema::json::SerdeJson;
use serde_json::{Value, json};

use super::super::{Bounds, Schema};
use super::check;

const DEPTH: usize = 64;

fn refusal(schema: &Value) -> Option<String> {
    check(schema, DEPTH).err().map(|error| error.to_string())
}

#[test]
fn linear_recursion_is_allowed() {
    for schema in [
        // A tree by one member, by two, by a list, by any member.
        json!({"properties": {"next": {"$ref": "#"}}}),
        json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}),
        json!({"properties": {"children": {"items": {"$ref": "#"}}}}),
        json!({"additionalProperties": {"$ref": "#"}}),
        json!({"patternProperties": {"^x-": {"$ref": "#"}}, "properties": {"next": {"$ref": "#"}}}),
        // Any JSON value: the two alternatives read different steps.
        json!({"$ref": "#/$defs/json", "$defs": {"json": {"anyOf": [
            {"type": ["null", "boolean", "number", "string"]},
            {"type": "array", "items": {"$ref": "#/$defs/json"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}}]}}}),
        // An expression language with its operators in one place.
        json!({"oneOf": [
            {"properties": {"op": {"enum": ["and", "or"]}, "args": {"items": {"$ref": "#"}}}, "required": ["args"]},
            {"properties": {"op": {"const": "not"}, "arg": {"$ref": "#"}}, "required": ["arg"]},
            {"properties": {"field": {"type": "string"}}, "required": ["field"]}]}),
        // Mutual recursion, and tuples.
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"b": {"$ref": "#/$defs/b"}}}, "b": {"items": {"$ref": "#/$defs/a"}}}}),
        json!({"prefixItems": [{"$ref": "#"}, {"$ref": "#"}], "items": {"$ref": "#"}}),
        json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true,
            "properties": {"child": {"$recursiveRef": "#"}}}),
        json!({"$dynamicAnchor": "node", "properties": {"child": {"$dynamicRef": "#node"}}}),
        // Both at once, but once only: nothing multiplies.
        json!({"properties": {"a": {"allOf": [{"minProperties": 1}, {"maxProperties": 9}, {"$ref": "#"}]}}}),
    ] {
        assert_eq!(refusal(&schema), None, "{schema}");
    }
}

#[test]
fn recursion_that_branches_is_refused() {
    for schema in [
        // 45 bytes of brackets kept the engine busy for 17 seconds.
        json!({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "maxItems": 2}]}),
        json!({"oneOf": [{"items": {"$ref": "#"}}, {"prefixItems": [{"$ref": "#"}]}]}),
        json!({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}),
        json!({"items": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}),
        json!({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}),
        json!({"not": {"items": {"$ref": "#"}}, "items": {"$ref": "#"}}),
        json!({"if": {"items": {"$ref": "#"}}, "then": {"items": {"$ref": "#"}}}),
        json!({"properties": {"a": {"$ref": "#"}}, "patternProperties": {"^a": {"$ref": "#"}}}),
        json!({"patternProperties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}),
        json!({"dependentSchemas": {"x": {"properties": {"a": {"$ref": "#"}}}}, "properties": {"a": {"$ref": "#"}}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#",
            "dependencies": {"x": {"items": {"$ref": "#"}}}, "items": {"$ref": "#"}}),
        // Around two corners.
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"properties": {"x": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/c"}]}}},
            "b": {"items": {"$ref": "#/$defs/a"}}, "c": {"items": {"$ref": "#/$defs/a"}}}}),
        json!({"$dynamicAnchor": "n", "anyOf": [{"items": {"$dynamicRef": "#n"}}, {"items": {"$ref": "#"}}]}),
        json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true,
            "anyOf": [{"items": {"$recursiveRef": "#"}}, {"items": {"$recursiveRef": "#"}}]}),
        // `unevaluatedProperties` judges the alternatives again, and those theirs.
        json!({"anyOf": [{"properties": {"a": {"$ref": "#"}}}], "unevaluatedProperties": false}),
    ] {
        let error = refusal(&schema).unwrap_or_else(|| panic!("{schema}"));
        assert!(error.contains("more than one way"), "{error}");
    }
}

#[test]
fn a_billion_laughs_is_refused_and_names_its_place() {
    // CWE-776: each definition uses the next one twice, with and without a step down.
    for wrap in [|x: Value| x, |x: Value| json!({"items": x}), |x: Value| json!({"properties": {"a": x}})] {
        let mut definitions = serde_json::Map::new();
        for i in 0..30 {
            let next = wrap(json!({"$ref": format!("#/$defs/a{}", i + 1)}));
            definitions.insert(format!("a{i}"), json!({"allOf": [next.clone(), next]}));
        }
        definitions.insert("a30".to_owned(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/$defs/a0", "$defs": definitions});
        let error = refusal(&schema).unwrap();
        assert!(error.contains("/$defs/a"), "{error}");
    }
}

#[test]
fn a_schema_that_only_refers_to_itself_is_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
    ] {
        assert!(refusal(&schema).unwrap().contains("refers to itself"));
    }
}

#[test]
fn wide_schemas_without_recursion_are_allowed() {
    let branch = |i: usize| json!({"properties": {"kind": {"const": i}, "name": {"$ref": "#/$defs/name"}}});
    let schema = json!({
        "items": {"oneOf": (0..300).map(branch).collect::<Vec<_>>()},
        "$defs": {"name": {"type": "string", "minLength": 1}}
    });
    assert_eq!(refusal(&schema), None);
    let properties: serde_json::Map<_, _> =
        (0..3000).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
    assert_eq!(refusal(&json!({"properties": properties})), None);
}

#[test]
fn examining_a_schema_takes_bounded_time() {
    // Alternatives whose sets of successors differ for each path: as many multisets as paths.
    let mut definitions = serde_json::Map::new();
    for i in 0..24 {
        let here = json!({"properties": {
            "a": {"$ref": format!("#/$defs/s{}", (i + 1) % 24)}, "b": {"$ref": format!("#/$defs/s{}", (i * 5 + 3) % 24)}}});
        definitions.insert(format!("s{i}"), here);
    }
    let starts: Vec<Value> = (0..24).map(|i| json!({"$ref": format!("#/$defs/s{i}")})).collect();
    let started = Instant::now();
    let _ = refusal(&json!({"anyOf": starts, "$defs": definitions}));
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// `length` references and alternatives between one level and the next.
fn chain(length: usize) -> Value {
    let mut definitions = serde_json::Map::new();
    for i in 0..length {
        let next = json!({"anyOf": [{"$ref": format!("#/$defs/d{}", i + 1)}]});
        definitions.insert(format!("d{i}"), next);
    }
    let last =
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "required": ["missing"]});
    definitions.insert(format!("d{length}"), last);
    json!({"$ref": "#/$defs/d0", "$defs": definitions})
}

#[test]
fn a_chain_that_a_body_could_repeat_until_the_stack_ends_is_refused() {
    // CWE-674: 30 links and 64 levels ended a process with threads of 512 KiB, 120 and 255 any process.
    for (length, depth) in [(30, 64), (120, 255), (10, 64), (1, 255)] {
        let error = check(&chain(length), depth).unwrap_err().to_string();
        assert!(error.contains("stack") && error.contains("max_depth"), "{error}");
    }
    // What no body can repeat is as long as the developer likes, within reason.
    let mut once = chain(100);
    once["$defs"]["d100"] = json!({"type": "string"});
    assert!(check(&once, 255).is_ok());
}

#[test]
fn what_is_allowed_keeps_its_stack_at_full_depth() {
    for (schema, depth) in [
        (json!({"properties": {"a": {"$ref": "#"}}, "required": ["missing"]}), 255),
        (chain(3), 64),
        (
            json!({"anyOf": [{"type": "null"}, {"properties": {"a": {"$ref": "#"}}, "required": ["missing"]}]}),
            160,
        ),
    ] {
        let bounds = Bounds::new(1 << 20, depth, 10_000, 309).unwrap();
        let compiled = Schema::<SerdeJson>::compile(&schema.to_string(), &bounds).unwrap();
        let body = (0..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        // 512 KiB in a release build; four times that for the frames of a debug build.
        let size = if cfg!(debug_assertions) { 2 << 20 } else { 512 << 10 };
        std::thread::scope(|scope| {
            let judge = || {
                assert!(!compiled.is_valid(&body));
                assert!(!compiled.explain(&&body, 1).broken.is_empty());
            };
            std::thread::Builder::new().stack_size(size).spawn_scoped(scope, judge).unwrap().join().unwrap();
        });
    }
}

#[test]
fn a_reference_that_the_engine_would_drop_is_refused() {
    // RFC 3986 §4.4: the empty reference means the root; the engine lets everything pass instead.
    for keyword in ["$ref", "$dynamicRef"] {
        let error = refusal(&json!({"properties": {"a": {keyword: ""}}})).unwrap();
        assert!(error.contains("/properties/a") && error.contains("\"#\""), "{error}");
    }
    let error = refusal(&json!({"anyOf": [{"items": {"$ref": ""}}, {"items": {"$ref": ""}}]})).unwrap();
    assert!(error.contains("\"#\""), "{error}");
    assert_eq!(refusal(&json!({"properties": {"$ref": {"type": "string"}}})), None);
}

#[test]
fn what_is_asked_of_one_value_stays_in_proportion_to_the_schema() {
    // CWE-407: on 1 MiB of integers 2^8 visits each took 2.7 s.
    let mut definitions = serde_json::Map::new();
    for i in 0..8 {
        let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
        definitions.insert(format!("d{i}"), json!({"allOf": [next.clone(), next]}));
    }
    definitions.insert("d8".to_owned(), json!({"type": "integer"}));
    let schema = json!({"items": {"$ref": "#/$defs/d0"}, "$defs": definitions});
    assert!(refusal(&schema).unwrap().contains("more than one way"));
    // 100 arrays to compare each element with took 1.3 s.
    let arrays =
        |count: usize| json!({"items": {"enum": (0..count).map(|i| json!([i])).collect::<Vec<_>>()}});
    assert!(refusal(&arrays(100)).unwrap().contains("enum"));
    assert_eq!(refusal(&arrays(20)), None);
    // Scalars are looked up, so there may be any number of them.
    let integers: Vec<usize> = (0..5_000).collect();
    assert_eq!(refusal(&json!({"items": {"enum": integers}})), None);
}

#[test]
fn schemas_as_they_are_written_are_allowed() {
    let geometry = json!({"properties": {"geometry": {"$ref": "#/$defs/geometry"}}, "$defs": {
        "position": {"type": "array", "items": {"type": "number"}, "minItems": 2},
        "geometry": {"oneOf": [
            {"properties": {"type": {"const": "Point"}, "coordinates": {"$ref": "#/$defs/position"}}},
            {"properties": {"type": {"const": "LineString"}, "coordinates": {"items": {"$ref": "#/$defs/position"}}}},
            {"properties": {"type": {"const": "Collection"}, "geometries": {"items": {"$ref": "#/$defs/geometry"}}}}]}}});
    let inheritance = json!({"$ref": "#/$defs/dog", "$defs": {
        "named": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "animal": {"allOf": [{"$ref": "#/$defs/named"}, {"properties": {"legs": {"type": "integer"}}}]},
        "pet": {"allOf": [{"$ref": "#/$defs/animal"}, {"properties": {"owner": {"$ref": "#/$defs/named"}}}]},
        "dog": {"allOf": [{"$ref": "#/$defs/pet"}, {"properties": {"breed": {"type": "string"}}}]}}});
    let union = |i: usize| json!({"allOf": [{"$ref": "#/$defs/base"}], "properties": {"kind": {"const": i}}, "required": ["kind"]});
    let union = json!({"items": {"oneOf": (0..50).map(union).collect::<Vec<_>>()},
        "$defs": {"base": {"properties": {"id": {"type": "string", "format": "uuid"}}}}});
    for schema in [geometry, inheritance, union] {
        assert_eq!(refusal(&schema), None, "{schema}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn reference(&mut self) -> Value {
        let target = ["#", "#/$defs/a", "#/$defs/b"][self.below(3)];
        json!({"$ref": target})
    }

    fn schema(&mut self, depth: usize) -> Value {
        if depth == 0 {
            return match self.below(4) {
                0 => json!({"type": "integer"}),
                1 => json!({"enum": ["y"]}),
                _ => self.reference(),
            };
        }
        let mut schema = serde_json::Map::new();
        for _ in 0..1 + self.below(3) {
            let (one, two) = (self.schema(depth - 1), self.schema(depth - 1));
            let (keyword, value) = match self.below(17) {
                0 => ("anyOf", json!([one, two])),
                1 => ("oneOf", json!([one, two])),
                2 => ("allOf", json!([one, two])),
                3 => ("not", one),
                4 => ("if", one),
                5 => ("then", one),
                6 => ("else", one),
                7 => ("items", one),
                8 => ("contains", one),
                9 => ("prefixItems", json!([one, two])),
                10 => ("properties", json!({"a": one, "b": two})),
                11 => ("additionalProperties", one),
                12 => ("patternProperties", json!({"^a": one, "b$": two})),
                13 => ("unevaluatedProperties", one),
                14 => ("unevaluatedItems", one),
                15 => ("dependentSchemas", json!({"a": one})),
                _ => ("type", json!(["array", "object"])),
            };
            schema.insert(keyword.to_owned(), value);
        }
        Value::Object(schema)
    }

    /// A body as deep as is allowed, with a little beside the way down.
    fn body(&mut self, style: usize) -> Value {
        (0..DEPTH).fold(json!("x"), |inner, _| match (style, self.below(3)) {
            (0, _) | (2, 0) => json!([inner]),
            (1, 0) => json!({"a": inner}),
            (1, _) => json!({"b": inner}),
            (2, _) => json!({"a": inner, "b": 1}),
            _ => json!([inner, 1, {"a": "y"}]),
        })
    }
}

#[test]
fn what_is_accepted_is_fast_at_full_depth() {
    let mut random = Random(11);
    let (mut accepted, mut recursive) = (0, 0);
    for _ in 0..600 {
        let mut schema = random.schema(2);
        let definitions = json!({"a": random.schema(1), "b": random.schema(1)});
        if let Value::Object(map) = &mut schema {
            map.insert("$defs".to_owned(), definitions);
        }
        let text = schema.to_string();
        let Ok(compiled) = Schema::<SerdeJson>::compile(&text, &Bounds::default()) else {
            continue;
        };
        accepted += 1;
        recursive += usize::from(text.contains("$ref"));
        for style in 0..4 {
            let body = random.body(style);
            let started = Instant::now();
            if !compiled.is_valid(&body) {
                // As explained in full, which is where the engine does not remember what it saw.
                let _ = compiled.explain(&&body, 1);
            }
            // Generous for 65 to 250 values, in a debug build on a busy machine: branching takes hours.
            assert!(started.elapsed() < Duration::from_secs(5), "{text}");
        }
    }
    assert!(accepted > 60 && recursive > 40, "{accepted} {recursive}");
}
