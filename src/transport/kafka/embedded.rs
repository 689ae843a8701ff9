//! A Kafka cluster inside the process.

use std::fmt;
use std::sync::mpsc;

use rdkafka::mocking::MockCluster;

/// A Kafka cluster inside the process, for demos and tests: librdkafka's mock brokers, which real clients of this machine
/// reach over TCP. It ends when dropped.
///
/// It keeps at most 5 MiB or 100,000 batches of a partition, finds no offsets by time, isolates no transactions, and
/// answers no request to create or describe topics: [`create_topic`](Self::create_topic) does that from inside.
pub struct EmbeddedCluster {
    brokers: String,
    requests: mpsc::Sender<Request>,
}

/// The cluster did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// The cluster could not start.
    #[error("the embedded Kafka cluster could not start: {reason}")]
    Start {
        /// What librdkafka says.
        reason: String,
    },
    /// The topic could not be created.
    #[error("the embedded Kafka cluster could not create topic {topic}: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        reason: String,
    },
}

enum Request {
    CreateTopic { topic: String, partitions: i32, replication: i32, reply: mpsc::Sender<Result<(), String>> },
}

impl EmbeddedCluster {
    /// Start a cluster of `brokers` brokers.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(brokers: u16) -> Result<Self, EmbeddedError> {
        let (started, start) = mpsc::channel();
        let (requests, incoming) = mpsc::channel();
        let failed = |reason: String| EmbeddedError::Start { reason };
        // The cluster's handle must stay on one thread, and dropping it blocks.
        std::thread::Builder::new()
            .name("tidings-embedded".to_owned())
            .spawn(move || serve(brokers, &started, &incoming))
            .map_err(|error| failed(error.to_string()))?;
        let brokers = start.recv().map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        Ok(Self { brokers, requests })
    }

    /// The brokers' addresses, for [`KafkaOptions`](super::KafkaOptions).
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Create a topic.
    ///
    /// # Errors
    /// It exists, or its name or number of partitions is not allowed.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), EmbeddedError> {
        let failed = |reason: String| EmbeddedError::Topic { topic: topic.to_owned(), reason };
        if let Some(reason) = super::topic_name::fault(topic) {
            return Err(failed(reason.to_owned()));
        }
        let (reply, replied) = mpsc::channel();
        let request = Request::CreateTopic {
            topic: topic.to_owned(),
            partitions: i32::try_from(partitions).map_err(|error| failed(error.to_string()))?,
            replication: 1,
            reply,
        };
        self.requests.send(request).map_err(|error| failed(error.to_string()))?;
        replied.recv().map_err(|error| failed(error.to_string()))?.map_err(failed)
    }
}

fn serve(brokers: u16, started: &mpsc::Sender<Result<String, String>>, requests: &mpsc::Receiver<Request>) {
    let cluster = match MockCluster::new(i32::from(brokers.max(1))) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(error.to_string()));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    // Ends when the owner is gone.
    while let Ok(Request::CreateTopic { topic, partitions, replication, reply }) = requests.recv() {
        let created = cluster.create_topic(&topic, partitions, replication).map_err(|error| error.to_string());
        let _ = reply.send(created);
    }
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EmbeddedCluster").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}
