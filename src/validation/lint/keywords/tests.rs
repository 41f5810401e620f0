#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};

use super::super::words::{KEYWORDS, meant};
use super::check;

fn told(schema: &Value) -> String {
    check(schema).err().unwrap_or_else(|| panic!("{schema}")).to_string()
}

fn dialect(draft: &str) -> Value {
    json!(match draft {
        "2019" => "https://json-schema.org/draft/2019-09/schema",
        "2020" => "https://json-schema.org/draft/2020-12/schema",
        "4" => "http://json-schema.org/draft-04/schema#",
        "6" => "http://json-schema.org/draft-06/schema#",
        _ => "http://json-schema.org/draft-07/schema#",
    })
}

fn with(draft: &str, mut schema: Value) -> Value {
    schema.as_object_mut().unwrap().insert("$schema".to_owned(), dialect(draft));
    schema
}

#[test]
fn a_misspelt_keyword_is_told_with_the_right_spelling() {
    for (wrong, right) in [
        ("maxLenght", "maxLength"),
        ("requried", "required"),
        ("require", "required"),
        ("additionalPropertys", "additionalProperties"),
        ("AdditionalProperties", "additionalProperties"),
        ("additional_properties", "additionalProperties"),
        ("minlength", "minLength"),
        ("min_length", "minLength"),
        ("propertes", "properties"),
        ("patern", "pattern"),
        ("maximun", "maximum"),
        ("multipleof", "multipleOf"),
        ("formt", "format"),
        ("types", "type"),
        ("tpye", "type"),
        ("enums", "enum"),
        ("itmes", "items"),
        ("item", "items"),
        ("anyof", "anyOf"),
        ("ref", "$ref"),
        ("defs", "$defs"),
        ("cosnt", "const"),
        ("If", "if"),
    ] {
        let error = told(&json!({ wrong: 1 }));
        assert!(
            error.contains(&format!("{wrong:?}")) && error.contains(&format!("mean {right:?}")),
            "{error}"
        );
    }
    let error = told(&json!({"properties": {"a~/b": {"items": {"allOf": [true, {"maxLenght": 1}]}}}}));
    assert!(error.contains("/properties/a~0~1b/items/allOf/1 "), "{error}");
}

#[test]
fn it_is_told_in_every_schema_of_the_document_also_behind_references() {
    let wrong = json!({"maxLenght": 1});
    for schema in [
        json!({"$defs": {"a": wrong}}),
        json!({"definitions": {"a": wrong}}),
        json!({"not": wrong}),
        json!({"if": wrong}),
        json!({"contains": wrong}),
        json!({"prefixItems": [wrong]}),
        json!({"patternProperties": {"^a": wrong}}),
        json!({"dependentSchemas": {"a": wrong}}),
        json!({"propertyNames": wrong}),
        json!({"unevaluatedProperties": wrong}),
        // As a document of OpenAPI has it: a place that no keyword names.
        json!({"$ref": "#/components/schemas/a%20b", "components": {"schemas": {"a b": wrong}}}),
        json!({"properties": {"x": {"$id": "https://x.example/y", "$ref": "#/z", "z": wrong}}}),
        with("7", json!({"items": [true, wrong]})),
        with("7", json!({"dependencies": {"a": ["b"], "b": wrong}})),
    ] {
        assert!(told(&schema).contains("maxLength"), "{schema}");
    }
}

#[test]
fn names_and_values_are_no_keywords() {
    let odd = json!({"maxLenght": 1, "requried": true, "type": "integer", "maxLength": 1});
    for schema in [
        json!({"properties": odd.as_object().unwrap().keys().map(|name| (name.clone(), json!({}))).collect::<serde_json::Map<_, _>>()}),
        json!({"$defs": {"requried": {}}, "patternProperties": {"propertes": {}}, "dependentSchemas": {"formt": {}}}),
        json!({"dependentRequired": {"requried": ["propertes"]}, "required": ["maxLenght"]}),
        json!({"enum": [odd], "const": odd, "default": odd, "examples": [odd], "example": odd}),
        json!({"x-anything": odd, "discriminator": {"propertyName": "a", "mapping": odd}, "xml": odd}),
        json!({"externalDocs": odd, "$comment": "maxLenght", "title": "a", "deprecated": true, "readOnly": true}),
        json!({"$vocabulary": {"requried": true}}),
    ] {
        assert_eq!(check(&schema), Ok(()), "{schema}");
    }
}

#[test]
fn what_other_tools_write_into_schemas_is_near_to_no_keyword() {
    // Of ajv and its extensions, editors, generators of code and of forms, and databases.
    for name in [
        "formatMinimum",
        "formatMaximum",
        "transform",
        "instanceof",
        "range",
        "uniqueItemProperties",
        "allRequired",
        "anyRequired",
        "patternRequired",
        "prohibited",
        "dynamicDefaults",
        "select",
        "typeof",
        "errorMessage",
        "markdownDescription",
        "enumDescriptions",
        "enumNames",
        "defaultSnippets",
        "deprecationMessage",
        "tsType",
        "javaType",
        "propertyOrder",
        "propertyOrdering",
        "options",
        "bsonType",
        "name",
        "label",
        "unit",
        "order",
        "group",
        "version",
        "tags",
        "hint",
        "widget",
        "placeholder",
        "sensitive",
        "primaryKey",
        "when",
        "data",
        "summary",
        "strict",
        "contentType",
        "readonly",
        "writeonly",
        "descripton",
        "info",
        "paths",
        "openapi",
        "components",
        "cost",
        "links",
        "media",
        "import",
    ] {
        assert_eq!(check(&json!({ name: {} })).is_ok(), name != "cost", "{name}");
    }
    for (keyword, ..) in KEYWORDS {
        assert!(
            meant(keyword)
                .is_some_and(|meant| meant.trim_start_matches('$') == keyword.trim_start_matches('$'))
        );
    }
}

