//! A schema registry that goes away and comes back, and payloads that nobody can read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tidings::Event as _;
use tidings::consumer::{Consumer, ConsumerOptions, dead_letter_header as header};
use tidings::dispatch::BreakerPolicy;
use tidings::schema::{Codec, LocalRegistry, RegisteredSchema, Registration, RegistryError, SchemaRegistry};
use tidings::testing::{TestKit, TestOptions};
use tidings::transport::{Headers, OutgoingRecord};

use crate::board::{Board, PlayerRenamed, consumer, renamed};

/// A registry that can be switched off.
#[derive(Debug, Default)]
struct Switched {
    away: AtomicBool,
    asked: AtomicU32,
    known: LocalRegistry,
}

impl Switched {
    fn answer(&self) -> Result<&LocalRegistry, RegistryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::other("connection refused"));
            return Err(RegistryError::Unavailable { registry: "http://registry".into(), source });
        }
        Ok(&self.known)
    }
}

#[async_trait]
impl SchemaRegistry for Switched {
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError> {
        self.answer()?.schema(id).await
    }

    async fn registration(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.answer()?.registration(subject, schema).await
    }

    async fn register(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.answer()?.register(subject, schema).await
    }

    async fn find(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.answer()?.find(subject, schema).await
    }

    async fn latest(&self, subject: &str) -> Result<RegisteredSchema, RegistryError> {
        self.answer()?.latest(subject).await
    }

    async fn ping(&self) -> Result<(), RegistryError> {
        self.answer().map(drop)
    }
}

/// The same event, as a newer service writes it.
const NEWER: &str = r#"{"type": "record", "name": "PlayerRenamed", "namespace": "players", "fields": [
    {"name": "player", "type": "long"}, {"name": "nickname", "type": "string"}, {"name": "by", "type": "string"}]}"#;

fn record(key: &str, payload: Vec<u8>) -> OutgoingRecord {
    let mut headers = Headers::new();
    headers.push_str("ce_type", PlayerRenamed::NAME);
    headers.push_str("ce_schemaversion", PlayerRenamed::VERSION);
    OutgoingRecord {
        topic: "players".into(),
        partition: None,
        key: Some(key.to_owned().into()),
        payload: Some(payload.into()),
        headers,
        timestamp_ms: None,
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_away_known_schemas_work_and_others_wait_without_an_end_and_are_never_given_up() {
    let registry = Arc::new(Switched::default());
    let kit = TestKit::new(TestOptions::new().codec(Codec::new(Arc::clone(&registry) as Arc<dyn SchemaRegistry>)));
    let board = Board::default();
    kit.start(consumer(board.clone())).await;
    let before = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&before).await;

    // Another service's codec wrote it: ours has not met the schema.
    let theirs = Codec::new(Arc::clone(&registry) as Arc<dyn SchemaRegistry>);
    let value = serde_json::json!({"player": 2, "nickname": "Grace", "by": "support"});
    let newer = theirs.frame("players", theirs.encode_json(NEWER, &value).unwrap()).await.unwrap();
    registry.away.store(true, Ordering::SeqCst);
    kit.producer().send(record("2", newer.bytes.to_vec())).await.unwrap();
    let known = kit.publish(&renamed(1, "Lovelace")).await;
    kit.assert_handled_once(&known).await;

    // Far beyond the handler's three attempts.
    for _ in 0..30 {
        kit.advance(Duration::from_secs(20)).await;
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert!(kit.dead_letters().is_empty());
    let asked = registry.asked.load(Ordering::SeqCst);
    assert!(asked > 20, "it was asked {asked} times");
    assert!(!board.shown.lock().iter().any(|(player, _)| *player == 2));

    registry.away.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(2)).await;
    kit.advance(Duration::from_secs(20)).await;
    assert_eq!(board.shown.lock().iter().filter(|(player, _)| *player == 2).count(), 1);
    assert!(kit.dead_letters().is_empty());
}

#[tokio::test]
async fn whatever_the_bytes_they_are_handled_or_end_as_a_dead_letter_with_a_reason() {
    let kit = crate::kit();
    // So many that fail alike would pause the handler.
    let options = ConsumerOptions::new("boards").breaker(BreakerPolicy::default().keys(0));
    kit.start(Consumer::builder(options).dispatch(Board::default())).await;
    let codec = kit.codec().clone();
    let good = codec.frame("players", codec.encode(&renamed(7, "Ada")).unwrap()).await.unwrap().bytes;
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..60);
    let mut sent = Vec::new();
    for index in 0..300 {
        let random = bytes.new_tree(&mut runner).unwrap().current();
        let payload = match index % 4 {
            // Not even a frame; behind a known id; behind an unknown one; a good one cut short or with more behind it.
            0 => [&[9][..], &random].concat(),
            1 => [&good[..5], &random].concat(),
            2 => [&[0, 0x7f, 0xff, 0xff][..], &random].concat(),
            _ if index % 8 == 3 => good[..good.len() - 1 - index % 5].to_vec(),
            _ => [&good[..], &random, &[0]].concat(),
        };
        sent.push(payload.clone());
        kit.producer().send(record(&format!("key-{index}"), payload)).await.unwrap();
    }
    let last = kit.publish(&renamed(1, "Grace")).await;
    kit.assert_handled_once(&last).await;
    kit.advance(Duration::from_mins(1)).await;
    let letters = kit.dead_letters();
    for letter in &letters {
        let headers = &letter.record().headers;
        assert_eq!(letter.class(), "undecodable");
        assert!(headers.get_str(header::MESSAGE).is_some_and(|reason| !reason.is_empty()));
        assert!(sent.iter().any(|payload| letter.record().payload.as_deref() == Some(payload)), "the bytes are kept");
    }
    let handled = kit.handled().len() - 1;
    assert_eq!(letters.len() + handled, sent.len());
    assert!(handled < 5, "{handled} of the random payloads could be read");
}
