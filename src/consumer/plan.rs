//! What a group reads and who handles it: dispatchers with their types erased.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::key::WorkRoute;
use super::options::ConsumerOptions;
use super::retry::FailurePolicy;
use crate::dispatch::{
    BatchFuture, BreakerPolicy, Delivery, DeliveryOrder, Dispatcher, HandlerFuture, Limits, OnExhausted, Policy,
    RouteConflict, RouteHandle, RouteInfo, RouteMatch, Router,
};
use crate::envelope::EnvelopeView;

/// Says from the envelope whether a dispatcher wants an event, without decoding it.
pub(crate) type Filter = Arc<dyn Fn(EnvelopeView<'_>) -> bool + Send + Sync>;

/// A route whose dispatcher's type is erased.
#[derive(Clone)]
pub(crate) struct BoundRoute {
    pub(crate) info: RouteInfo,
    pub(crate) policy: FailurePolicy,
    pub(crate) filter: Option<Filter>,
    /// `{Dispatcher}::{handler}`, for logs, headers and metrics.
    pub(crate) handler: &'static str,
    /// The dispatcher's name.
    pub(crate) dispatcher: &'static str,
    pub(crate) order: DeliveryOrder,
    pub(crate) limits: Limits,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) handle: BoundHandle,
}

/// Runs a handler.
#[derive(Clone)]
pub(crate) enum BoundHandle {
    Single(Arc<dyn Fn(Delivery) -> HandlerFuture + Send + Sync>),
    Batch(Arc<dyn Fn(Vec<Delivery>) -> BatchFuture + Send + Sync>),
}

impl fmt::Debug for BoundRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BoundRoute")
            .field("info", &self.info)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Who handles a topic's events, in one group.
#[derive(Debug)]
pub(crate) struct TopicPlan {
    pub(crate) topic: Arc<str>,
    router: Router,
    pub(crate) routes: Vec<BoundRoute>,
    /// The dispatchers that handle events in transactions: what they pass over is remembered.
    transactional: Vec<&'static str>,
}

impl TopicPlan {
    fn new(topic: Arc<str>, routes: Vec<BoundRoute>) -> Self {
        let router = Router::new(routes.iter().map(|route| &route.info));
        let mut transactional: Vec<_> =
            routes.iter().filter(|route| route.info.uses_transaction).map(|route| route.dispatcher).collect();
        transactional.sort_unstable();
        transactional.dedup();
        Self { topic, router, routes, transactional }
    }

    /// The dispatchers that must remember an event of `route` when it is passed over; of none, when it reached no handler.
    pub(crate) fn remembering(&self, route: WorkRoute) -> Vec<&'static str> {
        let of_route = match route {
            WorkRoute::Route(index) => Some(self.routes[index].dispatcher),
            WorkRoute::Unrouted => None,
        };
        let remembers = |dispatcher: &&'static str| of_route.is_none_or(|of_route| of_route == *dispatcher);
        self.transactional.iter().copied().filter(remembers).collect()
    }

    /// Whether an event of `route`, handled or passed over, is remembered by its place in its stream.
    pub(crate) fn remembers(&self, route: WorkRoute) -> bool {
        match route {
            WorkRoute::Route(index) => self.routes[index].info.uses_transaction,
            WorkRoute::Unrouted => !self.transactional.is_empty(),
        }
    }

    pub(crate) fn route(&self, event: &str, version: Option<&str>) -> RouteMatch {
        self.router.route(event, version)
    }
}

/// A consumer group: its topics, and who handles their events.
#[derive(Debug)]
pub(crate) struct GroupPlan {
    pub(crate) group: Arc<str>,
    pub(crate) dead_letter_topic: Arc<str>,
    /// In the order of their names.
    pub(crate) topics: Vec<TopicPlan>,
    /// Changes when what the group handles does.
    pub(crate) fingerprint: u64,
}

/// A dispatcher's routes, bound to the dispatcher.
pub(crate) struct BoundDispatcher {
    pub(crate) name: &'static str,
    pub(crate) source: String,
    pub(crate) routes: Vec<BoundRoute>,
}

/// Bind `dispatcher` to its routes. `settings` is what its settings say instead of its block; a handler's own word stands.
///
/// # Errors
/// Two of its routes overlap.
pub(crate) fn bind<D: Dispatcher>(
    dispatcher: D,
    options: &ConsumerOptions,
    filter: Option<&Filter>,
    settings: Policy,
) -> Result<BoundDispatcher, RouteConflict> {
    let routes = D::routes();
    routes.check()?;
    let dispatcher = Arc::new(dispatcher);
    let bound = routes.into_iter().map(|route| {
        let dispatcher = Arc::clone(&dispatcher);
        let handle = match route.handle {
            RouteHandle::Single(handle) => {
                BoundHandle::Single(Arc::new(move |delivery| handle(Arc::clone(&dispatcher), delivery)))
            }
            RouteHandle::Batch(handle) => {
                BoundHandle::Batch(Arc::new(move |deliveries| handle(Arc::clone(&dispatcher), deliveries)))
            }
        };
        let mut info = route.info;
        info.policy = info.own.or(settings).or(info.policy);
        bound_route(D::NAME, info, options, filter, handle)
    });
    Ok(BoundDispatcher { name: D::NAME, source: D::SOURCE.to_owned(), routes: bound.collect() })
}

