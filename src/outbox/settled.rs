//! Which rows need not be looked at again.
//!
//! The relay reads each bucket from its start, since a row may commit below every id it has seen. Deleted rows stay where they are
//! until the database clears them away, which one long transaction of anybody's prevents: reading them again each time would slow
//! the relay to a crawl. So each bucket has a mark below which nothing is read.
//!
//! A mark may pass only rows that no live transaction can still produce, and time proves nothing about that. Locks do. A
//! transaction takes one of two gates, shared, before its events get their ids, and holds it until it ends. Let an id be known,
//! and let then both gates be found free, at whatever two moments: whoever had a lower id held a gate before that, and has let
//! go of it. What such a transaction left behind is shown by every snapshot taken from then on.

use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::bucket::BUCKETS;
use super::row::RowId;
use super::wake::BucketSet;

/// How many gates there are.
pub(super) const GATES: usize = 2;
/// How often a bucket's mark is taken away, one after the other: all are read from their starts within a minute or so.
const AGAIN_INTERVAL: Duration = Duration::from_millis(250);
/// How many rows of a bucket must have been passed before its mark is moved: marks make the query longer.
const WORTH_A_MARK: u32 = 32;
/// How many rows must have been passed in all before the gates are asked about.
const WORTH_ASKING: u32 = 512;

/// What is settled, and the marks that follow from it.
pub(crate) struct Settled {
    /// Every id up to here belongs to a transaction that has ended.
    until: u64,
    /// The highest id seen in any snapshot.
    seen: u64,
    /// The id that is being settled, and which gates have been found free since it was known.
    asking: Option<(u64, [bool; GATES])>,
    /// Of each bucket: every row up to here is deleted, or known to the pipeline.
    marks: Box<[u64; BUCKETS]>,
    /// Of each bucket, how many rows were taken since its mark was moved.
    passed: Box<[u32; BUCKETS]>,
    passed_in_all: u32,
    /// The bucket whose mark is taken away next.
    again: u8,
    /// When.
    again_at: Instant,
    /// Forgotten since the read under way began: it left out rows that were known then and may not be now.
    forgotten: BucketSet,
}

