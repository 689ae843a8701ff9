//! Comparing a topic with where its events come from.
//!
//! Events are committed and published while an audit runs, so the order of looking decides. First the topic was read to its end,
//! then the origin's streams are: what they have given out and the topic did not show is suspected. Then the unpublished events
//! are read, then the topic to its new end. An event that was committed before the second look, was not unpublished at the
//! third, and is not in the topic at the fourth, is lost: it left the origin only once Kafka had acknowledged it.

use rustc_hash::FxHashMap;

use super::log::Log;
use super::names::StreamKey;
use super::origin::{Claim, Unpublished};
use super::ranges::Ranges;
use super::report::{AuditReport, Flaw, MAX_RANGES, StreamReport};
use super::streams::{Seen, Streams};

/// The most streams that are suspected at a time.
pub(super) const MAX_SUSPECTS: usize = 100_000;

/// Streams that ought to go further than the topic shows, and what explains it.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    suspects: FxHashMap<StreamKey, Suspect>,
    on_the_way: FxHashMap<StreamKey, OnTheWay>,
}

#[derive(Debug)]
struct Suspect {
    claim: Claim,
    /// How many events the topic showed before the origin was asked, and the origin does not know.
    unknown: u64,
}

/// Events of a stream that are committed and not published.
#[derive(Debug, Default)]
struct OnTheWay {
    waiting: Ranges,
    parked: Ranges,
}

impl Comparison {
    /// Look at what the origin says of a stream; whether there is room for more suspects.
    pub(super) fn claim(&mut self, streams: &Streams, log: &Log, claim: Claim) -> bool {
        let stream = streams.names().stream(claim.stream.as_bytes());
        if streams.covers(stream) {
            let latest = latest(streams, log, stream).map(|(_, seen)| (seen.epoch, seen.sequence));
            if claim.sequence > 0 && latest != Some((claim.epoch, claim.sequence)) {
                let unknown = match latest {
                    Some((epoch, sequence)) if epoch == claim.epoch => sequence.saturating_sub(claim.sequence),
                    Some((epoch, _)) => u64::from(epoch > claim.epoch),
                    None => 0,
                };
                self.suspects.insert(stream, Suspect { claim, unknown });
            }
        }
        self.suspects.len() < MAX_SUSPECTS
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Take note of an event that is on its way, where it matters.
    pub(super) fn on_the_way(&mut self, streams: &Streams, log: &Log, event: &Unpublished) {
        let stream = streams.names().stream(event.stream.as_bytes());
        if !streams.covers(stream) {
            return;
        }
        if self.suspects.contains_key(&stream) || is_flawed(streams, log, stream) {
            let on_the_way = self.on_the_way.entry(stream).or_default();
            let ranges = if event.is_parked { &mut on_the_way.parked } else { &mut on_the_way.waiting };
            if !ranges.contains(event.epoch, event.sequence) {
                ranges.add(event.epoch, event.sequence, event.sequence);
            }
        }
    }

    /// Tell what became of the suspects, now that the topic was read on.
    pub(super) fn settle(&mut self, streams: &Streams, log: &Log, report: &mut AuditReport) {
        for (stream, Suspect { claim, unknown }) in std::mem::take(&mut self.suspects) {
            if !streams.covers(stream) {
                // Left for a later pass since it was suspected: what is known of it here is nothing.
                continue;
            }
            let latest = latest(streams, log, stream);
            let mut told = StreamReport {
                partition: latest.map(|(partition, _)| partition),
                stream: claim.stream.clone(),
                unknown,
                ..StreamReport::default()
            };
            let mut missing = Ranges::default();
            match latest {
                // Nothing was ever deleted, and yet it never was there; of a later epoch that goes on from another, the last one at least.
                None if log.is_whole() => {
                    let is_known = claim.from_one || claim.epoch == 0;
                    missing.add(claim.epoch, if is_known { 1 } else { claim.sequence }, claim.sequence);
                }
                None => {}
                // More may have been published since the claim was made.
                Some((_, seen)) if (claim.epoch, claim.sequence) <= (seen.epoch, seen.sequence) => {}
                // Where the epoch began is not known, nor whether it has events.
                Some((_, seen)) if claim.epoch != seen.epoch && !claim.from_one => {}
                Some((partition, seen)) => {
                    let before = if claim.epoch == seen.epoch { seen.sequence } else { 0 };
                    if claim.sequence - before > log.unread(partition).saturating_sub(seen.unread) {
                        missing.add(claim.epoch, before + 1, claim.sequence);
                    }
                }
            }
            if let Some(on_the_way) = self.on_the_way.get(&stream) {
                told.waiting = missing.subtract(&on_the_way.waiting);
                told.parked = missing.subtract(&on_the_way.parked);
            }
            told.missing_events = missing.count();
            told.missing = missing.first(MAX_RANGES);
            report.tell(told);
        }
        // Of the others nobody asks any more.
        self.on_the_way.retain(|stream, _| is_flawed(streams, log, *stream));
    }

    /// Tell what is wrong within the topic, less what is on its way.
    pub(super) fn tell_flaws(&self, streams: &Streams, log: &Log, report: &mut AuditReport) {
        for slot in streams.slots() {
            report.totals.add(&slot.totals);
            report.totals.streams += slot.seen.len() as u64;
            report.unlisted_streams += slot.unlisted;
            for flaw in slot.flaws.values() {
                report.tell(self.told(streams, log, flaw));
            }
        }
    }

    fn told(&self, streams: &Streams, log: &Log, flaw: &Flaw) -> StreamReport {
        let stream = streams.names().stream(flaw.stream.as_bytes());
        let mut missing = flaw.missing.clone();
        if flaw.headless {
            // A topic that has grown: the stream began in another partition.
            for number in log.partitions().keys().filter(|number| **number != flaw.partition) {
                if let Some(seen) = streams.seen(stream.in_partition(*number)) {
                    let mut elsewhere = Ranges::default();
                    elsewhere.add(0, 1, if seen.epoch == 0 { seen.sequence } else { u64::MAX });
                    missing.subtract(&elsewhere);
                }
            }
        }
        let (mut waiting, mut parked) = (0, 0);
        if let Some(on_the_way) = self.on_the_way.get(&stream) {
            waiting = missing.subtract(&on_the_way.waiting);
            parked = missing.subtract(&on_the_way.parked);
        }
        StreamReport { waiting, parked, ..flaw.report(&missing) }
    }
}

/// Whether something is wrong with the stream in any partition.
fn is_flawed(streams: &Streams, log: &Log, stream: StreamKey) -> bool {
    let flaws = &streams.slot(stream).flaws;
    !flaws.is_empty() && log.partitions().keys().any(|number| flaws.contains_key(&stream.in_partition(*number).rest))
}

/// The stream's latest event in any partition.
fn latest(streams: &Streams, log: &Log, stream: StreamKey) -> Option<(i32, Seen)> {
    let seen = |number: &i32| Some((*number, *streams.seen(stream.in_partition(*number))?));
    log.partitions().keys().filter_map(seen).max_by_key(|(_, seen)| (seen.epoch, seen.sequence))
}

#[cfg(test)]
mod tests {
    use super::super::names::{Names, SLOTS};
    use super::super::streams::Sighting;
    use super::*;
    use crate::consumer::sequences::Place;

