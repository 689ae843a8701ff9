//! Reading a topic up to an end.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::error::AuditError;
use crate::transport::Record;
use crate::transport::kafka::KafkaOptions;
use crate::transport::kafka::reader::{Extent, Fetched, KafkaReader};

/// Records taken from a partition at a time.
const BATCH: usize = 2_048;
/// How often an idle reader looks around.
const CHECK: Duration = Duration::from_secs(1);
/// How long nothing may come before it gives up.
const SILENCE: Duration = Duration::from_secs(60);

/// A topic, open for reading.
pub(super) struct Topic {
    kafka: KafkaOptions,
    name: String,
    timeout: Duration,
    extents: Vec<Extent>,
}

/// Whether whoever takes the records wants more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    Stop,
}

impl Topic {
    /// Find the topic, and how far it reaches now.
    pub(super) async fn find(kafka: &KafkaOptions, name: &str, timeout: Duration) -> Result<Self, AuditError> {
        let mut topic = Self { kafka: kafka.clone(), name: name.to_owned(), timeout, extents: Vec::new() };
        topic.look_again().await?;
        Ok(topic)
    }

    /// Ask how far it reaches now.
    pub(super) async fn look_again(&mut self) -> Result<(), AuditError> {
        let mut reader = self.open().await?;
        self.extents = reader.reader()?.extents().to_vec();
        Ok(())
    }

    pub(super) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// The first offset of each partition whose record is not older than `timestamp_ms`.
    pub(super) async fn offsets_at(&self, timestamp_ms: i64) -> Result<Vec<(i32, i64)>, AuditError> {
        let (mut open, timeout) = (self.open().await?, self.timeout);
        tokio::task::spawn_blocking(move || {
            let offsets = open.reader()?.offsets_at(timestamp_ms, timeout)?;
            drop(open.0.take());
            Ok(offsets.into_iter().collect())
        })
        .await?
    }

    /// Hand every record to `take`, each partition from its offset in `from` up to the end that was last seen. What lies behind
    /// the last record of a partition is told to `reached`.
    pub(super) async fn read(
        &self,
        from: &BTreeMap<i32, i64>,
        mut stopped: Pin<&mut (dyn Future<Output = ()> + Send)>,
        mut take: impl FnMut(&Record) -> Result<Wish, AuditError> + Send,
    ) -> Result<Wish, AuditError> {
        let mut open: BTreeMap<i32, i64> = BTreeMap::new();
        let mut begin = Vec::new();
        for extent in &self.extents {
            let from = from.get(&extent.partition).copied().unwrap_or(0).max(extent.start);
            if from < extent.end {
                open.insert(extent.partition, extent.end);
                begin.push((extent.partition, from));
            }
        }
        if open.is_empty() {
            return Ok(Wish::GoOn);
        }
        let mut opened = self.open().await?;
        let reader = opened.reader()?;
        reader.start(&begin)?;
        let mut records = Vec::with_capacity(BATCH);
        let (mut since, mut warned) = (Instant::now(), false);
        while !open.is_empty() {
            let mut idle = true;
            let partitions: Vec<_> = open.iter().map(|(partition, end)| (*partition, *end)).collect();
            for (partition, end) in partitions {
                let fetched = reader.fetch(partition, BATCH, &mut records)?;
                let mut ended =
                    fetched == Fetched::End && reader.end_reached(partition).is_none_or(|reached| reached >= end);
                for record in records.drain(..) {
                    idle = false;
                    // The record at the end need not be there: compaction takes some, and marks of transactions are none.
                    ended |= record.offset.saturating_add(1) >= end;
                    if record.offset < end && take(&record)? == Wish::Stop {
                        return Ok(Wish::Stop);
                    }
                }
                if ended {
                    reader.stop(partition);
                    open.remove(&partition);
                    idle = false;
                }
            }
            if !idle {
                since = Instant::now();
                reader.recovered();
                tokio::task::yield_now().await;
                if stopped.as_mut().now_or_never().is_some() {
                    return Ok(Wish::Stop);
                }
                continue;
            }
            if since.elapsed() > SILENCE {
                let left = open.len() as u64;
                return Err(AuditError::Silent { topic: self.name.clone(), seconds: SILENCE.as_secs(), left });
            }
            if !warned && let Some(reason) = reader.trouble() {
                warned = true;
                tracing::warn!(reason, "a broker does not answer; still trying");
            }
            tokio::select! {
                () = &mut stopped => return Ok(Wish::Stop),
                () = reader.ready() => {}
                () = tokio::time::sleep(CHECK) => {}
            }
        }
        Ok(Wish::GoOn)
    }

    async fn open(&self) -> Result<Opened, AuditError> {
        let (kafka, name, timeout) = (self.kafka.clone(), self.name.clone(), self.timeout);
        let properties = [("fetch.message.max.bytes", "4194304"), ("check.crcs", "true")];
        let open = move || KafkaReader::open_with(&kafka, &name, timeout, &properties);
        Ok(Opened(Some(tokio::task::spawn_blocking(open).await??)))
    }
}

/// Dropping a reader blocks: it says goodbye to the brokers.
struct Opened(Option<KafkaReader>);

impl Opened {
    fn reader(&mut self) -> Result<&mut KafkaReader, AuditError> {
        self.0.as_mut().ok_or_else(|| AuditError::Topic("the reader is gone".to_owned()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(reader) = self.0.take() {
            // Where no thread can start, it is dropped here.
            let _ = std::thread::Builder::new().name("tidings-goodbye".to_owned()).spawn(move || drop(reader));
        }
    }
}
