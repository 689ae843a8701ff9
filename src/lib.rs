//! Domain events on Kafka.

pub mod causality;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
#[cfg(feature = "consumer")]
pub mod consumer;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub mod database;
pub mod dispatch;
pub mod envelope;
pub mod event;
mod milliseconds;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub mod outbox;
mod outcome;
pub mod prelude;
#[cfg(feature = "publisher")]
pub mod publisher;
pub mod schema;
pub mod telemetry;
pub mod transport;

pub use dispatch::{Delivery, Dispatcher, FromDelivery, Message, State};
pub use event::{Event, Key, Stream};
pub use outcome::{ErrorClass, HandlerError, IntoOutcome, Outcome, Result, ResultExt};

#[cfg(feature = "macros")]
#[doc = include_str!("docs/event.md")]
pub use tidings_macros::Event;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/dispatcher.md")]
pub use tidings_macros::dispatcher;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/on.md")]
pub use tidings_macros::on;

#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;
