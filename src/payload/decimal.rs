//! Decimal numbers, exact.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::BytesVisitor;

/// A decimal number with `SCALE` digits behind the point, and up to 38 in all: Avro's `decimal`, on `bytes` or on `fixed`.
///
/// On `fixed` the codec fills up the bytes that the number does not need. It does so for a struct whose fields come in the schema's
/// order and are all written, as those of [`events!`](crate::events) do; of another the payload is refused.
///
/// It counts in units of the last digit: a `Decimal<2>` of 19.90 is 1990 of them. It does no arithmetic; convert it into the
/// type of the crate you calculate with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal<const SCALE: u32> {
    unscaled: i128,
}

/// A text that is no decimal number of this scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no decimal number with at most {scale} digits behind the point")]
pub struct ParseDecimalError {
    text: String,
    scale: u32,
}

impl<const SCALE: u32> Decimal<SCALE> {
    /// So many units of the last digit.
    pub const fn new(unscaled: i128) -> Self {
        Self { unscaled }
    }

    /// How many units of the last digit it is.
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// How many digits are behind the point.
    pub const fn scale(self) -> u32 {
        SCALE
    }
}

impl<const SCALE: u32> fmt::Display for Decimal<SCALE> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::try_from(SCALE).unwrap_or(usize::MAX);
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if fraction.is_empty() { "" } else { "." };
        formatter.pad_integral(self.unscaled >= 0, "", &format!("{whole}{point}{fraction}"))
    }
}

impl<const SCALE: u32> FromStr for Decimal<SCALE> {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let wrong = || ParseDecimalError { text: text.to_owned(), scale: SCALE };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let missing =
            usize::try_from(SCALE).ok().and_then(|scale| scale.checked_sub(fraction.len())).ok_or_else(wrong)?;
        let digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || missing > 38 {
            return Err(wrong());
        }
        let number: i128 = format!("{whole}{fraction}{}", "0".repeat(missing)).parse().map_err(|_| wrong())?;
        Ok(Self::new(if text.starts_with('-') { -number } else { number }))
    }
}

impl<const SCALE: u32> Serialize for Decimal<SCALE> {
    /// As the fewest bytes of a two's complement, the highest first.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.unscaled.to_be_bytes();
        let filler = if self.unscaled < 0 { 0xff } else { 0 };
        // The first byte kept carries the sign.
        let needed = |pair: &[u8]| pair[0] != filler || (pair[1] ^ filler) & 0x80 != 0;
        let start = bytes.windows(2).position(needed).unwrap_or(bytes.len() - 1);
        serializer.serialize_bytes(&bytes[start..])
    }
}

impl<'de, const SCALE: u32> Deserialize<'de> for Decimal<SCALE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_bytes(BytesVisitor)?;
        let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let filler = if negative { 0xff } else { 0 };
        let mut number = [filler; 16];
        // A fixed type may have more bytes than a number needs.
        let (surplus, bytes) = bytes.split_at(bytes.len().saturating_sub(number.len()));
        let start = number.len() - bytes.len();
        number[start..].copy_from_slice(bytes);
        let number = i128::from_be_bytes(number);
        if surplus.iter().any(|byte| *byte != filler) || !surplus.is_empty() && (number < 0) != negative {
            return Err(D::Error::custom("a decimal of more than 38 digits"));
        }
        Ok(Self::new(number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_and_read_as_people_do() {
        for (text, unscaled) in [("19.90", 1990), ("-0.05", -5), ("7", 700), ("+1.5", 150), ("0", 0)] {
            assert_eq!(text.parse::<Decimal<2>>().unwrap().unscaled(), unscaled, "{text}");
        }
        for (unscaled, text) in [(1990, "19.90"), (-5, "-0.05"), (0, "0.00"), (100, "1.00")] {
            assert_eq!(Decimal::<2>::new(unscaled).to_string(), text);
        }
        assert_eq!(Decimal::<0>::new(-7).to_string(), "-7");
        for text in ["", ".", "-", "1.234", "1,5", "a", "1e3", ".5", "--1"] {
            assert!(text.parse::<Decimal<2>>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_survives_text_and_bytes(unscaled in any::<i128>().prop_filter("its magnitude", |n| *n != i128::MIN)) {
            let number = Decimal::<5>::new(unscaled);
            prop_assert_eq!(number.to_string().parse(), Ok(number));
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal<5>>(&json).unwrap(), number);
        }
    }

    #[test]
    fn it_takes_as_few_bytes_as_it_needs() {
        let bytes = |unscaled| serde_json::to_string(&Decimal::<2>::new(unscaled)).unwrap();
        assert_eq!(
            [bytes(0), bytes(127), bytes(128), bytes(-128), bytes(-129)],
            ["[0]", "[127]", "[0,128]", "[128]", "[255,127]"]
        );
    }

    #[test]
    fn more_digits_than_fit_are_an_error() {
        let long = format!("[{}]", ["1"; 17].join(","));
        assert!(serde_json::from_str::<Decimal<2>>(&long).is_err());
        let signs_differ = format!("[0,255{}]", ",0".repeat(15));
        assert!(serde_json::from_str::<Decimal<2>>(&signs_differ).is_err());
        let filled = format!("[{}254]", "255,".repeat(31));
        assert_eq!(serde_json::from_str::<Decimal<2>>(&filled).unwrap().unscaled(), -2);
        assert_eq!(serde_json::from_str::<Decimal<2>>("[]").unwrap().unscaled(), 0);
    }
}