impl Settled {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            until: 0,
            seen: 0,
            asking: None,
            marks: Box::new([0; BUCKETS]),
            passed: Box::new([0; BUCKETS]),
            passed_in_all: 0,
            again: 0,
            again_at: now,
            forgotten: BucketSet::EMPTY,
        }
    }

    /// Believe nothing any more: the database may be another one, or rows have been let go of.
    pub(super) fn reset(&mut self) {
        *self = Self { forgotten: (0..=u8::MAX).collect(), again: self.again, ..Self::new(self.again_at) };
    }

    /// Read `bucket` from its start again.
    pub(super) fn forget(&mut self, bucket: u8) {
        self.marks[usize::from(bucket)] = 0;
        self.forgotten.insert(bucket);
    }

    /// All buckets are about to be read: those whose turn it is from their starts, as many as are due, however seldom this is. Rows
    /// that were written by hand, past the gates, must not wait for ever.
    pub(crate) fn forget_what_is_due(&mut self, now: Instant) {
        let mut due = 0;
        while self.again_at <= now && due < BUCKETS {
            self.again_at += AGAIN_INTERVAL;
            self.forget(self.again);
            self.again = self.again.wrapping_add(1);
            due += 1;
        }
        self.again_at = self.again_at.max(now);
    }

    /// A read begins: what is settled by now.
    pub(crate) fn begin_read(&mut self) -> u64 {
        self.forgotten = BucketSet::EMPTY;
        self.until
    }

    /// The marks of `buckets`.
    pub(super) fn marks(&self, buckets: BucketSet) -> FxHashMap<u8, u64> {
        let marked = buckets.iter().map(|bucket| (bucket, self.marks[usize::from(bucket)]));
        marked.filter(|(_, mark)| *mark > 0).collect()
    }

    /// The mark of `bucket`; 0 where it is read from its start.
    #[cfg(feature = "store")]
    pub(crate) fn mark(&self, bucket: u8) -> u64 {
        self.marks[usize::from(bucket)]
    }

    /// A row was taken from a snapshot into the pipeline.
    pub(crate) fn took(&mut self, row: RowId) {
        self.seen = self.seen.max(row.id);
        self.passed[usize::from(row.bucket)] += 1;
        self.passed_in_all = self.passed_in_all.saturating_add(1);
    }

    /// A snapshot taken when ids were settled up to `until` has shown all of `bucket` up to `covered`, and the pipeline knows
    /// everything in it but what begins at `unknown`.
    pub(crate) fn read(&mut self, bucket: u8, until: u64, covered: u64, unknown: Option<u64>) {
        if self.forgotten.contains(bucket) {
            return;
        }
        let place = usize::from(bucket);
        let mark = until.min(covered).min(unknown.map_or(u64::MAX, |id| id.saturating_sub(1)));
        if let Some(unknown) = unknown {
            self.marks[place] = self.marks[place].min(unknown.saturating_sub(1));
        }
        if mark > self.marks[place] && self.passed[place] >= WORTH_A_MARK {
            self.marks[place] = mark;
            self.passed[place] = 0;
        }
    }

    /// The gates to ask about now.
    pub(crate) fn gates(&mut self) -> Vec<usize> {
        if self.asking.is_none() && self.passed_in_all >= WORTH_ASKING && self.seen > self.until {
            self.asking = Some((self.seen, [false; GATES]));
            self.passed_in_all = 0;
        }
        let free = self.asking.map_or([true; GATES], |(_, free)| free);
        (0..GATES).filter(|gate| !free[*gate]).collect()
    }

    /// Whether the gates are to be asked about.
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.is_some() || self.passed_in_all >= WORTH_ASKING && self.seen > self.until
    }

    /// A gate that was asked about was found free.
    pub(crate) fn found_free(&mut self, gate: usize) {
        let Some((id, free)) = &mut self.asking else { return };
        if let Some(free) = free.get_mut(gate) {
            *free = true;
        }
        if free.iter().all(|free| *free) {
            self.until = self.until.max(*id);
            self.asking = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn took(settled: &mut Settled, ids: std::ops::RangeInclusive<u64>) {
        ids.for_each(|id| settled.took(RowId { bucket: 7, id }));
    }

    #[test]
    fn an_id_is_settled_once_both_gates_were_found_free_after_it_was_known() {
        let mut settled = Settled::new(Instant::now());
        took(&mut settled, 1..=600);
        assert_eq!(settled.gates(), [0, 1]);
        settled.found_free(1);
        // What was seen meanwhile is not what was asked about.
        took(&mut settled, 601..=700);
        assert_eq!((settled.begin_read(), settled.gates()), (0, vec![0]));
        settled.found_free(0);
        assert_eq!(settled.begin_read(), 600);
    }

    #[test]
    fn a_gate_that_is_held_settles_nothing_however_long() {
        let mut settled = Settled::new(Instant::now());
        took(&mut settled, 1..=600);
        settled.gates();
        for _ in 0..1_000 {
            settled.found_free(0);
            assert_eq!((settled.gates(), settled.begin_read()), (vec![1], 0));
        }
    }

    #[test]
    fn a_mark_passes_neither_what_is_unsettled_nor_what_was_not_covered_nor_what_is_not_known() {
        let mut settled = Settled::new(Instant::now());
        let marks = |settled: &Settled| settled.marks([7].into_iter().collect()).get(&7).copied();
        took(&mut settled, 1..=100);
        settled.read(7, 50, 80, None);
        assert_eq!(marks(&settled), Some(50));
        took(&mut settled, 101..=200);
        settled.read(7, 900, 80, None);
        assert_eq!(marks(&settled), Some(80));
        took(&mut settled, 201..=300);
        settled.read(7, 900, u64::MAX, Some(61));
        assert_eq!(marks(&settled), Some(60), "a row that was let go of is read again");
        settled.forget(7);
        assert_eq!(marks(&settled), None);
    }

    #[test]
    fn a_read_that_was_under_way_when_rows_were_let_go_of_moves_no_mark() {
        let mut settled = Settled::new(Instant::now());
        let marks = |settled: &Settled| settled.marks((0..=u8::MAX).collect()).len();
        let until = settled.begin_read();
        settled.reset();
        took(&mut settled, 1..=100);
        settled.read(7, until.max(90), u64::MAX, None);
        assert_eq!(marks(&settled), 0);

        settled.begin_read();
        settled.forget(7);
        settled.read(7, 90, u64::MAX, None);
        assert_eq!(marks(&settled), 0);
        settled.begin_read();
        settled.read(7, 90, u64::MAX, None);
        assert_eq!(marks(&settled), 1);
    }

    #[test]
    fn every_bucket_is_read_from_its_start_within_about_a_minute_however_seldom_a_relay_looks() {
        for look in [5, 100, 1_000, 7_000].map(Duration::from_millis) {
            let begin = Instant::now();
            let (mut settled, mut now) = (Settled::new(begin), begin);
            settled.forget_what_is_due(now);
            for bucket in 0..=u8::MAX {
                (1..=100).for_each(|id| settled.took(RowId { bucket, id }));
            }
            settled.begin_read();
            (0..=u8::MAX).for_each(|bucket| settled.read(bucket, 100, u64::MAX, None));
            let marked = |settled: &Settled| settled.marks((0..=u8::MAX).collect()).len();
            assert_eq!(marked(&settled), BUCKETS);
            while marked(&settled) > 0 {
                now += look;
                settled.forget_what_is_due(now);
                settled.begin_read();
                // Few rows come: no mark is moved again.
                (0..=u8::MAX).for_each(|bucket| settled.read(bucket, 100, u64::MAX, None));
            }
            assert!(now - begin <= Duration::from_secs(64) + look, "looking every {look:?}: {:?}", now - begin);
        }
    }

    #[test]
    fn few_rows_are_worth_neither_a_question_nor_a_mark() {
        let mut settled = Settled::new(Instant::now());
        took(&mut settled, 1..=20);
        settled.read(7, 900, u64::MAX, None);
        assert!(!settled.is_asking() && settled.gates().is_empty());
        assert!(settled.marks((0..=u8::MAX).collect()).is_empty());
    }

    /// A step of the model: writers that get ids and commit late, in any order, beside a relay that reads.
    #[derive(Debug, Clone)]
    enum Step {
        Begin,
        /// Commit the open transaction with this place among them.
        Commit(usize),
        Read,
        Ask,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Begin),
            4 => (0..8_usize).prop_map(Step::Commit),
            2 => Just(Step::Read),
            2 => Just(Step::Ask),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_row_is_ever_passed_by(steps in proptest::collection::vec(step(), 0..400)) {
            // Each transaction brings many rows, so that marks are worth while.
            const ROWS: u64 = 300;
            let mut settled = Settled::new(Instant::now());
            let (mut next, mut time) = (1, 0_usize);
            let mut open: Vec<(u64, usize)> = Vec::new();
            let mut table = BTreeSet::new();
            let mut seen = BTreeSet::new();
            let mut written = 0;
            let read = |settled: &mut Settled, table: &BTreeSet<u64>, seen: &mut BTreeSet<u64>| {
                let mark = settled.marks([0].into_iter().collect()).get(&0).copied().unwrap_or(0);
                let until = settled.begin_read();
                for id in table.range(mark + 1..) {
                    if seen.insert(*id) {
                        settled.took(RowId { bucket: 0, id: *id });
                    }
                }
                settled.read(0, until, u64::MAX, None);
            };
            for step in steps {
                time += 1;
                match step {
                    Step::Begin if open.len() < 8 => {
                        // The gate is taken, and only then come the ids.
                        open.push((next, time % GATES));
                        next += ROWS;
                    }
                    Step::Commit(place) if place < open.len() => {
                        let (first, _) = open.remove(place);
                        table.extend(first..first + ROWS);
                        written += ROWS;
                    }
                    Step::Read => read(&mut settled, &table, &mut seen),
                    Step::Ask => {
                        for gate in settled.gates() {
                            if open.iter().all(|(_, held)| *held != gate) {
                                settled.found_free(gate);
                            }
                        }
                    }
                    _ => {}
                }
            }
            for (first, _) in open {
                table.extend(first..first + ROWS);
                written += ROWS;
            }
            read(&mut settled, &table, &mut seen);
            prop_assert_eq!(seen.len() as u64, written);
        }
    }
}
