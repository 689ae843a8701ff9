//! A bounded memory of streams: the ones seen lately.
//!
//! A linked list in the order of use would cost several cache misses a record. Here a stream has its place in one small set, and
//! the one of its set that was seen longest ago makes room.

use super::sequences::Seen;

/// How many streams share a set.
const WAYS: usize = 4;

/// A set of streams: their hashes, when each was last used, and what is known of them.
#[derive(Clone, Default)]
#[repr(align(64))]
struct Set {
    keys: [u64; WAYS],
    used: [u32; WAYS],
    seen: [Seen; WAYS],
}

/// The streams seen lately, by a hash of their names.
pub(super) struct RecentStreams {
    sets: Box<[Set]>,
    /// Counts uses; when it begins anew, some streams are taken for older than they are, which is no harm.
    clock: u32,
}

impl RecentStreams {
    /// Room for about `streams` of them.
    pub(super) fn new(streams: usize) -> Self {
        let sets = streams.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![Set::default(); sets].into(), clock: 0 }
    }

    /// What is known of the stream `key`; `None` if nothing was, and from now on `new`.
    pub(super) fn get_or_insert(&mut self, key: u64, new: Seen) -> Option<&mut Seen> {
        // Zero is an empty place.
        let key = key.max(1);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the set")]
        let index = key as usize & (self.sets.len() - 1);
        self.clock = self.clock.wrapping_add(1);
        let set = &mut self.sets[index];
        if let Some(way) = set.keys.iter().position(|known| *known == key) {
            set.used[way] = self.clock;
            return Some(&mut set.seen[way]);
        }
        let oldest =
            (0..WAYS).min_by_key(|way| if set.keys[*way] == 0 { 0 } else { set.used[*way].max(1) }).unwrap_or(0);
        set.keys[oldest] = key;
        set.used[oldest] = self.clock;
        set.seen[oldest] = new;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of one set.
    fn key(number: u64) -> u64 {
        number << 32 | 1
    }

    #[test]
    fn the_stream_of_a_set_that_was_seen_longest_ago_makes_room() {
        let mut recent = RecentStreams::new(64);
        let mut known = |number| recent.get_or_insert(key(number), Seen::default()).is_some();
        assert_eq!([1, 2, 3, 4].map(&mut known), [false; 4]);
        assert!(known(1), "and is the latest now");
        assert!(!known(5));
        assert_eq!([1, 3, 4, 5].map(&mut known), [true; 4]);
        assert!(!known(2));
    }

    #[test]
    fn every_stream_is_remembered_as_long_as_its_set_has_room() {
        let mut recent = RecentStreams::new(64);
        for set in 0..16 {
            for number in 1..=4 {
                assert!(recent.get_or_insert(number << 32 | set, Seen::default()).is_none());
            }
        }
        for set in 0..16 {
            for number in 1..=4 {
                assert!(recent.get_or_insert(number << 32 | set, Seen::default()).is_some(), "{set} {number}");
            }
        }
        // A hash of zero is a hash like any other.
        assert!(recent.get_or_insert(0, Seen::default()).is_none());
        assert!(recent.get_or_insert(0, Seen::default()).is_some());
    }
}
