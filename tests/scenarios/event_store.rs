//! What must hold of the event store on every database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tidings::Stream;
use tidings::envelope::{Envelope, EnvelopeView, header};
use tidings::event::StreamId;
use tidings::outbox::{Relay, Streams, parked, raise_epochs, skip_parked, skippable};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tidings::store::{
    Append, DatabaseStore, Direction, EventStore, ExpectedVersion, NewEvent, Notice, Place, Refusal, Relayed,
    StoreError, StoreOptions, StoreProducers, StoreRecorder, StoredEvent, StreamQuery, Subscription,
};
use uuid::Uuid;

use super::account::AccountRenamed;
use super::stage::{Stage, eventually, position};

/// The store in the stage's database.
pub(crate) async fn store(stage: &Stage, options: StoreOptions) -> DatabaseStore {
    DatabaseStore::migrate(&stage.database).await.unwrap();
    DatabaseStore::open(&stage.database, options).await.unwrap()
}

/// One more replica, with connections of its own.
async fn replica(stage: &Stage, options: StoreOptions) -> DatabaseStore {
    DatabaseStore::open(&stage.elsewhere().await, options).await.unwrap()
}

/// An event whose place the store gives.
pub(crate) fn event(stream: &str, payload: &str) -> NewEvent {
    let time: DateTime<Utc> = "2026-01-02T03:04:05.123456Z".parse().unwrap();
    let id = Uuid::now_v7();
    NewEvent {
        envelope: Envelope {
            id,
            source: "accounts".into(),
            event: "accounts.AccountRenamed".into(),
            schema_version: "1.0.0".into(),
            time,
            recorded_time: time + TimeDelta::seconds(1),
            stream: Stream::from_name(stream),
            sequence: None,
            stream_epoch: 0,
            key: stream.to_owned(),
            correlation_id: id.to_string(),
            causation_id: None,
            data_schema: "urn:avro:1".to_owned(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            tracestate: None,
        },
        payload: payload.to_owned().into_bytes().into(),
    }
}

/// An event that has its place from an outbox.
pub(crate) fn placed(stream: &str, epoch: u32, sequence: u64) -> NewEvent {
    let mut event = event(stream, &format!("{epoch}/{sequence}"));
    event.envelope.sequence = Some(sequence);
    event.envelope.stream_epoch = epoch;
    event
}

fn query(stream: &str) -> StreamQuery {
    StreamQuery::new("accounts", Stream::from_name(stream))
}

async fn all(store: &DatabaseStore, query: StreamQuery) -> Vec<StoredEvent> {
    store.read(query).try_collect().await.unwrap()
}

fn sequences(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.event.envelope.sequence.unwrap()).collect()
}

/// The next `count` events behind `after`.
pub(crate) async fn follow(store: &dyn EventStore, after: u64, count: usize) -> Vec<StoredEvent> {
    let notices = store.subscribe(Subscription::after(after));
    let events = notices.filter_map(|notice| {
        std::future::ready(match notice.unwrap() {
            Notice::Event(event) => Some(event),
            Notice::CaughtUp { .. } => None,
        })
    });
    let events = events.take(count).collect();
    tokio::time::timeout(Duration::from_secs(60), events)
        .await
        .unwrap_or_else(|_| panic!("the subscription does not go on"))
}

/// Positions without gaps or repeats, and each stream's events in order.
fn check_order(events: &[StoredEvent], after: u64) {
    let mut streams: BTreeMap<&str, Place> = BTreeMap::new();
    for (stored, expected) in events.iter().zip(after + 1..) {
        assert_eq!(stored.position, Some(expected), "a gap or a repeat");
        let place = stored.event.place().unwrap();
        let last = streams.insert(stored.event.envelope.stream.as_str(), place);
        let follows = last.is_none_or(|last| last.epoch == place.epoch && last.sequence + 1 == place.sequence);
        assert!(follows, "{} came behind {last:?}: {place:?}", stored.event.envelope.stream);
    }
}

