//! Counts what became of events, rather than believing it: nothing lost, nothing twice, nothing out of order.
//!
//! A player's events are numbered 1, 2, 3 and so on. The database says how far they go, the handlers say which came, and in
//! which order.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

/// The longest latency told apart from longer ones: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// What became of one mode's events.
#[derive(Debug)]
pub struct Ledger {
    page: Mutex<Page>,
    /// Room for events that are under way.
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Page {
    streams: HashMap<i64, Stream>,
    counts: Counts,
    /// From the commit to the end of the handler, in microseconds.
    latency: Histogram<u64>,
}

/// One player's events.
#[derive(Debug, Default)]
struct Stream {
    /// The last number that came.
    last: u64,
    /// Numbers below it that have not come.
    missing: BTreeSet<u64>,
    /// The last number committed, once the database has said so.
    committed: u64,
    /// Whether one was given up.
    given_up: bool,
}

/// Totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handled, each counted once.
    pub handled: u64,
    /// Events given up, each counted once.
    pub given_up: u64,
    /// Events that came again.
    pub repeated: u64,
    /// Events that came behind a later one of their player.
    pub out_of_order: u64,
}

/// How it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events of committed transactions.
    pub published: u64,
    /// Events of committed transactions that never came.
    pub lost: u64,
    /// Events that came though no transaction committed them.
    pub uncommitted: u64,
}

impl Ledger {
    /// A ledger that gives room back for each event that came.
    pub fn new(room: Arc<Semaphore>) -> Result<Self, hdrhistogram::CreationError> {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3)?;
        let page = Page { streams: HashMap::new(), counts: Counts::default(), latency };
        Ok(Self { page: Mutex::new(page), room })
    }

    /// The event `number` of `player` was handled, `latency` after its commit.
    pub fn handled(&self, player: i64, number: u64, latency: Duration) {
        let mut page = self.page();
        if page.came(player, number) {
            page.counts.handled += 1;
            self.room.add_permits(1);
        }
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(LONGEST);
        page.latency.saturating_record(microseconds.max(1));
    }

    /// The event `number` of `player` was given up: it is a dead letter.
    pub fn given_up(&self, player: i64, number: u64) {
        let mut page = self.page();
        if page.came(player, number) {
            page.counts.given_up += 1;
            self.room.add_permits(1);
        }
        page.streams.entry(player).or_default().given_up = true;
    }

    /// Whether an event of `player` was given up.
    pub fn has_given_up(&self, player: i64) -> bool {
        self.page().streams.get(&player).is_some_and(|stream| stream.given_up)
    }

    /// The database says that the events of `player` go as far as `number`.
    pub fn committed(&self, player: i64, number: u64) {
        self.page().streams.entry(player).or_default().committed = number;
    }

    pub fn counts(&self) -> Counts {
        self.page().counts
    }

    pub fn latency(&self) -> Histogram<u64> {
        self.page().latency.clone()
    }

    /// What is to be said once [`committed`](Self::committed) was called for every player.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for stream in self.page().streams.values() {
            let Stream { last, missing, committed, .. } = stream;
            verdict.published += committed;
            verdict.lost += missing.range(..=committed).count() as u64 + committed.saturating_sub(*last);
            let beyond = missing.range(committed + 1..).count() as u64;
            verdict.uncommitted += last.saturating_sub(*committed) - beyond;
        }
        verdict
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        // Counting goes on after a panic elsewhere: the numbers themselves are whole.
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// Take note of an event; whether this is the first time it comes.
    fn came(&mut self, player: i64, number: u64) -> bool {
        let stream = self.streams.entry(player).or_default();
        if number > stream.last {
            stream.missing.extend(stream.last + 1..number);
            stream.last = number;
            return true;
        }
        let late = stream.missing.remove(&number);
        if late {
            self.counts.out_of_order += 1;
        } else {
            self.counts.repeated += 1;
        }
        late
    }
}

impl Counts {
    /// Events that came, each counted once.
    pub fn settled(&self) -> u64 {
        self.handled + self.given_up
    }
}

