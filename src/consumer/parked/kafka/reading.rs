//! Reading the parked topic, on a thread of its own: to its end at first, then as records come, and single records again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::first::First;
use super::index::Index;
use super::stored::{Subject, read_event};
use crate::consumer::parked::{ParkCause, ParkedKey, ParkedKeyId, ParkedRecord};
use crate::transport::kafka::KafkaOptions;
use crate::transport::kafka::reader::{Fetched, KafkaReader, ReadError};
use crate::transport::{Record, TopicPartition};

/// The one partition.
const PARTITION: i32 = 0;
/// Records that are taken at once.
const BATCH: usize = 512;
/// A record that is so far ahead is read up to; to one further away it is faster to jump.
const NEAR: i64 = 500;
/// Questions that share one look at the topic's end.
const QUESTIONS: usize = 1_024;

/// A reader of single records that is not wanted for so long is let go.
const IDLE: Duration = Duration::from_secs(5);

/// A transaction that somebody leaves open in this topic must not hide what comes behind it.
const UNCOMMITTED: (&str, &str) = ("isolation.level", "read_uncommitted");
/// A broker answers the requests of a connection one by one: a reader that jumps must not wait behind its own wait for more.
const IMPATIENT: (&str, &str) = ("fetch.wait.max.ms", "10");

/// What is asked of the thread. All of them see everything that was written before they were asked.
pub(super) enum Question {
    Keys {
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
        answer: Answer<Vec<ParkedKey>>,
    },
    /// The offsets of a key's events; `None` when it is not parked.
    Offsets {
        key: ParkedKeyId,
        answer: Answer<Option<Vec<i64>>>,
    },
    /// Why an event is parked.
    Cause {
        key: ParkedKeyId,
        offset: i64,
        answer: Answer<Option<ParkCause>>,
    },
    Records {
        key: ParkedKeyId,
        limit: usize,
        /// What they may have together, but for the first.
        bytes: usize,
        answer: Answer<Vec<ParkedRecord>>,
    },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Unread>>;

/// The parked topic could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Failed(Arc<ReadError>),
    #[error("the topic of parked events {topic} has {found} partitions, and must have one")]
    Partitions { topic: Arc<str>, found: usize },
    #[error("the thread that reads parked events cannot run: {reason}")]
    Thread { reason: String },
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// Reads the parked topic.
pub(super) struct Reading {
    kafka: KafkaOptions,
    topic: Arc<str>,
    /// How long the brokers may say nothing.
    patience: Duration,
    ignored: Arc<AtomicU64>,
    tail: Option<Tail>,
    again: Option<Again>,
}

/// What was read, and how far.
struct Tail {
    reader: KafkaReader,
    /// Asks where the end is, through a connection of its own: on the reader's a question waits behind the wait for more.
    asker: KafkaReader,
    index: Index,
    /// The offset that comes next.
    next: i64,
    records: Vec<Record>,
}

/// Reads single records again.
struct Again {
    reader: KafkaReader,
    /// The offset that the reader's next record has, or one before.
    next: i64,
    fetched: VecDeque<Record>,
    records: Vec<Record>,
}

impl Reading {
    pub(super) fn new(kafka: KafkaOptions, topic: Arc<str>, patience: Duration, ignored: Arc<AtomicU64>) -> Self {
        Self { kafka, topic, patience, ignored, tail: None, again: None }
    }

