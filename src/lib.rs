//! Domain events on Kafka, for Rust services.
//!
//! A service publishes what happened to the topic that carries its own name, and does not know who listens. Another annotates a
//! method, and has a typed handler that sees each user's events in order. Entities and their events are saved in one MySQL
//! transaction: what commits is published, what rolls back is not.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tidings::prelude::*;
//!
//! /// A player's profile changed.
//! #[derive(Event, Serialize, Deserialize, Debug, Clone)]
//! #[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
//! struct UserUpdated {
//!     #[event(key)]
//!     user_id: i64,
//!     nickname: String,
//! }
//!
//! struct Leaderboards;
//!
//! #[dispatcher(source = "accounts")]
//! impl Leaderboards {
//!     #[on("accounts.UserUpdated", version = ">=1.2.3, <2")]
//!     async fn on_user_updated(&self, event: UserUpdated, message: Message) -> Result<()> {
//!         println!("player {} is now {}, since {:?}", event.user_id, event.nickname, message.occurred_at());
//!         Ok(())
//!     }
//! }
//!
//! # async fn example() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! use tidings::consumer::{Consumer, ConsumerOptions};
//! use tidings::publisher::{Acks, Publisher, PublisherOptions};
//!
//! // The service `accounts`:
//! let publisher = Publisher::builder(PublisherOptions::new("accounts")).build().await?;
//! publisher.send(&UserUpdated { user_id: 42, nickname: "Ada".to_owned() }, Acks::All).await?;
//!
//! // The service `leaderboards`, until SIGTERM:
//! Consumer::builder(ConsumerOptions::new("leaderboards")).dispatch(Leaderboards).build().await?.run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | declare an event | [`derive(Event)`](macro@crate::Event), the trait [`Event`](trait@crate::Event) |
//! | handle events | [`dispatcher`], [`on`], [`Message`], [`State`], [`FromDelivery`] |
//! | say what became of one | [`Result`], [`Outcome`], [`HandlerError`]: errors are retried unless [terminal](ResultExt::terminal) |
//! | run handlers | [`consumer`] |
//! | look at what handlers gave up, and redrive it | [`dead_letters`] |
//! | publish, straight to Kafka | [`publisher`] |
//! | publish in a transaction | [`database`], [`outbox`] |
//! | have effects once | [`database::inbox`] |
//! | spread keys over several databases | [`database::shards`] |
//! | count what was lost, repeated or reordered | `audit`, a feature |
//! | know what is on the topic | [`envelope`] |
//! | encode, decode, use a registry | [`schema`] |
//! | reach brokers, declare topics | [`transport::kafka`] |
//! | test handlers, without a broker or on one | `testing`, a feature |
//! | write events as Parquet files, for a data warehouse | `warehouse`, a feature: `parquet` |
//! | follow causes and traces | [`causality`], [`telemetry`] |
//!
//! # Words
//!
//! An **event** is something that happened, in the past tense. Its **source** is the publishing service, and so its topic. Its
//! **key** is the user's or entity's id, and partitions. Its **stream** is one entity's events, `Player/42`, and its **sequence**
//! the position there. A **dispatcher** is an annotated impl block, a **handler** an annotated method, a **route** the
//! way from an event's name and versions to a handler. An event on its way to one is a **delivery**, and what became of it its
//! **outcome**.
//!
//! # What is promised
//!
//! - Events of one key on one topic are handled in their order. A failing event holds its own key, and no other.
//! - Delivery is at least once. An offset moves when everything before it is done, or is a dead letter that Kafka has.
//! - A handler that takes a [`Transaction`](database::Transaction) has its effects in that database once for each event.
//! - With [`DeliveryMode::Outbox`](publisher::DeliveryMode::Outbox), an event is published if and only if its transaction
//!   commits, in the order of its stream, and numbered without gaps.
//! - With [`DeliveryMode::Store`](publisher::DeliveryMode::Store), the same, and an event reaches the event store once, in order, even
//!   from a relay that stood still or runs twice.
//! - With [`DeliveryMode::Direct`](publisher::DeliveryMode::Direct), an event that is not acknowledged is lost, counted and
//!   reported.
//!
//! # Features
//!
//! `macros`, `consumer`, `publisher`, `registry`, `mysql` and `tls` are on by default; `sqlite`, `embedded` (a Kafka cluster inside
//! the process), `testing` (a test kit), `http` (health and metrics), `opentelemetry`, `audit` (the auditor), `store` (the event
//! store), `parquet` (a sink for data warehouses) and `cli` are not. `kafka`, the client, is part of `consumer` and `publisher`; `database`, what the databases
//! share, of `mysql` and `sqlite`. A consumer that needs no database says
//! `default-features = false, features = ["macros", "consumer", "tls"]`.

#[cfg(feature = "audit")]
pub mod audit;
pub mod causality;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
#[cfg(feature = "consumer")]
pub mod consumer;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub mod database;
#[cfg(feature = "consumer")]
pub mod dead_letters;
pub mod dispatch;
pub mod envelope;
#[cfg(any(feature = "consumer", feature = "publisher"))]
mod error_report;
pub mod event;
#[cfg(any(feature = "publisher", feature = "parquet"))]
mod fault_point;
#[cfg(feature = "consumer")]
mod handoff;
mod milliseconds;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub mod outbox;
mod outcome;
pub mod payload;
mod positive;
pub mod prelude;
#[cfg(feature = "publisher")]
pub mod publisher;
pub mod schema;
#[cfg(all(feature = "store", any(feature = "mysql", feature = "sqlite")))]
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
pub mod upcast;
#[cfg(feature = "parquet")]
pub mod warehouse;
#[cfg(all(feature = "cli", not(feature = "parquet")))]
mod warehouse;

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
#[doc = include_str!("docs/events.md")]
pub use tidings_macros::events;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/on.md")]
pub use tidings_macros::on;

#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;

/// The pages beside the crate, whose code is compiled with the tests.
#[cfg(all(doctest, feature = "macros", feature = "consumer", feature = "mysql", feature = "registry"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/getting-started.md")]
    struct GettingStarted;
    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../docs/exactly-once.md")]
    struct ExactlyOnce;
    #[doc = include_str!("../docs/decode-plans.md")]
    struct DecodePlans;
    #[doc = include_str!("../docs/limits.md")]
    struct Limits;
    #[doc = include_str!("../docs/shards.md")]
    struct ShardsPage;
    #[doc = include_str!("../docs/evolving-events.md")]
    struct EvolvingEvents;
    #[cfg(feature = "parquet")]
    #[doc = include_str!("../docs/warehouse.md")]
    struct WarehousePage;
}
