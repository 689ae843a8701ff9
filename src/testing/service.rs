//! A service under test: a consumer as its builder describes it, in as many processes as the test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::kit::Inner;
use super::producer::WatchedProducer;
use super::stage::Stage;
use super::watcher::{Watched, WatchedTransport};
use crate::clock::Clock;
use crate::consumer::builder::Blueprint;
use crate::consumer::driver::{spawn_thread, turn_in_task};
use crate::consumer::engine::{Engine, Parts};
use crate::consumer::handle::GroupControls;
use crate::consumer::observer::Observer;
use crate::consumer::parked::ParkedStore;
use crate::consumer::plan::GroupPlan;
use crate::consumer::tenants::WatchedLimits;
use crate::consumer::{ConsumerHandle, RunError, StopReason};
use crate::transport::kafka::StartFrom;
use crate::transport::kafka::consumer::KafkaConsumer;
use crate::transport::{ConsumeError, Producer};

/// A service under test.
pub(super) struct Service {
    blueprint: Blueprint,
}

/// A process of a service: an engine for each group.
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) service: Arc<Service>,
    pub(super) handle: ConsumerHandle,
    pub(super) engines: Vec<Arc<Watched>>,
    /// Take an engine's partitions away, where the broker can be told to.
    pub(super) takers: Vec<Box<dyn Fn() + Send + Sync>>,
    _watched_limits: Option<WatchedLimits>,
}

type Ended = futures_util::future::BoxFuture<'static, Result<(), StopReason>>;
type Started = (Ended, Option<Box<dyn Fn() + Send + Sync>>);

impl Service {
    pub(super) fn new(blueprint: Blueprint) -> Self {
        Self { blueprint }
    }

    /// The topics it reads, by the names the test knows.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.blueprint.plans.iter().flat_map(|plan| plan.topics.iter().map(|topic| Arc::clone(&topic.topic))).collect()
    }

    /// The topics its dead letters go to.
    pub(super) fn dead_letter_topics(&self) -> Vec<Arc<str>> {
        self.blueprint.plans.iter().map(|plan| Arc::clone(&plan.dead_letter_topic)).collect()
    }

    /// The topics with a handler for the event `name`.
    pub(super) fn sources_of(&self, name: &str) -> Vec<Arc<str>> {
        let topics = self.blueprint.plans.iter().flat_map(|plan| &plan.topics);
        let taking = topics.filter(|plan| plan.routes.iter().any(|route| route.info.event == name));
        taking.map(|plan| Arc::clone(&plan.topic)).collect()
    }

    /// The fingerprint of a group's routes, which travels with its commits.
    pub(super) fn fingerprint(&self, group: &str) -> Option<u64> {
        self.blueprint.plans.iter().find(|plan| *plan.group == *group).map(|plan| plan.fingerprint)
    }

    /// Start one more process.
    ///
    /// # Errors
    /// An engine could not be made.
    pub(super) fn start(self: &Arc<Self>, kit: &Inner, number: u64) -> Result<Process, RunError> {
        let Blueprint { plans, parked, tenants, options, .. } = &self.blueprint;
        let groups = plans.iter().map(|plan| {
            let by_default = || plan.parking_route().map(|_| Arc::new(kit.parked.clone()) as Arc<dyn ParkedStore>);
            (kit.stage.real(&plan.group), parked.clone().or_else(by_default))
        });
        let clock = Arc::clone(&kit.clock) as Arc<dyn Clock>;
        let handle = ConsumerHandle::new(groups, clock, options.health.clone(), tenants.as_ref());
        let watched_limits = tenants.as_ref().and_then(|tenants| tenants.watch(&handle, &Handle::current()));
        let (mut engines, mut takers) = (Vec::new(), Vec::new());
        for (plan, controls) in plans.iter().zip(handle.groups()) {
            let topics: Vec<_> = plan.topics.iter().map(|topic| Arc::clone(&topic.topic)).collect();
            let handlers: Vec<_> = plan.routes().map(|route| route.handler).collect();
            let watched = Arc::new(Watched {
                member: number,
                group: Arc::clone(&plan.group),
                stage: Arc::clone(&kit.stage),
                journal: Arc::clone(&kit.journal),
                faults: Arc::clone(&kit.faults),
                shutdown: handle.shutdown(),
                crashed: AtomicBool::new(false),
                ended: AtomicBool::new(false),
                lose: AtomicBool::new(false),
                turns: AtomicU64::new(0),
                commits_under_way: AtomicUsize::new(0),
                wake: Mutex::default(),
            });
            kit.journal.joined(number, &plan.group, &topics, &handlers);
            let parts = parts(kit, &self.blueprint, plan, controls, &watched);
            let started = start_engine(kit, parts, &watched);
            let (ended, taker) = match started {
                Ok(started) => started,
                Err(source) => {
                    kit.journal.left(number, &plan.group, Ok(()));
                    return Err(RunError { group: plan.group.to_string(), source });
                }
            };
            takers.extend(taker);
            tokio::spawn(report(ended, Arc::clone(&watched)));
            engines.push(watched);
        }
        Ok(Process { number, service: Arc::clone(self), handle, engines, takers, _watched_limits: watched_limits })
    }
}