    #[test]
    fn what_explained_a_suspect_is_kept_only_where_something_is_wrong_with_its_stream() {
        let (mut streams, mut log) = (Streams::new(Names::new([7, 8]), 0..SLOTS), Log::beginning([(0, 0)]));
        let seen = [("Account/1", 1), ("Account/2", 1), ("Account/2", 3)];
        for (offset, (stream, sequence)) in (0..).zip(seen) {
            let place = Place { stream: stream.as_bytes(), epoch: 0, sequence, event_id: b"id" };
            let unread = log.read(0, offset).unwrap();
            streams.see(Sighting { partition: 0, offset, unread, place });
        }
        let mut comparison = Comparison::default();
        for (stream, sequence) in [("Account/1", 2), ("Account/2", 2)] {
            let stream = stream.to_owned();
            comparison.claim(&streams, &log, Claim { stream: stream.clone(), epoch: 0, sequence, from_one: true });
            comparison.on_the_way(&streams, &log, &Unpublished { stream, epoch: 0, sequence, is_parked: false });
        }
        assert_eq!(comparison.on_the_way.len(), 2);
        let mut report = AuditReport::default();
        comparison.settle(&streams, &log, &mut report);
        comparison.tell_flaws(&streams, &log, &mut report);
        assert_eq!((report.totals.missing, report.totals.waiting), (0, 2));
        assert_eq!(comparison.on_the_way.len(), 1);
    }
}
