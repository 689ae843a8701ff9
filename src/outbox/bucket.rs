//! Which bucket a key belongs to.

/// How many buckets there are; also the most relays that can share the work.
pub const BUCKETS: usize = 256;

/// The bucket of `key`: FNV-1a, folded to a byte. It is stored with every row, so it never changes.
pub fn bucket_of(key: &str) -> u8 {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_le_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_bucket_never_changes() {
        assert_eq!(["", "1", "42", "user-7"].map(bucket_of), [197, 131, 98, 152]);
    }

    #[test]
    fn user_ids_spread_over_all_buckets() {
        let mut rows = [0_u32; BUCKETS];
        for user in 1..=100_000 {
            rows[usize::from(bucket_of(&user.to_string()))] += 1;
        }
        let (least, most) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        assert!(*least > 250 && *most < 550, "{least} to {most} of 390");
    }
}
