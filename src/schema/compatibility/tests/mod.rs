//! What breaks, how it is told, and that decode plans agree.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Value, json};

use super::{Break, Difference, Direction, breaks, differences};
use crate::schema::contract::Contract;
use crate::schema::json_datum;
use crate::schema::plan::Plan;

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

/// A type in a random schema.
#[derive(Debug, Clone)]
enum Type {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Decimal(u32),
    Fixed(u32),
    Enum(Vec<&'static str>, bool),
    Array(Box<Self>),
    Map(Box<Self>),
    Optional(Box<Self>),
    Union(Vec<&'static str>),
    Record(Vec<(&'static str, Self, bool)>),
}

fn types() -> impl Strategy<Value = Type> {
    let plain = prop::sample::select(vec!["boolean", "int", "long", "float", "double", "string", "bytes"]);
    let symbols = prop::sample::subsequence(vec!["A", "B", "C"], 1..=3);
    let branches = vec!["null", "boolean", "int", "long", "float", "double", "string", "bytes"];
    let leaf = prop_oneof![
        6 => plain.prop_map(Type::Plain),
        1 => prop::sample::select(vec!["timestamp-millis", "timestamp-micros"]).prop_map(|unit| Type::Logical("long", unit)),
        1 => Just(Type::Logical("int", "date")),
        1 => (1_u32..3).prop_map(Type::Decimal),
        1 => (1_u32..3).prop_map(Type::Fixed),
        2 => (symbols, any::<bool>()).prop_map(|(symbols, default)| Type::Enum(symbols, default)),
        2 => prop::sample::subsequence(branches, 1..=4).prop_map(Type::Union),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| Type::Array(Box::new(items))),
            inner.clone().prop_map(|values| Type::Map(Box::new(values))),
            // A union cannot hold a union.
            inner
                .clone()
                .prop_filter("a union", |inner| !matches!(inner, Type::Union(_) | Type::Optional(_)))
                .prop_map(|inner| Type::Optional(Box::new(inner))),
            fields(inner).prop_map(Type::Record),
        ]
    })
}

fn fields(ty: impl Strategy<Value = Type>) -> impl Strategy<Value = Vec<(&'static str, Type, bool)>> {
    let names = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    (names, prop::collection::vec((ty, any::<bool>()), 3)).prop_map(|(names, types)| {
        names.into_iter().zip(types).map(|(name, (ty, default))| (name, ty, default)).collect()
    })
}

impl Type {
    /// Its schema. Named types are called by where they are, so that both schemas call those at one place the same.
    fn schema(&self, path: &str) -> Value {
        match self {
            Self::Plain(name) => json!(name),
            Self::Logical(base, logical) => json!({"type": base, "logicalType": logical}),
            Self::Decimal(scale) => json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale}),
            Self::Fixed(size) => json!({"type": "fixed", "name": format!("F{path}"), "size": size}),
            Self::Enum(symbols, default) => {
                let mut schema = json!({"type": "enum", "name": format!("E{path}"), "symbols": symbols});
                if *default {
                    schema["default"] = json!(symbols[0]);
                }
                schema
            }
            Self::Array(items) => json!({"type": "array", "items": items.schema(&format!("{path}i"))}),
            Self::Map(values) => json!({"type": "map", "values": values.schema(&format!("{path}m"))}),
            Self::Optional(inner) => json!(["null", inner.schema(&format!("{path}o"))]),
            Self::Union(branches) => json!(branches),
            Self::Record(fields) => {
                let fields: Vec<Value> = fields
                    .iter()
                    .map(|(name, ty, default)| {
                        let mut field = json!({"name": name, "type": ty.schema(&format!("{path}{name}"))});
                        if *default {
                            field["default"] = ty.default();
                        }
                        field
                    })
                    .collect();
                json!({"type": "record", "name": format!("R{path}"), "fields": fields})
            }
        }
    }

    /// A value as a schema's default has it: of a union's first branch, without its name.
    fn default(&self) -> Value {
        match self {
            Self::Optional(_) => Value::Null,
            Self::Union(branches) => plain(branches[0]),
            Self::Array(_) => json!([]),
            Self::Map(_) => json!({}),
            Self::Record(fields) => fields.iter().map(|(name, ty, _)| ((*name).to_owned(), ty.default())).collect(),
            other => other.values("").swap_remove(0),
        }
    }

    /// Values that use every branch and every symbol.
    fn values(&self, path: &str) -> Vec<Value> {
        match self {
            Self::Plain(name) => vec![plain(name)],
            Self::Logical(..) => vec![json!(1)],
            Self::Decimal(_) => vec![json!("a")],
            Self::Fixed(size) => vec![json!("a".repeat(*size as usize))],
            Self::Enum(symbols, _) => symbols.iter().map(|symbol| json!(symbol)).collect(),
            Self::Array(items) => items.values(&format!("{path}i")).into_iter().map(|item| json!([item])).collect(),
            Self::Map(values) => {
                values.values(&format!("{path}m")).into_iter().map(|value| json!({"k": value})).collect()
            }
            Self::Optional(inner) => {
                let there = inner.values(&format!("{path}o"));
                std::iter::once(Value::Null).chain(there).collect()
            }
            Self::Union(branches) => branches
                .iter()
                .map(|name| if *name == "null" { Value::Null } else { json!({*name: plain(name)}) })
                .collect(),
            Self::Record(fields) => {
                let each: Vec<Vec<Value>> =
                    fields.iter().map(|(name, ty, _)| ty.values(&format!("{path}{name}"))).collect();
                let first: serde_json::Map<_, _> = fields
                    .iter()
                    .zip(&each)
                    .map(|((name, ..), values)| ((*name).to_owned(), values[0].clone()))
                    .collect();
                let mut all = Vec::new();
                for ((name, ..), values) in fields.iter().zip(&each) {
                    for value in values {
                        let mut one = first.clone();
                        one.insert((*name).to_owned(), value.clone());
                        all.push(Value::Object(one));
                    }
                }
                all
            }
        }
    }
}

