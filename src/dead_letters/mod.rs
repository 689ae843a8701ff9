//! Dead letters: look at what consumers gave up, and redrive it.
//!
//! A letter is the record as it was read, and why it was given up: raw key, payload and headers untouched, and behind
//! them the headers of [`header`]. Those of brokers (KIP-1191) and of Spring for Apache Kafka are read too.
//!
//! **Redriving** publishes a letter to its original topic again, with its own key, payload and headers, for the consumer group that
//! gave it up: other groups of tidings skip it. Each letter is redriven once, however often the redrive is interrupted and started
//! again, and whatever is selected then; letters of one key keep their order.
//!
//! ```no_run
//! # async fn example() -> Result<(), tidings::dead_letters::DeadLetterError> {
//! use tidings::dead_letters::{DeadLetters, RedriveOptions, Selection};
//! use tidings::transport::kafka::KafkaOptions;
//!
//! let letters = DeadLetters::of_group(KafkaOptions::new("broker-1:9092"), "leaderboards.Leaderboards");
//! let timeouts = Selection::all().class("timeout");
//! let options = RedriveOptions::default().rate(50.0);
//! let plan = letters.plan(&timeouts, &options).await?;
//! println!("{} letters would be redriven", plan.redriven);
//! let done = letters.redrive(&timeouts, &options, std::future::pending(), |_| {}).await?;
//! println!("{} were", done.redriven);
//! # Ok(())
//! # }
//! ```

pub mod header;

mod circumstances;
mod error;
mod letter;
mod letters;
mod merged_reader;
mod pacing;
mod progress;
mod redrive;
mod redrive_options;
mod redriven_record;
mod refusal;
mod selection;
mod spring;
mod summary;
mod writer;

pub use circumstances::{Circumstances, LetterFormat, Origin};
pub use error::DeadLetterError;
pub use letter::{Letter, Place, UnknownPlace};
pub use letters::{DeadLetters, Letters};
pub use redrive_options::RedriveOptions;
pub use refusal::Refusal;
pub use selection::Selection;
pub use summary::{Breakdown, RedriveSummary};
