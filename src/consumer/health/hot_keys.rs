//! The keys that most events have, found in bounded memory and next to no time.

use super::HotKey;
use super::key_label::{fingerprint, fingerprint_text, shown};
use crate::transport::Record;

/// Keys that are counted at once. A key with more than one in this many of the events is never missed.
const COUNTED: usize = 64;

/// The most records of a batch that are looked at.
const SAMPLES: usize = 8;

/// Counts keys by the space-saving algorithm (Metwally, Agrawal, El Abbadi, 2005): a key that is not counted yet takes the place of
/// the rarest one, and inherits its count. Of a large batch some records stand for the others.
#[derive(Debug, Default)]
pub(crate) struct HotKeys {
    counts: Vec<Count>,
    /// Of all events.
    total: u64,
    random: u64,
}

#[derive(Debug)]
struct Count {
    fingerprint: u64,
    topic: usize,
    events: u64,
    /// Only where keys are shown.
    key: Option<Box<[u8]>>,
}

impl HotKeys {
    /// Count the keys of a batch of the topic with this index.
    pub(crate) fn count(&mut self, topic: usize, batch: &[Record], show: bool) {
        let stride = batch.len().div_ceil(SAMPLES).max(1);
        self.total += batch.len() as u64;
        for block in batch.chunks(stride) {
            // Not always the same place: keys may come in turns. Knuth's generator (MMIX) is good enough for that.
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = usize::try_from(self.random >> 33).unwrap_or_default() % block.len();
            if let Some(key) = &block[index].key {
                self.add(topic, key, block.len() as u64, show);
            }
        }
    }

    fn add(&mut self, topic: usize, key: &[u8], events: u64, show: bool) {
        let fingerprint = fingerprint(key);
        if let Some(count) =
            self.counts.iter_mut().find(|count| count.fingerprint == fingerprint && count.topic == topic)
        {
            count.events += events;
            return;
        }
        // One byte more than is shown, so that a cut shows.
        let key = show.then(|| key[..key.len().min(65)].into());
        if self.counts.len() < COUNTED {
            self.counts.push(Count { fingerprint, topic, events, key });
        } else if let Some(rarest) = self.counts.iter_mut().min_by_key(|count| count.events) {
            *rarest = Count { fingerprint, topic, events: rarest.events + events, key };
        }
    }

    /// Forget half: called every 30 s, what is counted is about the last minute's.
    pub(crate) fn decay(&mut self) {
        self.total /= 2;
        self.counts.retain_mut(|count| {
            count.events /= 2;
            count.events > 0
        });
    }

    /// The `most` hottest keys, the hottest first.
    pub(crate) fn hottest(&self, most: usize, topic: impl Fn(usize) -> String) -> Vec<HotKey> {
        let mut order: Vec<_> = self.counts.iter().collect();
        order.sort_unstable_by_key(|count| std::cmp::Reverse(count.events));
        let told = |count: &&Count| HotKey {
            topic: topic(count.topic),
            key: count.key.as_deref().map_or_else(|| fingerprint_text(count.fingerprint), shown),
            events: count.events,
            share: count.events as f64 / self.total.max(1) as f64,
        };
        order.iter().take(most).map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transport::Headers;

    fn batch(keys: impl IntoIterator<Item = String>) -> Vec<Record> {
        let record = |key: String| Record {
            topic: "accounts".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(Bytes::from(key)),
            payload: None,
            headers: Headers::new(),
        };
        keys.into_iter().map(record).collect()
    }

    #[test]
    fn a_hot_key_among_many_is_found_with_about_its_share() {
        let mut hot = HotKeys::default();
        for round in 0..200 {
            let key = |index: u32| {
                if index.is_multiple_of(5) { "hot".to_owned() } else { format!("{}", round * 128 + index) }
            };
            hot.count(0, &batch((0..128).map(key)), true);
        }
        let hottest = hot.hottest(3, |_| "accounts".to_owned());
        assert_eq!((hottest[0].key.as_str(), hottest.len()), ("hot", 3));
        assert!((0.1..0.4).contains(&hottest[0].share), "{hottest:?}");
        assert!(hot.counts.len() <= COUNTED);
    }

    #[test]
    fn single_events_are_all_counted_and_fade() {
        let mut hot = HotKeys::default();
        for key in ["a", "b", "a", "a"] {
            hot.count(0, &batch([key.to_owned()]), false);
        }
        let hottest = hot.hottest(2, |_| String::new());
        assert_eq!((hottest[0].events, hottest[1].events), (3, 1));
        assert!(hottest[0].key.starts_with('#'));
        hot.decay();
        hot.decay();
        assert!(hot.hottest(2, |_| String::new()).is_empty());
    }
}
