//! The hash by which Kafka's Java clients choose a key's partition.

/// The partition of `key` among `partitions`, as Kafka's Java clients and librdkafka's `murmur2_random` choose it.
/// Without partitions it is 0.
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

/// 32-bit `MurmurHash2` with Kafka's seed.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;

    // The hash is defined on the length modulo 2³².
    #[expect(clippy::cast_possible_truncation, reason = "so is the hash defined")]
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the unit test of Kafka's own `org.apache.kafka.common.utils.Utils.murmur2`.
    const JAVA: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];

    #[test]
    fn it_hashes_as_java_does() {
        for (key, expected) in JAVA {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn a_partition_is_never_negative_nor_out_of_range() {
        for (key, hash) in JAVA {
            let expected = (hash & i32::MAX) % 12;
            assert_eq!(partition(key.as_bytes(), 12), u32::try_from(expected).unwrap());
        }
        assert_eq!(partition(b"x", 0), 0);
    }
}
