//! Names of metrics, spans and their attributes.

pub mod names;
