//! A consumer while it runs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::future::{self, Either};
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::builder::ConsumerBuilder;
use super::driver::spawn_thread;
use super::engine::{Engine, Parts};
use super::error::{RunError, StopReason};
use super::handle::ConsumerHandle;
use super::health::watch;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use super::inbox::ConsumerInbox;
use super::options::ConsumerOptions;
use super::parked::ParkedStore;
use super::plan::GroupPlan;
use super::supervision::Restarts;
use super::tenants::TenantsSetup;
use crate::clock::Clock;
use crate::dispatch::Extensions;
use crate::schema::Codec;
use crate::transport::kafka::consumer::KafkaConsumer;
use crate::transport::{ConsumeError, Producer};

/// Reads events and hands them to dispatchers: one Kafka client and one thread a group.
///
/// ```no_run
/// # use tidings::consumer::{Consumer, ConsumerOptions};
/// # async fn example<D: tidings::Dispatcher>(leaderboards: D) -> Result<(), Box<dyn std::error::Error>> {
/// let consumer = Consumer::builder(ConsumerOptions::new("leaderboards")).dispatch(leaderboards).build().await?;
/// // Until SIGTERM or SIGINT; then running handlers finish, and what they did is committed.
/// consumer.run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Consumer {
    options: ConsumerOptions,
    codec: Codec,
    clock: Arc<dyn Clock>,
    extensions: Extensions,
    tenants: Option<TenantsSetup>,
    groups: Vec<Group>,
    handle: ConsumerHandle,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    inbox: Option<ConsumerInbox>,
}

/// A group that is ready to run.
pub(super) struct Group {
    pub(super) plan: GroupPlan,
    pub(super) producer: Arc<dyn Producer>,
    pub(super) parked: Option<Arc<dyn ParkedStore>>,
    /// Of all its topics.
    pub(super) partitions: u32,
}

/// Stops the engines when the future that awaits them is dropped.
struct StopOnDrop(ConsumerHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// Ends a task when the future it serves ends.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Consumer {
    /// Begin to build a consumer.
    pub fn builder(options: ConsumerOptions) -> ConsumerBuilder {
        ConsumerBuilder::new(options)
    }

    pub(super) fn new(
        options: ConsumerOptions,
        codec: Codec,
        clock: Arc<dyn Clock>,
        extensions: Extensions,
        tenants: Option<TenantsSetup>,
        groups: Vec<Group>,
    ) -> Self {
        let names = groups.iter().map(|group| (Arc::clone(&group.plan.group), group.parked.clone()));
        let handle = ConsumerHandle::new(names, Arc::clone(&clock), options.health.clone(), tenants.as_ref());
        Self {
            options,
            codec,
            clock,
            extensions,
            tenants,
            groups,
            handle,
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            inbox: None,
        }
    }

    /// The same consumer, with the inbox of its groups.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn with_inbox(mut self, inbox: Option<ConsumerInbox>) -> Self {
        self.inbox = inbox;
        self
    }

    /// Watches and stops this consumer while it runs.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Handle events until SIGTERM or SIGINT, then stop in order. Dropping the future stops in order too, in the background.
    ///
    /// # Errors
    /// The client cannot go on, or an event failed whose policy is to stop.
    pub async fn run(self) -> Result<(), RunError> {
        self.run_until(terminated()).await
    }

    /// Handle events until `stop` resolves, then stop in order.
    ///
    /// # Errors
    /// The client cannot go on, or an event failed whose policy is to stop.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let handle = self.handle.clone();
        let _stop_on_drop = StopOnDrop(handle.clone());
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let _upkeep = self.inbox.as_ref().map(|inbox| {
            let groups = self.groups.iter().map(|group| Arc::clone(&group.plan.group)).collect();
            inbox.keep_up(groups, &Handle::current())
        });
        let _watched_limits = self.tenants.as_ref().and_then(|tenants| tenants.watch(&handle, &Handle::current()));
        let _watch = AbortOnDrop(tokio::spawn(watch(handle.clone())).abort_handle());
        let mut engines = self.start();
        let mut result = Ok(());
        {
            let stop = std::pin::pin!(stop);
            let first = engines.next();
            match future::select(stop, first).await {
                Either::Left(((), _)) => {}
                Either::Right((ended, _)) => result = ended.unwrap_or(Ok(())),
            }
        }
        handle.shut_down();
        while let Some(ended) = engines.next().await {
            result = result.and(ended);
        }
        result
    }

    fn start(self) -> FuturesUnordered<impl Future<Output = Result<(), RunError>>> {
        let runtime = Handle::current();
        let engines = FuturesUnordered::new();
        for (group, controls) in self.groups.into_iter().zip(self.handle.groups()) {
            let partitions = group.partitions;
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            let (extensions, passed_over) = match &self.inbox {
                Some(inbox) => inbox.join(&group.plan, &controls.counters, &self.extensions),
                None => (self.extensions.clone(), None),
            };
            #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
            let (extensions, passed_over) = (self.extensions.clone(), None);
            let parts = Parts {
                plan: Arc::new(group.plan),
                options: self.options.clone(),
                clock: Arc::clone(&self.clock),
                codec: self.codec.clone(),
                extensions,
                producer: group.producer,
                passed_over,
                parked: group.parked,
                runtime: runtime.clone(),
                counters: Arc::clone(&controls.counters),
                shutdown: self.handle.shutdown(),
                commands: Arc::clone(&controls.commands),
                pauses: Arc::default(),
                tenants: controls.tenants.clone(),
                observer: None,
            };
            let (name, counters) = (Arc::clone(&controls.group), Arc::clone(&controls.counters));
            engines.push(async move {
                let ended = supervise(parts, partitions).await;
                // Also where it could not even begin.
                counters.pulse.end(&ended.as_ref().err().map_or("it was stopped".to_owned(), ToString::to_string));
                ended.map_err(|source| RunError { group: name.to_string(), source })
            });
        }
        engines
    }
}

