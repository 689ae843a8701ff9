//! Reads the partitions of a topic as one sequence, by time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::error::DeadLetterError;
use crate::transport::Record;
use crate::transport::kafka::KafkaOptions;
use crate::transport::kafka::reader::{Extent, Fetched, KafkaReader};

/// Records taken from a partition at a time.
const BATCH: usize = 64;
/// How often an idle reader looks around.
const CHECK: Duration = Duration::from_secs(1);
/// How long nothing may come before it gives up.
const SILENCE: Duration = Duration::from_secs(60);

/// The offsets of a partition that are read, `from..to`.
pub(super) type Bounds = (i64, i64);

/// Reads what a topic held when it was opened. The order is that of the timestamps, and in a partition that of the offsets: the
/// same each time.
pub(super) struct MergedReader {
    // Taken when it is dropped, which blocks.
    reader: Option<KafkaReader>,
    open: BTreeMap<i32, Open>,
    fetched: Vec<Record>,
}

/// A partition that is not yet read to its end.
struct Open {
    bounds: Bounds,
    waiting: VecDeque<Record>,
    /// No more is to be fetched.
    ended: bool,
}

impl MergedReader {
    /// Begin to read `topic`, from records not older than `since_ms` on; `bounds` may narrow what is read of a partition.
    pub(super) async fn open(
        kafka: &KafkaOptions,
        topic: &str,
        since_ms: Option<i64>,
        deadline: Duration,
        bounds: impl Fn(i32) -> Option<Bounds> + Send + 'static,
    ) -> Result<Self, DeadLetterError> {
        let (kafka, topic) = (kafka.clone(), topic.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let mut reader = KafkaReader::open(&kafka, &topic, deadline)?;
            let since = since_ms.map(|since| reader.offsets_at(since, deadline)).transpose()?;
            let open: BTreeMap<i32, Open> = reader
                .extents()
                .iter()
                .filter_map(|extent| {
                    let since = since.as_ref().and_then(|offsets| offsets.get(&extent.partition)).copied();
                    Some((extent.partition, Open::new(extent, since, bounds(extent.partition)?)?))
                })
                .collect();
            let from: Vec<_> = open.iter().map(|(partition, open)| (*partition, open.bounds.0)).collect();
            if !from.is_empty() {
                reader.start(&from)?;
            }
            Ok::<_, DeadLetterError>(Self { reader: Some(reader), open, fetched: Vec::with_capacity(BATCH) })
        });
        opened.await?
    }

    /// How far the partitions reached when the topic was opened.
    pub(super) fn extents(&self) -> &[Extent] {
        self.reader.as_ref().map_or(&[], KafkaReader::extents)
    }

    /// The next record; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, DeadLetterError> {
        let (mut since, mut warned) = (Instant::now(), false);
        loop {
            let Some(reader) = self.reader.as_mut() else { return Ok(None) };
            let mut incomplete = false;
            for (partition, open) in &mut self.open {
                if open.waiting.is_empty() && !open.ended {
                    let fetched = reader.fetch(*partition, BATCH, &mut self.fetched)?;
                    if !self.fetched.is_empty() {
                        since = Instant::now();
                        reader.recovered();
                    }
                    open.take(self.fetched.drain(..), fetched);
                    if open.ended {
                        reader.stop(*partition);
                    }
                    incomplete |= open.waiting.is_empty() && !open.ended;
                }
            }
            if !incomplete {
                return Ok(self.pop());
            }
            // Which is next is known once each partition shows its own.
            let _ = tokio::time::timeout(CHECK, reader.ready()).await;
            // What wakes it may be news of a broker that went away.
            if since.elapsed() > SILENCE {
                return Err(reader.silent().into());
            }
            if !warned && let Some(reason) = reader.trouble() {
                warned = true;
                tracing::warn!(reason, "a broker does not answer; still trying");
            }
        }
    }

    fn pop(&mut self) -> Option<Record> {
        self.open.retain(|_, open| !(open.ended && open.waiting.is_empty()));
        let first = |open: &Open| open.waiting.front().map(|record| record.timestamp_ms);
        let (_, open) = self.open.iter_mut().min_by_key(|(partition, open)| (first(open), **partition))?;
        open.waiting.pop_front()
    }
}

impl Open {
    /// `None` when there is nothing to read.
    fn new(extent: &Extent, since: Option<i64>, bounds: Bounds) -> Option<Self> {
        let from = bounds.0.max(extent.start).max(since.unwrap_or(extent.start));
        let to = bounds.1.min(extent.end);
        (from < to).then(|| Self { bounds: (from, to), waiting: VecDeque::new(), ended: false })
    }

    fn take(&mut self, records: impl Iterator<Item = Record>, fetched: Fetched) {
        let (from, to) = self.bounds;
        for record in records {
            // The record at the end need not be there: compaction takes some, and marks of transactions are none.
            self.ended |= record.offset.saturating_add(1) >= to;
            if (from..to).contains(&record.offset) {
                self.waiting.push_back(record);
            }
        }
        self.ended |= fetched == Fetched::End;
    }
}

impl Drop for MergedReader {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            // It says goodbye to the brokers. Where no thread can start, it is dropped here.
            let _ = std::thread::Builder::new().name("tidings-goodbye".to_owned()).spawn(move || drop(reader));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Headers;

    fn record(partition: i32, offset: i64, timestamp_ms: i64) -> Record {
        Record {
            topic: "d".into(),
            partition,
            offset,
            timestamp_ms: Some(timestamp_ms),
            key: None,
            payload: None,
            headers: Headers::new(),
        }
    }

    #[test]
    fn the_oldest_record_comes_first_and_a_partition_keeps_its_order() {
        let open = |records: Vec<Record>| Open { bounds: (0, 10), waiting: records.into(), ended: true };
        let mut reader = MergedReader {
            reader: None,
            open: BTreeMap::from([
                (0, open(vec![record(0, 0, 5), record(0, 1, 2), record(0, 2, 9)])),
                (1, open(vec![record(1, 7, 4), record(1, 8, 9)])),
                (2, open(vec![])),
            ]),
            fetched: Vec::new(),
        };
        let order: Vec<_> =
            std::iter::from_fn(|| reader.pop()).map(|record| (record.partition, record.offset)).collect();
        assert_eq!(order, [(1, 7), (0, 0), (0, 1), (0, 2), (1, 8)]);
    }

    #[test]
    fn a_partition_ends_with_its_last_record_or_where_the_broker_says_so() {
        let extent = Extent { partition: 0, start: 10, end: 20 };
        assert!(Open::new(&extent, None, (0, 10)).is_none());
        assert!(Open::new(&extent, Some(20), (0, i64::MAX)).is_none());
        let mut open = Open::new(&extent, Some(12), (0, i64::MAX)).unwrap();
        assert_eq!(open.bounds, (12, 20));
        open.take([record(0, 11, 0), record(0, 12, 0)].into_iter(), Fetched::More);
        assert_eq!((open.waiting.len(), open.ended), (1, false));
        open.take([record(0, 19, 0), record(0, 20, 0)].into_iter(), Fetched::More);
        assert_eq!((open.waiting.len(), open.ended), (2, true));
        let mut short = Open::new(&extent, None, (15, 17)).unwrap();
        short.take(std::iter::empty(), Fetched::End);
        assert!(short.ended);
    }
}
