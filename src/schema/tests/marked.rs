//! What a schema marks as sensitive is in no error and in no `Debug`.

use serde::{Deserializer, Serializer};

use super::*;

const SECRET: &str = "zoe@mail.example";

/// A type that says what it is not given, each in its own way.
#[derive(Debug, Clone, PartialEq)]
struct Mail(&'static str);

impl Serialize for Mail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            "refused" => Err(serde::ser::Error::custom(format!("{SECRET} is no address"))),
            text => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Mail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error, Unexpected};
        let text = String::deserialize(deserializer)?;
        Err(match &*text {
            "value" => D::Error::invalid_value(Unexpected::Other(SECRET), &"an address"),
            "type" => D::Error::invalid_type(Unexpected::Other(SECRET), &"an address"),
            "expected" => D::Error::invalid_value(Unexpected::Str(&text), &format!("not {SECRET}").as_str()),
            "length" => D::Error::invalid_length(1, &SECRET),
            _ => D::Error::custom(SECRET),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Contact {
    mail: Mail,
}

macro_rules! event {
    ($ident:ident, $schema:literal) => {
        impl Event for $ident {
            const NAME: &'static str = stringify!($ident);
            const VERSION: &'static str = "1.0.0";
            const SCHEMA: &'static str = $schema;
            const ENTITY: &'static str = "Player";

            fn key(&self) -> Cow<'_, str> {
                "".into()
            }
        }
    };
}

#[derive(Debug, Serialize, Deserialize)]
struct Marked {
    mail: Mail,
}

event!(Marked, r#"{"type":"record","name":"Marked","fields":[{"name":"mail","type":"string","pii":true}]}"#);

#[derive(Debug, Serialize, Deserialize)]
struct Within {
    contact: Contact,
}

event!(
    Within,
    r#"{"type":"record","name":"Within","fields":[{"name":"contact","type":
        {"type":"record","name":"Contact","fields":[{"name":"mail","type":"string","pii":true}]}}]}"#
);

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    mail: Mail,
}

event!(
    Open,
    r#"{"type":"record","name":"Open","fields":[
        {"name":"mail","type":"string"},{"name":"note","type":["null","string"],"default":null,"pii":true}]}"#
);

/// Refuses to be written as a whole, which tells of no field.
#[derive(Debug, Deserialize)]
struct Whole {}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(SECRET))
    }
}

event!(Whole, r#"{"type":"record","name":"Whole","fields":[{"name":"mail","type":"string","pii":true}]}"#);

async fn decode_failure<E: Event>(value: serde_json::Value) -> String {
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    let payload = codec.frame("players", codec.encode_json(E::SCHEMA, &value).unwrap()).await.unwrap();
    let Err(error) = codec.decode::<E>(Some(&payload.bytes)).await else { panic!("it is read") };
    format!("{error} {error:?}")
}

fn encode_failure<E: Event>(event: &E) -> String {
    let error = Codec::local().encode(event).unwrap_err();
    format!("{error} {error:?}")
}

#[tokio::test]
async fn whatever_a_type_says_of_a_marked_value_is_not_told() {
    for way in ["value", "type", "expected", "length", "custom"] {
        let told = decode_failure::<Marked>(json!({"mail": way})).await;
        assert!(told.contains("field `mail`") && told.contains("marks it") && !told.contains(SECRET), "{told}");
        let told = decode_failure::<Within>(json!({"contact": {"mail": way}})).await;
        assert!(told.contains("field `contact.mail`") && !told.contains(SECRET), "{told}");
        let told = decode_failure::<Open>(json!({"mail": way})).await;
        assert!(told.contains("field `mail`") && told.contains(SECRET), "{told}");
    }
}

async fn unknown_symbol(mark: bool) -> String {
    let schema = |symbols: &serde_json::Value| {
        let status =
            json!({"name": "status", "type": {"type": "enum", "name": "Status", "symbols": symbols}, "pii": mark});
        json!({"type": "record", "name": "Tested", "fields": [status]}).to_string()
    };
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    let datum = codec.encode_json(&schema(&json!(["A", "HIV"])), &json!({"status": "HIV"})).unwrap();
    let payload = codec.frame("health", datum).await.unwrap();
    codec.decode_json_as(&schema(&json!(["A"])), Some(&payload.bytes)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_marked_symbol_that_the_reader_does_not_know_is_not_named() {
    let told = unknown_symbol(true).await;
    assert!(told.contains("field `status`: the symbol is unknown to the type") && !told.contains("HIV"), "{told}");
    assert!(unknown_symbol(false).await.contains("the symbol HIV is unknown to the type"));
}

#[tokio::test]
async fn the_numbers_of_a_broken_payload_are_not_told_of_a_marked_field() {
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    let datum = codec.encode_json(Marked::SCHEMA, &json!({"mail": ""})).unwrap();
    let mut payload = codec.frame("players", datum).await.unwrap().bytes.to_vec();
    // A length of 42.
    payload[5] = 84;
    let told = codec.decode_json(Some(&payload)).await.unwrap_err().to_string();
    assert!(told.contains("field `mail`: it says it is longer than what is left") && !told.contains("42"), "{told}");
}

#[test]
fn why_a_marked_value_cannot_be_written_is_not_told() {
    let mail = || Mail("refused");
    for (told, field) in [
        (encode_failure(&Marked { mail: mail() }), "field `mail`"),
        (encode_failure(&Within { contact: Contact { mail: mail() } }), "field `contact`"),
        (encode_failure(&Whole {}), "the payload does not fit"),
    ] {
        assert!(told.contains(field) && told.contains("\\\"pii\\\"") && !told.contains(SECRET), "{told}");
    }
    let told = encode_failure(&Open { mail: mail() });
    assert!(told.contains("field `mail`") && told.contains(SECRET), "{told}");
}

#[test]
fn a_marked_symbol_that_is_no_symbol_is_not_named() {
    let told = |mark: bool| {
        let status =
            json!({"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["A"]}, "pii": mark});
        let schema = json!({"type": "record", "name": "Tested", "fields": [status]}).to_string();
        Codec::local().encode_json(&schema, &json!({"status": "HIV"})).unwrap_err().to_string()
    };
    assert!(told(true).ends_with("field `status`: it is not one of A"), "{}", told(true));
    assert!(told(false).ends_with("field `status`: `HIV` is not one of A"), "{}", told(false));
}

#[tokio::test]
async fn payloads_show_how_long_they_are_and_not_what_they_say() {
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    let datum = codec.encode_json(Marked::SCHEMA, &json!({"mail": "abc"})).unwrap();
    let shown = format!("{datum:?}");
    assert!(shown.contains("datum_bytes: 4") && shown.contains("Marked") && !shown.contains("97"), "{shown}");
    let framed = codec.frame("players", datum).await.unwrap();
    let shown = format!("{framed:?}");
    assert!(shown.contains("payload_bytes: 9") && !shown.contains("abc"), "{shown}");
    let payload = codec.decode_json(Some(&framed.bytes)).await.unwrap();
    let shown = format!("{payload:?}");
    assert!(shown.contains("Marked") && shown.contains("value_bytes: 14") && !shown.contains("abc"), "{shown}");
}
