//! A group's health and counters as metrics. Done beside the poll thread, which a dead one could not do for itself.

use std::collections::HashMap;

use metrics::{Label, counter, gauge};

use super::{Counted, GroupHealth, Irregularity, PartitionHealth};
use crate::consumer::stats::ConsumerStats;
use crate::telemetry::names;

/// What was published of a group, so that counters grow by what is new.
#[derive(Debug, Default)]
pub(super) struct Published {
    stats: ConsumerStats,
    consumed: HashMap<String, u64>,
    irregular: HashMap<String, Counted>,
    /// The partitions that had gauges.
    partitions: Vec<(String, i32)>,
}

/// The counters: each with where its number stands.
type Reading = fn(&ConsumerStats) -> u64;
const COUNTERS: [(&str, Reading); 8] = [
    (names::CONSUMER_HANDLED, |stats| stats.handled),
    (names::CONSUMER_RETRIED, |stats| stats.retried),
    (names::CONSUMER_DEAD_LETTERED, |stats| stats.dead_lettered),
    (names::CONSUMER_PARKED, |stats| stats.parked),
    (names::CONSUMER_UNPARKED, |stats| stats.unparked),
    (names::CONSUMER_SKIPPED, |stats| stats.skipped),
    (names::CONSUMER_COMPLETED_BEFORE, |stats| stats.completed_before),
    (names::CONSUMER_FAILED_COMMITS, |stats| stats.failed_commits),
];

/// The counters by topic of what streams' sequences show.
const IRREGULARITIES: [(&str, Irregularity); 4] = [
    (names::CONSUMER_GAPS, Irregularity::Gap),
    (names::CONSUMER_REPEATS, Irregularity::Repeat),
    (names::CONSUMER_OUT_OF_ORDER, Irregularity::OutOfOrder),
    (names::CONSUMER_FORKS, Irregularity::Fork),
];

impl Published {
    /// Publish what a group is and what it has done since the last time.
    pub(super) fn publish(&mut self, health: &GroupHealth, stats: ConsumerStats) {
        let group = [Label::new(names::CONSUMER_GROUP, health.group.clone())];
        for (name, read) in COUNTERS {
            counter!(name, group.iter()).increment(read(&stats).saturating_sub(read(&self.stats)));
        }
        self.stats = stats;
        for (topic, consumed) in &health.consumed {
            let before = self.consumed.insert(topic.clone(), *consumed).unwrap_or_default();
            let labels = [
                Label::new(names::SYSTEM, names::KAFKA),
                Label::new(names::OPERATION_NAME, names::POLL),
                Label::new(names::DESTINATION, topic.clone()),
                Label::new(names::CONSUMER_GROUP, health.group.clone()),
            ];
            counter!(names::CONSUMED_MESSAGES, labels.iter()).increment(consumed.saturating_sub(before));
        }
        for (topic, counted) in &health.irregular {
            let before = self.irregular.insert(topic.clone(), *counted).unwrap_or_default();
            let labels = [
                Label::new(names::DESTINATION, topic.clone()),
                Label::new(names::CONSUMER_GROUP, health.group.clone()),
            ];
            for (name, what) in IRREGULARITIES {
                let new = counted[what as usize].saturating_sub(before[what as usize]);
                counter!(name, labels.iter()).increment(new);
            }
        }
        let gauges = [
            (names::CONSUMER_LIVE, f64::from(u8::from(health.live))),
            (names::CONSUMER_READY, f64::from(u8::from(health.ready))),
            (names::CONSUMER_ASSIGNED, health.partitions.len() as f64),
            (names::CONSUMER_IN_FLIGHT, health.in_flight as f64),
            (names::CONSUMER_BUFFERED, health.buffered_bytes as f64),
            (names::CONSUMER_WAITING_KEYS, health.waiting_keys as f64),
            (names::CONSUMER_RETRYING_KEYS, health.retrying_keys as f64),
            (names::CONSUMER_PARKED_KEYS, stats.parked_keys as f64),
            (names::CONSUMER_BREAKERS_OPEN, stats.breakers_open as f64),
            (names::CONSUMER_STUCK, health.stuck.len() as f64),
            (names::CONSUMER_COMMITS_FAILING, health.commits_failing.map_or(0.0, |age| age.as_secs_f64())),
            (names::CONSUMER_HOTTEST_KEY, health.hottest_keys.first().map_or(0.0, |hottest| hottest.share)),
        ];
        for (name, value) in gauges {
            gauge!(name, group.iter()).set(value);
        }
        self.publish_partitions(health);
    }

    fn publish_partitions(&mut self, health: &GroupHealth) {
        let set = |topic: &str, partition: i32, name: &'static str, value: f64| {
            let labels = [
                Label::new(names::CONSUMER_GROUP, health.group.clone()),
                Label::new(names::DESTINATION, topic.to_owned()),
                Label::new(names::PARTITION, partition.to_string()),
            ];
            gauge!(name, labels.iter()).set(value);
        };
        let mut set_all = |partition: &PartitionHealth| {
            let (topic, number) = (partition.topic.as_str(), partition.partition);
            let unmoved = partition.oldest_unfinished.as_ref().map(|oldest| oldest.unmoved.as_secs_f64());
            // What is not known yet is not told.
            if let Some(lag) = partition.lag_messages {
                set(topic, number, names::CONSUMER_LAG_MESSAGES, lag as f64);
            }
            if let Some(lag) = partition.lag {
                set(topic, number, names::CONSUMER_LAG, lag.as_secs_f64());
            }
            set(topic, number, names::CONSUMER_UNMOVED, unmoved.unwrap_or_default());
        };
        health.partitions.iter().for_each(&mut set_all);
        let partitions: Vec<_> =
            health.partitions.iter().map(|partition| (partition.topic.clone(), partition.partition)).collect();
        // Another member's now: the last value would raise alarms for ever.
        for (topic, partition) in self.partitions.iter().filter(|name| !partitions.contains(name)) {
            let gone = PartitionHealth {
                topic: topic.clone(),
                partition: *partition,
                lag_messages: Some(0),
                lag: Some(std::time::Duration::ZERO),
                ..PartitionHealth::default()
            };
            set_all(&gone);
        }
        self.partitions = partitions;
    }
}
