//! Shards: each key on its own, and moved from one to another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tidings::database::shards::{KeyMove, MoveStep, Placement, Shards};
use tidings::database::sqlx;
use tidings::database::{Error, Inbox, Transaction};
use tidings::outbox::RelayHandle;
use tidings::publisher::DeliveryMode;
use tidings::transport::Record;
use tidings::{ErrorClass, Outcome};

use super::account::{Account, AccountRenamed};
use super::inbox::{assert_class, event, handled_on, is_done, nth};
use super::inbox_batches::{deliver_batch_to, of_stream};
use super::stage::Stage;

/// Two shards: the key `7` lives on the first, all others on the second.
struct Pair {
    first: Stage,
    second: Stage,
}

impl Pair {
    async fn of(stage: &Stage) -> Self {
        Self { first: stage.another_shard("first").await, second: stage.another_shard("second").await }
    }

    fn placement() -> Placement {
        Placement::lookup([("7", "first")]).otherwise("second")
    }

    /// As a process of its own has them.
    async fn shards(&self) -> Shards {
        let databases = [self.first.elsewhere().await, self.second.elsewhere().await];
        let shards = Shards::new(databases, Self::placement()).await.unwrap();
        shards.with_publisher(&self.first.publisher(DeliveryMode::Outbox).await)
    }

    /// Relays that write into one Kafka.
    fn relays(&self) -> [RelayHandle; 2] {
        let kafka = || self.first.kafka.clone();
        [Stage::relay_through(&self.first.database, kafka()), Stage::relay_through(&self.second.database, kafka())]
    }

    async fn clear(self) {
        self.first.clear().await;
        self.second.clear().await;
    }
}

async fn rename(shards: &Shards, id: &str, nickname: &str) -> Result<(), Error> {
    shards
        .atomically(id, async |tx: Transaction, account: Option<Account>| {
            let account = Account { nickname: nickname.to_owned(), ..account.unwrap_or(Account::new(id, "")) };
            tx.save(&account);
            tx.publish(&AccountRenamed::of(&account));
            Ok(())
        })
        .await
}

/// Carry the account.
fn with_account<'a>(key_move: KeyMove<'a>, id: &'static str) -> KeyMove<'a> {
    key_move.carry(async move |from: Transaction, to: Transaction| {
        if let Some(account) = from.load::<Account>(id).await? {
            to.save(&account);
            own_sql(&from, "DELETE FROM account WHERE id = '7'").await?;
        }
        Ok(())
    })
}

async fn own_sql(tx: &Transaction, sql: &'static str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if tx.database().kind() == "MySQL" {
        #[cfg(feature = "mysql")]
        sqlx::raw_sql(sql).execute(&mut *tx.mysql().await?).await?;
    } else {
        #[cfg(feature = "sqlite")]
        sqlx::raw_sql(sql).execute(&mut *tx.sqlite().await?).await?;
    }
    Ok(())
}

const NICKNAMES: &str = "SELECT nickname FROM account ORDER BY id";

pub(crate) async fn each_key_is_written_and_published_on_its_own_shard(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let shards = pair.shards().await;
    rename(&shards, "7", "Kim").await.unwrap();
    rename(&shards, "8", "Lou").await.unwrap();
    assert_eq!(pair.first.texts(NICKNAMES).await, ["Kim"]);
    assert_eq!(pair.second.texts(NICKNAMES).await, ["Lou"]);
    assert_eq!((shards.of("7").unwrap().shard(), shards.of(&8).unwrap().shard()), ("first", "second"));
    assert_eq!(pair.first.texts("SELECT shard FROM tidings_stream").await, ["first"]);
    let relays = pair.relays();
    pair.first.until_published(2).await;
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    pair.clear().await;
}

