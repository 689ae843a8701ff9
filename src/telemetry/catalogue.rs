//! Every metric with its kind, unit and meaning, so that exporters, alert rules and documents agree.

use metrics::Unit;

use super::names;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Has a value now.
    Gauge,
    /// Has a distribution.
    Histogram,
}

/// A metric this library emits.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Metric {
    /// One of [`names`].
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What it is counted in.
    pub unit: Unit,
    /// What it means.
    pub meaning: &'static str,
}

const fn metric(name: &'static str, kind: MetricKind, unit: Unit, meaning: &'static str) -> Metric {
    Metric { name, kind, unit, meaning }
}

/// Every metric this library emits.
pub const METRICS: &[Metric] = {
    use MetricKind::{Counter, Gauge, Histogram};
    use Unit::{Bytes, Count, Seconds};
    &[
        metric(names::SENT_MESSAGES, Counter, Count, "Records a producer tried to send"),
        metric(names::OPERATION_DURATION, Histogram, Seconds, "From taking a record to its acknowledgement"),
        metric(names::CONSUMED_MESSAGES, Counter, Count, "Records a consumer took"),
        metric(names::PROCESS_DURATION, Histogram, Seconds, "One attempt of a handler, sampled"),
        metric(names::CONSUMER_HANDLED, Counter, Count, "Events whose handler said they are done"),
        metric(names::CONSUMER_RETRIED, Counter, Count, "Attempts that failed and are made again"),
        metric(names::CONSUMER_DEAD_LETTERED, Counter, Count, "Events written to the dead-letter topic"),
        metric(names::CONSUMER_SKIPPED, Counter, Count, "Events nobody handles, filtered ones and tombstones"),
        metric(names::CONSUMER_COMPLETED_BEFORE, Counter, Count, "Events read again that were complete already"),
        metric(names::CONSUMER_FAILED_COMMITS, Counter, Count, "Commits of offsets that failed"),
        metric(names::CONSUMER_PARKED, Counter, Count, "Events parked, and those that came behind them"),
        metric(names::CONSUMER_UNPARKED, Counter, Count, "Parked events that are done with"),
        metric(names::CONSUMER_REPEATS, Counter, Count, "Events that came again, by their sequences"),
        metric(names::CONSUMER_GAPS, Counter, Count, "Events that are missing, by their sequences"),
        metric(names::CONSUMER_OUT_OF_ORDER, Counter, Count, "Events that came behind later ones of their stream"),
        metric(names::CONSUMER_FORKS, Counter, Count, "Events that have the sequence of another one"),
        metric(names::CONSUMER_PARKED_KEYS, Gauge, Count, "Keys that are parked"),
        metric(names::CONSUMER_BREAKERS_OPEN, Gauge, Count, "Handlers that are paused because they keep failing"),
        metric(names::INBOX_REPEATS, Counter, Count, "Events that an inbox knew as handled"),
        metric(names::INBOX_FORKS, Counter, Count, "Events whose place an inbox knows as another event's"),
        metric(names::CONSUMER_LIVE, Gauge, Count, "1 while the consumer's thread turns"),
        metric(names::CONSUMER_READY, Gauge, Count, "1 while the consumer gets on with its partitions"),
        metric(names::CONSUMER_ASSIGNED, Gauge, Count, "Partitions assigned to this process"),
        metric(names::CONSUMER_IN_FLIGHT, Gauge, Count, "Handlers running as tasks"),
        metric(names::CONSUMER_BUFFERED, Gauge, Bytes, "What is held of records"),
        metric(names::CONSUMER_WAITING_KEYS, Gauge, Count, "Keys whose next event waits for a place"),
        metric(names::CONSUMER_RETRYING_KEYS, Gauge, Count, "Keys whose next event waits for another attempt"),
        metric(names::CONSUMER_STUCK, Gauge, Count, "Handlers past their timeout and its grace"),
        metric(
            names::CONSUMER_COMMITS_FAILING,
            Gauge,
            Seconds,
            "How long commits have only failed; 0 while they are taken",
        ),
        metric(names::CONSUMER_HOTTEST_KEY, Gauge, Count, "The hottest key's part of the last minute's events"),
        metric(names::CONSUMER_LAG_MESSAGES, Gauge, Count, "Messages from the oldest one not done to the end"),
        metric(names::CONSUMER_LAG, Gauge, Seconds, "The age of the oldest message that is not done"),
        metric(names::CONSUMER_UNMOVED, Gauge, Seconds, "How long the oldest message not done has been that"),
        metric(names::DROPPED_EVENTS, Counter, Count, "Events that were to be published and were not"),
        metric(names::TRANSACTION_RETRIES, Counter, Count, "Transactions run again after a conflict"),
        metric(names::OUTBOX_PUBLISHED, Counter, Count, "Outbox events that Kafka acknowledged"),
        metric(names::OUTBOX_PARKED, Counter, Count, "Outbox events that Kafka refused and the relay parked"),
        metric(names::OUTBOX_RESTARTS, Counter, Count, "How often a relay began again from the table"),
        metric(names::STORE_APPENDED, Counter, Count, "Events that an event store has taken"),
        metric(names::STORE_REFUSED, Counter, Count, "Appends and relayed events that an event store refused"),
        metric(names::STORE_OVERLOADED, Counter, Count, "Requests that an event store had no room for"),
        metric(names::STORE_RETRIES, Counter, Count, "Transactions of an event store that were run again"),
        metric(names::STORE_QUEUED, Gauge, Count, "Events that wait to be stored"),
        metric(names::STORE_POSITION, Gauge, Count, "The last position known to this replica"),
        metric(names::OUTBOX_BACKLOG, Gauge, Count, "Rows in the outbox"),
        metric(names::OUTBOX_OLDEST_AGE, Gauge, Seconds, "The age of the oldest row in the outbox"),
        metric(names::OUTBOX_PARKED_BACKLOG, Gauge, Count, "Events that are parked in the outbox"),
        metric(names::OUTBOX_PARKED_OLDEST_AGE, Gauge, Seconds, "How long the one parked longest has been parked"),
        metric(names::OUTBOX_HELD_TOPICS, Gauge, Count, "Topics that take no events; theirs wait in the outbox"),
        metric(names::OUTBOX_BUCKETS_OWNED, Gauge, Count, "Buckets a relay of this process owns"),
        metric(names::OUTBOX_BUCKETS_UNOWNED, Gauge, Count, "Buckets that no relay owns"),
        metric(names::OUTBOX_BUCKET_ROWS, Gauge, Count, "How many of the oldest rows are in a bucket"),
    ]
};

