//! The inbox: handlers whose effects happen once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidings::database::inbox::Purge;
use tidings::database::sqlx;
use tidings::database::{Database, Inbox, Transaction};
use tidings::dispatch::{Delivery, DeliveryContext, DeliveryParts, Extensions, FromDelivery};
use tidings::envelope::header;
use tidings::schema::Codec;
use tidings::transport::{Headers, Record};
use tidings::{ErrorClass, HandlerError, Outcome};
use tokio::sync::Notify;

use super::account::{Account, AccountRenamed};
use super::stage::Stage;

pub(crate) const GROUP: &str = "boards.Board";
const DISPATCHER: &str = "Board";
const EFFECTS: &str = "CREATE TABLE effect (event VARCHAR(64) NOT NULL)";
const ADD_EFFECT: &str = "INSERT INTO effect (event) VALUES (?)";

/// A record of the stream `Account/7`, or of none where it has no sequence.
pub(crate) fn event(epoch: u32, sequence: u64, event_id: &str) -> Record {
    let mut headers = Headers::new();
    headers.push_str(header::ID, event_id);
    headers.push_str(header::SOURCE, "/accounts");
    headers.push_str(header::SUBJECT, "Account/7");
    if sequence > 0 {
        headers.push_str(header::SEQUENCE, &format!("{sequence:020}"));
    }
    if epoch > 0 {
        headers.push_str(header::STREAM_EPOCH, &epoch.to_string());
    }
    Record {
        topic: "accounts".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: Some(0),
        key: Some("7".into()),
        payload: Some("{}".into()),
        headers,
    }
}

pub(crate) fn nth(sequence: u64) -> Record {
    event(0, sequence, &format!("e{sequence}"))
}

pub(crate) fn delivery(database: &Database, record: Record) -> Delivery {
    delivery_to(Inbox::new(database, GROUP), record)
}

pub(crate) fn delivery_to(inbox: Inbox, record: Record) -> Delivery {
    let mut extensions = Extensions::new();
    extensions.insert(Arc::new(inbox));
    Delivery::new(DeliveryParts {
        record,
        context: Arc::new(DeliveryContext { codec: Codec::default(), extensions, group: GROUP.into() }),
        handler: "Board::on_renamed",
        attempt: 1,
    })
}

/// Deliver `record` to `handler` as a consumer would.
pub(crate) async fn deliver<F>(database: &Database, record: Record, handler: impl Fn(Transaction) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    deliver_to(Inbox::new(database, GROUP), record, handler).await
}

pub(crate) async fn deliver_to<F>(inbox: Inbox, record: Record, handler: impl Fn(Transaction) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    let delivery = delivery_to(inbox, record);
    let outcome = match Transaction::from_delivery(&delivery).await {
        Ok(tx) => handler(tx).await,
        Err(error) => error.into(),
    };
    delivery.complete(outcome).await
}

/// Deliver `record` to a handler that does nothing; what came of it, and the shard the handler ran on, if it did.
pub(crate) async fn handled_on(inbox: &Inbox, record: Record) -> (Outcome, Option<String>) {
    let shard = std::sync::Mutex::new(None);
    let outcome = deliver_to(inbox.clone(), record, async |tx: Transaction| {
        *shard.lock().unwrap() = Some(tx.database().shard().to_owned());
        Outcome::Done
    });
    let outcome = outcome.await;
    (outcome, shard.into_inner().unwrap())
}

/// Write down in the transaction that an event took effect.
pub(crate) async fn add_effect(tx: &Transaction, event: &str) -> Result<(), HandlerError> {
    if tx.database().kind() == "MySQL" {
        #[cfg(feature = "mysql")]
        sqlx::query(ADD_EFFECT).bind(event).execute(&mut *tx.mysql().await?).await?;
    } else {
        #[cfg(feature = "sqlite")]
        sqlx::query(ADD_EFFECT).bind(event).execute(&mut *tx.sqlite().await?).await?;
    }
    Ok(())
}

/// Deliver `record` to a handler that writes it down.
pub(crate) async fn note(stage: &Stage, record: Record) -> Outcome {
    note_in(&stage.database, record).await
}

