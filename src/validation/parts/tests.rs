//! What a part is read as.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::validation::value::ValueBuilder;

fn read(schema: Value, place: Place, unknown: Unknown, query: &str) -> (Value, Vec<(String, String)>) {
    let parts = Parts::of(&schema, place, unknown).unwrap();
    let read =
        parts.query(query.as_bytes(), &Bounds::default(), &mut ValueBuilder::default()).unwrap().unwrap();
    (read.value, read.broken.into_iter().map(|one| (one.pointer, one.rule)).collect())
}

fn query(properties: Value, query: &str) -> Value {
    read(json!({ "properties": properties }), Place::Query, Unknown::Reject, query).0
}

fn broken(properties: Value, query: &str) -> Vec<(String, String)> {
    read(json!({ "properties": properties }), Place::Query, Unknown::Reject, query).1
}

fn one(pointer: &str, rule: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), rule.to_owned())]
}

#[test]
fn a_text_becomes_what_its_schema_names_and_json_would_write_so() {
    for (kind, text, value) in [
        ("integer", "12", json!(12)),
        ("integer", "-0", json!(0)),
        ("integer", "1.0", json!("1.0")),
        ("integer", "1e3", json!("1e3")),
        ("integer", "+1", json!(" 1")),
        ("integer", "%2B1", json!("+1")),
        ("integer", "01", json!("01")),
        ("integer", "1_0", json!("1_0")),
        ("integer", "%D9%A3", json!("\u{663}")),
        ("integer", "0x10", json!("0x10")),
        ("integer", "", json!("")),
        ("integer", "-", json!("-")),
        ("number", "1e3", json!(1000.0)),
        ("number", "-1.5", json!(-1.5)),
        ("number", "1e999", json!("1e999")),
        ("number", "NaN", json!("NaN")),
        ("number", "Infinity", json!("Infinity")),
        ("number", "%201", json!(" 1")),
        ("boolean", "true", json!(true)),
        ("boolean", "False", json!("False")),
        ("boolean", "1", json!("1")),
        ("null", "", json!(null)),
        ("string", "12", json!("12")),
        ("string", "true", json!("true")),
    ] {
        assert_eq!(
            query(json!({"a": {"type": kind}}), &format!("a={text}")),
            json!({"a": value}),
            "{kind} {text}"
        );
    }
}

#[test]
fn of_several_types_the_first_that_it_can_be_is_meant() {
    let both = json!({"a": {"type": ["string", "null", "integer"]}});
    assert_eq!(query(both.clone(), "a=12"), json!({"a": 12}));
    assert_eq!(query(both.clone(), "a=x"), json!({"a": "x"}));
    assert_eq!(query(both, "a="), json!({"a": ""}));
    assert_eq!(
        query(json!({"a": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}), "a="),
        json!({"a": null})
    );
    assert_eq!(query(json!({"a": {"enum": [1, 2]}}), "a=2"), json!({"a": 2}));
    assert_eq!(query(json!({"a": {}}), "a=2"), json!({"a": "2"}));
}

#[test]
fn references_within_the_document_are_followed_and_circles_end() {
    let schema = json!({
        "$defs": {"n~/%": {"type": "integer"}, "loop": {"$ref": "#/$defs/loop"}},
        "properties": {"a": {"$ref": "#/$defs/n~0~1%25"}, "b": {"$ref": "#/$defs/loop"}},
    });
    let (value, broken) = read(schema, Place::Query, Unknown::Reject, "a=1&b=2");
    assert_eq!((value, broken), (json!({"a": 1, "b": "2"}), vec![]));
}

#[test]
fn a_name_that_comes_twice_is_a_list_or_refused() {
    // CWE-235: parameter pollution.
    assert_eq!(broken(json!({"a": {"type": "string"}}), "a=1&a=2"), one("/a", "repeated"));
    assert_eq!(broken(json!({"a": {"type": "string"}}), "a=1&%61=2"), one("/a", "repeated"));
    let list = json!({"a": {"type": "array", "items": {"type": "integer"}}});
    assert_eq!(query(list.clone(), "a=1&a=2&a=x"), json!({"a": [1, 2, "x"]}));
    assert_eq!(query(list.clone(), "a=1"), json!({"a": [1]}));
    assert_eq!(query(list, ""), json!({}));
}

