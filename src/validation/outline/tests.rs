#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonschema::json::SerdeJson;
use serde_json::{Value, json};

use super::super::value::ValueBuilder;
use super::super::{Bounds, Cleaners, Schema, Unknown};

/// A cleaner that takes blanks out, and one that doubles.
fn cleaners() -> Cleaners {
    Cleaners::default()
        .with("tight", |_| Ok(Arc::new(|text| text.contains(' ').then(|| text.replace(' ', "")))))
        .with("twice", |_| Ok(Arc::new(|text| Some(text.repeat(2)))))
}

fn compile(schema: &Value, unknown: Unknown) -> Result<Schema<SerdeJson>, String> {
    Schema::with(&schema.to_string(), &Bounds::default(), unknown, &cleaners())
        .map_err(|error| error.to_string())
}

/// What becomes of a value that is valid.
fn refined(schema: &Value, unknown: Unknown, mut value: Value) -> Option<Value> {
    let schema = compile(schema, unknown).unwrap();
    let mut tree = ValueBuilder::default();
    schema.prepare(&mut tree, &mut value).ok()?;
    if !schema.is_valid(&value) {
        return None;
    }
    schema.complete(&mut tree, &mut value).ok()?;
    Some(value)
}

#[test]
fn a_schema_that_does_nothing_is_not_walked() {
    for plain in [json!(true), json!({"properties": {"a": {"type": "string"}}, "items": {"$ref": "#"}})] {
        assert!(!compile(&plain, Unknown::Reject).unwrap().refines());
        assert!(!compile(&plain, Unknown::Ignore).unwrap().refines());
    }
    // Named like keywords, but names.
    let names = json!({"properties": {"default": {"type": "string"}, "x-clean": {"type": "string"}}});
    assert!(!compile(&names, Unknown::Ignore).unwrap().refines());
}

#[test]
fn it_strips_then_cleans_then_judges_then_completes() {
    let schema = json!({
        "maxProperties": 1, "properties": {
            "a": {"type": "string", "x-clean": "tight", "maxLength": 2},
            "b": {"default": {"c": [null]}}}});
    let sent = json!({"a": " x y ", "z": 1});
    assert_eq!(refined(&schema, Unknown::Strip, sent.clone()), Some(json!({"a": "xy", "b": {"c": [null]}})));
    assert_eq!(refined(&schema, Unknown::Ignore, sent), None);
}

#[test]
fn growth_is_bounded_over_all_texts() {
    let schema = json!({"items": {"type": "string", "x-clean": "twice"}});
    let bounds = Bounds::new(1000, 8, 8, 8).unwrap();
    let schema =
        Schema::<SerdeJson>::with(&schema.to_string(), &bounds, Unknown::Ignore, &cleaners()).unwrap();
    let mut tree = ValueBuilder::default();
    assert!(schema.prepare(&mut tree, &mut json!(vec!["x".repeat(100); 10])).is_ok());
    assert!(schema.prepare(&mut tree, &mut json!(vec!["x".repeat(100); 11])).is_err());
}

#[test]
fn the_keyword_of_an_unknown_cleaner_is_refused_where_no_cleaner_is_known() {
    let text = json!({"type": "string", "x-clean": "tight"}).to_string();
    assert!(Schema::<SerdeJson>::compile(&text, &Bounds::default()).is_err());
}

#[test]
fn a_cleaner_of_an_older_draft_beside_a_reference_is_told() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"a": {"$ref": "#/definitions/t", "x-clean": "tight"}}, "definitions": {"t": {"type": "string"}}});
    assert!(compile(&schema, Unknown::Ignore).err().unwrap().contains("cleans nothing"));
}

#[test]
fn a_schema_with_many_names_and_a_long_chain_are_read_in_linear_time() {
    let names: serde_json::Map<String, Value> =
        (0..5_000).map(|i| (format!("n{i}"), json!({"default": 1}))).collect();
    let started = Instant::now();
    let many = compile(&json!({"properties": names}), Unknown::Reject);
    assert!(many.is_ok());
    let mut chain = serde_json::Map::new();
    for i in 0..200 {
        chain.insert(
            format!("d{i}"),
            json!({"$ref": format!("#/$defs/d{}", i + 1), "properties": {format!("p{i}"): {}}}),
        );
    }
    chain.insert("d200".to_owned(), json!({"properties": {"end": {"type": "string", "x-clean": "tight"}}}));
    let chained = json!({"$ref": "#/$defs/d0", "$defs": chain});
    assert_eq!(
        refined(&chained, Unknown::Reject, json!({"p7": 1, "end": "a b"})),
        Some(json!({"p7": 1, "end": "ab"}))
    );
    assert_eq!(refined(&chained, Unknown::Reject, json!({"p200": 1})), None);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn recursion_is_walked_to_the_bound_of_depth() {
    let schema = json!({"properties": {"next": {"$ref": "#"}, "t": {"type": "string", "x-clean": "tight"}, "d": {"default": 0}}});
    let (mut sent, mut clean) = (json!({"t": "a b", "d": 1}), json!({"t": "ab", "d": 1}));
    for _ in 0..60 {
        (sent, clean) = (json!({"next": sent}), json!({"next": clean, "d": 0}));
    }
    assert_eq!(refined(&schema, Unknown::Reject, sent), Some(clean));
}
