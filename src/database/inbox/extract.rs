//! The transaction of a handler: opened before it begins, committed when it is done.

use std::error::Error as StdError;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::Inbox;
use super::admission::{ask, opening};
use super::failure::without_blame;
use super::identity::Identity;
use super::rules::Verdict;
use crate::database::commit::commit;
use crate::database::error::Failure;
use crate::database::open::OpenTransaction;
use crate::database::transaction::{Ended, sql_error};
use crate::database::{Database, Error, Shards, Transaction};
use crate::dispatch::{Delivery, FromDelivery};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// The consumer has no database: a mistake of the program's, not of the event's. Nothing is given up for it.
#[derive(Debug, thiserror::Error)]
#[error("the handler takes a Transaction, and the consumer has no database: give its builder one with `.database(…)`")]
struct NoInbox;

/// What dead letters pass over must be remembered, and the consumer knows no reason to.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} takes a Transaction through an extractor that does not say so: add `const USES_TRANSACTION: bool = true;` to its \
     implementation of FromDelivery"
)]
struct Undeclared(&'static str);

#[derive(Debug, thiserror::Error)]
#[error("the event was handled before")]
struct Repeat;

#[derive(Debug, thiserror::Error)]
#[error(
    "another event has the sequence {sequence} of its stream in epoch {epoch}: the stream has forked; look at both, then \
     release or skip its parked key (without a key it is a dead letter, which can be redriven)"
)]
struct Fork {
    epoch: u32,
    sequence: u64,
}

/// The transaction of the handler, with the event remembered as handled in it: it commits when the handler says that it is
/// done, and rolls back otherwise. The handler of an event that was handled before does not run. See
/// [`inbox`](crate::database::inbox).
impl FromDelivery for Transaction {
    const USES_TRANSACTION: bool = true;

    async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
        // Another extractor may have opened it.
        if let Some(transaction) = delivery.shared_value::<Self>() {
            return Ok((*transaction).clone());
        }
        let (inbox, dispatcher) = inbox_of(delivery)?;
        let identity = Identity::of(delivery.group(), dispatcher, delivery.record());
        // It can never be remembered, so it cannot be handled once.
        let identity = identity.map_err(|error| HandlerError::from(error).terminal())?;

        let key = shard_key(delivery);
        let database = inbox.shards.of(&*key).map_err(Error::into_handler_error)?;
        let mut open = begin(database).await?;
        let dialect = database.pool.dialect();
        let admission = match ask(&mut open, dialect, &identity, opening(dialect, inbox.abandoned_after)).await {
            Ok(admission) => admission,
            Err(error) => return Err(could_not_ask(open, error).await),
        };
        match admission.verdict {
            Verdict::Newer | Verdict::PassedOver => {
                let transaction = Self::opened(database, open, vec![key.clone()]);
                delivery.share_value(Arc::new(transaction.clone()));
                let (shards, statements) = (inbox.shards.clone(), admission.statements);
                let handling = Handling { transaction: transaction.clone(), key, shards, statements };
                delivery.on_completion(Box::new(move |outcome| handling.complete(outcome).boxed()));
                Ok(transaction)
            }
            Verdict::Repeat => {
                let _ = open.roll_back().await;
                settle_repeat(&inbox, delivery);
                Err(unavailable(Repeat))
            }
            Verdict::Fork => {
                let _ = open.roll_back().await;
                settle_fork(&inbox, delivery);
                Err(HandlerError::new(ErrorClass::Forked, Fork::of(delivery)))
            }
        }
    }
}

/// What `#[on(.., shard = field)]` took from the payload.
pub(crate) struct ShardKey(pub(crate) String);

/// The key whose shard the event belongs to.
pub(super) fn shard_key(delivery: &Delivery) -> String {
    if let Some(key) = delivery.shared_value::<ShardKey>() {
        return key.0.clone();
    }
    if let Some(key) = delivery.envelope().key() {
        return key.to_owned();
    }
    delivery.record().key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default()
}

/// The inbox of the delivery's consumer, and whose handler it goes to.
pub(super) fn inbox_of(delivery: &Delivery) -> Result<(Arc<Inbox>, &'static str), HandlerError> {
    let inbox = delivery.extension::<Inbox>().ok_or_else(|| unavailable(NoInbox))?;
    // The method's name, behind the last colons, has none.
    let dispatcher = delivery.handler().rsplit_once("::").map_or(delivery.handler(), |(dispatcher, _)| dispatcher);
    if inbox.serves(dispatcher) { Ok((inbox, dispatcher)) } else { Err(unavailable(Undeclared(delivery.handler()))) }
}

pub(super) async fn begin(database: &Database) -> Result<OpenTransaction, HandlerError> {
    let begun = OpenTransaction::begin(&database.pool).await;
    begun.map_err(|error| sql_error("opening a transaction", error).into_handler_error())
}

/// The inbox did not answer: the end of the transaction.
pub(super) async fn could_not_ask(open: OpenTransaction, error: sqlx::Error) -> HandlerError {
    // A lost connection cannot roll back, and need not.
    let _ = open.roll_back().await;
    sql_error("asking the inbox", error).into_handler_error()
}

/// The event was handled before: whatever becomes of the handler, it is done.
pub(super) fn settle_repeat(inbox: &Inbox, delivery: &Delivery) {
    inbox.counters.repeat();
    tracing::debug!(handler = delivery.handler(), "an event was handled before; its handler does not run");
    delivery.on_completion(Box::new(|_| async { Outcome::Done }.boxed()));
}

