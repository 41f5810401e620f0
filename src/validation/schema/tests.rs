#![allow(clippy::unwrap_used)]

use jsonschema::json::SerdeJson;
use serde_json::{Value, json};

use super::super::explain::{Broken, MOST_BROKEN};
use super::*;

fn compile(schema: &Value) -> Result<Schema<SerdeJson>, String> {
    Schema::compile(&schema.to_string(), &Bounds::default()).map_err(|error| error.to_string())
}

fn broken(schema: &Value, body: &Value) -> Vec<(String, String)> {
    let schema = compile(schema).unwrap();
    assert!(!schema.is_valid(body));
    let explanation = schema.explain(&body, 10);
    explanation.broken.into_iter().map(|Broken { pointer, rule }| (pointer, rule)).collect()
}

fn pair(pointer: &str, rule: &str) -> (String, String) {
    (pointer.to_owned(), rule.to_owned())
}

#[test]
fn each_draft_is_read_by_its_own_rules() {
    // `exclusiveMinimum` is a flag in draft 4 and a number since draft 6.
    let draft4 =
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 5, "exclusiveMinimum": true});
    assert!(!compile(&draft4).unwrap().is_valid(&json!(5)));
    assert!(compile(&json!({"minimum": 5, "exclusiveMinimum": true})).is_err());
    for draft in ["http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema"] {
        let schema = compile(&json!({"$schema": draft, "exclusiveMinimum": 5})).unwrap();
        assert!(!schema.is_valid(&json!(5)) && schema.is_valid(&json!(6)));
        // Siblings of `$ref` are ignored up to draft 7, and so refused.
        let sibling = json!({"$schema": draft, "definitions": {"a": true}, "properties": {
            "x": {"$ref": "#/definitions/a", "type": "string"}}});
        assert!(compile(&sibling).err().unwrap().contains("allOf"));
    }
    let sibling = json!({"$defs": {"a": true}, "properties": {"x": {"$ref": "#/$defs/a", "type": "string"}}});
    assert!(!compile(&sibling).unwrap().is_valid(&json!({"x": 1})));
    let tuple = json!({"prefixItems": [{"type": "string"}], "items": false});
    assert!(!compile(&tuple).unwrap().is_valid(&json!(["a", 1])));
    let tuple = json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "items": [{"type": "string"}], "additionalItems": false});
    assert!(!compile(&tuple).unwrap().is_valid(&json!(["a", 1])));
}

#[test]
fn formats_are_asserted_in_every_draft_and_unknown_ones_refused() {
    for draft in DIALECTS {
        let schema = compile(&json!({"$schema": draft, "format": "date-time"})).unwrap();
        assert!(!schema.is_valid(&json!("yesterday")), "{draft}");
        let error =
            compile(&json!({"$schema": draft, "properties": {"mail": {"format": "emial"}}})).err().unwrap();
        assert!(error.contains("emial") && error.contains("/properties/mail/format"), "{error}");
    }
}

#[test]
fn references_are_never_fetched() {
    // CWE-918: PrefectHQ/fastmcp#3502 read local files and internal hosts this way.
    for reference in
        ["http://127.0.0.1:9/s.json", "https://example.com/s", "file:///etc/passwd", "other.json", "urn:x:y"]
    {
        let error = compile(&json!({"properties": {"a": {"$ref": reference}}})).err().unwrap();
        assert!(error.contains("ever fetched") || error.contains("leaves the schema"), "{error}");
    }
    assert!(compile(&json!({"$defs": {"unused": {"$ref": "http://127.0.0.1:9/"}}})).is_err());
    assert!(compile(&json!({"$ref": "#/$defs/missing"})).is_err());
}

#[test]
fn references_inside_the_document_work() {
    let schema = json!({
        "$id": "https://example.com/order",
        "$ref": "#/$defs/order",
        "$defs": {
            "order": {"properties": {"sku": {"$ref": "#sku"}, "lines": {"items": {"$ref": "line"}}}},
            "sku": {"$anchor": "sku", "type": "string"},
            "line": {"$id": "line", "properties": {"count": {"$ref": "#/$defs/count"}}, "$defs": {"count": {"type": "integer"}}}
        }
    });
    let schema = compile(&schema).unwrap();
    assert!(schema.is_valid(&json!({"sku": "a", "lines": [{"count": 1}]})));
    assert!(!schema.is_valid(&json!({"sku": 1})));
    assert!(!schema.is_valid(&json!({"lines": [{"count": "1"}]})));
}

#[test]
fn a_dynamic_reference_extends_a_recursive_schema() {
    // JSON Schema 2020-12 core, §8.2.3: the strict tree closes the open one.
    let schema = json!({
        "$id": "https://example.com/strict-tree", "$dynamicAnchor": "node",
        "$ref": "tree", "unevaluatedProperties": false,
        "$defs": {"tree": {"$id": "tree", "$dynamicAnchor": "node",
            "properties": {"data": true, "children": {"items": {"$dynamicRef": "#node"}}}}}
    });
    let schema = compile(&schema).unwrap();
    assert!(schema.is_valid(&json!({"children": [{"data": 1}]})));
    assert!(!schema.is_valid(&json!({"children": [{"daat": 1}]})));
}