    /// Begin, on a thread of its own; it ends when nobody can ask any more.
    pub(super) fn start(self) -> Result<mpsc::UnboundedSender<Question>, Unread> {
        let (sender, questions) = mpsc::unbounded_channel();
        let failed = |error: std::io::Error| Unread::Thread { reason: error.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = thread::Builder::new().name("tidings parked".to_owned());
        thread.spawn(move || runtime.block_on(self.answer_all(questions))).map_err(failed)?;
        Ok(sender)
    }

    async fn answer_all(mut self, mut questions: mpsc::UnboundedReceiver<Question>) {
        let mut asked = Vec::new();
        loop {
            match &mut self.tail {
                None => drop(questions.recv_many(&mut asked, QUESTIONS).await),
                Some(tail) => tokio::select! {
                    _ = questions.recv_many(&mut asked, QUESTIONS) => {}
                    () = tail.reader.ready() => {
                        if let Err(error) = tail.take(&self.ignored) {
                            tracing::warn!(topic = &*self.topic, %error, "the topic of parked events is read again");
                            self.tail = None;
                        }
                        continue;
                    }
                    () = tokio::time::sleep(IDLE), if self.again.is_some() => {
                        self.again = None;
                        continue;
                    }
                },
            }
            if asked.is_empty() {
                return;
            }
            let caught_up = self.catch_up().await;
            for question in asked.drain(..) {
                match &caught_up {
                    Ok(()) => self.answer(question).await,
                    Err(error) => question.fail(error),
                }
            }
        }
    }

    /// Read up to the end that the topic has now.
    async fn catch_up(&mut self) -> Result<(), Unread> {
        let caught_up = self.try_to_catch_up().await;
        if let Err(error) = &caught_up
            && !matches!(error, Unread::Failed(error) if matches!(**error, ReadError::Kafka(_)))
        {
            // The topic is not what it was: begin again when it is asked for next.
            (self.tail, self.again) = (None, None);
        }
        caught_up
    }

    async fn try_to_catch_up(&mut self) -> Result<(), Unread> {
        let end = match &self.tail {
            Some(tail) => tail.asker.end_of(PARTITION, self.patience)?,
            None => self.open()?,
        };
        if self.tail.as_ref().is_some_and(|tail| end < tail.next) {
            tracing::warn!(
                topic = &*self.topic,
                "the topic of parked events was made anew, and is read from its beginning"
            );
            (self.tail, self.again) = (None, None);
            self.open()?;
        }
        let Some(tail) = &mut self.tail else { return Ok(()) };
        while tail.next < end {
            let before = tail.next;
            let ready = tail.reader.ready();
            tail.take(&self.ignored)?;
            if tail.next == before && tokio::time::timeout(self.patience, ready).await.is_err() {
                return Err(tail.reader.silent().into());
            }
        }
        Ok(())
    }

    /// Begin at the start of the topic; where its end is.
    fn open(&mut self) -> Result<i64, Unread> {
        let open = || KafkaReader::open_with(&self.kafka, &self.topic, self.patience, &[UNCOMMITTED]);
        let (mut reader, asker) = (open()?, open()?);
        let [extent] = *reader.extents() else {
            return Err(Unread::Partitions { topic: Arc::clone(&self.topic), found: reader.extents().len() });
        };
        reader.start(&[(PARTITION, extent.start)])?;
        self.tail = Some(Tail { reader, asker, index: Index::default(), next: extent.start, records: Vec::new() });
        Ok(extent.end)
    }

    async fn answer(&mut self, question: Question) {
        // Whoever asked may have gone.
        match question {
            Question::Keys { group, partitions, answer } => {
                let keys = self.tail.as_ref().map(|tail| tail.index.keys(&group, &partitions));
                let _ = answer.send(Ok(keys.unwrap_or_default()));
            }
            Question::Offsets { key, answer } => {
                let events = self.tail.as_ref().and_then(|tail| tail.index.events(&key, usize::MAX));
                let _ = answer.send(Ok(events.map(|events| events.into_iter().map(|(offset, _)| offset).collect())));
            }
            Question::Cause { key, offset, answer } => {
                let events = |index: &Index| index.event(&key, offset);
                let records = self.records(&key, events, usize::MAX).await;
                let _ = answer.send(records.map(|records| records.into_iter().find_map(|record| record.cause)));
            }
            Question::Records { key, limit, bytes, answer } => {
                let records = self.records(&key, |index| index.events(&key, limit), bytes).await;
                let _ = answer.send(records);
            }
        }
    }

    /// The first of the events of a key that `wanted` names, read again.
    async fn records(
        &mut self,
        key: &ParkedKeyId,
        wanted: impl Fn(&Index) -> Option<Vec<(i64, i64)>>,
        bytes: usize,
    ) -> Result<Vec<ParkedRecord>, Unread> {
        let mut catches = 0;
        loop {
            let events = self.tail.as_ref().and_then(|tail| wanted(&tail.index)).unwrap_or_default();
            match self.read_again(key, &events, bytes).await {
                Ok(Ok(records)) => return Ok(records),
                // Compaction takes a record away once a later one stands for it: that one is read now.
                Ok(Err(_)) if catches == 0 => {
                    catches += 1;
                    // Nothing that was fetched before decides that an event is gone.
                    self.again = None;
                    self.catch_up().await?;
                }
                Ok(Err((offset, position))) => {
                    tracing::error!(
                        topic = &*self.topic, group = &*key.group, partition = %key.partition, offset,
                        "a parked event is not in its topic any more: it was removed, or written over, by somebody else; it is left out"
                    );
                    if let Some(tail) = &mut self.tail {
                        tail.index.lose(key, offset, position);
                    }
                }
                Err(error) => {
                    self.again = None;
                    return Err(error);
                }
            }
        }
    }

    /// The first of these events of a key that have so many bytes, or the one that is not there.
    async fn read_again(
        &mut self,
        key: &ParkedKeyId,
        events: &[(i64, i64)],
        bytes: usize,
    ) -> Result<Result<Vec<ParkedRecord>, (i64, i64)>, Unread> {
        let mut sorted = events.to_vec();
        sorted.sort_unstable_by_key(|(_, position)| *position);
        let mut records = First::new(bytes);
        for (offset, position) in sorted {
            if !records.may_have(offset) {
                continue;
            }
            if self.again.is_none() {
                let properties = [UNCOMMITTED, IMPATIENT];
                let mut reader = KafkaReader::open_with(&self.kafka, &self.topic, self.patience, &properties)?;
                reader.start(&[(PARTITION, position)])?;
                self.again = Some(Again { reader, next: position, fetched: VecDeque::new(), records: Vec::new() });
            }
            let Some(again) = &mut self.again else { continue };
            let record = again.record(position, self.patience).await?;
            let found = record.filter(|record| {
                let subject = record.key.as_deref().and_then(Subject::read);
                subject == Some(Subject::event(key.clone(), offset))
            });
            match found.and_then(|record| read_event(&record)) {
                // In memory of its own: it may be kept for long, and its neighbours with it.
                Some(event) => records.push(event.detached()),
                None => return Ok(Err((offset, position))),
            }
        }
        Ok(Ok(records.into_vec()))
    }
}

impl Tail {
    /// Take note of what has come.
    fn take(&mut self, ignored: &AtomicU64) -> Result<(), ReadError> {
        loop {
            let fetched = self.reader.fetch(PARTITION, BATCH, &mut self.records);
            let idle = self.records.is_empty() && matches!(fetched, Ok(Fetched::More));
            for record in self.records.drain(..) {
                self.next = record.offset + 1;
                if !self.index.note(&record) && ignored.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        topic = &*record.topic,
                        offset = record.offset,
                        "a record of the topic of parked events says nothing that makes sense and is ignored, as are others from now on"
                    );
                }
            }
            if fetched? == Fetched::End {
                // The last offsets may belong to no record.
                self.next = self.reader.end_reached(PARTITION).map_or(self.next, |end| end.max(self.next));
            }
            // Whoever waits is woken only when the queue stops being empty.
            if idle {
                return Ok(());
            }
        }
    }
}