pub(crate) async fn note_in(database: &Database, record: Record) -> Outcome {
    let id = record.headers.get_str(header::ID).unwrap().to_owned();
    deliver(database, record, async |tx| match add_effect(&tx, &id).await {
        Ok(()) => Outcome::Done,
        Err(error) => error.into(),
    })
    .await
}

/// As [`note_in`], tried again while another transaction is in the way.
pub(crate) async fn note_until_done(database: &Database, record: Record) {
    loop {
        let outcome = note_in(database, record.clone()).await;
        if is_done(&outcome) {
            return;
        }
        assert_class(&outcome, ErrorClass::Unavailable);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn effects(stage: &Stage) -> Vec<String> {
    stage.texts("SELECT event FROM effect ORDER BY event").await
}

pub(crate) async fn with_effects(stage: &Stage) {
    stage.execute(EFFECTS).await;
}

pub(crate) fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done)
}

#[track_caller]
pub(crate) fn assert_class(outcome: &Outcome, class: ErrorClass) {
    assert!(matches!(outcome, Outcome::Retry { error, .. } if error.class() == class), "{outcome:?} is not {class:?}");
}

async fn pass_over(stage: &Stage, record: &Record) {
    Inbox::new(&stage.database, GROUP).pass_over(DISPATCHER, record).await.unwrap();
}

async fn holes(stage: &Stage) -> usize {
    stage.texts("SELECT event_id FROM tidings_inbox_hole").await.len()
}

pub(crate) async fn an_event_that_is_delivered_again_takes_effect_once(stage: &Stage) {
    with_effects(stage).await;
    let runs = AtomicU32::new(0);
    for _ in 0..3 {
        let outcome = deliver(&stage.database, nth(1), async |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            let account: Option<Account> = tx.load("7").await.unwrap();
            assert_eq!(account, None);
            let account = Account::new("7", "Kim");
            tx.save(&account);
            tx.publish(&AccountRenamed::of(&account));
            add_effect(&tx, "e1").await.unwrap();
            Outcome::Done
        });
        assert!(is_done(&outcome.await));
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1, "the handler did not even run again");
    assert_eq!(effects(stage).await, ["e1"]);
    assert_eq!(stage.texts("SELECT id FROM account").await, ["7"]);
    assert_eq!(stage.outbox_rows().await, 1);
    assert_eq!(stage.texts("SELECT stream FROM tidings_inbox").await, ["Account/7"]);

    // The control: the same effect in transactions of its own happens every time.
    for _ in 0..3 {
        let added = stage.database.transaction(async |tx| {
            add_effect(&tx, "control").await.unwrap();
            Ok::<_, tidings::database::Error>(())
        });
        added.await.unwrap();
    }
    assert_eq!(effects(stage).await, ["control", "control", "control", "e1"]);
}

pub(crate) async fn a_handler_that_fails_leaves_nothing_behind(stage: &Stage) {
    with_effects(stage).await;
    for outcome in [
        || Outcome::from(HandlerError::from("not today")),
        || Outcome::from(HandlerError::from("never").terminal()),
        || Outcome::dead_letter("no use"),
    ] {
        let failed = deliver(&stage.database, nth(1), async |tx| {
            add_effect(&tx, "e1").await.unwrap();
            tx.publish(&AccountRenamed::new("7", "Kim"));
            outcome()
        });
        assert_eq!(format!("{:?}", failed.await), format!("{:?}", outcome()));
    }
    assert_eq!(effects(stage).await.len() + stage.outbox_rows().await, 0);
    assert_eq!(stage.texts("SELECT stream FROM tidings_inbox").await.len(), 0);
    assert!(is_done(&note(stage, nth(1)).await));
    assert_eq!(effects(stage).await, ["e1"]);
}

pub(crate) async fn what_filters_leave_out_is_not_waited_for(stage: &Stage) {
    with_effects(stage).await;
    for sequence in [2, 5, 9, 7, 5, 2, 9] {
        assert!(is_done(&note(stage, nth(sequence)).await));
    }
    assert_eq!(effects(stage).await, ["e2", "e5", "e9"]);
}

