//! Payloads as JSON.

use super::*;

#[tokio::test]
async fn json_is_read_as_another_reader_sees_it() {
    let (_, codec) = codec();
    let payload = old_payload(&codec).await.bytes;
    let reader = r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[
        {"name":"user_id","type":"double"},{"name":"level","type":["string","int","null"],"default":"none"}]}"#;
    let json = codec.decode_json_as(reader, Some(&payload)).await.unwrap();
    assert_eq!(json.value, json!({"user_id": 42.0, "level": {"string": "none"}}));
    let error = codec.decode_json_as(Demanding::SCHEMA, Some(&payload)).await.unwrap_err().to_string();
    assert!(error.ends_with("field `level`: it is not in what was written, and has no default"), "{error}");
    assert!(matches!(codec.decode_json_as("nonsense", Some(&payload)).await, Err(DecodeError::Reader { .. })));
}

#[tokio::test]
async fn json_goes_in_and_comes_out() {
    let (_, codec) = codec();
    let payload = old_payload(&codec).await.bytes;
    let json = codec.decode_json(Some(&payload)).await.unwrap();
    assert_eq!(json.record, "accounts.UserUpdated");
    assert_eq!(json.value, json!({"user_id": 42, "nickname": "Zoë", "dropped": "x"}));
}

#[test]
fn json_that_does_not_fit_names_the_field() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"int"},
        {"name":"home","type":["null",{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}],"default":null},
        {"name":"tags","type":{"type":"array","items":{"type":"enum","name":"Tag","symbols":["A","B"]}},"default":[]},
        {"name":"either","type":["int","string"],"default":1}]}"#;
    let codec = Codec::local();
    let fails = |value: serde_json::Value| match codec.encode_json(schema, &value) {
        Ok(_) => panic!("{value} fits"),
        Err(error) => error.to_string().strip_prefix("the payload does not fit the schema of R: ").unwrap().to_owned(),
    };
    assert_eq!(fails(json!({})), "field `id`: it is missing; it wants int");
    assert_eq!(fails(json!(7)), "it wants record R, and is a number");
    assert_eq!(fails(json!({"id": "7"})), "field `id`: it wants int, and is a string");
    assert_eq!(fails(json!({"id": 7.5})), "field `id`: it wants int, and is a number with a fraction");
    assert_eq!(fails(json!({"id": 5_000_000_000_i64})), "field `id`: it does not fit an int of 32 bits");
    assert_eq!(
        fails(json!({"id": 1, "nick": "x"})),
        "field `nick`: record R has no such field; it has id, home, tags, either"
    );
    assert_eq!(fails(json!({"id": 1, "home": {"city": 7}})), "field `home.city`: it wants string, and is a number");
    assert_eq!(fails(json!({"id": 1, "tags": ["A", "C"]})), "field `tags[1]`: `C` is not one of A, B");
    assert_eq!(fails(json!({"id": 1, "either": true})), "field `either`: it wants int or string, and is a boolean");
    for fits in [json!({"id": 1, "home": {"Address": {"city": "x"}}}), json!({"id": 1, "either": {"string": "x"}})] {
        assert!(codec.encode_json(schema, &fits).is_ok(), "{fits}");
    }
    assert!(matches!(codec.encode_json("nonsense", &json!({})), Err(EncodeError::Schema { .. })));
}

#[test]
fn defaults_without_an_end_are_an_error() {
    let endless = r#"{"type":"record","name":"R","fields":[{"name":"next","type":"R","default":{}}]}"#;
    let error = Codec::local().encode_json(endless, &json!({})).unwrap_err();
    assert!(matches!(error, EncodeError::Payload { .. } | EncodeError::Schema { .. }), "{error}");
}
