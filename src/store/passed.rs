//! Which events the sequencer need not look for again.
//!
//! What has its position is deleted from `tidings_store_pending`, and stays in its index until the database clears it away, which one
//! long transaction of anybody's prevents. So the sequencer looks behind a mark, as the relay does: each append holds a gate from before
//! its events have their ids until it ends, and [`Settled`] says which ids no append can still bring.

use std::time::Duration;

use tokio::time::Instant;

use super::lane::SILENCE;
use crate::database::pool::Pool;
use crate::outbox::{RowId, Settled, gate_question, is_gate_free};

/// All events are as those of one bucket.
const BUCKET: u8 = 0;
/// How soon the gates are asked about again, and how seldom where somebody holds one for long.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
const MAX_ASK_INTERVAL: Duration = Duration::from_secs(1);

/// What one look shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// What is to be numbered, in this order.
    pub(super) events: Vec<u64>,
    /// The first one that is not.
    pub(super) left: Option<u64>,
    /// The last one, where there may be more behind it.
    pub(super) end: Option<u64>,
}

/// How far the sequencer need not look any more. Known anew under each lease.
pub(super) struct Passed {
    settled: Settled,
    ask_at: Instant,
    ask_pause: Duration,
}

impl Passed {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { settled: Settled::new(now), ask_at: now, ask_pause: ASK_INTERVAL }
    }

    /// A look begins: the event behind which it may, and what is settled by now. Once in a minute it begins at the start, for rows
    /// that were written past the gates.
    pub(super) fn begin(&mut self) -> (u64, u64) {
        self.settled.forget_what_is_due(Instant::now());
        (self.settled.mark(BUCKET), self.settled.begin_read())
    }

    /// What a look has shown, that began when ids were settled up to `until`, has its positions.
    pub(super) fn numbered(&mut self, until: u64, look: &Look) {
        for id in &look.events {
            self.settled.took(RowId { bucket: BUCKET, id: *id });
        }
        self.settled.read(BUCKET, until, look.end.unwrap_or(u64::MAX), look.left);
    }

    /// Ask whether a gate is free that stands before what is to be settled, where it is time to.
    pub(super) async fn ask(&mut self, pool: &Pool) -> Result<(), sqlx::Error> {
        let now = Instant::now();
        // SQLite, with its one writer at a time, has none.
        if pool.dialect().gate().is_none() || now < self.ask_at || !self.settled.is_asking() {
            return Ok(());
        }
        let mut is_none_free = true;
        for gate in self.settled.gates() {
            if is_gate_free(pool.query_within(SILENCE, gate_question(gate)).await)? {
                self.settled.found_free(gate);
                is_none_free = false;
            }
        }
        self.ask_pause = if is_none_free { (self.ask_pause * 2).min(MAX_ASK_INTERVAL) } else { ASK_INTERVAL };
        self.ask_at = now + self.ask_pause;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(events: std::ops::RangeInclusive<u64>, left: Option<u64>, end: Option<u64>) -> Look {
        Look { events: events.collect(), left, end }
    }

    /// Both gates are free.
    fn settle(passed: &mut Passed) {
        passed.settled.gates().into_iter().for_each(|gate| passed.settled.found_free(gate));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_begins_behind_what_is_numbered_and_settled_and_before_what_was_left() {
        let mut passed = Passed::new();
        assert_eq!(passed.begin(), (0, 0));
        passed.numbered(0, &look(1..=600, Some(601), None));
        assert_eq!(passed.begin().0, 0, "an append may still bring a lower one");
        settle(&mut passed);
        let (mark, until) = passed.begin();
        assert_eq!((mark, until), (0, 600), "it may have brought one before that was known");
        passed.numbered(until, &look(601..=700, Some(590), None));
        assert_eq!(passed.begin().0, 589);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_begins_before_what_one_that_was_cut_short_has_not_shown() {
        let mut passed = Passed::new();
        passed.begin();
        passed.numbered(0, &look(1..=600, None, None));
        settle(&mut passed);
        let (_, until) = passed.begin();
        passed.numbered(until, &look(1..=100, None, Some(100)));
        assert_eq!(passed.begin().0, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn once_in_a_while_a_look_begins_at_the_start() {
        let mut passed = Passed::new();
        passed.begin();
        passed.numbered(0, &look(1..=600, None, None));
        settle(&mut passed);
        let (_, until) = passed.begin();
        passed.numbered(until, &look(601..=700, None, None));
        assert_eq!(passed.begin().0, 600);
        tokio::time::advance(Duration::from_secs(64)).await;
        assert_eq!(passed.begin().0, 0);
    }
}