/// Another event has its place: whatever an extractor around this one makes of the error, the event is not dropped.
pub(super) fn settle_fork(inbox: &Inbox, delivery: &Delivery) {
    inbox.counters.fork();
    let (record, fork) = (delivery.record(), Fork::of(delivery));
    tracing::error!(
        group = delivery.group(),
        handler = delivery.handler(),
        topic = &*record.topic,
        partition = record.partition,
        offset = record.offset,
        error = %fork,
        "a stream has forked"
    );
    delivery
        .on_completion(Box::new(move |_| async move { HandlerError::new(ErrorClass::Forked, fork).into() }.boxed()));
}

impl Fork {
    fn of(delivery: &Delivery) -> Self {
        let envelope = delivery.envelope();
        Self { epoch: envelope.stream_epoch(), sequence: envelope.sequence().unwrap_or_default() }
    }
}

pub(super) fn unavailable(error: impl StdError + Send + Sync + 'static) -> HandlerError {
    HandlerError::new(ErrorClass::Unavailable, error)
}

/// Roll back what is open. Whether a deadlock had done so already, or the connection is gone.
pub(super) async fn roll_back(open: Option<OpenTransaction>) -> bool {
    let rolled_back = match open {
        Some(open) => open.roll_back().await,
        None => Ok(false),
    };
    match rolled_back {
        Ok(ended) => ended,
        Err(error) => Failure::of(&error) == Failure::ConnectionLost,
    }
}

/// What a handler's commit failed with. That one of the `keys` of its events has moved is nobody's fault: the next attempt goes where
/// it lives. Of another key, it is the handler's mistake.
pub(super) async fn not_committed<'k>(
    error: Error,
    shards: &Shards,
    keys: impl IntoIterator<Item = &'k str>,
) -> HandlerError {
    match keys.into_iter().find(|key| error.is_about(key)) {
        Some(moved) => {
            let _ = shards.find(moved).await;
            unavailable(error)
        }
        None => error.into_handler_error(),
    }
}

/// A handler's transaction while the handler runs. Dropped before the handler has ended, as when it is cancelled, it rolls
/// back, whoever still holds a clone of the handle.
struct Handling {
    transaction: Transaction,
    /// What its shard was found by.
    key: String,
    shards: Shards,
    statements: Vec<String>,
}

impl Handling {
    async fn complete(mut self, outcome: Outcome) -> Outcome {
        let Ended { buffer, open } = self.transaction.end();
        let statements = std::mem::take(&mut self.statements);
        let failure = match (buffer, &outcome) {
            (Ok(buffer), Outcome::Done) => {
                let committed = commit(self.transaction.database(), buffer, open, statements).await;
                return match committed {
                    Ok(()) => Outcome::Done,
                    Err(error) => not_committed(error, &self.shards, [&*self.key]).await.into(),
                };
            }
            (Ok(_), _) => None,
            (Err(failure), _) => Some(failure),
        };
        let ended_by_a_deadlock = roll_back(open).await;
        match (outcome, failure) {
            // What failed decides, whatever the handler made of it; what the handler wants no more is not tried again.
            (Outcome::Done, Some(failure)) => failure.into_handler_error().into(),
            (Outcome::Retry { error, after }, Some(failure)) if !error.is_terminal() => {
                Outcome::Retry { error: failure.into_handler_error(), after }
            }
            (outcome, _) => without_blame(outcome, ended_by_a_deadlock),
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        // Ended already, unless the handler was cancelled. Its connection is closed with what is dropped here.
        drop(self.transaction.end());
    }
}

#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "consumer"))]
mod tests {
    use super::*;
    use crate::database::{Database, DatabaseOptions};
    use crate::dispatch::{DeliveryContext, DeliveryParts, Extensions};
    use crate::schema::Codec;
    use crate::transport::{Headers, Record};

    fn delivery(extensions: Extensions) -> Delivery {
        let headers = Headers::new();
        let record = Record {
            topic: "accounts".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: None,
            headers,
        };
        let context = Arc::new(DeliveryContext { codec: Codec::default(), extensions, group: "boards.Board".into() });
        Delivery::new(DeliveryParts { record, context, handler: "Board::on_renamed", attempt: 1 })
    }

    #[tokio::test]
    async fn without_a_database_the_handler_waits_and_is_told_why() {
        let error = Transaction::from_delivery(&delivery(Extensions::new())).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert!(error.to_string().contains("`.database(…)`"), "{error}");
    }

    #[tokio::test]
    async fn an_extractor_that_hides_its_transaction_is_refused_by_name() {
        let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
        let database = Database::connect(options).await.unwrap();
        let group = "boards.Board".into();
        let inbox = |dispatchers| {
            let mut extensions = Extensions::new();
            let longest = std::time::Duration::ZERO;
            extensions.insert(Arc::new(Inbox::of_group(
                &Shards::one(database.clone()),
                &group,
                dispatchers,
                longest,
                &Arc::default(),
            )));
            delivery(extensions)
        };
        let error = Transaction::from_delivery(&inbox(vec!["Other"])).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert!(error.to_string().starts_with("Board::on_renamed takes a Transaction through"), "{error}");
        // The control: a dispatcher that says so.
        assert!(Transaction::from_delivery(&inbox(vec!["Board"])).await.is_ok());
    }
}
