//! What is taken up from what was committed, whoever committed it.
#![allow(unsafe_code, reason = "commits what the safe client cannot; see the SAFETY comments")]

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rdkafka_sys as sys;
use tidings::consumer::Consumer;
use tidings::prelude::*;
use tidings::transport::kafka::KafkaOptions;

use crate::setting;
use crate::support::groups::{caught_up, committed, metadata};
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post};
use crate::support::wait::until_true;

/// Commit `offset` for the first partition as a stranger, with any bytes for metadata.
fn commit_as_stranger(topic: &str, group: &str, offset: i64, metadata: &[u8]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).set("group.id", group);
    let client: BaseConsumer = config.create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    // SAFETY: the list has one element, which nothing else refers to; librdkafka frees the bytes with the list, as it has
    // allocated them.
    unsafe {
        let element = &mut *(*offsets.ptr()).elems;
        let bytes = sys::rd_kafka_mem_malloc(std::ptr::null_mut(), metadata.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(metadata.as_ptr(), bytes, metadata.len());
        element.metadata = bytes.cast();
        element.metadata_size = metadata.len();
    }
    client.commit(&offsets, CommitMode::Sync).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_strangers_committed_is_ignored_and_their_offset_is_not() {
    // Not UTF-8; text; what looks like ours and is not; much of it.
    let strange: [&[u8]; 5] = [b"\xff\xfe\x80", b"by kafka-consumer-groups", b"AAAA", b"\0\0\0\0", &[0xC3; 4_000]];
    for bytes in strange {
        let scene = Scene::new(1).await;
        post(&scene.publisher().await, 10, 1..=1).await;
        let (topic, group) = (scene.topic(), scene.group("Scoreboard"));
        tokio::task::spawn_blocking(move || commit_as_stranger(&topic, &group, 4, bytes)).await.unwrap();

        let ledger = Arc::<Ledger>::default();
        let consumer = Consumer::builder(scene.consumer())
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
        let running = Running::start(consumer.build().await.unwrap());
        caught_up(&scene, &scene.group("Scoreboard")).await;
        let stats = running.stop().await;
        assert_eq!((stats.handled, stats.completed_before), (6, 0), "{bytes:?}");
    }
}

/// Never handles player 0's scores while they are stuck.
struct Sticky {
    ledger: Arc<Ledger>,
    stuck: bool,
}

#[dispatcher(source = "scores")]
impl Sticky {
    #[on("scores.ScorePosted", timeout = "1h")]
    async fn on_posted(&self, event: ScorePosted) {
        if self.stuck && event.player == 0 {
            std::future::pending::<()>().await;
        }
        self.ledger.note(event.player.to_string(), event.serial);
    }
}

async fn sticky(scene: &Scene, kafka: KafkaOptions, ledger: &Arc<Ledger>, stuck: bool) -> Running {
    // What is stuck is not waited for.
    let options = scene.consumer().kafka(kafka).drain_timeout(Duration::ZERO);
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(Sticky { ledger: Arc::clone(ledger), stuck }, |settings| settings.source(scene.topic()));
    Running::start(consumer.build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_complete_above_a_stuck_event_is_restored_whatever_the_protocol() {
    let protocols =
        [kafka().property("group.protocol", "consumer"), kafka().property("partition.assignment.strategy", "range")];
    for kafka in protocols {
        let scene = Scene::new(1).await;
        post(&scene.publisher().await, 101, 1..=1).await;
        let ledger = Arc::<Ledger>::default();
        let first = sticky(&scene, kafka.clone(), &ledger, true).await;
        until_true("the others are handled", || ledger.distinct() == 100).await;
        first.stop().await;
        let group = scene.group("Sticky");
        assert_eq!(committed(&scene, &group).await, [Some(0)]);
        assert!(!metadata(&scene, &group).await.is_empty());

        let second = sticky(&scene, kafka, &ledger, false).await;
        caught_up(&scene, &group).await;
        let stats = second.stop().await;
        assert_eq!((stats.handled, stats.completed_before), (1, 100));
    }
}
