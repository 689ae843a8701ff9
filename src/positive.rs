//! Numbers that are at least 1.

#[cfg(feature = "consumer")]
use std::num::NonZeroU32;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// In a file: 0 is refused.
pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq + Default,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() { Err(D::Error::custom("it is at least 1")) } else { Ok(number) }
}

/// In code: 0 counts as 1.
#[cfg(feature = "consumer")]
pub(crate) fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
