//! The database of an event store as the origin of a topic's events.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::AuditError;
use super::origin::{Claim, Origin, Unpublished};
use super::outbox::{Outbox, failed, read_claim};

/// The streams of an event store that have one source, whose events are forwarded to the topic of its name.
pub(super) struct Store {
    /// The store forwards from an outbox of its own.
    pub(super) outbox: Outbox,
}

impl Origin for Store {
    fn claims<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Claim>, AuditError>> {
        async move {
            let pool = &self.outbox.database.pool;
            let dialect = pool.dialect();
            let behind = after.map_or_else(String::new, |name| format!(" AND stream > {}", dialect.text(name)));
            let source = dialect.text(&format!("/{}", self.outbox.topic));
            let rows = pool.query(format!(
                "SELECT stream, epoch, sequence, CASE WHEN writer = 'store' THEN 0 ELSE 1 END FROM tidings_store_stream \
                 WHERE source = {source}{behind} ORDER BY stream LIMIT {limit}"
            ));
            let claims = rows.await.and_then(|rows| rows.iter().map(read_claim).collect());
            claims.map_err(|error| failed("reading the streams of the event store", error))
        }
        .boxed()
    }

    fn unpublished<'a>(
        &'a self,
        take: &'a mut (dyn FnMut(Unpublished) + Send),
    ) -> BoxFuture<'a, Result<(), AuditError>> {
        self.outbox.unpublished(take)
    }
}
