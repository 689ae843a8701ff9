//! What the engine's tests share: a broker, one route whose handler is a closure, and a record of what was handled.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::consumer::commands::{Command, Commands};
use crate::consumer::driver::turn_in_task;
use crate::consumer::engine::{Engine, Parts};
use crate::consumer::error::StopReason;
use crate::consumer::health::{GroupHealth, HealthOptions};
use crate::consumer::options::ConsumerOptions;
use crate::consumer::parked::MemoryParkedStore;
use crate::consumer::passed_over::PassedOver;
use crate::consumer::plan::{BoundDispatcher, BoundHandle, Filter, GroupPlan, bound_route};
use crate::consumer::stats::{ConsumerStats, Counters};
use crate::consumer::tenants::{TenantBook, TenantLimits, TenantParts, TenantStats};
use crate::dispatch::{BatchPolicy, Delivery, Extensions, PayloadInfo, Policy, RouteInfo, Versions};
use crate::envelope::header;
use crate::outcome::Outcome;
use crate::schema::Codec;
use crate::transport::memory::{MemoryBroker, MemoryConsumer};
use crate::transport::{
    ConsumerTransport as _, Headers, OutgoingRecord, ProduceError, Producer, Record, TopicPartition, Written,
};

pub(super) const TOPIC: &str = "accounts";
pub(super) const EVENT: &str = "accounts.UserUpdated";

/// Keeps dead letters; refuses the first `refusals`.
#[derive(Debug, Default)]
pub(super) struct Letters {
    pub(super) written: Mutex<Vec<OutgoingRecord>>,
    pub(super) refusals: Mutex<VecDeque<()>>,
    pub(super) too_large: Mutex<bool>,
    /// Whether what is written is never answered.
    pub(super) silent: AtomicBool,
}

impl Producer for Letters {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        if self.silent.load(Ordering::Relaxed) {
            return Ok(std::future::pending().boxed());
        }
        let too_large = *self.too_large.lock();
        let result = match self.refusals.lock().pop_front() {
            _ if too_large => Err(ProduceError::TooLarge { topic: Arc::clone(&record.topic), bytes: 2_000_000 }),
            Some(()) => Err(ProduceError::Refused {
                topic: Arc::clone(&record.topic),
                reason: "told to".into(),
                retryable: true,
            }),
            None => {
                self.written.lock().push(record.clone());
                Ok(Written { partition: 0, offset: Some(0) })
            }
        };
        Ok(async { result }.boxed())
    }

    fn flush(&self, _deadline: Duration) -> BoxFuture<'static, usize> {
        async { 0 }.boxed()
    }

    fn purge(&self) {}
}

/// Notes what is passed over: the dispatcher, the offset, and how many dead letters there were by then. Refuses at first, as
/// often as it is told.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) noted: Mutex<Vec<(&'static str, i64, usize)>>,
    pub(super) refusals: Mutex<VecDeque<()>>,
    letters: Arc<Letters>,
}

impl PassedOver for Passed {
    fn pass_over(
        &self,
        dispatcher: &'static str,
        record: Record,
    ) -> BoxFuture<'static, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        let refused = self.refusals.lock().pop_front().is_some();
        let letters = self.letters.written.lock().len();
        if !refused {
            self.noted.lock().push((dispatcher, record.offset, letters));
        }
        async move { if refused { Err("told to".into()) } else { Ok(()) } }.boxed()
    }
}

/// Keys and offsets, in the order they were handled.
pub(super) type Handled = Arc<Mutex<Vec<(String, i64)>>>;

/// What few tests have other than the rest.
#[derive(Default)]
struct Extra {
    tenants: Option<TenantLimits>,
    codec: Codec,
}

pub(super) struct Rig {
    pub(super) broker: MemoryBroker,
    pub(super) letters: Arc<Letters>,
    pub(super) passed: Arc<Passed>,
    pub(super) parked: MemoryParkedStore,
    pub(super) commands: Arc<Commands>,
    /// Keys and offsets of what was done, in its order.
    pub(super) handled: Handled,
    pub(super) book: Arc<TenantBook>,
    pub(super) counters: Arc<Counters>,
    clock: Arc<SystemClock>,
    limits: HealthOptions,
    shutdown: Arc<AtomicBool>,
    wake: crate::transport::Wake,
    pub(super) task: JoinHandle<Result<(), StopReason>>,
    /// What another engine is made of, and where it runs.
    others: (Handle, Parts),
}

