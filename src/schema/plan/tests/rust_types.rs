//! How Rust types meet Avro types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{json_written, one, record, written};
use crate::schema::plan::Plan;

#[test]
fn an_option_takes_a_value_of_a_schema_without_null() {
    #[derive(Deserialize)]
    struct R {
        v: Option<i64>,
    }
    let plain = one(&json!("int"));
    let value: R = Plan::as_written(&plain).unwrap().read(&json_written(&plain, &json!({"v": 7}))).unwrap();
    assert_eq!(value.v, Some(7));
}

#[test]
fn rust_enums_are_unions_by_position_and_stay_so_when_a_branch_comes_first() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Card {
        number: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Paid {
        None,
        Cents(i64),
        Card(Card),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct R {
        v: Paid,
    }
    let card = json!({"type": "record", "name": "Card", "fields": [{"name": "number", "type": "string"}]});
    let contract = one(&json!(["null", "long", card]));
    let plan = Plan::as_written(&contract).unwrap();
    for paid in [Paid::None, Paid::Cents(7), Paid::Card(Card { number: "1".into() })] {
        let value = R { v: paid };
        assert_eq!(plan.read::<R>(&written(&contract, &value)).unwrap(), value);
    }
    let moved = one(&json!([card, "long", "null"]));
    let datum = json_written(&moved, &json!({"v": {"long": 7}}));
    assert_eq!(Plan::resolve(&moved, &contract).unwrap().read::<R>(&datum).unwrap().v, Paid::Cents(7));
    let bare = one(&json!("int"));
    assert_eq!(Plan::resolve(&bare, &contract).unwrap().read::<R>(&[14]).unwrap().v, Paid::Cents(7));
}

#[test]
fn newtypes_tuples_flattened_and_skipped_fields_are_read() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct UserId(i64);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Rest {
        b: String,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct AnyName {
        id: UserId,
        pair: (i32, String),
        #[serde(flatten)]
        rest: Rest,
        #[serde(skip)]
        cached: i32,
        maybe: Option<UserId>,
        keys: BTreeMap<String, UserId>,
    }
    let contract = record(&json!([
        {"name": "id", "type": "long"}, {"name": "b", "type": "string"},
        {"name": "pair", "type": {"type": "record", "name": "P", "fields": [
            {"name": "x", "type": "int"}, {"name": "y", "type": "string"}]}},
        {"name": "maybe", "type": ["null", "long"]}, {"name": "keys", "type": {"type": "map", "values": "long"}},
        {"name": "unused", "type": {"type": "array", "items": "string"}}]));
    let datum = json_written(
        &contract,
        &json!({"id": 1, "b": "b", "pair": {"x": 2, "y": "y"}, "maybe": 3, "keys": {"k": 4}, "unused": ["u"]}),
    );
    let wanted = AnyName {
        id: UserId(1),
        pair: (2, "y".into()),
        rest: Rest { b: "b".into() },
        cached: 0,
        maybe: Some(UserId(3)),
        keys: BTreeMap::from([("k".into(), UserId(4))]),
    };
    assert_eq!(Plan::as_written(&contract).unwrap().read::<AnyName>(&datum).unwrap(), wanted);
}
