//! Where in a topic to begin and to end: the grammar of `--from` and `--to`.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// `start`: the oldest record there is.
    Start,
    /// `end`: behind the newest record.
    End,
    /// `+n`: so many records behind the start.
    AfterStart(i64),
    /// `-n`: so many records before the end.
    BeforeEnd(i64),
    /// `n`: this offset.
    Offset(i64),
    /// `@2026-01-01T00:00:00Z`: the first record not older than that.
    Time(DateTime<Utc>),
    /// `@-1h`: the same, so long before now.
    Ago(Duration),
}

/// Where to begin, and where to end if that was said in the same breath: `a` or `a:b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Position,
    pub(super) to: Option<Position>,
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place in a topic: write start, end, an offset such as 1200, +10 (10 after the start), -10 (10 before the end), \
     @2026-01-31T09:00:00Z, @2026-01-31 or @-1h, or two of them as FROM:TO"
)]
pub(super) struct UnknownPosition(String);

impl Position {
    /// The offset this place has in a partition that holds `start..end`, within these bounds; `None` where a broker must be
    /// asked.
    pub(super) fn offset(self, start: i64, end: i64) -> Option<i64> {
        let offset = match self {
            Self::Start => start,
            Self::End => end,
            Self::AfterStart(count) => start.saturating_add(count),
            Self::BeforeEnd(count) => end.saturating_sub(count),
            Self::Offset(offset) => offset,
            Self::Time(_) | Self::Ago(_) => return None,
        };
        Some(offset)
    }

    /// The moment it names, in milliseconds since 1970.
    pub(super) fn timestamp_ms(self, now: DateTime<Utc>) -> Option<i64> {
        match self {
            Self::Time(time) => Some(time.timestamp_millis()),
            Self::Ago(time) => {
                let ago = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                Some(now.timestamp_millis().saturating_sub(ago).max(0))
            }
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let count = |digits: &str| {
            let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            numeric.then(|| digits.parse().ok()).flatten()
        };
        match text {
            "start" => Some(Self::Start),
            "end" => Some(Self::End),
            _ => match text.as_bytes().first()? {
                b'+' => count(&text[1..]).map(Self::AfterStart),
                b'-' => count(&text[1..]).map(Self::BeforeEnd),
                b'@' => Self::read_time(&text[1..]),
                _ => count(text).map(Self::Offset),
            },
        }
    }

    fn read_time(text: &str) -> Option<Self> {
        if let Some(ago) = text.strip_prefix('-') {
            let (number, unit) = ago.split_at_checked(ago.len().checked_sub(1)?)?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return None,
            };
            return number
                .parse::<u32>()
                .ok()
                .map(|number| Self::Ago(Duration::from_secs(u64::from(number) * seconds)));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Some(Self::Time(day.and_hms_opt(0, 0, 0)?.and_utc()));
        }
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self::Time(time.to_utc()))
    }
}

impl FromStr for Position {
    type Err = UnknownPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| UnknownPosition(text.to_owned()))
    }
}

impl FromStr for Span {
    type Err = UnknownPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(from) = Position::read(text) {
            return Ok(Self { from, to: None });
        }
        // Times have colons of their own: the one that parts two places is the one that leaves a place on either side.
        let parted = text.match_indices(':').find_map(|(at, _)| {
            let from = if at == 0 { Position::Start } else { Position::read(&text[..at])? };
            let to = &text[at + 1..];
            let to = if to.is_empty() { None } else { Some(Position::read(to)?) };
            Some(Self { from, to })
        });
        parted.ok_or_else(|| UnknownPosition(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Position {
        Position::Time(text.parse().unwrap())
    }

    #[test]
    fn every_form_of_a_place_is_read() {
        for (text, position) in [
            ("start", Position::Start),
            ("end", Position::End),
            ("+10", Position::AfterStart(10)),
            ("-10", Position::BeforeEnd(10)),
            ("0", Position::Offset(0)),
            ("9223372036854775807", Position::Offset(i64::MAX)),
            ("@2026-01-01T00:00:00Z", time("2026-01-01T00:00:00Z")),
            ("@2026-01-01T02:00:00+02:00", time("2026-01-01T00:00:00Z")),
            ("@2026-01-01", time("2026-01-01T00:00:00Z")),
            ("@-90m", Position::Ago(Duration::from_mins(90))),
        ] {
            assert_eq!(text.parse(), Ok(position), "{text}");
            assert_eq!(text.parse(), Ok(Span { from: position, to: None }), "{text}");
        }
    }

    #[test]
    fn a_range_parts_at_the_colon_that_leaves_two_places() {
        for (text, from, to) in [
            ("3:7", Position::Offset(3), Some(Position::Offset(7))),
            (":7", Position::Start, Some(Position::Offset(7))),
            ("start:+2", Position::Start, Some(Position::AfterStart(2))),
            ("-5:", Position::BeforeEnd(5), None),
            ("@-1h:end", Position::Ago(Duration::from_hours(1)), Some(Position::End)),
            (
                "@2026-01-01T00:00:00Z:@2026-01-02T00:30:00+00:30",
                time("2026-01-01T00:00:00Z"),
                Some(time("2026-01-02T00:00:00Z")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(Span { from, to }), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_could_be_written() {
        for text in
            ["", "x", "--1", "+-1", "1.5", "@", "@yesterday", "@-h", "@-5y", "a:b", "1:2:3", "9223372036854775808", "é"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("soon".parse::<Span>().unwrap_err().to_string().contains("`soon`"));
    }

    #[test]
    fn a_place_is_an_offset_of_a_partition_or_a_moment() {
        let offset = |text: &str| text.parse::<Position>().unwrap().offset(100, 200);
        assert_eq!(offset("start"), Some(100));
        assert_eq!(offset("-5"), Some(195));
        assert_eq!(offset("+5"), Some(105));
        assert_eq!(offset("@-1h"), None);
        let now = DateTime::from_timestamp(7_200, 0).unwrap();
        assert_eq!("@-1h".parse::<Position>().unwrap().timestamp_ms(now), Some(3_600_000));
        assert_eq!("7".parse::<Position>().unwrap().timestamp_ms(now), None);
    }
}
