//! Numbers in configuration files that are at least 1.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq + Default,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() { Err(D::Error::custom("it is at least 1")) } else { Ok(number) }
}
