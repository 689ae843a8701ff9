//! What every store of parked events must do.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::{join_all, try_join_all};
use tidings::consumer::parked::{
    DatabaseParkedStore, MemoryParkedStore, ParkCause, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore,
};
use tidings::transport::{Headers, TopicPartition};
use uuid::Uuid;

use super::stage::Stage;

/// A store, and a group that nobody else has.
pub(crate) struct ParkedStage {
    pub(crate) store: Arc<dyn ParkedStore>,
    /// The same through connections of its own, as another process would have it.
    pub(crate) elsewhere: Arc<dyn ParkedStore>,
    pub(crate) group: Arc<str>,
    database: Option<Stage>,
}

impl ParkedStage {
    pub(crate) fn new(store: impl ParkedStore, elsewhere: impl ParkedStore) -> Self {
        let group = format!("boards-{}.Board", Uuid::new_v4().simple()).into();
        Self { store: Arc::new(store), elsewhere: Arc::new(elsewhere), group, database: None }
    }

    #[allow(dead_code, reason = "one test program runs it")]
    pub(crate) fn memory() -> Self {
        let store = MemoryParkedStore::new();
        Self::new(store.clone(), store)
    }

    pub(crate) fn database(stage: Stage) -> Self {
        let store = DatabaseParkedStore::new(&stage.database);
        Self { database: Some(stage), ..Self::new(store.clone(), store) }
    }

    pub(crate) async fn clear(self) {
        if let Some(stage) = self.database {
            stage.clear().await;
        }
    }

    fn id(&self, partition: i32, key: &[u8]) -> ParkedKeyId {
        ParkedKeyId { group: Arc::clone(&self.group), partition: accounts(partition), key: Bytes::copy_from_slice(key) }
    }

    async fn park(&self, partition: i32, key: &[u8], offset: i64) {
        self.store.park(Arc::clone(&self.group), event(partition, key, offset)).await.unwrap();
    }

    /// The offsets that are parked of a key.
    async fn offsets(&self, partition: i32, key: &[u8]) -> Vec<i64> {
        let records = self.store.records(self.id(partition, key), 100_000).await.unwrap();
        records.iter().map(|record| record.offset).collect()
    }

    async fn keys(&self, partitions: &[i32]) -> Vec<ParkedKey> {
        let partitions = partitions.iter().map(|partition| accounts(*partition)).collect();
        let mut keys = self.store.keys(Arc::clone(&self.group), partitions).await.unwrap();
        keys.sort_by(|left, right| (&left.partition, &left.key).cmp(&(&right.partition, &right.key)));
        keys
    }
}

fn accounts(partition: i32) -> TopicPartition {
    TopicPartition { topic: "accounts".into(), partition }
}

fn event(partition: i32, key: &[u8], offset: i64) -> ParkedRecord {
    let mut headers = Headers::new();
    headers.push_str("ce_type", "accounts.UserUpdated");
    ParkedRecord {
        partition: accounts(partition),
        offset,
        timestamp_ms: Some(1_700_000_000_123),
        key: Bytes::copy_from_slice(key),
        payload: Some(Bytes::copy_from_slice(offset.to_string().as_bytes())),
        headers,
        cause: None,
    }
}

fn headers_of(record: &ParkedRecord) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    record.headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) async fn an_event_comes_back_as_it_was(stage: &ParkedStage) {
    let mut headers = Headers::new();
    headers.push_str("twice", "1");
    headers.push([0xff, b'x'], Some(&[0xfe, 0, 0xff]));
    headers.push_str("it's \\ \"quoted\"", "Łódź");
    headers.push("null", None);
    headers.push("empty", Some(b""));
    headers.push_str("twice", "2");
    let cause = ParkCause {
        handler: Some("Board::on_posted".to_owned()),
        class: "retryable".to_owned(),
        error: "it's away: \u{1b}[2J '\\' — no répónse\nsecond line".to_owned(),
        attempts: u32::MAX,
        first_failure: time("2026-01-31T09:00:00.123456Z"),
        parked_at: time("2026-01-31T09:01:00Z"),
    };
    let all_bytes: Vec<u8> = (0..=255).collect();
    let first = ParkedRecord {
        payload: Some(all_bytes.clone().into()),
        headers,
        cause: Some(cause),
        ..event(3, &all_bytes, 5)
    };
    let bare =
        ParkedRecord { payload: None, timestamp_ms: None, headers: Headers::new(), ..event(3, &all_bytes, i64::MAX) };
    let empty = ParkedRecord {
        payload: Some(Bytes::new()),
        cause: Some(ParkCause { handler: None, ..first.cause.clone().unwrap() }),
        ..event(3, &all_bytes, 6)
    };
    for record in [&bare, &first, &empty] {
        stage.store.park(Arc::clone(&stage.group), record.clone()).await.unwrap();
    }
    let read = stage.store.records(stage.id(3, &all_bytes), 10).await.unwrap();
    assert_eq!(read.len(), 3);
    for (read, written) in read.iter().zip([&first, &empty, &bare]) {
        assert_eq!(
            (&read.partition, read.offset, read.timestamp_ms),
            (&written.partition, written.offset, written.timestamp_ms)
        );
        assert_eq!((&read.key, &read.payload, &read.cause), (&written.key, &written.payload, &written.cause));
        assert_eq!(headers_of(read), headers_of(written));
    }
}

