//! The whole road: from a MySQL transaction through the outbox, the relay and Kafka to a typed handler, and on from there.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidings::causality::Causality;
use tidings::clock::{Clock as _, SystemClock};
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::database::sqlx;
use tidings::database::{Database, Transaction};
use tidings::outbox::{KafkaProducers, Relay, RelayHandle};
use tidings::prelude::*;
use tidings::publisher::{Acks, DeliveryMode, Publisher, PublisherOptions};
use tidings::transport::kafka::{TopicSpec, topics};
use uuid::Uuid;

use crate::reader::{Seen, read};
use crate::setting;
use crate::support::groups::{caught_up, ends};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard};
use crate::support::store::{Player, Store, post_next, publishing};
use crate::support::wait::{until, until_true};

const DIRECT: DeliveryMode = DeliveryMode::Direct { acks: Acks::All };

/// A service that publishes in a mode: its database, and its relay where the mode needs one.
struct Service {
    store: Store,
    database: Database,
    relay: Option<RelayHandle>,
}

impl Service {
    async fn new(publisher: &Publisher) -> Self {
        let store = Store::new().await;
        let database = publishing(&store, publisher);
        let recorded = publisher.mode() == DeliveryMode::Outbox;
        let relay = recorded.then(|| Relay::new(&database, KafkaProducers::of(publisher)).spawn());
        Self { store, database, relay }
    }

    async fn until_published(&self) {
        self.store.until_published().await;
    }

    async fn close(self) {
        if let Some(relay) = self.relay {
            relay.shutdown().await.unwrap();
        }
    }
}

/// A player's rank follows from the scores.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "ranks.RankChanged", version = "1.0.0", entity = "Rank")]
#[event(schema_inline = r#"{
    "type": "record", "name": "RankChanged", "namespace": "ranks",
    "fields": [{"name": "player", "type": "long"}, {"name": "rank", "type": "long"}]
}"#)]
struct RankChanged {
    #[event(key)]
    player: i64,
    rank: i64,
}

/// Handles scores, and publishes ranks of its own: in a transaction where it has a database of its own.
struct Ranking {
    publisher: Publisher,
    database: Option<Database>,
}

#[dispatcher(source = "scores")]
impl Ranking {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, score: ScorePosted) -> Result<()> {
        let changed = RankChanged { player: score.player, rank: score.serial };
        let Some(database) = &self.database else {
            self.publisher.publish(&changed).await?;
            return Ok(());
        };
        let rank = async |tx: Transaction, _: Option<Player>| {
            tx.save(&Player { id: score.player, scores: score.serial });
            tx.publish(&changed);
            Ok(())
        };
        database.atomically(&score.player, rank).await
    }
}

/// What a message said of its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    id: String,
    correlation: String,
    causation: Option<String>,
    trace: String,
    span: String,
    tracestate: Option<String>,
}

/// Keeps what ranks say of their cause.
struct Listener(Arc<Mutex<Vec<(RankChanged, Said)>>>);

#[dispatcher(source = "ranks")]
impl Listener {
    #[on("ranks.RankChanged")]
    async fn on_changed(&self, rank: RankChanged, message: Message) {
        let headers = message.headers();
        let (trace, span) = trace_and_span(headers.get_str("traceparent").unwrap());
        let said = Said {
            id: message.id().unwrap().to_owned(),
            correlation: message.correlation_id().unwrap().to_owned(),
            causation: message.causation_id().map(str::to_owned),
            trace,
            span,
            tracestate: headers.get_str("tracestate").map(str::to_owned),
        };
        self.0.lock().push((rank, said));
    }
}

fn trace_and_span(traceparent: &str) -> (String, String) {
    let [_, trace, span, _] = traceparent.split('-').collect::<Vec<_>>()[..] else { panic!("{traceparent}") };
    (trace.to_owned(), span.to_owned())
}

