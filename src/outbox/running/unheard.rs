//! Whether a relay is told of commits, or finds them only by looking.

use std::time::Duration;

use tokio::time::Instant;

use crate::outbox::wake::BucketSet;

/// For how long a relay that found rows it had not been told of looks often.
const LOOKS_OFTEN: Duration = Duration::from_mins(10);
/// How much later than its row a commit may be told of: a read may be faster than a datagram.
const LATE: Duration = Duration::from_secs(1);

pub(super) struct Unheard {
    /// Until when rows are looked for often.
    until: Instant,
    /// Where rows were found that nobody has told of yet, the first of them at this time.
    untold: BucketSet,
    found_at: Instant,
}

impl Unheard {
    pub(super) const fn new(now: Instant) -> Self {
        Self { until: now, untold: BucketSet::EMPTY, found_at: now }
    }

    /// Rows of these buckets were found before anybody told of them.
    pub(super) fn found(&mut self, buckets: BucketSet, now: Instant) {
        if self.untold.is_empty() {
            self.found_at = now;
        }
        self.untold = self.untold.or(buckets);
    }

    /// Commits to these buckets were told of.
    pub(super) fn told(&mut self, buckets: BucketSet) {
        self.untold = self.untold.without(buckets);
    }

    /// Whether to look often now.
    pub(super) fn looks_often(&mut self, now: Instant) -> bool {
        if !self.untold.is_empty() && now >= self.found_at + LATE {
            self.until = now + LOOKS_OFTEN;
            self.untold = BucketSet::EMPTY;
        }
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_is_told_of_a_little_later_than_it_is_found_was_told_of() {
        let start = Instant::now();
        let mut unheard = Unheard::new(start);
        unheard.found([1, 2].into_iter().collect(), start);
        assert!(!unheard.looks_often(start));
        unheard.told([1, 2, 3].into_iter().collect());
        assert!(!unheard.looks_often(start + LATE * 2));
    }

    #[test]
    fn a_commit_that_nobody_tells_of_has_the_relay_look_often_for_a_while() {
        let start = Instant::now();
        let mut unheard = Unheard::new(start);
        unheard.found([1, 2].into_iter().collect(), start);
        unheard.told([1].into_iter().collect());
        // More of it changes nothing about the first.
        unheard.found([4].into_iter().collect(), start + LATE / 2);
        let found_out = start + LATE;
        assert!(unheard.looks_often(found_out) && unheard.looks_often(found_out + LOOKS_OFTEN / 2));
        assert!(!unheard.looks_often(found_out + LOOKS_OFTEN));
    }
}
