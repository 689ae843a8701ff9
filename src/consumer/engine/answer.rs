//! What is asked of a parked key, done in its store, but for handling its events.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::consumer::parked::{ParkError, ParkRequest, ParkedKeyId, ParkedStore};
use crate::consumer::partition::Skip;
use crate::consumer::passed_over::NotRemembered;
use crate::transport::Record;

/// Do `request`. `false` when the key is to stay parked after all: something else is asked for by now, or nothing. `pass` remembers that
/// an event is passed over; `skip` how far an interrupted skip came: it must become neither a second one's nor nobody's.
pub(super) async fn answer<P: Future<Output = Result<(), NotRemembered>>>(
    store: &dyn ParkedStore,
    id: &ParkedKeyId,
    request: ParkRequest,
    skip: &Mutex<Skip>,
    pass: impl FnOnce(Record) -> P,
) -> Result<bool, ParkError> {
    match request {
        ParkRequest::Release => Ok(true),
        ParkRequest::Skip => skip_first(store, id, skip, pass).await,
        ParkRequest::Discard => {
            store.discard(id.clone()).await?;
            // Where events are left, it was not asked for any more.
            Ok(store.records(id.clone(), 1).await?.is_empty() || is_free(store, id).await?)
        }
    }
}

async fn skip_first<P: Future<Output = Result<(), NotRemembered>>>(
    store: &dyn ParkedStore,
    id: &ParkedKeyId,
    skip: &Mutex<Skip>,
    pass: impl FnOnce(Record) -> P,
) -> Result<bool, ParkError> {
    let before = *skip.lock();
    if let Skip::Noted(offset) = before {
        store.remove(id.clone(), offset).await?;
        return Ok(true);
    }
    let first = store.records(id.clone(), 1).await?.into_iter().next();
    let offset = first.as_ref().map(|first| first.offset);
    // Where it is gone, somebody else has done what was asked for: what is asked for now is for another event.
    let again = offset.is_some_and(|offset| before == Skip::Tried(offset));
    if let Some(first) = first.filter(|_| !again) {
        let offset = first.offset;
        pass(first.into_record()).await.map_err(|error| ParkError::new("skip", error))?;
        *skip.lock() = Skip::Tried(offset);
    }
    // Before the event is removed: where the process ends in between it is tried again, and no second one skipped.
    if !store.answer(id.clone(), ParkRequest::Skip, Some(ParkRequest::Release)).await? {
        let is_free = is_free(store, id).await?;
        // It may have been done when it was tried before, and only the answer was lost. Else it is somebody else's doing, who has
        // skipped what was to be skipped, or does not want it skipped any more.
        if !again || !is_free {
            return Ok(is_free);
        }
    }
    if let Some(offset) = offset {
        *skip.lock() = Skip::Noted(offset);
        store.remove(id.clone(), offset).await?;
    }
    Ok(true)
}

/// Whether the key's events may be handled: its release is asked for, or nobody knows of it any more.
async fn is_free(store: &dyn ParkedStore, id: &ParkedKeyId) -> Result<bool, ParkError> {
    let keys = store.keys(Arc::clone(&id.group), vec![id.partition.clone()]).await?;
    let key = keys.into_iter().find(|parked| parked.key == id.key);
    Ok(key.is_none_or(|parked| parked.request == Some(ParkRequest::Release)))
}