pub(crate) async fn streams_dispatchers_groups_and_sources_are_apart(stage: &Stage) {
    with_effects(stage).await;
    assert!(is_done(&note(stage, nth(1)).await));
    let with = |name: &str, value: &str| {
        let mut record = nth(1);
        record.headers.push_str(name, value);
        record
    };
    assert!(is_done(&note(stage, with(header::SUBJECT, "Account/8")).await));
    assert!(is_done(&note(stage, with(header::SOURCE, "/staging.accounts")).await));
    assert_eq!(effects(stage).await.len(), 3);
    // Names that no column takes can never be handled once.
    let outcome = note(stage, with(header::SUBJECT, &"x".repeat(300))).await;
    assert_class(&outcome, ErrorClass::Terminal);
    assert_eq!(effects(stage).await.len(), 3);
}

pub(crate) async fn a_dead_letter_is_handled_once_when_it_is_redriven(stage: &Stage) {
    with_effects(stage).await;
    assert!(is_done(&note(stage, nth(4)).await));
    pass_over(stage, &nth(5)).await;
    // Writing it down may be tried again.
    pass_over(stage, &nth(5)).await;
    assert!(is_done(&note(stage, nth(6)).await));
    assert_eq!((effects(stage).await, holes(stage).await), (vec!["e4".to_owned(), "e6".to_owned()], 1));

    // Its transaction failed: it is still to be handled.
    let failed = deliver(&stage.database, nth(5), async |_| HandlerError::from("not yet").into()).await;
    assert_class(&failed, ErrorClass::Retryable);
    for _ in 0..3 {
        assert!(is_done(&note(stage, nth(5)).await));
    }
    assert_eq!((effects(stage).await, holes(stage).await), (vec!["e4".into(), "e5".into(), "e6".into()], 0));
    // And the stream is where it was.
    assert!(is_done(&note(stage, nth(6)).await));
    assert_eq!(effects(stage).await.len(), 3);
}

pub(crate) async fn the_latest_event_is_handled_when_it_comes_again_after_it_was_passed_over(stage: &Stage) {
    with_effects(stage).await;
    // The offset had not moved when the process died.
    pass_over(stage, &nth(5)).await;
    for _ in 0..2 {
        assert!(is_done(&note(stage, nth(5)).await));
    }
    // Its dead letter, redriven.
    assert!(is_done(&note(stage, nth(5)).await));
    assert_eq!((effects(stage).await, holes(stage).await), (vec!["e5".to_owned()], 0));
}

pub(crate) async fn what_was_handled_is_not_passed_over(stage: &Stage) {
    with_effects(stage).await;
    for sequence in [5, 6] {
        assert!(is_done(&note(stage, nth(sequence)).await));
    }
    // Somebody who lost the partition believes that these failed.
    pass_over(stage, &nth(5)).await;
    pass_over(stage, &nth(6)).await;
    for sequence in [5, 6] {
        assert!(is_done(&note(stage, nth(sequence)).await));
    }
    assert_eq!((effects(stage).await, holes(stage).await), (vec!["e5".into(), "e6".into()], 0));
}

pub(crate) async fn a_fork_is_never_dropped(stage: &Stage) {
    with_effects(stage).await;
    assert!(is_done(&note(stage, event(0, 5, "one")).await));
    let outcome = note(stage, event(0, 5, "another")).await;
    assert_class(&outcome, ErrorClass::Forked);
    assert_eq!(effects(stage).await, ["one"]);

    // It is parked, or becomes a dead letter; whoever releases or redrives it means it.
    pass_over(stage, &event(0, 5, "another")).await;
    for _ in 0..2 {
        assert!(is_done(&note(stage, event(0, 5, "one")).await), "the first is a repeat, whatever became of the other");
    }
    assert!(is_done(&note(stage, event(0, 5, "another")).await));
    assert_eq!((effects(stage).await, holes(stage).await), (vec!["another".into(), "one".into()], 0));
}

