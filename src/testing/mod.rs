//! A test kit: your dispatchers on the real engine, without a broker, or the same test on a real one.
//!
//! A test starts a consumer from the builder that production starts it from, publishes events through the real envelope, codec
//! and partitioning, and says what must have become of them. In memory there is no network and no waiting: a retry after five
//! minutes takes as long as one after a millisecond.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//! use tidings::consumer::{Consumer, ConsumerBuilder, ConsumerOptions};
//! use tidings::prelude::*;
//! use tidings::testing::TestKit;
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
//! #[derive(Clone, Default)]
//! struct Leaderboards {
//!     names: Arc<Mutex<Vec<String>>>,
//! }
//!
//! #[dispatcher(source = "accounts", retry(initial = "200ms"))]
//! impl Leaderboards {
//!     #[on("accounts.UserUpdated", version = ">=1.2.3, <2")]
//!     async fn on_user_updated(&self, event: UserUpdated) -> Result<()> {
//!         self.names.lock().map_err(|_| "the names are not whole")?.push(event.nickname);
//!         Ok(())
//!     }
//! }
//!
//! /// What `main` builds and runs.
//! fn leaderboards(dispatcher: Leaderboards) -> ConsumerBuilder {
//!     Consumer::builder(ConsumerOptions::new("leaderboards")).dispatch(dispatcher)
//! }
//!
//! # macro_rules! test { ($($code:tt)*) => { #[tokio::main(flavor = "current_thread")] $($code)* } }
//! // Under #[tokio::test]:
//! # test! {
//! async fn a_rename_survives_a_failure_and_a_crash() {
//!     let kit = TestKit::from_environment();
//!     kit.start(leaderboards(Leaderboards::default())).await;
//!
//!     // The first attempt fails; the event is tried again 200 ms later, and not before.
//!     kit.fail_next("on_user_updated", "the database is away");
//!     let event = UserUpdated { user_id: 42, nickname: "Ada".to_owned() };
//!     kit.publish(&event).await;
//!     kit.assert_not_handled(&event).await;
//!     kit.advance(Duration::from_millis(200)).await;
//!     kit.assert_handled_once(&event).await;
//!
//!     // It was handled and is not committed yet, so whoever takes over does it again.
//!     kit.crash_before_commit().await;
//!     kit.assert_handled(&event, 2).await;
//!
//!     // Offsets are committed every second: after that a crash repeats nothing.
//!     kit.advance(Duration::from_secs(1)).await;
//!     kit.crash_before_commit().await;
//!     kit.assert_handled(&event, 2).await;
//! }
//! # }
//! # fn main() { a_rename_survives_a_failure_and_a_crash() }
//! ```
//!
//! # What is real, and what is not
//!
//! Everything from the record to the offset is what runs in production: routing, decoding, extractors, a queue for each key, retries, dead
//! letters, offsets with the events completed above them, draining, committing. In memory, what stands in for Kafka is a broker that
//! keeps records in partitions (chosen by murmur2, as Java clients do), and groups: partitions are spread over the members evenly,
//! a partition moves only after its owner has given it back, a member whose partitions were taken cannot commit them.
//!
//! Members of one consumer share its dispatchers, because they were given once: state in them is not that of a process.
//!
//! # Time
//!
//! Time stands still for engines and publishers: for pauses, timeouts of handlers, commits, ages and the dates of events. It moves
//! - when the test [advances](TestKit::advance) it: to each pause's and timeout's end on the way, so that what would have
//!   happened on the way does happen;
//! - when an assertion waits for something that only time can bring: [`assert_handled_once`](TestKit::assert_handled_once) goes from
//!   retry to retry, [`assert_not_handled`](TestKit::assert_not_handled) does not;
//! - while members drain, hand over and leave.
//!
//! Offsets are committed when the commit interval (a second, unless the options say otherwise) has passed on that clock, or a member
//! leaves in order; so a test knows what a crash will repeat.
//!
//! A retry pauses for the whole bound that its policy says, not for a part of it drawn at random, so a test knows when it is due.
//!
//! Tokio's own clock is left as it is: what handlers wait for by themselves, such as a database, takes the time it takes. A test that
//! does not want to wait for what handlers `sleep` pauses it (`#[tokio::test(start_paused = true)]`); [`TestKit::advance`] then
//! moves both. On real brokers the kit lets it go on.
//!
//! Handlers that wait for something are not waited for for ever. [`TestOptions::settle`] says how long one that shows no progress is
//! given before the kit takes things as they are, [`TestOptions::patience`] when an assertion gives up; both in real time.
//!
//! # On real brokers
//!
//! With `TIDINGS_TEST_BROKERS=host:port` in the environment, [`TestKit::from_environment`] runs the same test there, and with
//! `TIDINGS_TEST_REGISTRY=URL` and the feature `registry` its payloads go by that registry. Names of topics and groups get a suffix
//! that nobody else has, which is taken off again where the kit names them, and both are deleted with the kit. What differs:
//!
//! | | in memory | on real brokers |
//! |---|---|---|
//! | time of engines and publishers | stands still | stands still: a pause of an hour is advanced over there too |
//! | time of brokers and clients | there is none | goes on: joining a group takes some seconds |
//! | a member that dies | is gone | leaves the group without committing; its session need not run out |
//! | [`lose_partitions`](Member::lose_partitions) | the broker takes them | the member behaves as if it had, and a new one takes its place |
//! | [`pause_broker`](TestKit::pause_broker), `fail_next_…` | between engine and broker | the same |
//! | [`KafkaOptions`](crate::transport::kafka::KafkaOptions) of consumers | not used | replaced by the kit's |
//!
//! # Databases
//!
//! A handler's database is a real one: the kit gives its handlers the time they need, and does not know what they wait for. For events
//! published in a transaction, a relay writes through [`TestKit::producer`], and
//! [`TestKit::publisher_builder`] makes the publisher.

mod assertions;
mod attempt;
mod faults;
mod journal;
mod kit;
mod member;
mod options;
mod panics;
mod producer;
mod published;
mod publishing;
mod redelivery;
mod service;
mod stage;
mod time;
mod wait;
mod watcher;

pub use crate::fault_point::{FAULT_POINT_VARIABLE, FAULT_POINTS, SINK_FAULT_POINTS, STORE_FAULT_POINTS};
pub use attempt::{AttemptOutcome, DeadLetter, HandlerAttempt};
pub use kit::TestKit;
pub use member::Member;
pub use options::{BROKERS_VARIABLE, REGISTRY_VARIABLE, TestOptions};
pub use published::{EventRef, Published};
