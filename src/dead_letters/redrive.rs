//! Redriving: letters become records of their original topic again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::error::DeadLetterError;
use super::letter::Letter;
use super::letters::{DeadLetters, Letters};
use super::pacing::Pace;
use super::progress::{self, Progress};
use super::redrive_options::RedriveOptions;
use super::redriven_record::RedriveRules;
use super::refusal::Refusal;
use super::selection::Selection;
use super::summary::RedriveSummary;
use super::writer::Writer;
use crate::clock::Clock;
use crate::transport::kafka::{TopicError, topics};
use crate::transport::{OutgoingRecord, ProduceError};

/// Letters redriven in a transaction, at most. Whoever reads committed records waits behind it.
const BATCH: usize = 500;
/// Bytes written in a transaction, about.
const BATCH_BYTES: usize = 1024 * 1024;

impl DeadLetters {
    /// What [`redrive`](Self::redrive) would do now. Changes nothing.
    ///
    /// # Errors
    /// A topic cannot be read, or no broker answers.
    pub async fn plan(
        &self,
        selection: &Selection,
        options: &RedriveOptions,
    ) -> Result<RedriveSummary, DeadLetterError> {
        let letters = self.letters(selection).await?;
        let mut run = Run::new(self, letters, options, BTreeMap::new());
        while let Some((letter, _)) = run.next().await? {
            run.summary.redrove(&letter.without_payload());
        }
        Ok(run.summary)
    }

    /// Redrive the letters of `selection`, oldest first, those of a partition in the order of their offsets, until `stop` resolves.
    /// `progress` is told how many were redriven, after each transaction.
    ///
    /// A letter and the mark that it was redriven are written in one Kafka transaction. Another redrive of the same topic that is
    /// still running is ended by this one.
    ///
    /// # Errors
    /// A topic cannot be read or created, no broker answers, or a transaction cannot be committed. What was redriven before
    /// stays so: start it again to go on.
    pub async fn redrive(
        &self,
        selection: &Selection,
        options: &RedriveOptions,
        stop: impl Future<Output = ()>,
        progress: impl FnMut(u64),
    ) -> Result<RedriveSummary, DeadLetterError> {
        let mut stop = pin!(stop);
        let (limits, survey) = self.survey(selection, options).await?;
        if survey.redriven == 0 {
            return Ok(survey);
        }
        progress::ensure_topic(&self.kafka, &self.progress_topic, self.timeout).await?;
        let smallest = limits.values().flatten().flatten().min().copied();
        let writer = Writer::new(self, smallest).await?;
        // Only now nobody else redrives, and what another one had begun is done or undone.
        let marks = Progress::read(&self.kafka, &self.progress_topic, self.timeout).await?;
        let letters = self.letters_after(marks, selection).await?;
        let run = Run::new(self, letters, options, limits);
        run.redrive_all(&writer, stop.as_mut(), progress).await
    }

    /// The topics that letters go to, and how many letters, without the letters themselves.
    async fn survey(
        &self,
        selection: &Selection,
        options: &RedriveOptions,
    ) -> Result<(TopicLimits, RedriveSummary), DeadLetterError> {
        let letters = self.letters(selection).await?;
        let mut run = Run::new(self, letters, options, BTreeMap::new());
        while run.next().await?.is_some() {
            run.summary.redriven += 1;
        }
        Ok((run.topics, run.summary))
    }
}

/// The topics known, each with the largest batch it takes, as far as brokers tell; `None` where there is none.
type TopicLimits = BTreeMap<Arc<str>, Option<Option<u32>>>;

/// A redrive, or the plan of one.
struct Run<'a> {
    of: &'a DeadLetters,
    letters: Letters,
    rules: RedriveRules,
    rate: Option<f64>,
    limit: u64,
    topics: TopicLimits,
    summary: RedriveSummary,
}

impl<'a> Run<'a> {
    fn new(of: &'a DeadLetters, letters: Letters, options: &RedriveOptions, topics: TopicLimits) -> Self {
        let rules = RedriveRules {
            own_topics: [Arc::clone(&of.topic), Arc::clone(&of.progress_topic)],
            max_redrives: options.max_redrives,
            for_group: options.for_group.clone(),
            group_of_topic: of.group.clone(),
        };
        let (rate, limit) = (options.rate, options.limit.unwrap_or(u64::MAX));
        Self { of, letters, rules, rate, limit, topics, summary: RedriveSummary::default() }
    }

    /// The next letter that is to be redriven, and the record it becomes.
    async fn next(&mut self) -> Result<Option<(Letter, OutgoingRecord)>, DeadLetterError> {
        while let Some(letter) = self.letters.next().await? {
            if letter.redriven().is_some() {
                self.summary.already_redriven += 1;
                continue;
            }
            match self.rules.apply(&letter) {
                Err(why) => self.summary.refused(why),
                Ok(_) if self.summary.redriven >= self.limit => {
                    self.summary.limited = true;
                    return Ok(None);
                }
                Ok(record) => {
                    if self.exists(&record.topic).await? {
                        return Ok(Some((letter, record)));
                    }
                    self.summary.refused(Refusal::MissingTopic);
                }
            }
        }
        Ok(None)
    }