pub(crate) async fn an_event_comes_back_as_it_was(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let mut strange = event("Account/it's \"ü\" \\ 7", "payload");
    strange.envelope.causation_id = Some("cause';--".to_owned());
    strange.envelope.tracestate = Some("vendor=1".to_owned());
    strange.payload = (0..=255).collect::<Vec<u8>>().into();
    let appended = store.append(Append::new([strange.clone()], ExpectedVersion::None)).await.unwrap();
    assert_eq!((appended.first, appended.last.sequence, appended.repeated), (appended.last, 1, false));
    let read = all(&store, query(strange.envelope.stream.as_str())).await;
    strange.envelope.sequence = Some(1);
    assert_eq!(read.iter().map(|stored| &stored.event).collect::<Vec<_>>(), [&strange]);
    assert_eq!(follow(&store, 0, 1).await[0].event, strange);
    store.close().await;
}

pub(crate) async fn a_stream_is_read_both_ways_in_parts_and_as_it_was(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let began: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().unwrap();
    let events = (1..=600).map(|number| {
        let mut event = placed("Account/1", 0, number);
        event.envelope.recorded_time = began + TimeDelta::seconds(i64::try_from(number).unwrap());
        event
    });
    let events: Vec<_> = events.chain([placed("Account/1", 2, 1)]).collect();
    for part in events.chunks(200) {
        store.relay(part.to_vec()).await.unwrap();
    }
    let forwards: Vec<u64> = (1..=600).chain([1]).collect();
    assert_eq!(sequences(&all(&store, query("Account/1")).await), forwards);
    let backwards: Vec<u64> = forwards.iter().rev().copied().collect();
    assert_eq!(sequences(&all(&store, query("Account/1").direction(Direction::Backwards)).await), backwards);

    let place = |epoch, sequence| Place { epoch, sequence };
    let from = query("Account/1").from(place(0, 599));
    assert_eq!(sequences(&all(&store, from).await), [599, 600, 1]);
    let back = query("Account/1").direction(Direction::Backwards).from(place(1, 5)).limit(2);
    assert_eq!(sequences(&all(&store, back).await), [600, 599]);

    // As it was when the 300th had just been recorded; and one whose clock went back is no reason to leave a hole.
    let then = query("Account/1").until(began + TimeDelta::seconds(300));
    assert_eq!(sequences(&all(&store, then.clone()).await), (1..=300).collect::<Vec<_>>());
    assert_eq!(sequences(&all(&store, then.direction(Direction::Backwards).limit(1)).await), [300]);
    assert_eq!(all(&store, query("Account/1").until(began)).await, []);
    assert_eq!(all(&store, query("Account/2")).await, []);
    assert_eq!(all(&store, StreamQuery::new("billing", Stream::from_name("Account/1"))).await, []);
    store.close().await;
}

pub(crate) async fn a_stream_as_it_was_has_nothing_of_what_is_appended_while_it_is_read(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let then: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().unwrap();
    let recorded = |number: u64, time: DateTime<Utc>| {
        let mut event = placed("Account/1", 0, number);
        event.envelope.recorded_time = time;
        event
    };
    store.relay((1..=40).map(|number| recorded(number, then)).collect()).await.unwrap();
    let mut reading = store.read(query("Account/1").until(then));
    let mut read: Vec<_> = reading.try_next().await.unwrap().into_iter().collect();
    store.relay((41..=80).map(|number| recorded(number, then + TimeDelta::seconds(1))).collect()).await.unwrap();
    read.extend(reading.try_collect::<Vec<_>>().await.unwrap());
    assert_eq!(sequences(&read), (1..=40).collect::<Vec<_>>());
    store.close().await;
}

/// Write an event by hand, as if a torn view showed it, or did not.
async fn copy_as(stage: &Stage, sequence: u64) {
    let columns = "source, stream, bucket, topic, partition_key, event_type, schema_version, occurred_at, recorded_at, \
                   correlation_id, data_schema, traceparent, payload";
    let copy = format!(
        "INSERT INTO tidings_store_event (event_id, epoch, sequence, {columns}) \
         SELECT '{}', 0, {sequence}, {columns} FROM tidings_store_event WHERE sequence = 1",
        Uuid::now_v7()
    );
    stage.execute(&copy).await;
}

