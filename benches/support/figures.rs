//! Figures beside their references, and how they are reported.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// One figure beside its reference: measured in the same run, or a constant where that says so.
pub struct Measurement {
    pub name: &'static str,
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    /// The ratio to reach.
    pub target: Option<f64>,
}

impl Measurement {
    /// Report a rate, where more is better: the ratio is ours by the reference.
    pub fn report(&self) {
        self.report_ratio(self.ours / self.reference);
    }

    /// Report a time or a size, where less is better: the ratio is the reference by ours, so that more is better again.
    pub fn report_cost(&self) {
        self.report_ratio(self.reference / self.ours);
    }

    fn report_ratio(&self, ratio: f64) {
        let Self { name, ours, reference, unit, target } = *self;
        println!(
            "{name}: ours {} {unit}, reference {} {unit}, ratio {ratio:.3}{}",
            readable(ours),
            readable(reference),
            verdict(ratio, target)
        );
        write_line(&json!({
            "name": name, "ours": ours, "reference": reference, "ratio": ratio, "unit": unit, "target": target,
        }));
    }
}

/// Latencies at one offered load beside their reference.
pub struct LatencyMeasurement {
    pub name: &'static str,
    pub offered_per_second: u64,
    /// What was committed of that, where transactions are offered.
    pub committed_per_second: Option<f64>,
    pub ours: Quantiles,
    pub reference: Quantiles,
    pub target: Option<LatencyTarget>,
}

/// What is to be reached, in milliseconds, at the load that was offered.
#[derive(Clone, Copy)]
pub struct LatencyTarget {
    pub p50_ms: Option<f64>,
    pub p99_ms: f64,
}

/// The part of an offered load that must have been committed, or a target at that load says nothing.
const COMMITTED: f64 = 0.95;

/// Milliseconds.
#[derive(Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "as results have them")]
pub struct Quantiles {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

impl Quantiles {
    /// Of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
        Self { p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999) }
    }

    /// The median of each.
    pub fn median(all: &[Self]) -> Self {
        let of = |quantile: fn(&Self) -> f64| median(&all.iter().map(quantile).collect::<Vec<_>>());
        Self { p50_ms: of(|q| q.p50_ms), p99_ms: of(|q| q.p99_ms), p999_ms: of(|q| q.p999_ms) }
    }
}

impl std::fmt::Display for Quantiles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "p50 {:.2} p99 {:.2} p99.9 {:.2} ms", self.p50_ms, self.p99_ms, self.p999_ms)
    }
}

impl LatencyMeasurement {
    /// Report it; the ratio is of the 99th percentiles, the reference's by ours, so that more is better.
    pub fn report(&self) {
        let Self { name, offered_per_second, committed_per_second, ours, reference, target } = self;
        let ratio = reference.p99_ms / ours.p99_ms;
        let committed = committed_per_second.map(|rate| format!(", {} committed", readable(rate))).unwrap_or_default();
        println!(
            "{name} at {offered_per_second}/s{committed}: ours {ours}, reference {reference}, ratio of p99 {ratio:.3}{}",
            self.verdict()
        );
        write_line(&json!({
            "name": name, "ours": ours.p99_ms, "reference": reference.p99_ms, "ratio": ratio, "unit": "ms, p99",
            "target": target.map(|target| reference.p99_ms / target.p99_ms),
            "target_p50_ms": target.and_then(|target| target.p50_ms), "target_p99_ms": target.map(|target| target.p99_ms),
            "offered_per_second": offered_per_second, "committed_per_second": committed_per_second,
            "p50_ms": ours.p50_ms, "p99_ms": ours.p99_ms, "p999_ms": ours.p999_ms,
            "reference_p50_ms": reference.p50_ms, "reference_p99_ms": reference.p99_ms,
            "reference_p999_ms": reference.p999_ms,
        }));
    }

    fn verdict(&self) -> String {
        let Some(LatencyTarget { p50_ms, p99_ms }) = self.target else { return String::new() };
        let is_fast = self.ours.p99_ms < p99_ms && p50_ms.is_none_or(|p50_ms| self.ours.p50_ms < p50_ms);
        let is_offered = |rate| rate >= COMMITTED * self.offered_per_second as f64;
        let reached = if is_fast && self.committed_per_second.is_none_or(is_offered) { "reached" } else { "MISSED" };
        let p50 = p50_ms.map(|p50_ms| format!("p50 {p50_ms} ")).unwrap_or_default();
        format!(", target {p50}p99 {p99_ms} ms {reached}")
    }
}

/// Append to this benchmark's file.
fn write_line(line: &Value) {
    let benchmark = env!("CARGO_CRATE_NAME").replace('_', "-");
    fs::create_dir_all("target/bench").expect("a folder for results");
    let path = format!("target/bench/{benchmark}.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file for results");
    writeln!(file, "{line}").expect("room for a line");
}

fn verdict(ratio: f64, target: Option<f64>) -> String {
    match target {
        None => String::new(),
        Some(target) if ratio >= target => format!(", target {target:.2} reached"),
        Some(target) => format!(", target {target:.2} MISSED"),
    }
}

fn readable(figure: f64) -> String {
    if figure.abs() >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.3}") }
}

pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The lowest and the highest, to judge the noise by.
pub fn spread(figures: &[f64]) -> String {
    let lowest = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{}..{}", readable(lowest), readable(highest))
}

/// A number from the environment.
pub fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is '{text}': write a whole number")),
        Err(_) => default,
    }
}