#[test]
fn a_schema_that_is_not_one_is_refused_with_its_place() {
    for (schema, place) in [
        (json!({"properties": {"a": {"type": "strin"}}}), "/properties/a/type"),
        (json!({"minLength": -1}), "/minLength"),
        (json!({"$schema": "https://example.com/mine"}), "$schema"),
        (json!({"$schema": 4}), "$schema"),
        (json!([]), "object"),
        (json!("x"), "object"),
        (json!({"multipleOf": 0}), "/multipleOf"),
        (json!({"properties": {"a": {"pattern": "^(?=.*x)"}}}), "^(?=.*x)"),
        (json!({"pattern": "(a)\\1"}), "linear time"),
        (json!({"patternProperties": {"(?<!a)b": {}}}), "(?<!a)b"),
        (json!({"pattern": "("}), "/pattern"),
    ] {
        let error = compile(&schema).err().unwrap();
        assert!(error.contains(place), "{schema}: {error}");
    }
    let twice = Schema::<SerdeJson>::compile(r#"{"type":"object","type":"array"}"#, &Bounds::default());
    assert!(twice.err().unwrap().to_string().contains("twice"));
    assert!(compile(&json!(true)).unwrap().is_valid(&json!(1)));
    assert!(!compile(&json!(false)).unwrap().is_valid(&json!(1)));
}

#[test]
fn errors_point_at_the_place_and_name_the_rule() {
    let schema = json!({
        "type": "object", "required": ["id", "a/b"], "additionalProperties": false,
        "properties": {
            "id": {"type": "integer"},
            "a/b": {"items": {"required": ["x"], "properties": {"x": {"multipleOf": 0.5}}}, "uniqueItems": true},
        }
    });
    assert_eq!(broken(&schema, &json!({"a/b": []})), [pair("/id", "required")]);
    assert_eq!(broken(&schema, &json!({"id": 1})), [pair("/a~1b", "required")]);
    assert_eq!(broken(&schema, &json!({"id": "1", "a/b": []})), [pair("/id", "type")]);
    assert_eq!(broken(&schema, &json!({"id": 1, "a/b": [{"x": 1}, {}]})), [pair("/a~1b/1/x", "required")]);
    assert_eq!(broken(&schema, &json!({"id": 1, "a/b": [{"x": 0.7}]})), [pair("/a~1b/0/x", "multipleOf")]);
    assert_eq!(
        broken(&schema, &json!({"id": 1, "a/b": [{"x": 1}, {"x": 1}]})),
        [pair("/a~1b", "uniqueItems")]
    );
}

#[test]
fn names_that_only_the_peer_knows_are_not_repeated() {
    let schema = json!({
        "properties": {"labels": {"additionalProperties": {"type": "string"}}, "list": {"items": {"type": "string"}}},
        "patternProperties": {"^x-": {"type": "string"}},
        "propertyNames": {"maxLength": 20},
        "additionalProperties": false
    });
    for (body, pointer, rule) in [
        (json!({"canary": 1}), "", "additionalProperties"),
        (json!({"labels": {"canary": 1}}), "/labels", "type"),
        // A name of digits is not an index.
        (json!({"labels": {"4111111111111111": 1}}), "/labels", "type"),
        (json!({"labels": {"0": 1}}), "/labels", "type"),
        (json!({"list": ["a", 1]}), "/list/1", "type"),
        (json!({"x-canary": 1}), "", "type"),
        (json!({"x-canary-canary-canary": ""}), "", "propertyNames"),
    ] {
        assert_eq!(broken(&schema, &body), [pair(pointer, rule)], "{body}");
    }
}

#[test]
fn an_explanation_is_short_and_says_when_it_is_not_whole() {
    let schema = compile(&json!({"items": {"type": "string"}})).unwrap();
    let many = json!(vec![1; 100]);
    let explanation = schema.explain(&&many, 101);
    assert_eq!((explanation.broken.len(), explanation.truncated), (MOST_BROKEN, true));
    // Of a large body only the first: `iter_errors` would collect half a million.
    let explanation = schema.explain(&&many, 100_000);
    assert_eq!((explanation.broken.len(), explanation.truncated), (1, true));
    // Alternatives are explained branch by branch, so of a large body not at all.
    let schema = compile(&json!({"anyOf": [{"items": {"type": "string"}}, {"type": "null"}]})).unwrap();
    let explanation = schema.explain(&&many, 100_000);
    assert_eq!((explanation.broken.len(), explanation.truncated), (0, true));
}

#[test]
fn an_integer_that_would_be_rounded_is_refused() {
    // `const` 2^64 + 1 accepted 2^64.
    for text in [
        r#"{"const": 18446744073709551617}"#,
        r#"{"enum": [1, -9223372036854775809]}"#,
        r#"{"properties": {"a": {"minimum": 100000000000000000000}}}"#,
    ] {
        let error = Schema::<SerdeJson>::compile(text, &Bounds::default()).err().unwrap().to_string();
        assert!(error.contains("64 bits"), "{error}");
    }
    let exact = compile(&json!({"maximum": u64::MAX, "minimum": i64::MIN})).unwrap();
    assert!(exact.is_valid(&json!(u64::MAX)));
    assert!(Schema::<SerdeJson>::compile(r#"{"maximum": 1e30}"#, &Bounds::default()).is_ok());
}

#[test]
fn a_schema_that_breaks_in_many_places_is_not_explained_with_a_copy_for_each() {
    // 900 rules, and each error holds a copy of the body.
    let rules: Vec<Value> = (0..900).map(|i| json!({"minProperties": i + 5})).collect();
    let schema = compile(&json!({"allOf": rules})).unwrap();
    let body = json!({"a": "x".repeat(60_000)});
    let explanation = schema.explain(&&body, 2 + 60_000 / 64);
    assert_eq!(explanation.broken, [Broken { pointer: String::new(), rule: "minProperties".to_owned() }]);
    assert!(explanation.truncated);
}
