//! Streams by hash: a name would take more memory than all that is remembered of its stream.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// How many parts the streams are divided into by their hash.
pub(super) const SLOTS: u16 = 256;

/// Hashes names of streams. Keyed, because the names come from strangers; the key is kept with an audit's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    key: [u64; 2],
}

/// A stream: 72 bits of its name's hash. Among a billion streams two have the same with a chance of one in ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    pub(super) slot: u8,
    pub(super) rest: u64,
}

impl Names {
    pub(super) const fn new(key: [u64; 2]) -> Self {
        Self { key }
    }

    pub(super) const fn key(self) -> [u64; 2] {
        self.key
    }

    pub(super) fn stream(self, name: &[u8]) -> StreamKey {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write(name);
        let hash = hasher.finish128();
        let [slot, ..] = hash.h2.to_le_bytes();
        StreamKey { slot, rest: hash.h1 }
    }

    /// Half of a hash of an event's id, to tell a repeat from a fork.
    pub(super) fn event(self, id: &[u8]) -> u32 {
        let [a, b, c, d, ..] = self.stream(id).rest.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

impl StreamKey {
    /// The same stream in `partition`: where topics have grown, a stream goes on in another one.
    pub(super) fn in_partition(self, partition: i32) -> Self {
        let number = u64::from(partition.unsigned_abs());
        Self { rest: self.rest.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_hash_depends_on_its_name_the_key_and_the_partition_only() {
        let (one, other) = (Names::new([1, 2]), Names::new([1, 3]));
        assert_eq!(one.stream(b"Account/42"), Names::new(one.key()).stream(b"Account/42"));
        assert_ne!(one.stream(b"Account/42"), other.stream(b"Account/42"));
        assert_ne!(one.stream(b"Account/42"), one.stream(b"Account/43"));
        let stream = one.stream(b"Account/42");
        assert_eq!(stream.in_partition(7).slot, stream.slot, "a stream's partitions are looked at in one pass");
        assert_ne!(stream.in_partition(7), stream.in_partition(8));
    }
}