pub(crate) async fn a_higher_epoch_begins_anew_and_a_lower_one_is_over(stage: &Stage) {
    with_effects(stage).await;
    pass_over(stage, &event(0, 8, "given up")).await;
    for (epoch, sequence, id) in [
        (0, 9, "old"),
        (1, 1, "new"),
        (0, 10, "late"),
        (1, 1, "new"),
        (1, 2, "next"),
        (0, 8, "given up"),
        (0, 8, "given up"),
    ] {
        assert!(is_done(&note(stage, event(epoch, sequence, id)).await));
    }
    assert_eq!(effects(stage).await, ["given up", "new", "next", "old"]);
}

pub(crate) async fn an_event_without_a_sequence_is_remembered_by_its_id_for_a_while(stage: &Stage) {
    with_effects(stage).await;
    let failed = deliver(&stage.database, event(0, 0, "a"), async |_| HandlerError::from("not yet").into()).await;
    assert_class(&failed, ErrorClass::Retryable);
    for id in ["a", "b", "a", "b"] {
        assert!(is_done(&note(stage, event(0, 0, id)).await));
    }
    assert_eq!(effects(stage).await, ["a", "b"]);
    let week = Purge::default().events(Duration::from_hours(7 * 24));
    assert_eq!(stage.database.purge_inbox(&week).await.unwrap().events, 0);

    // Its time is over: the same id may come again.
    let others = Purge::default().group("others").events(Duration::ZERO);
    assert_eq!(stage.database.purge_inbox(&others).await.unwrap().events, 0);
    let all = Purge::default().group(GROUP).events(Duration::ZERO);
    assert_eq!(stage.database.purge_inbox(&all).await.unwrap().events, 2);
    assert!(is_done(&note(stage, event(0, 0, "a")).await));
    assert_eq!(effects(stage).await, ["a", "a", "b"]);
}

pub(crate) async fn idle_streams_and_old_holes_are_purged_when_that_is_asked_for(stage: &Stage) {
    with_effects(stage).await;
    let inbox = Inbox::new(&stage.database, GROUP);
    let mut values = Vec::new();
    for stream in 0..2_500 {
        let handled = if stream % 5 == 0 { "2999-01-01 00:00:00" } else { "2001-01-01 00:00:00" };
        values.push(format!("('{GROUP}', '{DISPATCHER}', 'accounts', 'Account/{stream:04}', 0, 1, 'e', '{handled}')"));
    }
    let insert =
        "INSERT INTO tidings_inbox (consumer_group, dispatcher, source, stream, epoch, sequence, event_id, handled_at)";
    stage.execute(&format!("{insert} VALUES {}", values.join(","))).await;
    inbox.pass_over(DISPATCHER, &nth(5)).await.unwrap();

    let nothing = stage.database.purge_inbox(&Purge::default()).await.unwrap();
    assert_eq!((nothing.events, nothing.streams, nothing.passed_over), (0, 0, 0));
    let purge = Purge::default().streams(Duration::from_hours(24)).passed_over(Duration::from_hours(24));
    let purged = stage.database.purge_inbox(&purge).await.unwrap();
    assert_eq!((purged.streams, purged.passed_over), (2_000, 0));
    assert_eq!(stage.texts("SELECT stream FROM tidings_inbox").await.len(), 501);
    let all = Purge::default().passed_over(Duration::ZERO);
    assert_eq!(stage.database.purge_inbox(&all).await.unwrap().passed_over, 1);
}

