//! Types that `events!` writes, through the codec.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use chrono::{DateTime, NaiveDate};
use futures_util::FutureExt as _;
use proptest::prelude::*;
use uuid::Uuid;

use super::Decimal;
use crate::Event;
use crate::schema::Codec;

mod generated {
    tidings_macros::events!("tests/schemas/every", crate = crate);
}

use generated::every::choice::{
    Chosen, ChosenContact, ChosenValue, ChosenValueArray, ChosenValueMap, Phone as Telephone, Suit,
};
use generated::every::common::Tier;
use generated::every::kind::{Address, Everything, Link};
use generated::every::postal::Phone;

fn everything() -> Everything {
    let address = |city: &str, tier| Address { city: city.to_owned(), tier };
    let at = DateTime::from_timestamp_micros(1_769_850_000_000_001).unwrap();
    Everything {
        user_id: i64::MIN,
        thing: Uuid::from_u128(7),
        r#type: "Łódź".to_owned(),
        flag: true,
        small: -3,
        single: 0.5,
        double: -1e300,
        raw: vec![0, 255].into(),
        digest: [1, 2, 3, 4].into(),
        price: Decimal::new(-1_990),
        day: NaiveDate::from_ymd_opt(2026, 1, 31).unwrap().into(),
        at: at.into(),
        wall_clock: at.naive_utc().into(),
        tier: Tier::GoldPlus,
        home: address("Zoë's", Tier::Unknown),
        others: vec![address("a", Tier::Free), address("b", Tier::GoldPlus)],
        counts: HashMap::from([("none".to_owned(), None), ("some".to_owned(), Some(5))]),
        motto: None,
        seen: Some(at.into()),
        chain: Some(Link { next: Some(Box::new(Link { next: None, level: 2 })), level: 1 }),
    }
}

#[tokio::test]
async fn every_kind_of_field_comes_back_as_it_was() {
    let codec = Codec::local();
    let event = everything();
    let framed = codec.frame("every", codec.encode(&event).unwrap()).await.unwrap();
    assert_eq!(codec.decode::<Everything>(Some(&framed.bytes)).await.unwrap(), event);
    let json = codec.decode_json(Some(&framed.bytes)).await.unwrap().value;
    assert_eq!((&json["wallClock"], &json["tier"]), (&1_769_850_000_000_001_i64.into(), &"GOLD_PLUS".into()));
    assert_eq!(json["type"], "Łódź");
}

#[test]
fn an_event_says_of_itself_what_its_schema_says() {
    let event = everything();
    assert_eq!((Everything::NAME, Everything::VERSION), ("every.kind.Everything", "1.0.0"));
    assert_eq!(
        (event.key(), event.stream().as_str().to_owned()),
        (i64::MIN.to_string().into(), format!("Thing/{}", Uuid::from_u128(7)))
    );
    assert_eq!(Tier::default(), Tier::Unknown);
}

#[test]
fn what_is_sensitive_is_not_shown() {
    let shown = format!("{:?}", everything());
    assert!(shown.contains("city: ***") && !shown.contains("Zoë"), "{shown}");
}