pub(crate) async fn a_read_that_does_not_see_an_event_gives_out_nothing_behind_it_and_looks_again(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    store.relay(vec![placed("Account/1", 0, 1), placed("Account/1", 0, 2)]).await.unwrap();
    copy_as(stage, 4).await;
    let (mut forwards, mut backwards) =
        (store.read(query("Account/1")), store.read(query("Account/1").direction(Direction::Backwards)));
    let mut read = (Vec::new(), Vec::new());
    read.0.extend(forwards.try_next().await.unwrap());
    read.0.extend(forwards.try_next().await.unwrap());
    read.1.extend(backwards.try_next().await.unwrap());
    copy_as(stage, 3).await;
    read.0.extend(forwards.try_collect::<Vec<_>>().await.unwrap());
    read.1.extend(backwards.try_collect::<Vec<_>>().await.unwrap());
    assert_eq!((sequences(&read.0), sequences(&read.1)), (vec![1, 2, 3, 4], vec![4, 3, 2, 1]));

    // One that never comes is no reason to say that there is nothing.
    copy_as(stage, 6).await;
    let missing = store.read(query("Account/1")).try_collect::<Vec<_>>().await;
    assert!(matches!(missing, Err(StoreError::Unavailable(_))), "{missing:?}");
    store.close().await;
}

pub(crate) async fn an_append_takes_effect_only_at_the_version_it_expects(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let append = async |expected| store.append(Append::new([event("Account/1", "x")], expected)).await;
    let wrong = |error: Result<_, StoreError>, expected, actual| {
        let stream = Stream::from_name("Account/1");
        match error {
            Err(StoreError::Refused(refusal)) => {
                assert_eq!(refusal, Refusal::WrongVersion { stream, expected, actual });
            }
            other => panic!("{other:?}"),
        }
    };
    wrong(append(ExpectedVersion::Exact(1)).await, 1, 0);
    assert_eq!(append(ExpectedVersion::Exact(0)).await.unwrap().last.sequence, 1);
    wrong(append(ExpectedVersion::None).await, 0, 1);
    assert_eq!(append(ExpectedVersion::Any).await.unwrap().last.sequence, 2);
    let two = Append::new([event("Account/1", "a"), event("Account/1", "b")], ExpectedVersion::Exact(2));
    let appended = store.append(two).await.unwrap();
    assert_eq!((appended.first.sequence, appended.last.sequence), (3, 4));

    // Eight writers who all expect the same: one is right.
    let racers = (0..8).map(|_| append(ExpectedVersion::Exact(4)));
    let results = join_all(racers).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(sequences(&all(&store, query("Account/1")).await), [1, 2, 3, 4, 5]);
    store.close().await;
}

pub(crate) async fn an_id_is_for_one_event_for_ever(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let pair = [event("Account/1", "a"), event("Account/1", "b")];
    let first = store.append(Append::new(pair.clone(), ExpectedVersion::None)).await.unwrap();
    store.append(Append::new([event("Account/1", "c")], ExpectedVersion::Any)).await.unwrap();

    // The stream has gone on, and the answer is still the same, whatever is expected.
    for expected in [ExpectedVersion::None, ExpectedVersion::Exact(77), ExpectedVersion::Any] {
        let again = store.append(Append::new(pair.clone(), expected)).await.unwrap();
        assert_eq!((again.first, again.last, again.repeated), (first.first, first.last, true));
    }
    let mut traced = pair.clone();
    "00-00000000000000000000000000000001-0000000000000001-00".clone_into(&mut traced[0].envelope.traceparent);
    assert!(
        store.append(Append::new(traced, ExpectedVersion::Any)).await.unwrap().repeated,
        "another trace, the same event"
    );

    for payload in ["changed", "c", ""] {
        let mut other = pair[0].clone();
        other.payload = payload.into();
        let refused = store.append(Append::new([other], ExpectedVersion::Any)).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::OtherContent { .. }))), "{payload}: {refused:?}");
    }
    let mut elsewhere = pair[0].clone();
    elsewhere.envelope.stream = Stream::from_name("Account/2");
    let refused = store.append(Append::new([elsewhere], ExpectedVersion::Any)).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::OtherContent { .. }))), "{refused:?}");
    let mixed = Append::new([pair[1].clone(), event("Account/1", "d")], ExpectedVersion::Any);
    let refused = store.append(mixed).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::PartlyStored { .. }))), "{refused:?}");
    assert_eq!(sequences(&all(&store, query("Account/1")).await), [1, 2, 3]);
    store.close().await;
}

