//! Gaps, repeats and forks, counted as records are read: loss is not believed, it is looked for.
//!
//! Every stream that was seen lately is remembered with its latest sequence. What is forgotten, or was never seen, begins with
//! a baseline: nothing is missed before it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use rustc_hash::FxHashMap;

use super::health::{Irregularities, Irregularity};
use super::recent_streams::RecentStreams;
use super::stats::Counters;
use crate::envelope::header;
use crate::transport::Record;

/// How many streams are remembered, 48 bytes each.
const STREAMS: usize = 65_536;

/// What a record is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    /// The stream was not remembered, it begins a new epoch, or what is between was read by others, deleted or compacted.
    Baseline,
    /// The next one.
    Next,
    /// So many are missing before it.
    Gap(u64),
    /// It was seen before.
    Repeat,
    /// It comes behind later ones, for the first time.
    OutOfOrder,
    /// Another event has its sequence.
    Fork,
}

/// Where a record stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The stream's name.
    pub(crate) stream: &'a [u8],
    pub(crate) epoch: u32,
    pub(crate) sequence: u64,
    pub(crate) event_id: &'a [u8],
}

/// The latest sequences of the streams that were seen lately. Bounded: the stream that was quiet for longest is forgotten.
pub(crate) struct SequenceWatch {
    // Seeded: the names of streams come from strangers.
    hasher: RandomState,
    streams: RecentStreams,
    /// By a hash of topic and partition: as many as are assigned, or were.
    partitions: FxHashMap<u64, Reading>,
    irregular: Irregularities,
}

/// A stream, as it was last seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    sequence: u64,
    /// Which of the 64 sequences below were seen: the lowest bit is the one just below. What was before the baseline counts as
    /// seen.
    below: u64,
    /// Where the latest record lay.
    offset: i64,
    epoch: u32,
    /// A hash of the latest event's id.
    event: u32,
}

/// How far a partition was read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    next: i64,
    /// From here on no offset was left out: what is missing was not deleted, nor read by somebody else.
    unbroken_from: i64,
}

impl SequenceWatch {
    /// Nothing is remembered.
    pub(crate) fn new() -> Self {
        Self::remembering(STREAMS)
    }

    fn remembering(streams: usize) -> Self {
        let streams = RecentStreams::new(streams);
        let irregular = Irregularities::default();
        Self { hasher: RandomState::default(), streams, partitions: FxHashMap::default(), irregular }
    }

    /// Look at a record that was just read, and count what it is.
    pub(crate) fn watch(&mut self, record: &Record, counters: &Counters) {
        let place = place(record);
        let observed = self.read(&record.topic, record.partition, record.offset, place);
        let (Some(place), Some(observed)) = (place, observed) else { return };
        let (counter, what, amount) = match observed {
            Observation::Baseline | Observation::Next => return,
            Observation::Gap(missing) => {
                log(record, "events of a stream are missing", missing);
                (&counters.gaps, Irregularity::Gap, missing)
            }
            Observation::OutOfOrder => {
                log(record, "an event came behind later ones of its stream", 1);
                (&counters.out_of_order, Irregularity::OutOfOrder, 1)
            }
            Observation::Repeat => (&counters.repeats, Irregularity::Repeat, 1),
            Observation::Fork => {
                log(record, "two events have one sequence: the stream has forked", 1);
                (&counters.forks, Irregularity::Fork, 1)
            }
        };
        Counters::add(counter, amount);
        self.irregular.note(what, &record.topic, place.stream, amount);
    }

    /// What was counted of which streams and topics.
    pub(crate) fn irregular(&self) -> &Irregularities {
        &self.irregular
    }

    /// The record at `offset` was read; what it is to its stream, if it has a place in one.
    fn read(&mut self, topic: &str, partition: i32, offset: i64, place: Option<Place<'_>>) -> Option<Observation> {
        let partition = self.hasher.hash_one((topic, partition));
        let reading = self.partitions.entry(partition).or_insert(Reading { next: offset, unbroken_from: offset });
        if offset > reading.next {
            reading.unbroken_from = offset;
        }
        reading.next = reading.next.max(offset + 1);
        let unbroken_from = reading.unbroken_from;
        place.map(|place| self.observe(partition, unbroken_from, offset, place))
    }

