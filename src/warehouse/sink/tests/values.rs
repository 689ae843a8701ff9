//! What is in a row.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array as _, RecordBatch};
use serde_json::{Value, json};

use super::*;
use crate::envelope::header;

/// The rows of `values`, with one message each.
fn rows(schema: &str, values: &[Value], messages: &[Message]) -> Result<RecordBatch, Misfit> {
    let table = Table::of("a.Everything", schema).unwrap();
    let arrow = rows::schema(&table).unwrap();
    let mut rows = Rows::new("a.Everything", &arrow, &table).unwrap();
    for (value, message) in values.iter().zip(messages) {
        rows.push(message, Codec::local().encode_json(schema, value).unwrap().datum())?;
    }
    let batch = rows.take().unwrap();
    // Through a file and back: Parquet has its own idea of types.
    let mut file = FileWriter::new(&arrow, &Footer { last_offset: 7, before: None }).unwrap();
    file.write(&batch).unwrap();
    let content = Bytes::from(file.finish().unwrap());
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(content).unwrap().build().unwrap();
    let read: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(read, std::slice::from_ref(&batch));
    Ok(batch)
}

const EVERYTHING: &str = r#"{"type": "record", "name": "Everything", "namespace": "a", "fields": [
    {"name": "source", "type": "string"},
    {"name": "flag", "type": "boolean"},
    {"name": "raw", "type": "bytes"},
    {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}},
    {"name": "suit", "type": {"type": "enum", "name": "Suit", "symbols": ["HEARTS", "SPADES"]}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "date", "type": {"type": "int", "logicalType": "date"}},
    {"name": "millis", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "micros", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "nanos", "type": {"type": "long", "logicalType": "timestamp-nanos"}},
    {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
    {"name": "counts", "type": {"type": "map", "values": "int"}},
    {"name": "home", "type": ["null", {"type": "record", "name": "Home", "fields": [
        {"name": "city", "type": "string"}, {"name": "rooms", "type": {"type": "array", "items": "int"}}]}]},
    {"name": "homes", "type": {"type": "array", "items": "Home"}},
    {"name": "either", "type": ["null", "long", "string"]},
    {"name": "nothing", "type": "null"},
    {"name": "empty", "type": {"type": "record", "name": "Empty", "fields": []}},
    {"name": "empties", "type": {"type": "array", "items": "Empty"}}
]}"#;

fn everything(home: &Value, either: &Value) -> Value {
    json!({
        "source": "mobile", "flag": true, "raw": "\u{0}\u{ff}", "fixed": "ab", "suit": "SPADES", "price": "\u{4}\u{d2}",
        "date": 20_000, "millis": 1_700_000_000_123_i64, "micros": 1_700_000_000_123_456_i64,
        "nanos": 1_700_000_000_123_456_789_i64, "uuid": "0190163d-8694-739b-aea5-966c26f8ad91",
        "tags": ["x", null], "counts": {"a": 1}, "home": home, "homes": [{"city": "B", "rooms": [1, 2]}], "either": either,
        "nothing": null, "empty": {}, "empties": [{}, {}],
    })
}

#[test]
fn every_type_has_its_column() {
    let home = json!({"city": "A", "rooms": [3]});
    let values = [everything(&home, &json!({"string": "s"})), everything(&Value::Null, &json!({"long": 5}))];
    let batch = rows(EVERYTHING, &values, &[message(0, 6, &[]), message(0, 7, &[])]).unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(column("payload_source").as_string::<i32>().value(0), "mobile");
    assert!(column("source").is_null(0));
    assert!(column("flag").as_boolean().value(0));
    assert_eq!(column("raw").as_binary::<i32>().value(0), [0, 255]);
    assert_eq!(column("fixed").as_fixed_size_binary().value(0), b"ab");
    let suits = column("suit").as_dictionary::<Int32Type>();
    assert_eq!(suits.values().as_string::<i32>().value(suits.key(0).unwrap()), "SPADES");
    assert_eq!(column("price").as_primitive::<Decimal128Type>().value_as_string(0), "12.34");
    assert_eq!(column("date").as_primitive::<Date32Type>().value(0), 20_000);
    let micros = |name| column(name).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!((micros("millis"), micros("micros")), (1_700_000_000_123_000, 1_700_000_000_123_456));
    assert_eq!(column("nanos").as_primitive::<TimestampNanosecondType>().value(0), 1_700_000_000_123_456_789);
    assert_eq!(column("uuid").as_string::<i32>().value(0), "0190163d-8694-739b-aea5-966c26f8ad91");
    let tags = column("tags").as_list::<i32>().value(1);
    assert_eq!((tags.as_string::<i32>().value(0), tags.is_null(1)), ("x", true));
    let counts = column("counts").as_map().value(1);
    assert_eq!(counts.column(1).as_primitive::<Int32Type>().value(0), 1);
    let homes = column("home").as_struct();
    assert_eq!((homes.column(0).as_string::<i32>().value(0), homes.is_null(0), homes.is_null(1)), ("A", false, true));
    let rooms = column("homes").as_list::<i32>().value(1).as_struct().column(1).as_list::<i32>().value(0);
    assert_eq!(rooms.as_primitive::<Int32Type>().values(), &[1, 2]);
    let either = column("either").as_struct();
    assert_eq!((either.column(0).is_null(0), either.column(1).as_string::<i32>().value(0)), (true, "s"));
    assert_eq!((either.column(0).as_primitive::<Int64Type>().value(1), either.column(1).is_null(1)), (5, true));
    assert!(column("nothing").is_null(0));
    assert!(column("empty").as_boolean().value(0));
    assert_eq!(column("empties").as_list::<i32>().value(0).len(), 2);
}

