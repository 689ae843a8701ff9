//! A producer that writes to the in-memory broker.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::MemoryBroker;
use crate::transport::murmur2;
use crate::transport::{OutgoingRecord, ProduceError, Producer, Record, Written};

/// A producer that writes to a [`MemoryBroker`]: at once, and to the partition that Java clients would choose.
#[derive(Debug, Clone)]
pub struct MemoryBrokerProducer {
    broker: MemoryBroker,
    partitions: u32,
}

impl MemoryBrokerProducer {
    pub(super) fn new(broker: &MemoryBroker, partitions: u32) -> Self {
        Self { broker: broker.clone(), partitions: partitions.max(1) }
    }

    fn partition(&self, record: &OutgoingRecord) -> Result<i32, ProduceError> {
        let mut count = self.broker.partitions(&record.topic);
        if count == 0 {
            count = self.partitions;
            self.broker.create_topic(&record.topic, i32::try_from(count).unwrap_or(i32::MAX));
        }
        let unknown = || ProduceError::UnknownPartition { topic: Arc::clone(&record.topic) };
        match record.partition {
            Some(partition) if u32::try_from(partition).is_ok_and(|partition| partition < count) => Ok(partition),
            Some(_) => Err(unknown()),
            // Kafka's own clients spread records without a key as they like.
            None => {
                let chosen = record.key.as_deref().map_or(0, |key| murmur2::partition(key, count));
                i32::try_from(chosen).map_err(|_| unknown())
            }
        }
    }
}

impl Producer for MemoryBrokerProducer {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let partition = self.partition(record)?;
        let offset = self.broker.append_record(Record {
            topic: Arc::clone(&record.topic),
            partition,
            offset: -1,
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: record.headers.clone(),
        });
        Ok(ready(Ok(Written { partition, offset: Some(offset) })).boxed())
    }

    fn flush(&self, _deadline: Duration) -> BoxFuture<'static, usize> {
        ready(0).boxed()
    }

    fn purge(&self) {}
}