fn plain(name: &str) -> Value {
    match name {
        "null" => Value::Null,
        "boolean" => json!(true),
        "float" | "double" => json!(1.0),
        "string" | "bytes" => json!("a"),
        _ => json!(1),
    }
}

/// Takes whatever there is, and so meets every fault that a type would meet.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

macro_rules! takes {
    ($($visit:ident: $type:ty),+) => {$(
        fn $visit<E>(self, _: $type) -> Result<Self, E> { Ok(self) }
    )+};
}

impl<'de> Visitor<'de> for Anything {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    takes!(visit_bool: bool, visit_i32: i32, visit_i64: i64, visit_f32: f32, visit_f64: f64, visit_str: &str, visit_bytes: &[u8]);

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<String, Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Self, A::Error> {
        let (_, variant) = access.variant::<String>()?;
        variant.newtype_variant()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_what_decode_plans_do(
        written in fields(types()), read in fields(types()), kept in prop::collection::vec(any::<bool>(), 3)
    ) {
        // Two schemas made apart are hardly ever compatible: some fields stay as they were.
        let read = read.into_iter().zip(kept).map(|((name, ty, default), keep)| {
            let before = written.iter().find(|(known, ..)| keep && *known == name);
            (name, before.map_or(ty, |(_, ty, _)| ty.clone()), default)
        });
        let (written, read) = (Type::Record(written.clone()), Type::Record(read.collect()));
        let (writer, reader) = (written.schema("").to_string(), read.schema("").to_string());
        let found = breaks(&writer, &reader).unwrap();
        let (writer, reader) = (Contract::parse(&writer).unwrap(), Contract::parse(&reader).unwrap());
        let plan = Plan::resolve(&writer, &reader).map_err(|error| error.to_string());
        let read_all = plan.and_then(|plan| {
            written.values("").iter().try_for_each(|value| {
                let mut datum = Vec::new();
                json_datum::write_payload(writer.schema(), value, &mut datum).unwrap();
                plan.read::<Anything>(&datum).map(drop).map_err(|error| format!("{value}: {error}"))
            })
        });
        prop_assert_eq!(found.is_empty(), read_all.is_ok(), "{:?} and {:?}", found, read_all);
    }

    #[test]
    fn a_schema_reads_what_it_wrote(ty in fields(types()).prop_map(Type::Record)) {
        let schema = ty.schema("").to_string();
        prop_assert_eq!(breaks(&schema, &schema).unwrap(), []);
        prop_assert_eq!(differences(&schema, &schema).unwrap(), []);
        prop_assert_eq!(super::Change::between(&schema, &schema).unwrap(), super::Change::None);
    }
}
