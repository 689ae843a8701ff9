//! The attribute macros of tidings; use them through the `tidings` crate.
