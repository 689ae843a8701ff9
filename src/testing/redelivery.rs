//! Deliveries that come again: what Kafka does after a crash, on request.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::journal::Place;
use super::member::Member;
use super::panics::fail;
use super::service::Service;
use super::stage::Stage;
use super::{EventRef, TestKit};
use crate::consumer::commit_metadata::CommitMetadata;
use crate::consumer::offsets::Run;
use crate::transport::kafka::scratch;
use crate::transport::{CommitOffset, OutgoingRecord};

/// The largest metadata that a commit may carry by Kafka's default, in bytes.
const METADATA_BYTES: usize = 4_096;

impl TestKit {
    /// Every process dies after its handlers completed and before the offsets were committed, and as many take over from the last
    /// commit and the completed events it names. What was handled since is delivered again; commits are due when the commit
    /// interval has passed on the kit's clock, which [`advance`](Self::advance) moves. The new members, in the order of the old.
    ///
    /// On real brokers a dead member is gone at once there, too: its session is not waited for.
    ///
    /// # Panics
    /// A process does not end.
    #[track_caller]
    pub fn crash_before_commit(&self) -> impl Future<Output = Vec<Member>> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            kit.settled(caller).await;
            let members = kit.living();
            for member in &members {
                member.crash_for(caller).await;
            }
            members.iter().map(|member| kit.start_process(&member.process.service, caller)).collect()
        }
    }

    /// Deliver an event again that was handled, as after a crash: the same record, and no other. Every process that reads it stops
    /// in order, its group is set back to that record, and as many new processes take over.
    ///
    /// # Panics
    /// A group is not done with the event, so that it will be delivered anyway.
    #[track_caller]
    pub fn redeliver(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            kit.settled(caller).await;
            let places = kit.inner.journal.lock().places_of(&id);
            let Some(place) = places.into_iter().next_back() else { return };
            let groups: Vec<_> = {
                let state = kit.inner.journal.lock();
                let reading = state.groups.iter().filter(|(_, group)| group.topics.contains(&place.0.topic));
                reading.map(|(name, group)| (Arc::clone(name), group.is_done(&place))).collect()
            };
            if let Some((group, _)) = groups.iter().find(|(_, done)| !done) {
                fail(caller, format_args!("{group} is not done with {id}: it will be delivered anyway"));
            }
            let reads = |member: &Member| member.process.service.topics().contains(&place.0.topic);
            let members: Vec<_> = kit.living().into_iter().filter(reads).collect();
            for member in &members {
                member.leave_for(caller).await;
            }
            for (group, _) in &groups {
                let mut services = members.iter().map(|member| &member.process.service);
                let fingerprint = services.find_map(|service| Service::fingerprint(service, group));
                kit.set_back(group, &place, fingerprint.unwrap_or_default(), caller).await;
            }
            for member in &members {
                kit.start_process(&member.process.service, caller);
            }
        }
    }

    /// Write an event's record once more, behind what there is: the same id, key and payload, as the late repeat of a publisher.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn repeat(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            let record = {
                let state = kit.inner.journal.lock();
                state.places_of(&id).first().and_then(|place| state.records.get(place).cloned())
            };
            let Some(record) = record else { return };
            let again = OutgoingRecord {
                topic: record.topic,
                partition: Some(record.partition),
                key: record.key,
                payload: record.payload,
                headers: record.headers,
                timestamp_ms: record.timestamp_ms,
            };
            if let Err(error) = kit.producer().send(again).await {
                fail(caller, super::panics::chain(&error));
            }
        }
    }

    fn living(&self) -> Vec<Member> {
        self.inner.members.lock().iter().filter(|member| !member.has_ended()).cloned().collect()
    }

    /// Commit for a group without members that all is complete which was, but for the record at `place`.
    async fn set_back(&self, group: &Arc<str>, place: &Place, fingerprint: u64, caller: &Location<'_>) {
        let (partition, offset) = place;
        let known = self.inner.journal.lock().groups.get(group).and_then(|group| group.commits.get(partition).cloned());
        let (watermark, runs) = known.map_or((0, Vec::new()), |commit| {
            let completed = CommitMetadata::decode(&commit.metadata, commit.offset);
            (commit.offset, completed.map(|known| known.completed).unwrap_or_default())
        });
        let (watermark, runs) = without(watermark, &runs, *offset);
        let commit = CommitOffset {
            partition: self.inner.stage.real_partition(partition),
            offset: watermark,
            metadata: CommitMetadata::encode(fingerprint, watermark, &runs, METADATA_BYTES),
        };
        let group = self.inner.stage.real(group);
        match &*self.inner.stage {
            Stage::Memory(broker) => broker.commit_for_group(&group, commit),
            Stage::Kafka { options, .. } => {
                let options = options.clone();
                let committed =
                    tokio::task::spawn_blocking(move || scratch::commit_for_group(&options, &group, &commit)).await;
                if let Err(reason) = committed.unwrap_or_else(|error| Err(error.to_string())) {
                    fail(caller, format_args!("the group could not be set back: {reason}"));
                }
            }
        }
    }
}

/// What is complete below `watermark` and in `runs`, but for `offset`.
fn without(watermark: i64, runs: &[Run], offset: i64) -> (i64, Vec<Run>) {
    let below = (offset < watermark).then_some((offset, watermark));
    let runs = below.into_iter().chain(runs.iter().copied());
    let split = runs.flat_map(|(start, end)| {
        let pieces = if (start..end).contains(&offset) {
            [(start, offset), (offset + 1, end)]
        } else {
            [(start, end), (end, end)]
        };
        pieces.into_iter().filter(|(start, end)| start < end)
    });
    (watermark.min(offset), split.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_offset_is_taken_out_of_what_is_complete() {
        assert_eq!(without(10, &[(12, 15)], 3), (3, vec![(4, 10), (12, 15)]));
        assert_eq!(without(10, &[(12, 15)], 13), (10, vec![(12, 13), (14, 15)]));
        assert_eq!(without(10, &[(12, 15)], 9), (9, vec![(12, 15)]));
        assert_eq!(without(10, &[(12, 13)], 12), (10, vec![]));
    }
}