pub(crate) async fn events_of_a_key_are_read_in_the_order_of_their_offsets_however_they_were_parked(
    stage: &ParkedStage,
) {
    for offset in [30, 4, 100, 29, 5] {
        stage.park(0, b"42", offset).await;
        stage.park(0, b"43", offset + 1_000).await;
    }
    assert_eq!(stage.offsets(0, b"42").await, [4, 5, 29, 30, 100]);
    let first = stage.store.records(stage.id(0, b"42"), 2).await.unwrap();
    assert_eq!(first.iter().map(|record| record.offset).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(first[1].payload.as_deref(), Some(&b"5"[..]));
    assert!(stage.store.records(stage.id(0, b"42"), 0).await.unwrap().is_empty());
    assert!(stage.offsets(1, b"42").await.is_empty());
}

pub(crate) async fn the_first_events_of_a_key_are_read_within_so_many_bytes(stage: &ParkedStage) {
    // The first one was parked again, and stands behind the others.
    for (offset, bytes) in [(2, 2_000), (3, 300), (4, 50_000), (5, 10), (1, 100)] {
        let record = ParkedRecord { payload: Some(vec![7; bytes].into()), ..event(0, b"42", offset) };
        stage.store.park(Arc::clone(&stage.group), record).await.unwrap();
    }
    let all = stage.store.records(stage.id(0, b"42"), 9).await.unwrap();
    let within = async |limit, bytes| {
        let records = stage.store.records_within(stage.id(0, b"42"), limit, bytes).await.unwrap();
        for (record, known) in records.iter().zip(&all) {
            assert_eq!((record.offset, &record.payload), (known.offset, &known.payload));
        }
        records.len()
    };
    // One in any case.
    assert_eq!((within(9, 0).await, within(9, 1_000).await), (1, 1));
    let together = |count: usize| all[..count].iter().map(ParkedRecord::size).sum::<usize>();
    for count in 2..=5 {
        assert_eq!((within(9, together(count)).await, within(9, together(count) - 1).await), (count, count - 1));
    }
    assert_eq!((within(9, usize::MAX).await, within(3, usize::MAX).await, within(0, usize::MAX).await), (5, 3, 0));
    let nothing = stage.store.records_within(stage.id(0, b"43"), 9, 1_000).await.unwrap();
    assert!(nothing.is_empty());
}

pub(crate) async fn an_event_parked_again_replaces_itself_and_is_counted_once(stage: &ParkedStage) {
    stage.park(0, b"42", 5).await;
    stage.park(0, b"42", 6).await;
    let again = ParkedRecord { payload: Some(Bytes::from_static(b"again")), ..event(0, b"42", 5) };
    for _ in 0..3 {
        stage.store.park(Arc::clone(&stage.group), again.clone()).await.unwrap();
    }
    assert_eq!(stage.keys(&[]).await[0].records, 2);
    let read = stage.store.records(stage.id(0, b"42"), 9).await.unwrap();
    assert_eq!((read.len(), read[0].payload.as_deref()), (2, Some(&b"again"[..])));
}

pub(crate) async fn an_event_parked_again_without_a_cause_keeps_the_one_it_had(stage: &ParkedStage) {
    let of = |class: &str| ParkCause {
        handler: Some("Board::on_posted".to_owned()),
        class: class.to_owned(),
        error: "it's away".to_owned(),
        attempts: 3,
        first_failure: time("2026-01-31T09:00:00Z"),
        parked_at: time("2026-01-31T09:01:00Z"),
    };
    let causes = async |key: &[u8]| {
        let records = stage.store.records(stage.id(0, key), 9).await.unwrap();
        records.into_iter().map(|record| record.cause).collect::<Vec<_>>()
    };
    let group = || Arc::clone(&stage.group);
    for key in [b"42", b"43"] {
        let failed = ParkedRecord { cause: Some(of("retryable")), ..event(0, key, 5) };
        stage.store.park(group(), failed).await.unwrap();
        stage.park(0, key, 6).await;
    }
    // By another process, which knows only that the key is parked.
    let again = ParkedRecord { payload: Some(Bytes::from_static(b"again")), timestamp_ms: None, ..event(0, b"42", 5) };
    for _ in 0..2 {
        stage.elsewhere.park(group(), again.clone()).await.unwrap();
        stage.elsewhere.park(group(), event(0, b"42", 6)).await.unwrap();
    }
    assert_eq!(causes(b"42").await, [Some(of("retryable")), None]);
    let read = stage.store.records(stage.id(0, b"42"), 9).await.unwrap();
    assert_eq!((read.len(), read[0].payload.as_deref(), read[0].timestamp_ms), (2, Some(&b"again"[..]), None));
    assert_eq!(stage.keys(&[]).await[0].records, 2);
    // One that failed again has another.
    let failed = ParkedRecord { cause: Some(of("timeout")), ..event(0, b"42", 5) };
    stage.store.park(group(), failed).await.unwrap();
    assert_eq!(causes(b"42").await, [Some(of("timeout")), None]);
    // What was removed has left nothing; what else is parked has what it had.
    stage.store.remove(stage.id(0, b"42"), 5).await.unwrap();
    stage.park(0, b"42", 5).await;
    assert_eq!((causes(b"42").await, causes(b"43").await), (vec![None, None], vec![Some(of("retryable")), None]));
}

pub(crate) async fn an_event_is_removed_once_however_often_that_is_asked(stage: &ParkedStage) {
    for offset in 1..=3 {
        stage.park(0, b"42", offset).await;
    }
    for _ in 0..3 {
        stage.store.remove(stage.id(0, b"42"), 2).await.unwrap();
    }
    // One that never was, and one of a key that never was.
    stage.store.remove(stage.id(0, b"42"), 77).await.unwrap();
    stage.store.remove(stage.id(0, b"43"), 1).await.unwrap();
    assert_eq!((stage.offsets(0, b"42").await, stage.keys(&[]).await[0].records), (vec![1, 3], 2));
    assert_eq!(stage.keys(&[]).await.len(), 1);
}

pub(crate) async fn a_discarded_key_is_gone_with_its_request(stage: &ParkedStage) {
    for key in [b"42", b"43"] {
        stage.park(0, key, 1).await;
        assert!(stage.store.request(stage.id(0, key), Some(ParkRequest::Discard)).await.unwrap());
    }
    for _ in 0..2 {
        stage.store.discard(stage.id(0, b"42")).await.unwrap();
    }
    assert!(stage.offsets(0, b"42").await.is_empty());
    let keys = stage.keys(&[]).await;
    assert_eq!(keys, [ParkedKey::new(accounts(0), Bytes::from_static(b"43"), 1, Some(ParkRequest::Discard))]);
    // It may be parked anew, and nothing is asked of it then.
    stage.park(0, b"42", 9).await;
    assert_eq!((stage.keys(&[]).await[0].request, stage.offsets(0, b"42").await), (None, vec![9]));
}

/// A member was frozen in the middle of what was asked for, and goes on after another one has done it and parked the key anew.
pub(crate) async fn what_a_former_owner_still_does_harms_nothing_that_was_parked_since(stage: &ParkedStage) {
    let id = stage.id(0, b"42");
    for request in [ParkRequest::Release, ParkRequest::Skip, ParkRequest::Discard] {
        stage.park(0, b"42", 1).await;
        assert!(stage.store.request(id.clone(), Some(request)).await.unwrap());
        // The new owner does it, and parks the key anew.
        match request {
            ParkRequest::Discard => stage.elsewhere.discard(id.clone()).await.unwrap(),
            asked => {
                assert!(stage.elsewhere.answer(id.clone(), asked, Some(ParkRequest::Release)).await.unwrap());
                stage.elsewhere.remove(id.clone(), 1).await.unwrap();
                stage.elsewhere.forget(id.clone()).await.unwrap();
            }
        }
        assert!(stage.keys(&[]).await.is_empty());
        stage.elsewhere.park(Arc::clone(&stage.group), event(0, b"42", 9)).await.unwrap();

        // The former one goes on where it was.
        stage.store.remove(id.clone(), 1).await.unwrap();
        stage.store.forget(id.clone()).await.unwrap();
        stage.store.discard(id.clone()).await.unwrap();
        for asked in [ParkRequest::Skip, ParkRequest::Release] {
            assert!(!stage.store.answer(id.clone(), asked, Some(ParkRequest::Release)).await.unwrap());
        }
        assert_eq!((stage.offsets(0, b"42").await, stage.keys(&[]).await[0].request), (vec![9], None));

        // What is asked for next is not withdrawn by it either.
        assert!(stage.elsewhere.request(id.clone(), Some(ParkRequest::Discard)).await.unwrap());
        assert!(!stage.store.answer(id.clone(), ParkRequest::Release, None).await.unwrap());
        assert_eq!(stage.keys(&[]).await[0].request, Some(ParkRequest::Discard));
        stage.elsewhere.discard(id.clone()).await.unwrap();
        assert!(stage.keys(&[]).await.is_empty());
    }
}

/// The last event was removed, and the key goes on.
pub(crate) async fn a_key_is_forgotten_once_it_has_no_events(stage: &ParkedStage) {
    let id = stage.id(0, b"42");
    for offset in [1, 2] {
        stage.park(0, b"42", offset).await;
    }
    assert!(stage.store.request(id.clone(), Some(ParkRequest::Release)).await.unwrap());
    for offset in [1, 2] {
        stage.store.forget(id.clone()).await.unwrap();
        assert_eq!(stage.keys(&[]).await[0].request, Some(ParkRequest::Release));
        stage.store.remove(id.clone(), offset).await.unwrap();
    }
    for _ in 0..2 {
        stage.store.forget(id.clone()).await.unwrap();
        assert!(stage.keys(&[]).await.is_empty());
    }
}

pub(crate) async fn keys_are_those_of_the_group_and_the_partitions_asked_for(stage: &ParkedStage) {
    for (partition, key) in [(0, b"a"), (1, b"b"), (2, b"c"), (10, b"d")] {
        stage.park(partition, key, 7).await;
    }
    let other =
        ParkedRecord { partition: TopicPartition { topic: "orders".into(), partition: 1 }, ..event(1, b"e", 7) };
    stage.store.park(Arc::clone(&stage.group), other).await.unwrap();
    let names = |keys: Vec<ParkedKey>| {
        keys.iter().map(|key| String::from_utf8_lossy(&key.key).into_owned()).collect::<String>()
    };
    assert_eq!(names(stage.keys(&[]).await), "abcde");
    assert_eq!(names(stage.keys(&[1]).await), "b");
    assert_eq!(names(stage.keys(&[0, 2, 10]).await), "acd");
    assert_eq!(names(stage.keys(&[3]).await), "");
    let mixed = vec![accounts(0), TopicPartition { topic: "orders".into(), partition: 1 }];
    assert_eq!(stage.store.keys(Arc::clone(&stage.group), mixed).await.unwrap().len(), 2);
}

pub(crate) async fn a_request_stays_until_it_is_withdrawn_and_needs_a_key_that_is_parked(stage: &ParkedStage) {
    let id = stage.id(0, b"42");
    assert!(!stage.store.request(id.clone(), Some(ParkRequest::Release)).await.unwrap());
    assert!(stage.keys(&[]).await.is_empty());
    stage.park(0, b"42", 1).await;
    for request in [ParkRequest::Release, ParkRequest::Skip, ParkRequest::Discard, ParkRequest::Discard] {
        assert!(stage.store.request(id.clone(), Some(request)).await.unwrap());
        assert_eq!(stage.keys(&[]).await[0].request, Some(request));
    }
    stage.park(0, b"42", 2).await;
    stage.store.remove(id.clone(), 1).await.unwrap();
    assert_eq!(stage.keys(&[]).await[0].request, Some(ParkRequest::Discard));
    for _ in 0..2 {
        assert!(stage.store.request(id.clone(), None).await.unwrap());
        assert_eq!(stage.keys(&[]).await[0].request, None);
    }
}

pub(crate) async fn keys_that_differ_in_a_byte_are_different_keys(stage: &ParkedStage) {
    let long = vec![b'x'; 5_000];
    let longer = vec![b'x'; 5_001];
    let keys: [&[u8]; 9] = [b"", b"a", b"A", b"a ", b"a\0", "é".as_bytes(), "e\u{301}".as_bytes(), &long, &longer];
    for (offset, key) in (0..).zip(keys) {
        stage.park(0, key, offset).await;
    }
    assert_eq!(stage.keys(&[0]).await.len(), keys.len());
    for (offset, key) in (0..).zip(keys) {
        assert_eq!(stage.offsets(0, key).await, [offset]);
    }
}

pub(crate) async fn many_events_of_a_key_are_counted_read_in_parts_and_discarded(stage: &ParkedStage) {
    const EVENTS: i64 = 1_500;
    let park = async |from: i64| {
        for offset in (from..EVENTS).step_by(10) {
            stage.park(0, b"42", offset).await;
        }
    };
    join_all((0..10).map(park)).await;
    stage.park(0, b"43", 1).await;
    assert_eq!(stage.keys(&[]).await[0].records, EVENTS.unsigned_abs());
    assert_eq!(stage.offsets(0, b"42").await, (0..EVENTS).collect::<Vec<_>>());
    for offset in 0..64 {
        stage.store.remove(stage.id(0, b"42"), offset).await.unwrap();
    }
    let next = stage.store.records(stage.id(0, b"42"), 64).await.unwrap();
    assert_eq!(next.iter().map(|record| record.offset).collect::<Vec<_>>(), (64..128).collect::<Vec<_>>());
    assert!(stage.store.request(stage.id(0, b"42"), Some(ParkRequest::Discard)).await.unwrap());
    stage.store.discard(stage.id(0, b"42")).await.unwrap();
    assert_eq!((stage.keys(&[]).await.len(), stage.offsets(0, b"43").await), (1, vec![1]));
}

pub(crate) async fn calls_at_once_for_many_keys_lose_nothing(stage: &ParkedStage) {
    let names: Vec<_> = (0..30).map(|key| format!("player {key}")).collect();
    let work = |name: &String| {
        let (store, id) = (Arc::clone(&stage.store), stage.id(0, name.as_bytes()));
        let event = |offset| event(0, &id.key, offset);
        let events: Vec<_> = (0..5).map(event).collect();
        async move {
            for event in events {
                store.park(Arc::clone(&id.group), event).await?;
            }
            store.request(id.clone(), Some(ParkRequest::Release)).await?;
            store.remove(id.clone(), 0).await?;
            store.request(id, None).await
        }
    };
    try_join_all(names.iter().map(work)).await.unwrap();
    let keys = stage.keys(&[0]).await;
    assert_eq!(keys.len(), names.len());
    assert!(keys.iter().all(|key| key.records == 4 && key.request.is_none()), "{keys:?}");
}

pub(crate) async fn a_call_that_is_over_is_seen_by_every_other_process(stage: &ParkedStage) {
    for round in 1..=20 {
        stage.park(0, b"42", round).await;
        let keys = stage.elsewhere.keys(Arc::clone(&stage.group), vec![accounts(0)]).await.unwrap();
        assert_eq!(keys[0].records, round.unsigned_abs());
        assert!(stage.elsewhere.request(stage.id(0, b"42"), Some(ParkRequest::Skip)).await.unwrap());
        assert_eq!(stage.keys(&[0]).await[0].request, Some(ParkRequest::Skip));
        assert!(stage.store.request(stage.id(0, b"42"), None).await.unwrap());
    }
    assert!(stage.store.request(stage.id(0, b"42"), Some(ParkRequest::Discard)).await.unwrap());
    stage.store.discard(stage.id(0, b"42")).await.unwrap();
    assert!(stage.elsewhere.keys(Arc::clone(&stage.group), Vec::new()).await.unwrap().is_empty());
    assert!(stage.elsewhere.records(stage.id(0, b"42"), 9).await.unwrap().is_empty());
}
