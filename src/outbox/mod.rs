//! The outbox: events are rows written in the transaction that changes their entity, and a relay publishes them.
//!
//! Each key belongs to one of 256 buckets, and each bucket to one [`Relay`] at a time. The relay reads rows, writes them to
//! Kafka, and deletes exactly those that Kafka acknowledged: no cursor moves past a row that commits late. A row that Kafka
//! refuses is moved to `tidings_outbox_parked`; what comes behind it in its stream follows it there, and all other streams go on.
//!
//! An event is published at least once. A repeat has the same sequence as the first time.

mod bucket;
pub(crate) mod durability;
mod epochs;
mod health;
mod held;
mod held_topics;
mod keys;
mod lease;
mod options;
mod order;
mod parked;
mod pipeline;
mod producers;
mod relay;
mod row;
mod running;
mod settled;
mod share;
mod status;
mod table;
mod wake;

#[cfg(feature = "store")]
pub(crate) use keys::{KeyList, KeyLists};
#[cfg(feature = "store")]
pub(crate) use row::RowId;
#[cfg(feature = "store")]
pub(crate) use settled::Settled;
#[cfg(feature = "store")]
pub(crate) use table::{gate_question, is_gate_free};

pub use bucket::{BUCKETS, bucket_of};
#[cfg(feature = "store")]
pub(crate) use epochs::raised_epoch;
pub use epochs::{Streams, change_mode, check_mode_change, count_streams, raise_epochs};
pub use health::{FullBucket, OutboxHealth, OutboxLimits, health};
pub use held_topics::{HeldTopic, held_topics};
pub use options::{RelayOptions, UnknownWakeListen, WakeListen};
pub use parked::{
    ParkedEvent, ParkedStream, Released, first_parked, parked, parked_streams, retry_parked, skip_parked, skippable,
};
pub use producers::{KafkaProducers, ProducerFactory};
pub use relay::{Relay, RelayError, RelayHandle, RelaySummary};
pub use status::{BucketStatus, OutboxStatus, status};
pub(crate) use wake::Wake;
