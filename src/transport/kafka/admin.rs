//! One visit to the cluster, to ask about topics or to create them.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use tokio::sync::oneshot;

use super::client_context::{self, ClientEvents};
use super::{KafkaError, KafkaOptions, TopicError, TopicSpec, topic_name};

/// How long one request for metadata may take before events are looked at: a refused password shows only there.
const METADATA_TURN: Duration = Duration::from_millis(500);

/// How long a topic may be known to one broker and not to another.
const PROPAGATION: Duration = Duration::from_secs(1);
const PROPAGATION_TURN: Duration = Duration::from_millis(50);

/// A topic as the cluster's metadata shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) partitions: u32,
    pub(super) replication: u16,
}

/// A connected visit. Blocks: lives on a thread of its own.
pub(super) struct Visit {
    brokers: String,
    deadline: Instant,
    client: BaseProducer<VisitContext>,
    admin: AdminClient<VisitContext>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct VisitContext(ClientEvents);

impl ClientContext for VisitContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_context::log(level, facility, message);
    }

    fn error(&self, error: RdKafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for VisitContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Visit the cluster on a thread of its own: the client's calls block, dropping it most of all.
pub(super) async fn visit<T, F>(kafka: &KafkaOptions, deadline: Duration, work: F) -> Result<T, TopicError>
where
    T: Send + 'static,
    F: FnOnce(&Visit) -> Result<T, TopicError> + Send + 'static,
{
    let (kafka, (done, result)) = (kafka.clone(), oneshot::channel());
    let failed = |reason: String| TopicError::Kafka(KafkaError::Client { reason });
    std::thread::Builder::new()
        .name("tidings-admin".to_owned())
        .spawn(move || {
            // The answer goes out before the client is dropped; nobody may be waiting for it any more.
            match Visit::new(&kafka, deadline) {
                Ok(visit) => {
                    let _ = done.send(work(&visit));
                }
                Err(error) => {
                    let _ = done.send(Err(error.into()));
                }
            }
        })
        .map_err(|error| failed(format!("its thread could not start: {error}")))?;
    result.await.unwrap_or_else(|_| Err(failed("its thread ended".to_owned())))
}

impl Visit {
    fn new(kafka: &KafkaOptions, deadline: Duration) -> Result<Self, KafkaError> {
        let config = kafka.to_client_config(&[
            // Asking about a topic must not create it.
            ("allow.auto.create.topics", "false"),
            ("reconnect.backoff.max.ms", "500"),
        ]);
        let refused = |error| KafkaError::from_configuration(&error);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Ok(Self {
            brokers: kafka.brokers().to_owned(),
            deadline: Instant::now() + deadline,
            client: config.create_with_context(VisitContext::default()).map_err(refused)?,
            admin: config.create_with_context(VisitContext::default()).map_err(refused)?,
            runtime: runtime.map_err(|error| KafkaError::Client { reason: error.to_string() })?,
        })
    }

    /// The shape of `topic`; `None` when it does not exist.
    pub(super) fn shape(&self, topic: &str) -> Result<Option<Shape>, TopicError> {
        if let Some(reason) = topic_name::fault(topic) {
            return Err(TopicError::Name { topic: topic.to_owned(), reason });
        }
        loop {
            let turn = self.left()?.min(METADATA_TURN);
            let answer = self.client.client().fetch_metadata(Some(topic), turn);
            self.client.poll(Duration::from_millis(1));
            let reason = match answer {
                Ok(metadata) => {
                    let Some(found) = metadata.topics().first() else { return Ok(None) };
                    match found.error().map(Code::from) {
                        None => {
                            let copies = found.partitions().iter().map(|partition| partition.replicas().len()).max();
                            return Ok(Some(Shape {
                                partitions: u32::try_from(found.partitions().len()).unwrap_or(u32::MAX),
                                replication: copies.and_then(|copies| u16::try_from(copies).ok()).unwrap_or(0),
                            }));
                        }
                        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
                        // A new topic, or a broker on its way out.
                        Some(Code::LeaderNotAvailable) => None,
                        Some(code) => Some(code.to_string()),
                    }
                }
                Err(_) if self.client.context().0.authentication_failure().is_some() => return Err(self.unanswered()),
                Err(RdKafkaError::MetadataFetch(
                    Code::BrokerTransportFailure | Code::OperationTimedOut | Code::AllBrokersDown,
                )) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = reason {
                return Err(TopicError::NotDescribed { topic: topic.to_owned(), reason });
            }
        }
    }

    /// The properties of `topic`; `None` where brokers do not tell (an embedded cluster).
    pub(super) fn properties(&self, topic: &str) -> Result<Option<ConfigResource>, TopicError> {
        let failed = |reason: String| TopicError::NotDescribed { topic: topic.to_owned(), reason };
        // librdkafka's mock cluster names no controller, so that the client would look for one until the deadline.
        let cluster = self.client.client().fetch_cluster_id(self.left()?);
        if cluster.is_some_and(|id| id.starts_with("mockCluster")) {
            return Ok(None);
        }
        let options = self.admin_options()?;
        let described =
            self.runtime.block_on(self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
        match described.map(|mut resources| resources.pop()) {
            Ok(Some(Ok(resource))) => Ok(Some(resource)),
            Ok(Some(Err(code))) => unsupported(code).then_some(None).ok_or_else(|| failed(code.to_string())),
            Ok(None) => Ok(None),
            Err(RdKafkaError::AdminOp(code)) if unsupported(code) => Ok(None),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Create `topic`. That it exists already is no error: someone else was faster.
    pub(super) fn create(&self, topic: &TopicSpec) -> Result<(), TopicError> {
        let failed = |reason: String| TopicError::NotCreated { topic: topic.name().to_owned(), reason };
        let partitions = i32::try_from(topic.partitions()).map_err(|error| failed(error.to_string()))?;
        let copies = topic.copies().map_or(-1, i32::from);
        let properties = topic.properties();
        let mut new = NewTopic::new(topic.name(), partitions, TopicReplication::Fixed(copies));
        for (name, value) in &properties {
            new = new.set(name, value);
        }
        let options = self.admin_options()?;
        let created = self.runtime.block_on(self.admin.create_topics([&new], &options));
        match created.map(|mut topics| topics.pop()) {
            Ok(Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) | None) => Ok(()),
            Ok(Some(Err((_, code)))) => Err(failed(code.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// The shape of `topic`, which other brokers may already know: the cluster tells of a new topic from broker to broker.
    pub(super) fn settled_shape(&self, topic: &str) -> Result<Option<Shape>, TopicError> {
        let start = Instant::now();
        loop {
            let shape = self.shape(topic)?;
            if shape.is_some() || start.elapsed() > PROPAGATION {
                return Ok(shape);
            }
            // There is nothing to wait for but time.
            std::thread::sleep(PROPAGATION_TURN);
        }
    }

    /// Wait until the cluster shows `topic`.
    pub(super) fn wait_for(&self, topic: &str) -> Result<Shape, TopicError> {
        loop {
            if let Some(shape) = self.shape(topic)? {
                return Ok(shape);
            }
            self.left()?;
            std::thread::sleep(PROPAGATION_TURN);
        }
    }

    fn left(&self) -> Result<Duration, TopicError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.unanswered()) } else { Ok(left) }
    }

    fn admin_options(&self) -> Result<AdminOptions, TopicError> {
        let left = self.left()?;
        Ok(AdminOptions::new().request_timeout(Some(left)).operation_timeout(Some(left)))
    }

    fn unanswered(&self) -> TopicError {
        TopicError::Kafka(self.client.context().0.unanswered(&self.brokers))
    }
}

const fn unsupported(code: Code) -> bool {
    matches!(code, Code::UnsupportedFeature | Code::UnsupportedVersion | Code::NotImplemented)
}
