#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::super::outline::graph::with_graph;
use super::super::outline::places::places;
use super::{Closed, close};

fn closed(schema: &Value) -> Closed {
    with_graph(schema, |nodes| Ok(close(schema, nodes, &places(nodes)?, true))).unwrap()
}

#[test]
fn a_plain_schema_is_closed_where_it_stands() {
    let plain =
        closed(&json!({"properties": {"a": {"items": {"properties": {"b": {}}}}}, "required": ["c"]}));
    assert_eq!(
        plain.schema,
        json!({"properties": {"a": {"items": {"properties": {"b": {}}, "additionalProperties": false}}, "c": {}},
               "required": ["c"], "additionalProperties": false})
    );
    assert!(plain.aside.is_none() && !plain.strict);
}

#[test]
fn a_definition_that_knows_all_is_closed_once_and_not_where_it_is_used() {
    let schema = json!({"properties": {"one": {"$ref": "#/$defs/d"}, "many": {"items": {"$ref": "#/$defs/d"}}},
        "$defs": {"d": {"properties": {"x": {}, "d": {"$ref": "#/$defs/d"}}}}});
    let closed = closed(&schema);
    assert_eq!(closed.schema["$defs"]["d"]["additionalProperties"], json!(false));
    assert_eq!(closed.schema["properties"], schema["properties"]);
    assert!(closed.aside.is_none());
}

#[test]
fn a_definition_that_is_extended_somewhere_stays_open_itself() {
    let schema = json!({"properties": {"one": {"$ref": "#/$defs/d"}, "more": {"$ref": "#/$defs/d", "properties": {"y": {}}}},
        "$defs": {"d": {"properties": {"x": {}}}}});
    let closed = closed(&schema);
    assert_eq!(closed.schema["$defs"], schema["$defs"]);
    let more = &closed.schema["properties"]["more"];
    assert_eq!(more["properties"], json!({"x": {}, "y": {}}));
    assert_eq!(more["additionalProperties"], json!(false));
}

#[test]
fn names_that_depend_on_alternatives_are_told_by_the_engine_where_it_can() {
    let schema = json!({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}]});
    let modern = closed(&schema);
    assert_eq!(modern.schema["unevaluatedProperties"], json!(false));
    assert!(modern.strict);
    let mut older = schema;
    older["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    let older = closed(&older);
    assert_eq!(older.schema["properties"], json!({"a": {}, "b": {}}));
    assert_eq!(older.schema["additionalProperties"], json!(false));
    assert!(!older.strict);
}

#[test]
fn what_two_schemas_say_of_one_member_is_closed_beside_them() {
    let of = |name: &str| json!({"properties": {"a": {"properties": {name: {}}}}});
    let closed = closed(&json!({"allOf": [of("x"), of("y")]}));
    let aside = closed.aside.unwrap();
    let inner = &aside["$defs"]["1"];
    assert_eq!(inner["properties"], json!({"x": true, "y": true}));
    assert_eq!(inner["additionalProperties"], json!(false));
    // The place around it is closed by the schema itself.
    assert_eq!(aside["$defs"]["0"].get("additionalProperties"), None);
}

#[test]
fn nothing_is_changed_under_a_condition() {
    for asked in [
        json!({"not": {"properties": {"a": {}}}}),
        json!({"contains": {"properties": {"a": {}}}}),
        json!({"if": {"properties": {"a": {"properties": {"b": {}}}}}}),
        json!({"propertyNames": {"properties": {"a": {}}}}),
        json!({"not": {"$ref": "#/$defs/d"}, "$defs": {"d": {"properties": {"a": {}}}}}),
    ] {
        assert_eq!(closed(&asked).schema, asked);
        assert!(closed(&asked).aside.is_none());
    }
}
