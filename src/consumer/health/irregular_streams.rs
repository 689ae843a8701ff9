//! The streams whose sequences show gaps, repeats and the like: of each kind those with the most, found in bounded memory.
//!
//! A metric by stream would have as many series as there are streams; what there is by topic is counted for all of them.

use std::sync::Arc;

use serde::Serialize;

use super::key_label::{self, fingerprint};

/// Streams that are counted at once, of each kind. One with more than one in this many of a kind's events is never missed.
const COUNTED: usize = 64;

/// The bytes kept of a stream's name: one more than is shown, so that a cut shows.
const NAME: usize = 65;

/// What a stream's sequences show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Irregularity {
    Gap,
    Repeat,
    OutOfOrder,
    Fork,
}

/// How often each was seen, in the order of [`Irregularity`].
pub(crate) type Counted = [u64; 4];

/// The streams with the most irregular events since the group's member in this process began, of each kind, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[non_exhaustive]
pub struct IrregularStreams {
    /// Those of which events are missing.
    pub gaps: Vec<StreamCount>,
    /// Those of which events came again.
    pub repeats: Vec<StreamCount>,
    /// Those of which events came behind later ones.
    pub out_of_order: Vec<StreamCount>,
    /// Those of which two events have one sequence.
    pub forks: Vec<StreamCount>,
}

/// A stream, and how many events of a kind were counted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamCount {
    /// The topic.
    pub topic: String,
    /// The stream, or what stands for it; see [`HealthOptions::show_keys`](super::HealthOptions::show_keys).
    pub stream: String,
    /// At least so many. It is exact while no more than 64 streams have been irregular.
    pub events: u64,
}

/// Counts what streams' sequences show.
#[derive(Debug, Default)]
pub(crate) struct Irregularities {
    streams: [WorstStreams; 4],
    /// A group reads a few topics.
    topics: Vec<(Arc<str>, Counted)>,
}

/// Counts streams by the space-saving algorithm, as [`HotKeys`](super::HotKeys) counts keys. What a stream inherits is remembered, and not
/// told.
#[derive(Debug, Default)]
struct WorstStreams {
    counts: Vec<Count>,
}

#[derive(Debug)]
struct Count {
    fingerprint: u64,
    topic: Arc<str>,
    name: Box<[u8]>,
    events: u64,
    inherited: u64,
}

impl Irregularities {
    /// So many events of a stream are `what`.
    pub(crate) fn note(&mut self, what: Irregularity, topic: &Arc<str>, stream: &[u8], events: u64) {
        self.streams[what as usize].add(topic, stream, events);
        let of_topic = match self.topics.iter().position(|(known, _)| known == topic) {
            Some(index) => &mut self.topics[index].1,
            None => {
                self.topics.push((Arc::clone(topic), Counted::default()));
                let last = self.topics.len() - 1;
                &mut self.topics[last].1
            }
        };
        // A stranger's sequence may be any number.
        of_topic[what as usize] = of_topic[what as usize].saturating_add(events);
    }

    /// How many of each kind there were in `topic`.
    pub(crate) fn of_topic(&self, topic: &str) -> Counted {
        let found = self.topics.iter().find(|(known, _)| **known == *topic);
        found.map(|(_, counted)| *counted).unwrap_or_default()
    }

    /// The `most` worst of each kind.
    pub(crate) fn streams(&self, most: usize, show: bool) -> IrregularStreams {
        let worst = |what: Irregularity| self.streams[what as usize].worst(most, show);
        IrregularStreams {
            gaps: worst(Irregularity::Gap),
            repeats: worst(Irregularity::Repeat),
            out_of_order: worst(Irregularity::OutOfOrder),
            forks: worst(Irregularity::Fork),
        }
    }
}

impl WorstStreams {
    fn add(&mut self, topic: &Arc<str>, stream: &[u8], events: u64) {
        let fingerprint = fingerprint(stream);
        if let Some(count) =
            self.counts.iter_mut().find(|count| count.fingerprint == fingerprint && count.topic == *topic)
        {
            count.events = count.events.saturating_add(events);
            return;
        }
        let name = stream[..stream.len().min(NAME)].into();
        let count = Count { fingerprint, topic: Arc::clone(topic), name, events, inherited: 0 };
        if self.counts.len() < COUNTED {
            self.counts.push(count);
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|count| count.events) {
            *least = Count { events: least.events.saturating_add(events), inherited: least.events, ..count };
        }
    }

