//! What must be remembered of an event before its offset moves past it unhandled.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::transport::Record;

/// Remembers events that are passed over (dead letters, what an operator skips), so that they may still be handled later. The
/// engine awaits it before their offsets move.
pub(crate) trait PassedOver: Send + Sync {
    /// `dispatcher` passes `record` over.
    fn pass_over(
        &self,
        dispatcher: &'static str,
        record: Record,
    ) -> BoxFuture<'static, Result<(), Box<dyn StdError + Send + Sync>>>;
}

/// That an event is passed over could not be remembered.
#[derive(Debug, thiserror::Error)]
#[error("it could not be remembered that the event is passed over")]
pub(crate) struct NotRemembered(#[source] pub(crate) Box<dyn StdError + Send + Sync>);

/// Remember that the event is passed over, for those dispatchers that tell a later delivery of it from a repeat.
pub(crate) async fn pass_over(
    passed_over: Option<Arc<dyn PassedOver>>,
    dispatchers: Vec<&'static str>,
    record: Record,
) -> Result<(), NotRemembered> {
    let Some(passed_over) = passed_over else { return Ok(()) };
    for dispatcher in dispatchers {
        passed_over.pass_over(dispatcher, record.clone()).await.map_err(NotRemembered)?;
    }
    Ok(())
}

impl fmt::Debug for dyn PassedOver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PassedOver")
    }
}

#[cfg(any(feature = "mysql", feature = "sqlite"))]
impl PassedOver for crate::database::Inbox {
    fn pass_over(
        &self,
        dispatcher: &'static str,
        record: Record,
    ) -> BoxFuture<'static, Result<(), Box<dyn StdError + Send + Sync>>> {
        let inbox = self.clone();
        Box::pin(async move { Ok(inbox.pass_over(dispatcher, &record).await?) })
    }
}
