//! Streams that change the way their events go.

use tidings::database::{Database, Error};
use tidings::outbox::{Streams, change_mode, check_mode_change, count_streams, raise_epochs};
use tidings::publisher::DeliveryMode;
use tidings::transport::Acks;

use super::account::AccountRenamed;
use super::stage::{Stage, place};

const DIRECT: DeliveryMode = DeliveryMode::Direct { acks: Acks::All };

pub(crate) async fn publish(database: &Database, id: &str) -> Result<(), Error> {
    let publish = database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new(id, "Kim"));
        Ok::<_, Error>(())
    });
    publish.await
}

/// What is asked of them, and which of it is answered with an error about `Account/1`.
async fn refused(database: &Database, streams: &Streams, mode: DeliveryMode) -> (u64, u64, u64, String) {
    let checked = check_mode_change(database, streams, mode).await.unwrap_err();
    let changed = change_mode(database, streams, mode, None).await.unwrap_err();
    assert_eq!(checked.to_string(), changed.to_string());
    let message = changed.to_string();
    match changed {
        Error::StreamUnpublished { waiting, parked, streams, .. } => (waiting, parked, streams, message),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_stream_changes_its_mode_with_a_new_epoch_once_all_of_it_is_published(stage: &Stage) {
    let direct = stage.publishing(DIRECT).await;
    for id in ["1", "1", "2", "3"] {
        publish(&stage.database, id).await.unwrap();
    }
    // A new epoch alone is no other mode.
    raise_epochs(&stage.database, &Streams::Named(vec!["Account/3".to_owned()]), Some(2)).await.unwrap();
    for id in ["1", "3"] {
        let error = publish(&direct, id).await.unwrap_err();
        assert!(matches!(&error, Error::StreamDisagrees { what: "mode", .. }), "{error:?}");
    }
    stage.execute("UPDATE tidings_outbox SET occurred_at = 'yesterday' WHERE stream = 'Account/2'").await;
    let found = refused(&stage.database, &Streams::All, DIRECT).await;
    assert_eq!((found.0, found.1, found.2), (2, 0, 3));
    let says = "stream Account/1 keeps its mode 'outbox': 2 of its events are still in the outbox and 0 are parked, and so it is with \
                2 other streams; see that a relay runs";
    assert!(found.3.starts_with(says), "{}", found.3);
    let relay = stage.relay();
    stage.until_empty().await;
    let two = Streams::Prefixed("Account/2".to_owned());
    let found = refused(&stage.database, &two, DIRECT).await;
    assert_eq!((found.0, found.1, found.2), (0, 1, 1), "{}", found.3);
    let rows =
        async || stage.texts("SELECT CONCAT(stream, ' ', mode, ' ', epoch) FROM tidings_stream ORDER BY 1").await;
    assert_eq!(rows().await, ["Account/1 outbox 0", "Account/2 outbox 0", "Account/3 outbox 2"], "nothing is changed");

    let others = Streams::Named(vec!["Account/1".to_owned(), "Account/3".to_owned()]);
    assert_eq!(count_streams(&stage.database, &others).await.unwrap(), 2);
    assert_eq!(change_mode(&stage.database, &others, DIRECT, Some(5)).await.unwrap(), 2);
    assert_eq!(rows().await, ["Account/1 direct 5", "Account/2 outbox 0", "Account/3 direct 5"]);
    publish(&direct, "1").await.unwrap();
    let error = publish(&stage.database, "1").await.unwrap_err();
    assert!(matches!(&error, Error::StreamDisagrees { what: "mode", .. }), "{error:?}");
    // And back.
    assert_eq!(change_mode(&stage.database, &others, DeliveryMode::Outbox, None).await.unwrap(), 2);
    publish(&stage.database, "1").await.unwrap();
    stage.until_published(5).await;
    relay.shutdown().await.unwrap();
    let written = stage.kafka.written();
    let of_one: Vec<_> = written.iter().filter(|record| record.key.as_deref() == Some(&b"1"[..])).map(place).collect();
    assert!(matches!(of_one[..], [(0, Some(1)), (0, Some(2)), (0, None), (1_700_000_000.., Some(1))]), "{of_one:?}");
}

pub(crate) async fn a_mode_is_not_changed_under_an_event_that_is_on_its_way(stage: &Stage) {
    for round in 0..40 {
        let id = round.to_string();
        let streams = Streams::Named(vec![format!("Account/{id}")]);
        publish(&stage.database, &id).await.unwrap();
        // As a relay does that has published it. From here on none runs: what is committed stays.
        stage.execute("DELETE FROM tidings_outbox").await;
        let write = || publish(&stage.database, &id);
        let change = change_mode(&stage.database, &streams, DIRECT, None);
        let (first, changed, second) = tokio::join!(write(), change, write());
        let mut committed = 0;
        for written in [first, second] {
            match written {
                Ok(()) => committed += 1,
                Err(Error::StreamDisagrees { what: "mode", .. }) => assert!(changed.is_ok(), "round {round}"),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(stage.outbox_rows().await, committed, "round {round}");
        match changed {
            Ok(streams) => assert_eq!((streams, committed), (1, 0), "round {round}"),
            Err(Error::StreamUnpublished { waiting, .. }) => assert!((1..=2).contains(&waiting) && committed == 2),
            Err(error) => panic!("{error:?}"),
        }
    }
}
