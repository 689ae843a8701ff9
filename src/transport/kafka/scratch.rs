//! What tests need of brokers and services do not: setting a group back, and clearing away what a test made.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError as RdKafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::KafkaOptions;
use crate::transport::CommitOffset;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Commit for `group`, which has no members. Blocks.
pub(crate) fn commit_for_group(kafka: &KafkaOptions, group: &str, commit: &CommitOffset) -> Result<(), String> {
    let text = |error: RdKafkaError| error.to_string();
    let mut config = kafka.to_client_config(&[("enable.auto.commit", "false")]);
    config.set("group.id", group);
    let client: BaseConsumer = config.create().map_err(text)?;
    let mut list = TopicPartitionList::with_capacity(1);
    let CommitOffset { partition, offset, metadata } = commit;
    let mut element = list.add_partition(&partition.topic, partition.partition);
    element.set_offset(Offset::Offset(*offset)).map_err(text)?;
    element.set_metadata(metadata);
    client.commit(&list, CommitMode::Sync).map_err(text)
}

/// Delete the topics and groups whose names end in `suffix`. Blocks.
pub(crate) fn delete(kafka: &KafkaOptions, suffix: &str) -> Result<(), String> {
    let text = |error: RdKafkaError| error.to_string();
    let admin: AdminClient<DefaultClientContext> = kafka.to_client_config(&[]).create().map_err(text)?;
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT).map_err(text)?;
    let topics = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name);
    let topics: Vec<_> = topics.filter(|name| name.ends_with(suffix)).collect();
    let groups = admin.inner().fetch_group_list(None, TIMEOUT).map_err(text)?;
    let groups = groups.groups().iter().map(rdkafka::groups::GroupInfo::name);
    let groups: Vec<_> = groups.filter(|name| name.ends_with(suffix)).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let deleting = async {
        if !topics.is_empty() {
            admin.delete_topics(&topics, &options).await.map_err(text)?;
        }
        if !groups.is_empty() {
            admin.delete_groups(&groups, &options).await.map_err(text)?;
        }
        Ok(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(deleting)
}
