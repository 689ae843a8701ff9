//! What a test publishes, and what was published.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::TestKit;
use super::journal::place_of;
use super::panics::{chain, fail};
use super::producer::WatchedProducer;
use super::published::Published;
use crate::event::Event;
use crate::publisher::{Publisher, PublisherBuilder, PublisherOptions};
use crate::transport::Producer;

impl TestKit {
    /// Publish `event`, through envelope, codec and partitioning, to the source whose handlers take it; without any, to the
    /// source its name begins with. It is written when this returns.
    ///
    /// # Panics
    /// It cannot be encoded or written, or handlers of several sources take it; say which with
    /// [`publish_from`](Self::publish_from).
    #[track_caller]
    pub fn publish<E: Event>(&self, event: &E) -> impl Future<Output = Published> {
        let caller = Location::caller();
        let mut sources: Vec<_> =
            self.inner.services.lock().iter().flat_map(|service| service.sources_of(E::NAME)).collect();
        sources.sort();
        sources.dedup();
        let source = match &sources[..] {
            [source] => Arc::clone(source),
            [] => E::NAME.rsplit_once('.').map_or(E::NAME, |(source, _)| source).into(),
            [..] => fail(
                caller,
                format_args!(
                    "handlers take {} from several sources: {}; say which with `kit.publish_from(source, &event)`",
                    E::NAME,
                    sources.join(", ")
                ),
            ),
        };
        self.publish_to(source, event, caller)
    }

    /// Publish `event` as the service `source`.
    ///
    /// # Panics
    /// It cannot be encoded or written.
    #[track_caller]
    pub fn publish_from<E: Event>(&self, source: &str, event: &E) -> impl Future<Output = Published> {
        self.publish_to(source.into(), event, Location::caller())
    }

    async fn publish_to<E: Event>(&self, source: Arc<str>, event: &E, caller: &Location<'_>) -> Published {
        let publisher = self.publisher_of(&source, caller).await;
        match publisher.publish(event).await {
            Ok(receipt) => Published::new(&receipt, source),
            Err(error) => fail(caller, chain(&error)),
        }
    }

    /// A publisher of the service `source`, straight to the broker: for handlers that publish.
    #[track_caller]
    pub fn publisher(&self, source: &str) -> impl Future<Output = Publisher> {
        let (kit, source, caller) = (self.clone(), Arc::from(source), Location::caller());
        async move { kit.publisher_of(&source, caller).await }
    }

    async fn publisher_of(&self, source: &Arc<str>, caller: &Location<'_>) -> Publisher {
        self.create_topic(source, caller).await;
        let mut publishers = self.inner.publishers.lock().await;
        if let Some(publisher) = publishers.get(source) {
            return publisher.clone();
        }
        match self.publisher_builder(PublisherOptions::new(&**source)).build().await {
            Ok(publisher) => publishers.entry(Arc::clone(source)).or_insert(publisher).clone(),
            Err(error) => fail(caller, chain(&error)),
        }
    }

    /// A builder of a publisher with the kit's producer, codec and clock: for one with a mode or a recorder of its own. Its
    /// topic is not created on real brokers; [`publisher`](Self::publisher) does that.
    pub fn publisher_builder(&self, options: PublisherOptions) -> PublisherBuilder {
        Publisher::builder(options).codec(self.codec().clone()).clock(self.clock()).producer(self.producer())
    }

    /// What writes to the kit's broker: for a relay.
    pub fn producer(&self) -> Arc<dyn Producer> {
        Arc::new(WatchedProducer {
            inner: Arc::clone(&self.inner.producer),
            stage: Arc::clone(&self.inner.stage),
            journal: Arc::clone(&self.inner.journal),
            dead_letters: None,
        })
    }

    /// The events of type `E` that were written through this kit, in the order of the writing within each partition. What is
    /// being written is waited for; a handler that has yet to write is, too, when the test first awaits its event with
    /// [`assert_handled_once`](Self::assert_handled_once).
    ///
    /// # Panics
    /// One cannot be read.
    #[track_caller]
    pub fn published<E: Event>(&self) -> impl Future<Output = Vec<E>> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            kit.settled(caller).await;
            let payloads: Vec<_> = {
                let state = kit.inner.journal.lock();
                let of_type = state
                    .records
                    .values()
                    .filter(|record| crate::envelope::EnvelopeView::new(&record.headers).event() == Some(E::NAME));
                of_type.map(|record| (place_of(record), record.payload.clone())).collect()
            };
            let mut events = Vec::with_capacity(payloads.len());
            for ((partition, offset), payload) in payloads {
                match kit.codec().decode::<E>(payload.as_deref()).await {
                    Ok(event) => events.push(event),
                    Err(error) => fail(caller, format_args!("{partition}@{offset}: {}", chain(&error))),
                }
            }
            events
        }
    }
}
