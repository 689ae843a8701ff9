//! The producer of a kit: it tells the journal what was written, and refuses what it is told to refuse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::faults::Faults;
use super::journal::Journal;
use super::stage::Stage;
use crate::transport::{OutgoingRecord, ProduceError, Producer, Record, Written};

/// Writes a kit's records, under the names the brokers know.
pub(super) struct WatchedProducer {
    pub(super) inner: Arc<dyn Producer>,
    pub(super) stage: Arc<Stage>,
    pub(super) journal: Arc<Journal>,
    /// Where it writes dead letters: what is to go wrong with them.
    pub(super) dead_letters: Option<Arc<Faults>>,
}

impl Producer for WatchedProducer {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let topic = self.stage.logical(&record.topic);
        if self.dead_letters.as_ref().is_some_and(|faults| faults.dead_letters.take()) {
            let reason = "the test kit was told to refuse it".to_owned();
            return Ok(ready(Err(ProduceError::Refused { topic, reason, retryable: true })).boxed());
        }
        let real = OutgoingRecord { topic: self.stage.real(&topic), ..record.clone() };
        let written = self.inner.enqueue(&real)?;
        let (journal, writing) = (Arc::clone(&self.journal), self.journal.writing());
        let is_letter = self.dead_letters.is_some();
        let OutgoingRecord { key, payload, headers, timestamp_ms, .. } = real;
        let written = written.inspect(move |result| {
            let _writing = writing;
            if let Ok(Written { partition, offset: Some(offset) }) = result {
                let (partition, offset) = (*partition, *offset);
                let record = Record { topic, partition, offset, timestamp_ms, key, payload, headers };
                if is_letter {
                    journal.wrote_dead_letter(record);
                } else {
                    journal.written(record);
                }
            }
        });
        Ok(written.boxed())
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.inner.flush(deadline)
    }

    fn purge(&self) {
        self.inner.purge();
    }
}

impl fmt::Debug for WatchedProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchedProducer").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Headers;
    use crate::transport::memory::MemoryProducer;

    #[tokio::test]
    async fn a_write_is_under_way_until_it_is_answered_or_no_longer_waited_for() {
        let (memory, journal) = (MemoryProducer::new(1), Arc::new(Journal::default()));
        memory.hold();
        let producer = WatchedProducer {
            inner: Arc::new(memory.clone()),
            stage: Arc::new(Stage::new(None)),
            journal: Arc::clone(&journal),
            dead_letters: None,
        };
        let record = OutgoingRecord {
            topic: "accounts".into(),
            partition: None,
            key: None,
            payload: None,
            headers: Headers::default(),
            timestamp_ms: None,
        };
        let under_way = || journal.lock().motion(Duration::ZERO, false).moving;
        let answered = producer.enqueue(&record).unwrap();
        let dropped = producer.enqueue(&record).unwrap();
        assert_eq!(under_way(), 2);
        drop(dropped);
        assert_eq!(under_way(), 1);
        memory.release();
        answered.await.unwrap();
        assert_eq!(under_way(), 0);
    }
}