#[test]
fn the_columns_of_the_pipelines_come_from_the_headers_and_the_place() {
    let headers = [
        (header::ID, "id-1"),
        (header::TYPE, "a.Everything"),
        (header::SCHEMA_VERSION, "1.3.0"),
        (header::SOURCE, "/accounts"),
        (header::SUBJECT, "Account/42"),
        (header::SEQUENCE, "00000000000000000017"),
        (header::STREAM_EPOCH, "2"),
        (header::TIME, "2026-01-02T03:04:05.000006Z"),
        (header::RECORDED_TIME, "2026-01-02T03:04:06Z"),
        (header::PARTITION_KEY, "42"),
        (header::CORRELATION_ID, "c"),
        (header::CAUSATION_ID, "b"),
    ];
    let hostile = [(header::SEQUENCE, "18446744073709551615"), (header::TIME, "soon")];
    let schema = Scored::SCHEMA;
    let values = [json!({"player": 1}), json!({"player": 2})];
    let batch = rows(schema, &values, &[message(3, 6, &headers), message(3, 7, &hostile)]).unwrap();
    let text = |name: &str, row| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_owned())
    };
    let expected = [
        ("event_id", "id-1"),
        ("event_type", "a.Everything"),
        ("schema_version", "1.3.0"),
        ("source", "accounts"),
        ("stream", "Account/42"),
        ("partition_key", "42"),
        ("correlation_id", "c"),
        ("causation_id", "b"),
        ("kafka_topic", "scores"),
    ];
    for (name, value) in expected {
        assert_eq!(text(name, 0).as_deref(), Some(value), "{name}");
    }
    // What a header does not tell, the record does: its type, its key.
    assert_eq!(
        (text("event_type", 1).as_deref(), text("partition_key", 1).as_deref()),
        (Some("a.Everything"), Some("key"))
    );
    assert_eq!(text("event_id", 1), None);
    let long = |name: &str, row| {
        let column = batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
        (!column.is_null(row)).then(|| column.value(row))
    };
    assert_eq!((long("sequence", 0), long("stream_epoch", 0), long("kafka_offset", 0)), (Some(17), Some(2), Some(6)));
    assert_eq!((long("sequence", 1), long("stream_epoch", 1), long("kafka_offset", 1)), (None, Some(0), Some(7)));
    let time = |name: &str, row| {
        let column = batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>();
        (!column.is_null(row)).then(|| column.value(row))
    };
    assert_eq!(time("occurred_at", 0), Some(1_767_323_045_000_006));
    assert_eq!((time("occurred_at", 1), time("kafka_timestamp", 1)), (None, Some(1_700_000_000_123_000)));
}

#[test]
fn a_value_without_a_place_in_its_column_is_named() {
    let schema = r#"{"type": "record", "name": "E", "fields": [{"name": "price", "type": ["null",
        {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}]}]}"#;
    let misfit = rows(schema, &[json!({"price": "\u{64}"})], &[message(0, 0, &[])]).unwrap_err();
    assert_eq!(misfit.0, "`price`: it has more than 2 digits");
}

#[test]
fn a_day_is_that_of_the_record_whenever_it_comes() {
    let day = |headers: &[(&str, &str)]| day(&message(0, 0, headers)).to_string();
    assert_eq!(
        day(&[(header::TIME, "2026-01-01T01:00:00+02:00"), (header::RECORDED_TIME, "2026-01-02T00:00:00Z")]),
        "2025-12-31"
    );
    assert_eq!(day(&[(header::RECORDED_TIME, "2026-01-02T00:00:00Z")]), "2026-01-02");
    assert_eq!(day(&[(header::TIME, "never")]), "2023-11-14");
}

#[test]
fn an_array_of_items_without_a_byte_has_as_many_as_were_written() {
    let empty = json!({"type": "fixed", "name": "F", "size": 0});
    let number = json!({"type": "fixed", "name": "N", "size": 0, "logicalType": "decimal", "precision": 1, "scale": 0});
    let nested =
        json!({"type": "record", "name": "R", "fields": [{"name": "f", "type": "a.F"}, {"name": "n", "type": "null"}]});
    for items in [empty.clone(), number] {
        let array = json!({"type": "array", "items": items});
        let both = json!([{"name": "first", "type": empty}, {"name": "v", "type": array}, {"name": "after", "type": "int"},
            {"name": "w", "type": {"type": "array", "items": nested}}]);
        let both: Vec<_> = both.as_array().unwrap().iter().skip(usize::from(items["name"] == "F")).cloned().collect();
        let schema = json!({"type": "record", "name": "Everything", "namespace": "a", "fields": both}).to_string();
        let inner = json!({"f": "", "n": null});
        let value = json!({"v": ["", "", ""], "after": 7, "w": [inner, inner]});
        let mut value = value.as_object().unwrap().clone();
        if items["name"] != "F" {
            value.insert("first".to_owned(), "".into());
        }
        let batch = rows(&schema, &[value.into()], &[message(0, 0, &[])]).unwrap();
        let list = |name: &str| batch.column_by_name(name).unwrap().as_list::<i32>().value_length(0);
        assert_eq!((list("v"), list("w")), (3, 2), "{items}");
        assert_eq!(batch.column_by_name("after").unwrap().as_primitive::<Int32Type>().value(0), 7);
    }
}
