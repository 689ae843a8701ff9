//! Transactions: what is saved and published together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{join_all, try_join};
use tidings::database::{Database, Error, Locking, Transaction, TransactionOptions};
use tidings::publisher::{Acks, DeliveryMode, Publisher, PublisherOptions};
use tokio::sync::Barrier;

use super::account::{Account, AccountMoved, AccountRenamed};
use super::stage::Stage;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("the rules forbid it")]
    Forbidden,
    #[error(transparent)]
    Database(#[from] Error),
    #[error(transparent)]
    Sql(#[from] tidings::database::sqlx::Error),
}

async fn rename(database: &Database, id: &str, nickname: &str) -> Result<Account, Error> {
    database
        .atomically(id, async |tx: Transaction, _: Option<Account>| {
            let account = Account::new(id, nickname);
            tx.save(&account);
            tx.publish(&AccountRenamed::of(&account));
            Ok(account)
        })
        .await
}

pub(crate) async fn a_rolled_back_transaction_publishes_nothing(stage: &Stage) {
    let refused = stage.database.atomically("7", async |tx: Transaction, account: Option<Account>| {
        assert_eq!(account, None);
        let account = Account::new("7", "Kim");
        tx.save(&account);
        tx.publish(&AccountRenamed::of(&account));
        Err::<(), _>(ServiceError::Forbidden)
    });
    assert!(matches!(refused.await, Err(ServiceError::Forbidden)));
    assert_eq!(stage.outbox_rows().await, 0);
    assert_eq!(stage.texts("SELECT id FROM account").await.len(), 0);
    assert_eq!(stage.texts("SELECT stream FROM tidings_stream").await.len(), 0);

    // The control: the same, committed.
    rename(&stage.database, "7", "Kim").await.unwrap();
    assert_eq!(stage.outbox_rows().await, 1);
    assert_eq!(stage.texts("SELECT sequence FROM tidings_outbox").await, ["00000000000000000001"]);
}

pub(crate) async fn sequences_are_gapless_from_the_first_commit_under_eight_writers(stage: &Stage) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let writers = (0..WRITERS).map(|writer| async move {
        for round in 0..EACH {
            let event = AccountRenamed::new("7", &format!("{writer}-{round}"));
            let forbidden = round % 5 == 4;
            let published = stage.database.transaction(async |tx| {
                tx.publish(&event);
                if forbidden { Err(ServiceError::Forbidden) } else { Ok(()) }
            });
            assert_eq!(published.await.is_err(), forbidden);
        }
    });
    join_all(writers).await;

    let expected: Vec<_> = (1..=WRITERS * EACH * 4 / 5).map(|sequence| format!("{sequence:020}")).collect();
    assert_eq!(stage.texts("SELECT sequence FROM tidings_outbox ORDER BY sequence").await, expected);
    assert_eq!(stage.texts("SELECT sequence FROM tidings_outbox ORDER BY id").await, expected);
}

pub(crate) async fn a_conflict_runs_the_closure_again(stage: &Stage) {
    rename(&stage.database, "7", "Kim").await.unwrap();
    let (runs, both_have_read) = (AtomicU32::new(0), Barrier::new(2));
    let append = |letter: &'static str| {
        let (runs, both_have_read) = (&runs, &both_have_read);
        stage.database.atomically("7", async move |tx: Transaction, account: Option<Account>| {
            if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                both_have_read.wait().await;
            }
            let account = account.unwrap();
            let account = Account { nickname: account.nickname + letter, ..account };
            tx.save(&account);
            tx.publish(&AccountRenamed::of(&account));
            Ok::<_, Error>(())
        })
    };
    try_join(append("a"), append("b")).await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3, "one of the two ran again");
    let nickname = stage.texts("SELECT nickname FROM account").await.concat();
    assert!(nickname == "Kimab" || nickname == "Kimba", "{nickname}");
    assert_eq!(stage.outbox_rows().await, 3);
}

