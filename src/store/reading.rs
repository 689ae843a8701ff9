//! Reading streams, and following all of them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use super::StoreError;
use super::event::{Place, StoredEvent};
use super::page_budget::PageShare;
use super::page_size::{PAGE_BYTES, PageSize};
use super::sequencer::last_position;
use super::tables::{EVENT_COLUMNS, EVENT_TABLES, narrow, read_event};
use crate::database::pool::Pool;
use crate::database::sql::push_list;
use crate::envelope::rfc3339;
use crate::event::StreamId;

/// How long a subscription waits for a sign before it looks by itself.
const LOOK: Duration = Duration::from_secs(1);

/// Which way a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the first event to the last.
    #[default]
    Forwards,
    /// From the last event to the first.
    Backwards,
}

/// What to read of a stream.
///
/// ```
/// use tidings::store::{Direction, StreamQuery};
/// use tidings::Stream;
///
/// let last_ten = StreamQuery::new("accounts", Stream::new("Account", "42")).direction(Direction::Backwards).limit(10);
/// # let _ = last_ten;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamQuery {
    pub(crate) stream: StreamId,
    pub(crate) direction: Direction,
    pub(crate) from: Option<Place>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) limit: Option<u64>,
}

impl StreamQuery {
    /// The stream of the service `source`, from its first event to its last.
    pub fn new(source: impl Into<Arc<str>>, stream: crate::event::Stream) -> Self {
        let stream = StreamId::new(source, stream);
        Self { stream, direction: Direction::default(), from: None, until: None, limit: None }
    }

    /// Which way. Default: forwards.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// The first event to give out, whichever way. Default: where the stream begins, or ends.
    pub fn from(mut self, place: Place) -> Self {
        self.from = Some(place);
        self
    }

    /// Only what is before the first event that was recorded after `time`: the stream as it was then. Default: all.
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// The most events. Default: all.
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = Some(events);
        self
    }
}

/// Which events to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) after: u64,
    pub(crate) sources: Vec<String>,
}

impl Subscription {
    /// All events behind `position`; 0 is from the beginning.
    pub fn after(position: u64) -> Self {
        Self { after: position, sources: Vec::new() }
    }

    /// Only the events of the service `source`; may be called again. Default: of all.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.sources.push(source.into());
        self
    }
}

/// What a subscription gives out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most notices are events")]
pub enum Notice {
    /// The next event.
    Event(StoredEvent),
    /// Everything up to here was given out, or is not subscribed to. More follows when there is more.
    CaughtUp {
        /// Where to go on from.
        position: u64,
    },
}

/// The events of a stream, page by page.
pub(super) fn read(
    pool: Pool,
    query: StreamQuery,
    share: PageShare,
) -> BoxStream<'static, Result<StoredEvent, StoreError>> {
    let (page, size) = (VecDeque::new(), PageSize::default());
    let state = Reading { pool, query, page, size, share, bound: None, is_over: false };
    try_unfold(state, |mut state| async move {
        let next = state.next().await.map_err(unavailable)?;
        Ok(next.map(|event| (event, state)))
    })
    .boxed()
}

struct Reading {
    pool: Pool,
    query: StreamQuery,
    page: VecDeque<StoredEvent>,
    size: PageSize,
    share: PageShare,
    /// The first place that is too late, once that is known.
    #[expect(clippy::option_option, reason = "not asked for yet, or there is none")]
    bound: Option<Option<Place>>,
    is_over: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<StoredEvent>, sqlx::Error> {
        if self.page.is_empty() && !self.is_over && self.query.limit != Some(0) {
            self.read_page().await?;
        }
        let Some(event) = self.page.pop_front() else { return Ok(None) };
        self.query.limit = self.query.limit.map(|limit| limit.saturating_sub(1));
        if self.query.limit == Some(0) {
            self.page.clear();
            self.is_over = true;
        }
        Ok(Some(event))
    }

    async fn read_page(&mut self) -> Result<(), sqlx::Error> {
        let bound = match self.bound {
            Some(bound) => bound,
            None => {
                let bound = self.first_too_late().await?;
                self.bound = Some(bound);
                bound
            }
        };
        let mut sql = format!("SELECT {EVENT_COLUMNS} FROM {EVENT_TABLES} WHERE {}", self.stream_condition());
        // Writing to a `String` cannot fail.
        if let Some(Place { epoch, sequence }) = bound {
            let _ = write!(sql, " AND (e.epoch < {epoch} OR (e.epoch = {epoch} AND e.sequence < {sequence}))");
        }
        let (than, order) = match self.query.direction {
            Direction::Forwards => (">", "ASC"),
            Direction::Backwards => ("<", "DESC"),
        };
        if let Some(Place { epoch, sequence }) = self.query.from {
            let _ =
                write!(sql, " AND (e.epoch {than} {epoch} OR (e.epoch = {epoch} AND e.sequence {than}= {sequence}))");
        }
        self.share.give_back();
        let rows = self.size.rows(self.share.has_room());
        let rows = self.query.limit.map_or(rows, |limit| usize::try_from(limit).unwrap_or(rows).min(rows));
        let _ = write!(sql, " ORDER BY e.epoch {order}, e.sequence {order} LIMIT {rows}");

        let (mut bytes, mut found, mut is_full) = (0, 0, false);
        let mut stream = self.pool.stream(sql);
        while let Some(row) = stream.try_next().await? {
            let event = read_event(&row, 0)?;
            bytes += event.event.bytes();
            found += 1;
            let has_room = self.share.take(event.event.bytes());
            self.page.push_back(event);
            is_full = bytes > PAGE_BYTES || !has_room;
            if is_full {
                break;
            }
        }
        self.size.saw(found, found, bytes);
        self.is_over = found < rows && !is_full;
        let last = self.page.back().and_then(|event| event.event.place());
        match (last, self.query.direction) {
            (None, _) => self.is_over = true,
            (Some(last), Direction::Forwards) => {
                self.query.from = Some(Place { sequence: last.sequence + 1, ..last });
            }
            (Some(Place { epoch, sequence }), Direction::Backwards) => {
                self.query.from = match (sequence, epoch) {
                    (1, 0) => {
                        self.is_over = true;
                        None
                    }
                    // The epoch before, from its end.
                    (1, epoch) => Some(Place { epoch: epoch - 1, sequence: i64::MAX.unsigned_abs() }),
                    (sequence, epoch) => Some(Place { epoch, sequence: sequence - 1 }),
                };
            }
        }
        Ok(())
    }