    fn worst(&self, most: usize, show: bool) -> Vec<StreamCount> {
        let told = |count: &Count| StreamCount {
            topic: count.topic.to_string(),
            stream: if show { key_label::shown(&count.name) } else { key_label::fingerprint_text(count.fingerprint) },
            events: count.events - count.inherited,
        };
        let mut order: Vec<_> = self.counts.iter().collect();
        order.sort_by_key(|count| std::cmp::Reverse((count.events - count.inherited, count.events)));
        order.into_iter().take(most).map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn topic() -> Arc<str> {
        "accounts".into()
    }

    fn count(stream: &str, events: u64) -> StreamCount {
        StreamCount { topic: "accounts".to_owned(), stream: stream.to_owned(), events }
    }

    #[test]
    fn each_kind_is_counted_by_itself_by_stream_and_by_topic() {
        let mut irregular = Irregularities::default();
        let other: Arc<str> = "orders".into();
        irregular.note(Irregularity::Gap, &topic(), b"Account/1", 3);
        irregular.note(Irregularity::Gap, &topic(), b"Account/2", 4);
        irregular.note(Irregularity::Gap, &topic(), b"Account/1", 2);
        irregular.note(Irregularity::Repeat, &topic(), b"Account/1", 1);
        irregular.note(Irregularity::Fork, &other, b"Account/1", 1);
        let streams = irregular.streams(10, true);
        assert_eq!(streams.gaps, [count("Account/1", 5), count("Account/2", 4)]);
        assert_eq!((streams.repeats, streams.out_of_order), (vec![count("Account/1", 1)], vec![]));
        assert_eq!(streams.forks[0].topic, "orders");
        assert_eq!((irregular.of_topic("accounts"), irregular.of_topic("orders")), ([9, 1, 0, 0], [0, 0, 0, 1]));
        assert_eq!(irregular.of_topic("quiet"), [0; 4]);
        assert_eq!(irregular.streams(1, true).gaps.len(), 1);
        assert_eq!(irregular.streams(0, true), IrregularStreams::default());
    }

    #[test]
    fn a_streams_name_is_told_only_when_asked_for_and_is_cut() {
        let mut irregular = Irregularities::default();
        irregular.note(Irregularity::Gap, &topic(), &[b'a'; 1_000], 1);
        assert_eq!(irregular.streams(1, true).gaps[0].stream, "a".repeat(64) + "…");
        let told = &irregular.streams(1, false).gaps[0].stream;
        assert!(told.starts_with('#') && !told.contains("aaaa"), "{told}");
    }

    #[test]
    fn a_gap_as_wide_as_a_stranger_makes_it_is_counted() {
        let mut irregular = Irregularities::default();
        for stream in (0..100_u32).chain(0..100) {
            irregular.note(Irregularity::Gap, &topic(), &stream.to_be_bytes(), u64::MAX - 1);
        }
        assert_eq!(irregular.of_topic("accounts")[0], u64::MAX);
        assert_eq!(irregular.streams(COUNTED, false).gaps.len(), COUNTED);
    }

    proptest! {
        /// However many streams are irregular: memory is bounded, nothing is told of a stream that did not happen, the
        /// topic's count is exact, and a stream with a large part of it is there.
        #[test]
        fn what_is_told_of_a_stream_is_true_of_it(
            notes in prop::collection::vec((0_u32..300, 1_u64..5), 1..600), often in 0_u32..300, in_all in 0_usize..300,
        ) {
            let mut irregular = Irregularities::default();
            let mut truth = HashMap::<String, u64>::new();
            let mut total = 0;
            let steps = notes.iter().copied().chain(std::iter::repeat_n((often, 1), in_all));
            for (stream, events) in steps {
                let stream = stream.to_string();
                irregular.note(Irregularity::Repeat, &topic(), stream.as_bytes(), events);
                *truth.entry(stream).or_default() += events;
                total += events;
            }
            prop_assert_eq!(irregular.of_topic("accounts"), [0, total, 0, 0]);
            let told = irregular.streams(COUNTED, true).repeats;
            prop_assert!(irregular.streams[1].counts.len() <= COUNTED);
            for count in &told {
                prop_assert!(count.events <= truth[&count.stream] && (truth.len() > COUNTED || count.events == truth[&count.stream]));
            }
            for (stream, events) in truth {
                let found = told.iter().any(|count| count.stream == stream);
                prop_assert!(found || events <= total / COUNTED as u64, "{} of {}", events, total);
            }
        }
    }
}
