//! Handlers that fail: who waits, and what is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::consumer::{Consumer, StopReason, dead_letter_header as header};
use tidings::prelude::*;
use tidings::transport::kafka::{TopicSpec, topics};

use crate::kafka::LONG;
use crate::reader::{Seen, read};
use crate::setting;
use crate::support::chain;
use crate::support::groups::{caught_up, committed};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::until_true;

/// Panics over player 0's first score, until it is mended.
struct Fragile {
    ledger: Arc<Ledger>,
    mended: Arc<AtomicBool>,
}

#[dispatcher(source = "scores", retry(max_attempts = 100000, initial = "2ms", max = "20ms"))]
impl Fragile {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) {
        let broken = event == ScorePosted::new(0, 1) && !self.mended.load(Ordering::Acquire);
        assert!(!broken, "the board cannot take this score");
        self.ledger.note(event.player.to_string(), event.serial);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_holds_back_its_own_key_and_no_other() {
    // One partition: all keys share it.
    let scene = Scene::new(1).await;
    post(&scene.publisher().await, 10, 1..=5).await;
    let (ledger, mended) = (Arc::<Ledger>::default(), Arc::<AtomicBool>::default());
    let fragile = Fragile { ledger: Arc::clone(&ledger), mended: Arc::clone(&mended) };
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(fragile, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());

    until_true("the nine others are handled", || ledger.distinct() == 45).await;
    let retried = running.stats().retried;
    until_true("it is tried again", || running.stats().retried > retried + 2).await;
    assert!(ledger.of("0").is_empty(), "its successors wait behind it: {:?}", ledger.of("0"));
    let group = scene.group("Fragile");
    assert!(matches!(committed(&scene, &group).await[..], [None | Some(0)]), "the offset waits, too");

    mended.store(true, Ordering::Release);
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.dead_lettered), (50, 0));
    assert_eq!(ledger.audit(&posted(10, 5)), Audit::default());
}

/// Refuses player 0's scores: the even ones at once, the odd ones whenever they are tried.
struct Refusing {
    ledger: Arc<Ledger>,
}

#[derive(Debug, thiserror::Error)]
#[error("no place for player {0}")]
struct NoPlace(i64, #[source] std::io::Error);

#[dispatcher(source = "scores", retry(max_attempts = 3, initial = "1ms"))]
impl Refusing {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<Outcome, NoPlace> {
        if event.player != 0 {
            self.ledger.note(event.player.to_string(), event.serial);
            return Ok(Outcome::Done);
        }
        let error = NoPlace(event.player, std::io::Error::other("the board is full"));
        if event.serial % 2 == 0 { Ok(Outcome::dead_letter(error)) } else { Err(error) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letters_with_its_bytes_its_headers_and_the_reason() {
    let scene = Scene::new(3).await;
    post(&scene.publisher().await, 4, 1..=1).await;
    // A stranger's record, with all that headers can be.
    let codec = codec();
    let framed = codec.frame(&scene.topic(), codec.encode(&ScorePosted::new(0, 2)).unwrap()).await.unwrap();
    let headers: [RawHeader<'_>; 6] = [
        ("ce_type", Some(b"scores.ScorePosted")),
        ("binary", Some(&[0xff, 0, 0xfe])),
        ("null", None),
        ("empty", Some(b"")),
        ("twice", Some(b"1")),
        ("twice", Some(b"2")),
    ];
    let (partition, offset) = scene.write(Some(b"0"), Some(&framed.bytes), &headers).await;

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec)
        .dispatch_with(Refusing { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Refusing");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.retried, stats.dead_lettered), (3, 2, 2));

    let brokers = setting("TIDINGS_TEST_BROKERS");
    let letters = read(&brokers, &format!("{group}.dead-letters"), 3, 2);
    let originals = read(&brokers, &scene.topic(), 3, 5);
    let original = |partition: i32, offset: i64| -> &Seen {
        originals.iter().find(|record| (record.partition, record.offset) == (partition, offset)).unwrap()
    };
    // The exhausted one came first, and both are of one key.
    for (letter, attempts, place) in [(&letters[0], "3", None), (&letters[1], "1", Some((partition, offset)))] {
        let why = letter.text_headers();
        let read_at = (why[header::PARTITION].parse().unwrap(), why[header::OFFSET].parse().unwrap());
        assert!(place.is_none_or(|place| place == read_at), "{read_at:?}");
        let original = original(read_at.0, read_at.1);
        assert_eq!((&letter.key, &letter.payload), (&original.key, &original.payload));
        // Its own time, so that retention does not delete the letter of an old event.
        assert!(letter.timestamp_ms >= original.timestamp_ms);
        let (kept, added) = letter.headers.split_at(original.headers.len());
        assert_eq!(kept, original.headers, "every header, in order, repeats and nulls included");
        let names: Vec<_> = added.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "__dlq.errors.topic",
                "__dlq.errors.partition",
                "__dlq.errors.offset",
                "__dlq.errors.group",
                "__dlq.errors.delivery.count",
                "__dlq.errors.message",
                "__dlq.tidings.handler",
                "__dlq.tidings.error.class",
                "__dlq.tidings.error.chain",
                "__dlq.tidings.attempts",
                "__dlq.tidings.timestamp",
                "__dlq.tidings.first.failure",
                "__dlq.tidings.given.up",
            ]
        );
        let timestamp = original.timestamp_ms.unwrap().to_string();
        for (name, wanted) in [
            (header::TIMESTAMP, timestamp.as_str()),
            (header::TOPIC, scene.topic().as_str()),
            (header::GROUP, &group),
            (header::DELIVERY_COUNT, attempts),
            (header::MESSAGE, "no place for player 0"),
            (header::HANDLER, "Refusing::on_posted"),
            (header::CLASS, "retryable"),
            (header::CHAIN, "no place for player 0: the board is full"),
            (header::ATTEMPTS, attempts),
        ] {
            assert_eq!(why[name], wanted, "{name}");
        }
        let time = |name| chrono::DateTime::parse_from_rfc3339(why[name]).unwrap();
        assert!(time(header::FIRST_FAILURE) <= time(header::GIVEN_UP));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_can_never_be_written_stops_the_consumer_and_holds_its_offset() {
    let scene = Scene::new(1).await;
    post(&scene.publisher().await, 2, 1..=1).await;
    let headers: [RawHeader<'_>; 1] = [("ce_type", Some(b"scores.ScorePosted"))];
    let (_, offset) = scene.write(Some(b"7"), Some(&vec![b'x'; 2_000]), &headers).await;
    let letters = scene.name("tiny");
    let topic = TopicSpec::new(&letters, 1).config("max.message.bytes", "500");
    topics::ensure(&kafka(), &[topic], LONG).await.unwrap();

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer().dead_letter_topic(&letters))
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let error = Running::start(consumer.build().await.unwrap()).ended().await.unwrap_err();
    let (text, place) = (chain(&error), format!("{}[0]@{offset}", scene.topic()));
    assert!(matches!(error.source, StopReason::DeadLetterRefused { .. }), "{error:?}");
    assert!(text.contains(&place) && text.contains(&letters), "{text}");
    assert_eq!(committed(&scene, &scene.group("Scoreboard")).await, [Some(offset)]);
    assert_eq!(ledger.audit(&posted(2, 1)), Audit::default());
}