#[test]
fn lists_are_cut_as_openapi_writes_them() {
    for (style, text, value) in [
        (json!({"x-explode": false}), "a=1,2", json!([1, 2])),
        (json!({"x-style": "pipeDelimited"}), "a=1|2", json!([1, 2])),
        (json!({"x-style": "spaceDelimited"}), "a=1%202+3", json!([1, 2, 3])),
    ] {
        let mut property = json!({"type": "array", "items": {"type": "integer"}});
        property.as_object_mut().unwrap().extend(style.as_object().unwrap().clone());
        assert_eq!(query(json!({"a": property.clone()}), text), json!({"a": value}));
        assert_eq!(broken(json!({"a": property}), &format!("{text}&{text}")), one("/a", "repeated"));
    }
    let list = json!({"properties": {"X-Ids": {"type": "array", "items": {"type": "integer"}}}});
    assert_eq!(read(list, Place::Headers, Unknown::Strip, "x-ids=1, 2\t,3").0, json!({"X-Ids": [1, 2, 3]}));
}

#[test]
fn an_object_is_read_one_level_deep() {
    let filter = json!({"filter": {"type": "object", "properties": {"size": {"type": "integer"}}}});
    assert_eq!(query(filter.clone(), "filter[size]=2"), json!({"filter": {"size": 2}}));
    assert_eq!(
        query(json!({"filter": {"type": "object"}}), "filter[size]=2&filter[color]=3"),
        json!({"filter": {"size": "2", "color": "3"}})
    );
    assert_eq!(broken(filter.clone(), "filter[size]=2&filter[size]=3"), one("/filter", "repeated"));
    assert_eq!(broken(filter.clone(), "filter=2"), one("/filter", "type"));
    assert_eq!(broken(filter.clone(), "filter[is_admin]=1"), one("/filter", "additionalProperties"));
    assert_eq!(broken(filter.clone(), "filter[a][b]=2"), one("", "additionalProperties"));
    assert_eq!(broken(filter, "other[a]=2"), one("", "additionalProperties"));
}

#[test]
fn what_the_schema_does_not_know_is_refused_let_through_or_left_out() {
    let schema = json!({"properties": {"a": {"type": "integer"}}});
    let read = |unknown| read(schema.clone(), Place::Query, unknown, "a=1&b=2&c");
    assert_eq!(read(Unknown::Reject), (json!({"a": 1}), one("", "additionalProperties")));
    assert_eq!(read(Unknown::Ignore), (json!({"a": 1, "b": "2", "c": ""}), vec![]));
    assert_eq!(read(Unknown::Strip), (json!({"a": 1}), vec![]));
    let open = json!({"properties": {"a": {}}, "additionalProperties": {"type": "string"}});
    assert_eq!(super::tests::read(open, Place::Query, Unknown::Reject, "b=2"), (json!({"b": "2"}), vec![]));
}

#[test]
fn what_is_said_of_one_name_in_several_places_counts_together() {
    let schema = json!({"allOf": [
        {"properties": {"a": {"minimum": 1}}},
        {"properties": {"a": {"type": "integer", "default": 5}}},
    ]});
    let read = |query| read(schema.clone(), Place::Query, Unknown::Reject, query).0;
    assert_eq!((read("a=7"), read("")), (json!({"a": 7}), json!({"a": 5})));
}

#[test]
fn before_2019_what_stands_beside_a_reference_does_not_count() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/open",
        "properties": {"a": {"type": "integer"}},
        "definitions": {"open": {"properties": {"b": {}}}},
    });
    assert!(
        Parts::of(&schema, Place::Query, Unknown::Reject).is_err(),
        "it speaks of a name that is not judged"
    );
}

#[test]
fn what_a_list_holds_weighs_as_much_however_it_is_written() {
    let weigh = |properties: Value, query: &str| {
        let parts = Parts::of(&json!({"properties": properties}), Place::Query, Unknown::Reject).unwrap();
        parts
            .query(query.as_bytes(), &Bounds::default(), &mut ValueBuilder::default())
            .unwrap()
            .unwrap()
            .weight
    };
    let cut =
        weigh(json!({"a": {"type": "array", "x-explode": false}}), &format!("a={}", "x,".repeat(5_000)));
    assert!(cut >= 5_000);
    assert!(weigh(json!({"a": {"type": "array"}}), &"a=x&".repeat(5_000)) >= 5_000);
}