pub(crate) async fn a_relayed_event_is_taken_only_behind_its_predecessor(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let stream = || Stream::from_name("Account/1");
    let gap = |epoch, sequence, last| Relayed::Refused(Refusal::Gap { stream: stream(), epoch, sequence, last });
    let (one, two) = (placed("Account/1", 0, 1), placed("Account/1", 0, 2));
    let third = placed("Account/1", 0, 3);
    assert_eq!(store.relay(vec![two.clone()]).await.unwrap(), [gap(0, 2, 0)]);
    let results = store.relay(vec![one.clone(), third.clone(), two.clone(), two.clone()]).await.unwrap();
    assert_eq!(results, [Relayed::Stored, gap(0, 3, 1), Relayed::Stored, Relayed::Repeated]);

    let fork = placed("Account/1", 0, 2);
    let place = Place { epoch: 0, sequence: 2 };
    let refused = Relayed::Refused(Refusal::Fork { stream: stream(), place });
    assert_eq!(store.relay(vec![fork]).await.unwrap(), [refused]);

    // A new epoch begins with 1, and ends the old one; what is stored of that is still recognised.
    let later = placed("Account/1", 3, 1);
    assert_eq!(store.relay(vec![placed("Account/1", 3, 2)]).await.unwrap(), [gap(3, 2, 0)]);
    let late = Relayed::Refused(Refusal::OldEpoch { stream: stream(), epoch: 0, current: 3 });
    assert_eq!(store.relay(vec![later, third, one]).await.unwrap(), [Relayed::Stored, late, Relayed::Repeated]);

    let direct = store.append(Append::new([event("Account/1", "x")], ExpectedVersion::Any)).await;
    assert!(matches!(direct, Err(StoreError::Refused(Refusal::OtherWriter { .. }))), "{direct:?}");
    assert_eq!(sequences(&all(&store, query("Account/1")).await), [1, 2, 1]);
    store.close().await;
}

pub(crate) async fn what_is_stored_cannot_be_changed(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    store.append(Append::new([event("Account/1", "a")], ExpectedVersion::None)).await.unwrap();
    follow(&store, 0, 1).await;
    for statement in [
        "UPDATE tidings_store_event SET payload = x'00'",
        "DELETE FROM tidings_store_event",
        "UPDATE tidings_store_position SET event = 0",
        "DELETE FROM tidings_store_position",
    ] {
        let error = stage.try_execute(statement).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(follow(&store, 0, 1).await[0].event.payload, "a");
    store.close().await;
}

pub(crate) async fn two_replicas_append_at_once_and_every_subscriber_sees_every_event_once(stage: &Stage) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 40;
    let options = StoreOptions::default().lease_ttl(Duration::from_secs(2));
    let stores = [store(stage, options.clone()).await, replica(stage, options).await];
    let total = usize::try_from(WRITERS * EACH).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[usize::try_from(writer % 2).unwrap()].clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                // Two writers share a stream, one at each replica.
                let append =
                    Append::new([event(&format!("Account/{}", writer / 2), &number.to_string())], ExpectedVersion::Any);
                store.append(append).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let followers = [follow(&stores[0], 0, total), follow(&stores[1], 0, total), follow(&stores[1], 0, total)];
    let followed = join_all(followers).await;
    for writer in writers {
        writer.await.unwrap();
    }
    for events in &followed {
        check_order(events, 0);
        assert_eq!(events, &followed[0], "everybody sees the same order");
    }
    // From anywhere in between.
    check_order(&follow(&stores[0], 100, total - 100).await, 100);
    let [first, second] = stores;
    first.close().await;
    second.close().await;
}