/// One of two processes has lost its partition and does not know it yet.
pub(crate) async fn two_processes_do_not_handle_one_stream_at_once(stage: &Stage) {
    with_effects(stage).await;
    let elsewhere = stage.elsewhere().await;
    // The stream is new at first, and known then.
    for sequence in [1, 2] {
        let (begun, go_on) = (Notify::new(), Notify::new());
        let first = deliver(&stage.database, nth(sequence), async |tx| {
            add_effect(&tx, &format!("e{sequence}")).await.unwrap();
            begun.notify_one();
            go_on.notified().await;
            Outcome::Done
        });
        let second = async {
            begun.notified().await;
            let mut second = Box::pin(note_until_done(&elsewhere, nth(sequence)));
            let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
            assert!(waited.is_err(), "it has to wait for the first");
            go_on.notify_one();
            second.await;
        };
        let (first, ()) = tokio::join!(first, second);
        assert!(is_done(&first), "{first:?}");
    }
    assert_eq!(effects(stage).await, ["e1", "e2"]);

    // The first one fails: then it is the other's.
    let (begun, go_on) = (Notify::new(), Notify::new());
    let first = deliver(&stage.database, nth(3), async |_| {
        begun.notify_one();
        go_on.notified().await;
        HandlerError::from("cancelled, say").into()
    });
    let second = async {
        begun.notified().await;
        go_on.notify_one();
        note_until_done(&elsewhere, nth(3)).await;
    };
    let (first, ()) = tokio::join!(first, second);
    assert_class(&first, ErrorClass::Retryable);
    assert_eq!(effects(stage).await, ["e1", "e2", "e3"]);
    elsewhere.close().await;
}

pub(crate) async fn extractors_of_one_handler_share_its_transaction(stage: &Stage) {
    with_effects(stage).await;
    let delivery = delivery(&stage.database, nth(1));
    let (first, second) =
        (Transaction::from_delivery(&delivery).await.unwrap(), Transaction::from_delivery(&delivery).await.unwrap());
    add_effect(&first, "e1").await.unwrap();
    add_effect(&second, "e2").await.unwrap();
    assert!(is_done(&delivery.complete(Outcome::Done).await));
    assert_eq!(effects(stage).await, ["e1", "e2"]);
    // What outlives the handler does nothing.
    assert!(add_effect(&first, "e3").await.is_err());
    assert_eq!(effects(stage).await, ["e1", "e2"]);
}

pub(crate) async fn a_save_that_was_overtaken_has_the_event_delivered_again(stage: &Stage) {
    with_effects(stage).await;
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('7', 'Kim', 1)").await;
    let rename = async |overtake: bool| {
        deliver(&stage.database, nth(1), async |tx| {
            let account: Account = tx.load("7").await.unwrap().unwrap();
            if overtake {
                let newer = "UPDATE account SET nickname = 'Lou', version = version + 1 WHERE id = '7'";
                overtaking(&tx, newer).await;
            }
            tx.save(&Account { nickname: account.nickname + "!", ..account });
            Outcome::Done
        })
        .await
    };
    assert_class(&rename(true).await, ErrorClass::Retryable);
    assert!(is_done(&rename(false).await));
    assert_eq!(stage.texts("SELECT nickname FROM account").await, ["Kim!"]);
}

/// Change an account's version behind the back of the framework. In the same transaction: SQLite has but one writer.
async fn overtaking(tx: &Transaction, sql: &'static str) {
    if tx.database().kind() == "MySQL" {
        #[cfg(feature = "mysql")]
        sqlx::query(sql).execute(&mut *tx.mysql().await.unwrap()).await.unwrap();
    } else {
        #[cfg(feature = "sqlite")]
        sqlx::query(sql).execute(&mut *tx.sqlite().await.unwrap()).await.unwrap();
    }
}

/// Several processes, many streams, everything delivered several times over and in parallel.
pub(crate) async fn many_deliveries_of_many_events_take_effect_once_each(stage: &Stage) {
    const STREAMS: u64 = 6;
    const EVENTS: u64 = 8;
    with_effects(stage).await;
    let elsewhere = stage.elsewhere().await;
    let members = [&stage.database, &elsewhere, &stage.database].into_iter().map(|database| async move {
        let streams = (0..STREAMS).map(|stream| async move {
            for sequence in 1..=EVENTS {
                let mut record = event(0, sequence, &format!("{stream}-{sequence}"));
                record.headers.push_str(header::SUBJECT, &format!("Account/{stream}"));
                note_until_done(database, record).await;
            }
        });
        futures_util::future::join_all(streams).await;
    });
    futures_util::future::join_all(members).await;
    let mut expected: Vec<_> =
        (0..STREAMS).flat_map(|stream| (1..=EVENTS).map(move |sequence| format!("{stream}-{sequence}"))).collect();
    expected.sort();
    assert_eq!(effects(stage).await, expected);
    elsewhere.close().await;
}