/// The payloads that the client may hold of one partition. It counts nothing else, and a record's headers and the client's own
/// notes come to several times as much: a quarter of the budget for payloads is about the budget for all of it.
fn queue_bytes(budget: usize, partitions: u32) -> usize {
    budget / 4 / partitions.max(1) as usize
}

/// Run a group's engine, and start it again when it fails in a way that a new one may not: as often as the options allow.
async fn supervise(parts: Parts, partitions: u32) -> Result<(), StopReason> {
    let (clock, options) = (Arc::clone(&parts.clock), parts.options.clone());
    let mut restarts = Restarts::new(options.max_restarts, options.restart_window);
    loop {
        let (name, runtime) = (Arc::clone(&parts.plan.group), parts.runtime.clone());
        let (parts_of_engine, options) = (parts.clone(), options.clone());
        let make = move || {
            let group = &parts_of_engine.plan.group;
            let queue_bytes = queue_bytes(options.max_buffered_bytes, partitions);
            let transport = KafkaConsumer::new(&options.kafka, group, options.start_from, queue_bytes)?;
            Engine::new(transport, parts_of_engine)
        };
        let ended = match spawn_thread(&name, runtime, make) {
            Ok(ended) => ended.await.unwrap_or_else(|_| Err(StopReason::Panicked("its thread vanished".to_owned()))),
            Err(error) => Err(ConsumeError::Client { reason: format!("its thread could not start: {error}") }.into()),
        };
        let Err(reason) = ended else { return Ok(()) };
        let stopping = || parts.shutdown.load(Ordering::Acquire);
        if stopping() || !reason.may_pass() {
            return Err(reason);
        }
        let pause = restarts.next(clock.monotonic(), reason)?;
        tracing::error!(group = &*name, restart = restarts.count(), "the group's engine failed and is started again");
        tokio::time::sleep(pause).await;
        if stopping() {
            return Ok(());
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.groups.iter().map(|group| &group.plan.group).collect();
        formatter
            .debug_struct("Consumer")
            .field("options", &self.options)
            .field("groups", &groups)
            .finish_non_exhaustive()
    }
}

/// Resolves when the process is asked to end.
pub(crate) async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            let interrupted = std::pin::pin!(tokio::signal::ctrl_c());
            let terminate = std::pin::pin!(terminate.recv());
            future::select(interrupted, terminate).await;
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        tracing::warn!("signals cannot be listened for; stop the consumer through its handle");
        future::pending::<()>().await;
    }
}
