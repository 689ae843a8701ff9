//! Appending to an event store that fails now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::store::{Append, EventStore as _, ExpectedVersion, NewEvent, StoreClient};
use tokio::task::JoinHandle;

/// Appends the first, second and so on event of a stream, each until it is acknowledged, until it is over; how many were.
pub(crate) fn append_until(
    client: StoreClient,
    over: Arc<AtomicBool>,
    event: impl Fn(u64) -> NewEvent + Send + 'static,
) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut acknowledged = 0;
        while !over.load(Ordering::Relaxed) {
            let append = Append::new([event(acknowledged)], ExpectedVersion::Exact(acknowledged));
            // The same again, whatever went wrong: its fate is not known.
            let appended = loop {
                match client.append(append.clone()).await {
                    Ok(appended) => break appended,
                    Err(error) if error.is_retryable() => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            acknowledged += 1;
            assert_eq!(appended.last.sequence, acknowledged);
        }
        acknowledged
    })
}
