//! What a service handles, as data for people and tools.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::BuildError;
use super::plan::{BoundDispatcher, BoundRoute};
use crate::dispatch::{BatchPolicy, DeliveryOrder, OnExhausted};

/// The environment variable that names the file routes are written to.
pub const ROUTES_VARIABLE: &str = "TIDINGS_ROUTES";

/// One route of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RouteListing {
    /// The service. Empty where the listing is of a version that did not say.
    #[serde(default)]
    pub service: String,
    /// The consumer group.
    pub group: String,
    /// The dispatcher.
    pub dispatcher: String,
    /// The service whose events these are.
    pub source: String,
    /// The event's name.
    pub event: String,
    /// The versions taken, `*` for all.
    pub versions: String,
    /// The handler.
    pub handler: String,
    /// The version the handler's payload type was written for.
    pub payload_version: String,
    /// The Avro schema of the handler's payload type; null where the listing is of a version that did not say.
    #[serde(default)]
    pub payload_schema: serde_json::Value,
    /// Attempts before an event is given up.
    pub max_attempts: u32,
    /// What happens then.
    pub on_exhausted: String,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Which events wait for which: `key`, `partition` or `unordered`.
    #[serde(default = "by_key")]
    pub order: String,
    /// Attempts that run at once at most; `None` without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Attempts that begin in a second at most; `None` without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// How its events are put together, for a handler of batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchListing>,
    /// The handler's documentation.
    pub docs: String,
}

/// How a handler of batches is given its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchListing {
    /// Events of a batch at most.
    pub max: u32,
    /// How long the first event of a batch waits for others, in milliseconds.
    pub wait_ms: u64,
}

/// What services that do not say it do.
fn by_key() -> String {
    "key".to_owned()
}

impl RouteListing {
    pub(super) fn new(service: &str, group: &str, dispatcher: &BoundDispatcher, route: &BoundRoute) -> Self {
        let on_exhausted = match route.policy.on_exhausted {
            OnExhausted::DeadLetter => "dead_letter",
            OnExhausted::ParkKey => "park_key",
            OnExhausted::Stop => "stop",
        };
        let order = match route.order {
            DeliveryOrder::Key => "key",
            DeliveryOrder::Partition => "partition",
            DeliveryOrder::Unordered => "unordered",
        };
        let batch = |batch: BatchPolicy| BatchListing { max: batch.max, wait_ms: milliseconds(batch.wait) };
        Self {
            service: service.to_owned(),
            group: group.to_owned(),
            dispatcher: dispatcher.name.to_owned(),
            source: dispatcher.source.clone(),
            event: route.info.event.to_owned(),
            versions: route.info.versions.to_string(),
            handler: route.info.handler.to_owned(),
            payload_version: route.info.payload.version.to_owned(),
            payload_schema: serde_json::from_str(route.info.payload.schema).unwrap_or_default(),
            max_attempts: route.policy.retry.max_attempts,
            on_exhausted: on_exhausted.to_owned(),
            timeout_ms: milliseconds(route.policy.timeout),
            order: order.to_owned(),
            concurrency: route.limits.concurrency,
            rate: route.limits.rate,
            batch: route.info.batch.map(batch),
            docs: route.info.docs.to_owned(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the routes are to be written, if they are asked for.
pub(super) fn requested() -> Option<String> {
    std::env::var(ROUTES_VARIABLE).ok().filter(|path| !path.is_empty())
}

pub(super) fn write(path: String, routes: &[RouteListing]) -> BuildError {
    let written =
        serde_json::to_vec_pretty(routes).map_err(std::io::Error::from).and_then(|json| fs::write(&path, json));
    match written {
        Ok(()) => BuildError::RoutesWritten { path },
        Err(source) => BuildError::WriteRoutes { path, source },
    }
}
