//! The codec, with a registry that counts what it is asked.

mod json;
mod marked;
mod registry;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::event::Event;
use crate::outcome::ErrorClass;

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

#[tokio::test]
async fn framing_writes_into_the_room_before_the_datum() {
    let (_, codec) = codec();
    let datum = codec.encode(&event()).unwrap();
    let before = datum.datum().as_ptr();
    assert_eq!((datum.record(), datum.schema()), ("accounts.UserUpdated", UserUpdated::SCHEMA));
    let framed = codec.frame("accounts", datum).await.unwrap();
    assert_eq!(framed.bytes[5..].as_ptr(), before);
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
