//! Writes records to Kafka in transactions: all of them, or none that a reader of committed records sees.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};

use super::client_context::{self, ClientEvents};
use super::produce_error::produce_error;
use super::{KafkaError, KafkaOptions, ProducerOptions, native_headers};
use crate::transport::{OutgoingRecord, ProduceError};

/// One turn of a call that blocks. Between turns the client's events are looked at: a refused password shows only there.
const TURN: Duration = Duration::from_secs(1);
/// How long a record may take, and a transaction. Whoever reads committed records waits behind an open one, at most so long where
/// its writer died.
const DELIVERY: Duration = Duration::from_secs(8);
const TRANSACTION: Duration = Duration::from_secs(10);
/// How long the end of a transaction may take, and the beginning of the first one.
const END: Duration = Duration::from_secs(60);

/// A transaction was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The client could not be made, or no broker answers.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The brokers do not allow this client to use transactions.
    #[error("the transactional id {id} cannot be used: {reason}; the user needs the right to write to it")]
    NotAllowed {
        /// The transactional id.
        id: String,
        /// What the broker says.
        reason: String,
    },
    /// Another client has begun to use the same transactional id.
    #[error("another process has taken over the transactional id {id}; one at a time is possible")]
    Fenced {
        /// The transactional id.
        id: String,
    },
    /// The transaction was undone; nothing of it will be seen.
    #[error("a transaction of {records} records was undone")]
    Aborted {
        /// How many records it had.
        records: usize,
        /// Why.
        source: ProduceError,
    },
    /// It is not known whether the transaction was committed.
    #[error("the transactional id {id} got no answer, so its last transaction may be committed or not: {reason}")]
    Unknown {
        /// The transactional id.
        id: String,
        /// What the client says.
        reason: String,
    },
}

/// Writes records in transactions. One at a time may use a transactional id: a later one ends the earlier one's. All calls block.
pub(crate) struct TransactionalProducer {
    client: BaseProducer<Deliveries>,
    id: String,
    brokers: String,
}

#[derive(Default)]
struct Deliveries {
    events: ClientEvents,
    /// Why the first record failed that did, since the transaction began.
    failure: Mutex<Option<ProduceError>>,
}

impl TransactionalProducer {
    /// A producer with the transactional id `id`. What an earlier one with the same id left open is undone.
    ///
    /// # Errors
    /// A property contradicts, or the brokers do not answer within `deadline`, or refuse.
    pub(crate) fn new(
        kafka: &KafkaOptions,
        options: ProducerOptions,
        id: &str,
        deadline: Duration,
    ) -> Result<Self, TransactionError> {
        for name in ["transactional.id", "transaction.timeout.ms", "message.timeout.ms"] {
            if let Some((property, _)) = kafka.user_property(name) {
                let reason = "it is chosen for each transaction; remove it".to_owned();
                return Err(KafkaError::Property { property: property.to_owned(), reason }.into());
            }
        }
        let mut config = options.delivery_timeout(DELIVERY).to_client_config(kafka)?;
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", TRANSACTION.as_millis().to_string());
        let client = config.create_with_context(Deliveries::default());
        let client = client.map_err(|error| KafkaError::from_configuration(&error))?;
        let producer = Self { client, id: id.to_owned(), brokers: kafka.brokers().to_owned() };
        producer.begin_session(deadline)?;
        Ok(producer)
    }

    fn begin_session(&self, deadline: Duration) -> Result<(), TransactionError> {
        let start = Instant::now();
        loop {
            let Err(error) = self.client.init_transactions(TURN) else { return Ok(()) };
            self.client.poll(Duration::ZERO);
            if self.events().authentication_failure().is_some() {
                return Err(self.events().unanswered(&self.brokers).into());
            }
            match transaction_error(&error) {
                Some(error) if error.is_retriable() && start.elapsed() < deadline => {}
                Some(error) if error.is_retriable() => return Err(self.events().unanswered(&self.brokers).into()),
                Some(error) if is_fenced(error) => return Err(self.fenced()),
                _ => return Err(TransactionError::NotAllowed { id: self.id.clone(), reason: error.to_string() }),
            }
        }
    }

