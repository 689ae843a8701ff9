//! What a document becomes.

use serde_json::json;

use super::*;
use crate::schema::LocalRegistry;

const SCHEMA: &str = r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[
    {"name":"user_id","type":"long"},{"name":"nickname","type":["null","string"],"default":null}]}"#;

fn press(adjust: impl FnOnce(&mut Template)) -> Press {
    let schema = SchemaFile { path: "x".into(), text: SCHEMA.to_owned(), record: "accounts.UserUpdated".to_owned() };
    let mut template = Template {
        topic: "accounts".into(),
        service: "accounts".to_owned(),
        event: None,
        version: None,
        key: None,
        key_field: Some("user_id".to_owned()),
        subject: None,
        headers: Vec::new(),
        schema: Some(schema),
    };
    adjust(&mut template);
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    Press::new(template, Schemas { codec, registry: None, folder: None, files: Vec::new() })
}

async fn record(press: &mut Press, value: Value) -> Result<OutgoingRecord, OutgoingError> {
    let prepared = press.prepare(Document { line: 1, value }).await?;
    press.finish(prepared).await
}

#[tokio::test]
async fn a_payload_gets_every_header_of_an_event() {
    let mut press = press(|template| template.version = Some("1.3.0".to_owned()));
    let record = record(&mut press, json!({"user_id": 42})).await.unwrap();
    assert_eq!(record.key.as_deref(), Some(&b"42"[..]));
    let text = |name: &str| record.headers.get_str(name);
    assert_eq!(text(header::TYPE), Some("accounts.UserUpdated"));
    assert_eq!(text(header::SCHEMA_VERSION), Some("1.3.0"));
    assert_eq!(text(header::SUBJECT), Some("accounts/42"));
    assert_eq!(text(header::SOURCE), Some("/accounts"));
    assert_eq!(text(header::PARTITION_KEY), Some("42"));
    assert_eq!(text(header::CORRELATION_ID), text(header::ID));
    assert!(text(header::DATA_SCHEMA).unwrap().starts_with("urn:avro:"));
    for name in [header::SPEC_VERSION, header::TIME, header::RECORDED_TIME, header::CONTENT_TYPE, header::TRACEPARENT] {
        assert!(text(name).is_some(), "{name}");
    }
    assert_eq!(record.headers.get(header::SEQUENCE), None);
}

#[tokio::test]
async fn a_copied_record_keeps_its_headers_and_flags_win_over_them() {
    let line = json!({
        "topic": "old", "partition": 1, "offset": 7, "key": "42", "event": "accounts.UserUpdated", "version": "1.2.0",
        "headers": {"ce_id": "id-1", "ce_time": "2026-01-01T00:00:00Z", "ce_dataschema": "old", "mine": ["a", "b"]},
        "payload": {"user_id": 42},
    });
    let mut press = press(|template| {
        template.key_field = None;
        template.version = Some("1.3.0".to_owned());
        template.headers = vec![("mine".to_owned(), "c".to_owned())];
    });
    let record = record(&mut press, line).await.unwrap();
    let text = |name: &str| record.headers.get_str(name);
    assert_eq!((text(header::ID), text(header::CORRELATION_ID)), (Some("id-1"), Some("id-1")));
    assert_eq!(text(header::TIME), Some("2026-01-01T00:00:00Z"));
    assert_eq!(text(header::SCHEMA_VERSION), Some("1.3.0"));
    assert_ne!(text(header::DATA_SCHEMA), Some("old"));
    assert_eq!(text("mine"), Some("c"));
    assert_eq!(record.headers.iter().filter(|header| header.name == b"mine").count(), 1);
}

#[tokio::test]
async fn bytes_and_tombstones_are_copied_as_they_are() {
    let mut press = press(|template| template.key_field = None);
    let raw = json!({"headers": {}, "key": {"base64": "/w=="}, "payload": null, "payload_base64": "AP8="});
    let copy = record(&mut press, raw).await.unwrap();
    assert_eq!((copy.payload.as_deref(), copy.key.as_deref()), (Some(&[0, 0xff][..]), Some(&[0xff][..])));
    let tombstone = record(&mut press, json!({"headers": {}, "key": "42", "payload": null})).await.unwrap();
    assert_eq!((tombstone.payload, tombstone.headers.len()), (None, 0));
}

#[tokio::test]
async fn what_does_not_fit_is_told_by_field() {
    let mut press = press(|_| {});
    for (value, field) in [
        (json!({"user_id": "42"}), "user_id"),
        (json!({"user_id": 42, "nick": "x"}), "nick"),
        (json!({"nickname": "x"}), "user_id"),
        (json!({"user_id": 4.5}), "user_id"),
        (json!(5), "user_id"),
    ] {
        let error = record(&mut press, value.clone()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{value}: {error}");
    }
}

#[tokio::test]
async fn a_header_the_client_could_not_write_is_refused() {
    let mut press = press(|_| {});
    for name in ["\\xff", "", "a\u{0}b"] {
        let line = json!({"headers": {name: "x"}, "payload": {"user_id": 42}});
        assert!(matches!(record(&mut press, line).await, Err(OutgoingError::Header(_))), "{name}");
    }
}
