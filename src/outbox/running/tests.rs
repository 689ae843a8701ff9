//! Leases, holds and what a read shows, one step at a time.

use super::silence::sooner;
use super::*;
use crate::database::DatabaseOptions;
use crate::outbox::lease::Leases;
use crate::outbox::row::OutboxRow;
use crate::transport::memory::MemoryProducer;

async fn running() -> Running {
    let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
    let database = Database::connect(options).await.unwrap();
    let producers = || -> Arc<dyn Producer> { Arc::new(MemoryProducer::new(1)) };
    Running::new(database, Arc::new(producers), RelayOptions::default(), None)
}

/// The leases are renewed, as if it ought to own this many.
async fn renew(running: &mut Running, share: usize) {
    running.start_renewing(running.renew_at);
    let renewal = running.renewing.take().unwrap().await;
    running.renewed(Renewal { leases: renewal.leases.map(|leases| Leases { share, ..leases }), ..renewal });
}

#[tokio::test]
async fn what_follows_events_that_were_let_go_of_waits_until_they_are_read_again() {
    let mut running = running().await;
    renew(&mut running, 256).await;
    let row = |sequence| OutboxRow::example(sequence, "Account/42", sequence);
    let first = running.order.admit(vec![row(1), row(2)]).publish;
    running.pipeline.push(first);
    let fetch = Fetch { buckets: running.owned, except: vec![1, 2], ..Fetch::default() };
    // While it reads, the bucket was to be given up, and then it was not.
    renew(&mut running, 0).await;
    renew(&mut running, 256).await;
    assert_eq!(running.pipeline.rows(), 0);
    running.fetched((fetch, true, Ok(Snapshot { rows: vec![row(3)], truncated: false })));
    assert!(!running.pipeline.knows(row(3).id), "two events before it are not published");
}

#[tokio::test]
async fn a_hold_ends_when_a_read_of_everything_shows_nothing_that_goes_there() {
    let mut running = running().await;
    renew(&mut running, 256).await;
    let row = OutboxRow::example(1, "Account/42", 1);
    running.held.hold(row.destination(), "missing".to_owned(), Instant::now());
    let fetch = || Fetch { buckets: (0..=255).collect(), ..Fetch::default() };
    running.choose_left_out(Instant::now());
    running.fetched((fetch(), true, Ok(Snapshot::default())));
    assert!(!running.held.is_empty(), "this read left it out");

    let due = Instant::now() + Duration::from_secs(2);
    running.choose_left_out(due);
    running.fetched((fetch(), true, Ok(Snapshot { rows: vec![row], truncated: false })));
    assert!(!running.held.is_empty(), "there is one to be tried");
    running.pipeline.abandon();
    running.choose_left_out(due);
    running.fetched((fetch(), true, Ok(Snapshot::default())));
    assert!(running.held.is_empty());
}

#[tokio::test]
async fn buckets_of_which_nobody_can_tell_whether_they_were_given_up_are_not_worked_on() {
    let mut running = running().await;
    running.start_renewing(Instant::now());
    let renewed = running.renewing.take().unwrap().await;
    running.renewed(renewed);
    let (given_up, kept) = ((0..8).collect::<BucketSet>(), (8..=255).collect());
    running.leaving = given_up;
    // It was done, and the answer was lost; somebody else takes them.
    running.table.release(&running.member.owner, &running.epochs, given_up).await.unwrap();
    running.released((given_up, Err(sqlx::Error::PoolTimedOut)));
    assert_eq!((running.owned, running.readable(), running.leaving), (kept, kept, BucketSet::EMPTY));
    assert!(running.renew_at <= Instant::now(), "it asks at once");
}

#[tokio::test]
async fn buckets_that_were_not_given_up_after_all_are_found_again_by_the_next_renewal() {
    let mut running = running().await;
    renew(&mut running, 256).await;
    let (buckets, before) = ((0..8).collect(), running.epochs.clone());
    running.leaving = buckets;
    running.released((buckets, Err(sqlx::Error::PoolTimedOut)));
    renew(&mut running, 256).await;
    assert_eq!(running.owned.len(), 256);
    // What was sent then arrives now.
    running.table.release(&running.member.owner, &before, buckets).await.unwrap();
    let epochs = running.epochs.clone();
    renew(&mut running, 256).await;
    assert_eq!((running.owned.len(), &running.epochs), (256, &epochs), "they were never anybody else's");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_asked_for_again_and_a_slow_one_is_still_heard() {
    let patience = Duration::from_secs(1);
    let after = |seconds, answer| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        answer
    };
    let refused = || Err(sqlx::Error::PoolTimedOut);
    let never = std::future::pending;
    assert_eq!(sooner(after(0, Ok(1)), patience, never()).await.unwrap(), 1);
    assert_eq!(sooner(never(), patience, after(1, Ok(2))).await.unwrap(), 2);
    assert_eq!(sooner(after(3, Ok(1)), patience, after(5, Ok(2))).await.unwrap(), 1);
    assert_eq!(sooner(after(3, Ok(1)), patience, after(1, refused())).await.unwrap(), 1);
    assert_eq!(sooner(after(2, refused()), patience, after(3, Ok(2))).await.unwrap(), 2);
    assert!(sooner(after(0, refused()), patience, after(0, Ok(2))).await.is_err(), "an error is an answer");
}
