//! Redriving letters that were written by hand.

use std::time::{Duration, Instant};

use tidings::dead_letters::{LetterFormat, RedriveOptions, Refusal, Selection, header};
use tidings::transport::kafka::{TopicSpec, topics};
use tidings::transport::{Headers, OutgoingRecord, murmur2};

use super::letters::{GROUP, dead_letters, everything, letter, letter_topic, numbered, numbers, raw, write};
use crate::kafka::LONG;
use crate::support::scene::{Scene, kafka};

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_spring_are_read_and_redriven_whether_their_numbers_are_bytes_or_text() {
    let scene = Scene::new(4).await;
    let topic = letter_topic(&scene, 2).await;
    let spring = |key: &str, numbers: [&[u8]; 3]| {
        let mut headers = Headers::new();
        headers.push_str("ce_type", "scores.ScorePosted");
        headers.push_str("kafka_dlt-original-topic", &scene.topic());
        headers.push("kafka_dlt-original-partition", Some(numbers[0]));
        headers.push("kafka_dlt-original-offset", Some(numbers[1]));
        headers.push("kafka_dlt-original-timestamp", Some(numbers[2]));
        headers.push_str("kafka_dlt-original-timestamp-type", "CreateTime");
        headers.push_str("kafka_dlt-original-consumer-group", "billing");
        headers.push_str(
            "kafka_dlt-exception-fqcn",
            "org.springframework.kafka.listener.ListenerExecutionFailedException",
        );
        headers.push_str("kafka_dlt-exception-cause-fqcn", "java.lang.IllegalStateException");
        headers.push_str("kafka_dlt-exception-message", "no such account");
        headers.push_str("kafka_dlt-exception-stacktrace", "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)");
        headers.push_str("application", "kept");
        raw(&topic, key, b"1", headers)
    };
    let bytes = spring("bytes", [&3_i32.to_be_bytes(), &1_234_i64.to_be_bytes(), &1_700_000_000_123_i64.to_be_bytes()]);
    write([bytes, spring("text", [b"3", b"1234", b"1700000000123"])]).await;

    let mut found = dead_letters(&topic).letters(&Selection::all().class("java.lang.*")).await.unwrap();
    let mut read = 0;
    while let Some(letter) = found.next().await.unwrap() {
        let circumstances = letter.circumstances();
        let origin = circumstances.origin.clone().unwrap();
        assert_eq!((origin.topic, origin.partition, origin.offset), (scene.topic(), Some(3), Some(1_234)));
        assert_eq!(circumstances.format, LetterFormat::Spring);
        assert_eq!(circumstances.timestamp_ms, Some(1_700_000_000_123));
        assert_eq!(circumstances.message.as_deref(), Some("no such account"));
        read += 1;
    }
    assert_eq!(read, 2);

    let letters = dead_letters(&topic);
    let options = RedriveOptions::default();
    let done = letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!(done.redriven, 2);
    let again = everything(&scene.topic(), 4).await;
    assert_eq!(again.len(), 2);
    for record in again {
        let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ce_type", "application", header::REDRIVES, header::REDRIVE_GROUP]);
        assert_eq!(record.text_headers()[header::REDRIVE_GROUP], "billing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_key_keep_their_order_and_their_partition() {
    let scene = Scene::new(5).await;
    let topic = letter_topic(&scene, 3).await;
    write(numbered(&topic, &scene.topic(), 12, 600)).await;
    let letters = dead_letters(&topic);
    // Two parts that are no ranges, one after the other.
    let odd = Selection::all().key("key-7");
    let options = RedriveOptions::default();
    let first = letters.redrive(&odd, &options, std::future::pending(), |_| {}).await.unwrap();
    let limited = options.clone().limit(333);
    let second = letters.redrive(&Selection::all(), &limited, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((first.redriven, second.redriven, second.limited), (50, 333, true));
    let third = letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((third.redriven, third.already_redriven, third.limited), (217, 383, false));

    let all = everything(&scene.topic(), 5).await;
    for record in &all {
        let partition = murmur2::partition(record.key.as_deref().unwrap(), 5);
        assert_eq!(u32::try_from(record.partition), Ok(partition));
    }
    let numbers = numbers(&all);
    assert_eq!(numbers.len(), 12);
    for (key, numbers) in numbers {
        assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_no_faster_than_they_are_told_to() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    write(numbered(&topic, &scene.topic(), 1, 11)).await;
    let mut times = Vec::new();
    let options = RedriveOptions::default().rate(20.0);
    let tell = |redriven: u64| times.push((Instant::now(), redriven));
    let done = dead_letters(&topic).redrive(&Selection::all(), &options, std::future::pending(), tell).await.unwrap();
    assert_eq!(done.redriven, 11);
    let took = times.last().unwrap().0 - times[0].0;
    // Ten intervals lie between the first and the last one; a slow one may be made up for.
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(times.len() >= 5, "one transaction each, but for those made up for: {}", times.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_redriven_is_counted_by_the_reason_and_holds_nobody_up() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    let small = scene.name("small");
    topics::ensure(&kafka(), &[TopicSpec::new(&small, 1).config("max.message.bytes", "2000")], LONG).await.unwrap();
    let mut records = vec![
        letter(&topic, &small, "a", b"0", &[]),
        letter(&topic, &small, "a", &[b'x'; 5_000], &[]),
        letter(&topic, &small, "a", b"2", &[]),
        letter(&topic, &scene.name("missing"), "a", b"3", &[]),
        letter(&topic, &topic, "a", b"4", &[]),
        letter(&topic, "__consumer_offsets", "a", b"5", &[]),
        letter(&topic, &small, "a", b"6", &[(header::REDRIVES, "3")]),
        raw(&topic, "a", b"7", Headers::new()),
    ];
    let tombstone = OutgoingRecord { payload: None, ..letter(&topic, &small, "a", b"", &[]) };
    let mut nameless = Headers::new();
    nameless.push_str(header::TOPIC, &small);
    records.extend([tombstone, raw(&topic, "a", b"9", nameless), letter(&topic, &small, "a", b"10", &[])]);
    write(records).await;

    let letters = dead_letters(&topic);
    let options = RedriveOptions::default();
    let plan = letters.plan(&Selection::all(), &options).await.unwrap();
    assert_eq!(plan.redriven, 4, "that the brokers refuse one is not known before");
    let done = letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!(done.redriven, 3);
    let refused: Vec<_> = done.refused.into_iter().collect();
    let expected = [
        (Refusal::TooOften, 1),
        (Refusal::NoOrigin, 1),
        (Refusal::ForbiddenTopic, 2),
        (Refusal::MissingTopic, 1),
        (Refusal::NoGroup, 1),
        (Refusal::NoPayload, 1),
        (Refusal::Unwritable, 1),
    ];
    assert_eq!(refused, expected);
    assert_eq!(numbers(&everything(&small, 1).await)["a"], [0, 2, 10]);
    // The one without a group, once it is said which.
    let named = options.for_group(GROUP).max_redrives(9);
    let done = letters.redrive(&Selection::all(), &named, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((done.redriven, done.already_redriven), (2, 3));
    assert_eq!(numbers(&everything(&small, 1).await)["a"], [0, 2, 10, 6, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_offered_again_only_when_its_mark_is_taken_away() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    write(numbered(&topic, &scene.topic(), 1, 3)).await;
    let letters = dead_letters(&topic);
    let options = RedriveOptions::default();
    let redrive =
        async || letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap().redriven;
    assert_eq!((redrive().await, redrive().await), (3, 0));
    // Its key is the letter's place.
    let mark = raw(&format!("{topic}.redriven"), "0:1", b"", Headers::new());
    write([OutgoingRecord { payload: None, ..mark }]).await;
    assert_eq!((redrive().await, redrive().await), (1, 0));
    assert_eq!(numbers(&everything(&scene.topic(), 1).await)["key-0"], [0, 1, 2, 1]);
}
