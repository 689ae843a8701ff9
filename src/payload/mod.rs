//! Rust types for what Avro's logical types say, written and read by every payload type that has them as fields.
//!
//! [`events!`](crate::events) uses them; a struct written by hand may, too.
//!
//! ```
//! use tidings::payload::{Date, Decimal, Timestamp};
//!
//! let price: Decimal<2> = "19.90".parse()?;
//! assert_eq!((price.unscaled(), price.to_string()), (1990, "19.90".to_owned()));
//!
//! let day = Date::from(chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap_or_default());
//! assert_eq!(day.days(), 20_484);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bytes;
mod decimal;
#[cfg(all(test, feature = "macros"))]
#[allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]
mod tests;
mod time;

pub use self::bytes::{Bytes, FixedBytes};
pub use self::decimal::{Decimal, ParseDecimalError};
pub use self::time::{Date, LocalTimestamp, Timestamp};
