//! What becomes of a payload whose schema changed.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{contract, json_written, one, record};
use crate::schema::contract::Contract;
use crate::schema::plan::Plan;

/// What a reader gets of what a writer wrote, as JSON; or the reason.
fn evolve(writer: &Contract, value: &Value, reader: &Contract) -> Result<Value, String> {
    let datum = json_written(writer, value);
    let plan = Plan::resolve(writer, reader).map_err(|mismatch| mismatch.to_string())?;
    plan.read::<Value>(&datum).map_err(|error| error.to_string())
}

fn evolve_one(written: &Value, value: &Value, read: &Value) -> Result<Value, String> {
    evolve(&one(written), &json!({ "v": value }), &one(read)).map(|value| value["v"].clone())
}

fn evolve_bytes(written: &Value, value: &str, read: &Value) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    struct R {
        #[serde(with = "apache_avro::serde::bytes")]
        v: Vec<u8>,
    }
    let (written, read) = (one(written), one(read));
    let plan = Plan::resolve(&written, &read).map_err(|mismatch| mismatch.to_string())?;
    Ok(plan.read::<R>(&json_written(&written, &json!({ "v": value }))).unwrap().v)
}

#[test]
fn numbers_are_promoted_and_never_narrowed() {
    for (written, read, wanted) in [
        ("int", "long", json!(7)),
        ("int", "float", json!(7.0)),
        ("int", "double", json!(7.0)),
        ("long", "float", json!(7.0)),
        ("long", "double", json!(7.0)),
        ("float", "double", json!(7.0)),
    ] {
        assert_eq!(evolve_one(&json!(written), &json!(7), &json!(read)).unwrap(), wanted, "{written} to {read}");
        assert_eq!(
            evolve_one(&json!(read), &json!(7), &json!(written)).unwrap_err(),
            format!("field `v`: it was written as {read} and cannot be read as {written}")
        );
    }
    assert_eq!(evolve_bytes(&json!("string"), "é", &json!("bytes")).unwrap(), "é".as_bytes());
    assert_eq!(evolve_one(&json!("bytes"), &json!("a"), &json!("string")).unwrap(), json!("a"));
}

#[test]
fn a_value_becomes_optional_and_an_optional_value_that_is_there_a_value() {
    let optional = json!(["null", "long"]);
    assert_eq!(evolve_one(&json!("int"), &json!(7), &optional).unwrap(), json!(7));
    assert_eq!(evolve_one(&optional, &json!(7), &json!("double")).unwrap(), json!(7.0));
    assert_eq!(
        evolve_one(&optional, &json!(null), &json!("long")).unwrap_err(),
        "field `v`: it was written as null and cannot be read as long"
    );
    assert_eq!(evolve_one(&json!(["long", "null"]), &json!(null), &optional).unwrap(), json!(null));
    let wider = json!(["null", "string", "double"]);
    assert_eq!(evolve_one(&optional, &json!(7), &wider).unwrap(), json!(7.0));
    assert!(evolve_one(&wider, &json!({"double": 7}), &optional).is_err());
    assert!(evolve_one(&json!(["int", "boolean"]), &json!(7), &json!(["null", "string"])).is_err());
}

#[test]
fn fields_are_added_removed_renamed_and_reordered() {
    let old =
        record(&json!([{"name": "a", "type": "int"}, {"name": "gone", "type": {"type": "map", "values": "string"}},
        {"name": "b", "type": "string"}]));
    let new = record(&json!([
        {"name": "name", "aliases": ["b"], "type": "string"},
        {"name": "a", "type": "long"},
        {"name": "added", "type": {"type": "array", "items": ["null", "string"]}, "default": [null, "x"]},
        {"name": "counts", "type": {"type": "record", "name": "C", "fields": [{"name": "n", "type": "int", "default": 3}]},
         "default": {}}]));
    let value = json!({"a": 1, "gone": {"k": "v"}, "b": "x"});
    assert_eq!(
        evolve(&old, &value, &new).unwrap(),
        json!({"a": 1, "name": "x", "added": [null, "x"], "counts": {"n": 3}})
    );
    assert_eq!(
        evolve(&new, &json!({"name": "x", "a": 1}), &old).unwrap_err(),
        "field `a`: it was written as long and cannot be read as int"
    );
    let required = record(&json!([{"name": "a", "type": "int"}, {"name": "need", "type": "int"}]));
    assert_eq!(
        evolve(&old, &value, &required).unwrap_err(),
        "field `need`: it is not in what was written, and has no default"
    );
}