/// A route of `dispatcher` that `handle` runs.
pub(crate) fn bound_route(
    dispatcher: &'static str,
    info: RouteInfo,
    options: &ConsumerOptions,
    filter: Option<&Filter>,
    handle: BoundHandle,
) -> BoundRoute {
    BoundRoute {
        policy: FailurePolicy {
            retry: options.retry.with(info.policy.retry),
            on_exhausted: info.policy.on_exhausted.unwrap_or(options.on_exhausted),
            timeout: info.policy.timeout.unwrap_or(options.timeout),
        },
        filter: filter.cloned(),
        handler: handler_name(dispatcher, info.handler),
        dispatcher,
        order: info.policy.order.unwrap_or(options.order),
        limits: info.policy.limits.or(options.limits()),
        breaker: options.breaker.with(info.policy.breaker),
        info,
        handle,
    }
}

/// Once a route and process, so that names can be copied freely on the hot path.
fn handler_name(dispatcher: &str, method: &str) -> &'static str {
    Box::leak(format!("{dispatcher}::{method}").into_boxed_str())
}

impl GroupPlan {
    /// A route whose policy is to park keys.
    pub(crate) fn parking_route(&self) -> Option<&BoundRoute> {
        self.routes().find(|route| route.policy.on_exhausted == OnExhausted::ParkKey)
    }

    /// All routes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &BoundRoute> {
        self.topics.iter().flat_map(|plan| &plan.routes)
    }

    /// Where the plan of `topic` stands.
    pub(crate) fn index_of(&self, topic: &str) -> Option<usize> {
        self.topics.binary_search_by(|plan| (*plan.topic).cmp(topic)).ok()
    }

    /// The plan of `dispatchers`, which share a group.
    ///
    /// # Errors
    /// Two of them take the same version of an event from the same source.
    pub(crate) fn new(
        group: &str,
        options: &ConsumerOptions,
        dispatchers: Vec<BoundDispatcher>,
    ) -> Result<Self, RouteConflict> {
        let mut by_topic: FxHashMap<Arc<str>, Vec<BoundRoute>> = FxHashMap::default();
        for dispatcher in dispatchers {
            by_topic.entry(dispatcher.source.into()).or_default().extend(dispatcher.routes);
        }
        for routes in by_topic.values() {
            check_disjoint(routes)?;
        }
        let fingerprint = fingerprint(&by_topic);
        let mut topics: Vec<_> = by_topic.into_iter().map(|(topic, routes)| TopicPlan::new(topic, routes)).collect();
        topics.sort_unstable_by(|left, right| left.topic.cmp(&right.topic));
        let dead_letter_topic = options.dead_letter_topic.clone().unwrap_or_else(|| format!("{group}.dead-letters"));
        Ok(Self { group: group.into(), dead_letter_topic: dead_letter_topic.into(), topics, fingerprint })
    }

    /// The same plan for another member of the group, with the group and its topics called what `name` says.
    #[cfg(feature = "testing")]
    pub(crate) fn another(&self, name: impl Fn(&str) -> Arc<str>) -> Self {
        let mut topics: Vec<_> = self
            .topics
            .iter()
            .map(|plan| TopicPlan {
                topic: name(&plan.topic),
                router: Router::new(plan.routes.iter().map(|route| &route.info)),
                routes: plan.routes.clone(),
                transactional: plan.transactional.clone(),
            })
            .collect();
        // A suffix may change what comes first.
        topics.sort_unstable_by(|left, right| left.topic.cmp(&right.topic));
        Self {
            group: name(&self.group),
            dead_letter_topic: name(&self.dead_letter_topic),
            topics,
            fingerprint: self.fingerprint,
        }
    }
}

impl GroupPlan {
    /// Its routes whose handlers work in transactions.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn transactional(&self) -> impl Iterator<Item = &BoundRoute> {
        self.topics.iter().flat_map(|topic| &topic.routes).filter(|route| route.info.uses_transaction)
    }
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits, over what is handled: the same in every build.
fn fingerprint(by_topic: &FxHashMap<Arc<str>, Vec<BoundRoute>>) -> u64 {
    let mut lines: Vec<_> = by_topic
        .iter()
        .flat_map(|(topic, routes)| {
            routes.iter().map(move |route| format!("{topic} {} {}\n", route.info.event, route.info.versions))
        })
        .collect();
    lines.sort_unstable();
    let bytes = lines.iter().flat_map(|line| line.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn check_disjoint(routes: &[BoundRoute]) -> Result<(), RouteConflict> {
    for (index, right) in routes.iter().enumerate() {
        let overlapping = |left: &&BoundRoute| {
            left.info.event == right.info.event && left.info.versions.overlap(&right.info.versions)
        };
        if let Some(left) = routes[..index].iter().find(overlapping) {
            return Err(RouteConflict {
                event: right.info.event,
                left: left.handler,
                left_versions: left.info.versions.clone(),
                right: right.handler,
                right_versions: right.info.versions.clone(),
            });
        }
    }
    Ok(())
}
