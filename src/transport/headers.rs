//! Record headers.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

/// Record headers in their order; a name may stand more than once, and need not be UTF-8.
#[derive(Clone, Default)]
pub struct Headers {
    // All names and values, one behind the other: one allocation a record instead of one a header.
    buffer: Buffer,
    spans: SmallVec<[Span; 16]>,
}

#[derive(Clone)]
enum Buffer {
    /// Being written.
    Owned(Vec<u8>),
    /// As they were read.
    Read(Bytes),
}

/// Where a header stands in the buffer.
#[derive(Clone, Copy)]
struct Span {
    name: u32,
    name_bytes: u32,
    value: u32,
    /// Negative for null.
    value_bytes: i32,
}

/// One header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value; headers can be null.
    pub value: Option<&'a [u8]>,
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// No headers, with room for `bytes` of names and values.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Buffer::Owned(Vec::with_capacity(bytes)), spans: SmallVec::new() }
    }

    /// Headers as they stand in a Kafka record: their number, and for each the length of its name, its name, the length of its
    /// value (-1 for null) and its value; lengths are zigzag varints (KIP-82, record batches of version 2). `None` when `wire` is
    /// anything else.
    pub fn from_wire(wire: Bytes) -> Option<Self> {
        let mut position = 0;
        let count = usize::try_from(take_varint(&wire, &mut position)?).ok()?;
        let mut spans = SmallVec::new();
        for _ in 0..count {
            let name_bytes = u32::try_from(take_varint(&wire, &mut position)?).ok()?;
            let name = u32::try_from(position).ok()?;
            position = position.checked_add(name_bytes as usize).filter(|end| *end <= wire.len())?;
            let value_bytes = i32::try_from(take_varint(&wire, &mut position)?).ok()?;
            let value = u32::try_from(position).ok()?;
            let length = usize::try_from(value_bytes.max(0)).ok()?;
            position = position.checked_add(length).filter(|end| *end <= wire.len())?;
            spans.push(Span { name, name_bytes, value, value_bytes });
        }
        (position == wire.len()).then_some(Self { buffer: Buffer::Read(wire), spans })
    }

    /// The headers as they stand in a Kafka record: what [`from_wire`](Self::from_wire) reads.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.bytes().len() + 4 * self.len() + 2);
        push_varint(&mut wire, self.len());
        for header in self.iter() {
            push_varint(&mut wire, header.name.len());
            wire.extend_from_slice(header.name);
            match header.value {
                Some(value) => {
                    push_varint(&mut wire, value.len());
                    wire.extend_from_slice(value);
                }
                // -1, zigzag.
                None => wire.push(1),
            }
        }
        wire
    }

    /// Add a header behind the others.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.push_with(name, |buffer| buffer.extend_from_slice(value));
        } else {
            let name = name.as_ref();
            let buffer = self.buffer.to_mut();
            let start = buffer.len();
            buffer.extend_from_slice(name);
            self.push_span(start, name.len(), None);
        }
    }

    /// Add a header whose value `write` appends to the buffer it is given: no allocation for the value.
    pub(crate) fn push_with(&mut self, name: impl AsRef<[u8]>, write: impl FnOnce(&mut Vec<u8>)) {
        let name = name.as_ref();
        let buffer = self.buffer.to_mut();
        let start = buffer.len();
        buffer.extend_from_slice(name);
        let value = buffer.len();
        write(buffer);
        let length = buffer.len() - value;
        self.push_span(start, name.len(), Some(length));
    }

    // Kafka bounds a record at 2 GiB, so neither offsets nor lengths can pass an `i32`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a record is smaller than 2 GiB")]
    fn push_span(&mut self, start: usize, name: usize, value: Option<usize>) {
        self.spans.push(Span {
            name: start as u32,
            name_bytes: name as u32,
            value: (start + name) as u32,
            value_bytes: value.map_or(-1, |value| value as i32),
        });
    }

    /// Add a text header behind the others.
    pub fn push_str(&mut self, name: &str, value: &str) {
        self.push(name, Some(value.as_bytes()));
    }

    /// The last value under `name`, as Kafka's own clients choose among repeated names.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        // A header asked for need not be there, and most names differ in length.
        let as_long = self.spans.iter().rev().filter(|span| span.name_bytes as usize == name.len());
        as_long.map(|span| self.header(*span)).find(|header| header.name == name.as_bytes())?.value
    }

    /// The last value under `name`, if it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Header<'_>> {
        self.spans.iter().map(|span| self.header(*span))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes they hold in memory, beside their own size.
    pub(super) fn held_bytes(&self) -> usize {
        let buffer = match &self.buffer {
            Buffer::Owned(buffer) => buffer.capacity(),
            Buffer::Read(buffer) => buffer.len(),
        };
        buffer + if self.spans.spilled() { self.spans.capacity() * size_of::<Span>() } else { 0 }
    }

    /// Names and values as they stand in memory, for a copy.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Owned(buffer) => buffer,
            Buffer::Read(buffer) => buffer,
        }
    }

    /// The same headers over `bytes`, a copy of [`bytes`](Self::bytes).
    pub(super) fn over(&self, bytes: Bytes) -> Self {
        Self { buffer: Buffer::Read(bytes), spans: self.spans.clone() }
    }

    fn header(&self, span: Span) -> Header<'_> {
        let buffer = self.bytes();
        let (name, value) = (span.name as usize, span.value as usize);
        Header {
            name: &buffer[name..name + span.name_bytes as usize],
            value: usize::try_from(span.value_bytes).ok().map(|length| &buffer[value..value + length]),
        }
    }
}