#[test]
fn enum_symbols_come_and_go() {
    let old = json!({"type": "enum", "name": "E", "symbols": ["A", "B"]});
    let new = json!({"type": "enum", "name": "E", "symbols": ["C", "A"]});
    let safe = json!({"type": "enum", "name": "E", "symbols": ["C", "A"], "default": "C"});
    assert_eq!(evolve_one(&old, &json!("A"), &new).unwrap(), json!("A"));
    assert_eq!(
        evolve_one(&old, &json!("B"), &new).unwrap_err(),
        "field `v`: the symbol B is unknown to the type, and its enum has no default"
    );
    assert_eq!(evolve_one(&old, &json!("B"), &safe).unwrap(), json!("C"));
    let other = json!({"type": "enum", "name": "E", "symbols": ["X"]});
    assert_eq!(
        evolve_one(&old, &json!("A"), &other).unwrap_err(),
        "field `v`: enum E has none of the symbols that were written"
    );
}

#[test]
fn units_and_scales_are_not_mixed_up() {
    let time = |unit: &str| json!({"type": "long", "logicalType": format!("timestamp-{unit}")});
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale});
    assert_eq!(
        evolve_one(&time("millis"), &json!(7), &time("micros")).unwrap_err(),
        "field `v`: it was written as timestamp-millis and cannot be read as timestamp-micros"
    );
    assert_eq!(evolve_one(&time("millis"), &json!(7), &json!("long")).unwrap(), json!(7));
    assert_eq!(evolve_one(&json!("long"), &json!(7), &time("micros")).unwrap(), json!(7));
    assert!(evolve_one(&decimal(2), &json!("a"), &decimal(3)).is_err());
    assert_eq!(evolve_bytes(&decimal(2), "a", &decimal(2)).unwrap(), b"a");
    let uuid = json!({"type": "string", "logicalType": "uuid"});
    assert_eq!(evolve_one(&uuid, &json!("x"), &json!("string")).unwrap(), json!("x"));
}

#[test]
fn namespaces_may_move_and_names_may_not() {
    let schema = |name: &str, namespace: &str| {
        contract(&json!({"type": "record", "name": name, "namespace": namespace, "fields": []}))
    };
    assert!(Plan::resolve(&schema("R", "a"), &schema("R", "b")).is_ok());
    assert_eq!(
        Plan::resolve(&schema("R", "a"), &schema("S", "a")).unwrap_err().to_string(),
        "it was written as record R and cannot be read as record S"
    );
    let renamed = contract(&json!({"type": "record", "name": "S", "namespace": "a", "aliases": ["R"], "fields": []}));
    assert!(Plan::resolve(&schema("R", "a"), &renamed).is_ok());
}

#[test]
fn a_type_that_fails_within_a_union_leaves_nothing_behind() {
    // The first branch resolves halfway, remembers the recursive record, and fails.
    let node = |extra: &Value| {
        json!({"type": "record", "name": "N", "fields": [
            {"name": "next", "type": ["null", "N"]}, {"name": "list", "type": {"type": "array", "items": "N"}},
            {"name": "extra", "type": extra}]})
    };
    let writer = one(&node(&json!("string")));
    let reader = record(&json!([{"name": "v", "type": [node(&json!("int")), {"type": "map", "values": "int"}]}]));
    assert!(Plan::resolve(&writer, &reader).is_err());
}
