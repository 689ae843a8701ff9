use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn contract(schema: &Value) -> Contract {
    Contract::parse(&schema.to_string()).unwrap()
}

fn record(fields: &Value) -> Contract {
    contract(&json!({"type": "record", "name": "R", "namespace": "a.b", "fields": fields}))
}

fn one(of: &Value) -> Contract {
    record(&json!([{"name": "v", "type": of}]))
}

fn written<T: Serialize>(contract: &Contract, value: &T) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(contract.schema()).human_readable(true).build().unwrap();
    writer.write_ser_to_vec(value).unwrap()
}

fn json_written(contract: &Contract, value: &Value) -> Vec<u8> {
    let mut datum = Vec::new();
    crate::schema::json_datum::write_payload(contract.schema(), value, &mut datum).unwrap();
    datum
}

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    text: String,
    list: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: i16,
    int: i32,
    long: i64,
    unsigned: u32,
    float: f32,
    double: f64,
    text: String,
    #[serde(with = "apache_avro::serde::bytes")]
    bytes: Vec<u8>,
    uuid: Uuid,
    colour: Colour,
    maybe: Option<String>,
    inner: Inner,
    inners: Vec<Inner>,
    maybe_inner: Option<Inner>,
    map: HashMap<String, i64>,
}

fn everything() -> Contract {
    record(&json!([
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "int", "type": "int"},
        {"name": "long", "type": "long"},
        {"name": "unsigned", "type": "long"},
        {"name": "float", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "text", "type": "string"},
        {"name": "bytes", "type": "bytes"},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["Red", "Green"], "default": "Red"}},
        {"name": "maybe", "type": ["null", "string"], "default": null},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [
            {"name": "text", "type": "string"}, {"name": "list", "type": {"type": "array", "items": "int"}}]}},
        {"name": "inners", "type": {"type": "array", "items": "Inner"}},
        {"name": "maybe_inner", "type": ["null", "Inner"], "default": null},
        {"name": "map", "type": {"type": "map", "values": "long"}}
    ]))
}

static EVERYTHING: LazyLock<(Contract, Plan)> = LazyLock::new(|| {
    let contract = everything();
    let plan = Plan::as_written(&contract).unwrap();
    (contract, plan)
});

fn an_inner() -> impl Strategy<Value = Inner> {
    (".{0,8}", prop::collection::vec(any::<i32>(), 0..4)).prop_map(|(text, list)| Inner { text, list })
}

fn an_everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<bool>(), any::<i16>(), any::<i32>(), any::<i64>(), any::<u32>(), any::<f32>(), any::<f64>());
    let texts =
        (".{0,20}", prop::collection::vec(any::<u8>(), 0..20), any::<u128>(), any::<bool>(), any::<Option<String>>());
    let nested = (
        an_inner(),
        prop::collection::vec(an_inner(), 0..4),
        prop::option::of(an_inner()),
        prop::collection::hash_map(".{0,5}", any::<i64>(), 0..4),
    );
    (numbers, texts, nested).prop_map(|(numbers, texts, nested)| {
        let (flag, small, int, long, unsigned, float, double) = numbers;
        let (text, bytes, uuid, red, maybe) = texts;
        let (inner, inners, maybe_inner, map) = nested;
        let colour = if red { Colour::Red } else { Colour::Green };
        let uuid = Uuid::from_u128(uuid);
        Everything {
            flag,
            small,
            int,
            long,
            unsigned,
            float,
            double,
            text,
            bytes,
            uuid,
            colour,
            maybe,
            inner,
            inners,
            maybe_inner,
            map,
        }
    })
}

