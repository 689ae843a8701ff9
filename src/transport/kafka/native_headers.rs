//! Record headers between librdkafka and us. `rdkafka`'s own accessors take names as UTF-8 only, and panic on others.
#![allow(unsafe_code, reason = "calls rdkafka-sys; see each SAFETY comment")]

use std::ffi::{CStr, c_char, c_void};
use std::{ptr, slice};

use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka_sys as sys;

use super::super::Headers;

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
