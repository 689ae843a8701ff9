//! That decode plans agree with what is said to break, for random schemas.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Value, json};

use crate::schema::compatibility::{Change, breaks, differences};
use crate::schema::contract::Contract;
use crate::schema::json_datum;
use crate::schema::plan::Plan;

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
        prop_assert_eq!(Change::between(&schema, &schema).unwrap(), Change::None);
    }
}
