//! A dead-letter topic, and reading it.

use std::sync::Arc;
use std::time::Duration;

use super::error::DeadLetterError;
use super::letter::{Letter, Place};
use super::merged_reader::MergedReader;
use super::progress::{self, Progress};
use super::selection::Selection;
use crate::clock::{Clock, SystemClock};
use crate::transport::kafka::KafkaOptions;
use crate::transport::kafka::reader::Extent;

/// A dead-letter topic.
#[derive(Debug, Clone)]
#[must_use]
pub struct DeadLetters {
    pub(super) kafka: KafkaOptions,
    pub(super) topic: Arc<str>,
    pub(super) progress_topic: Arc<str>,
    pub(super) group: Option<String>,
    pub(super) timeout: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl DeadLetters {
    /// Those of the consumer group `group`: in the topic `{group}.dead-letters`, where consumers write them by default.
    pub fn of_group(kafka: KafkaOptions, group: impl Into<String>) -> Self {
        let group = group.into();
        let topic = format!("{group}.dead-letters");
        Self { group: Some(group), ..Self::in_topic(kafka, topic) }
    }

    /// Those in the topic `topic`.
    pub fn in_topic(kafka: KafkaOptions, topic: impl Into<String>) -> Self {
        let topic: Arc<str> = topic.into().into();
        Self {
            kafka,
            progress_topic: progress::topic_of(&topic),
            topic,
            group: None,
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// How long the brokers may take to answer. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the time is taken from. Default: the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The letters of `selection` that are there now, oldest first; those of one partition by offset. Letters that were redriven
    /// are among them, and say so.
    ///
    /// # Errors
    /// The topic does not exist or cannot be read, or no broker answers.
    pub async fn letters(&self, selection: &Selection) -> Result<Letters, DeadLetterError> {
        // Marks first: a letter that is redriven meanwhile shows as not redriven, and not the other way round.
        let progress = Progress::read(&self.kafka, &self.progress_topic, self.timeout).await?;
        self.letters_after(progress, selection).await
    }

    /// The letter at `place`; `None` when there is none.
    ///
    /// # Errors
    /// As [`letters`](Self::letters).
    pub async fn letter(&self, place: Place) -> Result<Option<Letter>, DeadLetterError> {
        self.letters(&Selection::all().at([place])).await?.next().await
    }

    pub(super) async fn letters_after(
        &self,
        progress: Progress,
        selection: &Selection,
    ) -> Result<Letters, DeadLetterError> {
        let bounds = {
            let selection = selection.clone();
            move |partition| selection.offsets(partition).map(|(first, last)| (first, last.saturating_add(1)))
        };
        let reader = MergedReader::open(&self.kafka, &self.topic, selection.since_ms(), self.timeout, bounds).await?;
        Ok(Letters { reader, progress, selection: selection.clone() })
    }
}

/// Letters, one after the other.
#[must_use]
pub struct Letters {
    reader: MergedReader,
    progress: Progress,
    selection: Selection,
}

impl Letters {
    /// The next letter; `None` at the end.
    ///
    /// # Errors
    /// The topic cannot be read any more.
    pub async fn next(&mut self) -> Result<Option<Letter>, DeadLetterError> {
        while let Some(record) = self.reader.next().await? {
            let letter = Letter::new(record);
            if self.selection.contains(&letter) {
                let redriven = self.progress.redriven(&letter);
                return Ok(Some(letter.redriven_at(redriven)));
            }
        }
        Ok(None)
    }

    pub(super) fn extents(&self) -> &[Extent] {
        self.reader.extents()
    }

    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl std::fmt::Debug for Letters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Letters").field("selection", &self.selection).finish_non_exhaustive()
    }
}
