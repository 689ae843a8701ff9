//! What the registry is asked, how often, and what happens while it is away.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::transport::{Headers, Record};

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_away_known_schemas_work_and_unknown_ones_wait() {
    let (stub, codec) = codec();
    let known = framed(&codec).await;
    codec.decode::<UserUpdated>(Some(&known.bytes)).await.unwrap();
    let old = old_payload(&codec).await;
    stub.away.store(true, Ordering::SeqCst);

    assert_eq!(codec.decode::<UserUpdated>(Some(&known.bytes)).await.unwrap(), event());
    assert_eq!(framed(&codec).await.bytes, known.bytes);
    let error = codec.decode::<UserUpdated>(Some(&old.bytes)).await.unwrap_err();
    assert!(error.is_unavailable());
    let error = error.into_handler_error();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(
        error.chain().ends_with("the schema registry at http://stub is away: connection refused"),
        "{}",
        error.chain()
    );
    let error = codec.frame("elsewhere", codec.encode(&event()).unwrap()).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(error.to_string(), "no schema id for elsewhere-accounts.UserUpdated");

    let asked = stub.asked();
    assert!(codec.decode::<UserUpdated>(Some(&old.bytes)).await.is_err());
    assert_eq!(stub.asked(), asked, "the failure holds for a moment");
    stub.away.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(codec.decode::<UserUpdated>(Some(&old.bytes)).await.unwrap(), event());
}

#[tokio::test]
async fn many_who_meet_a_schema_at_once_ask_about_it_once() {
    let (stub, codec) = codec();
    let datum = codec.encode(&event()).unwrap();
    let framed = join_all((0..50).map(|_| codec.frame("accounts", datum.clone()))).await;
    assert_eq!(stub.asked(), 1);
    let payload = framed.into_iter().next().unwrap().unwrap().bytes;
    let decoded = join_all((0..50).map(|_| codec.decode::<UserUpdated>(Some(&payload)))).await;
    assert!(decoded.into_iter().all(|decoded| decoded.is_ok()));
    assert_eq!(stub.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_that_meet_a_schema_at_once_ask_about_it_once_and_share_one_plan() {
    for _ in 0..20 {
        let (stub, codec) = codec();
        let payload = old_payload(&codec).await.bytes;
        let asked = stub.asked();
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let all = (0..8).map(|_| {
            let (codec, payload, start) = (codec.clone(), payload.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                codec.decode::<UserUpdated>(Some(&payload)).await.unwrap()
            })
        });
        assert!(join_all(all).await.into_iter().all(|decoded| decoded.unwrap() == event()));
        assert_eq!(stub.asked() - asked, 1);
    }
}

/// A record with a schema's id in its headers.
fn record(header: &[u8], payload: Option<&[u8]>) -> Record {
    let mut headers = Headers::new();
    headers.push("__value_schema_id", Some(header));
    Record {
        topic: "accounts".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: None,
        payload: payload.map(|payload| payload.to_vec().into()),
        headers,
    }
}

#[tokio::test]
async fn an_id_in_the_headers_goes_before_one_in_the_payload() {
    let (stub, codec) = codec();
    let old = old_payload(&codec).await;
    let (id, datum) = (old.schema_id.to_be_bytes(), &old.bytes[5..]);
    let guid = [&[1][..], Uuid::from_u128(7).as_bytes()].concat();
    for header in [[&[0][..], &id].concat(), guid.clone()] {
        let record = record(&header, Some(datum));
        assert_eq!(codec.decode_record::<UserUpdated>(&record).await.unwrap(), event());
        assert_eq!(codec.decode_record_json(&record).await.unwrap().value["dropped"], "x");
        assert_eq!(&*codec.record_name(&record).await.unwrap(), "accounts.UserUpdated");
        let view = codec.view_record::<UserUpdated>(&record).await.unwrap();
        assert_eq!(view.read::<UserUpdated>().unwrap(), event());
    }
    assert_eq!(stub.asked(), 3, "one registration, one id, one GUID");
    let without = Record { headers: Headers::new(), ..record(&guid, Some(&old.bytes)) };
    assert_eq!(codec.decode_record::<UserUpdated>(&without).await.unwrap(), event());
}

#[tokio::test(start_paused = true)]
async fn guids_are_undecodable_where_nobody_knows_them_and_wait_where_nobody_answers() {
    let (stub, codec) = codec();
    let unknown = [&[1][..], Uuid::from_u128(8).as_bytes()].concat();
    for (record, reason) in [
        (record(&unknown, Some(b"x")), "no schema has the GUID 00000000-0000-0000-0000-000000000008"),
        (record(&[1, 2], Some(b"x")), "`__value_schema_id` holds 1 bytes behind 0x01, and a schema's GUID has 16"),
        (record(&unknown, None), "the record has no payload"),
    ] {
        let error = codec.decode_record::<UserUpdated>(&record).await.unwrap_err().into_handler_error();
        assert_eq!(error.class(), ErrorClass::Undecodable);
        assert!(error.chain().ends_with(reason), "{}", error.chain());
    }
    let error = Codec::local().decode_record::<UserUpdated>(&record(&unknown, Some(b"x"))).await.unwrap_err();
    let error = error.into_handler_error();
    assert_eq!(error.class(), ErrorClass::Undecodable);
    assert!(error.chain().contains("cannot look up the GUID"), "{}", error.chain());
    stub.away.store(true, Ordering::SeqCst);
    let known = [&[1][..], Uuid::from_u128(7).as_bytes()].concat();
    assert!(codec.decode_record::<UserUpdated>(&record(&known, Some(b"x"))).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn what_is_known_is_ready_at_once() {
    let (_, codec) = codec();
    let payload = framed(&codec).await.bytes;
    codec.decode::<UserUpdated>(Some(&payload)).await.unwrap();
    assert!(codec.decode::<UserUpdated>(Some(&payload)).now_or_never().is_some());
    assert!(codec.frame("accounts", codec.encode(&event()).unwrap()).now_or_never().is_some());
}

#[tokio::test]
async fn the_same_schema_on_two_topics_has_two_subjects() {
    let (stub, codec) = codec();
    for topic in ["accounts", "other", "accounts", "other"] {
        codec.frame(topic, codec.encode(&event()).unwrap()).await.unwrap();
    }
    assert_eq!(stub.asked(), 2);
    assert!(stub.latest("other-accounts.UserUpdated").await.is_ok());
}
