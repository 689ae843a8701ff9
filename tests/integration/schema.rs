//! The codec with a real schema registry, and with the payloads of a client nobody here wrote.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings::schema::compatibility::CompatibilityMode;
use tidings::schema::{
    Codec, ConfluentRegistry, DecodeError, FramedPayload, RegistryError, RegistryOptions, SchemaId, SchemaRegistry,
};
use tidings::transport::{Headers, Record};
use tidings::{ErrorClass, Event};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::setting;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlayerRenamed {
    user_id: i64,
    nickname: String,
    #[serde(default)]
    previous: Option<String>,
    device: Uuid,
}

impl Event for PlayerRenamed {
    const NAME: &'static str = "codectests.PlayerRenamed";
    const VERSION: &'static str = "1.1.0";
    const SCHEMA: &'static str = r#"{"type":"record","name":"PlayerRenamed","namespace":"codectests","fields":[
        {"name":"user_id","type":"long"},
        {"name":"nickname","type":"string"},
        {"name":"previous","type":["null","string"],"default":null},
        {"name":"device","type":{"type":"string","logicalType":"uuid"}}]}"#;
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

/// An earlier version, as some other service still writes it.
const FIRST: &str = r#"{"type":"record","name":"PlayerRenamed","namespace":"codectests","fields":[
    {"name":"user_id","type":"int"},
    {"name":"nickname","type":"string"},
    {"name":"device","type":{"type":"string","logicalType":"uuid"}}]}"#;

fn event() -> PlayerRenamed {
    PlayerRenamed { user_id: 42, nickname: "Zoë".into(), previous: Some("zo".into()), device: Uuid::from_u128(7) }
}

fn options() -> RegistryOptions {
    RegistryOptions::new(setting("TIDINGS_TEST_REGISTRY"))
}

fn registry(options: &RegistryOptions) -> Arc<ConfluentRegistry> {
    Arc::new(ConfluentRegistry::new(options).unwrap())
}

fn codec() -> Codec {
    Codec::new(registry(&options()))
}

/// A topic no other test has, so that its subjects begin empty.
fn topic() -> String {
    format!("codectests-{}", Uuid::now_v7().simple())
}

