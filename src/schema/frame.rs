//! The Confluent wire format: `0x00`, the schema's id in four bytes, the Avro datum.

/// The length of what stands before the datum, in bytes.
pub(super) const FRAME_BYTES: usize = 5;

const MAGIC: u8 = 0;

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
    fn another_format_is_named() {
        assert_eq!(
            split(b"{\"a\":1}").unwrap_err(),
            "begins with the byte 0x7b, and Avro with a schema id begins with 0x00"
        );
        assert_eq!(split(&[0, 0, 0, 1]).unwrap_err(), "is 4 bytes long, and its schema id alone takes 5");
    }
}
