//! What turns an engine: a thread of its own on Kafka, a task on the in-memory twin.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::engine::{Engine, Turn};
use super::error::StopReason;
use crate::transport::ConsumerTransport;

/// Turn `engine` on a thread of its own until it stops. The receiver gets the result; it is closed only if the thread could not
/// be started.
pub(crate) fn spawn_thread<T: ConsumerTransport + 'static>(
    group: &str,
    runtime: Handle,
    make: impl FnOnce() -> Result<Engine<T>, StopReason> + Send + 'static,
) -> std::io::Result<oneshot::Receiver<Result<(), StopReason>>> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name(format!("tidings {group}")).spawn(move || {
        // Handlers are polled on this thread first, and may start timers and tasks.
        let _runtime = runtime.enter();
        let result = catch_unwind(AssertUnwindSafe(|| turn_until_finished(make()?)));
        let result = result.unwrap_or_else(|panic| Err(StopReason::Panicked(panic_text(&*panic))));
        // Nobody waits any more when the consumer was dropped.
        let _ = sender.send(result);
    })?;
    Ok(receiver)
}

fn turn_until_finished<T: ConsumerTransport>(mut engine: Engine<T>) -> Result<(), StopReason> {
    loop {
        match engine.turn() {
            Turn::Again => {}
            Turn::Wait(timeout) => engine.wait(timeout),
            Turn::Finished(result) => {
                engine.close();
                return result;
            }
        }
    }
}

/// Turn `engine` until it stops, waiting for `bell` in between.
#[cfg(any(test, feature = "testing"))]
pub(crate) async fn turn_in_task<T: ConsumerTransport>(
    mut engine: Engine<T>,
    bell: std::sync::Arc<tokio::sync::Notify>,
) -> Result<(), StopReason> {
    loop {
        match engine.turn() {
            Turn::Again => tokio::task::yield_now().await,
            // Whichever comes first, the engine looks around again.
            Turn::Wait(timeout) => drop(tokio::time::timeout(timeout, bell.notified()).await),
            Turn::Finished(result) => {
                engine.close();
                return result;
            }
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}
