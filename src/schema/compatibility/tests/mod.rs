//! What breaks, and how it is told.

mod agreement;

use serde_json::{Value, json};

use super::{Break, Difference, Direction, breaks, differences};

fn record(fields: &Value) -> String {
    json!({"type": "record", "name": "Moved", "namespace": "players", "fields": fields}).to_string()
}

fn one(ty: &Value) -> String {
    record(&json!([{"name": "v", "type": ty}]))
}

/// What a reader of the new version says of the old one, and what to do.
fn backward(old: &Value, new: &Value) -> Vec<(String, String)> {
    told(&breaks(&one(old), &one(new)).unwrap(), Direction::Backward)
}

/// What a reader of the old version says of the new one, and what to do.
fn forward(old: &Value, new: &Value) -> Vec<(String, String)> {
    told(&breaks(&one(new), &one(old)).unwrap(), Direction::Forward)
}

fn told(breaks: &[Break], direction: Direction) -> Vec<(String, String)> {
    breaks.iter().map(|found| (found.to_string(), found.fix(direction))).collect()
}

fn said(what: &str, fix: &str) -> Vec<(String, String)> {
    vec![(what.to_owned(), fix.to_owned())]
}

#[test]
fn a_type_that_changed_is_kept_beside_a_new_field() {
    assert_eq!(backward(&json!("int"), &json!("long")), []);
    assert_eq!(
        forward(&json!("int"), &json!("long")),
        said(
            "field `v`: it was written as long and cannot be read as int",
            "keep int, and add a field of another name, with a default, for long"
        )
    );
    let time = |unit: &str| json!({"type": "long", "logicalType": format!("timestamp-{unit}")});
    assert_eq!(backward(&time("millis"), &time("micros")).len(), 1);
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale});
    assert_eq!(backward(&decimal(2), &decimal(3)).len(), 1);
    assert_eq!(backward(&decimal(2), &decimal(2)), []);
}

#[test]
fn null_that_may_be_on_the_topic_stays_readable() {
    let optional = json!(["null", "long"]);
    assert_eq!(backward(&json!("long"), &optional), []);
    assert_eq!(
        backward(&optional, &json!("long")),
        said(
            "field `v`: it may be written as null, which cannot be read as long",
            "keep null among the types of `v`: it is on the topic"
        )
    );
    assert_eq!(
        forward(&json!("long"), &optional),
        said(
            "field `v`: it may be written as null, which cannot be read as long",
            "leave null out of the types of `v`, and add a field of another name for it"
        )
    );
}

#[test]
fn enum_symbols_need_a_default_to_come_and_go() {
    let symbols = |symbols: &[&str], default: Option<&str>| {
        let mut tier = json!({"type": "enum", "name": "Tier", "symbols": symbols});
        if let Some(default) = default {
            tier["default"] = default.into();
        }
        tier
    };
    let (old, new) = (symbols(&["A", "B"], None), symbols(&["A", "C", "D"], None));
    assert_eq!(
        backward(&old, &new),
        said(
            "field `v`: B may be written, which the enum Tier has not; and it has no default",
            "keep B, or give the enum a \"default\""
        )
    );
    assert_eq!(
        forward(&old, &new),
        said(
            "field `v`: C, D may be written, which the enum Tier has not; and it has no default",
            "give the enum Tier a \"default\" first, in a version of its own, and add C, D when every handler has it"
        )
    );
    assert_eq!(backward(&old, &symbols(&["A"], Some("A"))), []);
}

