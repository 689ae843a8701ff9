//! The messages of `proto/tidings/store/v1/event_store.proto`. The code is generated, and kept here so that nobody needs a
//! compiler for it; a test compares it with what the file says now, and `TIDINGS_REGENERATE=1` has that test write it anew.

mod codec;
mod convert;

pub(super) use convert::id;
pub(super) use generated::*;

/// The file as descriptors, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!("descriptors.bin");

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::use_self,
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "it is generated"
)]
mod generated {
    include!("tidings.store.v1.rs");
}
