//! What of the inbox only a server with many connections can show.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidings::database::inbox::Purge;
use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::database::{Database, DatabaseOptions, Inbox, Transaction};
use tidings::dispatch::FromDelivery as _;
use tidings::envelope::header;
use tidings::{ErrorClass, HandlerError, Outcome};
use tokio::sync::{Barrier, Notify};

use crate::on_servers::a_line_that_breaks_after_commit;
use crate::scenarios::inbox::{
    add_effect, assert_class, deliver, deliver_to, delivery, effects, event, is_done, note_in, note_until_done, nth,
    with_effects,
};
use crate::scenarios::stage::{Place, Stage, eventually};

async fn touch(tx: &Transaction, id: &str) -> Result<(), HandlerError> {
    let mut connection = tx.mysql().await?;
    sqlx::query("UPDATE account SET version = version + 1 WHERE id = ?").bind(id).execute(&mut *connection).await?;
    Ok(())
}

fn outcome(result: Result<(), HandlerError>) -> Outcome {
    result.map_or_else(Outcome::from, |()| Outcome::Done)
}

pub(crate) async fn a_deadlock_in_a_handler_is_no_attempt_of_its_event(stage: &Stage) {
    with_effects(stage).await;
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('1', 'one', 1), ('2', 'two', 1)").await;
    let both_hold_one = Barrier::new(2);
    let runs = AtomicU32::new(0);
    let cross = async |stream: &'static str, first: &'static str, second: &'static str| {
        let record = || {
            let mut record = nth(1);
            record.headers.push_str(header::SUBJECT, stream);
            record
        };
        let cross = async || {
            deliver(&stage.database, record(), async |tx| {
                let run = runs.fetch_add(1, Ordering::Relaxed);
                let crossed = async {
                    add_effect(&tx, stream).await?;
                    touch(&tx, first).await?;
                    if run < 2 {
                        both_hold_one.wait().await;
                    }
                    touch(&tx, second).await
                };
                outcome(crossed.await)
            })
            .await
        };
        let first_time = cross().await;
        if is_done(&first_time) {
            return 1;
        }
        assert_class(&first_time, ErrorClass::Unavailable);
        assert!(is_done(&cross().await));
        2
    };
    let tries = tokio::join!(cross("Account/1", "1", "2"), cross("Account/2", "2", "1"));
    assert_eq!(tries.0 + tries.1, 3, "one of them was the victim");
    assert_eq!(effects(stage).await, ["Account/1", "Account/2"]);
    assert_eq!(stage.texts("SELECT CAST(version AS CHAR) FROM account").await, ["3", "3"]);
}

pub(crate) async fn a_lock_that_does_not_come_is_no_attempt_of_its_event(stage: &Stage) {
    with_effects(stage).await;
    let impatient = impatient(stage).await;
    // In the handler's own statement.
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('1', 'one', 1)").await;
    let mut other = stage.database.mysql_pool().unwrap().begin().await.unwrap();
    sqlx::query("UPDATE account SET nickname = 'held'").execute(&mut *other).await.unwrap();
    let waited = deliver(&impatient, nth(1), async |tx| {
        add_effect(&tx, "e1").await.unwrap();
        outcome(touch(&tx, "1").await)
    });
    assert_class(&waited.await, ErrorClass::Unavailable);
    other.rollback().await.unwrap();

    // And in the inbox, for a handler that holds the stream for long.
    let (begun, go_on) = (Notify::new(), Notify::new());
    let first = deliver(&stage.database, nth(1), async |tx| {
        begun.notify_one();
        go_on.notified().await;
        outcome(add_effect(&tx, "e1").await)
    });
    let second = async {
        begun.notified().await;
        let waited = note_in(&impatient, nth(1)).await;
        go_on.notify_one();
        waited
    };
    let (first, second) = tokio::join!(first, second);
    assert!(is_done(&first), "{first:?}");
    assert_class(&second, ErrorClass::Unavailable);
    assert!(is_done(&note_in(&impatient, nth(1)).await));
    assert_eq!(effects(stage).await, ["e1"]);
    impatient.close().await;
}

/// The database through one connection that waits for locks for a second only.
async fn impatient(stage: &Stage) -> Database {
    let database = Database::connect(stage.options.clone().max_connections(1)).await.unwrap();
    let pool = database.mysql_pool().unwrap();
    sqlx::raw_sql("SET SESSION innodb_lock_wait_timeout = 1").execute(pool).await.unwrap();
    database
}

pub(crate) async fn a_commit_that_nobody_knows_of_is_decided_by_the_inbox(stage: &Stage) {
    with_effects(stage).await;
    let Place::Server { url, name } = &stage.place else { return };
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let line = a_line_that_breaks_after_commit(address.to_owned()).await;
    let through_it = format!("{credentials}@{line}/{name}?ssl-mode=disabled");
    let broken = Database::connect(DatabaseOptions::new(through_it)).await.unwrap();
    let unknown = note_in(&broken, nth(1)).await;
    assert_class(&unknown, ErrorClass::Unavailable);
    // The same delivery, tried again: over a line that holds.
    note_until_done(&stage.database, nth(1)).await;
    assert_eq!(effects(stage).await, ["e1"]);
}

