//! A consumer that runs beside its test.

use tidings::consumer::{Consumer, ConsumerHandle, ConsumerStats, RunError};
use tokio::task::JoinHandle;

/// A consumer that runs in a task; it stops in order when dropped, too.
pub(crate) struct Running {
    handle: ConsumerHandle,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) fn start(consumer: Consumer) -> Self {
        let handle = consumer.handle();
        Self { handle, task: tokio::spawn(consumer.run_until(std::future::pending())) }
    }

    pub(crate) fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    pub(crate) fn stats(&self) -> ConsumerStats {
        self.handle.stats()
    }

    pub(crate) fn stats_of(&self, group: &str) -> ConsumerStats {
        let groups = self.handle.stats_by_group();
        groups.iter().find(|(name, _)| **name == *group).map(|(_, stats)| *stats).unwrap()
    }

    /// Whether it has stopped by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Wait until it stops by itself.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        self.task.await.unwrap()
    }

    /// Stop in order.
    pub(crate) async fn stop(self) -> ConsumerStats {
        self.handle.shut_down();
        self.task.await.unwrap().unwrap();
        self.handle.stats()
    }
}
