//! Whether one version of a schema can live beside another, and what to do where it cannot.
//!
//! The rules are those payloads are read by: a [`Break`] says that some payload of the writer's could not be read, by which field and
//! why. [`CompatibilityMode`] says which versions have to read which, and [`Change`] how far an event's version has to rise.
//!
//! ```
//! use tidings::schema::compatibility::{Change, Direction, breaks};
//!
//! let old = r#"{"type": "record", "name": "Renamed", "fields": [{"name": "id", "type": "long"}]}"#;
//! let new = r#"{"type": "record", "name": "Renamed", "fields": [{"name": "id", "type": "long"},
//!     {"name": "nickname", "type": "string"}]}"#;
//! // The new type reads what is on the topic already, and misses a field there.
//! let found = breaks(old, new)?;
//! assert_eq!(found[0].to_string(), "field `nickname`: it is not in what was written, and has no default");
//! assert_eq!(found[0].fix(Direction::Backward), "give `nickname` a default");
//! // The old type reads the new events: it passes over what it does not know.
//! assert_eq!(breaks(new, old)?, []);
//! assert_eq!(Change::between(old, new)?, Change::Major);
//! # Ok::<(), tidings::schema::SchemaError>(())
//! ```

mod breaks;
mod change;
mod difference;
mod mode;
mod places;
#[cfg(test)]
mod tests;
mod walk;

pub use self::breaks::{Break, Direction, Rule, breaks};
pub use self::change::{Change, least_version, stated_version};
pub use self::difference::{Difference, differences};
pub use self::mode::{CompatibilityMode, UnknownMode};