    async fn exists(&mut self, topic: &Arc<str>) -> Result<bool, DeadLetterError> {
        if let Some(known) = self.topics.get(topic) {
            return Ok(known.is_some());
        }
        let found = match topics::show(&self.of.kafka, &[topic.to_string()], self.of.timeout).await {
            Ok(states) => Some(states.first().and_then(|state| state.max_message_bytes)),
            Err(TopicError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let exists = found.is_some();
        self.topics.insert(Arc::clone(topic), found);
        Ok(exists)
    }

    async fn redrive_all(
        mut self,
        writer: &Writer,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        mut progress: impl FnMut(u64),
    ) -> Result<RedriveSummary, DeadLetterError> {
        self.forget_what_is_gone(writer).await?;
        let mut pace = Pace::new(self.rate, self.of.clock.monotonic());
        let mut ahead = self.next_within(&[]).await?;
        while let Some(first) = ahead.take() {
            let Some(permits) = permits(&*self.of.clock, &mut pace, stop.as_mut()).await else {
                self.summary.stopped = true;
                break;
            };
            let mut bytes = first.1.size();
            let mut batch = vec![first];
            let mut more = true;
            while more && batch.len() < permits && bytes < BATCH_BYTES {
                match self.next_within(&batch).await? {
                    Some(next) => {
                        bytes += next.1.size();
                        batch.push(next);
                    }
                    None => more = false,
                }
            }
            pace.went(batch.len());
            self.write(writer, batch).await?;
            progress(self.summary.redriven);
            if more {
                ahead = self.next_within(&[]).await?;
            }
        }
        Ok(self.summary)
    }

    /// The next letter, where those of `batch` count as redriven.
    async fn next_within(
        &mut self,
        batch: &[(Letter, OutgoingRecord)],
    ) -> Result<Option<(Letter, OutgoingRecord)>, DeadLetterError> {
        let under_way = batch.len() as u64;
        self.summary.redriven += under_way;
        let next = self.next().await;
        self.summary.redriven -= under_way;
        next
    }

    /// Redrive `batch` in one transaction. Where that is refused for good, one letter after the other, and count those that
    /// are refused.
    async fn write(&mut self, writer: &Writer, batch: Vec<(Letter, OutgoingRecord)>) -> Result<(), DeadLetterError> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.transact(writer, &batch).await? {
            Ok(()) => {}
            Err(why) if batch.len() == 1 => self.unwritable(&batch[0].0, &why),
            Err(_) => {
                for one in &batch {
                    match self.transact(writer, std::slice::from_ref(one)).await? {
                        Ok(()) => {}
                        Err(why) => self.unwritable(&one.0, &why),
                    }
                }
            }
        }
        Ok(())
    }

    fn unwritable(&mut self, letter: &Letter, why: &ProduceError) {
        tracing::warn!(letter = %letter.place(), dead_letter_topic = &*self.of.topic, error = %why, "a letter cannot be redriven");
        self.summary.refused(Refusal::Unwritable);
    }

    /// Redrive `batch` in one transaction, again and again where it fails for a passing reason. `Err` within when it is refused for
    /// good.
    async fn transact(
        &mut self,
        writer: &Writer,
        batch: &[(Letter, OutgoingRecord)],
    ) -> Result<Result<(), ProduceError>, DeadLetterError> {
        let now = self.of.clock.now();
        let mark = |letter| progress::mark(&self.of.progress_topic, letter, now);
        let records: Arc<[_]> = batch.iter().flat_map(|(letter, record)| [record.clone(), mark(letter)]).collect();
        let result = writer.write(records, self.summary.redriven).await?;
        if result.is_ok() {
            for (letter, _) in batch {
                self.summary.redrove(&letter.without_payload());
            }
        }
        Ok(result)
    }

    /// Take away the marks of letters that the topic does not hold any more.
    async fn forget_what_is_gone(&mut self, writer: &Writer) -> Result<(), DeadLetterError> {
        let gone = self.letters.progress().obsolete(self.letters.extents());
        for places in gone.chunks(BATCH) {
            let records: Arc<[_]> =
                places.iter().map(|place| progress::unmark(&self.of.progress_topic, *place)).collect();
            if let Err(error) = writer.write(records, 0).await? {
                // They harm nobody; the next redrive tries again.
                tracing::warn!(%error, "marks of letters that are gone could not be taken away");
                break;
            }
        }
        Ok(())
    }
}

/// Wait until letters may go; how many. `None` when it is to stop.
async fn permits(clock: &dyn Clock, pace: &mut Pace, mut stop: Pin<&mut impl Future<Output = ()>>) -> Option<usize> {
    loop {
        if stop.as_mut().now_or_never().is_some() {
            return None;
        }
        match pace.permits(clock.monotonic(), BATCH) {
            Ok(permits) => return Some(permits),
            Err(wait) => {
                tokio::select! {
                    () = &mut stop => return None,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}
