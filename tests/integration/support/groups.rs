//! What the brokers know of consumer groups, asked with a client that knows nothing of tidings.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::setting;
use crate::support::scene::Scene;
use crate::support::wait;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each partition's committed offset, if it has one.
pub(crate) async fn committed(scene: &Scene, group: &str) -> Vec<Option<i64>> {
    let (topic, partitions, group) = (scene.topic(), scene.partitions(), group.to_owned());
    blocking(move || {
        let client = client(&group);
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_range(&topic, 0, partitions - 1);
        let found = client.committed_offsets(wanted, PATIENCE).unwrap();
        let offset = |partition| match found.find_partition(&topic, partition).unwrap().offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        (0..partitions).map(offset).collect()
    })
    .await
}

/// What was committed with the first partition's offset.
pub(crate) async fn metadata(scene: &Scene, group: &str) -> String {
    let (topic, group) = (scene.topic(), group.to_owned());
    blocking(move || {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&topic, 0);
        let found = client(&group).committed_offsets(wanted, PATIENCE).unwrap();
        found.find_partition(&topic, 0).unwrap().metadata().to_owned()
    })
    .await
}

/// Each partition's end: the offset of its next record.
pub(crate) async fn ends(scene: &Scene) -> Vec<i64> {
    ends_of(&scene.topic(), scene.partitions()).await
}

/// The same of any topic.
pub(crate) async fn ends_of(topic: &str, partitions: i32) -> Vec<i64> {
    let topic = topic.to_owned();
    blocking(move || {
        let client = client("nobody");
        (0..partitions).map(|partition| client.fetch_watermarks(&topic, partition, PATIENCE).unwrap().1).collect()
    })
    .await
}

/// What is not yet committed: the partitions, with their committed offsets and their ends.
pub(crate) async fn behind(scene: &Scene, group: &str) -> Vec<(i32, Option<i64>, i64)> {
    let ends = ends(scene).await;
    let committed = committed(scene, group).await;
    // A partition without records need not have a commit.
    let behind = |(_, committed, end): &(i32, Option<i64>, i64)| committed.unwrap_or(0) != *end;
    (0..)
        .zip(committed)
        .zip(ends)
        .map(|((partition, committed), end)| (partition, committed, end))
        .filter(behind)
        .collect()
}

/// Wait until everything in the topic is committed.
pub(crate) async fn caught_up(scene: &Scene, group: &str) {
    let look = async || {
        let behind = behind(scene, group).await;
        if behind.is_empty() { Ok(()) } else { Err(behind) }
    };
    wait::until("everything is committed", look).await;
}

fn client(group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS"))
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.unwrap()
}