    async fn first_too_late(&self) -> Result<Option<Place>, sqlx::Error> {
        let Some(until) = self.query.until else { return Ok(None) };
        let sql = format!(
            "SELECT e.epoch, e.sequence FROM tidings_store_event e WHERE {} AND e.recorded_at > '{}' \
             ORDER BY e.epoch, e.sequence LIMIT 1",
            self.stream_condition(),
            rfc3339(until)
        );
        let rows = self.pool.query(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Place { epoch: narrow(row.integer(0)?)?, sequence: narrow(row.integer(1)?)? }))
    }

    fn stream_condition(&self) -> String {
        let dialect = self.pool.dialect();
        let StreamId { source, stream } = &self.query.stream;
        format!("e.source = {} AND e.stream = {}", dialect.text(&format!("/{source}")), dialect.text(stream.as_str()))
    }
}

/// The events behind a position, and those that come.
pub(super) fn follow(
    pool: Pool,
    subscription: Subscription,
    head: watch::Receiver<u64>,
    presence: Presence,
    share: PageShare,
) -> BoxStream<'static, Result<Notice, StoreError>> {
    let Subscription { after, sources } = subscription;
    let state = Following {
        pool,
        sources,
        position: after,
        head,
        page: VecDeque::new(),
        size: PageSize::default(),
        share,
        is_checked: false,
        is_told: false,
        _presence: presence,
    };
    try_unfold(state, |mut state| async move {
        let notice = state.next().await?;
        Ok(Some((notice, state)))
    })
    .boxed()
}

struct Following {
    pool: Pool,
    sources: Vec<String>,
    /// Everything up to here was given out, or is in the page.
    position: u64,
    head: watch::Receiver<u64>,
    page: VecDeque<StoredEvent>,
    size: PageSize,
    share: PageShare,
    is_checked: bool,
    /// Whether it was said that all was given out.
    is_told: bool,
    _presence: Presence,
}

impl Following {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        if !self.is_checked {
            let last = last_position(&self.pool).await.map_err(unavailable)?;
            if self.position > last {
                let reason = format!("position {} was never given out: the last one is {last}", self.position);
                return Err(StoreError::Invalid { reason });
            }
            self.is_checked = true;
        }
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Notice::Event(event));
            }
            let before = self.position;
            self.read_page().await.map_err(unavailable)?;
            if self.position > before {
                self.is_told = false;
            } else if !self.is_told {
                self.is_told = true;
                return Ok(Notice::CaughtUp { position: self.position });
            } else {
                let position = self.position;
                // The time, or the end of the sequencer here: another replica's is looked for.
                if let Ok(Err(_)) = tokio::time::timeout(LOOK, self.head.wait_for(|head| *head > position)).await {
                    return Err(StoreError::Closed);
                }
            }
        }
    }

    /// Positions have no gaps. Where one shows all the same, the look was torn, and what is missing is there at the next.
    async fn read_page(&mut self) -> Result<(), sqlx::Error> {
        let mut filter = String::new();
        if !self.sources.is_empty() {
            let dialect = self.pool.dialect();
            filter.push_str(" AND e.source IN (");
            push_list(&mut filter, self.sources.iter().map(|source| dialect.text(&format!("/{source}"))));
            filter.push(')');
        }
        self.share.give_back();
        let limit = self.size.rows(self.share.has_room());
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM tidings_store_position p LEFT JOIN tidings_store_event e \
             ON e.id = p.event{filter} WHERE p.position > {} ORDER BY p.position LIMIT {limit}",
            self.position
        );
        let (mut bytes, mut found, mut has_room) = (0, 0, true);
        let mut rows = self.pool.stream(sql);
        while let Some(row) = rows.try_next().await? {
            let position: u64 = narrow(row.integer(0)?)?;
            if position != self.position + 1 {
                break;
            }
            if row.optional_text(1)?.is_some() {
                let event = read_event(&row, 0)?;
                bytes += event.event.bytes();
                has_room = self.share.take(event.event.bytes());
                self.page.push_back(event);
            } else if self.sources.is_empty() {
                return Err(sqlx::Error::Decode(format!("the event at position {position} is gone").into()));
            }
            self.position = position;
            found += 1;
            if bytes > PAGE_BYTES || !has_room {
                break;
            }
        }
        self.size.saw(found, self.page.len(), bytes);
        Ok(())
    }
}

/// Counts the subscriptions that there are, for as long as each of them lives.
#[derive(Debug)]
pub(super) struct Presence(watch::Sender<usize>);

impl Presence {
    pub(super) fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