impl Buffer {
    fn to_mut(&mut self) -> &mut Vec<u8> {
        if let Self::Read(bytes) = self {
            *self = Self::Owned(bytes.to_vec());
        }
        match self {
            Self::Owned(buffer) => buffer,
            Self::Read(_) => unreachable!("replaced above"),
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

/// Append a length as a zigzag varint.
fn push_varint(wire: &mut Vec<u8>, length: usize) {
    let mut left = (length as u64) << 1;
    loop {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            return wire.push(low & 0x7f);
        }
        wire.push(low | 0x80);
    }
}

/// A zigzag varint of at most 32 bits.
fn take_varint(wire: &[u8], position: &mut usize) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *wire.get(*position)?;
        *position += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(|header| String::from_utf8_lossy(header.name))).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, Option<V>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, Option<V>)>>(iterator: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in iterator {
            headers.push(name, value.as_ref().map(AsRef::as_ref));
        }
        headers
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", String::from_utf8_lossy(self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_keep_order_repeats_and_nulls() {
        let mut headers = Headers::new();
        headers.push_str("a", "1");
        headers.push("b", None);
        headers.push_str("a", "2");
        assert_eq!(headers.get("a"), Some(&b"2"[..]));
        assert_eq!(headers.get("b"), None);
        let names: Vec<_> = headers.iter().map(|header| header.name).collect();
        assert_eq!(names, [b"a", b"b", b"a"]);
    }

    #[test]
    fn a_header_name_need_not_be_utf8() {
        let mut headers = Headers::new();
        headers.push([0xff, 0xfe], Some(b"x"));
        assert_eq!(headers.iter().next().unwrap().name, [0xff, 0xfe]);
        assert_eq!(headers.get("ce_id"), None);
    }

    #[test]
    fn headers_are_read_as_they_stand_in_a_record() {
        // Two headers: "a" = "xy", and "b" without a value.
        let headers = Headers::from_wire(Bytes::from_static(b"\x04\x02a\x04xy\x02b\x01")).unwrap();
        assert_eq!((headers.get("a"), headers.get("b"), headers.len()), (Some(&b"xy"[..]), None, 2));
        assert!(Headers::from_wire(Bytes::from_static(b"\x00")).unwrap().is_empty());
    }

    #[test]
    fn headers_that_were_read_can_be_added_to() {
        let mut headers = Headers::from_wire(Bytes::from_static(b"\x02\x02a\x04xy")).unwrap();
        headers.push_str("b", "z");
        assert_eq!((headers.get_str("a"), headers.get_str("b")), (Some("xy"), Some("z")));
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_no_headers() {
        let whole = b"\x04\x02a\x04xy\x02b\x01";
        for length in 0..whole.len() {
            assert!(Headers::from_wire(Bytes::copy_from_slice(&whole[..length])).is_none(), "{length}");
        }
        assert!(Headers::from_wire(Bytes::from_static(b"\x04\x02a\x04xy\x02b\x01!")).is_none());
        // Two thousand million headers in five bytes.
        assert!(Headers::from_wire(Bytes::from_static(b"\xfe\xff\xff\xff\x0f")).is_none());
    }

    proptest! {
        #[test]
        fn headers_read_back_as_they_were_written(
            headers in proptest::collection::vec((any::<Vec<u8>>(), any::<Option<Vec<u8>>>()), 0..20)
        ) {
            let wire = headers.iter().map(|(name, value)| (name, value.as_ref())).collect::<Headers>().to_wire();
            let read = Headers::from_wire(wire.into()).unwrap();
            let read: Vec<_> = read.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(read, headers);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(headers) = Headers::from_wire(bytes.into()) {
                prop_assert_eq!(headers.iter().count(), headers.len());
            }
        }
    }
}
