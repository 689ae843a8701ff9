//! Streams that get a new epoch in the event store, or with their way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tidings::database::{Database, Error};
use tidings::event::Stream;
use tidings::outbox::{Relay, Streams, change_mode};
use tidings::publisher::DeliveryMode;
use tidings::store::{
    Append, DatabaseStore, Direction, EventStore as _, ExpectedVersion, NewEpoch, Place, Refusal, Relayed, StoreError,
    StoreOptions, StoreProducers, StoredEvent, StreamQuery, Subscription,
};
use tidings::transport::Producer;
use uuid::Uuid;

use super::event_store::{event, follow, placed, store};
use super::modes::publish;
use super::stage::{Stage, place};

/// The service's events of `Account/1`, in the order in which they came to Kafka.
fn places(stage: &Stage) -> Vec<(u32, u64)> {
    let written = stage.kafka.written();
    written.iter().map(place).map(|(epoch, sequence)| (epoch, sequence.unwrap())).collect()
}

pub(crate) async fn a_service_goes_to_the_store_and_back_with_a_new_epoch_each_time(stage: &Stage) {
    let service = stage.another().await;
    let store = store(stage, StoreOptions::default()).await;
    let straight = service.database.clone();
    let by_store = service.publishing(DeliveryMode::Store).await;
    // Both ways end in one topic.
    let kafka = service.kafka.clone();
    let producers =
        StoreProducers::new(Arc::new(store.clone())).and(move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let relay = Relay::new(&service.database, producers).spawn();
    let forwarding = Stage::relay_through(&stage.database, service.kafka.clone());
    let twice = async |database: &Database| {
        for _ in 0..2 {
            publish(database, "1").await.unwrap();
        }
        service.until_empty().await;
    };
    twice(&straight).await;
    for (epoch, mode, database, other) in [
        (1, DeliveryMode::Store, &by_store, &straight),
        (2, DeliveryMode::Outbox, &straight, &by_store),
        (5, DeliveryMode::Store, &by_store, &straight),
    ] {
        // A new epoch alone does not do it.
        let error = publish(database, "1").await.unwrap_err();
        assert!(matches!(error, Error::StreamDisagrees { what: "mode", .. }), "{error:?}");
        // What has gone to the store is forwarded before anything goes another way.
        stage.until_empty().await;
        assert_eq!(change_mode(&service.database, &Streams::All, mode, Some(epoch)).await.unwrap(), 1);
        assert!(publish(other, "1").await.is_err());
        twice(database).await;
    }
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    forwarding.shutdown().await.unwrap();
    assert_eq!(service.texts("SELECT event_id FROM tidings_outbox_parked").await.len(), 0);
    assert_eq!(
        places(&service),
        [0, 1, 2, 5].into_iter().flat_map(|epoch| [(epoch, 1), (epoch, 2)]).collect::<Vec<_>>()
    );
    store.close().await;
    service.clear().await;
}

/// The tables whose state a copy has.
const TABLES: [&str; 6] = [
    "tidings_store_stream",
    "tidings_store_event",
    "tidings_store_pending",
    "tidings_store_position",
    "tidings_store_sequencer",
    "tidings_outbox",
];

/// What makes a copy.
pub(crate) fn copying() -> Vec<String> {
    TABLES.map(|table| format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table}")).to_vec()
}

/// What puts the copy back.
pub(crate) fn restoring() -> Vec<String> {
    let triggers = ["event", "position"].map(|table| format!("DROP TRIGGER tidings_store_{table}_no_delete"));
    let back = |table| [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM copy_of_{table}")];
    triggers.into_iter().chain(TABLES.into_iter().flat_map(back)).collect()
}

async fn execute(stage: &Stage, statements: Vec<String>) {
    for sql in statements {
        stage.execute(&sql).await;
    }
}

async fn append(store: &DatabaseStore, stream: &str, expected: ExpectedVersion) -> Result<(Uuid, Place), StoreError> {
    let event = event(stream, "x");
    let id = event.envelope.id;
    store.append(Append::new([event], expected)).await.map(|appended| (id, appended.last))
}

/// Three events of each stream, with a copy behind the second, and a new stream; each event by its place, and all in the order of
/// their positions.
async fn restored(stage: &Stage) -> Vec<StoredEvent> {
    let before = store(stage, StoreOptions::default()).await;
    for sequence in 1..=2 {
        for stream in ["Account/1", "Account/2"] {
            append(&before, stream, ExpectedVersion::Exact(sequence - 1)).await.unwrap();
        }
        before.relay(vec![placed("Account/9", 0, sequence)]).await.unwrap();
    }
    follow(&before, 0, 6).await;
    before.close().await;
    execute(stage, copying()).await;
    let lost = DatabaseStore::open(&stage.database, StoreOptions::default()).await.unwrap();
    for (stream, version) in [("Account/1", 2), ("Account/2", 2), ("Account/3", 0)] {
        append(&lost, stream, ExpectedVersion::Exact(version)).await.unwrap();
    }
    lost.relay(vec![placed("Account/9", 0, 3)]).await.unwrap();
    let seen = follow(&lost, 0, 10).await;
    lost.close().await;
    execute(stage, restoring()).await;
    seen
}

fn placed_ids(events: &[StoredEvent]) -> BTreeMap<(String, Place), Uuid> {
    let entry = |stored: &StoredEvent| {
        let envelope = &stored.event.envelope;
        ((envelope.stream.to_string(), stored.event.place().unwrap()), envelope.id)
    };
    events.iter().map(entry).collect()
}

pub(crate) async fn after_a_restore_without_a_new_epoch_the_store_gives_out_places_and_positions_again(stage: &Stage) {
    let seen = restored(stage).await;
    let store = DatabaseStore::open(&stage.database, StoreOptions::default()).await.unwrap();
    let refused = store.subscribe(Subscription::after(10)).try_next().await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    let (id, place) = append(&store, "Account/1", ExpectedVersion::Exact(2)).await.unwrap();
    let taken = placed_ids(&seen).get(&("Account/1".to_owned(), place)).copied();
    assert!(taken.is_some_and(|taken| taken != id), "{place:?}");
    let again = follow(&store, 6, 1).await;
    assert_eq!(
        (again[0].position, again[0].event.envelope.id),
        (Some(7), id),
        "another event at a position that was given out"
    );
    let relayed = store.relay(vec![placed("Account/9", 0, 4)]).await.unwrap();
    assert!(matches!(relayed[..], [Relayed::Refused(Refusal::Gap { last: 2, .. })]), "{relayed:?}");
    store.close().await;
}

pub(crate) async fn after_a_restore_and_a_new_epoch_no_place_and_no_position_is_given_out_twice(stage: &Stage) {
    let seen = restored(stage).await;
    let new_epoch = NewEpoch::of(Streams::All);
    let preview = new_epoch.preview(&stage.database).await.unwrap();
    assert_eq!((preview.streams, preview.position, preview.was_served), (2, 6, false));
    assert_eq!(preview.outboxes, ["accounts"]);
    assert_eq!(new_epoch.preview(&stage.database).await.unwrap(), preview, "it changes nothing");
    let begun = new_epoch.begin(&stage.database).await.unwrap();
    assert_eq!(begun.streams, 2);
    assert!((1_700_000_000_000_000..1 << 53).contains(&begun.position), "{begun:?}");

    let store = DatabaseStore::open(&stage.database, StoreOptions::default()).await.unwrap();
    let mut appended = Vec::new();
    // A writer reads again where its stream is, and goes on from there. Account/3 is not known any more.
    for (stream, lost, version) in [("Account/1", 3, 2), ("Account/2", 3, 2), ("Account/3", 1, 0)] {
        let refused = append(&store, stream, ExpectedVersion::Exact(lost)).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::WrongVersion { .. }))), "{refused:?}");
        let (id, place) = append(&store, stream, ExpectedVersion::Exact(version)).await.unwrap();
        assert!(place.epoch > 1_700_000_000 && place.sequence == version + 1, "{place:?}");
        appended.push(id);
    }
    let refused = append(&store, "Account/1", ExpectedVersion::None).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::WrongVersion { .. }))), "{refused:?}");
    // Its service has given the stream a new epoch, too.
    let relayed = store.relay(vec![placed("Account/9", 0, 4)]).await.unwrap();
    assert!(matches!(relayed[..], [Relayed::Refused(Refusal::Gap { .. })]), "{relayed:?}");
    let first = placed("Account/9", 7, 1);
    appended.push(first.envelope.id);
    assert_eq!(store.relay(vec![first]).await.unwrap(), [Relayed::Stored]);

    // Wherever a subscriber was: it gets what is new, all of it and once.
    for after in [0, 5, 6, 8, 10] {
        let left = usize::try_from(6_u64.saturating_sub(after)).unwrap();
        let events = follow(&store, after, left + 4).await;
        let new = &events[left..];
        assert_eq!(new.iter().map(|event| event.event.envelope.id).collect::<Vec<_>>(), appended, "behind {after}");
        let positions: Vec<_> = new.iter().map(|event| event.position.unwrap()).collect();
        assert_eq!(positions, (begun.position + 1..=begun.position + 4).collect::<Vec<_>>(), "behind {after}");
    }
    // And whoever reads a stream passes from one epoch into the other, in both directions, and may begin between them.
    let query = || StreamQuery::new("accounts", Stream::from_name("Account/1"));
    let read = async |query| -> Vec<u64> {
        let events: Vec<StoredEvent> = store.read(query).try_collect().await.unwrap();
        events.iter().map(|event| event.event.place().unwrap().sequence).collect()
    };
    let epoch = u32::try_from(begun.position / 1_000_000).unwrap();
    assert_eq!(read(query()).await, [1, 2, 3]);
    assert_eq!(read(query().direction(Direction::Backwards)).await, [3, 2, 1]);
    assert_eq!(read(query().from(Place { epoch: 0, sequence: 3 })).await, [3]);
    assert_eq!(read(query().from(Place { epoch: epoch - 1, sequence: 9 })).await, [3]);

    let new = follow(&store, 6, 4).await;
    let (old, new) = (placed_ids(&seen), placed_ids(&new));
    assert!(new.keys().all(|place| !old.contains_key(place)), "{old:?} and {new:?}");
    for (stream, place) in new.keys() {
        let before = old.keys().filter(|(other, _)| other == stream).map(|(_, place)| place).max();
        assert!(before.is_none_or(|before| before < place), "{stream} goes on with {place:?} behind {before:?}");
    }
    store.close().await;
}

