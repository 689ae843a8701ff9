//! Reading streams.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};

use super::StoreError;
use super::event::{Place, StoredEvent};
use super::lane::SILENCE;
use super::page_budget::PageShare;
use super::page_size::{PAGE_BYTES, PageSize};
use super::tables::{EVENT_COLUMNS, EVENT_TABLES, narrow, read_event};
use crate::database::pool::Pool;
use crate::envelope::rfc3339;
use crate::event::StreamId;

/// How often a read looks for an event that was not shown, though one behind it was.
const LOOKS_AT_A_HOLE: u32 = 20;
/// How long it waits before it looks again.
const HOLE: Duration = Duration::from_millis(50);

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

    /// Only what is before the first event that was recorded after `time`: the stream as it was then, without what is appended while it
    /// is read. Default: all.
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
    let state = Reading { pool, query, page, size, share, bound: None, last: None, refused: None, is_over: false };
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
    /// The first place that is too late, once that is known, where there is one.
    bound: Option<Place>,
    /// The last place in a page.
    last: Option<Place>,
    /// The place that the look before found in the way of what is missing.
    refused: Option<Place>,
    is_over: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<StoredEvent>, sqlx::Error> {
        let mut looks = 0;
        while self.page.is_empty() && !self.is_over && self.query.limit != Some(0) {
            if looks == LOOKS_AT_A_HOLE {
                let StreamId { source, stream } = &self.query.stream;
                let reason = format!("an event of stream {stream} of {source} is not there, behind {:?}", self.last);
                return Err(sqlx::Error::Decode(reason.into()));
            }
            if looks > 0 {
                tokio::time::sleep(HOLE).await;
            }
            self.read_page().await?;
            looks += 1;
        }
        let Some(event) = self.page.pop_front() else { return Ok(None) };
        self.query.limit = self.query.limit.map(|limit| limit.saturating_sub(1));
        if self.query.limit == Some(0) {
            self.page.clear();
            self.is_over = true;
        }
        Ok(Some(event))
    }

    /// Sequences have no gaps within an epoch. Where one shows all the same, the look was torn, and what is missing is there at the next.
    /// An epoch may begin where it likes: what the next look does not show behind its first event either is not there.
    async fn read_page(&mut self) -> Result<(), sqlx::Error> {
        if let (None, Some(until)) = (self.bound, self.query.until) {
            self.bound = Some(self.first_too_late(until).await?);
        }
        let mut sql = format!("SELECT {EVENT_COLUMNS} FROM {EVENT_TABLES} WHERE {}", self.stream_condition());
        // Writing to a `String` cannot fail.
        if let Some(Place { epoch, sequence }) = self.bound {
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

        let (mut bytes, mut found, mut is_cut) = (0, 0, false);
        let Self { pool, query, page, share, last, refused, .. } = self;
        let read = pool.rows_within(SILENCE, sql, |row| {
            let event = read_event(&row, 0)?;
            let place = event.event.place();
            let may_begin = |place| *refused == Some(place) && begins(query, *last, place);
            if !place.is_some_and(|place| follows(query, *last, place) || may_begin(place)) {
                *refused = place;
                is_cut = true;
                return Ok(ControlFlow::Break(()));
            }
            (*last, *refused) = (place, None);
            bytes += event.event.bytes();
            found += 1;
            let has_room = share.take(event.event.bytes());
            page.push_back(event);
            is_cut = bytes > PAGE_BYTES || !has_room;
            Ok(if is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        read.await?;
        self.size.saw(found, found, bytes);
        self.is_over = found < rows && !is_cut;
        match (self.last, self.query.direction) {
            (None, _) => {}
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

    /// The first place that is not to be read: one recorded after `until`, or whatever comes behind the last one there is now, since
    /// nobody has looked at that.
    ///
    /// Two looks: the second shows all of the stream up to what the first shows, and so everything there that is too late.
    async fn first_too_late(&self, until: DateTime<Utc>) -> Result<Place, sqlx::Error> {
        let condition = self.stream_condition();
        let places = format!("e.epoch, e.sequence FROM tidings_store_event e WHERE {condition}");
        let sql = format!(
            "SELECT 0, {places} ORDER BY e.epoch DESC, e.sequence DESC LIMIT 1;\
             SELECT 1, {places} AND e.recorded_at > '{}' ORDER BY e.epoch, e.sequence LIMIT 1",
            rfc3339(until)
        );
        // Where the first finds none, all there is came since.
        let (mut behind, mut late) = (Place { epoch: 0, sequence: 0 }, None);
        for row in self.pool.query_within(SILENCE, sql).await? {
            let place = Place { epoch: narrow(row.integer(1)?)?, sequence: narrow(row.integer(2)?)? };
            if row.integer(0)? == 0 {
                behind = Place { sequence: place.sequence + 1, ..place };
            } else {
                late = Some(place);
            }
        }
        Ok(late.map_or(behind, |late| late.min(behind)))
    }

    fn stream_condition(&self) -> String {
        let dialect = self.pool.dialect();
        let StreamId { source, stream } = &self.query.stream;
        format!("e.source = {} AND e.stream = {}", dialect.text(&format!("/{source}")), dialect.text(stream.as_str()))
    }
}

/// Whether an event may be given out as the next one behind `last`: nothing is missing between them.
fn follows(query: &StreamQuery, last: Option<Place>, place: Place) -> bool {
    let Place { epoch, sequence } = place;
    match (query.direction, last) {
        (Direction::Forwards, last) => {
            let first = query.from.unwrap_or(Place { epoch: 0, sequence: 1 });
            let next = last.map_or(first, |last| Place { sequence: last.sequence + 1, ..last });
            (epoch == next.epoch && sequence == next.sequence.max(1)) || (epoch > next.epoch && sequence == 1)
        }
        // It begins with the last that shows.
        (Direction::Backwards, None) => true,
        (Direction::Backwards, Some(last)) => {
            (epoch == last.epoch && sequence + 1 == last.sequence) || (epoch < last.epoch && last.sequence == 1)
        }
    }
}

/// Whether an event is the first of what is read of its epoch, with nothing of that before it: after a restore a stream that the store
/// numbers goes on in a higher epoch with the next sequence, and whoever reads may name a place where there is nothing.
fn begins(query: &StreamQuery, last: Option<Place>, place: Place) -> bool {
    match last {
        Some(last) => place.epoch != last.epoch,
        None => place.epoch > 0 || query.from.is_some(),
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