pub(crate) async fn a_cancelled_handler_closes_its_connection_and_leaves_nothing(stage: &Stage) {
    with_effects(stage).await;
    let narrow = Database::connect(stage.options.clone().max_connections(1)).await.unwrap();
    let pool = narrow.mysql_pool().unwrap();
    let connection_id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(pool).await.unwrap();
    // The handle is kept by somebody, as by a task that the handler spawned.
    let kept = parking_lot::Mutex::new(None);
    let cancelled = tokio::time::timeout(
        Duration::from_millis(200),
        deliver(&narrow, nth(1), async |tx| {
            *kept.lock() = Some(tx.clone());
            add_effect(&tx, "cancelled").await.unwrap();
            let mut connection = tx.mysql().await.unwrap();
            // The statement is under way when its handler is cancelled, and goes on for long.
            drop(sqlx::raw_sql("SELECT SLEEP(30)").execute(&mut *connection).await);
            Outcome::Done
        }),
    );
    assert!(cancelled.await.is_err());
    // The pool has one connection, and it is not the one that is still busy.
    let next: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(pool).await.unwrap();
    assert_ne!(connection_id, next);
    let kept = kept.lock().take().unwrap();
    assert!(kept.mysql().await.is_err(), "the transaction is over");

    // What it had locked is free once the server has noticed; it would by itself when its statement ends.
    let kill = AssertSqlSafe(format!("KILL {connection_id}"));
    drop(sqlx::raw_sql(kill).execute(stage.database.mysql_pool().unwrap()).await);
    note_until_done(&narrow, nth(1)).await;
    assert_eq!(effects(stage).await, ["e1"]);
    narrow.close().await;
}

pub(crate) async fn a_handler_that_ends_in_order_keeps_its_connection(stage: &Stage) {
    with_effects(stage).await;
    let narrow = Database::connect(stage.options.clone().max_connections(1)).await.unwrap();
    let mut ids = Vec::new();
    for (sequence, fails) in [(1, false), (2, true), (2, false), (2, false)] {
        let failed = |()| if fails { Err(HandlerError::from("not today")) } else { Ok(()) };
        let done = deliver(&narrow, nth(sequence), async |tx| {
            outcome(add_effect(&tx, &format!("e{sequence}")).await.and_then(failed))
        });
        assert_eq!(is_done(&done.await), !fails);
        let id: u64 =
            sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(narrow.mysql_pool().unwrap()).await.unwrap();
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "no connection was closed");
    assert_eq!(effects(stage).await, ["e1", "e2"]);
    narrow.close().await;
}

pub(crate) async fn a_purge_neither_waits_for_a_handler_nor_forgets_its_stream(stage: &Stage) {
    with_effects(stage).await;
    assert!(is_done(&note_in(&stage.database, nth(1)).await));
    assert!(is_done(&note_in(&stage.database, event(0, 0, "single")).await));
    let purge = Purge::default().streams(Duration::ZERO).events(Duration::ZERO);
    let handling = delivery(&stage.database, nth(2));
    let tx = Transaction::from_delivery(&handling).await.unwrap();
    add_effect(&tx, "e2").await.unwrap();
    let purged =
        tokio::time::timeout(Duration::from_secs(20), stage.database.purge_inbox(&purge)).await.unwrap().unwrap();
    assert_eq!((purged.streams, purged.events), (0, 1));
    assert!(is_done(&handling.complete(Outcome::Done).await));
    assert!(is_done(&note_in(&stage.database, nth(2)).await));
    assert_eq!(effects(stage).await, ["e1", "e2", "single"]);
    eventually("the idle stream goes", async || stage.database.purge_inbox(&purge).await.unwrap().streams == 1).await;
}

pub(crate) async fn a_transaction_that_nothing_is_heard_from_is_ended_by_the_server(stage: &Stage) {
    with_effects(stage).await;
    let inbox = Inbox::new(&stage.database, "boards.Board").abandoned_after(Duration::from_secs(1));
    let (begun, taken_over) = (Notify::new(), Notify::new());
    // A machine that stopped in the middle of a handler; this one comes back.
    let silent = deliver_to(inbox, nth(1), async |tx| {
        add_effect(&tx, "silent").await.unwrap();
        begun.notify_one();
        taken_over.notified().await;
        Outcome::Done
    });
    let other = async {
        begun.notified().await;
        note_until_done(&stage.database, nth(1)).await;
        taken_over.notify_one();
    };
    let (silent, ()) = tokio::join!(silent, other);
    assert_class(&silent, ErrorClass::Unavailable);
    assert!(is_done(&note_in(&stage.database, nth(1)).await));
    assert_eq!(effects(stage).await, ["e1"]);
}
