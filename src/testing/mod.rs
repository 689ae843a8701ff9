//! (docs to come)

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
mod redelivery;
mod service;
mod stage;
mod time;
mod wait;
mod watcher;

pub use attempt::{AttemptOutcome, DeadLetter, HandlerAttempt};
pub use kit::TestKit;
pub use member::Member;
pub use options::{BROKERS_VARIABLE, REGISTRY_VARIABLE, TestOptions};
pub use published::{EventRef, Published};
