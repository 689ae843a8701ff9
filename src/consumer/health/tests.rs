//! What is published of health.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use super::publish::Published;
use super::{GroupHealth, HealthOptions, PartitionHealth, Place, Pulse, UnfinishedEvent};
use crate::consumer::stats::ConsumerStats;
use crate::telemetry::http::prometheus_builder;

fn published(publish: impl FnOnce()) -> PrometheusHandle {
    let recorder = prometheus_builder().unwrap().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        crate::telemetry::describe();
        publish();
    });
    handle
}

fn health() -> GroupHealth {
    GroupHealth {
        group: "leaderboards.Scores".to_owned(),
        live: true,
        ready: false,
        consumed: vec![("accounts".to_owned(), 70)],
        irregular: vec![("accounts".to_owned(), [5, 4, 3, 2]), ("orders".to_owned(), [0; 4])],
        partitions: vec![PartitionHealth {
            topic: "accounts".to_owned(),
            partition: 3,
            lag_messages: Some(12),
            lag: Some(Duration::from_millis(1_500)),
            oldest_unfinished: Some(UnfinishedEvent { offset: 17, unmoved: Duration::from_secs(312), waits_for: None }),
            ..PartitionHealth::default()
        }],
        ..GroupHealth::default()
    }
}

fn line(text: &str, name: &str) -> String {
    text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
}

#[test]
fn counters_grow_by_what_is_new_and_gauges_of_partitions_that_are_gone_fall_to_zero() {
    let handle = published(|| {
        let mut published = Published::default();
        published.publish(&health(), ConsumerStats { handled: 60, dead_lettered: 1, ..ConsumerStats::default() });
        let failing = GroupHealth { commits_failing: Some(Duration::from_millis(90_500)), ..health() };
        let stats = ConsumerStats { handled: 75, dead_lettered: 1, failed_commits: 91, ..ConsumerStats::default() };
        published.publish(&failing, stats);
    });
    let text = handle.render();
    let group = r#"messaging_consumer_group_name="leaderboards.Scores""#;
    assert_eq!(
        line(&text, "tidings_consumer_handled_events_total"),
        format!("tidings_consumer_handled_events_total{{{group}}} 75")
    );
    assert!(line(&text, "tidings_consumer_dead_lettered_events_total").ends_with(" 1"), "{text}");
    assert!(line(&text, "tidings_consumer_failed_commits_total{").ends_with(" 91"), "{text}");
    assert!(line(&text, "tidings_consumer_commits_failing_seconds{").ends_with(" 90.5"), "{text}");
    assert!(line(&text, "messaging_client_consumed_messages_total{").ends_with(" 70"), "{text}");
    for (what, count) in [("gaps", 5), ("repeats", 4), ("out_of_order", 3), ("forks", 2)] {
        let name = format!("tidings_consumer_{what}_events_total");
        for (topic, count) in [("accounts", count), ("orders", 0)] {
            let expected = format!(r#"{name}{{messaging_destination_name="{topic}",{group}}} {count}"#);
            assert!(text.contains(&expected), "{expected}: {text}");
        }
    }
    assert!(line(&text, "tidings_consumer_live{").ends_with(" 1"), "{text}");
    assert!(line(&text, "tidings_consumer_ready{").ends_with(" 0"), "{text}");
    assert!(line(&text, "tidings_consumer_lag_messages{").ends_with(" 12"), "{text}");
    assert!(line(&text, "tidings_consumer_lag_seconds{").ends_with(" 1.5"), "{text}");
    assert!(
        line(&text, "tidings_consumer_unmoved_seconds{").contains(r#"messaging_destination_partition_id="3""#),
        "{text}"
    );

    let handle = published(|| {
        let mut published = Published::default();
        published.publish(&health(), ConsumerStats::default());
        published.publish(&GroupHealth { partitions: Vec::new(), ..health() }, ConsumerStats::default());
    });
    let text = handle.render();
    for name in ["tidings_consumer_lag_messages{", "tidings_consumer_lag_seconds{", "tidings_consumer_unmoved_seconds{"]
    {
        assert!(line(&text, name).ends_with(" 0"), "{text}");
    }
}

#[test]
fn a_thread_that_hangs_is_not_live_and_what_it_hangs_in_is_named() {
    let pulse = Pulse::default();
    let options = HealthOptions::default();
    let at = Duration::from_secs;
    assert!(pulse.health("g", at(0), &options).live);
    pulse.begin(vec![Place { topic: Arc::from("accounts"), handler: "Scores::on_updated" }]);
    pulse.publish(GroupHealth { ready: true, ..GroupHealth::default() });
    pulse.beat(at(10));
    let health = pulse.health("g", at(70), &options);
    assert!(health.live && health.ready && health.group == "g", "{health:?}");
    pulse.enter(0, 3, 17);
    let health = pulse.health("g", at(71), &options);
    assert!(!health.live && !health.ready);
    assert_eq!(
        health.reasons[0],
        "the consumer's thread has not turned for 61 s: Scores::on_updated keeps it, with offset 17 of accounts[3]; a handler must \
         not block its thread"
    );
    pulse.leave();
    assert_eq!(pulse.health("g", at(80), &options).reasons[0], "the consumer's thread has not turned for 70 s");
    pulse.beat(at(81));
    assert!(pulse.health("g", at(82), &options).ready);
    // One that fails may be started again; meanwhile it is live for as long as one that hangs.
    pulse.fail(&"the coordinator is away");
    pulse.fail(&"its thread went without saying why");
    let health = pulse.health("g", at(82), &options);
    assert!(health.live && !health.ready && health.reasons[0].contains("the coordinator is away"), "{health:?}");
    assert!(!pulse.health("g", at(200), &options).live);
    pulse.begin(Vec::new());
    pulse.beat(at(201));
    assert!(pulse.health("g", at(202), &options).ready);
    pulse.fail(&"the disk is full");
    pulse.end("it was stopped");
    let health = pulse.health("g", at(202), &options);
    assert_eq!((health.live, health.reasons[0].as_str()), (false, "the consumer has ended: the disk is full"));
}
