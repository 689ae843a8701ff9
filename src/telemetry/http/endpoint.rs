//! What the paths answer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use crate::consumer::{ConsumerHandle, ConsumerHealth};

/// The text format's own media type.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is to be told over HTTP: the health of consumers and outboxes, and the metrics.
#[derive(Clone, Default)]
#[must_use]
pub struct Endpoint {
    consumers: Vec<ConsumerHandle>,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    outboxes: Vec<(crate::database::Database, crate::outbox::OutboxLimits)>,
    prometheus: Option<PrometheusHandle>,
}

/// What `/health` answers.
#[derive(Debug, Serialize)]
struct Report {
    live: bool,
    ready: bool,
    reasons: Vec<String>,
    consumers: Vec<ConsumerHealth>,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    outboxes: Vec<crate::outbox::OutboxHealth>,
}

/// The paths for one consumer. The same as an [`Endpoint`] of the two.
pub fn router(consumer: ConsumerHandle, prometheus: PrometheusHandle) -> Router {
    Endpoint::new().consumer(consumer).prometheus(prometheus).router()
}

impl Endpoint {
    /// Nothing yet: live and ready, without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tell the health of this consumer too.
    pub fn consumer(mut self, consumer: ConsumerHandle) -> Self {
        self.consumers.push(consumer);
        self
    }

    /// Tell the health of this database's outbox too: for processes that run its relay. Every question reads the database.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub fn outbox(mut self, database: crate::database::Database, limits: crate::outbox::OutboxLimits) -> Self {
        self.outboxes.push((database, limits));
        self
    }

    /// Serve the metrics of this recorder; see [`install_prometheus`](super::install_prometheus). Default: `/metrics` is not
    /// there.
    pub fn prometheus(mut self, prometheus: PrometheusHandle) -> Self {
        self.prometheus = Some(prometheus);
        self
    }

    /// The paths, to be mounted wherever the service wants them.
    pub fn router(self) -> Router {
        let metrics = self.prometheus.is_some();
        let mut router =
            Router::new().route("/live", get(live)).route("/ready", get(ready)).route("/health", get(health));
        if metrics {
            router = router.route("/metrics", get(prometheus_text));
        }
        router.with_state(Arc::new(self))
    }

    #[cfg_attr(
        not(any(feature = "mysql", feature = "sqlite")),
        expect(clippy::unused_async, reason = "without a database nothing is waited for")
    )]
    async fn report(&self) -> Report {
        let consumers: Vec<_> = self.consumers.iter().map(ConsumerHandle::health).collect();
        let reasons = consumers.iter().flat_map(ConsumerHealth::reasons).collect();
        let report = Report {
            live: consumers.iter().all(|consumer| consumer.live),
            ready: consumers.iter().all(|consumer| consumer.ready),
            reasons,
            consumers,
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            outboxes: Vec::new(),
        };
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let report = {
            let mut report = report;
            for (database, limits) in &self.outboxes {
                let outbox = crate::outbox::health(database, limits).await;
                report.ready &= outbox.ready;
                report.reasons.extend(outbox.reasons.iter().map(|reason| format!("outbox: {reason}")));
                report.outboxes.push(outbox);
            }
            report
        };
        report
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("consumers", &self.consumers)
            .field("prometheus", &self.prometheus.is_some())
            .finish_non_exhaustive()
    }
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// A word, and the reasons where it is not well.
fn told(well: bool, word: &str, reasons: &[String]) -> Response {
    let text = if well { format!("{word}\n") } else { format!("not {word}\n{}\n", reasons.join("\n")) };
    (status(well), text).into_response()
}

/// Asks no database: a process is not to be killed because one is slow.
async fn live(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let consumers: Vec<_> = endpoint.consumers.iter().map(ConsumerHandle::health).collect();
    let reasons: Vec<_> = consumers.iter().flat_map(ConsumerHealth::reasons).collect();
    told(consumers.iter().all(|consumer| consumer.live), "live", &reasons)
}

async fn ready(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let report = endpoint.report().await;
    told(report.live && report.ready, "ready", &report.reasons)
}

async fn health(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let report = endpoint.report().await;
    (status(report.live && report.ready), Json(report)).into_response()
}

async fn prometheus_text(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let text = endpoint.prometheus.as_ref().map(PrometheusHandle::render).unwrap_or_default();
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response()
}
