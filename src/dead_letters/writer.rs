//! Writes letters and marks, in transactions.

use std::sync::Arc;
use std::time::Duration;

use super::error::DeadLetterError;
use super::letters::DeadLetters;
use crate::transport::kafka::transaction::TransactionalProducer;
use crate::transport::kafka::{ProducerOptions, TransactionError};
use crate::transport::{OutgoingRecord, ProduceError};

/// How often a transaction is tried that was undone for a passing reason, and the pause before the second time.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// The producer, whose calls block. It ends on a thread that may.
pub(super) struct Writer {
    producer: Option<Arc<TransactionalProducer>>,
}

impl Writer {
    /// One that fits topics whose `max.message.bytes` is at least `limit`.
    pub(super) async fn new(letters: &DeadLetters, limit: Option<u32>) -> Result<Self, DeadLetterError> {
        let options = limit.map_or_else(ProducerOptions::new, |limit| ProducerOptions::new().fitting(limit));
        // A record may be as large as its own topic allows, and the broker says when it is too large.
        let options = options.max_record_bytes(u32::MAX);
        let (kafka, id, timeout) = (letters.kafka.clone(), format!("{}.redrive", letters.topic), letters.timeout);
        let made = tokio::task::spawn_blocking(move || TransactionalProducer::new(&kafka, options, &id, timeout));
        match made.await? {
            Ok(producer) => Ok(Self { producer: Some(Arc::new(producer)) }),
            Err(TransactionError::Kafka(error)) => Err(error.into()),
            Err(source) => Err(DeadLetterError::Transaction { redriven: 0, source: Box::new(source) }),
        }
    }

    /// Write `records` in one transaction, again and again where it fails for a passing reason. `Err` within when it is refused
    /// for good.
    pub(super) async fn write(
        &self,
        records: Arc<[OutgoingRecord]>,
        redriven: u64,
    ) -> Result<Result<(), ProduceError>, DeadLetterError> {
        let mut tries = 0;
        loop {
            let Some(producer) = self.producer.clone() else { return Ok(Ok(())) };
            let written = {
                let records = Arc::clone(&records);
                tokio::task::spawn_blocking(move || producer.write(&records)).await?
            };
            tries += 1;
            match written {
                Ok(()) => return Ok(Ok(())),
                Err(TransactionError::Aborted { source, .. }) if !source.is_retryable() => return Ok(Err(source)),
                Err(TransactionError::Aborted { source, .. }) if tries < TRIES => {
                    tracing::warn!(error = %source, tries, "a transaction was undone and is tried again");
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
                }
                Err(source) => {
                    return Err(DeadLetterError::Transaction { redriven, source: Box::new(source) });
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            // Where no thread can start, it is dropped here.
            let _ = std::thread::Builder::new().name("tidings-goodbye".to_owned()).spawn(move || drop(producer));
        }
    }
}