/// A score goes from a transaction to the ranking service, and its rank on to a listener, both in `mode`.
async fn a_conversation(mode: DeliveryMode) {
    let scene = Scene::new(2).await;
    let scores = scene.publisher_in(mode).await;
    let accounts = Service::new(&scores).await;

    let ranks = scene.name("ranks");
    topics::ensure(&kafka(), &[TopicSpec::new(&ranks, 2)], Duration::from_secs(30)).await.unwrap();
    let options = PublisherOptions::new(&ranks).kafka(kafka()).mode(mode);
    let publisher = Publisher::builder(options).codec(codec()).build().await.unwrap();
    let ranking = Service::new(&publisher).await;

    let heard = Arc::new(Mutex::new(Vec::new()));
    let database = (mode == DeliveryMode::Outbox).then(|| ranking.database.clone());
    let handler = Ranking { publisher: publisher.clone(), database };
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(handler, |settings| settings.source(scene.topic()))
        .dispatch_with(Listener(Arc::clone(&heard)), |settings| settings.source(&ranks));
    let running = Running::start(consumer.build().await.unwrap());

    // Nothing caused the first score; a command of another system caused the second.
    post_next(&accounts.database, 1).await.unwrap();
    let command = Causality {
        correlation_id: Some("order 66".to_owned()),
        causation_id: Some("command 7".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        tracestate: Some("vendor=1".to_owned()),
    };
    command.scope(post_next(&accounts.database, 2)).await.unwrap();

    until_true("both ranks are heard of", || heard.lock().len() == 2).await;
    accounts.until_published().await;
    ranking.until_published().await;
    running.stop().await;
    accounts.close().await;
    ranking.close().await;

    let topic = scene.topic();
    let posted = read(&setting("TIDINGS_TEST_BROKERS"), &topic, 2, 2);
    let mut heard = heard.lock().clone();
    heard.sort_by_key(|(rank, _)| rank.player);
    for ((rank, said), player) in heard.iter().zip([1, 2]) {
        assert_eq!(*rank, RankChanged { player, rank: 1 });
        let score = posted.iter().find(|score| score.key == Some(player.to_string().into_bytes())).unwrap();
        let score = score.text_headers();
        let (trace, span) = trace_and_span(score["traceparent"]);
        assert_eq!(said.causation.as_deref(), Some(score["ce_id"]));
        assert_eq!(said.correlation, score["ce_correlationid"]);
        assert_eq!(said.trace, trace, "one trace from the transaction to the last handler");
        assert_ne!(said.span, span, "a span for each hop");
        assert_eq!(said.tracestate.as_deref(), score.get("tracestate").copied());
        if player == 1 {
            assert_eq!((said.correlation.as_str(), score.get("ce_causationid")), (score["ce_id"], None));
        } else {
            assert_eq!((said.correlation.as_str(), score["ce_causationid"]), ("order 66", "command 7"));
            assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(said.tracestate.as_deref(), Some("vendor=1"));
        }
        assert_ne!(said.id, score["ce_id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_publishes_directly_continues_the_conversation() {
    a_conversation(DIRECT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_publishes_in_a_transaction_continues_the_conversation() {
    a_conversation(DeliveryMode::Outbox).await;
}

/// How a header's value is known.
enum Value {
    Is(String),
    /// A version 7 UUID.
    Id,
    /// RFC 3339 in UTC with microseconds, while the test ran.
    Time,
    /// The event's own id.
    OwnId,
    /// A W3C trace context; of this trace, where one is given.
    Trace(Option<&'static str>),
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The headers of an event with these properties, in order, and no others.
fn expected(topic: &str, player: i64, sequence: Option<u64>, epoch: u32, caused: bool) -> Vec<(&'static str, Value)> {
    let is = |text: &str| Value::Is(text.to_owned());
    let schema = format!("{}/subjects/{topic}-scores.ScorePosted/versions/1", setting("TIDINGS_TEST_REGISTRY"));
    let mut headers = vec![
        ("ce_specversion", is("1.0")),
        ("ce_id", Value::Id),
        ("ce_source", is(&format!("/{topic}"))),
        ("ce_type", is("scores.ScorePosted")),
        ("ce_schemaversion", is("1.2.0")),
        ("ce_time", Value::Time),
        ("ce_recordedtime", Value::Time),
        ("ce_subject", is(&format!("Player/{player}"))),
    ];
    headers.extend(sequence.map(|sequence| ("ce_sequence", is(&format!("{sequence:020}")))));
    headers.extend((epoch != 0).then(|| ("ce_streamepoch", is(&epoch.to_string()))));
    headers.push(("ce_partitionkey", is(&player.to_string())));
    headers.push(("ce_correlationid", if caused { is("order 66") } else { Value::OwnId }));
    headers.extend(caused.then(|| ("ce_causationid", is("command 7"))));
    headers.push(("ce_dataschema", is(&schema)));
    headers.push(("content-type", is("application/avro")));
    headers.push(("traceparent", Value::Trace(caused.then_some(TRACE))));
    headers.extend(caused.then(|| ("tracestate", is("vendor=1,other=2"))));
    headers
}

fn check(record: &Seen, expected: &[(&'static str, Value)], since: DateTime<Utc>) {
    let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let texts = record.text_headers();
    for (name, value) in expected {
        let text = texts[name];
        match value {
            Value::Is(wanted) => assert_eq!(text, wanted, "{name}"),
            Value::Id => {
                let id: Uuid = text.parse().unwrap();
                assert_eq!((id.get_version_num(), id.to_string().as_str()), (7, text), "{name}");
            }
            Value::Time => {
                let time = DateTime::parse_from_rfc3339(text).unwrap();
                assert!(time >= since && text.len() == "2026-01-02T03:04:05.678901Z".len(), "{name}: {text}");
            }
            Value::OwnId => assert_eq!(text, texts["ce_id"], "{name}"),
            Value::Trace(trace) => {
                let (found, span) = trace_and_span(text);
                assert!((text.len(), text.get(..3)) == (55, Some("00-")), "{text}");
                assert!(found != "0".repeat(32) && span != "0".repeat(16), "{text}");
                assert!(trace.is_none_or(|trace| trace == found), "{text}");
            }
        }
    }
    assert!(texts["ce_time"] <= texts["ce_recordedtime"]);
    assert_eq!(record.key.as_deref(), Some(texts["ce_partitionkey"].as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_writes_exactly_the_headers_of_the_contract() {
    let scene = Scene::new(1).await;
    let since = SystemClock::new().now() - chrono::Duration::seconds(1);
    let cause = || Causality {
        correlation_id: Some("order 66".to_owned()),
        causation_id: Some("command 7".to_owned()),
        traceparent: Some(format!("00-{TRACE}-b7ad6b7169203331-01")),
        tracestate: Some("vendor=1,other=2".to_owned()),
    };
    let mut table = Vec::new();
    let mut player = 0;
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let publisher = scene.publisher_in(DeliveryMode::Direct { acks }).await;
        for caused in [false, true] {
            player += 1;
            let event = ScorePosted::new(player, 1);
            let publish = publisher.publish(&event);
            if caused { cause().scope(publish).await } else { publish.await }.unwrap();
            table.push((player, None, 0, caused));
        }
        assert_eq!(publisher.close(Duration::from_secs(30)).await, 0);
    }
    for mode in [DIRECT, DeliveryMode::Outbox] {
        let publisher = scene.publisher_in(mode).await;
        let service = Service::new(&publisher).await;
        for caused in [false, true] {
            player += 1;
            for sequence in 1..=2 {
                let post = post_next(&service.database, player);
                if caused { cause().scope(post).await } else { post.await }.unwrap();
                let sequence = (mode == DeliveryMode::Outbox).then_some(sequence);
                table.push((player, sequence, 0, caused));
            }
        }
        if mode == DeliveryMode::Outbox {
            // As an operator does after a restore: sequences begin anew in the next epoch.
            let raise = "UPDATE tidings_stream SET epoch = epoch + 3, sequence = 0 WHERE stream = ?";
            let pool = service.database.mysql_pool().unwrap();
            sqlx::query(raise).bind(format!("Player/{player}")).execute(pool).await.unwrap();
            post_next(&service.database, player).await.unwrap();
            table.push((player, Some(1), 3, false));
        }
        service.until_published().await;
        service.close().await;
    }

    let topic = scene.topic();
    let mut seen = read(&setting("TIDINGS_TEST_BROKERS"), &topic, 1, table.len());
    seen.sort_by_key(|record| {
        let player: i64 = record.text_headers()["ce_partitionkey"].parse().unwrap();
        (player, record.offset)
    });
    for (record, (player, sequence, epoch, caused)) in seen.iter().zip(table) {
        check(record, &expected(&topic, player, sequence, epoch, caused), since);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_does_not_commit_publishes_nothing() {
    let scene = Scene::new(1).await;
    let service = Service::new(&scene.publisher_in(DeliveryMode::Outbox).await).await;
    let ledger = Arc::<Ledger>::default();
    let options: ConsumerOptions = scene.consumer();
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());

    // One that is rolled back by its own error …
    let refused: Result<()> = service
        .database
        .atomically(&1, async |tx: Transaction, _: Option<Player>| {
            tx.save(&Player { id: 1, scores: 1 });
            tx.publish(&ScorePosted::new(1, 1));
            Err("the business logic says no".into())
        })
        .await;
    assert_eq!(refused.unwrap_err().to_string(), "the business logic says no");
    // … one whose caller goes away while a statement of its own is not committed …
    let began = tokio::sync::Notify::new();
    let abandoned = service.database.atomically(&1, async |tx: Transaction, _: Option<Player>| -> Result<()> {
        tx.save(&Player { id: 1, scores: 1 });
        tx.publish(&ScorePosted::new(1, 1));
        let mut connection = tx.mysql().await?;
        sqlx::query("INSERT INTO player (id, scores, version) VALUES (9, 1, 1)").execute(&mut *connection).await?;
        began.notify_one();
        std::future::pending().await
    });
    tokio::select! {
        _ = abandoned => panic!("it cannot end"),
        () = began.notified() => {}
    }
    // … and one that panics.
    let database = service.database.clone();
    let panicked = tokio::spawn(async move {
        let post = async |tx: Transaction, _: Option<Player>| -> Result<()> {
            tx.save(&Player { id: 1, scores: 1 });
            tx.publish(&ScorePosted::new(1, 1));
            panic!("in the middle of it");
        };
        database.atomically(&1, post).await
    });
    assert!(panicked.await.unwrap_err().is_panic());

    // What is committed afterwards is the first of its stream, and all there is.
    assert_eq!(post_next(&service.database, 1).await.unwrap(), 1);
    service.until_published().await;
    caught_up(&scene, &scene.group("Scoreboard")).await;
    let only = || async { if ends(&scene).await == [1] { Ok(()) } else { Err(ends(&scene).await) } };
    until("one record is on the topic", only).await;
    running.stop().await;
    service.close().await;
    let seen = read(&setting("TIDINGS_TEST_BROKERS"), &scene.topic(), 1, 1);
    assert_eq!(seen[0].text_headers()["ce_sequence"], format!("{:020}", 1));
    assert_eq!(ledger.audit(&[("1".to_owned(), 1)].into()), Audit::default());
}
