//! The kit itself: its options, its services, and what they did.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::attempt::{DeadLetter, HandlerAttempt};
use super::faults::Faults;
use super::journal::Journal;
use super::member::Member;
use super::panics::{chain, fail};
use super::service::Service;
use super::stage::Stage;
use super::{TestOptions, time};
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::consumer::parked::MemoryParkedStore;
use crate::consumer::{BuildError, ConsumerBuilder};
use crate::publisher::Publisher;
use crate::schema::Codec;
use crate::transport::Producer;
use crate::transport::kafka::{KafkaProducer, ProducerOptions, TopicSpec, scratch, topics};

/// How long making a topic may take.
const TOPIC: Duration = Duration::from_secs(30);

/// Services and a broker under test; see the [module](super). A cheap handle; the services end with the last one.
#[derive(Clone)]
pub struct TestKit {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: TestOptions,
    pub(super) stage: Arc<Stage>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) journal: Arc<Journal>,
    pub(super) faults: Arc<Faults>,
    /// Writes by the brokers' names.
    pub(super) producer: Arc<dyn Producer>,
    /// Keeps parked events where no store is given, for all processes: what the topic of parked events does in production.
    pub(super) parked: MemoryParkedStore,
    pub(super) members: Mutex<Vec<Member>>,
    pub(super) services: Mutex<Vec<Arc<Service>>>,
    pub(super) publishers: AsyncMutex<HashMap<Arc<str>, Publisher>>,
    topics: AsyncMutex<Vec<Arc<str>>>,
    next_member: AtomicU64,
}

impl TestKit {
    /// A kit in memory, with the default [options](TestOptions).
    pub fn in_memory() -> Self {
        Self::new(TestOptions::new())
    }

    /// A kit where the environment says: on real brokers with `TIDINGS_TEST_BROKERS` set, else in memory.
    ///
    /// # Panics
    /// The variables cannot be used.
    #[track_caller]
    pub fn from_environment() -> Self {
        Self::new(TestOptions::from_environment())
    }

    /// A kit of these options.
    ///
    /// # Panics
    /// The Kafka client cannot be made.
    #[track_caller]
    pub fn new(options: TestOptions) -> Self {
        let stage = Arc::new(Stage::new(options.kafka.clone()));
        let producer: Arc<dyn Producer> = match &*stage {
            Stage::Memory(broker) => Arc::new(broker.producer(options.partitions)),
            Stage::Kafka { options: kafka, .. } => {
                // Its threads go on in real time.
                time::resume_tokio();
                match KafkaProducer::new(kafka, &ProducerOptions::new()) {
                    Ok(producer) => Arc::new(producer),
                    Err(error) => fail(Location::caller(), chain(&error)),
                }
            }
        };
        Self {
            inner: Arc::new(Inner {
                options,
                stage,
                clock: Arc::new(ManualClock::new(SystemClock::new().now())),
                journal: Arc::default(),
                faults: Arc::default(),
                producer,
                parked: MemoryParkedStore::new(),
                members: Mutex::default(),
                services: Mutex::default(),
                publishers: AsyncMutex::default(),
                topics: AsyncMutex::default(),
                next_member: AtomicU64::new(1),
            }),
        }
    }

    /// Whether it runs in memory, rather than on real brokers.
    pub fn is_in_memory(&self) -> bool {
        matches!(&*self.inner.stage, Stage::Memory(_))
    }