pub(crate) async fn an_event_of_a_key_that_lives_elsewhere_fails_before_the_commit(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let shards = pair.shards().await;
    let both = shards.transaction("7", async |tx| {
        tx.save(&Account::new("7", "Kim"));
        tx.publish(&AccountRenamed::new("7", "Kim"));
        tx.publish(&AccountRenamed::new("8", "Lou"));
        Ok::<_, Error>(())
    });
    let error = both.await.unwrap_err();
    assert!(matches!(&error, Error::KeyElsewhere { key, .. } if key == "8"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "key 8 does not live on shard 'first': it lives on 'second', or is on its way there; run its transactions there"
    );
    assert_eq!((pair.first.texts(NICKNAMES).await.len(), pair.first.outbox_rows().await), (0, 0));
    // A shard that was asked for by its name knows as well.
    let direct = shards.get("second").unwrap().transaction(async |tx| {
        tx.publish(&AccountRenamed::new("7", "Kim"));
        Ok::<_, Error>(())
    });
    assert!(matches!(direct.await, Err(Error::KeyElsewhere { .. })));
    pair.clear().await;
}

pub(crate) async fn a_database_remembers_how_keys_are_spread(stage: &Stage) {
    let pair = Pair::of(stage).await;
    drop(pair.shards().await);
    let databases = async || [pair.first.elsewhere().await, pair.second.elsewhere().await];
    let error = Shards::new(databases().await, Placement::hash()).await.unwrap_err();
    assert!(matches!(&error, Error::Layout { wanted, .. } if wanted.contains("hash of first, second")), "{error}");
    Shards::accept_layout(databases().await, Placement::hash()).await.unwrap();
    Shards::new(databases().await, Placement::hash()).await.unwrap();
    assert!(matches!(Shards::new(databases().await, Pair::placement()).await, Err(Error::Layout { .. })));
    let twice = [pair.first.elsewhere().await, pair.first.elsewhere().await];
    assert!(matches!(Shards::new(twice, Placement::hash()).await, Err(Error::Shards { .. })));
    pair.clear().await;
}

pub(crate) async fn a_moved_key_goes_on_where_it_was_on_its_new_shard(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let (shards, stale) = (pair.shards().await, pair.shards().await);
    let relays = pair.relays();
    for nickname in ["Kim", "Lou"] {
        rename(&stale, "7", nickname).await.unwrap();
    }
    let moved = with_account(shards.move_key("7", "second").await.unwrap(), "7").run().await.unwrap();
    assert_eq!((moved.streams, moved.inbox), (1, 0));
    assert_eq!(shards.of("7").unwrap().shard(), "second");
    assert_eq!(
        (pair.first.texts(NICKNAMES).await.len(), pair.second.texts(NICKNAMES).await),
        (0, vec!["Lou".to_owned()])
    );

    // A process that has not heard of it finds out, and so does one that knows nothing of shards.
    rename(&stale, "7", "Max").await.unwrap();
    rename(&shards, "7", "Noa").await.unwrap();
    let unaware = pair.first.elsewhere().await.with_publisher(&pair.first.publisher(DeliveryMode::Outbox).await);
    let unaware = unaware.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("7", "Ole"));
        Ok::<_, Error>(())
    });
    assert!(matches!(unaware.await, Err(Error::StreamDisagrees { what: "shard", .. })));

    // Once more is nothing, and there is a way back.
    shards.move_key("7", "second").await.unwrap().run().await.unwrap();
    with_account(shards.move_key("7", "first").await.unwrap(), "7").run().await.unwrap();
    rename(&stale, "7", "Pia").await.unwrap();
    assert_eq!(
        (pair.first.texts(NICKNAMES).await, pair.second.texts(NICKNAMES).await.len()),
        (vec!["Pia".to_owned()], 0)
    );

    pair.first.until_published(5).await;
    let expected: Vec<_> = (1..=5).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
    assert_eq!(pair.first.published(), expected);
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    pair.clear().await;
}

pub(crate) async fn a_move_that_is_killed_after_any_step_goes_on(stage: &Stage) {
    for step in [MoveStep::Announced, MoveStep::Closed, MoveStep::Drained, MoveStep::Carried, MoveStep::Settled] {
        let pair = Pair::of(stage).await;
        let relays = pair.relays();
        let shards = pair.shards().await;
        rename(&shards, "7", "Kim").await.unwrap();
        let interrupted = with_account(shards.move_key("7", "second").await.unwrap(), "7").until(step);
        interrupted.run().await.unwrap();

        // At no time do both take it.
        let mut taken = 0;
        for database in shards.iter() {
            let publish = database.transaction(async |tx| {
                tx.publish(&AccountRenamed::new("7", "probe"));
                Ok::<_, Error>(())
            });
            taken += u64::from(publish.await.is_ok());
        }
        // Where it was, while its move is only announced; from then on nobody who was told of the old home gets through, and the
        // new one is not known to this process before the end.
        assert_eq!(taken, u64::from(matches!(step, MoveStep::Announced | MoveStep::Settled)), "{step:?}");

        // Another process goes on with it.
        let successor = pair.shards().await;
        with_account(successor.move_key("7", "second").await.unwrap(), "7").run().await.unwrap();
        rename(&successor, "7", "Lou").await.unwrap();
        rename(&shards, "7", "Max").await.unwrap();
        let published = 3 + taken;
        pair.first.until_published(usize::try_from(published).unwrap()).await;
        let expected: Vec<_> = (1..=published).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
        assert_eq!(pair.first.published(), expected, "{step:?}");
        assert_eq!(pair.second.texts(NICKNAMES).await, ["Max"], "{step:?}");
        for relay in relays {
            relay.shutdown().await.unwrap();
        }
        pair.clear().await;
    }
}