pub(crate) async fn positions_go_on_behind_the_one_that_is_named_while_replicas_and_subscribers_go_on(stage: &Stage) {
    let store = store(stage, StoreOptions::default().lease_ttl(std::time::Duration::from_secs(1))).await;
    append(&store, "Account/1", ExpectedVersion::Any).await.unwrap();
    append(&store, "Player/1", ExpectedVersion::Any).await.unwrap();
    let follower = tokio::spawn({
        let store = store.clone();
        async move { follow(&store, 0, 6).await }
    });
    follow(&store, 0, 2).await;
    let some = NewEpoch::of(Streams::Prefixed("Account/".to_owned())).source("accounts").epoch(3).position_after(1_200);
    let begun = some.begin(&stage.database).await.unwrap();
    assert_eq!((begun.streams, begun.position, begun.was_served), (1, 1_200, true));
    let none = NewEpoch::of(Streams::All).source("players").position_after(7).begin(&stage.database).await.unwrap();
    assert_eq!((none.streams, none.position), (0, 1_200), "positions never fall");
    // A subscription that finds nothing new is told from where to go on.
    let caught_up = async { store.subscribe(Subscription::after(2)).try_next().await.unwrap() };
    let caught_up = caught_up.await;
    assert_eq!(caught_up, Some(tidings::store::Notice::CaughtUp { position: 1_200 }));
    for stream in ["Account/1", "Player/1", "Account/2", "Account/1"] {
        append(&store, stream, ExpectedVersion::Any).await.unwrap();
    }
    let events = follower.await.unwrap();
    let positions: BTreeSet<_> = events.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, BTreeSet::from([1, 2, 1_201, 1_202, 1_203, 1_204]));
    let places: Vec<_> =
        events.iter().map(|event| (event.event.envelope.stream.to_string(), event.event.place().unwrap())).collect();
    let of = |stream: &str, epoch, sequence| (stream.to_owned(), Place { epoch, sequence });
    let new = [of("Account/1", 3, 2), of("Player/1", 0, 2), of("Account/2", 0, 1), of("Account/1", 3, 3)];
    assert_eq!(places[2..], new);
    store.close().await;
}
