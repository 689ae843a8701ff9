//! The Confluent wire format: `0x00`, the schema's id in four bytes, the Avro datum. Or the datum alone, where a header has the id.

use uuid::Uuid;

use super::registry::SchemaId;

/// Confluent's header for the id of the payload's schema: `0x01` and a GUID of 16 bytes, or as before a datum.
pub(super) const SCHEMA_ID_HEADER: &str = "__value_schema_id";

/// The length of what stands before the datum, in bytes.
pub(super) const FRAME_BYTES: usize = 5;

const MAGIC: u8 = 0;
const GUID_MAGIC: u8 = 1;

/// The id and the datum of a payload.
///
/// # Errors
/// The payload is in another format, in words that finish "the payload …".
pub(super) fn split(payload: &[u8]) -> Result<(u32, &[u8]), String> {
    match payload.split_first_chunk::<FRAME_BYTES>() {
        Some(([MAGIC, id @ ..], datum)) => Ok((u32::from_be_bytes(*id), datum)),
        Some(([magic, ..], _)) => {
            Err(format!("begins with the byte {magic:#04x}, and Avro with a schema id begins with 0x00"))
        }
        None => Err(format!("is {} bytes long, and its schema id alone takes {FRAME_BYTES}", payload.len())),
    }
}

/// The id in a header.
///
/// # Errors
/// It is no id, in words that finish "the header …".
pub(super) fn id_in_header(header: &[u8]) -> Result<SchemaId, String> {
    match header {
        [GUID_MAGIC, guid @ ..] => match Uuid::from_slice(guid) {
            Ok(guid) => Ok(SchemaId::Guid(guid)),
            Err(_) => Err(format!("holds {} bytes behind 0x01, and a schema's GUID has 16", guid.len())),
        },
        [MAGIC, id @ ..] => match <[u8; 4]>::try_from(id) {
            Ok(id) => Ok(SchemaId::Number(u32::from_be_bytes(id))),
            Err(_) => Err(format!("holds {} bytes behind 0x00, and a schema's id has 4", id.len())),
        },
        [magic, ..] => Err(format!("begins with the byte {magic:#04x}, and a schema's id with 0x00 or 0x01")),
        [] => Err("is empty".into()),
    }
}

/// Write the frame into the room before a datum.
pub(super) fn fill(payload: &mut [u8], id: u32) {
    if let Some(frame) = payload.first_chunk_mut::<FRAME_BYTES>() {
        let [a, b, c, d] = id.to_be_bytes();
        *frame = [MAGIC, a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_again() {
        let mut payload = [9, 9, 9, 9, 9, 42];
        fill(&mut payload, 0x0102_0304);
        assert_eq!(payload, [0, 1, 2, 3, 4, 42]);
        assert_eq!(split(&payload), Ok((0x0102_0304, &[42][..])));
    }

    #[test]
    fn a_header_holds_a_guid_or_a_number() {
        let guid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        assert_eq!(id_in_header(&[&[1][..], guid.as_bytes()].concat()), Ok(SchemaId::Guid(guid)));
        assert_eq!(id_in_header(&[0, 0, 0, 1, 2]), Ok(SchemaId::Number(258)));
        for (header, reason) in [
            (&[][..], "is empty"),
            (&[7], "begins with the byte 0x07, and a schema's id with 0x00 or 0x01"),
            (&[1, 2], "holds 1 bytes behind 0x01, and a schema's GUID has 16"),
            (&[0; 4], "holds 3 bytes behind 0x00, and a schema's id has 4"),
        ] {
            assert_eq!(id_in_header(header).unwrap_err(), reason);
        }
    }

    #[test]
    fn another_format_is_named() {
        assert_eq!(
            split(b"{\"a\":1}").unwrap_err(),
            "begins with the byte 0x7b, and Avro with a schema id begins with 0x00"
        );
        assert_eq!(split(&[0, 0, 0, 1]).unwrap_err(), "is 4 bytes long, and its schema id alone takes 5");
    }
}
