//! The recorder behind `/metrics`.

use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::telemetry::{METRICS, MetricKind, describe};

/// How often what histograms have recorded is folded into their buckets; until then each measurement is held.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Buckets of durations, in seconds: those of OpenTelemetry's conventions, and finer ones for what is quick.
const DURATIONS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    10.0,
];

/// A builder of a Prometheus recorder that writes names as OpenTelemetry translates them, as the alert rules of this project expect
/// them: with units, and `_total` for counters. For a service that wants more of it, such as labels of its own; it then
/// [describes](describe) the metrics itself, once the recorder is installed.
///
/// # Errors
/// None that can be caused from outside.
pub fn prometheus_builder() -> Result<PrometheusBuilder, BuildError> {
    let durations = METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram);
    durations.into_iter().try_fold(PrometheusBuilder::new().with_recommended_naming(true), |builder, metric| {
        builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &DURATIONS)
    })
}

/// Install a Prometheus recorder for this process, describe the metrics to it, and keep it in order.
///
/// # Errors
/// A recorder is installed already.
pub fn install_prometheus() -> Result<PrometheusHandle, BuildError> {
    let handle = prometheus_builder()?.install_recorder()?;
    describe();
    keep_up(handle.clone());
    Ok(handle)
}

/// Keep a recorder in order that nobody reads for long: what its histograms hold is bounded by this.
fn keep_up(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            thread::sleep(UPKEEP_INTERVAL);
            handle.run_upkeep();
        }
    };
    if let Err(error) = thread::Builder::new().name("tidings metrics".to_owned()).spawn(upkeep) {
        tracing::warn!(%error, "the thread that keeps the metrics in order could not start; reading /metrics does it too");
    }
}