pub(crate) async fn a_subscription_goes_on_across_takeovers_of_the_sequencer(stage: &Stage) {
    let options = StoreOptions::default().lease_ttl(Duration::from_millis(300));
    let stores = [store(stage, options.clone()).await, replica(stage, options).await];
    let following = tokio::spawn({
        let store = stores[1].clone();
        async move { follow(&store, 0, 300).await }
    });
    for number in 0..300 {
        let append = Append::new([event(&format!("Account/{}", number % 7), "x")], ExpectedVersion::Any);
        stores[number % 2].append(append).await.unwrap();
        if number % 10 == 0 {
            // Whoever holds it does not know that it is gone: a process that stood still.
            stage
                .execute(
                    "UPDATE tidings_store_sequencer SET owner = 'nobody', epoch = epoch + 1, expires_at = '2000-01-01'",
                )
                .await;
        }
    }
    let events = following.await.unwrap();
    check_order(&events, 0);
    let [first, second] = stores;
    // One that ends well lets the other go on at once; one that does not, after its lease.
    first.close().await;
    drop(first);
    second.append(Append::new([event("Account/1", "last")], ExpectedVersion::Any)).await.unwrap();
    check_order(&follow(&second, 300, 1).await, 300);
    second.close().await;
}

pub(crate) async fn a_subscription_can_be_to_one_source_and_says_when_it_has_caught_up(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    for (source, number) in [("accounts", 1), ("billing", 2), ("accounts", 3), ("billing", 4)] {
        let mut event = event(&format!("Account/{number}"), "x");
        event.envelope.source = source.into();
        store.append(Append::new([event], ExpectedVersion::None)).await.unwrap();
    }
    follow(&store, 0, 4).await;
    let notices: Vec<_> =
        store.subscribe(Subscription::after(0).source("accounts")).take(3).try_collect().await.unwrap();
    let seen = notices.iter().map(|notice| match notice {
        Notice::Event(event) => (event.position.unwrap(), false),
        Notice::CaughtUp { position } => (*position, true),
    });
    assert_eq!(seen.collect::<Vec<_>>(), [(1, false), (3, false), (4, true)]);
    let mut ahead = store.subscribe(Subscription::after(5));
    assert!(matches!(ahead.next().await, Some(Err(StoreError::Invalid { .. }))), "the future is not known");
    store.close().await;
}

/// A service in the mode `store`, and what its relay gives Kafka through the store.
pub(crate) async fn a_service_publishes_through_the_store(stage: &Stage) {
    let service = stage.another().await;
    let store = store(stage, StoreOptions::default()).await;
    let publisher = service.publisher(DeliveryMode::Store).await;
    let database = service.database.clone().with_publisher(&publisher);
    for (id, name) in [("1", "Kim"), ("2", "Lee"), ("1", "Kay")] {
        let publish = database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(id, name));
            Ok::<_, tidings::database::Error>(())
        });
        publish.await.unwrap();
    }
    // A relay that knows no store publishes what is for Kafka, and leaves the others alone.
    let straight_on = service.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("9", "Pat"));
        Ok::<_, tidings::database::Error>(())
    });
    straight_on.await.unwrap();
    let no_store = Stage::relay_through(&service.database, service.kafka.clone());
    service.until_published(1).await;
    let forwarding = stage.relay();
    let producers = StoreProducers::new(Arc::new(store.clone()));
    let relay = Relay::new(&service.database, producers).spawn();
    // The buckets of the one without a store become the other's when it ends.
    no_store.shutdown().await.unwrap();
    service.until_empty().await;
    stage.until_published(3).await;
    relay.shutdown().await.unwrap();
    forwarding.shutdown().await.unwrap();
    assert_eq!(service.published(), [("Account/9".to_owned(), 1)]);
    let mut published = stage.published();
    published.sort();
    assert_eq!(published, [("Account/1".to_owned(), 1), ("Account/1".to_owned(), 2), ("Account/2".to_owned(), 1)]);

    // The same headers as from an outbox straight to Kafka.
    let outbox = service.another().await;
    let publish = outbox.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("1", "Kim"));
        Ok::<_, tidings::database::Error>(())
    });
    publish.await.unwrap();
    let relay = outbox.relay();
    outbox.until_published(1).await;
    relay.shutdown().await.unwrap();
    let (straight, through) = (outbox.kafka.written(), stage.kafka.written());
    let through = through.iter().find(|record| position(record) == ("Account/1".to_owned(), 1)).unwrap();
    let names = |record: &tidings::transport::Record| -> Vec<String> {
        record.headers.iter().map(|header| String::from_utf8_lossy(header.name).into_owned()).collect()
    };
    assert_eq!(names(&straight[0]), names(through));
    let (one, other) = (EnvelopeView::new(&straight[0].headers), EnvelopeView::new(&through.headers));
    for name in
        [header::SOURCE, header::TYPE, header::SUBJECT, header::SEQUENCE, header::PARTITION_KEY, header::DATA_SCHEMA]
    {
        assert_eq!(one.header(name), other.header(name), "{name}");
    }
    assert_eq!((&straight[0].key, &straight[0].payload), (&through.key, &through.payload));
    store.close().await;
    outbox.clear().await;
    service.clear().await;
}

