//! A record's headers as the broker sent them.
//!
//! librdkafka makes a list of a message's headers when they are first asked for: an allocation a header, which costs more than all
//! the rest of reading a message. It keeps the headers' bytes as they came, and has no call that shows them, so they are read from
//! where they stand in its own structure: only of the versions in [`VERIFIED`], and only where what is read there is provably
//! what it is taken for (see [`as_written`]). Everywhere else its list is used.
#![allow(unsafe_code, reason = "reads librdkafka's own structure; see each SAFETY comment")]

use std::ffi::{c_int, c_void};
use std::slice;

use rdkafka_sys as sys;

/// The versions of librdkafka whose `rd_kafka_msg_t` is [`NativeMessage`], as `rd_kafka_version()` tells them.
const VERIFIED: [c_int; 1] = [0x020c_01ff];

/// The beginning of librdkafka's `rd_kafka_msg_t` (`rdkafka_msg.h`), of which a message handed out is the first field.
#[repr(C)]
struct NativeMessage {
    message: sys::rd_kafka_message_t,
    link: [*const c_void; 2],
    flags: c_int,
    timestamp_type: c_int,
    timestamp: i64,
    parsed_headers: *const c_void,
    status: c_int,
    broker: i32,
    headers: NativeBytes,
}

#[repr(C)]
struct NativeBytes {
    length: i32,
    data: *const c_void,
}

/// Whether this librdkafka is one whose structure is known.
pub(super) fn is_verified() -> bool {
    // SAFETY: the call takes nothing and touches nothing.
    let version = unsafe { sys::rd_kafka_version() };
    cfg!(target_pointer_width = "64") && VERIFIED.contains(&version)
}

/// The headers of a message that was read, as they came from the broker; `None` where they cannot be told for sure.
///
/// In a record the headers stand directly behind the payload, and librdkafka copies neither: so its pointer to the headers is its
/// pointer to the payload and the payload's length. A pointer that is just that is the one looked for.
///
/// # Safety
/// `message` is valid and was consumed, by a librdkafka for which [`is_verified`] holds; the result lives as long as it does.
pub(super) unsafe fn as_written<'a>(message: *const sys::rd_kafka_message_t) -> Option<&'a [u8]> {
    // SAFETY: a message is the first field of librdkafka's own structure, which is at least as large as `NativeMessage` in the
    // versions verified; plain integers and pointers are read from it, which any bits are.
    let native = unsafe { &*message.cast::<NativeMessage>() };
    let payload = native.message.payload;
    let length = usize::try_from(native.headers.length).ok().filter(|length| *length > 0)?;
    let behind = payload.addr().checked_add(native.message.len)?;
    if payload.is_null() || native.headers.data.addr() != behind || !native.parsed_headers.is_null() {
        return None;
    }
    // SAFETY: librdkafka keeps the record's bytes, headers included, as long as the message.
    Some(unsafe { slice::from_raw_parts(native.headers.data.cast(), length) })
}