proptest! {
    #[test]
    fn every_value_comes_back_as_it_went(value in an_everything()) {
        let (contract, plan) = &*EVERYTHING;
        prop_assert_eq!(plan.read::<Everything>(&written(contract, &value)).unwrap(), value);
    }

    #[test]
    fn every_value_survives_json_and_back(value in an_everything()) {
        let (contract, plan) = &*EVERYTHING;
        let json = plan.read_json(&written(contract, &value)).unwrap();
        prop_assert_eq!(plan.read::<Everything>(&json_written(contract, &json)).unwrap(), value);
    }

    #[test]
    fn a_datum_cut_off_anywhere_is_an_error(value in an_everything()) {
        let (contract, plan) = &*EVERYTHING;
        let datum = written(contract, &value);
        for length in 0..datum.len() {
            prop_assert!(plan.read::<Everything>(&datum[..length]).is_err());
            prop_assert!(plan.read_json(&datum[..length]).is_err());
        }
    }

    #[test]
    fn random_bytes_never_panic(datum in prop::collection::vec(any::<u8>(), 0..300)) {
        static PLANS: LazyLock<[Plan; 3]> =
            LazyLock::new(|| [everything(), linked(), empty_items()].map(|schema| Plan::as_written(&schema).unwrap()));
        for plan in &*PLANS {
            let _ = plan.read::<Value>(&datum);
            let _ = plan.read::<Everything>(&datum);
            let _ = plan.read_json(&datum);
            let _ = plan.skip(plan.root, &mut Cursor::new(&datum));
        }
    }

    #[test]
    fn changed_bytes_never_panic(value in an_everything(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (contract, plan) = &*EVERYTHING;
        let mut datum = written(contract, &value);
        let at = at.index(datum.len());
        datum[at] = byte;
        let _ = plan.read::<Everything>(&datum);
        let _ = plan.read_json(&datum);
    }
}

fn linked() -> Contract {
    record(&json!([{"name": "next", "type": ["null", "R"], "default": null}]))
}

fn empty_items() -> Contract {
    one(
        &json!({"type": "array", "items": {"type": "record", "name": "Empty", "fields": [{"name": "n", "type": "null"}]}}),
    )
}

#[test]
fn what_the_library_reads_we_read_alike() {
    let contract = everything();
    let schema = Schema::parse_str(contract.text()).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    let value = json!({"flag": true, "small": -3, "int": 7, "long": -9_000_000_000_i64, "unsigned": 5, "float": 1.5,
        "double": -2.25, "text": "ü", "bytes": "\u{ff}\u{0}", "uuid": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "colour": "Green", "inner": {"text": "", "list": [1, -1]}, "inners": [], "map": {"k": 1}});
    let datum = json_written(&contract, &value);
    let theirs = reader.read_value(&mut datum.as_slice()).unwrap();
    let mut again = Vec::new();
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_ref(&mut again, &theirs).unwrap();
    assert_eq!(again, datum);
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
fn recursive_types_resolve_and_nest_only_so_deep() {
    #[derive(Debug, Deserialize)]
    struct R {
        next: Option<Box<Self>>,
        #[serde(default)]
        depth: i32,
    }
    let new = record(&json!([{"name": "next", "type": ["null", "R"], "default": null},
        {"name": "depth", "type": "int", "default": 5}]));
    let plan = Plan::resolve(&linked(), &new).unwrap();
    let two: R = plan.read(&[2, 2, 0]).unwrap();
    assert_eq!((two.depth, two.next.unwrap().next.unwrap().depth), (5, 5));
    let endless = [vec![2; 1_000_000], vec![0]].concat();
    for error in [plan.read::<R>(&endless).unwrap_err(), plan.read_json(&endless).unwrap_err()] {
        assert!(error.to_string().ends_with("it nests deeper than 64 levels"), "{error}");
    }
    let ignoring = Plan::resolve(&linked(), &record(&json!([]))).unwrap();
    assert!(ignoring.read::<Value>(&endless).unwrap_err().to_string().ends_with("it nests deeper than 64 levels"));
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

#[test]
fn lengths_that_lie_are_refused_without_allocating() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for of in [
        json!("string"),
        json!("bytes"),
        json!({"type": "array", "items": "long"}),
        json!({"type": "map", "values": "int"}),
    ] {
        let contract = one(&of);
        let plan = Plan::as_written(&contract).unwrap();
        assert!(plan.read::<Value>(&huge).unwrap_err().to_string().starts_with("field `v`: it says it"), "{of}");
        assert!(plan.read_json(&huge).is_err());
    }
    let contract = one(&json!("string"));
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[1]).unwrap_err().to_string(), "field `v`: its length is negative (-1)");
    assert_eq!(
        plan.read::<Value>(&[20, b'a']).unwrap_err().to_string(),
        "field `v`: it says it is 10 bytes long, and 1 bytes are left"
    );
    assert_eq!(plan.read::<Value>(&[2, 0xff]).unwrap_err().to_string(), "field `v`: a string is not UTF-8");
}

#[test]
fn items_without_bytes_are_bounded_too() {
    let contract = empty_items();
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[4, 0]).unwrap(), json!({"v": [{"n": null}, {"n": null}]}));
    let bomb = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert_eq!(plan.read::<Value>(&bomb).unwrap_err().to_string(), "field `v`: it has more than 65536 empty items");
    let blocks = [vec![0xfe, 0xff, 0x03], vec![0xfe, 0xff, 0x03], vec![0xfe, 0xff, 0x03], vec![0]].concat();
    assert!(plan.read_json(&blocks).unwrap_err().to_string().ends_with("65536 empty items"));
}

#[test]
fn bytes_behind_the_datum_are_an_error() {
    let contract = one(&json!("int"));
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[2, 0, 0]).unwrap_err().to_string(), "2 bytes are left behind the payload");
    assert!(plan.read_json(&[2, 0]).is_err());
}

#[test]
fn blocks_with_sizes_are_read_and_passed_over() {
    let list = json!({"type": "array", "items": "int"});
    let both = record(&json!([{"name": "v", "type": list}, {"name": "w", "type": "int"}]));
    // Two items with their size in bytes before them, one more, the end; then 5.
    let datum = [3, 4, 2, 4, 2, 6, 0, 10];
    assert_eq!(Plan::as_written(&both).unwrap().read::<Value>(&datum).unwrap(), json!({"v": [1, 2, 3], "w": 5}));
    let second = record(&json!([{"name": "w", "type": "int"}]));
    assert_eq!(Plan::resolve(&both, &second).unwrap().read::<Value>(&datum).unwrap(), json!({"w": 5}));
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

#[test]
fn errors_name_the_field_and_never_its_value() {
    #[derive(Debug, Deserialize)]
    struct R {
        #[allow(dead_code)]
        v: Vec<Item>,
    }
    #[derive(Debug, Deserialize)]
    struct Item {
        #[allow(dead_code)]
        secret: i64,
    }
    let item = json!({"type": "record", "name": "Item", "fields": [{"name": "secret", "type": "string"}]});
    let contract = one(&json!({"type": "array", "items": item}));
    let datum = json_written(&contract, &json!({"v": [{"secret": "hunter2"}]}));
    let error = Plan::as_written(&contract).unwrap().read::<R>(&datum).unwrap_err().to_string();
    assert_eq!(error, "field `v[0].secret`: it is a string, and the type wants i64");
}
