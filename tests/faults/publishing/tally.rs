//! What of a topic came again, counted while it is written.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::message::{Headers as _, Message as _};
use uuid::Uuid;

use super::press::{LEASE, Press};
use crate::reader::stranger;
use crate::setting;
use crate::support::chance::tell;
use crate::support::groups::ends;
use crate::support::wait::until;

/// Reads a topic from its beginning for as long as it lives.
pub(crate) struct Tally {
    counted: Arc<Mutex<Counted>>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counted {
    /// The offset behind the last record, of each partition.
    next: Vec<i64>,
    records: usize,
    events: HashSet<Uuid>,
}

impl Tally {
    pub(crate) fn begin(press: &Press) -> Self {
        let (topic, partitions) = (press.scene.topic(), press.scene.partitions());
        let next = vec![0; usize::try_from(partitions).unwrap()];
        let counted = Arc::new(Mutex::new(Counted { next, ..Counted::default() }));
        let over = Arc::<AtomicBool>::default();
        let (counting, ends) = (Arc::clone(&counted), Arc::clone(&over));
        let reader = std::thread::spawn(move || {
            let client = stranger(&setting("TIDINGS_TEST_BROKERS"), &topic, partitions);
            while !ends.load(Ordering::Acquire) {
                let Some(message) = client.poll(Duration::from_millis(100)) else { continue };
                let message = message.unwrap();
                let id = message.headers().unwrap().iter().find(|header| header.key == "ce_id").unwrap().value.unwrap();
                let mut counted = counting.lock();
                counted.records += 1;
                counted.events.insert(Uuid::try_parse_ascii(id).unwrap());
                counted.next[usize::try_from(message.partition()).unwrap()] = message.offset() + 1;
            }
        });
        Self { counted, over, reader: Some(reader) }
    }

    /// How many records the topic has beyond one for each event.
    pub(crate) async fn repeats(&self, press: &Press) -> usize {
        let ends = ends(&press.scene).await;
        let look = async || {
            let counted = self.counted.lock();
            let is_there = counted.next.iter().zip(&ends).all(|(next, end)| next >= end);
            if is_there { Ok(counted.records - counted.events.len()) } else { Err(counted.records) }
        };
        until("the topic is read to its end", look).await
    }

    /// Whether nothing came again any more from one lease after now on, while `more` were published. How many did until then, or
    /// how many came again since. A relay that gets no time for a lease on a busy machine loses what it has once more, so there are
    /// three looks: one that does not let go is seen in each.
    pub(crate) async fn settled(&self, press: &Press, more: i64) -> Result<usize, usize> {
        let mut since = 0;
        for _ in 0..3 {
            // What a relay has that nobody tells anything. This is the fault itself, not something to wait for.
            tokio::time::sleep(LEASE).await;
            let before = self.repeats(press).await;
            press.progress(more).await;
            let after = self.repeats(press).await;
            if after == before {
                return Ok(after);
            }
            since += after - before;
            tell(&format!("{} came again more than a lease later", after - before));
        }
        Err(since)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(reader) = self.reader.take() {
            // One that failed has said so.
            let _ = reader.join();
        }
    }
}