pub(super) fn options() -> ConsumerOptions {
    ConsumerOptions::new("tests").drain_timeout(Duration::from_secs(5))
}

impl Rig {
    /// An engine whose handler is `handler`; what it completes is recorded. All of the topic's two partitions are assigned.
    pub(super) fn start<F, R>(options: ConsumerOptions, handler: F) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        Self::start_with(options, Policy::INHERIT, None, handler)
    }

    pub(super) fn start_with<F, R>(options: ConsumerOptions, policy: Policy, filter: Option<Filter>, handler: F) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let here = Handle::current();
        Self::start_on(&here, &here, options, policy, filter, handler)
    }

    /// The same, where the header `tenant` says whose an event is.
    pub(super) fn start_for<F, R>(tenants: TenantLimits, options: ConsumerOptions, policy: Policy, handler: F) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let here = Handle::current();
        let extra = Extra { tenants: Some(tenants), ..Extra::default() };
        Self::start_single([&here, &here], extra, options, policy, None, handler)
    }

    /// The same as [`start`](Self::start), where `codec` knows the schemas.
    pub(super) fn start_decoding<F, R>(codec: Codec, options: ConsumerOptions, handler: F) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let here = Handle::current();
        let extra = Extra { codec, ..Extra::default() };
        Self::start_single([&here, &here], extra, options, Policy::INHERIT, None, handler)
    }

    /// The engine turns on one runtime, its tasks run on another: a test may block either, and go on.
    #[expect(clippy::needless_pass_by_value, reason = "tests read better so")]
    pub(super) fn start_on<F, R>(
        engine_runtime: &Handle,
        handler_runtime: &Handle,
        options: ConsumerOptions,
        policy: Policy,
        filter: Option<Filter>,
        handler: F,
    ) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let runtimes = [engine_runtime, handler_runtime];
        Self::start_single(runtimes, Extra::default(), options, policy, filter.as_ref(), handler)
    }

    fn start_single<F, R>(
        runtimes: [&Handle; 2],
        extra: Extra,
        options: ConsumerOptions,
        policy: Policy,
        filter: Option<&Filter>,
        handler: F,
    ) -> Self
    where
        F: Fn(Delivery) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let handled = Handled::default();
        let log = Arc::clone(&handled);
        let handle = move |delivery: Delivery| {
            let log = Arc::clone(&log);
            let place = place_of(&delivery);
            let outcome = handler(delivery);
            async move {
                let outcome = outcome.await;
                if matches!(outcome, Outcome::Done) {
                    log.lock().push(place);
                }
                outcome
            }
            .boxed()
        };
        let handle = BoundHandle::Single(Arc::new(handle));
        Self::start_handle(runtimes, extra, options, policy, filter, (handle, None), handled)
    }

    /// An engine whose handler takes batches; what of them it completes is recorded.
    pub(super) fn start_batches<F, R>(options: ConsumerOptions, policy: Policy, batch: BatchPolicy, handler: F) -> Self
    where
        F: Fn(Vec<Delivery>) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<Outcome>> + Send + 'static,
    {
        Self::start_batches_for(None, options, policy, batch, handler)
    }

    /// The same, where the header `tenant` says whose an event is.
    pub(super) fn start_batches_for<F, R>(
        tenants: Option<TenantLimits>,
        options: ConsumerOptions,
        policy: Policy,
        batch: BatchPolicy,
        handler: F,
    ) -> Self
    where
        F: Fn(Vec<Delivery>) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<Outcome>> + Send + 'static,
    {
        let handled = Handled::default();
        let log = Arc::clone(&handled);
        let handle = move |deliveries: Vec<Delivery>| {
            let log = Arc::clone(&log);
            let places: Vec<_> = deliveries.iter().map(place_of).collect();
            let outcomes = handler(deliveries);
            async move {
                let outcomes = outcomes.await;
                let done = |(place, outcome): (_, &Outcome)| matches!(outcome, Outcome::Done).then_some(place);
                log.lock().extend(places.into_iter().zip(&outcomes).filter_map(done));
                outcomes
            }
            .boxed()
        };
        let (here, handle) = (Handle::current(), BoundHandle::Batch(Arc::new(handle)));
        let extra = Extra { tenants, ..Extra::default() };
        Self::start_handle([&here, &here], extra, options, policy, None, (handle, Some(batch)), handled)
    }

    fn start_handle(
        [engine_runtime, handler_runtime]: [&Handle; 2],
        Extra { tenants, codec }: Extra,
        options: ConsumerOptions,
        policy: Policy,
        filter: Option<&Filter>,
        (handle, batch): (BoundHandle, Option<BatchPolicy>),
        handled: Handled,
    ) -> Self {
        let broker = MemoryBroker::new();
        broker.create_topic(TOPIC, 2);
        let info = RouteInfo {
            event: EVENT,
            versions: Versions::Any,
            handler: "handler",
            docs: "",
            policy,
            own: policy,
            payload: PayloadInfo { event: EVENT, version: "1.0.0", schema: "", older: None },
            uses_transaction: true,
            batch,
        };
        let route = bound_route("Tests", info, &options, filter, handle);
        let dispatcher = BoundDispatcher { name: "Tests", source: TOPIC.to_owned(), routes: vec![route] };
        let letters = Arc::new(Letters::default());
        let passed = Arc::new(Passed { letters: Arc::clone(&letters), ..Passed::default() });
        let counters = Arc::new(Counters::default());
        let shutdown = Arc::new(AtomicBool::new(false));
        let (parked, commands) = (MemoryParkedStore::new(), Arc::new(Commands::default()));
        let transport = MemoryConsumer::new(&broker);
        let (bell, wake) = (transport.bell(), transport.wake());
        let has_tenants = tenants.is_some();
        let book = Arc::new(TenantBook::new(Arc::new(tenants.unwrap_or_default())));
        let (clock, limits) = (Arc::new(SystemClock::new()), options.health.clone());
        let parts = Parts {
            plan: Arc::new(GroupPlan::new("tests.Tests", &options, vec![dispatcher]).unwrap()),
            options,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            codec,
            extensions: Extensions::new(),
            producer: Arc::clone(&letters) as Arc<dyn Producer>,
            passed_over: Some(Arc::clone(&passed) as Arc<dyn PassedOver>),
            parked: Some(Arc::new(parked.clone())),
            runtime: handler_runtime.clone(),
            counters: Arc::clone(&counters),
            shutdown: Arc::clone(&shutdown),
            commands: Arc::clone(&commands),
            pauses: Arc::default(),
            tenants: has_tenants.then(|| TenantParts {
                of: Arc::new(|envelope| envelope.header("tenant").map(Into::into)),
                book: Arc::clone(&book),
            }),
            observer: None,
        };
        let engine = Engine::new(transport, parts.clone()).unwrap();
        broker.assign(TOPIC, &[0, 1]);
        let task = engine_runtime.spawn(turn_in_task(engine, bell));
        let others = (engine_runtime.clone(), parts);
        Self {
            broker,
            letters,
            passed,
            parked,
            commands,
            handled,
            book,
            counters,
            clock,
            limits,
            shutdown,
            wake,
            task,
            others,
        }
    }

    /// The group takes the first partition away, and it is given back.
    pub(super) async fn revoke_first(&self) {
        self.broker.revoke(TOPIC, &[0]);
        self.until("it is given back", |rig| rig.stats().assigned == 1).await;
    }

    /// The first partition is lost.
    pub(super) async fn lose_first(&self) {
        self.broker.lose(TOPIC, &[0]);
        self.until("it is gone", |rig| rig.stats().assigned == 1).await;
    }

    /// The first partition is to go on at `offset`.
    pub(super) async fn seek_first(&self, offset: i64) {
        let (done, answer) = oneshot::channel();
        let partition = TopicPartition { topic: TOPIC.into(), partition: 0 };
        self.commands.send(Command::Seek { partition, offset, done });
        assert!(answer.await.unwrap());
    }

    /// Start another engine in place of this one, as supervision does when one has failed.
    pub(super) fn start_again(&mut self) {
        self.task.abort();
        let (runtime, parts) = &self.others;
        let transport = MemoryConsumer::new(&self.broker);
        let bell = transport.bell();
        self.wake = transport.wake();
        let engine = Engine::new(transport, parts.clone()).unwrap();
        self.broker.assign(TOPIC, &[0, 1]);
        self.task = runtime.spawn(turn_in_task(engine, bell));
    }

    /// Append an event of `key` to a partition.
    pub(super) fn publish(&self, partition: i32, key: &str) -> i64 {
        self.publish_event(partition, key, EVENT)
    }

    pub(super) fn publish_event(&self, partition: i32, key: &str, event: &str) -> i64 {
        self.publish_with(Headers::new(), partition, key, event)
    }

    /// Append an event of `tenant`.
    pub(super) fn publish_for(&self, tenant: &str, partition: i32, key: &str) -> i64 {
        let mut headers = Headers::new();
        headers.push_str("tenant", tenant);
        self.publish_with(headers, partition, key, EVENT)
    }

    /// Append an event of each of `keys`, all of them in the memory that is returned, as those are that are fetched together. The
    /// broker forgets them once they were taken.
    pub(super) async fn publish_together(&self, partition: i32, keys: &[&str]) -> Bytes {
        let chunk = Bytes::from(keys.concat().into_bytes());
        let mut start = 0;
        for key in keys {
            let bytes = chunk.slice(start..start + key.len());
            start += key.len();
            self.broker.append_record(Record {
                topic: TOPIC.into(),
                partition,
                offset: -1,
                timestamp_ms: None,
                payload: Some(bytes.clone()),
                key: Some(bytes),
                headers: headers(Headers::new(), partition, key, EVENT),
            });
        }
        let taken = |rig: &Self| {
            let records = [0, 1].map(|partition| rig.broker.records(TOPIC, partition).len()).iter().sum::<usize>();
            rig.health().consumed.iter().map(|(_, taken)| *taken).sum::<u64>() == records as u64
        };
        self.until("they are taken", taken).await;
        self.broker.truncate(TOPIC, partition);
        chunk
    }

    fn publish_with(&self, headers: Headers, partition: i32, key: &str, event: &str) -> i64 {
        let headers = self::headers(headers, partition, key, event);
        // No key at all, where a test names none.
        let key = (!key.is_empty()).then_some(key.as_bytes());
        self.broker.append(TOPIC, partition, key, Some(b"payload"), headers)
    }

    /// What is known of `tenant`.
    pub(super) fn tenant(&self, tenant: &str) -> Option<TenantStats> {
        self.book.read(&"tests".into()).into_iter().find(|stats| &*stats.tenant == tenant)
    }

    /// Change the limits of tenants.
    pub(super) fn set_limits(&self, limits: TenantLimits) {
        self.book.set_limits(Arc::new(limits));
        self.commands.send(Command::ReloadTenantLimits);
    }

    pub(super) fn stats(&self) -> ConsumerStats {
        self.counters.read()
    }

    pub(super) fn health(&self) -> GroupHealth {
        self.counters.pulse.health("tests.Tests", self.clock.monotonic(), &self.limits)
    }

    /// Wait until `condition` holds. Time is paused, so it passes only while nothing else can run.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; handled {:?}, {:?}", self.handled.lock(), self.stats());
    }

    pub(super) fn shut_down(&self) {
        self.shutdown.store(true, Ordering::Release);
        (self.wake)();
    }

    /// What was handled of `key`, in order.
    pub(super) fn handled_of(&self, key: &str) -> Vec<i64> {
        self.handled.lock().iter().filter(|(handled, _)| handled == key).map(|(_, offset)| *offset).collect()
    }
}

fn headers(mut headers: Headers, partition: i32, key: &str, event: &str) -> Headers {
    headers.push_str(header::TYPE, event);
    headers.push_str(header::SCHEMA_VERSION, "1.0.0");
    headers.push_str(header::ID, &format!("{partition}-{key}"));
    headers
}

pub(super) fn key_of(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.record().key.as_deref().unwrap_or_default()).into_owned()
}

fn place_of(delivery: &Delivery) -> (String, i64) {
    (key_of(delivery), delivery.record().offset)
}
