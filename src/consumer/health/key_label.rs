//! What is told of a key.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The bytes of a key that are shown.
const SHOWN: usize = 64;

/// Seeded anew in each process: a fingerprint without a secret is undone by trying all user ids.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A number that stands for `key` while this process lives.
pub(crate) fn fingerprint(key: &[u8]) -> u64 {
    SEED.hash_one(key)
}

/// What stands for a fingerprinted key in text.
pub(crate) fn fingerprint_text(fingerprint: u64) -> String {
    format!("#{fingerprint:016x}")
}

/// A key's text, as far as it is shown.
pub(crate) fn shown(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(&key[..key.len().min(SHOWN)]).into_owned();
    if key.len() > SHOWN { text + "…" } else { text }
}

/// What is told of a record's key; `None` where it has none.
pub(crate) fn label(key: Option<&[u8]>, show: bool) -> Option<String> {
    key.map(|key| if show { shown(key) } else { fingerprint_text(fingerprint(key)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_only_when_asked_for() {
        let key = Some(&b"player-42"[..]);
        let told = label(key, false).unwrap();
        assert!(told.starts_with('#') && !told.contains("42-") && !told.contains("player"), "{told}");
        assert_eq!(Some(told), label(key, false));
        assert_eq!(label(key, true).unwrap(), "player-42");
        assert_eq!(label(None, true), None);
    }

    #[test]
    fn a_long_key_is_cut() {
        assert_eq!(shown(&[b'a'; 100]), "a".repeat(64) + "…");
    }
}