    /// Write `records` in one transaction, in their order.
    ///
    /// # Errors
    /// It was undone, or its end is not known. After any other error than [`TransactionError::Aborted`] the producer is of no use.
    pub(crate) fn write(&self, records: &[OutgoingRecord]) -> Result<(), TransactionError> {
        *self.client.context().failure.lock() = None;
        self.client.begin_transaction().map_err(|error| self.ended(&error))?;
        for record in records {
            if let Err(error) = self.send(record) {
                return Err(self.abort(records.len(), error));
            }
        }
        let start = Instant::now();
        loop {
            let Err(error) = self.client.commit_transaction(TURN) else { return Ok(()) };
            self.client.poll(Duration::ZERO);
            match transaction_error(&error) {
                Some(failed) if failed.is_fatal() => return Err(self.ended(&error)),
                Some(failed) if failed.txn_requires_abort() => {
                    let why = self.failure(records, failed.code());
                    return Err(self.abort(records.len(), why));
                }
                // Its records are still under way, or its end is: asking again goes on waiting.
                Some(failed) if failed.is_retriable() && start.elapsed() < END => {}
                None if start.elapsed() < END => {}
                _ => {
                    let reason = self.events().last_reason().unwrap_or_else(|| error.to_string());
                    return Err(TransactionError::Unknown { id: self.id.clone(), reason });
                }
            }
        }
    }

    fn send(&self, record: &OutgoingRecord) -> Result<(), ProduceError> {
        let start = Instant::now();
        loop {
            let mut outgoing = BaseRecord::with_opaque_to(&record.topic, Box::new(Sent::of(record)));
            outgoing.key = record.key.as_deref();
            outgoing.payload = record.payload.as_deref();
            outgoing.partition = record.partition;
            outgoing.timestamp = record.timestamp_ms;
            outgoing.headers = native_headers::write(&record.headers);
            let Err((error, _)) = self.client.send(outgoing) else { return Ok(()) };
            let full = error.rdkafka_error_code() == Some(Code::QueueFull);
            if !full || start.elapsed() > DELIVERY {
                return Err(produce_error(&error, &record.topic, record.size(), self.events()));
            }
            self.client.poll(Duration::from_millis(100));
        }
    }

    /// Undo the transaction, because of `why`.
    fn abort(&self, records: usize, why: ProduceError) -> TransactionError {
        let start = Instant::now();
        // The client waits until it has told of all records, and tells nobody by itself.
        self.client.purge(PurgeConfig::default().queue().inflight());
        loop {
            // What it cannot tell within a turn it tells in the next.
            let _ = self.client.flush(TURN);
            let Err(error) = self.client.abort_transaction(TURN) else {
                return TransactionError::Aborted { records, source: why };
            };
            let again = transaction_error(&error).is_some_and(RDKafkaError::is_retriable);
            if !again || start.elapsed() > END {
                return self.ended(&error);
            }
        }
    }

    /// Why the transaction of `records` must be undone: what became of its first record that failed, else what the client says.
    fn failure(&self, records: &[OutgoingRecord], code: Code) -> ProduceError {
        let failure = self.client.context().failure.lock().take();
        failure.unwrap_or_else(|| {
            let topic = records.first().map_or_else(|| "".into(), |record| Arc::clone(&record.topic));
            produce_error(&RdKafkaError::MessageProduction(code), &topic, 0, self.events())
        })
    }

    /// Why this producer is of no use any more.
    fn ended(&self, error: &RdKafkaError) -> TransactionError {
        match transaction_error(error) {
            Some(failed) if is_fenced(failed) => self.fenced(),
            _ => {
                let reason = self.events().fatal().unwrap_or_else(|| error.to_string());
                TransactionError::Unknown { id: self.id.clone(), reason }
            }
        }
    }

    fn fenced(&self) -> TransactionError {
        TransactionError::Fenced { id: self.id.clone() }
    }

    fn events(&self) -> &ClientEvents {
        &self.client.context().events
    }
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TransactionalProducer").field("id", &self.id).finish_non_exhaustive()
    }
}

fn transaction_error(error: &RdKafkaError) -> Option<&RDKafkaError> {
    match error {
        RdKafkaError::Transaction(error) => Some(error),
        _ => None,
    }
}

fn is_fenced(error: &RDKafkaError) -> bool {
    matches!(error.code(), Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// What is told of a record when it fails.
struct Sent {
    topic: Arc<str>,
    bytes: usize,
}

impl Sent {
    fn of(record: &OutgoingRecord) -> Self {
        Self { topic: Arc::clone(&record.topic), bytes: record.size() }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_context::log(level, facility, message);
    }

    fn error(&self, error: RdKafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        match result {
            Ok(_) => self.events.recovered(),
            Err((error, _)) => {
                let error = produce_error(error, &sent.topic, sent.bytes, &self.events);
                // What is thrown away afterwards says nothing of the cause.
                if !matches!(error, ProduceError::Purged { .. }) {
                    self.failure.lock().get_or_insert(error);
                }
            }
        }
    }
}
