//! What is parked, as the records of the parked topic have it: where each event stands there, not the event itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::stored::{Subject, What, read_event, read_request};
use crate::consumer::parked::{ParkRequest, ParkedKey, ParkedKeyId};
use crate::transport::{Record, TopicPartition};

/// What is parked. An event takes some 50 bytes, a key some 200 beside its own.
#[derive(Debug, Default)]
pub(super) struct Index {
    groups: BTreeMap<Arc<str>, BTreeMap<(TopicPartition, Bytes), Parked>>,
    /// Groups and topics by their names, each in memory once.
    names: HashSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Parked {
    /// The events' own offsets, and their records' offsets in the parked topic.
    events: BTreeMap<i64, i64>,
    request: Option<ParkRequest>,
}

impl Index {
    /// Take note of a record. `false` when it says nothing that makes sense.
    pub(super) fn note(&mut self, record: &Record) -> bool {
        let Some(Subject { key, what }) = record.key.as_deref().and_then(Subject::read) else { return false };
        let ParkedKeyId { group, mut partition, key } = key;
        let group = self.name(group);
        partition.topic = self.name(partition.topic);
        let keys = self.groups.entry(group).or_default();
        let place = (partition, key);
        match what {
            _ if record.payload.is_none() => {
                if let Some(parked) = keys.get_mut(&place) {
                    match what {
                        What::Event(offset) => drop(parked.events.remove(&offset)),
                        What::Request => parked.request = None,
                    }
                    if parked.events.is_empty() && parked.request.is_none() {
                        keys.remove(&place);
                    }
                }
            }
            What::Event(offset) => {
                if read_event(record).is_none() {
                    return false;
                }
                keys.entry(place).or_default().events.insert(offset, record.offset);
            }
            What::Request => {
                let Some(request) = read_request(record) else { return false };
                keys.entry(place).or_default().request = Some(request);
            }
        }
        true
    }

    fn name(&mut self, name: Arc<str>) -> Arc<str> {
        if let Some(known) = self.names.get(&name) {
            return Arc::clone(known);
        }
        self.names.insert(Arc::clone(&name));
        name
    }

    /// The parked keys of these partitions; of all when none is given.
    pub(super) fn keys(&self, group: &str, partitions: &[TopicPartition]) -> Vec<ParkedKey> {
        let Some(keys) = self.groups.get(group) else { return Vec::new() };
        let named: HashSet<_> = partitions.iter().collect();
        let wanted = |partition: &TopicPartition| named.is_empty() || named.contains(partition);
        let shown = |((partition, key), parked): (&(TopicPartition, Bytes), &Parked)| {
            ParkedKey::new(partition.clone(), key.clone(), parked.events.len() as u64, parked.request)
        };
        if let [partition] = partitions {
            let of_partition = keys.range((partition.clone(), Bytes::new())..);
            return of_partition.take_while(|((found, _), _)| found == partition).map(shown).collect();
        }
        keys.iter().filter(|((partition, _), _)| wanted(partition)).map(shown).collect()
    }

    /// The first events of a key: their own offsets, and their records' in the parked topic. `None` when it is not parked.
    pub(super) fn events(&self, key: &ParkedKeyId, limit: usize) -> Option<Vec<(i64, i64)>> {
        let parked = self.parked(key)?;
        Some(parked.events.iter().take(limit).map(|(offset, position)| (*offset, *position)).collect())
    }

    /// The same of one event.
    pub(super) fn event(&self, key: &ParkedKeyId, offset: i64) -> Option<Vec<(i64, i64)>> {
        let position = self.parked(key)?.events.get(&offset)?;
        Some(vec![(offset, *position)])
    }

    fn parked(&self, key: &ParkedKeyId) -> Option<&Parked> {
        self.groups.get(&key.group)?.get(&(key.partition.clone(), key.key.clone()))
    }