impl Verdict {
    /// Whether `counts` and this verdict are what was promised. Repeats are allowed: delivery is at least once.
    pub fn is_kept(&self, counts: &Counts) -> bool {
        self.lost == 0 && self.uncommitted == 0 && counts.out_of_order == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger of one player with five committed events, who saw `numbers` come in this order.
    fn ledger(numbers: &[u64]) -> (Counts, Verdict) {
        let ledger = Ledger::new(Arc::new(Semaphore::new(0))).unwrap();
        for number in numbers {
            ledger.handled(7, *number, Duration::from_millis(1));
        }
        ledger.committed(7, 5);
        (ledger.counts(), ledger.verdict())
    }

    #[test]
    fn all_in_order_is_what_was_promised() {
        let (counts, verdict) = ledger(&[1, 2, 3, 4, 5]);
        assert_eq!(counts, Counts { handled: 5, ..Counts::default() });
        assert_eq!(verdict, Verdict { published: 5, ..Verdict::default() });
        assert!(verdict.is_kept(&counts));
    }

    #[test]
    fn a_planted_loss_is_seen_wherever_it_is() {
        for numbers in [&[2, 3, 4, 5][..], &[1, 2, 4, 5], &[1, 2, 3, 4]] {
            let (counts, verdict) = ledger(numbers);
            assert_eq!((counts.handled, counts.out_of_order, verdict.lost), (4, 0, 1), "{numbers:?}");
            assert!(!verdict.is_kept(&counts));
        }
        let (counts, verdict) = ledger(&[]);
        assert_eq!((verdict.published, verdict.lost), (5, 5));
        assert!(!verdict.is_kept(&counts));
    }

    #[test]
    fn a_planted_repeat_is_counted_and_allowed() {
        let (counts, verdict) = ledger(&[1, 2, 2, 3, 1, 4, 5]);
        assert_eq!((counts.handled, counts.repeated, counts.out_of_order, verdict.lost), (5, 2, 0, 0));
        assert!(verdict.is_kept(&counts));
    }

    #[test]
    fn a_planted_swap_is_seen() {
        let (counts, verdict) = ledger(&[1, 3, 2, 4, 5]);
        assert_eq!((counts.handled, counts.repeated, counts.out_of_order, verdict.lost), (5, 0, 1, 0));
        assert!(!verdict.is_kept(&counts));
    }

    #[test]
    fn an_event_of_a_transaction_that_was_rolled_back_is_seen() {
        let (counts, verdict) = ledger(&[1, 2, 3, 4, 5, 6]);
        assert_eq!((verdict.lost, verdict.uncommitted), (0, 1));
        assert!(!verdict.is_kept(&counts));
        let (_, verdict) = ledger(&[1, 2, 3, 4, 5, 8]);
        assert_eq!((verdict.lost, verdict.uncommitted), (0, 1));
    }

    #[test]
    fn a_dead_letter_is_not_lost_and_not_handled() {
        let ledger = Ledger::new(Arc::new(Semaphore::new(0))).unwrap();
        ledger.handled(7, 1, Duration::ZERO);
        ledger.given_up(7, 2);
        ledger.handled(7, 3, Duration::ZERO);
        ledger.committed(7, 3);
        let counts = ledger.counts();
        assert_eq!((counts.handled, counts.given_up, ledger.verdict().lost), (2, 1, 0));
        assert!(ledger.verdict().is_kept(&counts));
    }

    #[test]
    fn players_are_counted_apart() {
        let ledger = Ledger::new(Arc::new(Semaphore::new(0))).unwrap();
        ledger.handled(7, 1, Duration::ZERO);
        ledger.handled(8, 1, Duration::ZERO);
        ledger.committed(7, 1);
        ledger.committed(8, 2);
        assert_eq!(ledger.counts(), Counts { handled: 2, ..Counts::default() });
        assert_eq!(ledger.verdict(), Verdict { published: 3, lost: 1, uncommitted: 0 });
    }
}
