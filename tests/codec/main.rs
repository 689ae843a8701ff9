//! What the codec allocates: as much as the payload's type holds, whatever the bytes say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what these tests share may stop at the first surprise")]

mod counting;
mod event;
mod hostile;
mod needed;
