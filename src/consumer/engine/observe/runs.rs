//! What runs beside the poll thread, and since when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Observed;
use crate::consumer::chain::Recall;
use crate::consumer::plan::BoundRoute;
use crate::transport::{Record, TopicPartition};

/// What runs beside the poll thread.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) runs: Vec<Option<Run>>,
    free: Vec<usize>,
}

pub(super) struct Run {
    pub(super) slot: usize,
    pub(super) epoch: u64,
    pub(super) key: Option<Bytes>,
    /// A handler's name, or what is done for it.
    pub(super) running: &'static str,
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) since: Duration,
    pub(super) timeout: Duration,
    pub(super) told: bool,
    /// Whether its end is told even where its partition is gone: until then its number is nobody else's.
    pub(super) outlives_partition: bool,
    /// Of a task that may wait for its place.
    pub(super) recall: Option<Arc<Recall>>,
}

impl Runs {
    pub(super) fn begin(&mut self, run: Run) -> usize {
        if let Some(index) = self.free.pop() {
            self.runs[index] = Some(run);
            return index;
        }
        self.runs.push(Some(run));
        self.runs.len() - 1
    }

    pub(super) fn end(&mut self, index: usize) {
        if self.runs.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }
}

impl Observed {
    /// What runs as a task has gone on to the next event of its key.
    pub(in crate::consumer::engine) fn run_goes_on(
        &mut self,
        run: usize,
        record: &Record,
        route: Option<&BoundRoute>,
        now: Duration,
    ) {
        let Some(Some(run)) = self.runs.runs.get_mut(run) else { return };
        (run.offset, run.since, run.told) = (record.offset, now, false);
        // Events that are ordered by their partition have keys of their own.
        if run.key != record.key {
            run.key.clone_from(&record.key);
        }
        if let Some(route) = route {
            (run.running, run.timeout) = (route.handler, route.policy.timeout);
        }
    }
}
