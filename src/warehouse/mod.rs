//! Events as rows of a table, for data warehouses: [`ParquetSink`] writes them as Parquet files, each record exactly once.
//!
//! Every event has a table of its own. Its first columns are the pipeline's, from the record's headers and place: what an event's
//! schema need not repeat. The payload's fields follow, with their own types.
//!
//! | column | type | is |
//! |---|---|---|
//! | `event_id` | text | the event's id |
//! | `event_type` | text | the event's name, `accounts.UserUpdated` |
//! | `schema_version` | text | the version the payload was written in |
//! | `source` | text | the publishing service |
//! | `stream` | text | the stream, `Account/42` |
//! | `sequence` | 64-bit integer | the position in the stream; null for what was sent straight to Kafka |
//! | `stream_epoch` | 64-bit integer | the stream's epoch, usually 0 |
//! | `occurred_at` | timestamp, UTC | when it happened |
//! | `recorded_at` | timestamp, UTC | when it was recorded |
//! | `partition_key` | text | the key |
//! | `correlation_id`, `causation_id` | text | what it belongs to, and which event caused it |
//! | `kafka_topic`, `kafka_partition`, `kafka_offset` | text, 32-bit and 64-bit integer | where the record is |
//! | `kafka_timestamp` | timestamp, UTC | the record's own, in milliseconds |
//!
//! A field of the payload that has the name of one of these (or of `event` and `day`, the folders) becomes `payload_NAME`. Names
//! that differ only in case count as the same, since most databases take them so: the later one gets `_2` behind it.

pub(crate) mod columns;
#[cfg(feature = "parquet")]
mod sink;
pub(crate) mod table;

#[cfg(feature = "parquet")]
pub use sink::{LocalFiles, MemoryFiles, ParquetSink, SinkError, WarehouseFiles, Written};
#[cfg(feature = "parquet")]
pub use table::TableError;