/// Asks the registry what the codec has no need to ask; gives its answer.
pub(crate) fn http(method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let address = setting("TIDINGS_TEST_REGISTRY");
    let (host, root) = address.strip_prefix("http://").and_then(|address| address.split_once('/')).unwrap();
    let (body, mut answer) = (body.to_string(), String::new());
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{root}{path} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.split(' ').nth(1) == Some("200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

async fn publish(codec: &Codec, topic: &str) -> FramedPayload {
    codec.frame(topic, codec.encode(&event()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_schema_is_registered_once_and_read_by_others() {
    let (topic, codec) = (topic(), codec());
    let framed = publish(&codec, &topic).await;
    let address = setting("TIDINGS_TEST_REGISTRY");
    assert_eq!(*framed.data_schema, format!("{address}/subjects/{topic}-codectests.PlayerRenamed/versions/1"));

    let other = self::codec();
    assert_eq!(other.decode::<PlayerRenamed>(Some(&framed.bytes)).await.unwrap(), event());
    let again = publish(&other, &topic).await;
    assert_eq!((again.schema_id, again.data_schema), (framed.schema_id, framed.data_schema));
    let json = other.decode_json(Some(&framed.bytes)).await.unwrap();
    assert_eq!((json.schema_id.number(), &*json.record), (Some(framed.schema_id), PlayerRenamed::NAME));
    assert_eq!(json.value["previous"], "zo");
}

#[tokio::test]
async fn an_older_version_is_resolved_and_the_newer_one_gets_its_own_number() {
    let (topic, codec) = (topic(), codec());
    let value = json!({"user_id": 42, "nickname": "Zoë", "device": Uuid::from_u128(7)});
    let old = codec.frame(&topic, codec.encode_json(FIRST, &value).unwrap()).await.unwrap();
    let new = publish(&codec, &topic).await;
    assert!(old.data_schema.ends_with("/versions/1") && new.data_schema.ends_with("/versions/2"));
    assert_ne!(old.schema_id, new.schema_id);
    let read: PlayerRenamed = self::codec().decode(Some(&old.bytes)).await.unwrap();
    assert_eq!(read, PlayerRenamed { previous: None, ..event() });
    let subject = Codec::subject(&topic, PlayerRenamed::NAME);
    assert_eq!(codec.registry().latest(&subject).await.unwrap().version, Some(2));
}

#[tokio::test]
async fn without_leave_to_register_an_unknown_schema_is_an_error() {
    let topic = topic();
    let codec = Codec::new(registry(&options().auto_register(false)));
    let error = codec.frame(&topic, codec.encode(&event()).unwrap()).await.unwrap_err();
    assert!(!error.is_unavailable());
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("the schema is not registered under codectests-"), "{source}");
    publish(&self::codec(), &topic).await;
    let codec = Codec::new(registry(&options().auto_register(false)));
    publish(&codec, &topic).await;
}

#[tokio::test]
async fn a_schema_that_breaks_compatibility_is_refused_with_the_registrys_words() {
    let subject = format!("{}-codectests.PlayerRenamed", topic());
    let registry = registry(&options());
    registry.register(&subject, PlayerRenamed::SCHEMA).await.unwrap();
    http("PUT", &format!("/config/{subject}"), &json!({"compatibility": "BACKWARD_TRANSITIVE"}));
    let broken = PlayerRenamed::SCHEMA.replace(r#""nickname","type":"string""#, r#""nickname","type":"int""#);
    let error = registry.register(&subject, &broken).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Incompatible { reason, .. } if !reason.is_empty()), "{error}");
    let error = registry.register(&subject, "{\"type\":\"nonsense\"}").await.unwrap_err();
    assert!(matches!(&error, RegistryError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn schemas_that_refer_to_others_are_read() {
    let topic = topic();
    let post = |subject: String, body: serde_json::Value| {
        let answer = http("POST", &format!("/subjects/{subject}/versions"), &body);
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    };
    let city = json!({"type": "record", "name": "City", "namespace": "common", "fields": [{"name": "name", "type": "string"}]});
    let address = json!({"type": "record", "name": "Address", "namespace": "common", "fields": [
        {"name": "city", "type": "common.City"}, {"name": "birthplace", "type": "City"}]});
    let moved = json!({"type": "record", "name": "Moved", "namespace": "codectests", "fields": [
        {"name": "to", "type": "common.Address"}, {"name": "from", "type": ["null", "common.Address"]}]});
    let subject = |name: &str| format!("{topic}-{name}");
    let refer = |name: &str| json!([{"name": name, "subject": subject(name), "version": 1}]);
    post(subject("common.City"), json!({"schema": city.to_string()}));
    post(subject("common.Address"), json!({"schema": address.to_string(), "references": refer("common.City")}));
    let body = json!({"schema": moved.to_string(), "references": refer("common.Address")});
    let id = post(subject("codectests.Moved"), body);
    let payload = [&[0][..], &id.to_be_bytes(), &[2, b'a', 2, b'b', 2, 2, b'c', 2, b'd']].concat();
    let read = codec().decode_json(Some(&payload)).await.unwrap();
    let place = |city: &str, birthplace: &str| json!({"city": {"name": city}, "birthplace": {"name": birthplace}});
    assert_eq!(read.value, json!({"to": place("a", "b"), "from": place("c", "d")}));
}

#[tokio::test]
async fn an_id_a_working_registry_does_not_know_is_undecodable() {
    let error = codec().decode::<PlayerRenamed>(Some(&[0, 0x7f, 0xff, 0xff, 0xf0])).await.unwrap_err();
    assert!(matches!(&error, DecodeError::Registry { source: RegistryError::UnknownId { .. }, .. }), "{error:?}");
    assert_eq!(error.into_handler_error().class(), ErrorClass::Undecodable);
}

#[tokio::test]
async fn a_wrong_path_a_closed_port_and_a_silent_server_are_not_the_payloads_fault() {
    let root = setting("TIDINGS_TEST_REGISTRY");
    let root = root.strip_suffix("/apis/ccompat/v7").unwrap_or(&root);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let addresses = [
        (format!("{root}/nowhere"), "does not answer as a schema registry does (HTTP 404)"),
        (format!("http://user:secret@{closed}"), "is away"),
        (format!("http://user:secret@{}", silent.local_addr().unwrap()), "is away"),
    ];
    for (address, wanted) in addresses {
        let registry = registry(&RegistryOptions::new(address).timeout(Duration::from_millis(200)));
        assert!(registry.ping().await.unwrap_err().is_unavailable());
        let error = Codec::new(registry).decode::<PlayerRenamed>(Some(&[0, 0, 0, 0, 1])).await.unwrap_err();
        let text = format!("{error:?}");
        let error = error.into_handler_error();
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert!(error.chain().contains(wanted), "{}", error.chain());
        assert!(!error.chain().contains("secret") && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn answers_by_status_are_told_apart() {
    for (status, body, unavailable) in [
        ("401 Unauthorized", r#"{"error_code":401,"message":"Unauthorized"}"#, true),
        ("403 Forbidden", "no", true),
        ("429 Too Many Requests", "slow down", true),
        ("500 Internal Server Error", r#"{"error_code":50001,"message":"store"}"#, true),
        ("503 Service Unavailable", "", true),
        ("200 OK", "<html>a login page</html>", true),
        ("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#, false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://me:hidden@{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let codec = Codec::new(registry(&RegistryOptions::new(address)));
        let error = codec.decode::<PlayerRenamed>(Some(&[0, 0, 0, 0, 1])).await.unwrap_err();
        assert_eq!(error.is_unavailable(), unavailable, "{status}: {error:?}");
        let request = server.await.unwrap();
        assert!(request.to_lowercase().contains("authorization: basic bwu6aglkzgvu"), "{request}");
    }
}

/// A record as Confluent's serializers write it when told to put the schema's id into the headers: the datum stands alone.
fn record_with_guid(guid: Uuid, datum: &[u8]) -> Record {
    let mut headers = Headers::new();
    headers.push("__value_schema_id", Some(&[&[1][..], guid.as_bytes()].concat()));
    Record {
        topic: "players".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: None,
        payload: Some(datum.to_vec().into()),
        headers,
    }
}

/// Answers each request by its path, one after the other, until it is dropped; the paths asked for are kept.
async fn stub_registry(
    answer: impl Fn(&str) -> (&'static str, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let paths = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&paths);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let (status, body) = answer(&path);
            asked.lock().push(path);
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, paths)
}

#[tokio::test]
async fn a_guid_in_the_headers_is_looked_up_once_as_confluents_registry_wants_it() {
    let guid = Uuid::from_u128(0x8976_6e1c_8bdc_4ac2_a2d6_a2ed_59f2_9d4c);
    let (address, paths) = stub_registry(move |path| match path.split('?').next() {
        Some("/schemas/guids/89766e1c-8bdc-4ac2-a2d6-a2ed59f29d4c") => {
            ("200 OK", json!({"guid": guid, "schemaType": "AVRO", "schema": FIRST}).to_string())
        }
        _ => ("404 Not Found", json!({"error_code": 40403, "message": "Schema not found"}).to_string()),
    })
    .await;
    let codec = Codec::new(registry(&RegistryOptions::new(address)));
    let value = json!({"user_id": 42, "nickname": "Zoë", "device": Uuid::from_u128(7)});
    let datum = codec.encode_json(FIRST, &value).unwrap();
    let record = record_with_guid(guid, datum.datum());
    for _ in 0..3 {
        let read: PlayerRenamed = codec.decode_record(&record).await.unwrap();
        assert_eq!(read, PlayerRenamed { previous: None, ..event() });
    }
    let json = codec.decode_record_json(&record).await.unwrap();
    assert_eq!((json.schema_id, json.value), (SchemaId::Guid(guid), value));
    assert_eq!(&*codec.record_name(&record).await.unwrap(), PlayerRenamed::NAME);
    assert_eq!(paths.lock().len(), 1, "{paths:?}");

    let unknown = Uuid::from_u128(1);
    let error = codec.decode_record::<PlayerRenamed>(&record_with_guid(unknown, datum.datum())).await.unwrap_err();
    let error = error.into_handler_error();
    assert_eq!(error.class(), ErrorClass::Undecodable);
    assert!(error.chain().ends_with(&format!("no schema has the GUID {unknown}")), "{}", error.chain());
}

#[tokio::test]
async fn a_registry_without_guids_makes_such_records_undecodable_and_a_wrong_path_does_not() {
    let record = record_with_guid(Uuid::from_u128(7), b"datum");
    let error = codec().decode_record::<PlayerRenamed>(&record).await.unwrap_err().into_handler_error();
    assert_eq!(error.class(), ErrorClass::Undecodable, "{}", error.chain());
    assert!(
        error.chain().contains("cannot look up the GUID 00000000-0000-0000-0000-000000000007"),
        "{}",
        error.chain()
    );

    let (address, _) = stub_registry(|_| ("404 Not Found", "nothing here".to_owned())).await;
    let codec = Codec::new(registry(&RegistryOptions::new(address)));
    let error = codec.decode_record::<PlayerRenamed>(&record).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test]
async fn a_subject_has_its_own_mode_else_the_registrys_else_none() {
    let (address, paths) = stub_registry(|path| match path {
        "/config/own?defaultToGlobal=true" => ("200 OK", json!({"compatibilityLevel": "FULL_TRANSITIVE"}).to_string()),
        // Part of a path and nothing else, whatever it is called.
        "/config/a%2Fb%3Fc%23d?defaultToGlobal=true" => {
            ("200 OK", json!({"compatibilityLevel": "FORWARD"}).to_string())
        }
        "/config" => ("200 OK", json!({"compatibilityLevel": "BACKWARD"}).to_string()),
        _ => ("404 Not Found", json!({"error_code": 40408, "message": "no subject-level configuration"}).to_string()),
    })
    .await;
    let confluent = registry(&RegistryOptions::new(&address));
    assert_eq!(confluent.compatibility("own").await.unwrap(), Some(CompatibilityMode::FullTransitive));
    assert_eq!(confluent.compatibility("a/b?c#d").await.unwrap(), Some(CompatibilityMode::Forward));
    assert_eq!(paths.lock().len(), 2);
    assert_eq!(confluent.compatibility("other").await.unwrap(), Some(CompatibilityMode::Backward));

    let (silent, _) = stub_registry(|_| ("404 Not Found", "nothing here".to_owned())).await;
    assert_eq!(registry(&RegistryOptions::new(&silent)).compatibility("own").await.unwrap(), None);
    // The second address is asked where the first is in trouble.
    let (broken, _) = stub_registry(|_| ("503 Service Unavailable", String::new())).await;
    let both = registry(&RegistryOptions::new(&broken).url(&address));
    assert_eq!(both.compatibility("own").await.unwrap(), Some(CompatibilityMode::FullTransitive));
}

#[tokio::test]
async fn an_answer_about_the_mode_that_is_none_says_so_and_shows_no_credentials() {
    for (status, body, wanted) in [
        ("200 OK", r#"{"compatibilityLevel":"SIDEWAYS"}"#, "SIDEWAYS"),
        ("200 OK", "<html>a login page</html>", "does not answer as a schema registry does"),
        ("302 Found", "", "HTTP 302"),
        ("401 Unauthorized", "", "refuses these credentials (401)"),
        ("500 Internal Server Error", "", "is away"),
    ] {
        let (address, _) = stub_registry(move |_| (status, body.to_owned())).await;
        let address = address.replace("http://", "http://me:hidden@");
        let error = registry(&RegistryOptions::new(address)).compatibility("own").await.unwrap_err();
        assert!(error.to_string().contains(wanted) && error.is_unavailable(), "{status}: {error}");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
    // An endless answer is not read to its end.
    let (address, _) =
        stub_registry(|_| ("200 OK", format!("{{\"compatibilityLevel\":\"{}\"}}", "A".repeat(1_000_000)))).await;
    let error = registry(&RegistryOptions::new(address)).compatibility("own").await.unwrap_err();
    assert!(error.to_string().len() < 1_000, "{} bytes", error.to_string().len());
}

#[tokio::test]
async fn every_mode_of_a_subject_is_read_from_the_real_registry() {
    let (topic, codec) = (topic(), codec());
    publish(&codec, &topic).await;
    let (subject, registry) = (format!("{topic}-codectests.PlayerRenamed"), registry(&options()));
    // What Apicurio answers where nobody has configured anything.
    assert_eq!(registry.compatibility(&subject).await.unwrap(), Some(CompatibilityMode::None));
    assert_eq!(registry.compatibility(&format!("{topic}-of-nothing")).await.unwrap(), Some(CompatibilityMode::None));
    for name in ["BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE", "NONE"]
    {
        http("PUT", &format!("/config/{subject}"), &json!({"compatibility": name}));
        assert_eq!(registry.compatibility(&subject).await.unwrap(), Some(name.parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn the_registry_is_found_alive() {
    registry(&options()).ping().await.unwrap();
}

/// Runs Python's own serializer or deserializer; gives it `input` and takes what it prints.
pub(crate) fn python(script: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let registry = setting("TIDINGS_TEST_REGISTRY");
    let mut child = Command::new(setting("TIDINGS_TEST_PYTHON"))
        .args(["-c", script, &registry])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn pythons_deserializer_reads_what_we_write() {
    const SCRIPT: &str = r#"
import json, sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
client = SchemaRegistryClient({"url": sys.argv[1]})
context = SerializationContext(sys.argv[2], MessageField.VALUE)
print(json.dumps(AvroDeserializer(client)(sys.stdin.buffer.read(), context), default=str))
"#;
    let topic = topic();
    let framed = publish(&codec(), &topic).await;
    let read: serde_json::Value = serde_json::from_slice(&python(SCRIPT, &[&topic], &framed.bytes)).unwrap();
    assert_eq!(read, json!({"user_id": 42, "nickname": "Zoë", "previous": "zo", "device": Uuid::from_u128(7)}));
}

#[tokio::test]
async fn what_pythons_serializer_writes_we_read() {
    const SCRIPT: &str = r#"
import json, sys
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
client = SchemaRegistryClient({"url": sys.argv[1]})
settings = {"subject.name.strategy": topic_record_subject_name_strategy}
value = json.loads(sys.stdin.buffer.read())
context = SerializationContext(sys.argv[2], MessageField.VALUE)
sys.stdout.buffer.write(AvroSerializer(client, sys.argv[3], conf=settings)(value, context))
"#;
    let topic = topic();
    let value = serde_json::to_vec(&event()).unwrap();
    let written = python(SCRIPT, &[&topic, PlayerRenamed::SCHEMA], &value);
    let codec = codec();
    assert_eq!(codec.decode::<PlayerRenamed>(Some(&written)).await.unwrap(), event());
    let ours = publish(&codec, &topic).await;
    assert_eq!(ours.bytes, written, "the same subject, the same id, the same datum");
}