    fn observe(&mut self, partition: u64, unbroken_from: i64, offset: i64, place: Place<'_>) -> Observation {
        let stream = self.hasher.hash_one((partition, place.stream));
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
        let event = self.hasher.hash_one(place.event_id) as u32;
        let Place { epoch, sequence, .. } = place;
        let baseline = Seen { epoch, sequence, below: u64::MAX, event, offset };
        let Some(seen) = self.streams.get_or_insert(stream, baseline) else { return Observation::Baseline };
        match (epoch, sequence).cmp(&(seen.epoch, seen.sequence)) {
            Ordering::Greater if epoch > seen.epoch => {
                *seen = baseline;
                Observation::Baseline
            }
            Ordering::Greater => {
                let step = sequence - seen.sequence;
                if step > 1 && seen.offset < unbroken_from {
                    *seen = baseline;
                    return Observation::Baseline;
                }
                // The latest so far is the one just below after one step.
                let below = match u32::try_from(step) {
                    Ok(step) if step < 64 => (seen.below << step) | (1 << (step - 1)),
                    Ok(64) => 1 << 63,
                    _ => 0,
                };
                *seen = Seen { below, ..baseline };
                if step == 1 { Observation::Next } else { Observation::Gap(step - 1) }
            }
            Ordering::Equal if event == seen.event => Observation::Repeat,
            Ordering::Equal => Observation::Fork,
            // What was further back is not known; a repeat is the better guess.
            Ordering::Less if epoch < seen.epoch || seen.sequence - sequence > 64 => Observation::Repeat,
            Ordering::Less => {
                let bit = 1 << (seen.sequence - sequence - 1);
                let first_time = seen.below & bit == 0;
                seen.below |= bit;
                if first_time { Observation::OutOfOrder } else { Observation::Repeat }
            }
        }
    }
}

impl fmt::Debug for SequenceWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SequenceWatch").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

/// The place of `record` in its stream; `None` for a fire-and-forget event. One pass over the headers: each look-up by name
/// would be another.
pub(crate) fn place(record: &Record) -> Option<Place<'_>> {
    let (mut stream, mut sequence, mut epoch) = (None, None, 0);
    let mut event_id: &[u8] = &[];
    for header in record.headers.iter() {
        let Some(value) = header.value else { continue };
        match header.name {
            name if name == header::SUBJECT.as_bytes() => stream = Some(value),
            name if name == header::SEQUENCE.as_bytes() => sequence = number(value),
            name if name == header::STREAM_EPOCH.as_bytes() => {
                epoch = number(value).and_then(|epoch| u32::try_from(epoch).ok()).unwrap_or(0);
            }
            name if name == header::ID.as_bytes() => event_id = value,
            _ => {}
        }
    }
    Some(Place { stream: stream?, epoch, sequence: sequence?, event_id })
}

/// A decimal number.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    });
    digits.filter(|_| !text.is_empty())
}

