//! Against a cluster inside the process: no server needed.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

mod events;
mod producer;
mod publisher;
mod reader;
mod topics;