pub(crate) async fn a_receipt_tells_when_the_store_has_the_event(stage: &Stage) {
    let service = stage.another().await;
    let store = store(stage, StoreOptions::default()).await;
    let options = PublisherOptions::new("accounts").mode(DeliveryMode::Store);
    let publisher = Publisher::builder(options.clone())
        .producer(Arc::new(service.kafka.clone()))
        .recorder(Arc::new(service.database.clone()))
        .event_store(Arc::new(store.clone()))
        .build()
        .await
        .unwrap();
    let receipt = publisher.publish(&AccountRenamed::new("1", "Kim")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), receipt.stored()).await;
    assert!(early.is_err(), "there is no relay yet");
    let relay = Relay::new(&service.database, StoreProducers::new(Arc::new(store.clone()))).spawn();
    tokio::time::timeout(Duration::from_secs(30), receipt.stored()).await.unwrap().unwrap();
    assert_eq!(all(&store, query("Account/1")).await[0].event.id(), receipt.id());
    relay.shutdown().await.unwrap();

    // Without a database: published when it is durable in the store.
    let recorder = Arc::new(StoreRecorder::new(Arc::new(store.clone())));
    let builder = Publisher::builder(options).producer(Arc::new(service.kafka.clone()));
    let direct = builder.recorder(Arc::clone(&recorder) as _).event_store(recorder).build().await.unwrap();
    let receipt = direct.publish(&AccountRenamed::new("9", "Kim")).await.unwrap();
    receipt.stored().await.unwrap();
    assert_eq!(all(&store, query("Account/9")).await[0].event.id(), receipt.id());
    let refused = direct.publish(&AccountRenamed::new("1", "Kim")).await;
    assert!(refused.is_err(), "that stream is numbered by an outbox");
    store.close().await;
    service.clear().await;
}

pub(crate) async fn a_doubled_relay_neither_repeats_nor_reorders(stage: &Stage) {
    const EVENTS: u64 = 60;
    let options = StoreOptions::default();
    let stores = [store(stage, options.clone()).await, replica(stage, options).await];
    let forwarding = stage.relay();
    let events: Vec<_> = (1..=EVENTS).map(|sequence| placed("Account/1", 0, sequence)).collect();
    // Three relays that all believe that they own the stream, each at its own pace, and one that thaws when all is over.
    let relays = [1_usize, 7, 25].into_iter().enumerate().map(|(relay, part)| {
        let (store, events) = (stores[relay % 2].clone(), events.clone());
        tokio::spawn(async move {
            for part in events.chunks(part) {
                let mut left = part.to_vec();
                // A relay begins again from its table where a predecessor is missing.
                while !left.is_empty() {
                    let results = store.relay(left.clone()).await.unwrap();
                    let mut results = results.into_iter();
                    left.retain(|_| !matches!(results.next(), Some(Relayed::Stored | Relayed::Repeated)));
                }
            }
        })
    });
    for relay in relays.collect::<Vec<_>>() {
        relay.await.unwrap();
    }
    let late = stores[1].relay(events[10..40].to_vec()).await.unwrap();
    assert!(late.iter().all(|result| *result == Relayed::Repeated), "{late:?}");
    stage.until_empty().await;
    forwarding.shutdown().await.unwrap();
    let expected: Vec<_> = (1..=EVENTS).map(|sequence| ("Account/1".to_owned(), sequence)).collect();
    assert_eq!(stage.published(), expected);
    check_order(&follow(&stores[0], 0, events.len()).await, 0);
    let [first, second] = stores;
    first.close().await;
    second.close().await;
}

