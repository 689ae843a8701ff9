//! Record headers between librdkafka and us. `rdkafka`'s own accessors take names as UTF-8 only, and panic on others.
//!
//! librdkafka makes a list of a message's headers when they are first asked for: an allocation a header, which costs more than all
//! the rest of reading a message. It keeps the headers' bytes as they came, and has no call that shows them, so they are read from
//! where they stand in its own structure: only of the versions in [`VERIFIED`], and only where what is read there is provably
//! what it is taken for (see [`as_written`]). Everywhere else its list is used.
#![allow(unsafe_code, reason = "calls rdkafka-sys; see each SAFETY comment")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::{ptr, slice};

use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka_sys as sys;

use super::super::Headers;

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

/// A list for a record to be written.
pub(super) fn write(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let list = OwnedHeaders::new_with_capacity(headers.len());
    // A borrowed list is librdkafka's own, seen through a reference.
    let native: *mut sys::rd_kafka_headers_t = ptr::from_ref(list.as_borrowed()).cast_mut().cast();
    for header in headers.iter() {
        let (value, size) = header.value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        // A slice is never longer than `isize::MAX`.
        let (name_size, size) = (header.name.len().cast_signed(), size.cast_signed());
        // SAFETY: the list lives and is ours alone; name and value are valid for their sizes and are copied.
        unsafe { sys::rd_kafka_header_add(native, header.name.as_ptr().cast(), name_size, value.cast(), size) };
    }
    Some(list)
}

/// The headers of `message`.
pub(super) fn of(message: &BorrowedMessage<'_>) -> Headers {
    // SAFETY: the message is valid while it is borrowed.
    unsafe { read(message.ptr()) }
}

/// The headers of a message that librdkafka handed out.
///
/// # Safety
/// `message` is valid.
pub(super) unsafe fn read(message: *const sys::rd_kafka_message_t) -> Headers {
    let mut list = ptr::null_mut();
    // SAFETY: the message is valid, and `list` is only read when the call says it was written.
    let found = unsafe { sys::rd_kafka_message_headers(message, &raw mut list) };
    if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Headers::new();
    }
    let mut headers = Headers::with_capacity(768);
    for index in 0.. {
        let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0_usize);
        // SAFETY: the list belongs to the message, which lives; past its end the call returns an error.
        let found = unsafe { sys::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) };
        if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            break;
        }
        // SAFETY: the name is a C string, and the value null or valid for `size` bytes, while the message lives.
        unsafe {
            let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast(), size));
            headers.push(CStr::from_ptr(name).to_bytes(), value);
        }
    }
    headers
}
