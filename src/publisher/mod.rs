//! Publishing: events leave a service through a [`Publisher`].
//!
//! ```no_run
//! # use std::borrow::Cow;
//! # use tidings::Event;
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct NicknameChanged { user_id: i64, nickname: String }
//! # impl Event for NicknameChanged {
//! #     const NAME: &'static str = "accounts.NicknameChanged";
//! #     const VERSION: &'static str = "1.0.0";
//! #     const SCHEMA: &'static str = r#"{"type": "record", "name": "NicknameChanged", "fields": []}"#;
//! #     const ENTITY: &'static str = "Account";
//! #     fn key(&self) -> Cow<'_, str> { self.user_id.to_string().into() }
//! # }
//! use tidings::publisher::{Acks, Publisher, PublisherOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = Publisher::builder(PublisherOptions::new("accounts")).build().await?;
//! let event = NicknameChanged { user_id: 42, nickname: "Ada".to_owned() };
//! let receipt = publisher.send(&event, Acks::All).await?;
//! println!("{} is at offset {:?}", receipt.id(), receipt.offset());
//! publisher.close(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod error;
mod fire_and_forget;
mod handle;
mod mode;
mod observe;
mod options;
mod prepare;
mod receipt;
mod recorder;
#[cfg(test)]
mod tests;

pub use crate::transport::{Acks, Target};
pub use builder::PublisherBuilder;
pub use error::{PublishError, PublisherError};
pub use handle::Publisher;
pub use mode::{DeliveryMode, UnknownMode};
pub use observe::DroppedEvent;
pub use options::PublisherOptions;
pub use prepare::{PreparedEvent, ReadyEvent};
pub use receipt::{PendingReceipt, Receipt};
pub use recorder::{Recorder, StoredEvents};
