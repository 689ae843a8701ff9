//! What the `CloudEvents` SDK for Python sees of a topic with several events and versions.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::python;
use super::versions::{Published, Versions};
use crate::setting;

/// The attributes, as the specification has them.
fn attributes(topic: &str, published: &Published) -> Value {
    let registry = setting("TIDINGS_TEST_REGISTRY");
    let &Published { event, subject_version, .. } = published;
    let mut attributes = json!({
        "specversion": "1.0",
        "id": published.id,
        "source": format!("/{topic}"),
        "type": event,
        "subject": published.stream,
        "time": published.time,
        "datacontenttype": "application/avro",
        "dataschema": format!("{registry}/subjects/{topic}-{event}/versions/{subject_version}"),
        "schemaversion": published.version,
        "recordedtime": published.time,
        "partitionkey": published.key,
        "correlationid": published.cause.map_or_else(|| published.id.clone(), |cause| format!("trail-of-{cause}")),
    });
    if let Some(sequence) = published.sequence {
        attributes["sequence"] = format!("{sequence:020}").into();
    }
    if published.epoch > 0 {
        attributes["streamepoch"] = published.epoch.to_string().into();
    }
    if let Some(cause) = published.cause {
        attributes["causationid"] = cause.into();
    }
    attributes
}

/// The SDK makes moments of times, and writes UTC in another way than we.
fn with_our_time(mut attributes: Value) -> Value {
    let time: DateTime<Utc> = attributes["time"].as_str().unwrap().parse().unwrap();
    attributes["time"] = time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into();
    attributes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cloudevents_sdk_finds_every_attribute_and_the_data_of_every_version() {
    let versions = Versions::new().await;
    let count = versions.published.len();
    let read = python(&versions.scene, "read_cloud_events.py", &count.to_string(), &[]);
    assert_eq!(read.len(), count);
    for event in read {
        let published = &versions.published[event["attributes"]["id"].as_str().unwrap()];
        let expected = attributes(&versions.scene.topic(), published);
        assert_eq!(with_our_time(event["attributes"].clone()), expected);
        assert_eq!(event["data"], published.payload, "{} {}", published.event, published.version);
        assert_eq!(event["earlier"], json!({"attributes": expected, "data": published.payload}));
        // What the SDK writes of it again is the record as it was, so nothing got lost on the way.
        let mut ours: Value = json!(published.headers);
        ours.as_object_mut().unwrap().remove("traceparent");
        assert_eq!(event["written"], ours);
    }
}
