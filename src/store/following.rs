//! Following the events of all streams, in the order of their positions.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};
use tokio::sync::watch;

use super::StoreError;
use super::event::StoredEvent;
use super::lane::SILENCE;
use super::page_budget::PageShare;
use super::page_size::{PAGE_BYTES, PageSize};
use super::reading::{Notice, Subscription, unavailable};
use super::sequencer::last_position;
use super::tables::{EVENT_COLUMNS, narrow, read_event};
use crate::database::pool::Pool;
use crate::database::sql::push_list;

/// How long a subscription waits for a sign before it looks by itself.
const LOOK: Duration = Duration::from_secs(1);

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
        settled: 0,
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
    /// No position up to here is yet to come: what a look that begins now does not show was never given out.
    settled: u64,
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
            self.settled = last;
            self.is_checked = true;
        }
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Notice::Event(event));
            }
            let before = self.position;
            self.settled = self.settled.max(*self.head.borrow());
            let is_whole = self.read_page().await.map_err(unavailable)?;
            if self.position > before || !is_whole {
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

    /// Read on. `false` where it is not known yet whether anything is missing: the look may have been torn.
    ///
    /// Positions are given out one after the other, by transactions that wait for each other. So whatever has a position below one that
    /// has been seen is there at a look that begins after that; what is missing then too was never given out, and the positions jump, as
    /// they do after a restore.
    async fn read_page(&mut self) -> Result<bool, sqlx::Error> {
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
        let (mut bytes, mut found) = (0, 0);
        let (mut is_whole, mut is_cut) = (true, false);
        let Self { pool, sources, position, page, share, settled, .. } = self;
        let read = pool.rows_within(SILENCE, sql, |row| {
            let next: u64 = narrow(row.integer(0)?)?;
            if next > *position + 1 {
                if next > *settled {
                    *settled = next;
                    (is_whole, is_cut) = (false, true);
                    return Ok(ControlFlow::Break(()));
                }
                tracing::info!(from = *position, to = next, "the positions jump here: the store was restored");
            }
            let mut has_room = true;
            if row.optional_text(1)?.is_some() {
                let event = read_event(&row, 0)?;
                bytes += event.event.bytes();
                has_room = share.take(event.event.bytes());
                page.push_back(event);
            } else if sources.is_empty() {
                return Err(sqlx::Error::Decode(format!("the event at position {next} is gone").into()));
            }
            *position = next;
            found += 1;
            is_cut = bytes > PAGE_BYTES || !has_room;
            Ok(if is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        read.await?;
        if !is_cut && found < limit {
            // Nothing is there; what comes has a higher one.
            self.position = self.position.max(self.settled);
        }
        self.size.saw(found, self.page.len(), bytes);
        Ok(is_whole)
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