#[test]
fn what_is_absent_gets_its_default_and_never_the_same_one() {
    let schema =
        json!({"a": {"default": {"b": [1, 2.5, null, true, "x"]}}, "c": {"type": "integer", "default": 7}});
    assert_eq!(query(schema.clone(), ""), json!({"a": {"b": [1, 2.5, null, true, "x"]}, "c": 7}));
    assert_eq!(query(schema, "c=1"), json!({"a": {"b": [1, 2.5, null, true, "x"]}, "c": 1}));
}

#[test]
fn a_query_that_cannot_be_taken_apart_is_none() {
    let parts = Parts::of(&json!({"properties": {"a": {}}}), Place::Query, Unknown::Reject).unwrap();
    for query in ["a=%", "a=%4", "a=%zz", "%=1", "a=%ff", "a=%c3", "a=%ed%a0%80", "a=%+1"] {
        let read = parts.query(query.as_bytes(), &Bounds::default(), &mut ValueBuilder::default()).unwrap();
        assert!(read.is_none(), "{query}");
    }
    assert!(parts.query(b"a=\xff", &Bounds::default(), &mut ValueBuilder::default()).unwrap().is_none());
    let many = "a&".repeat(10_001);
    assert!(
        parts.query(many.as_bytes(), &Bounds::default(), &mut ValueBuilder::default()).unwrap().is_none()
    );
}

#[test]
fn what_cannot_be_read_there_is_told_at_registration() {
    for (schema, place) in [
        (json!({}), Place::Query),
        (json!(true), Place::Query),
        (json!({"properties": {"a": {"type": "object"}}}), Place::Headers),
        (json!({"properties": {"a": {"type": "array", "x-style": "matrix"}}}), Place::Path),
        (json!({"properties": {"a": {"type": "array", "x-explode": 1}}}), Place::Query),
        (
            json!({"properties": {"a": {"type": "array"}, "b": {"type": "string", "x-explode": true}}}),
            Place::Query,
        ),
        (json!({"properties": {"A": {}, "a": {}}}), Place::Headers),
        (json!({"properties": {"X-A": {}, "X_A": {}}}), Place::Headers),
        (json!({"properties": {"a": {"minimum": 1}}}), Place::Query),
        (json!({"properties": {"a": {"type": "array", "items": {"maximum": 1}}}}), Place::Query),
        (json!({"properties": {"a": {}}, "required": ["b"]}), Place::Query),
        (json!({"properties": {"a": {}}, "not": {"required": ["b"]}}), Place::Headers),
        (json!({"properties": {"a": {}}, "dependentRequired": {"b": ["a"]}}), Place::Query),
        (json!({"properties": {"a": {}}, "if": {"properties": {"b": {"const": "1"}}}}), Place::Query),
        (json!({"properties": {"a": {}}, "patternProperties": {"^x-": {}}}), Place::Query),
    ] {
        assert!(Parts::of(&schema, place, Unknown::Reject).is_err(), "{schema}");
    }
}

