//! What a broker found too large: which rows are, and which only came with one that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Running;
use crate::outbox::row::RowId;
use crate::transport::ProduceError;

/// What a batch takes beside its records, in bytes.
const BATCH_BYTES: usize = 128;

/// Rows that were refused as too large, or came in one batch with such a one.
#[derive(Debug, Default)]
pub(super) struct TooLarge {
    /// The topic and the size of each.
    rows: FxHashMap<RowId, (String, usize)>,
    /// Those that were found to fit when it was last asked. One that is refused again is too large whatever its topic says.
    found_to_fit: FxHashSet<RowId>,
}

impl TooLarge {
    pub(super) fn insert(&mut self, row: RowId, error: &ProduceError) {
        if let ProduceError::TooLarge { topic, bytes } = error {
            self.rows.insert(row, (topic.as_ref().to_owned(), *bytes));
        }
    }

    fn topics(&self) -> Vec<String> {
        let topics: BTreeSet<_> = self.rows.values().map(|(topic, _)| topic.as_str()).collect();
        topics.into_iter().map(str::to_owned).collect()
    }

    /// The rows that fit their topic alone, where it takes as much as `limits` say: it was the batch that was too large.
    fn take_fitting(&mut self, limits: &BTreeMap<String, u32>) -> &FxHashSet<RowId> {
        let fits = |(topic, bytes): &(String, usize)| {
            limits.get(topic).is_some_and(|limit| bytes + BATCH_BYTES <= usize::try_from(*limit).unwrap_or(usize::MAX))
        };
        let before = std::mem::take(&mut self.found_to_fit);
        let fitting = self.rows.drain().filter(|(row, size)| fits(size) && !before.contains(row));
        self.found_to_fit = fitting.map(|(row, _)| row).collect();
        &self.found_to_fit
    }
}

impl Running {
    /// Ask how much the topics take of which a batch was too large.
    pub(super) fn start_fitting(&mut self) {
        let topics = self.too_large.topics();
        if topics.is_empty() {
            return;
        }
        let producers = Arc::clone(&self.producers);
        self.fitting = Some(async move { producers.fit(topics).await }.boxed());
    }

    /// The next producer's batches fit. Rows that were refused for their company's size need not go alone.
    pub(super) fn fitted(&mut self, limits: &BTreeMap<String, u32>) {
        for row in self.too_large.take_fitting(limits) {
            self.suspects.remove(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_fits_its_topic_alone_was_refused_for_its_company() {
        let row = |id| RowId { bucket: 1, id };
        let mut too_large = TooLarge::default();
        for (id, topic, bytes) in [(1, "accounts", 4_000), (2, "accounts", 6_000), (3, "players", 10)] {
            too_large.insert(row(id), &ProduceError::TooLarge { topic: topic.into(), bytes });
        }
        too_large.insert(row(4), &ProduceError::Fatal { reason: "a gap".to_owned() });
        assert_eq!(too_large.topics(), ["accounts", "players"]);
        // Of the other topic nothing is known.
        let limits = BTreeMap::from([("accounts".to_owned(), 5_000)]);
        assert_eq!(*too_large.take_fitting(&limits), FxHashSet::from_iter([row(1)]));
        assert!(too_large.topics().is_empty());
    }

    #[test]
    fn a_row_that_is_refused_again_though_it_fits_is_tried_alone() {
        let (mut too_large, limits) = (TooLarge::default(), BTreeMap::from([("accounts".to_owned(), 5_000)]));
        let row = RowId { bucket: 1, id: 1 };
        let error = ProduceError::TooLarge { topic: "accounts".into(), bytes: 4_000 };
        for found in [1, 0, 1] {
            too_large.insert(row, &error);
            assert_eq!(too_large.take_fitting(&limits).len(), found);
        }
    }
}
