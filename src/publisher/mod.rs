//! Publishing.

mod prepare;

pub use prepare::{PreparedEvent, ReadyEvent};
