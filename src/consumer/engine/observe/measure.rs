//! How long attempts take: of each handler some, and all while they are few.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use metrics::Histogram;

use super::super::{Engine, Parts};
use super::Observed;
use crate::clock::Clock;
use crate::consumer::completions::RouteId;
use crate::outcome::Outcome;
use crate::telemetry::{names, spans};
use crate::transport::ConsumerTransport;

/// The attempts of a handler that are measured in a second, about.
const MEASURED: u32 = 1_000;

/// A route's attempts.
pub(super) struct RouteWatch {
    /// The route's number among all of the group.
    pub(super) place: u32,
    duration: Histogram,
    attempts: u32,
    /// Every how many attempts one is measured.
    every: u32,
    until_measured: u32,
}

impl RouteWatch {
    /// The route with this number, whose handler is called `handler`.
    pub(super) fn new(place: u32, group: &str, topic: &str, handler: &'static str) -> Self {
        let duration = process_duration(group, topic, handler, None);
        Self { place, duration, attempts: 0, every: 1, until_measured: 0 }
    }
}

/// An attempt that is measured.
pub(crate) struct Measured {
    clock: Arc<dyn Clock>,
    since: Duration,
    duration: Histogram,
    handler: &'static str,
    topic: Arc<str>,
    group: Arc<str>,
}

impl Measured {
    /// The attempt begins now.
    pub(crate) fn begin(mut self) -> Self {
        self.since = self.clock.monotonic();
        self
    }

    pub(crate) fn finish(self, outcome: &Outcome) {
        let took = self.clock.monotonic().saturating_sub(self.since).as_secs_f64();
        match spans::error_type(outcome) {
            None => self.duration.record(took),
            Some(error) => process_duration(&self.group, &self.topic, self.handler, Some(error)).record(took),
        }
    }
}

fn process_duration(group: &str, topic: &str, handler: &'static str, error: Option<&'static str>) -> Histogram {
    let mut labels = vec![
        metrics::Label::from_static_parts(names::SYSTEM, names::KAFKA),
        metrics::Label::from_static_parts(names::OPERATION_NAME, names::PROCESS),
        metrics::Label::new(names::DESTINATION, topic.to_owned()),
        metrics::Label::new(names::CONSUMER_GROUP, group.to_owned()),
        metrics::Label::from_static_parts(names::HANDLER, handler),
    ];
    labels.extend(error.map(|error| metrics::Label::from_static_parts(names::ERROR_TYPE, error)));
    metrics::histogram!(names::PROCESS_DURATION, labels)
}

impl Observed {
    /// An attempt at the route begins. Now and then one is measured: all of them while they are few, so that a handler's
    /// distribution is not that of its slow attempts.
    pub(in crate::consumer::engine) fn measure(&mut self, parts: &Parts, route: RouteId) -> Option<Measured> {
        let watch = self.routes.get_mut(route.0)?.get_mut(route.1)?;
        watch.attempts = watch.attempts.saturating_add(1);
        watch.until_measured = watch.until_measured.saturating_sub(1);
        if watch.until_measured > 0 {
            return None;
        }
        watch.until_measured = watch.every;
        let plan = &parts.plan.topics[route.0];
        Some(Measured {
            clock: Arc::clone(&parts.clock),
            since: parts.clock.monotonic(),
            duration: watch.duration.clone(),
            handler: plan.routes[route.1].handler,
            topic: Arc::clone(&plan.topic),
            group: Arc::clone(&parts.plan.group),
        })
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// Measure about as many attempts as in the second before, and find the recorder that may have been installed meanwhile.
    pub(super) fn renew_measuring(&mut self) {
        let plan = &self.parts.plan;
        for (topic, watches) in plan.topics.iter().zip(&mut self.observed.routes) {
            for (route, watch) in topic.routes.iter().zip(watches) {
                watch.duration = process_duration(&plan.group, &topic.topic, route.handler, None);
                watch.every = (mem::take(&mut watch.attempts) / MEASURED).max(1);
                watch.until_measured = watch.until_measured.min(watch.every);
            }
        }
    }
}
