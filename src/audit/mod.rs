//! The auditor: reads a topic, and says of each stream what is missing, what came again, and what came out of order.
//!
//! It believes nobody: it compares the (epoch, sequence) of every record with those of its stream. What was deleted, compacted or
//! lies before the start is no loss, as far as offsets are left out where it was. With a database, an [`Audit`] also knows what
//! was committed: the end of a stream that never reached the topic is missing, unless it waits in the outbox or is parked there. With
//! the database of an event store, what is stored and never came is told, too.
//!
//! A stream takes 40 to 75 bytes, however many events it has. Where the streams do not fit into the memory allowed, the topic
//! is read again for the rest of them: any number of streams is audited in [bounded memory](AuditOptions::memory), with more time.

#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod chain;
mod comparison;
mod error;
mod log;
mod names;
mod options;
mod origin;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod outbox;
mod ranges;
mod reading;
mod report;
mod run;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod side_by_side;
mod state;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod store;
mod streams;
#[cfg(test)]
mod tests;

pub use error::AuditError;
pub use options::AuditOptions;
pub use ranges::SequenceRange;
pub use report::{AuditReport, AuditTotals, Occurrence, StreamReport, Tolerance};
pub use run::{Audit, AuditProgress};