pub(crate) async fn a_key_whose_events_are_not_published_stays_where_it_is(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let shards = pair.shards().await;
    rename(&shards, "7", "Kim").await.unwrap();
    let error = shards.move_key("7", "second").await.unwrap().wait(Duration::ZERO).run().await.unwrap_err();
    assert!(matches!(error, Error::Unpublished { waiting: 1, parked: 0, .. }), "{error:?}");
    rename(&shards, "7", "Lou").await.unwrap();
    assert_eq!(pair.first.outbox_rows().await, 2);
    // The control: a relay.
    let relays = pair.relays();
    shards.move_key("7", "second").await.unwrap().run().await.unwrap();
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    assert_eq!(pair.first.published().len(), 2);
    pair.clear().await;
}

pub(crate) async fn a_key_that_is_moved_while_many_write_loses_and_reorders_nothing(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let relays = pair.relays();
    let shards = pair.shards().await;
    rename(&shards, "7", "Kim").await.unwrap();
    let moved = AtomicBool::new(false);
    let write = async |writer: usize| {
        let (own, mut written) = (pair.shards().await, 0_u64);
        while !moved.load(Ordering::Relaxed) {
            let event = AccountRenamed::new("7", &format!("{writer}-{written}"));
            let publish = own.transaction("7", async |tx| {
                tx.publish(&event);
                Ok::<_, Error>(())
            });
            match publish.await {
                Ok(()) => written += 1,
                // On a machine that is busy it may be on its way for more than five seconds. Then nothing was written.
                Err(Error::KeyElsewhere { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        written
    };
    let carry = async {
        let other = pair.shards().await;
        for to in ["second", "first", "second"] {
            with_account(other.move_key("7", to).await.unwrap(), "7").run().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        moved.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(join_all((0..4).map(write)), carry);
    let written = 1 + written.into_iter().sum::<u64>();
    pair.first.until_published(usize::try_from(written).unwrap()).await;
    let expected: Vec<_> = (1..=written).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
    assert_eq!(pair.first.published(), expected);
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    pair.clear().await;
}

/// The other mover's transaction on the old shard is gone, as after a freeze that was too long, and it does not know.
pub(crate) async fn a_mover_that_is_overtaken_by_another_puts_no_sequence_back(stage: &Stage) {
    if stage.database.kind() != "MySQL" {
        // One writer at a time: nobody overtakes who has rows of the key in its hands.
        return;
    }
    let pair = Pair::of(stage).await;
    let relays = pair.relays();
    let (shards, other) = (pair.shards().await, pair.shards().await);
    rename(&shards, "7", "Kim").await.unwrap();
    let carried = AtomicBool::new(false);
    let overtaken = shards.move_key("7", "second").await.unwrap().carry(async |from: Transaction, _: Transaction| {
        if !carried.swap(true, Ordering::Relaxed) {
            own_sql(&from, "KILL CONNECTION_ID()").await.unwrap_err();
            with_account(other.move_key("7", "second").await.unwrap(), "7").run().await.unwrap();
            for nickname in ["Lou", "Max"] {
                rename(&other, "7", nickname).await.unwrap();
            }
        }
        Ok(())
    });
    overtaken.run().await.unwrap();
    rename(&shards, "7", "Noa").await.unwrap();
    assert_eq!(
        (pair.first.texts(NICKNAMES).await.len(), pair.second.texts(NICKNAMES).await),
        (0, vec!["Noa".to_owned()])
    );
    pair.first.until_published(4).await;
    let expected: Vec<_> = (1..=4).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
    assert_eq!(pair.first.published(), expected);
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    pair.clear().await;
}

pub(crate) async fn an_announcement_that_comes_too_late_is_taken_back(stage: &Stage) {
    // Too late by all of the move, and by all but its last step.
    for step in [MoveStep::Settled, MoveStep::Carried] {
        let pair = Pair::of(stage).await;
        let relays = pair.relays();
        let shards = pair.shards().await;
        rename(&shards, "7", "Kim").await.unwrap();
        with_account(shards.move_key("7", "second").await.unwrap(), "7").until(step).run().await.unwrap();
        // Of a service that knows no shards.
        let there = pair.second.elsewhere().await.with_publisher(&pair.first.publisher(DeliveryMode::Outbox).await);
        let publish = there.transaction(async |tx| {
            tx.publish(&AccountRenamed::new("7", "Lou"));
            Ok::<_, Error>(())
        });
        publish.await.unwrap();
        pair.second
            .execute("INSERT INTO tidings_moved_key VALUES ('7', 'first', 'arriving', '2026-01-01 00:00:00.000')")
            .await;

        let moved = KeyMove::between(&pair.first.database, &pair.second.database, "7").run().await;
        moved.unwrap();
        rename(&shards, "7", "Max").await.unwrap();
        pair.first.until_published(3).await;
        let expected: Vec<_> = (1..=3).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
        assert_eq!(pair.first.published(), expected, "{step:?}");
        for relay in relays {
            relay.shutdown().await.unwrap();
        }
        pair.clear().await;
    }
}

/// The old shard was closed by a mover whose announcement another one used up, before the key came back.
pub(crate) async fn a_key_that_came_back_and_is_closed_too_late_is_still_moved_with_its_rows(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let relays = pair.relays();
    let shards = pair.shards().await;
    rename(&shards, "7", "Kim").await.unwrap();
    for to in ["second", "first"] {
        with_account(shards.move_key("7", to).await.unwrap(), "7").run().await.unwrap();
        rename(&shards, "7", to).await.unwrap();
    }
    pair.first
        .execute("INSERT INTO tidings_moved_key VALUES ('7', 'second', 'leaving', '2026-01-01 00:00:00.000')")
        .await;
    with_account(shards.move_key("7", "second").await.unwrap(), "7").run().await.unwrap();
    rename(&shards, "7", "Lou").await.unwrap();
    pair.first.until_published(4).await;
    let expected: Vec<_> = (1..=4).map(|sequence| ("Account/7".to_owned(), sequence)).collect();
    assert_eq!(pair.first.published(), expected);
    assert_eq!(pair.second.texts(NICKNAMES).await, ["Lou"]);
    for relay in relays {
        relay.shutdown().await.unwrap();
    }
    pair.clear().await;
}

pub(crate) async fn a_moved_keys_events_are_still_handled_once(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let (shards, stale) = (pair.shards().await, pair.shards().await);
    let handled = async |shards: &Shards, sequence: u64| {
        let inbox = Inbox::on_shards(shards, "boards.Board");
        // An attempt that finds out where the key lives is none of the event's.
        for _ in 0..3 {
            match handled_on(&inbox, nth(sequence)).await {
                (Outcome::Done, shard) => return shard,
                (Outcome::Retry { .. }, _) => {}
                (outcome, _) => panic!("{outcome:?}"),
            }
        }
        panic!("it was not handled");
    };
    assert_eq!(handled(&stale, 1).await.as_deref(), Some("first"));
    assert_eq!(handled(&stale, 2).await.as_deref(), Some("first"));
    Inbox::on_shards(&stale, "boards.Board").pass_over("Board", &nth(3)).await.unwrap();
    let moved = shards.move_key("7", "second").await.unwrap().run().await.unwrap();
    assert_eq!((moved.streams, moved.inbox, moved.holes), (0, 1, 1));
    for shards in [&shards, &stale] {
        assert_eq!(handled(shards, 2).await, None, "a repeat runs no handler");
    }
    assert_eq!(handled(&stale, 4).await.as_deref(), Some("second"));
    // What was passed over on the old shard is handled once on the new one.
    assert_eq!(handled(&shards, 3).await.as_deref(), Some("second"));
    assert_eq!(handled(&shards, 3).await, None);
    pair.clear().await;
}

pub(crate) async fn what_was_passed_over_and_handled_before_a_move_is_not_handled_again(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let shards = pair.shards().await;
    let inbox = Inbox::on_shards(&shards, "boards.Board");
    let handled = async |sequence: u64| {
        let (outcome, shard) = handled_on(&inbox, nth(sequence)).await;
        assert!(is_done(&outcome), "{outcome:?}");
        shard
    };
    assert_eq!(handled(1).await.as_deref(), Some("first"));
    for sequence in [2, 3] {
        inbox.pass_over("Board", &nth(sequence)).await.unwrap();
    }
    assert_eq!(handled(2).await.as_deref(), Some("first"), "it is redriven");
    assert_eq!(handled(2).await, None);
    let moved = shards.move_key("7", "second").await.unwrap().run().await.unwrap();
    assert_eq!((moved.inbox, moved.holes), (1, 1));
    assert_eq!(handled(2).await, None, "a repeat runs no handler");
    assert_eq!(handled(3).await.as_deref(), Some("second"), "it was not redriven yet");
    assert_eq!(handled(3).await, None);
    pair.clear().await;
}

/// No shard knows of which key an id is, so ids stay where they are: `docs/shards.md` says what follows.
pub(crate) async fn an_event_without_a_sequence_that_comes_again_is_handled_once_on_each_shard_its_key_was_on(
    stage: &Stage,
) {
    let pair = Pair::of(stage).await;
    let shards = pair.shards().await;
    let inbox = Inbox::on_shards(&shards, "boards.Board");
    let handled = async || {
        let (outcome, shard) = handled_on(&inbox, event(0, 0, "without")).await;
        assert!(is_done(&outcome), "{outcome:?}");
        shard
    };
    assert_eq!(handled().await.as_deref(), Some("first"));
    assert_eq!(handled().await, None, "a repeat runs no handler");
    for (to, again) in [("second", Some("second")), ("first", None), ("second", None)] {
        shards.move_key("7", to).await.unwrap().run().await.unwrap();
        assert_eq!(handled().await.as_deref(), again, "on {to}");
        assert_eq!(handled().await, None);
    }
    pair.clear().await;
}

pub(crate) async fn a_batch_is_on_one_shard_or_blames_none_of_its_events(stage: &Stage) {
    let pair = Pair::of(stage).await;
    let (shards, stale) = (pair.shards().await, pair.shards().await);
    let handled = async |shards: &Shards, records: &[Record]| {
        let on = std::sync::Mutex::new(None);
        let inbox = Inbox::on_shards(shards, "boards.Board");
        let outcomes = deliver_batch_to(&inbox, records, async |tx, ids| {
            *on.lock().unwrap() = Some(tx.database().shard().to_owned());
            ids.iter().map(|_| Outcome::Done).collect()
        });
        (outcomes.await, on.into_inner().unwrap())
    };
    let of_eight = |sequence| {
        let mut record = of_stream("8", sequence);
        record.key = Some("8".into());
        record
    };

    let (outcomes, shard) = handled(&shards, &[nth(1), nth(2)]).await;
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    assert_eq!(shard.as_deref(), Some("first"));

    // An error that is no `Unavailable` has the engine handle the events of a batch one by one.
    let (outcomes, shard) = handled(&shards, &[nth(3), of_eight(1)]).await;
    for outcome in &outcomes {
        assert_class(outcome, ErrorClass::Retryable);
        assert!(format!("{outcome:?}").contains("on several shards, 'first' and 'second'"), "{outcome:?}");
    }
    assert_eq!(shard, None, "the handler does not run");
    for (record, expected) in [(nth(3), "first"), (of_eight(1), "second")] {
        let (outcomes, shard) = handled(&shards, &[record]).await;
        assert!(outcomes.iter().all(is_done), "{outcomes:?}");
        assert_eq!(shard.as_deref(), Some(expected));
    }

    // A process that has not heard of a move finds out at its commit, and nobody is blamed for it.
    shards.move_key("7", "second").await.unwrap().run().await.unwrap();
    let batch = [nth(4), nth(5)];
    let (outcomes, shard) = handled(&stale, &batch).await;
    for outcome in &outcomes {
        assert_class(outcome, ErrorClass::Unavailable);
    }
    assert_eq!(shard.as_deref(), Some("first"));
    // With one of another key, which lives there as well.
    let (outcomes, shard) = handled(&stale, &[nth(4), of_eight(2), nth(5)]).await;
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    assert_eq!(shard.as_deref(), Some("second"));
    let (outcomes, shard) = handled(&shards, &batch).await;
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
    assert_eq!(shard, None, "repeats run no handler");
    pair.clear().await;
}