fn parts(
    kit: &Inner,
    blueprint: &Blueprint,
    plan: &GroupPlan,
    controls: &GroupControls,
    watched: &Arc<Watched>,
) -> Parts {
    let mut options = blueprint.options.clone();
    if let Stage::Kafka { options: kafka, .. } = &*kit.stage {
        options.kafka = kafka.clone();
    }
    let producer: Arc<dyn Producer> = Arc::new(WatchedProducer {
        inner: Arc::clone(&kit.producer),
        stage: Arc::clone(&kit.stage),
        journal: Arc::clone(&kit.journal),
        dead_letters: Some(Arc::clone(&kit.faults)),
    });
    let plan = plan.another(|name| kit.stage.real(name));
    let extensions = &blueprint.extensions;
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    let (extensions, passed_over) = match &blueprint.inbox {
        Some(inbox) => inbox.join(&plan, &controls.counters, extensions),
        None => (extensions.clone(), None),
    };
    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    let (extensions, passed_over) = (extensions.clone(), None);
    Parts {
        plan: Arc::new(plan),
        options,
        clock: Arc::clone(&kit.clock) as Arc<dyn Clock>,
        codec: blueprint.codec.clone(),
        extensions,
        producer,
        passed_over,
        parked: controls.parked.clone(),
        runtime: Handle::current(),
        counters: Arc::clone(&controls.counters),
        shutdown: Arc::clone(&watched.shutdown),
        commands: Arc::clone(&controls.commands),
        pauses: Arc::default(),
        tenants: controls.tenants.clone(),
        observer: Some(Arc::clone(watched) as Arc<dyn Observer>),
    }
}

fn start_engine(kit: &Inner, parts: Parts, watched: &Arc<Watched>) -> Result<Started, StopReason> {
    let options = parts.options.clone();
    let watched = Arc::clone(watched);
    match &*kit.stage {
        Stage::Memory(broker) => {
            let transport = broker.member(&parts.plan.group).start_at_end(options.start_from == StartFrom::Latest);
            let (bell, taker) = (transport.bell(), transport.loses_partitions());
            let engine = Engine::new(WatchedTransport::new(transport, watched), parts)?;
            let task = tokio::spawn(turn_in_task(engine, bell));
            let ended = async { task.await.unwrap_or_else(|error| Err(StopReason::Panicked(error.to_string()))) };
            Ok((Box::pin(ended), Some(Box::new(taker))))
        }
        Stage::Kafka { options: kafka, .. } => {
            let (kafka, start_from) = (kafka.clone(), options.start_from);
            let topics = u32::try_from(parts.plan.topics.len()).unwrap_or(u32::MAX);
            let partitions = kit.options.partitions.saturating_mul(topics).max(1);
            let budget = options.max_buffered_bytes / partitions as usize;
            let group = Arc::clone(&parts.plan.group);
            let make = move || {
                let transport = KafkaConsumer::new(&kafka, &parts.plan.group, start_from, budget)?;
                Engine::new(WatchedTransport::new(transport, watched), parts)
            };
            let ended = spawn_thread(&group, Handle::current(), make)
                .map_err(|error| ConsumeError::Client { reason: format!("its thread could not start: {error}") })?;
            let ended =
                async { ended.await.unwrap_or_else(|_| Err(StopReason::Panicked("its thread vanished".to_owned()))) };
            Ok((Box::pin(ended), None))
        }
    }
}
/// Tell the journal how an engine ended.
async fn report(ended: Ended, watched: Arc<Watched>) {
    let result = ended.await;
    // An engine that could not be made had no transport to say so.
    watched.ended.store(true, Ordering::Release);
    let result = result.map_err(|source| RunError { group: watched.group.to_string(), source });
    watched.journal.left(watched.member, &watched.group, result);
}
