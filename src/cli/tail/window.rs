//! From where to where each partition is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::error::CliError;
use crate::cli::position::Position;
use crate::clock::{Clock as _, SystemClock};
use crate::transport::kafka::reader::{Extent, Fetched, KafkaReader};

/// From where to where each partition is shown.
pub(super) struct Window {
    partitions: BTreeMap<i32, Partition>,
    no_follow: bool,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    from: i64,
    /// The first offset that is not shown.
    to: i64,
    done: bool,
}

impl Window {
    /// Find the offsets of two places. Blocks, at most for about `deadline`.
    pub(super) fn find(
        reader: &KafkaReader,
        topic: &str,
        wanted: &[i32],
        from: Position,
        to: Option<Position>,
        no_follow: bool,
        deadline: Duration,
    ) -> Result<Self, CliError> {
        let extents = reader.extents();
        for partition in wanted {
            if extents.iter().all(|extent| extent.partition != *partition) {
                let count = extents.len();
                return Err(CliError::failure(format!(
                    "topic {topic} has no partition {partition}; it has {count}, numbered from 0"
                )));
            }
        }
        let now = SystemClock::new().now();
        let find = |position: Position| {
            let by_time = match position.timestamp_ms(now) {
                Some(timestamp) => Some(reader.offsets_at(timestamp, deadline)?),
                None => None,
            };
            Ok::<_, CliError>(move |extent: &Extent| {
                let by_time = by_time.as_ref().and_then(|offsets| offsets.get(&extent.partition)).copied();
                by_time.or_else(|| position.offset(extent.start, extent.end)).unwrap_or(extent.end)
            })
        };
        let begins = find(from)?;
        let ends = to.map(find).transpose()?;
        let wanted = extents.iter().filter(|extent| wanted.is_empty() || wanted.contains(&extent.partition));
        let partitions = wanted.map(|extent| {
            let to = match &ends {
                Some(ends) => ends(extent),
                // What comes while it is read is not there yet.
                None if no_follow => extent.end,
                None => i64::MAX,
            };
            (extent.partition, Partition::new(extent, begins(extent), to, no_follow))
        });
        Ok(Self { partitions: partitions.collect(), no_follow })
    }

    /// Where to begin.
    pub(super) fn beginnings(&self) -> Vec<(i32, i64)> {
        self.open_partitions()
            .into_iter()
            .filter_map(|number| Some((number, self.partitions.get(&number)?.from)))
            .collect()
    }

    /// The partitions of which there is more to show.
    pub(super) fn open_partitions(&self) -> Vec<i32> {
        self.partitions.iter().filter(|(_, partition)| !partition.done).map(|(number, _)| *number).collect()
    }

    /// Whether everything was shown.
    pub(super) fn is_done(&self) -> bool {
        self.partitions.values().all(|partition| partition.done)
    }

    /// Whether nothing more of `number` is shown.
    pub(super) fn is_closed(&self, number: i32) -> bool {
        self.partitions.get(&number).is_none_or(|partition| partition.done)
    }

    /// Whether the record at `offset` is shown; takes note of how far it is.
    pub(super) fn admits(&mut self, number: i32, offset: i64) -> bool {
        let Some(partition) = self.partitions.get_mut(&number) else { return false };
        if offset.saturating_add(1) >= partition.to {
            partition.done = true;
        }
        (partition.from..partition.to).contains(&offset)
    }

    /// Take note of how a look into a partition ended.
    pub(super) fn fetched(&mut self, number: i32, fetched: Fetched) {
        // The last offsets may belong to no record: they were compacted, or are marks of transactions.
        if let (Fetched::End, true, Some(partition)) = (fetched, self.no_follow, self.partitions.get_mut(&number)) {
            partition.done = true;
        }
    }
}

impl Partition {
    fn new(extent: &Extent, from: i64, to: i64, no_follow: bool) -> Self {
        let from = from.clamp(extent.start, extent.end);
        let nothing_there = no_follow && from >= extent.end;
        Self { from, to, done: from >= to || nothing_there }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, to: i64, no_follow: bool) -> Window {
        let extent = Extent { partition: 0, start: 10, end: 20 };
        Window { partitions: BTreeMap::from([(0, Partition::new(&extent, from, to, no_follow))]), no_follow }
    }

    #[test]
    fn a_partition_is_done_when_the_record_before_its_end_was_shown() {
        let mut window = window(5, 13, false);
        assert_eq!(window.beginnings(), [(0, 10)]);
        assert!(window.admits(0, 11) && !window.is_done());
        assert!(window.admits(0, 12) && window.is_done());
        assert!(!window.admits(0, 13));
    }

    #[test]
    fn a_record_that_is_missing_at_the_end_is_not_waited_for() {
        let mut window = window(10, 15, false);
        assert!(!window.admits(0, 17));
        assert!(window.is_done());
    }

    #[test]
    fn the_end_of_a_partition_ends_it_only_where_it_is_not_followed() {
        let (mut followed, mut read) = (window(10, i64::MAX, false), window(10, 20, true));
        followed.fetched(0, Fetched::End);
        read.fetched(0, Fetched::End);
        assert!(!followed.is_done() && read.is_done());
    }

    #[test]
    fn an_empty_window_is_done_at_once() {
        assert!(window(20, 20, true).is_done());
        assert!(window(15, 12, false).is_done());
        assert!(window(25, 30, true).is_done());
        assert!(!window(20, i64::MAX, false).is_done());
    }
}
