//! What travels with a committed offset: the runs of completed offsets above it, and who committed.
//!
//! `tidings1:` and, in base64, eight bytes of the routes' fingerprint and then, as LEB128 numbers, by turns how many offsets
//! are not complete and how many are, from the committed offset on. Brokers bound it (`offset.metadata.max.bytes`, 4,096 by
//! default): the oldest runs that fit are kept, and what is above them is done again after a crash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::offsets::Run;

/// Begins what this version writes; anything else is somebody else's.
const PREFIX: &str = "tidings1:";

/// The bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 8;

/// What was committed with an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitMetadata {
    /// Of the routes of the build that committed.
    pub(crate) fingerprint: u64,
    /// Completed offsets above the committed one, lowest first.
    pub(crate) completed: Vec<Run>,
}

impl CommitMetadata {
    /// As text of at most `limit` bytes, for the offset `watermark`. Empty when not even a fingerprint fits.
    pub(crate) fn encode(fingerprint: u64, watermark: i64, completed: &[Run], limit: usize) -> String {
        // Four characters carry three bytes.
        let room = limit.saturating_sub(PREFIX.len()) / 4 * 3;
        if room < FINGERPRINT_BYTES {
            return String::new();
        }
        let mut bytes = fingerprint.to_le_bytes().to_vec();
        let mut behind = watermark;
        for (start, end) in completed {
            let length = bytes.len();
            push_number(&mut bytes, start.abs_diff(behind));
            push_number(&mut bytes, end.abs_diff(*start));
            if bytes.len() > room {
                bytes.truncate(length);
                break;
            }
            behind = *end;
        }
        let mut text = String::from(PREFIX);
        STANDARD_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// What `text` says of the offset `watermark`; `None` when tidings did not write it, or not this way.
    pub(crate) fn decode(text: &str, watermark: i64) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (fingerprint, mut rest) = bytes.split_first_chunk::<FINGERPRINT_BYTES>()?;
        let mut completed = Vec::new();
        let mut behind = watermark;
        while !rest.is_empty() {
            let start = behind.checked_add(take_number(&mut rest)?)?;
            let end = start.checked_add(take_number(&mut rest)?)?;
            if start <= behind || end <= start {
                return None;
            }
            completed.push((start, end));
            behind = end;
        }
        Some(Self { fingerprint: u64::from_le_bytes(*fingerprint), completed })
    }
}

/// LEB128: seven bits a byte, the lowest first.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return i64::try_from(number).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hundred_thousand_completed_above_one_stuck_event_are_a_few_bytes() {
        let text = CommitMetadata::encode(7, 5, &[(6, 100_006)], 4_096);
        assert!(text.len() < 32, "{text}");
        let expected = CommitMetadata { fingerprint: 7, completed: vec![(6, 100_006)] };
        assert_eq!(CommitMetadata::decode(&text, 5), Some(expected));
    }

    #[test]
    fn the_oldest_runs_that_fit_are_kept() {
        let runs: Vec<Run> = (0..10_000).map(|index| (index * 2 + 1, index * 2 + 2)).collect();
        let text = CommitMetadata::encode(0, 0, &runs, 4_096);
        assert!((4_000..=4_096).contains(&text.len()), "{}", text.len());
        let kept = CommitMetadata::decode(&text, 0).unwrap().completed;
        assert!(kept.len() > 1_000);
        assert_eq!(kept, runs[..kept.len()]);
    }

    #[test]
    fn a_broker_that_takes_next_to_nothing_gets_nothing() {
        assert_eq!(CommitMetadata::encode(1, 0, &[(1, 2)], 12), "");
    }

    #[test]
    fn what_others_wrote_is_ignored() {
        for text in ["", "spring", "tidings2:AAAA", "tidings1:!", "tidings1:AAAA", "e30="] {
            assert_eq!(CommitMetadata::decode(text, 0), None, "{text}");
        }
        // A run that begins where the committed offset is: that one is not complete.
        let text = format!("{PREFIX}{}", STANDARD_NO_PAD.encode([0, 0, 0, 0, 0, 0, 0, 0, 0, 4]));
        assert_eq!(CommitMetadata::decode(&text, 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            watermark in 0_i64..i64::MAX / 2,
            steps in proptest::collection::vec((1_i64..1 << 40, 1_i64..1 << 40), 0..200),
        ) {
            let mut behind = watermark;
            let runs: Vec<Run> = steps
                .into_iter()
                .map(|(gap, length)| {
                    let run = (behind + gap, behind + gap + length);
                    behind = run.1;
                    run
                })
                .collect();
            let text = CommitMetadata::encode(42, watermark, &runs, 4_096);
            prop_assert!(text.len() <= 4_096);
            let read = CommitMetadata::decode(&text, watermark).unwrap();
            prop_assert_eq!(read.fingerprint, 42);
            prop_assert_eq!(&read.completed[..], &runs[..read.completed.len()]);
        }

        #[test]
        fn hostile_metadata_does_no_harm(text in "(tidings1:)?[A-Za-z0-9+/]{0,64}", watermark in any::<i64>()) {
            if let Some(read) = CommitMetadata::decode(&text, watermark) {
                prop_assert!(read.completed.iter().all(|(start, end)| watermark < *start && start < end));
            }
        }
    }
}