pub(crate) async fn two_creators_of_one_entity_both_succeed(stage: &Stage) {
    let both_have_read = Barrier::new(2);
    let runs = AtomicU32::new(0);
    let create = |nickname: &'static str| {
        let (runs, both_have_read) = (&runs, &both_have_read);
        stage.database.atomically("7", async move |tx: Transaction, _: Option<Account>| {
            if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                both_have_read.wait().await;
            }
            tx.save(&Account::new("7", nickname));
            Ok::<_, Error>(())
        })
    };
    try_join(create("Kim"), create("Lou")).await.unwrap();
    assert_eq!(stage.texts("SELECT version FROM account").await.len(), 1);
}

pub(crate) async fn another_unique_key_is_an_error_and_no_endless_conflict(stage: &Stage) {
    rename(&stage.database, "7", "Kim").await.unwrap();
    let error = rename(&stage.database, "8", "Kim").await.unwrap_err();
    assert!(matches!(error, Error::Sql { doing: "saving an entity", .. }), "{error:?}");
    assert_eq!(stage.outbox_rows().await, 1);
}

pub(crate) async fn a_conflict_without_end_is_given_up(stage: &Stage) {
    rename(&stage.database, "7", "Kim").await.unwrap();
    let database = stage.database.clone().with_options(TransactionOptions::default().max_attempts(3));
    let runs = AtomicU32::new(0);
    let result = database.atomically("7", async |tx: Transaction, account: Option<Account>| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        rename(&stage.database, "7", &format!("other-{run}")).await?;
        tx.save(&account.unwrap());
        Ok::<_, Error>(())
    });
    assert!(matches!(result.await, Err(Error::Conflict { attempts: 3, .. })));
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

pub(crate) async fn locking_first_makes_writers_wait_and_not_run_again(stage: &Stage) {
    rename(&stage.database, "7", "Kim").await.unwrap();
    let database = stage.database.clone().with_options(TransactionOptions::default().locking(Locking::ForUpdate));
    let runs = AtomicU32::new(0);
    let append = async || {
        let append = database.atomically("7", async |tx: Transaction, account: Option<Account>| {
            runs.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            let account = account.unwrap();
            tx.save(&Account { nickname: account.nickname + "a", ..account });
            Ok::<_, Error>(())
        });
        append.await.unwrap();
    };
    join_all((0..6).map(|_| append())).await;
    assert_eq!(runs.load(Ordering::Relaxed), 6);
    assert_eq!(stage.texts("SELECT nickname FROM account").await, ["Kimaaaaaa"]);
}

pub(crate) async fn the_callers_own_sql_is_part_of_the_transaction(stage: &Stage) {
    for commit in [false, true] {
        let result = stage.database.transaction(async |tx| {
            own_sql(&tx, "INSERT INTO account (id, nickname, version) VALUES ('9', 'own', 1)").await?;
            tx.publish(&AccountRenamed::new("9", "own"));
            // Read through the same transaction, it is there.
            assert!(tx.load::<Account>("9").await?.is_some());
            if commit { Ok(()) } else { Err(ServiceError::Forbidden) }
        });
        assert_eq!(result.await.is_ok(), commit);
        assert_eq!(stage.texts("SELECT id FROM account").await.len(), usize::from(commit));
        assert_eq!(stage.outbox_rows().await, usize::from(commit));
    }
}

async fn own_sql(tx: &Transaction, sql: &'static str) -> Result<(), ServiceError> {
    use tidings::database::sqlx::raw_sql;
    if tx.database().kind() == "MySQL" {
        #[cfg(feature = "mysql")]
        raw_sql(sql).execute(&mut *tx.mysql().await?).await?;
    } else {
        #[cfg(feature = "sqlite")]
        raw_sql(sql).execute(&mut *tx.sqlite().await?).await?;
    }
    Ok(())
}

pub(crate) async fn a_transaction_ended_from_within_publishes_nothing(stage: &Stage) {
    // More often than there are connections: each is as good as new afterwards.
    for end in ["COMMIT", "ROLLBACK"].repeat(10) {
        let result = stage.database.transaction(async |tx| {
            own_sql(&tx, end).await?;
            tx.publish(&AccountRenamed::new("9", "own"));
            Ok::<_, ServiceError>(())
        });
        let error = result.await.unwrap_err();
        assert!(matches!(error, ServiceError::Database(Error::EndedFromWithin)), "{error:?}");
        assert_eq!(stage.outbox_rows().await, 0);
    }
    let result = stage.database.transaction(async |tx| {
        own_sql(&tx, "COMMIT").await?;
        Err::<(), _>(ServiceError::Forbidden)
    });
    assert!(result.await.is_err());
    rename(&stage.database, "7", "Kim").await.unwrap();
}

