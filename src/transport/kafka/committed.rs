//! Where a group stopped: its committed offsets and what was committed with them, looked up between being handed a partition
//! and taking it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use serde::Deserialize;

use super::consumer::Context;
use super::native_metadata;
use crate::transport::{Assignment, ConsumeError, StartOffset, TopicPartition, Wake};

/// How long one question to the group's coordinator may take; it is asked again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a group begins that has committed nothing for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartFrom {
    /// At the oldest record. The default.
    #[default]
    Earliest,
    /// Behind the newest record there is when the partition is first assigned. That position is committed at once.
    Latest,
}

type Found = Result<Vec<Assignment>, ConsumeError>;

/// A look-up on a thread of its own: the coordinator may be away for long, and the partitions that stay must not wait for it.
pub(super) struct LookUp {
    result: Arc<Mutex<Option<Found>>>,
    abandoned: Arc<AtomicBool>,
}

impl LookUp {
    pub(super) fn start(
        consumer: &Arc<BaseConsumer<Context>>,
        partitions: Vec<TopicPartition>,
        start_from: StartFrom,
        wake: &Wake,
    ) -> Result<Self, ConsumeError> {
        let (result, abandoned) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let look_up = Self { result: Arc::clone(&result), abandoned: Arc::clone(&abandoned) };
        let (consumer, wake) = (Arc::clone(consumer), Arc::clone(wake));
        let thread = thread::Builder::new().name("tidings offsets".to_owned());
        let started = thread.spawn(move || {
            while !abandoned.load(Ordering::Acquire) {
                match look_up_all(&consumer, &partitions, start_from) {
                    Err(error) if !is_final(&error) => {
                        tracing::warn!(%error, "the committed offsets cannot be looked up; it is tried again");
                        thread::park_timeout(PAUSE);
                    }
                    found => {
                        let found = found.map_err(|error| ConsumeError::Operation {
                            operation: "look up the committed offsets",
                            reason: error.to_string(),
                        });
                        *result.lock() = Some(found);
                        wake();
                        return;
                    }
                }
            }
        });
        match started {
            Ok(_) => Ok(look_up),
            Err(error) => Err(ConsumeError::Operation {
                operation: "look up the committed offsets",
                reason: format!("its thread could not start: {error}"),
            }),
        }
    }

    /// What was found, once it is.
    pub(super) fn take(&self) -> Option<Found> {
        self.result.lock().take()
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Release);
    }
}

fn look_up_all(
    consumer: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    start_from: StartFrom,
) -> Result<Vec<Assignment>, RdKafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    let elements = committed.elements();
    let metadata = native_metadata::of(&committed);
    let mut assignments = Vec::with_capacity(elements.len());
    for (element, metadata) in elements.iter().zip(metadata) {
        element.error()?;
        let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
        let start = match (element.offset(), start_from) {
            (Offset::Offset(offset), _) => StartOffset::Committed { offset, metadata },
            (_, StartFrom::Earliest) => StartOffset::Beginning,
            (_, StartFrom::Latest) => {
                let (_, end) = consumer.fetch_watermarks(&partition.topic, partition.partition, TIMEOUT)?;
                StartOffset::End(end)
            }
        };
        assignments.push(Assignment { partition, start });
    }
    Ok(assignments)
}

/// Whether asking again is of no use.
fn is_final(error: &RdKafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::InvalidGroupId
                | RDKafkaErrorCode::Fatal
        )
    )
}
