//! Counts what was lost, out of order or repeated, from sequences seen.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

/// What was seen of each stream, in the order it was seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    seen: Mutex<BTreeMap<String, Vec<i64>>>,
}

/// What a ledger shows, against what was published.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Published and never seen.
    pub(crate) lost: usize,
    /// Seen for the first time behind a later one of its stream.
    pub(crate) out_of_order: usize,
    /// Seen again.
    pub(crate) repeated: usize,
    /// Seen and never published.
    pub(crate) invented: usize,
}

/// Streams and their lengths; each stream's sequences are 1, 2, 3….
pub(crate) type Published = BTreeMap<String, i64>;

impl Ledger {
    /// Take note of an event.
    pub(crate) fn note(&self, stream: impl Into<String>, sequence: i64) {
        self.seen.lock().entry(stream.into()).or_default().push(sequence);
    }

    /// How many different events were seen.
    pub(crate) fn distinct(&self) -> usize {
        let seen = self.seen.lock();
        seen.values().map(|stream| stream.iter().collect::<BTreeSet<_>>().len()).sum()
    }

    /// What was seen of `stream`.
    pub(crate) fn of(&self, stream: &str) -> Vec<i64> {
        self.seen.lock().get(stream).cloned().unwrap_or_default()
    }

    /// Compare what was seen with what was published.
    pub(crate) fn audit(&self, published: &Published) -> Audit {
        let seen = self.seen.lock();
        let mut audit = Audit::default();
        for (stream, sequences) in &*seen {
            let length = published.get(stream).copied().unwrap_or(0);
            let (mut known, mut highest) = (BTreeSet::new(), 0);
            for sequence in sequences {
                if !(1..=length).contains(sequence) {
                    audit.invented += 1;
                } else if !known.insert(sequence) {
                    audit.repeated += 1;
                } else if *sequence < highest {
                    audit.out_of_order += 1;
                } else {
                    highest = *sequence;
                }
            }
        }
        for (stream, length) in published {
            let known: BTreeSet<_> = seen.get(stream).into_iter().flatten().collect();
            audit.lost += (1..=*length).filter(|sequence| !known.contains(sequence)).count();
        }
        audit
    }
}

fn audit(seen: &[(&str, i64)], published: &[(&str, i64)]) -> Audit {
    let ledger = Ledger::default();
    for (stream, sequence) in seen {
        ledger.note(*stream, *sequence);
    }
    ledger.audit(&published.iter().map(|(stream, length)| ((*stream).to_owned(), *length)).collect())
}

#[test]
fn a_ledger_has_nothing_against_streams_that_are_interleaved() {
    assert_eq!(audit(&[("a", 1), ("b", 1), ("b", 2), ("a", 2)], &[("a", 2), ("b", 2)]), Audit::default());
}

#[test]
fn a_ledger_sees_what_is_lost_at_the_start_inside_at_the_end_and_whole_streams() {
    for missing in 1..=3 {
        let seen: Vec<_> = (1..=3).filter(|sequence| *sequence != missing).map(|sequence| ("a", sequence)).collect();
        assert_eq!(audit(&seen, &[("a", 3)]), Audit { lost: 1, ..Audit::default() });
    }
    assert_eq!(audit(&[], &[("a", 3)]), Audit { lost: 3, ..Audit::default() });
}

#[test]
fn a_ledger_tells_a_late_event_from_a_late_repeat() {
    assert_eq!(audit(&[("a", 1), ("a", 3), ("a", 2)], &[("a", 3)]), Audit { out_of_order: 1, ..Audit::default() });
    assert_eq!(
        audit(&[("a", 1), ("a", 2), ("a", 3), ("a", 2)], &[("a", 3)]),
        Audit { repeated: 1, ..Audit::default() }
    );
}

#[test]
fn a_ledger_sees_what_nobody_published() {
    assert_eq!(audit(&[("a", 1), ("a", 2), ("b", 1)], &[("a", 1)]), Audit { invented: 2, ..Audit::default() });
}
