//! The first events of a key, as many as have so many bytes, read in the order that they stand in the topic.

use std::collections::BTreeMap;

use crate::consumer::parked::ParkedRecord;

/// Of the events that come, in whatever order, those with the lowest offsets that are within `bytes` together; one in any case. It
/// never holds more than that and one more.
pub(super) struct First {
    bytes: usize,
    records: BTreeMap<i64, ParkedRecord>,
    held: usize,
    /// Nothing from here on is among them.
    end: Option<i64>,
}

impl First {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, records: BTreeMap::new(), held: 0, end: None }
    }

    /// Whether the event at `offset` may be among them.
    pub(super) fn may_have(&self, offset: i64) -> bool {
        self.end.is_none_or(|end| offset < end)
    }

    pub(super) fn push(&mut self, record: ParkedRecord) {
        self.held = self.held.saturating_add(record.size());
        self.records.insert(record.offset, record);
        while self.held > self.bytes && self.records.len() > 1 {
            let Some((offset, last)) = self.records.pop_last() else { return };
            self.held = self.held.saturating_sub(last.size());
            self.end = Some(offset);
        }
    }

    /// Them, in the order of their offsets.
    pub(super) fn into_vec(self) -> Vec<ParkedRecord> {
        self.records.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::consumer::parked::within;
    use crate::transport::{Headers, TopicPartition};

    fn event(offset: i64, bytes: usize) -> ParkedRecord {
        ParkedRecord {
            partition: TopicPartition { topic: "accounts".into(), partition: 0 },
            offset,
            timestamp_ms: None,
            key: Bytes::from_static(b"42"),
            payload: Some(vec![0; bytes].into()),
            headers: Headers::new(),
            cause: None,
        }
    }

    proptest! {
        #[test]
        fn they_are_those_with_the_lowest_offsets_whatever_the_order_they_come_in(
            sizes in proptest::collection::vec(0_usize..2_000, 0..40),
            order in any::<prop::sample::Index>(),
            bytes in 0_usize..20_000,
        ) {
            let events: Vec<_> = (0..).zip(&sizes).map(|(offset, bytes)| event(offset, *bytes)).collect();
            let largest = events.iter().map(ParkedRecord::size).max().unwrap_or_default();
            let expected = within(events.iter().map(ParkedRecord::size), bytes);
            // One that was parked again stands behind the others.
            let mut coming = events.clone();
            let rotation = order.index(coming.len().max(1));
            coming.rotate_left(rotation);
            let mut first = First::new(bytes);
            for event in coming {
                if first.may_have(event.offset) {
                    first.push(event);
                    prop_assert!(first.held <= bytes.max(largest));
                }
            }
            let found: Vec<_> = first.into_vec().iter().map(|event| event.offset).collect();
            prop_assert_eq!(found, (0..).take(expected).collect::<Vec<_>>());
        }
    }
}
