//! Any value comes back, and any bytes are survived.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{empty_items, json_written, linked, record, written};
use crate::schema::contract::Contract;
use crate::schema::plan::{Cursor, Plan};

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
    fn every_value_is_written_as_the_library_writes_it(value in an_everything()) {
        let (contract, plan) = &*EVERYTHING;
        let mut datum = Vec::new();
        prop_assert_eq!(plan.write(&value, &mut datum), Ok(()));
        prop_assert_eq!(datum, written(contract, &value));
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
