//! The transaction of a handler of batches: one for all of its events, each of them remembered in it.

use std::mem;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::admission::{ask, opening};
use super::extract::{
    begin, could_not_ask, inbox_of, not_committed, roll_back, settle_fork, settle_repeat, shard_key, unavailable,
};
use super::failure::without_blame;
use super::identity::Identity;
use super::rules::Verdict;
use crate::database::commit::commit;
use crate::database::transaction::Ended;
use crate::database::{Database, Error, Shards, Transaction};
use crate::dispatch::{Delivery, FromDeliveries, RolledBack, TakenOut, failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// Held against none of the events: they are handled one by one, each on its own shard.
#[derive(Debug, thiserror::Error)]
#[error(
    "the batch has events of keys on several shards, '{first}' and '{second}', and a transaction is on one: they are handled one by \
     one; where that is often so, leave `batch` out of `#[on(..)]`"
)]
struct SeveralShards {
    first: String,
    second: String,
}

#[derive(Debug, thiserror::Error)]
#[error("a batch without events has no transaction")]
struct Empty;

/// One transaction for all events of the batch, with each of them remembered as handled in it. It commits when **every** event is
/// done, and else rolls back: those that failed keep their outcomes and are tried again by themselves, the others are handled again
/// and nothing is held against them. Events that were handled before are taken out, and the batch is put together anew.
///
/// Where a service has several databases, all of the batch's events must be on one shard. Otherwise they are handled one by one.
impl FromDeliveries for Transaction {
    const USES_TRANSACTION: bool = true;

    async fn from_deliveries(deliveries: &[Delivery]) -> Result<Self, HandlerError> {
        let first = deliveries.first().ok_or_else(|| HandlerError::from(Empty))?;
        // Another extractor may have opened it.
        if let Some(transaction) = first.shared_value::<Self>() {
            return Ok((*transaction).clone());
        }
        let (inbox, dispatcher) = inbox_of(first)?;
        let mut events = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match Identity::of(delivery.group(), dispatcher, delivery.record()) {
                Ok(identity) => events.push((delivery, identity)),
                // It can never be remembered, so it cannot be handled once.
                Err(error) => delivery
                    .on_completion(Box::new(|_| async move { HandlerError::from(error).terminal().into() }.boxed())),
            }
        }
        if events.len() < deliveries.len() {
            return Err(unavailable(TakenOut));
        }

        let keys: Vec<_> = deliveries.iter().map(shard_key).collect();
        let database = shard_of(&inbox.shards, &keys)?;
        let dialect = database.pool.dialect();
        let mut open = begin(database).await?;
        let mut statements = opening(dialect, inbox.abandoned_after);
        let (mut admitted, mut all_admitted): (Vec<&Delivery>, _) = (Vec::new(), true);
        for (delivery, identity) in events {
            // What is remembered of an event is there before the next one is asked about: two may be of one stream, or be one event.
            let asked = ask(&mut open, dialect, &identity, mem::take(&mut statements)).await;
            let admission = match asked {
                Ok(admission) => admission,
                Err(error) => return Err(could_not_ask(open, error).await),
            };
            // Behind an event that goes again it goes again too, by itself: it is counted then.
            let goes_again = || admitted.iter().any(|earlier| delivery.is_behind(earlier));
            match admission.verdict {
                Verdict::Newer | Verdict::PassedOver => {
                    statements = admission.statements;
                    admitted.push(delivery);
                    continue;
                }
                Verdict::Repeat if goes_again() => {
                    delivery.on_completion(Box::new(|_| async { Outcome::Done }.boxed()));
                }
                Verdict::Repeat => settle_repeat(&inbox, delivery),
                Verdict::Fork => settle_fork(&inbox, delivery),
            }
            all_admitted = false;
        }
        if !all_admitted {
            let _ = open.roll_back().await;
            return Err(unavailable(TakenOut));
        }
        let transaction = Self::opened(database, open, keys.clone());
        first.share_value(Arc::new(transaction.clone()));
        let shards = inbox.shards.clone();
        let handling = Handling { transaction: transaction.clone(), keys, shards, statements };
        Delivery::on_batch_completion(deliveries, Box::new(move |outcomes| handling.complete(outcomes).boxed()));
        Ok(transaction)
    }
}

/// The shard that all of `keys` live on.
fn shard_of<'s>(shards: &'s Shards, keys: &[String]) -> Result<&'s Database, HandlerError> {
    let mut found: Option<&Database> = None;
    for key in keys {
        let database = shards.of(&**key).map_err(Error::into_handler_error)?;
        let first = *found.get_or_insert(database);
        if first.shard != database.shard {
            let (first, second) = (first.shard.to_string(), database.shard.to_string());
            return Err(SeveralShards { first, second }.into());
        }
    }
    found.ok_or_else(|| Empty.into())
}

/// A batch's transaction while its handler runs. Dropped before the handler has ended it rolls back, as a single event's does.
struct Handling {
    transaction: Transaction,
    /// What its shard was found by.
    keys: Vec<String>,
    shards: Shards,
    statements: Vec<String>,
}

impl Handling {
    async fn complete(mut self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let events = outcomes.len();
        let Ended { buffer, open } = self.transaction.end();
        let statements = mem::take(&mut self.statements);
        let all_done = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done));
        let failure = match buffer {
            Ok(buffer) if all_done => {
                let committed = commit(self.transaction.database(), buffer, open, statements).await;
                return match committed {
                    Ok(()) => outcomes,
                    Err(error) => {
                        let keys = self.keys.iter().map(String::as_str);
                        failed(not_committed(error, &self.shards, keys).await, events)
                    }
                };
            }
            Ok(_) => None,
            Err(failure) => Some(failure),
        };
        let ended_by_a_deadlock = roll_back(open).await;
        // What failed decides for all: nobody knows for whose sake it did.
        let mut shared = failure.map(|failure| failed(failure.into_handler_error(), events).into_iter());
        let mut after = |outcome| match (outcome, shared.as_mut().and_then(Iterator::next)) {
            // What the handler wants no more is not tried again.
            (Outcome::Retry { error, after }, Some(_)) if error.is_terminal() => Outcome::Retry { error, after },
            (Outcome::Done | Outcome::Retry { .. }, Some(failure)) => failure,
            (Outcome::Done, None) => HandlerError::new(ErrorClass::Unavailable, RolledBack).into(),
            (outcome, _) => without_blame(outcome, ended_by_a_deadlock),
        };
        outcomes.into_iter().map(&mut after).collect()
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        // Ended already, unless the handler was cancelled. Its connection is closed with what is dropped here.
        drop(self.transaction.end());
    }
}
