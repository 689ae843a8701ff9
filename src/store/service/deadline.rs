//! Until when a caller waits.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// How much earlier the answer is given: the framework's own timer would call it cancelled.
const EARLIER: Duration = Duration::from_millis(10);

/// Until when the caller of `metadata` waits; `None` where it does not say.
pub(super) fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let timeout = parse(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    Instant::now().checked_add(timeout.saturating_sub(EARLIER.min(timeout / 10)))
}

/// At most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it_and_nothing_else_is() {
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("5m"), Some(Duration::from_millis(5)));
        for wrong in ["", "S", "2", "-2S", "123456789S", "2x", "²S", "+2S"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
