//! Publishing under faults: nothing committed is lost, no stream is reordered, and every repeat is known by its sequence.

mod checks;
mod clocks;
mod commits;
mod debezium;
mod kills;
mod line;
pub(crate) mod parts;
mod press;
mod relays;
#[cfg(feature = "store")]
pub(crate) mod replicas;
#[cfg(feature = "cli")]
mod restored;
mod servers;
#[cfg(feature = "store")]
mod stored;
mod tally;
