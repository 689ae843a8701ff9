//! Days and moments.

use std::fmt;
use std::ops::Deref;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A day: Avro's `date`, an `int` of days since 1970-01-01.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(NaiveDate);

/// A moment, to the microsecond: Avro's `timestamp-micros`. What is finer is cut.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

/// A day and a time of day, wherever one is, to the microsecond: Avro's `local-timestamp-micros`. What is finer is cut.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalTimestamp(NaiveDateTime);

/// 1970-01-01, counted in days from the year 1.
const EPOCH: i32 = 719_163;

impl Date {
    /// The days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0.num_days_from_ce() - EPOCH
    }
}

impl Timestamp {
    /// The microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }
}

impl LocalTimestamp {
    /// The microseconds since 1970-01-01T00:00:00.
    pub fn micros(self) -> i64 {
        self.0.and_utc().timestamp_micros()
    }
}

fn moment(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

impl From<NaiveDate> for Date {
    fn from(day: NaiveDate) -> Self {
        Self(day)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(moment(time.timestamp_micros()).unwrap_or(time))
    }
}

impl From<NaiveDateTime> for LocalTimestamp {
    fn from(time: NaiveDateTime) -> Self {
        Self(moment(time.and_utc().timestamp_micros()).map_or(time, |time| time.naive_utc()))
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.days())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.micros())
    }
}

impl Serialize for LocalTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.micros())
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = i32::deserialize(deserializer)?;
        let day = days.checked_add(EPOCH).and_then(NaiveDate::from_num_days_from_ce_opt);
        day.map(Self).ok_or_else(|| D::Error::custom(format!("{days} days since 1970 are no date")))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_moment(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for LocalTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_moment(deserializer).map(|time| Self(time.naive_utc()))
    }
}

fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let micros = i64::deserialize(deserializer)?;
    moment(micros).ok_or_else(|| D::Error::custom(format!("{micros} microseconds since 1970 are no moment")))
}

macro_rules! like_what_it_holds {
    ($($own:ident => $held:ty),+) => {$(
        impl Deref for $own {
            type Target = $held;

            fn deref(&self) -> &$held {
                &self.0
            }
        }

        impl From<$own> for $held {
            fn from(own: $own) -> Self {
                own.0
            }
        }

        impl fmt::Debug for $own {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl fmt::Display for $own {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    )+};
}

like_what_it_holds!(Date => NaiveDate, Timestamp => DateTime<Utc>, LocalTimestamp => NaiveDateTime);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_microseconds_are_counted_from_1970() {
        for days in [-719_162, -1, 0, 20_484, 2_932_896] {
            assert_eq!(serde_json::from_str::<Date>(&days.to_string()).unwrap().days(), days);
        }
        for micros in [-62_135_596_800_000_000, -1, 0, 1_769_850_000_000_001] {
            assert_eq!(serde_json::from_str::<Timestamp>(&micros.to_string()).unwrap().micros(), micros);
            assert_eq!(serde_json::from_str::<LocalTimestamp>(&micros.to_string()).unwrap().micros(), micros);
        }
        assert_eq!(Date::default().to_string(), "1970-01-01");
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut_so_that_it_reads_back_the_same() {
        let fine = DateTime::from_timestamp_nanos(1_999);
        assert_eq!((Timestamp::from(fine).micros(), Timestamp::from(fine).timestamp_subsec_nanos()), (1, 1_000));
        assert_eq!(LocalTimestamp::from(fine.naive_utc()).and_utc().timestamp_subsec_nanos(), 1_000);
    }

    #[test]
    fn what_no_calendar_has_is_an_error() {
        assert!(serde_json::from_str::<Date>(&i32::MAX.to_string()).is_err());
        assert!(serde_json::from_str::<Timestamp>(&i64::MAX.to_string()).is_err());
    }
}
