//! Messages as protobuf, with a bound on how many parts one has. An empty event is two bytes on the wire and some hundred in memory,
//! so a message within the bound on bytes could still take a hundred times as much.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

use crate::store::service::receiving::take_for_decoding;
use crate::store::service::status::to_status;
use crate::store::{NewEvent, StoreError};

/// The most fields a message has itself, without those of its fields. Each event is one.
const MOST_FIELDS: usize = 65_536;

/// So many fields may be of any size.
const FEW_FIELDS: usize = 64;

/// A message, and how small its fields may be on the average, in bytes on the wire, where it has many.
pub(crate) trait Bounded {
    const LEAST_BYTES: usize = 0;
}

/// What an event needs at least: its id, its times and its names.
const LEAST_EVENT: usize = 96;

/// What an event takes in memory beside its texts: as it comes, and as it is worked with.
const DECODED_EVENT: usize = size_of::<super::Event>() + size_of::<NewEvent>();

impl Bounded for super::AppendRequest {
    const LEAST_BYTES: usize = LEAST_EVENT;
}

impl Bounded for super::RelayRequest {
    const LEAST_BYTES: usize = LEAST_EVENT;
}

impl Bounded for super::AwaitStoredRequest {}
impl Bounded for super::ReadStreamRequest {}
impl Bounded for super::SubscribeRequest {}
impl Bounded for super::AppendReply {}
impl Bounded for super::RelayReply {}
impl Bounded for super::AwaitStoredReply {}
impl Bounded for super::StoredEvent {}
impl Bounded for super::SubscribeReply {}

/// Protobuf whose messages have at most [`MOST_FIELDS`] fields.
#[derive(Debug)]
pub(crate) struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Bounded + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::default())
    }
}

/// Counts the fields before it decodes any.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Bounded + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = buffer.chunk();
        if message.len() < buffer.remaining() {
            return Err(Status::internal("a message came in pieces"));
        }
        let fields = count_fields(message, U::LEAST_BYTES).map_err(|error| Status::internal(error.to_string()))?;
        // Where it is refused nothing of it was taken, so nobody may go on behind it: an error ends the call.
        let Some(fields) = fields else {
            let reason =
                format!("a message of more than {MOST_FIELDS} parts, or of many that are too small to be events");
            return Err(to_status(&StoreError::Invalid { reason }));
        };
        if U::LEAST_BYTES > 0 {
            take_for_decoding(fields * DECODED_EVENT).map_err(|error| to_status(&error))?;
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// How many fields a message has, unless they are too many, or too small for so many.
fn count_fields(mut message: &[u8], least_bytes: usize) -> Result<Option<usize>, DecodeError> {
    let (mut fields, bytes) = (0, message.len());
    while !message.is_empty() && fields <= MOST_FIELDS {
        let (tag, wire_type) = decode_key(&mut message)?;
        skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        fields += 1;
    }
    let has_too_many = fields > MOST_FIELDS || (fields > FEW_FIELDS && bytes < fields * least_bytes);
    Ok(Some(fields).filter(|_| !has_too_many))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::wire::{AppendRequest, Event, append_request::Expected};

    fn with_events(events: usize) -> Vec<u8> {
        let events = vec![Event::default(); events];
        AppendRequest { events, expected: None }.encode_to_vec()
    }

    #[test]
    fn a_message_of_many_empty_parts_is_found_before_it_is_decoded() {
        assert_eq!(count_fields(&with_events(MOST_FIELDS), 0).unwrap(), Some(MOST_FIELDS));
        assert_eq!(count_fields(&with_events(MOST_FIELDS + 1), 0).unwrap(), None);
    }

    #[test]
    fn what_a_part_holds_is_not_counted() {
        let event = Event { key: "42".to_owned(), payload: vec![0; 4 * MOST_FIELDS].into(), ..Event::default() };
        let request = AppendRequest { events: vec![event; 2], expected: Some(Expected::Exact(7)) };
        assert_eq!(count_fields(&request.encode_to_vec(), LEAST_EVENT).unwrap(), Some(3));
    }

    #[test]
    fn many_parts_that_are_no_events_are_found_and_a_few_are_told_what_they_lack() {
        assert_eq!(count_fields(&with_events(FEW_FIELDS), LEAST_EVENT).unwrap(), Some(FEW_FIELDS));
        assert_eq!(count_fields(&with_events(FEW_FIELDS + 1), LEAST_EVENT).unwrap(), None);
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error() {
        let message = with_events(3);
        assert!(count_fields(&message[..message.len() - 1], 0).is_err());
    }
}
