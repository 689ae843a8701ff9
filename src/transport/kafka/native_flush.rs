//! Flushing without serving events, which is the producer's own thread's work.
#![allow(unsafe_code, reason = "calls rdkafka-sys; see the SAFETY comment")]

use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka_sys as sys;

/// Send what waits at once, lingering or not, and block until everything is acknowledged or failed, or until `deadline`.
/// `rdkafka`'s own flush lets records linger between its turns.
pub(super) fn flush<C: ProducerContext>(client: &BaseProducer<C>, deadline: Duration) {
    let milliseconds = i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives; the call may be made from any thread. That time ran out is no error here.
    unsafe { sys::rd_kafka_flush(client.client().native_ptr(), milliseconds) };
}