#[test]
fn a_rule_that_texts_would_pass_unseen_is_refused_wherever_it_is_said() {
    // Found by a second reading: each let `a=0` pass.
    for schema in [
        json!({"properties": {"a": {"not": {"const": 0}}}}),
        json!({"properties": {"a": {"not": {"enum": [0, 1]}}}}),
        json!({"properties": {"a": {"not": {"type": "integer"}}}}),
        json!({"properties": {"a": {"not": {"maximum": 5}}}}),
        json!({"properties": {"a": {"type": "string", "not": {"const": true}}}}),
        json!({"properties": {"a": {}}, "if": {"required": ["a"]}, "then": {"properties": {"a": {"minimum": 1}}}}),
        json!({"properties": {"a": {}}, "if": {"properties": {"a": {"minimum": 1}}}, "else": false}),
        json!({"properties": {"a": {}, "b": {}}, "dependentSchemas": {"b": {"properties": {"a": {"multipleOf": 2}}}}}),
        json!({"properties": {"a": {}}, "not": {"properties": {"a": {"const": 0}}}}),
        json!({"properties": {"a": {}}, "$defs": {"n": {"minimum": 1}}, "if": true, "then": {"properties": {"a": {"$ref": "#/$defs/n"}}}}),
        json!({"properties": {"a": {}}, "if": true, "then": {"properties": {"a": {"maxItems": 1}}}}),
        json!({"properties": {"a": {"type": ["array", "integer"], "maximum": 1}}}),
        json!({"properties": {"a": {"type": "array", "contains": {"minimum": 5}}}}),
        json!({"properties": {"a": {"type": "array", "contains": {"const": 5}}}}),
        json!({"properties": {"a": {"type": "array", "prefixItems": [{"minimum": 5}]}}}),
        json!({"properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}}}),
        json!({"properties": {"a": {"type": "array", "items": {"not": {"const": 0}}}}}),
        json!({"properties": {"a": {"type": "array", "items": {}, "allOf": [{"items": {"maximum": 3}}]}}}),
        json!({"properties": {"a": {"type": "array"}}, "if": true, "then": {"properties": {"a": {"items": {"maximum": 3}}}}}),
        json!({"properties": {"a": {"type": "object", "properties": {"b": {"not": {"const": 0}}}}}}),
        json!({"properties": {"a": {"type": "object", "properties": {"b": {}}, "if": true,
            "then": {"properties": {"b": {"minimum": 0}}}}}}),
        json!({"properties": {"a": {}}, "additionalProperties": {"not": {"const": 0}}}),
        json!({"properties": {"a": {}}, "if": true, "then": {"additionalProperties": {"maximum": 5}}}),
    ] {
        assert!(Parts::of(&schema, Place::Query, Unknown::Ignore).is_err(), "{schema}");
    }
    for schema in [
        json!({"properties": {"a": {"type": "integer", "not": {"const": 0}}}}),
        json!({"properties": {"a": {"type": "integer"}}, "if": true, "then": {"properties": {"a": {"minimum": 1}}}}),
        json!({"properties": {"a": {"not": {"const": "0"}}}}),
        json!({"properties": {"a": {"type": ["string", "null"], "not": {"type": "null"}}}}),
        json!({"properties": {"a": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]}}}),
        json!({"properties": {"a": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5}}}}),
        json!({"properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}]}}}),
        json!({"properties": {"a": {"type": "object", "properties": {"b": {"type": "number"}}, "not": {"required": ["b"]}}}}),
        json!({"properties": {"a": {}}, "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
    ] {
        assert!(Parts::of(&schema, Place::Query, Unknown::Ignore).is_ok(), "{schema}");
    }
}

#[test]
fn what_is_said_of_elements_and_members_in_several_places_counts_together() {
    let list =
        json!({"a": {"type": "array", "allOf": [{"items": {"minimum": 3}}, {"items": {"type": "integer"}}]}});
    assert_eq!(query(list, "a=5"), json!({"a": [5]}));
    let filter = json!({"f": {"type": "object", "properties": {"b": {"type": "integer"}}, "allOf": [{"properties": {"b": {}}}]}});
    assert_eq!(query(filter, "f[b]=5"), json!({"f": {"b": 5}}));
}

#[test]
fn what_bounds_nothing_is_told_for_texts_too() {
    let schema =
        json!({"properties": {"q": {"type": "string"}, "n": {"type": "integer"}, "t": {"maxLength": 3}}});
    let of = |place, unknown| Parts::of(&schema, place, unknown).unwrap().unbounded().to_vec();
    assert_eq!(of(Place::Query, Unknown::Reject), ["/properties/q"]);
    assert_eq!(of(Place::Path, Unknown::Ignore), ["/properties/q"]);
    assert_eq!(of(Place::Query, Unknown::Ignore), ["", "/properties/q"]);
}

#[test]
fn where_the_unknown_is_left_out_a_schema_cannot_speak_of_it() {
    let open = json!({"properties": {"a": {}}, "patternProperties": {"^X-": {"enum": ["ok"]}}, "additionalProperties": false});
    assert!(Parts::of(&open, Place::Headers, Unknown::Strip).is_err());
    assert!(Parts::of(&open, Place::Query, Unknown::Reject).is_ok());
}
