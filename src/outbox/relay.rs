//! The relay: publishes the outbox, inside a service or alone.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::RelayOptions;
use super::durability;
use super::producers::ProducerFactory;
use super::running::Running;
use super::wake::{Ear, WakeAddress};
use crate::database::{Database, Error};

/// Publishes the outbox of a database. Any number of relays may run, in any number of processes: they share the buckets.
pub struct Relay {
    database: Database,
    producers: Arc<dyn ProducerFactory>,
    options: RelayOptions,
}

/// A relay could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The database cannot be used.
    #[error("the relay cannot use the database")]
    Database(#[from] Error),
    /// The relay's task ended without a result.
    #[error("the relay was aborted, or panicked")]
    Ended,
}

/// What a relay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelaySummary {
    /// How many events Kafka acknowledged.
    pub published: u64,
    /// How many events Kafka refused.
    pub parked: u64,
    /// How often a producer failed, or a lease was lost, and the relay began again from the table.
    pub restarts: u64,
}

impl Relay {
    /// A relay from `database` through producers of `producers`.
    pub fn new(database: &Database, producers: impl ProducerFactory) -> Self {
        Self { database: database.clone(), producers: Arc::new(producers), options: RelayOptions::default() }
    }

    /// Work as `options` say.
    pub fn options(mut self, options: RelayOptions) -> Self {
        self.options = options.bounded();
        self
    }

    /// Run until `shutdown` resolves; then stop reading, wait for acknowledgements, delete what was acknowledged, and give the
    /// buckets back. Outages of the database and of Kafka are waited out.
    ///
    /// # Errors
    /// [`RelayError::Database`]: the tables are missing, or the database does not answer, at the start.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<RelaySummary, RelayError> {
        self.database.check_migrated().await?;
        let of_topics = self.producers.prepare().await;
        if self.options.check_durability {
            for warning in self.durability_of_database().await.iter().chain(&of_topics) {
                tracing::warn!("{warning}");
            }
        }
        let ear = self.listen().await;
        let running = Running::new(self.database, self.producers, self.options, ear);
        Ok(running.run(shutdown).await)
    }

    /// Run in a task of its own, inside the service.
    pub fn spawn(self) -> RelayHandle {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // Dropping the handle is no request to stop.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let task = tokio::spawn(async move {
            let result = self.run(shutdown).await;
            if let Err(error) = &result {
                tracing::error!(error = error as &dyn std::error::Error, "the relay could not start");
            }
            result
        });
        RelayHandle { stop, task }
    }

    /// A relay that cannot be told of commits finds them all the same, a little later.
    async fn listen(&self) -> Option<(Ear, WakeAddress)> {
        let bind = self.options.wake_listen.address()?;
        match Ear::open(bind, self.options.wake_advertise.as_deref()).await {
            Ok(ear) => Some(ear),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%bind, error, "the relay cannot be told of commits in other processes, and looks by itself");
                None
            }
        }
    }

    async fn durability_of_database(&self) -> Vec<String> {
        durability::warnings(&self.database.pool).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the database's durability settings could not be read");
            Vec::new()
        })
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Relay")
            .field("database", &self.database)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A relay that runs in a task. Dropping it leaves the relay running.
#[derive(Debug)]
pub struct RelayHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RelaySummary, RelayError>>,
}

impl RelayHandle {
    /// Stop reading, wait for acknowledgements, delete what was acknowledged, give the buckets back.
    ///
    /// # Errors
    /// The relay could not start, or panicked.
    pub async fn shutdown(self) -> Result<RelaySummary, RelayError> {
        let Self { stop, task } = self;
        // It may have ended already.
        let _ = stop.send(());
        task.await.unwrap_or(Err(RelayError::Ended))
    }

    /// End at once, as a crash would: what is in flight is published again by the next owner.
    pub fn abort(self) {
        self.task.abort();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}
