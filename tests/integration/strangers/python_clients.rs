//! What Python's clients see of a topic with several events and versions.

use serde_json::{Value, json};
use tidings::Event as _;

use super::python;
use super::versions::Versions;
use crate::support::scores::ScorePosted;

/// What `script` reads, event by event, each as it was written.
async fn reads_everything_as_it_was_written(script: &str) {
    let versions = Versions::new().await;
    let count = versions.published.len();
    let read = python(&versions.scene, script, &count.to_string(), &[]);
    assert_eq!(read.len(), count);
    for event in read {
        let published = &versions.published[event["headers"]["ce_id"].as_str().unwrap()];
        assert_eq!(event["key"], *published.key);
        assert_eq!(event["headers"], json!(published.headers));
        assert_eq!(event["headers"]["ce_type"], published.event);
        assert_eq!(event["headers"]["ce_schemaversion"], published.version);
        assert_eq!(event["value"], published.payload, "{} {}", published.event, published.version);
    }
}

/// What `script` reads of the scores with the schema of one version, whichever they were written in; and of the others, which it
/// has no schema for.
async fn reads_all_versions_as_its_own(script: &str) {
    let versions = Versions::new().await;
    let count = versions.published.len();
    let own = json!({"type": ScorePosted::NAME, "schema": ScorePosted::SCHEMA});
    let read = python(&versions.scene, script, &count.to_string(), &[own]);
    assert_eq!(read.len(), count);
    for event in &read {
        let published = &versions.published[event["headers"]["ce_id"].as_str().unwrap()];
        let expected = if published.event == ScorePosted::NAME {
            json!({"player": published.payload["player"], "serial": published.payload["serial"]})
        } else {
            published.payload.clone()
        };
        assert_eq!(event["value"], expected, "{} {}", published.event, published.version);
    }
    let written = |event: &Value| event["headers"]["ce_schemaversion"].as_str().unwrap().to_owned();
    let of_score = read.iter().filter(|event| event["headers"]["ce_type"] == ScorePosted::NAME);
    let seen: std::collections::BTreeSet<_> = of_score.map(written).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["1.0.0", "1.2.0", "1.3.0", "2.0.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn confluents_deserializer_reads_every_event_in_every_version() {
    reads_everything_as_it_was_written("read_events.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confluents_deserializer_reads_all_versions_as_its_own() {
    reads_all_versions_as_its_own("read_events.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_consumer_and_fastavro_read_every_event_in_every_version() {
    reads_everything_as_it_was_written("read_plain.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_consumer_and_fastavro_read_all_versions_as_their_own() {
    reads_all_versions_as_its_own("read_plain.py").await;
}
