//! Events that are passed over: dead letters, and what an operator skips.

use super::Inbox;
use super::admission::pass_over;
use super::identity::{EventIdentity, Identity};
use crate::database::open::OpenTransaction;
use crate::database::transaction::sql_error;
use crate::database::{Database, Error};
use crate::transport::Record;

impl Inbox {
    /// Remember that `dispatcher` passes `record` over: that it may still be handled, once, when it is delivered again,
    /// however far its stream has gone on. To be called before the record's offset is committed. Does nothing for an event
    /// without a sequence, or one that was handled.
    ///
    /// # Errors
    /// [`Error::Sql`] and what else keeps a transaction from its commit; call it again.
    pub async fn pass_over(&self, dispatcher: &str, record: &Record) -> Result<(), Error> {
        // What does not fit can never be handled in a transaction, so there is nothing to remember.
        let Ok(identity) = Identity::of(&self.group, dispatcher, record) else { return Ok(()) };
        if matches!(identity.event, EventIdentity::Single { .. }) {
            return Ok(());
        }
        // On every shard: only the payload may say which one its handler would work on, and nobody may be able to read it.
        for database in self.shards.iter() {
            pass_over_on(database, &identity).await?;
        }
        Ok(())
    }
}

async fn pass_over_on(database: &Database, identity: &Identity) -> Result<(), Error> {
    let begun = OpenTransaction::begin(&database.pool).await;
    let mut open = begun.map_err(|error| sql_error("opening a transaction", error))?;
    match pass_over(&mut open, database.pool.dialect(), identity).await {
        Ok(statements) => Ok(open.commit(statements).await?),
        Err(error) => {
            let _ = open.roll_back().await;
            Err(sql_error("remembering an event that is passed over", error))
        }
    }
}