#[test]
fn a_field_comes_with_a_default_and_a_new_name_with_an_alias() {
    let id = json!({"name": "id", "type": "long"});
    let old = record(&json!([id, {"name": "nick", "type": "string"}]));
    let new = record(&json!([id, {"name": "nickname", "type": "string"}]));
    assert_eq!(
        told(&breaks(&old, &new).unwrap(), Direction::Backward),
        said(
            "field `nickname`: it is not in what was written, and has no default",
            "give `nickname` a default, or, if it was called `nick`, \"aliases\": [\"nick\"]"
        )
    );
    assert_eq!(
        told(&breaks(&new, &old).unwrap(), Direction::Forward),
        said(
            "field `nick`: it is not in what was written, and has no default",
            "keep `nick`: older handlers need it. Take it away with a new major version, or once they have a default for it"
        )
    );
    let aliased = record(&json!([id, {"name": "nickname", "aliases": ["nick"], "type": "string"}]));
    assert_eq!(breaks(&old, &aliased).unwrap(), []);
    let unfit =
        record(&json!([id, {"name": "level", "type": "int", "default": 1}, {"name": "nick", "type": "string"}]));
    assert_eq!(breaks(&old, &unfit).unwrap(), []);
}

#[test]
fn every_break_is_told_with_its_place_in_both_texts() {
    let address = |fields: &Value| json!({"type": "record", "name": "Address", "fields": fields});
    let old = record(&json!([
        {"name": "home", "type": address(&json!([{"name": "zip", "type": "string"}]))},
        {"name": "tags", "type": {"type": "array", "items": "long"}}]));
    let new = record(&json!([
        {"name": "home", "type": address(&json!([{"name": "zip", "type": "int"}]))},
        {"name": "tags", "type": {"type": "array", "items": "int"}}]));
    let found = breaks(&old, &new).unwrap();
    let fields: Vec<_> = found.iter().map(|found| found.field.as_str()).collect();
    assert_eq!(fields, ["home.zip", "tags[]"]);
    assert_eq!(&old[found[0].written_at.clone()], r#"{"name":"zip","type":"string"}"#);
    assert_eq!(&new[found[0].read_at.clone()], r#"{"name":"zip","type":"int"}"#);
    assert!(new[found[1].read_at.clone()].starts_with(r#"{"name":"tags""#), "{found:?}");
}

#[test]
fn a_record_that_was_renamed_says_under_which_alias_it_is_read() {
    let renamed = record(&json!([])).replace("Moved", "Travelled");
    let found = breaks(&record(&json!([])), &renamed).unwrap();
    assert_eq!(
        told(&found, Direction::Backward),
        said(
            "it was written as Moved and is read as Travelled, which has no such alias",
            "\"aliases\": [\"Moved\"] beside the new name"
        )
    );
    let elsewhere = record(&json!([])).replace("players", "accounts");
    assert_eq!(breaks(&record(&json!([])), &elsewhere).unwrap(), []);
}

#[test]
fn recursive_records_are_compared_once() {
    let node = |ty: &str| {
        one(&json!({"type": "record", "name": "Node", "fields": [
            {"name": "next", "type": ["null", "Node"]}, {"name": "v", "type": ty}]}))
    };
    assert_eq!(breaks(&node("int"), &node("long")).unwrap(), []);
    assert!(!breaks(&node("long"), &node("int")).unwrap().is_empty());
}

#[test]
fn differences_name_the_field_and_what_became_of_it() {
    let old = record(
        &json!([{"name": "id", "type": "int"}, {"name": "gone", "type": "string"}, {"name": "nick", "type": "string"}]),
    );
    let new = record(
        &json!([{"name": "id", "type": "long", "doc": "The player."}, {"name": "level", "type": "int", "default": 1},
        {"name": "nickname", "aliases": ["nick"], "type": "string", "pii": true}]),
    );
    let lines: Vec<_> = differences(&old, &new).unwrap().iter().map(Difference::to_string).collect();
    assert_eq!(
        lines,
        [
            "~ id: type was int and is long",
            "~ id: doc was not there and is The player.",
            "+ level: int, 1 by default",
            "~ nickname: it was nick",
            "~ nickname: pii was not there and is true",
            "- gone: string",
        ]
    );
    assert_eq!(differences(&old, &old).unwrap(), []);
}