impl Again {
    /// The record at `position`; `None` when there is none.
    async fn record(&mut self, position: i64, patience: Duration) -> Result<Option<Record>, ReadError> {
        let first = self.fetched.front().map_or(self.next, |record| record.offset);
        if position < first || position > self.next + NEAR {
            self.fetched.clear();
            self.reader.seek(PARTITION, position)?;
            self.next = position;
        }
        loop {
            while let Some(record) = self.fetched.pop_front() {
                if record.offset > position {
                    self.fetched.push_front(record);
                    return Ok(None);
                }
                if record.offset == position {
                    return Ok(Some(record));
                }
            }
            let ready = self.reader.ready();
            let fetched = self.reader.fetch(PARTITION, BATCH, &mut self.records)?;
            if let Some(last) = self.records.last() {
                self.next = last.offset + 1;
                self.fetched.extend(self.records.drain(..));
            } else if self.reader.end_reached(PARTITION).is_some_and(|end| end > position) {
                return Ok(None);
            } else if fetched == Fetched::More && tokio::time::timeout(patience, ready).await.is_err() {
                return Err(self.reader.silent());
            }
        }
    }
}

impl Question {
    fn fail(self, error: &Unread) {
        // Whoever asked may have gone.
        match self {
            Self::Keys { answer, .. } => drop(answer.send(Err(error.clone()))),
            Self::Offsets { answer, .. } => drop(answer.send(Err(error.clone()))),
            Self::Cause { answer, .. } => drop(answer.send(Err(error.clone()))),
            Self::Records { answer, .. } => drop(answer.send(Err(error.clone()))),
        }
    }
}
