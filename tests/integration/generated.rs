//! Types that `events!` writes, beside an Avro implementation that nobody here wrote: Python's fastavro.

use std::collections::HashMap;

use serde_json::{Value, json};
use tidings::Event as _;
use tidings::payload::Decimal;
use tidings::schema::Codec;
use uuid::Uuid;

use crate::schema::python;

/// The events of every kind.
mod events {
    tidings::events!("tests/schemas/every");
}

use events::every::choice::{Chosen, ChosenContact, ChosenValue, ChosenValueArray, ChosenValueMap, Suit};
use events::every::common::Tier;
use events::every::kind::{Address, Everything, Link};
use events::every::postal::Phone;

/// Reads a datum, prints it as JSON, and writes the same values anew.
const SCRIPT: &str = r#"
import io, json, sys
import fastavro

schema = fastavro.parse_schema(json.loads(sys.argv[2]))
value = fastavro.schemaless_reader(io.BytesIO(sys.stdin.buffer.read()), schema)
again = io.BytesIO()
fastavro.schemaless_writer(again, schema, value)
text = lambda other: other.hex() if isinstance(other, bytes) else str(other)
json.dump({"value": value, "again": list(again.getvalue())}, sys.stdout, default=text)
"#;

fn everything() -> Everything {
    let at = chrono::DateTime::from_timestamp_micros(1_769_850_000_000_001).unwrap();
    Everything {
        user_id: 42,
        thing: Uuid::from_u128(7),
        r#type: "Łódź".to_owned(),
        flag: true,
        small: -3,
        single: 0.5,
        double: -1e300,
        raw: vec![0, 255].into(),
        digest: [1, 2, 3, 4].into(),
        price: Decimal::new(-1_990),
        day: chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap().into(),
        at: at.into(),
        wall_clock: at.naive_utc().into(),
        tier: Tier::GoldPlus,
        home: Address { city: "Zoë's".to_owned(), tier: Tier::Unknown },
        others: vec![Address { city: "b".to_owned(), tier: Tier::Free }],
        // One entry: a map has no order, and bytes are compared.
        counts: HashMap::from([("some".to_owned(), Some(5))]),
        motto: None,
        seen: Some(at.into()),
        chain: Some(Link { next: Some(Box::new(Link { next: None, level: 2 })), level: 1 }),
    }
}

#[tokio::test]
async fn fastavro_reads_what_generated_types_write_and_writes_the_same_bytes() {
    let codec = Codec::local();
    let event = everything();
    let datum = codec.encode(&event).unwrap();
    let answer: Value = serde_json::from_slice(&python(SCRIPT, &[Everything::SCHEMA], datum.datum())).unwrap();
    let expected = json!({
        "userId": 42, "thing": Uuid::from_u128(7).to_string(), "type": "Łódź", "flag": true, "small": -3, "single": 0.5,
        "double": -1e300, "raw": "00ff", "digest": "01020304", "price": "-19.90", "day": "2026-01-31",
        "at": "2026-01-31 09:00:00.000001+00:00", "wallClock": "2026-01-31 09:00:00.000001", "tier": "GOLD_PLUS",
        "home": {"city": "Zoë's", "tier": "UNKNOWN"}, "others": [{"city": "b", "tier": "free"}], "counts": {"some": 5},
        "motto": null, "seen": "2026-01-31 09:00:00.000001+00:00",
        "chain": {"next": {"next": null, "level": 2}, "level": 1},
    });
    assert_eq!(answer["value"], expected);
    let again: Vec<u8> = serde_json::from_value(answer["again"].clone()).unwrap();
    let id = codec.frame("every", datum.clone()).await.unwrap().schema_id;
    let framed = [&[0][..], &id.to_be_bytes(), &again].concat();
    assert_eq!(codec.decode::<Everything>(Some(&framed)).await.unwrap(), event);
}

#[tokio::test]
async fn fastavro_reads_unions_and_decimals_of_a_fixed_size_as_they_were_meant() {
    let codec = Codec::local();
    let chosen = |contact, value| Chosen { id: 42, amount: Decimal::new(-1_990), refund: None, contact, value };
    let string = |text: &str| ChosenContact::String(text.to_owned());
    let inner = Chosen { refund: Some(Decimal::new(1)), ..chosen(string("in"), Some(ChosenValue::Suit(Suit::Spades))) };
    let items = vec![ChosenValueArray::Long(-7), ChosenValueArray::String("x".to_owned())];
    let entries = HashMap::from([("k".to_owned(), Some(ChosenValueMap::Chosen(Box::new(inner))))]);
    for (event, contact, value, unambiguous) in [
        (chosen(string("a"), None), json!("a"), Value::Null, true),
        (chosen(ChosenContact::EveryPostalPhone(Phone { r#box: 7 }), None), json!({"box": 7}), Value::Null, true),
        (chosen(string("a"), Some(ChosenValue::Array(items))), json!("a"), json!([-7, "x"]), true),
        (chosen(string("a"), Some(ChosenValue::Mark([1, 2, 3].into()))), json!("a"), json!("010203"), false),
        (
            chosen(string("a"), Some(ChosenValue::Map(entries))),
            json!("a"),
            json!({"k": {"id": 42, "amount": "-19.90", "refund": "0.01", "contact": "in", "value": "SPADES"}}),
            false,
        ),
    ] {
        let datum = codec.encode(&event).unwrap();
        let answer: Value = serde_json::from_slice(&python(SCRIPT, &[Chosen::SCHEMA], datum.datum())).unwrap();
        let expected = json!({"id": 42, "amount": "-19.90", "refund": null, "contact": contact, "value": value});
        assert_eq!(answer["value"], expected);
        // What Python has no types to tell apart, it writes as the first branch that takes it: a symbol as a string.
        if unambiguous {
            let again: Vec<u8> = serde_json::from_value(answer["again"].clone()).unwrap();
            assert_eq!(again, datum.datum(), "{expected}");
        }
    }
}
