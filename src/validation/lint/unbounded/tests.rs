#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{From, MOST_TOLD, unbounded};

fn open(schema: &Value) -> Vec<String> {
    unbounded(schema, From::Json)
}

/// Whether a member of this schema is told.
fn is_open(schema: Value) -> bool {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {"a": schema}});
    !open(&schema).is_empty()
}

#[test]
fn strings_arrays_and_objects_without_a_bound_are_told_by_their_places() {
    let schema = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
            "names": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}},
            "free": {},
            "count": {"type": "integer"},
            "m~/n": {"anyOf": [{"type": "string"}, {"type": "null"}]}
        }
    });
    let told = open(&schema);
    for pointer in [
        "",
        "/properties/text",
        "/properties/tags",
        "/properties/names/items",
        "/properties/labels",
        "/properties/free",
        "/properties/m~0~1n/anyOf/0",
    ] {
        assert!(told.iter().any(|one| one == pointer), "{pointer} {told:?}");
    }
    assert_eq!(told.len(), 7, "{told:?}");
}

#[test]
fn each_of_these_bounds() {
    for schema in [
        json!({"type": "string", "maxLength": 3}),
        json!({"enum": ["a", ["b"]]}),
        json!({"const": {"a": "b"}}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "pattern": "^[a-z]{1,8}$"}),
        json!({"type": "string", "pattern": "^(?:a|b{2,3})$"}),
        json!({"type": "string", "pattern": "^a$|^b$"}),
        json!({"type": "array", "maxItems": 3}),
        json!({"type": "array", "items": false}),
        json!({"type": "array", "prefixItems": [{"type": "null"}], "items": false}),
        json!({"type": "array", "prefixItems": [{"type": "null"}], "unevaluatedItems": false}),
        json!({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": true}),
        json!({"type": "object", "maxProperties": 3}),
        json!({"type": "object", "additionalProperties": false}),
        json!({"type": "object", "unevaluatedProperties": false, "allOf": [{"properties": {"b": {"const": 1}}}]}),
        json!({"type": "object", "propertyNames": {"enum": ["a"]}}),
        json!({"type": ["integer", "null"]}),
        json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}),
        json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}),
        json!({"type": "string", "if": {"pattern": "^a"}, "then": {"maxLength": 3}, "else": {"maxLength": 4}}),
        json!(false),
    ] {
        assert!(!is_open(schema.clone()), "{schema}");
    }
}

#[test]
fn none_of_these_does() {
    for schema in [
        json!({"type": "string", "minLength": 3}),
        json!({"type": "string", "format": "email"}),
        // Its fraction of a second may be as long as the body.
        json!({"type": "string", "format": "date-time"}),
        json!({"type": "string", "pattern": "^[a-z]+$"}),
        json!({"type": "string", "pattern": "[a-z]{1,8}"}),
        json!({"type": "string", "pattern": "^a$|b"}),
        json!({"type": "string", "pattern": "(?m)^a$"}),
        json!({"type": "string", "not": {"maxLength": 3}}),
        json!({"type": "array", "contains": {"const": 1}, "maxContains": 2}),
        json!({"type": "array", "contains": {"const": 1}, "unevaluatedItems": false}),
        json!({"type": "array", "uniqueItems": true, "items": {"type": "integer"}}),
        json!({"type": "object", "additionalProperties": false, "patternProperties": {"^x": {"const": 1}}}),
        json!({"type": "object", "unevaluatedProperties": false, "allOf": [{"additionalProperties": {"const": 1}}]}),
        json!({"type": "object", "properties": {}}),
        json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "string"}]}),
        json!({"type": "string", "if": {"pattern": "^a"}, "then": {"maxLength": 3}}),
        json!(true),
    ] {
        assert!(is_open(schema.clone()), "{schema}");
    }
}

#[test]
fn references_are_followed_and_circles_end() {
    let schema = json!({
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {"type": "object", "additionalProperties": false, "properties": {
                "name": {"$ref": "#name"}, "left": {"$ref": "#/$defs/tree"}, "children": {"type": "array", "maxItems": 2,
                    "items": {"$ref": "#/$defs/tree"}}}},
            "name": {"$anchor": "name", "type": "string"},
            "unused": {"type": "string"}
        }
    });
    assert_eq!(open(&schema).len(), 1);
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}});
    assert_eq!(open(&circle).len(), 1);
    let lonely = json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "maxLength": 3,
        "definitions": {"a": {"type": "string"}}});
    assert_eq!(open(&lonely), ["/definitions/a"]);
}

#[test]
fn what_is_said_of_a_member_elsewhere_counts() {
    let schema = json!({"additionalProperties": false, "type": "object", "properties": {"a": {"type": "string"}},
        "allOf": [{"properties": {"a": {"maxLength": 3}}}]});
    assert_eq!(open(&schema), [""; 0]);
    // In an alternative it need not hold.
    let schema = json!({"additionalProperties": false, "type": "object", "properties": {"a": {"type": "string"}},
        "anyOf": [{"properties": {"a": {"maxLength": 3}}}]});
    assert_eq!(open(&schema), ["/properties/a"]);
}

#[test]
fn of_texts_a_list_is_one_that_the_schema_calls_so() {
    let schema = json!({"properties": {"a": {"maxLength": 3}, "b": {}, "c": {"type": "array", "items": {"type": "integer"}}}});
    assert_eq!(unbounded(&schema, From::Texts { closed: true }), ["/properties/b", "/properties/c"]);
    assert_eq!(unbounded(&schema, From::Texts { closed: false }).len(), 3);
}

#[test]
fn what_is_told_is_bounded_and_so_is_the_search() {
    let many: serde_json::Map<_, _> =
        (0..5_000).map(|at| (format!("a{at}"), json!({"type": "string"}))).collect();
    assert_eq!(open(&json!({"properties": many})).len(), MOST_TOLD);
    let again: serde_json::Map<_, _> =
        (0..3_000).map(|at| (format!("a{at}"), json!({"$ref": "#"}))).collect();
    assert_eq!(open(&json!({"type": "object", "properties": again})), [""]);
    let mut definitions = serde_json::Map::new();
    for at in 0..300 {
        let next = json!({"$ref": format!("#/$defs/d{}", (at + 1) % 300)});
        let other = json!({"$ref": format!("#/$defs/d{}", (at * 7 + 3) % 300)});
        definitions.insert(
            format!("d{at}"),
            json!({"type": "object", "maxProperties": 2, "properties": {"a": next, "b": other}, "allOf": [
                {"properties": {"a": other, "b": next}}]}),
        );
    }
    let started = std::time::Instant::now();
    assert_eq!(open(&json!({"$ref": "#/$defs/d0", "$defs": definitions})), [""; 0]);
    assert!(started.elapsed().as_secs() < 20);
}