#[test]
fn a_keyword_of_another_draft_is_told_with_its_cure() {
    for (draft, schema, cure) in [
        ("7", json!({"dependentRequired": {}}), "dependencies"),
        ("7", json!({"prefixItems": []}), "items"),
        ("7", json!({"unevaluatedProperties": false}), "2020-12"),
        ("7", json!({"minContains": 1}), "2020-12"),
        ("7", json!({"id": "https://x.example"}), "$id"),
        ("6", json!({"if": {}}), "2020-12"),
        ("4", json!({"const": 1}), "enum"),
        ("4", json!({"$id": "https://x.example"}), "\"id\""),
        ("4", json!({"exclusiveMinimum": 1}), "beside"),
        ("7", json!({"exclusiveMinimum": true}), "bound itself"),
        ("2019", json!({"$dynamicRef": "#a"}), "$recursiveRef"),
        ("2019", json!({"prefixItems": []}), "items"),
        ("2020", json!({"$recursiveRef": "#"}), "$dynamicRef"),
        ("2020", json!({"items": [{}]}), "prefixItems"),
        ("2020", json!({"additionalItems": false}), "prefixItems"),
        ("2020", json!({"properties": {"a": {"required": true}}}), "list of names"),
        ("2020", json!({"nullable": true}), "\"null\""),
        ("2020", json!({"divisibleBy": 2}), "multipleOf"),
        ("2020", json!({"regex": "a"}), "pattern"),
        ("2020", json!({"then": {}}), "\"if\""),
        ("2020", json!({"maxContains": 1}), "\"contains\""),
        ("7", json!({"properties": {"a": {"$ref": "#/definitions/b", "maxLength": 3}}}), "allOf"),
    ] {
        let error = told(&with(draft, schema));
        assert!(error.contains(cure), "{error}");
    }
    // A schema within another may be of another draft.
    assert!(
        check(&json!({"properties": {"a": with("7", json!({"items": [{}], "additionalItems": false}))}}))
            .is_ok()
    );
}

#[test]
fn what_any_draft_follows_is_let_through_in_any() {
    for schema in [
        with("7", json!({"$ref": "#/$defs/a", "$defs": {"a": {}}})),
        with("7", json!({"$ref": "#/definitions/a", "definitions": {"a": {}}, "title": "a", "default": 1})),
        json!({"$ref": "#/definitions/a", "definitions": {"a": {}}, "maxLength": 3}),
        json!({"dependencies": {"a": ["b"]}}),
        with("4", json!({"maximum": 1, "exclusiveMaximum": true, "examples": [1], "readOnly": true})),
        with("2019", json!({"items": [{}], "additionalItems": false, "$recursiveAnchor": true})),
    ] {
        assert_eq!(check(&schema), Ok(()), "{schema}");
    }
}

#[test]
fn a_rule_for_another_type_than_is_let_in_is_told() {
    for schema in [
        json!({"type": "integer", "maxLength": 3}),
        json!({"type": "string", "minimum": 3}),
        json!({"type": ["string", "null"], "multipleOf": 3}),
        json!({"type": "object", "items": {}}),
        json!({"type": "array", "properties": {}}),
        json!({"type": "array", "pattern": "a"}),
        json!({"type": "null", "required": ["a"]}),
        json!({"type": "number", "format": "date-time"}),
    ] {
        assert!(
            told(&json!({"properties": {"a": schema}})).contains("checks nothing beside \"type\""),
            "{schema}"
        );
    }
    for schema in [
        json!({"type": ["integer", "string"], "maxLength": 3, "minimum": 1}),
        json!({"maxLength": 3, "minimum": 1, "required": ["a"]}),
        json!({"type": "integer", "maximum": 3, "enum": ["a"], "const": "b", "default": "c", "format": "int32"}),
        json!({"type": "string", "contentEncoding": "base64", "format": "uri"}),
        json!({"type": "object", "dependencies": {}, "propertyNames": {"maxLength": 3}}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}], "maxLength": 3}),
    ] {
        assert_eq!(check(&schema), Ok(()), "{schema}");
    }
}

#[test]
fn a_schema_of_any_shape_is_read_without_a_fault() {
    // The engine judges later whether it is one at all.
    for schema in [
        json!({"type": 3, "properties": [], "items": 7, "allOf": {}, "$ref": [], "$schema": null, "enum": 1}),
        json!({"$ref": "#/a/b~9", "a": null}),
        json!({"$ref": "#%ff%zz"}),
        json!({"$ref": "#", "properties": {"a": {"$ref": "#/properties/a"}}}),
        json!({"": 1, "$": 2, "é": 3}),
        json!({ "x".repeat(100_000): 1 }),
    ] {
        assert_eq!(check(&schema), Ok(()));
    }
    let many: serde_json::Map<_, _> = (0..100_000).map(|at| (format!("maximalist{at}"), json!(1))).collect();
    assert_eq!(check(&Value::Object(many)), Ok(()));
}
