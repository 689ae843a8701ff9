//! Topics that hold more than records: those of transactions, and what compaction leaves.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tidings::consumer::Consumer;
use tidings::publisher::Acks;

use crate::reader::read;
use crate::setting;
use crate::support::groups::{caught_up, committed, ends};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::{until, until_true};

const LONG: Duration = Duration::from_secs(30);

/// Publishes in transactions, as programs nobody here wrote do.
struct Transactional {
    producer: Arc<BaseProducer>,
    topic: String,
}

impl Transactional {
    async fn new(scene: &Scene) -> Self {
        let (id, topic) = (scene.name("transactional"), scene.topic());
        let start = move || {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).set("transactional.id", id);
            let producer: BaseProducer = config.create().unwrap();
            producer.init_transactions(LONG).unwrap();
            Self { producer: Arc::new(producer), topic }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// One transaction with the player's scores of these serials.
    async fn write(&self, player: i64, serials: std::ops::RangeInclusive<i64>, commit: bool) {
        let codec = codec();
        self.producer.begin_transaction().unwrap();
        for serial in serials {
            let payload = codec.encode(&ScorePosted::new(player, serial)).unwrap();
            let payload = codec.frame(&self.topic, payload).await.unwrap().bytes;
            let key = player.to_string();
            let record = BaseRecord::to(&self.topic).key(key.as_bytes()).payload(&payload[..]).partition(0);
            assert!(self.producer.send(record).is_ok());
        }
        let producer = Arc::clone(&self.producer);
        let end = move || {
            // On the broker before it is taken back: an abort throws away what was not sent.
            producer.flush(LONG).unwrap();
            if commit { producer.commit_transaction(LONG) } else { producer.abort_transaction(LONG) }
        };
        tokio::task::spawn_blocking(end).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_records_reach_no_handler_and_offsets_move_past_them_and_past_markers() {
    let scene = Scene::new(1).await;
    let writer = Transactional::new(&scene).await;
    writer.write(1, 1..=3, true).await;
    writer.write(1, 90..=95, false).await;
    writer.write(1, 4..=6, true).await;
    writer.write(2, 90..=90, false).await;
    scene.publisher().await.send(&ScorePosted::new(2, 1), Acks::All).await.unwrap();
    // 7 records of use, 7 that were taken back, 4 markers.
    assert_eq!(ends(&scene).await, [18]);

    let ledger = Arc::<Ledger>::default();
    let consumer = || {
        Consumer::builder(scene.consumer())
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()))
    };
    let running = Running::start(consumer().build().await.unwrap());
    let group = scene.group("Scoreboard");
    let committed_is = async |offset: i64| {
        until("it is committed", async || {
            let committed = committed(&scene, &group).await;
            if committed == [Some(offset)] { Ok(()) } else { Err(committed) }
        })
        .await;
    };
    committed_is(18).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.skipped, stats.dead_lettered), (7, 0, 0));

    // A restart on a gap goes on behind it.
    writer.write(1, 96..=99, false).await;
    writer.write(1, 7..=7, true).await;
    let running = Running::start(consumer().build().await.unwrap());
    until_true("the next one is handled", || ledger.distinct() == 8).await;
    let stats = running.stop().await;
    assert_eq!(stats.handled, 1);
    // The marker at the very end comes to no consumer: it is passed with the next record.
    assert_eq!((committed(&scene, &group).await, ends(&scene).await), (vec![Some(24)], vec![25]));
    assert_eq!(ledger.audit(&[("1".to_owned(), 7), ("2".to_owned(), 1)].into()), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it, since brokers compact at their leisure"]
async fn gaps_that_compaction_leaves_are_passed_and_the_last_event_of_each_key_is_handled() {
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    let scene = Scene::with(1, &config).await;
    let publisher = scene.publisher().await;
    post(&publisher, 3, 1..=50).await;
    let mut last = 50;
    until("most of them are compacted away", async || {
        // The segment that is written to is never compacted: a record closes it.
        last += 1;
        post(&publisher, 3, last..=last).await;
        let topic = scene.topic();
        let first = move || read(&setting("TIDINGS_TEST_BROKERS"), &topic, 1, 1)[0].offset;
        let first = tokio::task::spawn_blocking(first).await.unwrap();
        if first >= 100 { Ok(()) } else { Err(first) }
    })
    .await;

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    caught_up(&scene, &scene.group("Scoreboard")).await;
    running.stop().await;
    for player in 0..3 {
        assert_eq!(ledger.of(&player.to_string()).last(), Some(&last));
    }
    let audit = ledger.audit(&posted(3, last));
    assert_eq!((audit.out_of_order, audit.repeated, audit.invented), (0, 0, 0), "{audit:?}");
    assert!(audit.lost >= 100, "nothing was compacted away: {audit:?}");
}
