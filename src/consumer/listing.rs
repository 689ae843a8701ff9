//! What a service handles, as data for people and tools.

use std::fs;

use serde::{Deserialize, Serialize};

use super::error::BuildError;
use super::plan::{BoundDispatcher, BoundRoute};

/// The environment variable that names the file routes are written to.
pub const ROUTES_VARIABLE: &str = "TIDINGS_ROUTES";

/// One route of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RouteListing {
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
    /// Attempts before an event is given up.
    pub max_attempts: u32,
    /// What happens then.
    pub on_exhausted: String,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// The handler's documentation.
    pub docs: String,
}

impl RouteListing {
    pub(super) fn new(group: &str, dispatcher: &BoundDispatcher, route: &BoundRoute) -> Self {
        let on_exhausted = match route.policy.on_exhausted {
            crate::dispatch::OnExhausted::DeadLetter => "dead_letter",
            crate::dispatch::OnExhausted::ParkKey => "park_key",
            crate::dispatch::OnExhausted::Stop => "stop",
        };
        Self {
            group: group.to_owned(),
            dispatcher: dispatcher.name.to_owned(),
            source: dispatcher.source.clone(),
            event: route.info.event.to_owned(),
            versions: route.info.versions.to_string(),
            handler: route.info.handler.to_owned(),
            payload_version: route.info.payload.version.to_owned(),
            max_attempts: route.policy.retry.max_attempts,
            on_exhausted: on_exhausted.to_owned(),
            timeout_ms: u64::try_from(route.policy.timeout.as_millis()).unwrap_or(u64::MAX),
            docs: route.info.docs.to_owned(),
        }
    }
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