pub(crate) async fn a_handle_that_outlives_its_transaction_does_nothing(stage: &Stage) {
    let kept = stage.database.transaction(async |tx| Ok::<_, Error>(tx)).await.unwrap();
    kept.publish(&AccountRenamed::new("9", "late"));
    let error = own_sql(&kept, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, ServiceError::Database(Error::Over)), "{error:?}");
    assert_eq!(stage.outbox_rows().await, 0);
}

pub(crate) async fn many_events_of_several_streams_are_numbered_in_order(stage: &Stage) {
    const EVENTS: usize = 250;
    stage
        .database
        .transaction(async |tx| {
            tx.publish(&AccountRenamed::new("1", "before"));
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    stage
        .database
        .transaction(async |tx| {
            for event in 0..EVENTS {
                tx.publish(&AccountRenamed::new(["3", "1", "2"][event % 3], &event.to_string()));
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    let relay = stage.relay();
    stage.until_published(EVENTS + 1).await;
    relay.shutdown().await.unwrap();
    let mut next = BTreeMap::new();
    for (stream, sequence) in stage.published() {
        let next = next.entry(stream).or_insert(1);
        assert_eq!(sequence, *next);
        *next += 1;
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [1 + 83 + 1, 83 + 1, 84 + 1]);
}

pub(crate) async fn a_stream_keeps_its_mode_its_shard_and_its_key(stage: &Stage) {
    rename(&stage.database, "7", "Kim").await.unwrap();
    let direct = stage.publishing(DeliveryMode::Direct { acks: Acks::All }).await;
    let error = rename(&direct, "7", "Lou").await.unwrap_err();
    assert!(matches!(&error, Error::StreamDisagrees { what: "mode", .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "stream Account/7 has mode 'outbox', and this event says 'direct'; a stream keeps its mode until an operator \
         changes it (`tidings outbox new-epoch --mode`)"
    );
    let moved = stage.database.transaction(async |tx| {
        tx.publish(&AccountMoved { id: "7".into(), nickname: "Kim".into() });
        Ok(())
    });
    assert!(matches!(moved.await, Err(Error::StreamDisagrees { what: "key", .. })));
    let options = stage.options.clone().shard("other");
    let publisher = stage.publisher(DeliveryMode::Outbox).await;
    let other = Database::connect(options).await.unwrap().with_publisher(&publisher);
    assert!(matches!(rename(&other, "7", "Lou").await, Err(Error::StreamDisagrees { what: "shard", .. })));
    assert_eq!(stage.texts("SELECT nickname FROM account").await, ["Kim"], "what was saved is rolled back too");
    assert_eq!(stage.outbox_rows().await, 1);
}

pub(crate) async fn the_direct_mode_sends_after_the_commit(stage: &Stage) {
    let direct = stage.publishing(DeliveryMode::Direct { acks: Acks::All }).await;
    rename(&direct, "7", "Kim").await.unwrap();
    let failed = direct.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("8", "Lou"));
        Err::<(), _>(ServiceError::Forbidden)
    });
    assert!(failed.await.is_err());
    let written = stage.kafka.written();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].headers.get_str("ce_subject"), Some("Account/7"));
    assert_eq!(written[0].headers.get("ce_sequence"), None);
    assert_eq!(stage.outbox_rows().await, 0);
}

pub(crate) async fn an_event_too_large_for_its_topic_is_refused_before_the_commit(stage: &Stage) {
    let direct = stage.publishing(DeliveryMode::Direct { acks: Acks::All }).await;
    for database in [&stage.database, &direct] {
        let result = database.atomically("7", async |tx: Transaction, _: Option<Account>| {
            tx.save(&Account::new("7", "Kim"));
            tx.publish(&AccountRenamed::new("7", &"x".repeat(1_048_600)));
            Ok(())
        });
        let error: Error = result.await.unwrap_err();
        assert!(matches!(error, Error::Publish(tidings::publisher::PublishError::TooLarge { .. })), "{error:?}");
        assert_eq!(stage.texts("SELECT id FROM account").await.len(), 0);
        assert_eq!(stage.texts("SELECT stream FROM tidings_stream").await.len(), 0);
    }
    assert!(stage.kafka.written().is_empty());

    // The topic takes this one, and the event store does not.
    let nearly = || AccountRenamed::new("7", &"x".repeat(1_047_550));
    let stored = stage.publishing(DeliveryMode::Store).await;
    let result = stored.transaction(async |tx| {
        tx.publish(&nearly());
        Ok::<_, Error>(())
    });
    let error = result.await.unwrap_err();
    assert!(matches!(error, Error::Publish(tidings::publisher::PublishError::TooLargeForStore { .. })), "{error:?}");
    assert_eq!(stage.outbox_rows().await, 0);

    // The control: one that just fits.
    let result = stage.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("7", &"x".repeat(1_040_000)));
        Ok::<_, Error>(())
    });
    result.await.unwrap();
    let relay = stage.relay();
    stage.until_published(1).await;
    relay.shutdown().await.unwrap();
}

