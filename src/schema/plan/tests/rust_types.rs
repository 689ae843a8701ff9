//! How Rust types meet Avro types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Contract, json_written, one, record, written};
use crate::payload::Decimal;
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

/// A union of several types, with null anywhere among them or nowhere.
fn union_with(null: Option<usize>) -> Contract {
    let mut branches = vec![
        json!("long"),
        json!({"type": "record", "name": "Card", "fields": [{"name": "number", "type": "string"}]}),
        json!({"type": "array", "items": "string"}),
    ];
    if let Some(null) = null {
        branches.insert(null, json!("null"));
    }
    one(&json!(branches))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Card {
    number: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Means {
    Cents(i64),
    Card(Card),
    Vouchers(Vec<String>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Maybe {
    v: Option<Means>,
}

fn every_means() -> [(Means, Value); 3] {
    [
        (Means::Cents(-7), json!({"long": -7})),
        (Means::Card(Card { number: "1".into() }), json!({"a.b.Card": {"number": "1"}})),
        (Means::Vouchers(vec!["x".into()]), json!({"array": ["x"]})),
    ]
}

#[test]
fn an_option_of_an_enum_is_a_union_of_null_and_several_wherever_null_stands() {
    for null in 0..4 {
        let contract = union_with(Some(null));
        let plan = Plan::as_written(&contract).unwrap();
        let none = (Maybe { v: None }, Value::Null);
        let some = every_means().map(|(means, json)| (Maybe { v: Some(means) }, json));
        for (value, json) in [none].into_iter().chain(some) {
            let mut datum = Vec::new();
            plan.write(&value, &mut datum).unwrap();
            assert_eq!(datum, json_written(&contract, &json!({"v": json})), "null at {null}: {value:?}");
            assert_eq!(plan.read::<Maybe>(&datum).unwrap(), value);
        }
    }
}

#[test]
fn an_enum_is_written_as_the_library_writes_it() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Always {
        v: Means,
    }
    let contract = union_with(None);
    let plan = Plan::as_written(&contract).unwrap();
    for (means, _) in every_means() {
        let value = Always { v: means };
        let mut datum = Vec::new();
        plan.write(&value, &mut datum).unwrap();
        assert_eq!(datum, written(&contract, &value));
        assert_eq!(plan.read::<Always>(&datum).unwrap(), value);
    }
}

#[test]
fn a_branch_that_the_reader_lacks_is_an_error_and_the_others_are_found_by_name() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Fewer {
        Cents(i64),
        Vouchers(Vec<String>),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Narrow {
        v: Option<Fewer>,
    }
    let narrow = one(&json!(["null", "long", {"type": "array", "items": "string"}]));
    for null in 0..4 {
        let wide = union_with(Some(null));
        let plan = Plan::resolve(&wide, &narrow).unwrap();
        let read = |json: &Value| plan.read::<Narrow>(&json_written(&wide, &json!({"v": json}))).map(|read| read.v);
        assert_eq!(read(&Value::Null).unwrap(), None);
        assert_eq!(read(&json!({"long": 7})).unwrap(), Some(Fewer::Cents(7)));
        assert_eq!(read(&json!({"array": ["x"]})).unwrap(), Some(Fewer::Vouchers(vec!["x".into()])));
        let error = read(&json!({"a.b.Card": {"number": "1"}})).unwrap_err().to_string();
        assert!(error.starts_with("field `v`: ") && error.contains("Card"), "{error}");
        // The other way round there is a branch for each of what was written.
        let widened = Plan::resolve(&narrow, &wide).unwrap();
        let datum = json_written(&narrow, &json!({"v": {"array": ["x"]}}));
        assert_eq!(widened.read::<Maybe>(&datum).unwrap().v, Some(Means::Vouchers(vec!["x".into()])));
        // What was no union is the branch of its type.
        let bare = Plan::resolve(&one(&json!("int")), &wide).unwrap();
        assert_eq!(bare.read::<Maybe>(&[14]).unwrap().v, Some(Means::Cents(7)));
    }
}

#[test]
fn an_option_of_symbols_reads_them_within_a_union_of_several() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Colour {
        Red,
        Green,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct R {
        v: Option<Colour>,
    }
    let contract = one(
        &json!(["null", {"type": "enum", "name": "Colour", "symbols": ["Red", "Green"], "default": "Red"}, "long"]),
    );
    let datum = json_written(&contract, &json!({"v": {"a.b.Colour": "Green"}}));
    assert_eq!(Plan::as_written(&contract).unwrap().read::<R>(&datum).unwrap().v, Some(Colour::Green));
}

#[test]
fn a_decimal_fills_its_fixed_type_and_no_more() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct R {
        v: Decimal<2>,
    }
    let contract =
        one(&json!({"type": "fixed", "name": "F", "size": 3, "logicalType": "decimal", "precision": 6, "scale": 2}));
    let plan = Plan::as_written(&contract).unwrap();
    for (number, bytes) in [
        (0, [0, 0, 0]),
        (-1, [255, 255, 255]),
        (128, [0, 0, 128]),
        (-8_388_608, [128, 0, 0]),
        (8_388_607, [127, 255, 255]),
    ] {
        let value = R { v: Decimal::new(number) };
        let mut datum = Vec::new();
        plan.write(&value, &mut datum).unwrap();
        assert_eq!(datum, bytes, "{number}");
        assert_eq!(plan.read::<R>(&datum).unwrap(), value);
    }
    assert!(plan.write(&R { v: Decimal::new(8_388_608) }, &mut Vec::new()).is_err());
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
