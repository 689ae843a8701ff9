use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::event::Event;
use crate::outcome::ErrorClass;
use crate::transport::{Headers, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UserUpdated {
    user_id: i64,
    nickname: String,
}

const OLD: &str = r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[
    {"name":"user_id","type":"int"},{"name":"nickname","type":"string"},{"name":"dropped","type":["null","string"]}]}"#;

impl Event for UserUpdated {
    const NAME: &'static str = "accounts.UserUpdated";
    const VERSION: &'static str = "1.3.0";
    const SCHEMA: &'static str = r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[
        {"name":"user_id","type":"long"},{"name":"nickname","type":"string"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

/// The same event as another service declares it, with a field it cannot do without.
#[derive(Debug, Serialize, Deserialize)]
struct Demanding {
    level: i32,
}

impl Event for Demanding {
    const NAME: &'static str = "accounts.UserUpdated";
    const VERSION: &'static str = "2.0.0";
    const SCHEMA: &'static str =
        r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[{"name":"level","type":"int"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        "".into()
    }
}

/// A registry that can be switched off, and counts what it is asked.
#[derive(Debug, Default)]
struct Stub {
    away: AtomicBool,
    asked: AtomicU32,
    known: LocalRegistry,
}

impl Stub {
    async fn answer(&self) -> Result<(), RegistryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.away.load(Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::other("connection refused"));
            return Err(RegistryError::Unavailable { registry: "http://stub".into(), source });
        }
        Ok(())
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl SchemaRegistry for Stub {
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError> {
        self.answer().await?;
        match id {
            1 => Ok(RegisteredSchema::new(1, "{\"type\":\"nonsense\"}")),
            2 => Ok(RegisteredSchema::new(2, "\"long\"")),
            id => self.known.schema(id).await,
        }
    }

    async fn schema_by_guid(&self, guid: Uuid) -> Result<RegisteredSchema, RegistryError> {
        self.answer().await?;
        match guid.as_u128() {
            7 => Ok(RegisteredSchema::new(0, OLD)),
            _ => Err(RegistryError::UnknownGuid { guid }),
        }
    }

    async fn registration(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.answer().await?;
        self.known.registration(subject, schema).await
    }

    async fn register(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.registration(subject, schema).await
    }

    async fn find(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.known.find(subject, schema).await
    }

    async fn latest(&self, subject: &str) -> Result<RegisteredSchema, RegistryError> {
        self.known.latest(subject).await
    }

    async fn ping(&self) -> Result<(), RegistryError> {
        self.answer().await
    }
}

fn codec() -> (Arc<Stub>, Codec) {
    let stub = Arc::new(Stub::default());
    (Arc::clone(&stub), Codec::new(stub))
}

fn event() -> UserUpdated {
    UserUpdated { user_id: 42, nickname: "Zoë".into() }
}

async fn framed(codec: &Codec) -> FramedPayload {
    codec.frame("accounts", codec.encode(&event()).unwrap()).await.unwrap()
}

/// A payload written with the older schema.
async fn old_payload(codec: &Codec) -> FramedPayload {
    let datum = codec.encode_json(OLD, &json!({"user_id": 42, "nickname": "Zoë", "dropped": "x"})).unwrap();
    codec.frame("accounts", datum).await.unwrap()
}

#[tokio::test]
async fn an_event_comes_back_as_it_went() {
    let codec = Codec::local();
    let framed = framed(&codec).await;
    assert_eq!(framed.bytes[..5], [&[0][..], &framed.schema_id.to_be_bytes()].concat());
    assert!(framed.data_schema.starts_with("urn:avro:"), "{}", framed.data_schema);
    assert_eq!(codec.decode::<UserUpdated>(Some(&framed.bytes)).await.unwrap(), event());
    let other = Codec::default();
    assert_eq!(
        other.decode::<UserUpdated>(Some(&framed.bytes)).await.unwrap(),
        event(),
        "one process, one local registry"
    );
}

#[tokio::test]
async fn an_older_payload_is_resolved() {
    let (_, codec) = codec();
    let old = old_payload(&codec).await;
    assert_eq!(codec.decode::<UserUpdated>(Some(&old.bytes)).await.unwrap(), event());
}

#[tokio::test]
async fn a_payload_that_cannot_be_resolved_is_undecodable_and_says_why() {
    let (stub, codec) = codec();
    let framed = framed(&codec).await;
    for _ in 0..2 {
        let error = codec.decode::<Demanding>(Some(&framed.bytes)).await.unwrap_err();
        let id = framed.schema_id;
        assert_eq!(
            error.to_string(),
            format!(
                "what schema {id} writes cannot be read as accounts.UserUpdated: \
                 field `level`: it is not in what was written, and has no default"
            )
        );
        assert_eq!(error.into_handler_error().class(), ErrorClass::Undecodable);
    }
    assert_eq!(stub.asked(), 2, "one registration, one schema");
}

#[tokio::test]
async fn what_is_no_payload_is_undecodable_in_plain_words() {
    let (stub, codec) = codec();
    let framed = framed(&codec).await;
    let longer = [&framed.bytes[..], &[0]].concat();
    let cases: [(Option<&[u8]>, &str); 6] = [
        (None, "the record has no payload"),
        (Some(&[]), "the payload is 0 bytes long, and its schema id alone takes 5"),
        (Some(b"{\"user_id\":1}"), "the payload begins with the byte 0x7b, and Avro with a schema id begins with 0x00"),
        (
            Some(&[0, 0, 0, 0, 99]),
            "the payload's schema 99 is not to be had: no schema registry is configured, and no schema of this process has the id 99: \
             if the payload was written with a registry, use that one",
        ),
        (Some(&longer), "1 bytes are left behind the payload"),
        (Some(&framed.bytes[..8]), "field `nickname`: it says it is 4 bytes long, and 1 bytes are left"),
    ];
    for (payload, reason) in cases {
        let error = codec.decode::<UserUpdated>(payload).await.unwrap_err().into_handler_error();
        assert_eq!(error.class(), ErrorClass::Undecodable);
        assert!(error.chain().ends_with(reason), "{}", error.chain());
        let error = codec.decode_json(payload).await.unwrap_err().into_handler_error();
        assert!(error.chain().ends_with(reason), "{}", error.chain());
    }
    assert!(stub.asked() < 20);
}

#[tokio::test]
async fn a_registered_schema_that_is_no_contract_is_undecodable() {
    let (_, codec) = codec();
    for (id, reason) in
        [(1, "the Avro schema is not valid"), (2, "the Avro schema is long, and a payload must be a record")]
    {
        let error = codec.decode::<UserUpdated>(Some(&[0, 0, 0, 0, id])).await.unwrap_err().into_handler_error();
        assert_eq!(error.class(), ErrorClass::Undecodable);
        assert!(error.chain().contains(reason), "{}", error.chain());
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_away_known_schemas_work_and_unknown_ones_wait() {
    let (stub, codec) = codec();
    let known = framed(&codec).await;
    codec.decode::<UserUpdated>(Some(&known.bytes)).await.unwrap();
    let old = old_payload(&codec).await;
    stub.away.store(true, Ordering::SeqCst);

    assert_eq!(codec.decode::<UserUpdated>(Some(&known.bytes)).await.unwrap(), event());
    assert_eq!(framed(&codec).await.bytes, known.bytes);
    let error = codec.decode::<UserUpdated>(Some(&old.bytes)).await.unwrap_err();
    assert!(error.is_unavailable());
    let error = error.into_handler_error();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(
        error.chain().ends_with("the schema registry at http://stub is away: connection refused"),
        "{}",
        error.chain()
    );
    let error = codec.frame("elsewhere", codec.encode(&event()).unwrap()).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(error.to_string(), "no schema id for elsewhere-accounts.UserUpdated");

    let asked = stub.asked();
    assert!(codec.decode::<UserUpdated>(Some(&old.bytes)).await.is_err());
    assert_eq!(stub.asked(), asked, "the failure holds for a moment");
    stub.away.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(codec.decode::<UserUpdated>(Some(&old.bytes)).await.unwrap(), event());
}

#[tokio::test]
async fn many_who_meet_a_schema_at_once_ask_about_it_once() {
    let (stub, codec) = codec();
    let datum = codec.encode(&event()).unwrap();
    let framed = join_all((0..50).map(|_| codec.frame("accounts", datum.clone()))).await;
    assert_eq!(stub.asked(), 1);
    let payload = framed.into_iter().next().unwrap().unwrap().bytes;
    let decoded = join_all((0..50).map(|_| codec.decode::<UserUpdated>(Some(&payload)))).await;
    assert!(decoded.into_iter().all(|decoded| decoded.is_ok()));
    assert_eq!(stub.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_that_meet_a_schema_at_once_ask_about_it_once_and_share_one_plan() {
    for _ in 0..20 {
        let (stub, codec) = codec();
        let payload = old_payload(&codec).await.bytes;
        let asked = stub.asked();
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let all = (0..8).map(|_| {
            let (codec, payload, start) = (codec.clone(), payload.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                codec.decode::<UserUpdated>(Some(&payload)).await.unwrap()
            })
        });
        assert!(join_all(all).await.into_iter().all(|decoded| decoded.unwrap() == event()));
        assert_eq!(stub.asked() - asked, 1);
    }
}

/// A record with a schema's id in its headers.
fn record(header: &[u8], payload: Option<&[u8]>) -> Record {
    let mut headers = Headers::new();
    headers.push("__value_schema_id", Some(header));
    Record {
        topic: "accounts".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: None,
        payload: payload.map(|payload| payload.to_vec().into()),
        headers,
    }
}

#[tokio::test]
async fn an_id_in_the_headers_goes_before_one_in_the_payload() {
    let (stub, codec) = codec();
    let old = old_payload(&codec).await;
    let (id, datum) = (old.schema_id.to_be_bytes(), &old.bytes[5..]);
    let guid = [&[1][..], Uuid::from_u128(7).as_bytes()].concat();
    for header in [[&[0][..], &id].concat(), guid.clone()] {
        let record = record(&header, Some(datum));
        assert_eq!(codec.decode_record::<UserUpdated>(&record).await.unwrap(), event());
        assert_eq!(codec.decode_record_json(&record).await.unwrap().value["dropped"], "x");
        assert_eq!(&*codec.record_name(&record).await.unwrap(), "accounts.UserUpdated");
        let view = codec.view_record::<UserUpdated>(&record).await.unwrap();
        assert_eq!(view.read::<UserUpdated>().unwrap(), event());
    }
    assert_eq!(stub.asked(), 3, "one registration, one id, one GUID");
    let without = Record { headers: Headers::new(), ..record(&guid, Some(&old.bytes)) };
    assert_eq!(codec.decode_record::<UserUpdated>(&without).await.unwrap(), event());
}

#[tokio::test(start_paused = true)]
async fn guids_are_undecodable_where_nobody_knows_them_and_wait_where_nobody_answers() {
    let (stub, codec) = codec();
    let unknown = [&[1][..], Uuid::from_u128(8).as_bytes()].concat();
    for (record, reason) in [
        (record(&unknown, Some(b"x")), "no schema has the GUID 00000000-0000-0000-0000-000000000008"),
        (record(&[1, 2], Some(b"x")), "`__value_schema_id` holds 1 bytes behind 0x01, and a schema's GUID has 16"),
        (record(&unknown, None), "the record has no payload"),
    ] {
        let error = codec.decode_record::<UserUpdated>(&record).await.unwrap_err().into_handler_error();
        assert_eq!(error.class(), ErrorClass::Undecodable);
        assert!(error.chain().ends_with(reason), "{}", error.chain());
    }
    let error = Codec::local().decode_record::<UserUpdated>(&record(&unknown, Some(b"x"))).await.unwrap_err();
    let error = error.into_handler_error();
    assert_eq!(error.class(), ErrorClass::Undecodable);
    assert!(error.chain().contains("cannot look up the GUID"), "{}", error.chain());
    stub.away.store(true, Ordering::SeqCst);
    let known = [&[1][..], Uuid::from_u128(7).as_bytes()].concat();
    assert!(codec.decode_record::<UserUpdated>(&record(&known, Some(b"x"))).await.unwrap_err().is_unavailable());
}

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
async fn what_is_known_is_ready_at_once() {
    let (_, codec) = codec();
    let payload = framed(&codec).await.bytes;
    codec.decode::<UserUpdated>(Some(&payload)).await.unwrap();
    assert!(codec.decode::<UserUpdated>(Some(&payload)).now_or_never().is_some());
    assert!(codec.frame("accounts", codec.encode(&event()).unwrap()).now_or_never().is_some());
}

#[tokio::test]
async fn framing_writes_into_the_room_before_the_datum() {
    let (_, codec) = codec();
    let datum = codec.encode(&event()).unwrap();
    let before = datum.datum().as_ptr();
    assert_eq!((datum.record(), datum.schema()), ("accounts.UserUpdated", UserUpdated::SCHEMA));
    let framed = codec.frame("accounts", datum).await.unwrap();
    assert_eq!(framed.bytes[5..].as_ptr(), before);
}

#[tokio::test]
async fn the_same_schema_on_two_topics_has_two_subjects() {
    let (stub, codec) = codec();
    for topic in ["accounts", "other", "accounts", "other"] {
        codec.frame(topic, codec.encode(&event()).unwrap()).await.unwrap();
    }
    assert_eq!(stub.asked(), 2);
    assert!(stub.latest("other-accounts.UserUpdated").await.is_ok());
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

#[test]
fn a_value_that_does_not_fit_its_own_schema_names_the_field() {
    #[derive(Serialize, Deserialize)]
    struct Wrapped(i64);
    #[derive(Serialize, Deserialize)]
    struct Misfit {
        user_id: Wrapped,
    }
    impl Event for Misfit {
        const NAME: &'static str = "accounts.Misfit";
        const VERSION: &'static str = "1.0.0";
        const SCHEMA: &'static str = r#"{"type":"record","name":"Misfit","fields":[{"name":"user_id","type":"long"}]}"#;
        const ENTITY: &'static str = "Account";

        fn key(&self) -> Cow<'_, str> {
            "".into()
        }
    }
    let error = Codec::local().encode(&Misfit { user_id: Wrapped(1) }).unwrap_err().to_string();
    assert!(error.starts_with("the payload does not fit the schema of accounts.Misfit: field `user_id`"), "{error}");
    assert!(error.ends_with("needs #[serde(transparent)] to be written as what it holds)"), "{error}");
}

proptest! {
    #[test]
    fn random_payloads_never_panic(payload in prop::collection::vec(any::<u8>(), 0..100), framed in any::<bool>()) {
        let codec = Codec::new(Arc::new(LocalRegistry::new()));
        codec.learn(UserUpdated::SCHEMA).unwrap();
        let registration = codec.registry().find("", UserUpdated::SCHEMA).now_or_never().unwrap().unwrap();
        let payload = if framed { [&[0][..], &registration.id.to_be_bytes(), &payload].concat() } else { payload };
        let _ = codec.decode::<UserUpdated>(Some(&payload)).now_or_never().unwrap();
        let _ = codec.decode_json(Some(&payload)).now_or_never().unwrap();
    }
}
