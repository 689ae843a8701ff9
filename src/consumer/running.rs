//! A consumer while it runs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::future::{self, Either};
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::builder::ConsumerBuilder;
use super::driver::spawn_thread;
use super::engine::{Engine, Parts};
use super::error::{RunError, StopReason};
use super::health::{ConsumerHealth, HealthOptions, watch};
use super::options::ConsumerOptions;
use super::plan::GroupPlan;
use super::stats::{ConsumerStats, Counters};
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
    groups: Vec<Group>,
    handle: ConsumerHandle,
}

/// A group that is ready to run.
pub(super) struct Group {
    pub(super) plan: GroupPlan,
    pub(super) producer: Arc<dyn Producer>,
    /// Of all its topics.
    pub(super) partitions: u32,
}

/// Watches and stops a running consumer. A cheap handle.
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    shutdown: Arc<AtomicBool>,
    counters: Arc<[(Arc<str>, Arc<Counters>)]>,
    clock: Arc<dyn Clock>,
    health: HealthOptions,
}

impl ConsumerHandle {
    /// Of these groups.
    pub(crate) fn of(
        counters: impl Into<Arc<[(Arc<str>, Arc<Counters>)]>>,
        clock: Arc<dyn Clock>,
        health: HealthOptions,
    ) -> Self {
        Self { shutdown: Arc::default(), counters: counters.into(), clock, health }
    }

    /// Begin an orderly stop: running handlers finish, and what they did is committed.
    pub fn shut_down(&self) {
        self.shutdown.store(true, Ordering::Release);
    }

    /// Whether an orderly stop has begun.
    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdown.load(Ordering::Acquire)
    }

    /// How healthy the consumer is: whether its threads turn, and whether it gets on with its partitions; and if not, why.
    pub fn health(&self) -> ConsumerHealth {
        let now = self.clock.monotonic();
        let of_group = |(group, counters): &(Arc<str>, Arc<Counters>)| counters.pulse.health(group, now, &self.health);
        ConsumerHealth::of(self.counters.iter().map(of_group).collect())
    }

    /// What all groups have done.
    pub fn stats(&self) -> ConsumerStats {
        self.counters.iter().map(|(_, counters)| counters.read()).fold(ConsumerStats::default(), std::ops::Add::add)
    }

    /// What each group has done.
    pub fn stats_by_group(&self) -> Vec<(Arc<str>, ConsumerStats)> {
        self.counters.iter().map(|(group, counters)| (Arc::clone(group), counters.read())).collect()
    }
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
        groups: Vec<Group>,
    ) -> Self {
        let counters: Vec<_> = groups.iter().map(|group| (Arc::clone(&group.plan.group), Arc::default())).collect();
        let handle = ConsumerHandle::of(counters, Arc::clone(&clock), options.health.clone());
        Self { options, codec, clock, extensions, groups, handle }
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
        for (group, (name, counters)) in self.groups.into_iter().zip(self.handle.counters.iter()) {
            let partitions = group.partitions;
            let parts = Parts {
                plan: group.plan,
                options: self.options.clone(),
                clock: Arc::clone(&self.clock),
                codec: self.codec.clone(),
                extensions: self.extensions.clone(),
                producer: group.producer,
                runtime: runtime.clone(),
                counters: Arc::clone(counters),
                shutdown: Arc::clone(&self.handle.shutdown),
            };
            let options = self.options.clone();
            let counters = Arc::clone(counters);
            let group = Arc::clone(name);
            let make = move || {
                let budget = options.max_buffered_bytes / (partitions.max(1) as usize);
                let transport = KafkaConsumer::new(&options.kafka, &parts.plan.group, options.start_from, budget)?;
                Engine::new(transport, parts)
            };
            let started = spawn_thread(&group, runtime.clone(), make);
            engines.push(async move {
                let ended = match started {
                    Ok(ended) => {
                        ended.await.unwrap_or_else(|_| Err(StopReason::Panicked("its thread vanished".to_owned())))
                    }
                    Err(error) => {
                        Err(ConsumeError::Client { reason: format!("its thread could not start: {error}") }.into())
                    }
                };
                // Where it could not even begin, nobody has told yet.
                counters.pulse.end(ended.as_ref().err().map(ToString::to_string));
                ended.map_err(|source| RunError { group: group.to_string(), source })
            });
        }
        engines
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