pub(crate) async fn one_event_that_cannot_be_stored_is_parked_and_the_others_go_on(stage: &Stage) {
    let service = stage.another().await;
    let store = store(stage, StoreOptions::default()).await;
    let database = service.database.clone().with_publisher(&service.publisher(DeliveryMode::Store).await);
    for id in ["1", "2", "3"] {
        let publish = database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(id, "Kim"));
            Ok::<_, tidings::database::Error>(())
        });
        publish.await.unwrap();
    }
    // Its predecessor was lost, as by a restore.
    service.execute("UPDATE tidings_outbox SET sequence = '00000000000000000005' WHERE stream = 'Account/2'").await;
    let relay = Relay::new(&service.database, StoreProducers::new(Arc::new(store.clone()))).spawn();
    service.until_empty().await;
    relay.shutdown().await.unwrap();
    let parked = service.texts("SELECT CONCAT(stream, ' ', target, ' ', reason) FROM tidings_outbox_parked").await;
    assert!(
        matches!(&*parked, [parked] if parked.starts_with("Account/2 store ") && parked.contains("predecessor")),
        "{parked:?}"
    );
    assert_eq!(sequences(&all(&store, query("Account/3")).await), [1]);
    store.close().await;
    service.clear().await;
}

/// Hold what appends to `Account/blocked` need, until the answer is dropped.
async fn blocked(stage: &Stage) -> Box<dyn std::any::Any + Send> {
    stage
        .hold(
            "INSERT INTO tidings_store_stream (source, stream, writer, partition_key, epoch, sequence) \
             VALUES ('/accounts', 'Account/blocked', 'store', 'Account/blocked', 0, 0)",
        )
        .await
}

pub(crate) async fn an_event_that_the_store_waits_for_is_skipped_only_with_its_epoch(stage: &Stage) {
    let service = stage.another().await;
    let store = store(stage, StoreOptions::default()).await;
    let database = service.database.clone().with_publisher(&service.publisher(DeliveryMode::Store).await);
    let publish = async |nickname: &str| {
        let publish = database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new("1", nickname));
            Ok::<_, tidings::database::Error>(())
        });
        publish.await.unwrap();
    };
    for nickname in ["Kim", "Lou", "Pat"] {
        publish(nickname).await;
    }
    service.execute("UPDATE tidings_outbox SET occurred_at = 'yesterday' WHERE sequence LIKE '%2'").await;
    let relay = Relay::new(&service.database, StoreProducers::new(Arc::new(store.clone()))).spawn();
    service.until_empty().await;
    let stream = StreamId::new("accounts", Stream::from_name("Account/1"));
    let parked = async || parked(&service.database, None, 10).await.unwrap().len();
    eventually("it is parked with what is behind it", async || parked().await == 2).await;

    for refused in
        [skip_parked(&service.database, &stream).await.map(drop), skippable(&service.database, &stream).await.map(drop)]
    {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("event 2 of stream Account/1") && error.contains("new-epoch"), "{error}");
    }
    assert_eq!(parked().await, 2, "nothing is lost by trying");

    let streams = Streams::Named(vec!["Account/1".to_owned()]);
    assert_eq!(raise_epochs(&service.database, &streams, Some(5)).await.unwrap(), 1);
    publish("Sam").await;
    eventually("it waits, too", async || parked().await == 3).await;
    assert_eq!(skippable(&service.database, &stream).await.unwrap(), 2);
    let released = skip_parked(&service.database, &stream).await.unwrap();
    assert_eq!((released.forgotten, released.events, released.skipped.unwrap().sequence), (2, 1, 2));
    eventually("the store goes on", async || all(&store, query("Account/1")).await.len() == 2).await;
    let places =
        all(&store, query("Account/1")).await.iter().map(|event| event.event.place().unwrap()).collect::<Vec<_>>();
    assert_eq!(places, [Place { epoch: 0, sequence: 1 }, Place { epoch: 5, sequence: 1 }]);
    relay.shutdown().await.unwrap();
    store.close().await;
    service.clear().await;
}

