//! What an audit found.

use serde::{Deserialize, Serialize};

use super::ranges::{Ranges, SequenceRange};

/// What an audit found in a topic, and in what ought to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// The topic.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How often it was read: more than once where its streams did not fit into the memory allowed.
    pub passes: u32,
    /// What was counted.
    #[serde(flatten)]
    pub totals: AuditTotals,
    /// Streams of which something is wrong, or waits; by partition, then by name. At most 100,000, and at most 64 MiB of them. Written
    /// `listed_streams`, beside the number of all streams.
    #[serde(rename = "listed_streams")]
    pub streams: Vec<StreamReport>,
    /// How many more there are, of which only the counts are known.
    pub unlisted_streams: u64,
    /// What the streams that are listed take, in bytes.
    #[serde(skip)]
    pub(super) listed: usize,
}

/// What an audit counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditTotals {
    /// Records with a place in a stream.
    pub events: u64,
    /// Records without one: fire-and-forget events, and what others wrote.
    pub unsequenced: u64,
    /// Streams; one that goes on in another partition counts once in each.
    pub streams: u64,
    /// Events that were never seen, though later ones of their stream were, or the database says that they were committed.
    pub missing: u64,
    /// Events that came again.
    pub repeated: u64,
    /// Events that came behind later ones of their stream, for the first time.
    pub out_of_order: u64,
    /// Events that have the sequence of another one.
    pub forked: u64,
    /// Events in the topic of which the database knows nothing: it may be an older copy.
    pub unknown: u64,
    /// Events that are not in the topic, but in the outbox.
    pub waiting: u64,
    /// Events that are not in the topic, but parked in the outbox.
    pub parked: u64,
    /// Events that are not there, but may have been compacted away or deleted: offsets are left out where they were.
    pub deleted: u64,
}

/// A stream of which something is wrong, or waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamReport {
    /// The partition; `None` for a stream that is in none.
    pub partition: Option<i32>,
    /// The stream.
    pub stream: String,
    /// What is missing; at most 1,000 ranges.
    pub missing: Vec<SequenceRange>,
    /// How many events are missing.
    pub missing_events: u64,
    /// How many events came again.
    pub repeated: u64,
    /// How many events came behind later ones.
    pub out_of_order: u64,
    /// How many events have the sequence of another one.
    pub forked: u64,
    /// How many events the database knows nothing of.
    pub unknown: u64,
    /// How many events wait in the outbox.
    pub waiting: u64,
    /// How many events are parked in the outbox.
    pub parked: u64,
    /// The first record that came again, late or with another's sequence.
    pub first: Option<Occurrence>,
}

/// A record, where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Occurrence {
    /// The epoch.
    pub epoch: u32,
    /// The sequence.
    pub sequence: u64,
    /// The offset.
    pub offset: i64,
}

/// What an audit counts as wrong. Default: everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance {
    repeats: bool,
}

impl Tolerance {
    /// Let repeats pass: delivery is at least once, and a relay that was killed publishes again what it had not yet deleted.
    /// Default: no.
    #[must_use]
    pub fn repeats(mut self, pass: bool) -> Self {
        self.repeats = pass;
        self
    }
}

impl AuditReport {
    /// Whether something is wrong.
    pub fn is_wrong(&self, tolerance: Tolerance) -> bool {
        let AuditTotals { missing, repeated, out_of_order, forked, unknown, .. } = self.totals;
        [missing, out_of_order, forked, unknown].iter().any(|count| *count > 0) || (repeated > 0 && !tolerance.repeats)
    }
}

impl AuditReport {
    /// Take a stream in, where there is anything to tell of it.
    pub(super) fn tell(&mut self, stream: StreamReport) {
        let StreamReport { missing_events, repeated, out_of_order, forked, unknown, waiting, parked, .. } = stream;
        let told = AuditTotals {
            missing: missing_events,
            repeated,
            out_of_order,
            forked,
            unknown,
            waiting,
            parked,
            ..AuditTotals::default()
        };
        if told == AuditTotals::default() {
            return;
        }
        self.totals.add(&told);
        self.list(stream);
    }

    /// Take in what another pass has found.
    pub(super) fn add(&mut self, pass: Self) {
        self.passes += 1;
        self.totals.add(&pass.totals);
        self.unlisted_streams += pass.unlisted_streams;
        for stream in pass.streams {
            self.list(stream);
        }
    }