pub(crate) async fn names_that_do_not_fit_are_refused(stage: &Stage) {
    for (id, reason) in [("x".repeat(300), "308 bytes and 255 fit"), ("7 ".to_owned(), "ends with a space")] {
        let result = stage.database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(&id, "Kim"));
            Ok::<_, Error>(())
        });
        let error = result.await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

pub(crate) async fn any_text_survives_the_outbox(stage: &Stage) {
    let ids = ["it's", "back\\slash", "Zoë 🎮", "a;DROP TABLE account", "\"quoted\"", "tab\tnew\nline", "%_", "''"];
    for id in ids {
        let result = stage.database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(id, id));
            Ok::<_, Error>(())
        });
        result.await.unwrap();
    }
    let relay = stage.relay();
    stage.until_published(ids.len()).await;
    relay.shutdown().await.unwrap();
    let keys: Vec<_> = stage.kafka.written().iter().map(|record| record.key.clone().unwrap()).collect();
    for id in ids {
        assert!(keys.iter().any(|key| key == id.as_bytes()), "{id}");
    }
}

pub(crate) async fn processes_that_migrate_at_once_wait_for_each_other(stage: &Stage) {
    let newest = stage.database.migrate().await.unwrap();
    for table in ["migration", "stream", "outbox", "outbox_parked", "outbox_lease", "outbox_relay"] {
        stage.execute(&format!("DROP TABLE tidings_{table}")).await;
    }
    let error = Database::connect(stage.options.clone()).await.unwrap_err();
    assert!(matches!(error, Error::NotMigrated { found: 0, .. }), "{error:?}");
    assert!(error.to_string().contains("run `tidings migrate`"), "{error}");

    let connected = join_all((0..4).map(|_| Database::connect(stage.options.clone().migrate(true)))).await;
    assert!(connected.iter().all(Result::is_ok), "{connected:?}");
    assert_eq!(stage.texts("SELECT bucket FROM tidings_outbox_lease").await.len(), 256);
    // Once more changes nothing.
    assert_eq!(stage.database.migrate().await.unwrap(), newest);
    rename(&stage.database, "7", "Kim").await.unwrap();
}

pub(crate) async fn a_publisher_records_in_the_outbox(stage: &Stage) {
    let options = PublisherOptions::new("accounts").mode(DeliveryMode::Outbox);
    let publisher = Publisher::builder(options).producer(std::sync::Arc::new(stage.kafka.clone()));
    let publisher = publisher.recorder(std::sync::Arc::new(stage.database.clone())).build().await.unwrap();
    publisher.publish(&AccountRenamed::new("7", "Kim")).await.unwrap();
    let error = publisher.publish(&AccountRenamed::new("7", &"x".repeat(1_048_600))).await.unwrap_err();
    assert!(matches!(error, tidings::publisher::PublishError::TooLarge { .. }), "{error:?}");
    publisher.publish(&AccountRenamed::new("7", "Lou")).await.unwrap();
    assert_eq!(
        stage.texts("SELECT sequence FROM tidings_outbox ORDER BY id").await,
        ["00000000000000000001", "00000000000000000002"]
    );
}