/// A stream's name tells whose it is, and does not belong in logs: the record's place does.
fn log(record: &Record, message: &'static str, events: u64) {
    tracing::warn!(topic = &*record.topic, partition = record.partition, offset = record.offset, events, "{message}");
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::transport::Headers;

    /// Reads records of one partition, each at the next offset.
    struct Reader {
        watch: SequenceWatch,
        offset: i64,
    }

    impl Reader {
        fn new() -> Self {
            Self { watch: SequenceWatch::new(), offset: 0 }
        }

        fn see(&mut self, stream: &str, epoch: u32, sequence: u64, event_id: &str) -> Observation {
            let place = Place { stream: stream.as_bytes(), epoch, sequence, event_id: event_id.as_bytes() };
            let seen = self.watch.read("accounts", 0, self.offset, Some(place));
            self.offset += 1;
            seen.unwrap()
        }

        fn see_all(&mut self, sequences: &[u64]) -> Vec<Observation> {
            sequences.iter().map(|sequence| self.see("A/1", 0, *sequence, &sequence.to_string())).collect()
        }
    }

    use Observation::{Baseline, Fork, Gap, Next, OutOfOrder, Repeat};

    #[test]
    fn what_follows_what_is_told() {
        assert_eq!(Reader::new().see_all(&[7, 8, 9, 12, 13]), [Baseline, Next, Next, Gap(2), Next]);
        assert_eq!(Reader::new().see_all(&[7, 8, 8, 7, 9]), [Baseline, Next, Repeat, Repeat, Next]);
        // The late one is late once; then it is a repeat.
        assert_eq!(Reader::new().see_all(&[1, 2, 4, 3, 3, 5]), [Baseline, Next, Gap(1), OutOfOrder, Repeat, Next]);
        // What was before the first one seen is no loss.
        assert_eq!(Reader::new().see_all(&[7, 6]), [Baseline, Repeat]);
    }

    #[test]
    fn a_wide_gap_forgets_no_more_than_it_must() {
        for (gap, late) in [(62, OutOfOrder), (63, OutOfOrder), (64, OutOfOrder), (65, OutOfOrder), (200, OutOfOrder)] {
            let next = 10 + gap + 1;
            assert_eq!(Reader::new().see_all(&[10, next, next - 1]), [Baseline, Gap(gap), late], "{gap}");
        }
        // The one the gap began behind is known as long as it is within sight.
        assert_eq!(Reader::new().see_all(&[10, 10 + 64, 10])[2], Repeat);
        assert_eq!(Reader::new().see_all(&[10, 10 + 63, 10])[2], Repeat);
    }

    #[test]
    fn another_event_with_the_same_sequence_is_a_fork() {
        let mut reader = Reader::new();
        assert_eq!(reader.see("A/1", 0, 5, "one"), Baseline);
        assert_eq!(reader.see("A/1", 0, 5, "another"), Fork);
        assert_eq!(reader.see("A/1", 0, 5, "one"), Repeat);
        assert_eq!(reader.see("A/2", 0, 5, "another"), Baseline, "another stream");
    }

    #[test]
    fn a_new_epoch_begins_anew_and_an_old_one_repeats() {
        let mut reader = Reader::new();
        assert_eq!(reader.see("A/1", 0, 5, "a"), Baseline);
        assert_eq!(reader.see("A/1", 2, 1, "b"), Baseline);
        assert_eq!(reader.see("A/1", 2, 2, "c"), Next);
        assert_eq!(reader.see("A/1", 1, 6, "d"), Repeat);
    }

    #[test]
    fn what_was_deleted_compacted_or_read_by_others_is_not_missed() {
        let mut reader = Reader::new();
        assert_eq!(reader.see_all(&[1, 2]), [Baseline, Next]);
        // Offsets were left out: nothing is known of what lay there.
        reader.offset += 10;
        assert_eq!(reader.see_all(&[9, 10]), [Baseline, Next]);
        // The control: none were left out.
        assert_eq!(reader.see_all(&[12]), [Gap(1)]);
    }

    #[test]
    fn reading_again_from_an_earlier_offset_repeats_and_then_goes_on() {
        let mut reader = Reader::new();
        assert_eq!(reader.see_all(&[1, 2, 3]), [Baseline, Next, Next]);
        reader.offset = 1;
        assert_eq!(reader.see_all(&[2, 3, 4, 6]), [Repeat, Repeat, Next, Gap(1)]);
    }

    #[test]
    fn the_place_of_a_record_is_read_from_its_headers() {
        let mut headers = Headers::new();
        headers.push_str(header::ID, "e7");
        headers.push("ce_subject", Some(b"A/1"));
        headers.push_str(header::SEQUENCE, "00000000000000000007");
        headers.push_str(header::STREAM_EPOCH, "2");
        let mut record = Record {
            topic: "accounts".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: None,
            headers,
        };
        let expected = Place { stream: b"A/1", epoch: 2, sequence: 7, event_id: b"e7" };
        assert_eq!(place(&record), Some(expected));
        record.headers.push_str(header::SEQUENCE, "-7");
        assert_eq!(place(&record), None, "no sequence that can be read");
        assert_eq!(
            (number(b""), number(b"18446744073709551616"), number(b"18446744073709551615")),
            (None, None, Some(u64::MAX))
        );
    }

    #[test]
    fn a_stream_that_was_forgotten_begins_with_a_baseline() {
        let mut watch = SequenceWatch::remembering(4);
        let mut offset = 0;
        let mut see = |stream: u64, sequence| {
            offset += 1;
            let stream = stream.to_string();
            watch
                .read("t", 0, offset, Some(Place { stream: stream.as_bytes(), epoch: 0, sequence, event_id: b"" }))
                .unwrap()
        };
        assert_eq!([see(0, 1), see(0, 3)], [Baseline, Gap(1)]);
        let others: Vec<_> = (1..=4).map(|stream| see(stream, 1)).collect();
        assert_eq!(others, [Baseline; 4]);
        assert_eq!([see(0, 5), see(0, 7)], [Baseline, Gap(1)]);
    }

    proptest! {
        /// Whatever is read in whatever order: the latest sequence is what a plain model says, what is counted as missing less
        /// what came late is what was never seen, and an event is new at most once.
        #[test]
        fn what_is_counted_adds_up(steps in proptest::collection::vec((0_usize..3, 1_u64..50), 1..200)) {
            let mut reader = Reader::new();
            let mut seen: HashMap<usize, HashSet<u64>> = HashMap::new();
            let (mut missing, mut late) = (0, 0);
            for (stream, sequence) in steps {
                let known = seen.entry(stream).or_default();
                let first = known.is_empty();
                let latest = known.iter().max().copied().unwrap_or(sequence);
                let baseline = known.iter().min().copied();
                let observation = reader.see(&format!("S/{stream}"), 0, sequence, &sequence.to_string());
                let expected = if first {
                    Baseline
                } else if sequence == latest + 1 {
                    Next
                } else if sequence > latest {
                    Gap(sequence - latest - 1)
                } else if known.contains(&sequence) || baseline.is_some_and(|baseline| sequence < baseline) {
                    Repeat
                } else {
                    OutOfOrder
                };
                prop_assert_eq!(observation, expected);
                match observation {
                    Gap(events) => missing += events,
                    OutOfOrder => late += 1,
                    _ => {}
                }
                if observation != Repeat {
                    known.insert(sequence);
                }
            }
            let never: u64 = seen.values().map(|known| {
                let (least, most) = (known.iter().min().unwrap(), known.iter().max().unwrap());
                most - least + 1 - known.len() as u64
            }).sum();
            prop_assert_eq!(missing - late, never);
        }
    }
}