pub(crate) async fn a_store_with_too_much_to_do_says_so_at_once_and_loses_nothing(stage: &Stage) {
    let store = store(stage, StoreOptions::default().max_queued_events(4).lanes(1)).await;
    let block = blocked(stage).await;
    let append = |number: usize| Append::new([event("Account/blocked", &number.to_string())], ExpectedVersion::Any);
    let waiting: Vec<_> = (0..4)
        .map(|number| {
            let (store, append) = (store.clone(), append(number));
            tokio::spawn(async move { store.append(append).await })
        })
        .collect();
    let refused = async || matches!(store.append(append(9)).await, Err(StoreError::Overloaded));
    // The four are there once there is no room. Each look that finds some takes it: bounded by the same room.
    eventually("there is no room", || async {
        tokio::time::timeout(Duration::from_millis(200), refused()).await.unwrap_or(false)
    })
    .await;
    let asked = std::time::Instant::now();
    assert!(refused().await);
    assert!(asked.elapsed() < Duration::from_secs(1), "it is refused at once");
    drop(block);
    for append in waiting {
        // Each was either acknowledged, or refused at once.
        match append.await.unwrap() {
            Ok(_) | Err(StoreError::Overloaded) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // What was queued without anybody waiting for it is done first.
    let last = append(10);
    let appended = loop {
        match store.append(last.clone()).await {
            Err(StoreError::Overloaded) => tokio::time::sleep(Duration::from_millis(5)).await,
            appended => break appended.unwrap(),
        }
    };
    assert_eq!(all(&store, query("Account/blocked")).await.len() as u64, appended.last.sequence);
    store.close().await;
}

pub(crate) async fn an_append_that_was_not_answered_in_time_can_be_sent_again(stage: &Stage) {
    let store = store(stage, StoreOptions::default()).await;
    let block = blocked(stage).await;
    let append = Append::new([event("Account/blocked", "x")], ExpectedVersion::Any);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(100);
    let late = store.append_by(append.clone(), Some(deadline)).await;
    assert!(matches!(late, Err(StoreError::Deadline)), "{late:?}");
    drop(block);
    let appended = store.append(append.clone()).await.unwrap();
    assert_eq!(appended.last.sequence, 1);
    assert!(store.append(append).await.unwrap().repeated);
    assert_eq!(sequences(&all(&store, query("Account/blocked")).await), [1]);
    store.close().await;
}

pub(crate) async fn what_cannot_be_stored_is_refused_by_name(stage: &Stage) {
    let store = store(stage, StoreOptions::default().max_event_bytes(2_000)).await;
    let mut bad = vec![event("", "x"), event("Account/1", &"x".repeat(2_000)), event("Account/1 ", "x")];
    bad.push(event("Account/1", "x"));
    bad[3].envelope.source = "a/b".into();
    bad.push(placed("Account/1", 0, 1));
    for event in bad {
        let refused = store.append(Append::new([event], ExpectedVersion::Any)).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    let twice = event("Account/1", "x");
    for events in [vec![], vec![twice.clone(), twice], vec![event("Account/1", "x"), event("Account/2", "x")]] {
        let refused = store.append(Append::new(events, ExpectedVersion::Any)).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    let refused = store.relay(vec![event("Account/1", "no sequence")]).await.unwrap();
    assert!(matches!(&*refused, [Relayed::Refused(Refusal::Gap { .. })]), "{refused:?}");
    store.close().await;
    let closed = store.append(Append::new([event("Account/1", "x")], ExpectedVersion::Any)).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
}

pub(crate) async fn a_database_without_the_stores_tables_is_refused(stage: &Stage) {
    let refused = DatabaseStore::open(&stage.database, StoreOptions::default()).await;
    assert!(matches!(refused, Err(StoreError::NotMigrated(_))));
    // Twice does no harm.
    DatabaseStore::migrate(&stage.database).await.unwrap();
    DatabaseStore::migrate(&stage.database).await.unwrap();
    DatabaseStore::open(&stage.database, StoreOptions::default()).await.unwrap().close().await;
}