    /// The record at `position` is not there any more: somebody else removed it, or wrote nonsense over it.
    pub(super) fn lose(&mut self, key: &ParkedKeyId, offset: i64, position: i64) {
        let keys = self.groups.get_mut(&key.group);
        let parked = keys.and_then(|keys| keys.get_mut(&(key.partition.clone(), key.key.clone())));
        if let Some(parked) = parked
            && parked.events.get(&offset) == Some(&position)
        {
            parked.events.remove(&offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::parked::ParkedRecord;
    use crate::consumer::parked::kafka::stored::{write_event, write_request};
    use crate::transport::{Headers, OutgoingRecord};

    fn key(partition: i32, key: &'static str) -> ParkedKeyId {
        let partition = TopicPartition { topic: "t".into(), partition };
        ParkedKeyId { group: "g".into(), partition, key: Bytes::from_static(key.as_bytes()) }
    }

    fn event(id: &ParkedKeyId, offset: i64) -> OutgoingRecord {
        let ParkedKeyId { partition, key, .. } = id.clone();
        let event = ParkedRecord {
            partition,
            offset,
            timestamp_ms: None,
            key,
            payload: Some(Bytes::from_static(b"payload")),
            headers: Headers::new(),
            cause: None,
        };
        write_event(&"p".into(), id.clone(), &event)
    }

    fn note(index: &mut Index, position: i64, outgoing: OutgoingRecord) -> bool {
        let OutgoingRecord { topic, key, payload, headers, .. } = outgoing;
        index.note(&Record { topic, partition: 0, offset: position, timestamp_ms: None, key, payload, headers })
    }

    #[test]
    fn events_come_in_the_order_of_their_offsets_and_the_last_record_of_each_counts() {
        let (mut index, id) = (Index::default(), key(0, "a"));
        for (position, offset) in [(10, 7), (11, 5), (12, 7), (13, 6)] {
            assert!(note(&mut index, position, event(&id, offset)));
        }
        assert_eq!(index.events(&id, 9), Some(vec![(5, 11), (6, 13), (7, 12)]));
        assert_eq!(index.events(&id, 1), Some(vec![(5, 11)]));
        assert!(note(&mut index, 14, Subject::event(id.clone(), 6).tombstone(&"p".into())));
        assert_eq!(index.keys("g", &[]), [ParkedKey::new(id.partition.clone(), id.key.clone(), 2, None)]);
    }

    #[test]
    fn a_key_is_gone_with_its_last_event_and_its_request() {
        let (mut index, id) = (Index::default(), key(0, "a"));
        note(&mut index, 1, event(&id, 5));
        note(&mut index, 2, write_request(&"p".into(), id.clone(), ParkRequest::Release));
        note(&mut index, 3, Subject::event(id.clone(), 5).tombstone(&"p".into()));
        // A request that nobody has answered yet is.
        assert_eq!(index.keys("g", &[])[0].request, Some(ParkRequest::Release));
        note(&mut index, 4, Subject::request(id.clone()).tombstone(&"p".into()));
        assert!(index.keys("g", &[]).is_empty() && index.events(&id, 1).is_none());
    }

    #[test]
    fn keys_are_those_of_the_partitions_asked_for() {
        let mut index = Index::default();
        for (position, (partition, name)) in (0..).zip([(0, "a"), (1, "b"), (1, "c"), (2, "d")]) {
            note(&mut index, position, event(&key(partition, name), 5));
        }
        let names = |partitions: &[i32]| {
            let named = |partition: &i32| TopicPartition { topic: "t".into(), partition: *partition };
            let keys = index.keys("g", &partitions.iter().map(named).collect::<Vec<_>>());
            keys.iter().map(|key| String::from_utf8_lossy(&key.key).into_owned()).collect::<String>()
        };
        assert_eq!(
            (names(&[]), names(&[1]), names(&[0, 2]), names(&[3])),
            ("abcd".into(), "bc".into(), "ad".into(), String::new())
        );
        assert!(index.keys("another", &[]).is_empty());
    }

    #[test]
    fn nonsense_is_told_and_changes_nothing() {
        let (mut index, id) = (Index::default(), key(0, "a"));
        note(&mut index, 1, event(&id, 5));
        let spoilt = |change: fn(&mut OutgoingRecord)| {
            let mut record = event(&key(0, "a"), 5);
            change(&mut record);
            record
        };
        for record in [
            spoilt(|record| record.key = None),
            spoilt(|record| record.key = Some(Bytes::from_static(b"\xff"))),
            spoilt(|record| record.headers = Headers::new()),
            OutgoingRecord {
                payload: Some(Bytes::from_static(b"burn")),
                ..write_request(&"p".into(), id.clone(), ParkRequest::Skip)
            },
        ] {
            assert!(!note(&mut index, 2, record));
        }
        assert_eq!((index.events(&id, 9), index.keys("g", &[])[0].request), (Some(vec![(5, 1)]), None));
    }
}