    /// The clock of services and publishers: it shows the time at which the kit was made, and what was
    /// [advanced](Self::advance) since.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock) as Arc<dyn Clock>
    }

    /// The time by that clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// What encodes and decodes payloads.
    pub fn codec(&self) -> &Codec {
        &self.inner.options.codec
    }

    /// Start a process of the consumer that `builder` describes, as production would. Its topics are created; where its events
    /// are read, what time it is and, unless it was given one, its codec are the kit's affair.
    ///
    /// # Panics
    /// The consumer cannot be built; [`try_start`](Self::try_start) returns the error.
    #[track_caller]
    pub fn start(&self, builder: ConsumerBuilder) -> impl Future<Output = Member> {
        let caller = Location::caller();
        let starting = self.try_start(builder);
        async move { starting.await.unwrap_or_else(|error| fail(caller, chain(&error))) }
    }

    /// As [`start`](Self::start).
    ///
    /// # Errors
    /// The consumer cannot be built.
    #[track_caller]
    pub fn try_start(&self, builder: ConsumerBuilder) -> impl Future<Output = Result<Member, BuildError>> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            let service = Arc::new(Service::new(builder.blueprint(kit.inner.options.codec.clone()).await?));
            for topic in service.topics().into_iter().chain(service.dead_letter_topics()) {
                kit.create_topic(&topic, caller).await;
            }
            kit.inner.services.lock().push(Arc::clone(&service));
            Ok(kit.start_process(&service, caller))
        }
    }

    /// Start one more process of the consumer that was started last: another member of its groups.
    ///
    /// # Panics
    /// None was started.
    #[track_caller]
    pub fn member(&self) -> impl Future<Output = Member> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            let service = kit.inner.services.lock().last().cloned();
            match service {
                Some(service) => kit.start_process(&service, caller),
                None => fail(caller, "no consumer was started: give one to `kit.start(…)` first"),
            }
        }
    }

    pub(super) fn start_process(&self, service: &Arc<Service>, caller: &Location<'_>) -> Member {
        let number = self.inner.next_member.fetch_add(1, Ordering::Relaxed);
        match service.start(&self.inner, number) {
            Ok(process) => {
                let member = Member::new(Arc::downgrade(&self.inner), process);
                self.inner.members.lock().push(member.clone());
                member
            }
            Err(error) => fail(caller, chain(&error)),
        }
    }

    pub(super) async fn create_topic(&self, topic: &Arc<str>, caller: &Location<'_>) {
        let mut known = self.inner.topics.lock().await;
        if known.contains(topic) {
            return;
        }
        let partitions = self.inner.options.partitions;
        match &*self.inner.stage {
            Stage::Memory(broker) => broker.create_topic(topic, i32::try_from(partitions).unwrap_or(i32::MAX)),
            Stage::Kafka { options, .. } => {
                let spec = TopicSpec::new(self.inner.stage.real(topic).to_string(), partitions);
                if let Err(error) = topics::ensure(options, &[spec], TOPIC).await {
                    fail(caller, chain(&error));
                }
            }
        }
        known.push(Arc::clone(topic));
    }

    /// All attempts of handlers so far, in the order they began.
    pub fn attempts(&self) -> Vec<HandlerAttempt> {
        self.inner.journal.lock().attempts.clone()
    }

    /// The attempts after which an event was done, in the order they began.
    pub fn handled(&self) -> Vec<HandlerAttempt> {
        self.attempts().into_iter().filter(|attempt| attempt.outcome.is_done()).collect()
    }

    /// The dead letters so far, in the order they were written.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.inner.journal.lock().dead_letters.clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let members = std::mem::take(self.members.get_mut());
        members.iter().for_each(Member::end);
        if let Stage::Kafka { options, suffix } = &*self.stage {
            let (options, suffix) = (options.clone(), suffix.clone());
            // Leftovers harm nobody, and the test has succeeded or failed already.
            let cleaning = std::thread::Builder::new().name("tidings-test-kit".to_owned()).spawn(move || {
                let give_up = std::time::Instant::now() + Duration::from_secs(10);
                while members.iter().any(|member| !member.has_ended()) && std::time::Instant::now() < give_up {
                    std::thread::sleep(Duration::from_millis(20));
                }
                if let Err(error) = scratch::delete(&options, &suffix) {
                    tracing::warn!(error, "what a test made on the brokers could not be deleted");
                }
            });
            // The process may end with the test.
            let _ = cleaning.map(std::thread::JoinHandle::join);
        }
    }
}

impl fmt::Debug for TestKit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TestKit")
            .field("stage", &self.inner.stage)
            .field("members", &self.inner.members.lock().len())
            .finish_non_exhaustive()
    }
}