impl Metric {
    /// The name that Prometheus sees: underscores, the unit, and `_total` for counters, as OpenTelemetry translates names and
    /// `tidings::telemetry::http` writes them.
    pub fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        let mut end_with = |suffix: &str| {
            if !name.ends_with(suffix) {
                name = format!("{name}_{suffix}");
            }
        };
        if self.unit != Unit::Count {
            end_with(self.unit.as_str());
        }
        if self.kind == MetricKind::Counter {
            end_with("total");
        }
        name
    }
}

/// Tell the installed recorder the units and meanings of all metrics. To be called once, after it is installed.
pub fn describe() {
    for Metric { name, kind, unit, meaning } in METRICS {
        match kind {
            MetricKind::Counter => metrics::describe_counter!(*name, *unit, *meaning),
            MetricKind::Gauge => metrics::describe_gauge!(*name, *unit, *meaning),
            MetricKind::Histogram => metrics::describe_histogram!(*name, *unit, *meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The metrics that `text` speaks of, as Prometheus writes them.
    fn mentioned(text: &str) -> BTreeSet<&str> {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let is_metric = |word: &&str| {
            ["tidings_consumer_", "tidings_outbox_", "tidings_publisher_", "tidings_inbox_", "tidings_database_"]
                .iter()
                .chain(&["messaging_client_", "messaging_process_"])
                .any(|prefix| word.starts_with(prefix))
        };
        words.filter(is_metric).collect()
    }

    fn unknown(text: &str) -> Vec<&str> {
        let known: BTreeSet<_> = METRICS.iter().map(Metric::prometheus_name).collect();
        // A table, and what Prometheus adds to histograms.
        let is_known = |name: &&str| {
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
            known.contains(base) || *name == "tidings_outbox_parked"
        };
        mentioned(text).into_iter().filter(|name| !is_known(name)).collect()
    }

    #[test]
    fn alert_rules_and_documents_speak_of_metrics_that_there_are() {
        let rules = include_str!("../../docs/alerts/tidings.rules.yml");
        assert!(mentioned(rules).len() > 10);
        assert_eq!(unknown(rules), [""; 0]);
        assert_eq!(unknown(include_str!("../../docs/operations.md")), [""; 0]);
    }

    #[test]
    fn a_rule_about_a_metric_that_is_not_there_is_noticed() {
        assert_eq!(unknown("expr: tidings_consumer_lag_secs > 3"), ["tidings_consumer_lag_secs"]);
    }

    #[test]
    fn every_name_of_a_metric_is_in_the_catalogue_once() {
        let names = include_str!("names.rs");
        let mut described = Vec::new();
        for line in names.lines() {
            if let Some((_, value)) = line.strip_prefix("pub const ").and_then(|line| line.split_once("= ")) {
                described.push(value.trim_matches(|letter| letter == '"' || letter == ';'));
            }
        }
        let attributes = names.split("/// Attribute").next().unwrap_or_default();
        let metrics: Vec<_> =
            described.into_iter().filter(|name| attributes.contains(&format!("\"{name}\""))).collect();
        let mut listed: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(listed.len(), metrics.len(), "{listed:?} {metrics:?}");
        for name in metrics {
            let index = listed.iter().position(|listed| *listed == name);
            listed.swap_remove(index.unwrap_or_else(|| panic!("{name} is not in the catalogue")));
        }
    }

    #[test]
    fn names_are_as_prometheus_has_them() {
        let name = |of: &str| METRICS.iter().find(|metric| metric.name == of).map(Metric::prometheus_name);
        assert_eq!(name(names::CONSUMER_LAG).as_deref(), Some("tidings_consumer_lag_seconds"));
        assert_eq!(name(names::CONSUMER_BUFFERED).as_deref(), Some("tidings_consumer_buffered_bytes"));
        assert_eq!(name(names::CONSUMED_MESSAGES).as_deref(), Some("messaging_client_consumed_messages_total"));
        assert_eq!(name(names::PROCESS_DURATION).as_deref(), Some("messaging_process_duration_seconds"));
    }
}