fn chosen() -> impl Strategy<Value = Chosen> {
    let amount = || (-(10_i128.pow(20) - 1)..10_i128.pow(20)).prop_map(Decimal::<2>::new);
    let contact = prop_oneof![
        any::<String>().prop_map(ChosenContact::String),
        any::<String>().prop_map(|number| ChosenContact::EveryChoicePhone(Telephone { number })),
        any::<i32>().prop_map(|r#box| ChosenContact::EveryPostalPhone(Phone { r#box })),
    ];
    let item =
        prop_oneof![any::<String>().prop_map(ChosenValueArray::String), any::<i64>().prop_map(ChosenValueArray::Long)];
    let leaf = prop_oneof![
        Just(None),
        any::<bool>().prop_map(|value| Some(ChosenValue::Boolean(value))),
        any::<i32>().prop_map(|value| Some(ChosenValue::Int(value))),
        any::<i64>().prop_map(|value| Some(ChosenValue::Long(value))),
        (-1e30_f32..1e30).prop_map(|value| Some(ChosenValue::Float(value))),
        (-1e300_f64..1e300).prop_map(|value| Some(ChosenValue::Double(value))),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(|value| Some(ChosenValue::Bytes(value.into()))),
        any::<u128>().prop_map(|value| Some(ChosenValue::String(Uuid::from_u128(value)))),
        any::<[u8; 3]>().prop_map(|value| Some(ChosenValue::Mark(value.into()))),
        prop_oneof![Just(Suit::Hearts), Just(Suit::Spades)].prop_map(|value| Some(ChosenValue::Suit(value))),
        prop::collection::vec(item, 0..4).prop_map(|value| Some(ChosenValue::Array(value))),
    ];
    let flat = (any::<i64>(), amount(), prop::option::of(amount()), contact, leaf)
        .prop_map(|(id, amount, refund, contact, value)| Chosen { id, amount, refund, contact, value });
    // One entry at most: a map has no order, and bytes are compared.
    flat.prop_recursive(3, 4, 1, |inner| {
        (inner, prop::option::of(any::<i32>()), any::<bool>()).prop_map(|(inner, int, empty)| {
            let value = match int {
                Some(int) => Some(ChosenValueMap::Int(int)),
                None => Some(ChosenValueMap::Chosen(Box::new(inner.clone()))),
            };
            let value = if empty { None } else { value };
            Chosen { value: Some(ChosenValue::Map(HashMap::from([("k".to_owned(), value)]))), ..inner }
        })
    })
}

proptest! {
    #[test]
    fn unions_and_fixed_decimals_come_back_and_avros_own_library_writes_the_same(event in chosen()) {
        let codec = Codec::local();
        let datum = codec.encode(&event).unwrap();
        let schema = Schema::parse_str(Chosen::SCHEMA).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let mut rest = datum.datum();
        let value = reader.read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        let Value::Record(fields) = &value else { panic!("{value:?}") };
        let branch = |name: &str| match fields.iter().find(|(field, _)| field == name) {
            Some((_, Value::Union(branch, _))) => *branch,
            other => panic!("{other:?}"),
        };
        let wanted = match &event.value {
            None => 0,
            Some(ChosenValue::Boolean(_)) => 1,
            Some(ChosenValue::Int(_)) => 2,
            Some(ChosenValue::Long(_)) => 3,
            Some(ChosenValue::Float(_)) => 4,
            Some(ChosenValue::Double(_)) => 5,
            Some(ChosenValue::Bytes(_)) => 6,
            Some(ChosenValue::String(_)) => 7,
            Some(ChosenValue::Mark(_)) => 8,
            Some(ChosenValue::Suit(_)) => 9,
            Some(ChosenValue::Array(_)) => 10,
            Some(ChosenValue::Map(_)) => 11,
        };
        prop_assert_eq!(branch("value"), wanted);
        let again = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
        prop_assert_eq!(&again[..], datum.datum());
        let framed = codec.frame("every", datum).now_or_never().unwrap().unwrap();
        prop_assert_eq!(codec.decode::<Chosen>(Some(&framed.bytes)).now_or_never().unwrap().unwrap(), event);
    }
}

#[tokio::test]
async fn a_wider_union_is_read_where_the_branch_is_known() {
    let codec = Codec::local();
    // Another order, one branch more.
    let wider =
        Chosen::SCHEMA.replace("      \"string\",\n", "      {\"type\": \"array\", \"items\": \"int\"}, \"string\",\n");
    assert_ne!(wider, Chosen::SCHEMA);
    let read = async |contact: serde_json::Value| {
        let amount: String = std::iter::repeat_n('\0', 8).chain(['\u{7}']).collect();
        let json = serde_json::json!({"id": 1, "amount": amount, "contact": contact});
        let framed = codec.frame("every", codec.encode_json(&wider, &json).unwrap()).await.unwrap();
        codec.decode::<Chosen>(Some(&framed.bytes)).await
    };
    let event = read(serde_json::json!({"every.postal.Phone": {"box": 7}})).await.unwrap();
    assert_eq!((event.contact, event.amount), (ChosenContact::EveryPostalPhone(Phone { r#box: 7 }), Decimal::new(7)));
    let error = read(serde_json::json!({"array": [1]})).await.unwrap_err();
    assert!(!error.is_unavailable() && error.to_string().contains("`contact`"), "{error}");
}
