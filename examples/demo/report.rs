//! How it ended: a table for people, an object for programs.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::{Counts, Verdict};

/// How one mode, or all of them, ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub mode: String,
    pub counts: Counts,
    pub verdict: Verdict,
    pub retried: u64,
    pub dead_lettered: u64,
    /// Players whose place on the board is not what the database says.
    pub disagreements: u64,
    pub elapsed: Duration,
    /// In microseconds.
    pub latency: Histogram<u64>,
}

/// How the run ended.
#[derive(Debug, Clone)]
pub struct Report {
    pub modes: Vec<Outcome>,
    pub total: Outcome,
}

/// An outcome in numbers; the names are the contract of `--json`.
#[derive(Debug, Serialize)]
struct Numbers<'a> {
    mode: &'a str,
    published: u64,
    handled: u64,
    retried: u64,
    dead_lettered: u64,
    lost: u64,
    repeated: u64,
    out_of_order: u64,
    uncommitted: u64,
    disagreements: u64,
    events_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    seconds: f64,
    passed: bool,
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    total: Numbers<'a>,
    modes: Vec<Numbers<'a>>,
}

impl Outcome {
    /// Whether nothing was lost, nothing came out of order, and nothing came that was not committed.
    pub fn passed(&self) -> bool {
        self.verdict.is_kept(&self.counts) && self.disagreements == 0
    }

    fn numbers(&self) -> Numbers<'_> {
        let seconds = self.elapsed.as_secs_f64();
        let milliseconds = |quantile| {
            rounded(Duration::from_micros(self.latency.value_at_quantile(quantile)).as_secs_f64() * 1_000.0, 3)
        };
        Numbers {
            mode: &self.mode,
            published: self.verdict.published,
            handled: self.counts.handled,
            retried: self.retried,
            dead_lettered: self.dead_lettered,
            lost: self.verdict.lost,
            repeated: self.counts.repeated,
            out_of_order: self.counts.out_of_order,
            uncommitted: self.verdict.uncommitted,
            disagreements: self.disagreements,
            events_per_second: rounded(
                f64::from(u32::try_from(self.counts.handled).unwrap_or(u32::MAX)) / seconds.max(0.001),
                1,
            ),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            seconds: rounded(seconds, 3),
            passed: self.passed(),
        }
    }

    fn add(&mut self, other: &Self) -> Result<(), hdrhistogram::AdditionError> {
        self.counts.handled += other.counts.handled;
        self.counts.given_up += other.counts.given_up;
        self.counts.repeated += other.counts.repeated;
        self.counts.out_of_order += other.counts.out_of_order;
        self.verdict.published += other.verdict.published;
        self.verdict.lost += other.verdict.lost;
        self.verdict.uncommitted += other.verdict.uncommitted;
        self.retried += other.retried;
        self.dead_lettered += other.dead_lettered;
        self.disagreements += other.disagreements;
        self.elapsed += other.elapsed;
        self.latency.add(&other.latency)
    }
}

impl Report {
    /// The report of a run whose modes ended like this. `None` if there was none.
    pub fn of(modes: Vec<Outcome>) -> Result<Option<Self>, hdrhistogram::AdditionError> {
        let Some((first, others)) = modes.split_first() else { return Ok(None) };
        let mut total = first.clone();
        if !others.is_empty() {
            "all".clone_into(&mut total.mode);
        }
        for mode in others {
            total.add(mode)?;
        }
        Ok(Some(Self { modes, total }))
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let modes = self.modes.iter().map(Outcome::numbers).collect();
        serde_json::to_string(&Json { total: self.total.numbers(), modes })
    }

    /// The table, a row a mode.
    pub fn table(&self) -> String {
        const HEADINGS: [&str; 11] = [
            "mode",
            "published",
            "handled",
            "retried",
            "dead-lettered",
            "out of order",
            "lost",
            "repeated",
            "events/s",
            "p50 ms",
            "p99 ms",
        ];
        let total = (self.modes.len() > 1).then_some(&self.total);
        let rows = self.modes.iter().chain(total).map(|outcome| {
            let numbers = outcome.numbers();
            [
                numbers.mode.to_owned(),
                numbers.published.to_string(),
                numbers.handled.to_string(),
                numbers.retried.to_string(),
                numbers.dead_lettered.to_string(),
                numbers.out_of_order.to_string(),
                numbers.lost.to_string(),
                numbers.repeated.to_string(),
                format!("{:.0}", numbers.events_per_second),
                format!("{:.1}", numbers.p50_ms),
                format!("{:.1}", numbers.p99_ms),
            ]
        });
        let lines = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).map(|cells| {
            let cell = |(cell, heading): (&String, &str)| {
                let width = heading.len().max(8);
                if heading == "mode" { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            cells.iter().zip(HEADINGS).map(cell).collect::<Vec<_>>().join("  ")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// One sentence about what the numbers mean.
    pub fn summary(&self) -> String {
        let Outcome { verdict, counts, disagreements, .. } = &self.total;
        if self.total.passed() {
            let repeats = if counts.repeated == 0 { "" } else { " (repeats are allowed: delivery is at least once)" };
            return format!(
                "Nothing was lost and nothing came out of order{repeats}; the board agrees with the database."
            );
        }
        format!(
            "FAILED: {} lost, {} out of order, {} never committed, {disagreements} players differ from the database.",
            verdict.lost, counts.out_of_order, verdict.uncommitted,
        )
    }
}

fn rounded(number: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (number * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(mode: &str, lost: u64, latency: u64) -> Outcome {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record(latency).unwrap();
        Outcome {
            mode: mode.to_owned(),
            counts: Counts { handled: 10 - lost, ..Counts::default() },
            verdict: Verdict { published: 10, lost, uncommitted: 0 },
            retried: 1,
            dead_lettered: 0,
            disagreements: 0,
            elapsed: Duration::from_secs(2),
            latency: histogram,
        }
    }

    #[test]
    fn the_json_is_one_line_with_the_promised_names() {
        let report = Report::of(vec![outcome("direct", 0, 1_000), outcome("outbox", 0, 9_000)]).unwrap().unwrap();
        let text = report.json().unwrap();
        assert_eq!(text.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (name, expected) in [
            ("published", 20.0),
            ("handled", 20.0),
            ("retried", 2.0),
            ("dead_lettered", 0.0),
            ("lost", 0.0),
            ("repeated", 0.0),
            ("out_of_order", 0.0),
            ("events_per_second", 5.0),
            ("p50_ms", 1.0),
            ("p99_ms", 9.0),
        ] {
            let found = json[name].as_f64().unwrap_or_else(|| panic!("{name} is missing in {text}"));
            assert!((found - expected).abs() < 0.05, "{name} is {found}, not {expected}");
        }
        assert_eq!(json["modes"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_loss_in_one_mode_fails_the_run() {
        let report = Report::of(vec![outcome("direct", 1, 1), outcome("outbox", 0, 1)]).unwrap().unwrap();
        assert!(!report.total.passed());
        assert!(report.summary().starts_with("FAILED: 1 lost"));
    }

    #[test]
    fn the_table_has_a_row_a_mode_and_one_for_all() {
        let report = Report::of(vec![outcome("direct", 0, 1), outcome("outbox", 0, 1)]).unwrap().unwrap();
        let first_words: Vec<_> =
            report.table().lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        assert_eq!(first_words, ["mode", "direct", "outbox", "all"]);
    }
}