    /// All but the list of streams.
    #[cfg(feature = "cli")]
    pub(crate) fn without_streams(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partitions: self.partitions,
            passes: self.passes,
            totals: self.totals,
            streams: Vec::new(),
            unlisted_streams: self.unlisted_streams,
            listed: 0,
        }
    }

    pub(super) fn list(&mut self, stream: StreamReport) {
        let listed = self.listed.saturating_add(stream.bytes());
        if self.streams.len() < MAX_STREAMS && listed <= MAX_LISTED {
            self.listed = listed;
            self.streams.push(stream);
        } else {
            self.unlisted_streams += 1;
        }
    }

    /// In an order that does not depend on hashes, each once.
    pub(super) fn sort(&mut self) {
        self.streams.sort_by(|left, right| (left.partition, &left.stream).cmp(&(right.partition, &right.stream)));
        // A stream that is wrong inside and behind its end was told twice.
        self.streams.dedup_by(|later, earlier| {
            let same = (later.partition, &later.stream) == (earlier.partition, &earlier.stream);
            if same {
                earlier.merge(later);
            }
            same
        });
    }
}

impl AuditTotals {
    pub(super) fn add(&mut self, other: &Self) {
        for (mine, others) in [
            (&mut self.events, other.events),
            (&mut self.unsequenced, other.unsequenced),
            (&mut self.streams, other.streams),
            (&mut self.missing, other.missing),
            (&mut self.repeated, other.repeated),
            (&mut self.out_of_order, other.out_of_order),
            (&mut self.forked, other.forked),
            (&mut self.unknown, other.unknown),
            (&mut self.waiting, other.waiting),
            (&mut self.parked, other.parked),
            (&mut self.deleted, other.deleted),
        ] {
            *mine = mine.saturating_add(others);
        }
    }
}

/// The most ranges that are kept of a stream.
pub(super) const MAX_RANGES: usize = 1_000;
/// The most streams that are listed.
const MAX_STREAMS: usize = 100_000;
/// The most bytes that they take: streams with a thousand ranges each would be gigabytes.
const MAX_LISTED: usize = 64 * 1_024 * 1_024;

/// What is wrong with a stream in a partition, while it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flaw {
    pub(super) partition: i32,
    pub(super) stream: String,
    pub(super) missing: Ranges,
    /// Missing, and more ranges than are kept.
    pub(super) missing_unlisted: u64,
    pub(super) repeated: u64,
    pub(super) out_of_order: u64,
    pub(super) forked: u64,
    /// Nothing was deleted before its first event, and yet that is not the first: it begins elsewhere, or its beginning is missing.
    pub(super) headless: bool,
    pub(super) first: Option<Occurrence>,
}

impl Flaw {
    pub(super) fn new(partition: i32, stream: &[u8]) -> Self {
        Self { partition, stream: String::from_utf8_lossy(stream).into_owned(), ..Self::default() }
    }

    pub(super) fn miss(&mut self, epoch: u32, from: u64, to: u64) {
        if self.missing.ranges().len() < MAX_RANGES {
            self.missing.add(epoch, from, to);
        } else {
            self.missing_unlisted = self.missing_unlisted.saturating_add((to - from).saturating_add(1));
        }
    }

    /// An event came late; whether it was known to be missing. Where that would make a range too many, the fewer of the events on one
    /// side of it go on being missing without being listed: the count stays right, but who comes late of these is taken for a repeat, and
    /// is missing still. Better a false alarm than a loss that nobody hears of.
    pub(super) fn arrive(&mut self, epoch: u32, sequence: u64) -> bool {
        let dropped = self.missing.remove(epoch, sequence, MAX_RANGES);
        self.missing_unlisted = self.missing_unlisted.saturating_add(dropped.unwrap_or_default());
        dropped.is_some()
    }

    /// What it takes beside itself, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.stream.capacity() + self.missing.bytes()
    }

    /// As it is told, where `missing` is what is really missing.
    pub(super) fn report(&self, missing: &Ranges) -> StreamReport {
        StreamReport {
            partition: Some(self.partition),
            stream: self.stream.clone(),
            missing_events: missing.count().saturating_add(self.missing_unlisted),
            missing: missing.first(MAX_RANGES),
            repeated: self.repeated,
            out_of_order: self.out_of_order,
            forked: self.forked,
            first: self.first,
            ..StreamReport::default()
        }
    }
}

impl StreamReport {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.stream.capacity() + self.missing.capacity() * size_of::<SequenceRange>()
    }

    fn merge(&mut self, other: &mut Self) {
        self.missing.append(&mut other.missing);
        self.missing.sort_unstable();
        self.missing.truncate(MAX_RANGES);
        self.first = self.first.or(other.first);
        for (mine, others) in [
            (&mut self.missing_events, other.missing_events),
            (&mut self.repeated, other.repeated),
            (&mut self.out_of_order, other.out_of_order),
            (&mut self.forked, other.forked),
            (&mut self.unknown, other.unknown),
            (&mut self.waiting, other.waiting),
            (&mut self.parked, other.parked),
        ] {
            *mine = mine.saturating_add(others);
        }
    }
}
