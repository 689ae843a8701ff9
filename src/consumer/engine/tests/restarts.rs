//! What a restart or a rebalance does again, and what it does not.

use std::time::Duration;

use super::rig::{Rig, key_of, options};
use crate::consumer::commit_metadata::CommitMetadata;
use crate::outcome::Outcome;
use crate::transport::{CommitOffset, TopicPartition};

/// Never ends for the key `stuck`.
fn stuck() -> impl Fn(crate::Delivery) -> futures_util::future::BoxFuture<'static, Outcome> + Send + Sync {
    |delivery| {
        Box::pin(async move {
            if key_of(&delivery) == "stuck" {
                std::future::pending::<()>().await;
            }
            Outcome::Done
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_complete_above_a_stuck_event_is_not_done_again() {
    let rig = Rig::start(options().timeout(Duration::from_secs(3600)), stuck());
    rig.publish(0, "stuck");
    for index in 0..500 {
        rig.publish(0, &index.to_string());
    }
    rig.until("all but one are handled and told", |rig| {
        let commit = rig.broker.commit_of("accounts", 0);
        commit.and_then(|commit| CommitMetadata::decode(&commit.metadata, commit.offset)).map(|known| known.completed)
            == Some(vec![(1, 501)])
    })
    .await;
    assert_eq!(rig.broker.committed("accounts", 0), Some(0));
    rig.broker.lose("accounts", &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign("accounts", &[0]);
    rig.until("it is read again", |rig| rig.stats().completed_before == 500).await;
    assert_eq!((rig.stats().handled, rig.stats().in_flight), (500, 1));
    // What comes now is new.
    rig.publish(0, "new");
    rig.until("it is handled", |rig| rig.stats().handled == 501).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_that_somebody_else_committed_is_ignored() {
    let rig = Rig::start(options(), stuck());
    for index in 0..4 {
        rig.publish(0, &index.to_string());
    }
    rig.until("they are handled", |rig| rig.broker.committed("accounts", 0) == Some(4)).await;
    rig.broker.lose("accounts", &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    let partition = TopicPartition { topic: "accounts".into(), partition: 0 };
    rig.broker.commit(CommitOffset { partition, offset: 2, metadata: "another tool was here".into() });
    rig.broker.assign("accounts", &[0]);
    rig.until("what is behind it is handled again", |rig| rig.stats().handled == 6).await;
}

#[tokio::test(start_paused = true)]
async fn no_metadata_is_sent_where_none_is_allowed() {
    let rig = Rig::start(options().commit_metadata_bytes(0), stuck());
    rig.publish(0, "1");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    assert_eq!(rig.broker.commit_of("accounts", 0).unwrap().metadata, "");
}
