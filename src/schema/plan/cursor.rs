//! Reads an Avro datum piece by piece. Trusts nothing it reads: lengths, counts and nesting are checked first.

use super::DatumError;

/// How deep records, arrays and maps may nest in one datum; a recursive schema could otherwise exhaust the stack.
const MAX_DEPTH: usize = 64;

/// How many values without a single byte of data (nulls, empty records) one datum may have, besides one for each of its bytes;
/// the bytes bound all others. Records that nest side by side could otherwise make two to the 64th of nothing.
const EMPTY_VALUES: usize = 65_536;

/// What is left of a datum.
#[derive(Debug)]
pub(crate) struct Cursor<'d> {
    rest: &'d [u8],
    depth: usize,
    /// How many more values without a byte there may be.
    empty_values: usize,
}

impl<'d> Cursor<'d> {
    pub(crate) fn new(datum: &'d [u8]) -> Self {
        Self { rest: datum, depth: 0, empty_values: EMPTY_VALUES.saturating_add(datum.len()) }
    }

    /// A cursor over other bytes, nested as deep as this one.
    pub(crate) fn within<'o>(&self, datum: &'o [u8]) -> Cursor<'o> {
        Cursor { rest: datum, ..*self }
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Go one record, array or map deeper, into one that has `empty_values` values without a byte.
    #[inline]
    pub(crate) fn enter(&mut self, empty_values: usize) -> Result<(), DatumError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(DatumError::new(format!("it nests deeper than {MAX_DEPTH} levels")));
        }
        self.spend(empty_values)
    }

    #[inline]
    fn spend(&mut self, empty_values: usize) -> Result<(), DatumError> {
        match self.empty_values.checked_sub(empty_values) {
            Some(left) => {
                self.empty_values = left;
                Ok(())
            }
            None => Err(too_empty()),
        }
    }

    /// Come back up.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, DatumError> {
        // Most numbers are lengths, branches and counts: one byte.
        if let [byte, rest @ ..] = self.rest
            && byte & 0x80 == 0
        {
            self.rest = rest;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        self.longer()
    }

    fn longer(&mut self) -> Result<i64, DatumError> {
        let mut bits = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            bits |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(if self.rest.len() < 10 { cut_off("a number") } else { DatumError::new("a number is longer than 64 bits") })
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i32, DatumError> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| DatumError::new("an int is larger than 32 bits"))
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DatumError> {
        match self.take(1, "a boolean")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DatumError::new("a boolean is neither 0 nor 1")),
        }
    }

    pub(crate) fn float(&mut self) -> Result<f32, DatumError> {
        self.array("a float").map(f32::from_le_bytes)
    }

    pub(crate) fn double(&mut self) -> Result<f64, DatumError> {
        self.array("a double").map(f64::from_le_bytes)
    }

    /// Bytes with their length before them.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'d [u8], DatumError> {
        let length = self.long()?;
        let taken = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        if let Some((taken, rest)) = taken {
            self.rest = rest;
            return Ok(taken);
        }
        Err(self.lying_length(length))
    }

    #[cold]
    fn lying_length(&self, length: i64) -> DatumError {
        let left = self.rest.len();
        // Where the bytes are not what they are read as, the length is made of a value.
        if length < 0 {
            DatumError::of_value(format!("its length is negative ({length})"), "its length is negative")
        } else {
            DatumError::of_value(
                format!("it says it is {length} bytes long, and {left} bytes are left"),
                format!("it says it is longer than what is left, {left} bytes"),
            )
        }
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'d str, DatumError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DatumError::new("a string is not UTF-8"))
    }

    pub(crate) fn fixed(&mut self, size: usize) -> Result<&'d [u8], DatumError> {
        self.take(size, "a fixed")
    }

    /// The branch of a union or the symbol of an enum.
    pub(crate) fn index(&mut self, what: &str, count: usize) -> Result<usize, DatumError> {
        let index = self.long()?;
        usize::try_from(index).ok().filter(|&index| index < count).ok_or_else(|| {
            DatumError::of_value(
                format!("{what} {index} does not exist: the schema has {count}"),
                format!("the {what} does not exist: the schema has {count}"),
            )
        })
    }

    /// The number of items in the next block of an array or map, 0 at its end.
    ///
    /// `weightless` says that an item can be without a byte, so that the bytes left do not bound their number.
    pub(crate) fn block(&mut self, weightless: bool) -> Result<usize, DatumError> {
        let count = self.long()?;
        if count < 0 {
            let _bytes = self.long()?;
        }
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if weightless {
            self.spend(count)?;
        } else if count > self.rest.len() {
            let left = self.rest.len();
            return Err(DatumError::of_value(
                format!("it says it has {count} more items, and {left} bytes are left"),
                format!("it says it has more items than bytes are left, {left}"),
            ));
        }
        Ok(count)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], DatumError> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(*array)
            }
            None => Err(cut_off(what)),
        }
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'d [u8], DatumError> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(cut_off(what)),
        }
    }
}

#[cold]
fn too_empty() -> DatumError {
    DatumError::new(format!("it has more than {EMPTY_VALUES} values without a byte, besides one for each byte"))
}

#[cold]
fn cut_off(what: &str) -> DatumError {
    DatumError::new(format!("the payload ends within {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_are_read() {
        for (bytes, number) in [
            (&[0_u8][..], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], i64::MAX),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], i64::MIN),
        ] {
            assert_eq!(Cursor::new(bytes).long().unwrap(), number);
        }
    }

    #[test]
    fn a_number_that_ends_early_or_never_is_an_error() {
        assert_eq!(Cursor::new(&[0x80]).long().unwrap_err().to_string(), "the payload ends within a number");
        assert_eq!(Cursor::new(&[0x80; 11]).long().unwrap_err().to_string(), "a number is longer than 64 bits");
    }

    #[test]
    fn a_count_that_no_payload_could_hold_is_an_error() {
        let smallest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0];
        assert!(Cursor::new(&smallest).block(false).is_err());
        assert!(Cursor::new(&smallest).block(true).is_err());
    }
}
