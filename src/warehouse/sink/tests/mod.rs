//! Tests of the sink: what a row has, and that it is there once.

mod exactly_once;
mod values;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::*;
use crate::dispatch::{Delivery, DeliveryContext, DeliveryParts, Extensions, FromDelivery as _};
use crate::transport::{Headers, Record};

/// A score.
#[derive(Serialize, Deserialize, Debug, Clone)]
struct Scored {
    player: i64,
}

impl Event for Scored {
    const NAME: &'static str = "scores.Scored";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Scored", "namespace": "scores", "fields": [
        {"name": "player", "type": "long"}]}"#;
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.player.to_string().into()
    }
}

/// The message of a record.
fn message(partition: i32, offset: i64, headers: &[(&str, &str)]) -> Message {
    message_at(partition, offset, Some(1_700_000_000_123), headers)
}

/// The message of a record with a time of its own.
fn message_at(partition: i32, offset: i64, timestamp_ms: Option<i64>, headers: &[(&str, &str)]) -> Message {
    let headers = headers.iter().fold(Headers::new(), |mut headers, (name, value)| {
        headers.push_str(name, value);
        headers
    });
    of_record(Record { topic: "scores".into(), partition, offset, timestamp_ms, key: None, payload: None, headers })
}

/// The message of a record of another topic.
fn message_of(topic: &str, partition: i32, offset: i64) -> Message {
    let (timestamp_ms, headers) = (Some(1_700_000_000_123), Headers::new());
    of_record(Record { topic: topic.into(), partition, offset, timestamp_ms, key: None, payload: None, headers })
}

fn of_record(record: Record) -> Message {
    let (key, payload) = (Some(Bytes::from_static(b"key")), Some(Bytes::new()));
    let record = Record { key, payload, ..record };
    let context = DeliveryContext { codec: Codec::local(), extensions: Extensions::new(), group: "g".into() };
    let delivery = Delivery::new(DeliveryParts { record, context: Arc::new(context), handler: "h", attempt: 1 });
    Message::from_delivery(&delivery).now_or_never().unwrap().unwrap()
}
