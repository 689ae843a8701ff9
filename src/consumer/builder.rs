//! Building a consumer.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::dispatch_settings::DispatchSettings;
use super::error::BuildError;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use super::inbox::{ConsumerInbox, InboxBuilder};
use super::listing::{self, RouteListing};
use super::options::ConsumerOptions;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use super::parked::DatabaseParkedStore;
use super::parked::ParkedStore;
use super::plan::{BoundDispatcher, BoundRoute, GroupPlan, TopicPlan, bind};
use super::running::{Consumer, Group};
use super::startup;
use super::tenants::{TenantLimits, TenantsBuilder, TenantsSetup};
use crate::clock::{Clock, SystemClock};
use crate::dispatch::{DeliveryOrder, Dispatcher, Extensions, OnExhausted};
use crate::envelope::EnvelopeView;
use crate::schema::Codec;
use crate::transport::kafka::TopicSpec;

/// Builds a [`Consumer`]; see [`Consumer::builder`].
#[must_use]
pub struct ConsumerBuilder {
    options: ConsumerOptions,
    codec: Option<Codec>,
    clock: Arc<dyn Clock>,
    extensions: Extensions,
    parked: Option<Arc<dyn ParkedStore>>,
    dispatchers: Vec<(String, BoundDispatcher)>,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    inbox: InboxBuilder,
    tenants: TenantsBuilder,
    topics: Vec<TopicSpec>,
    error: Option<BuildError>,
}

/// A consumer that is checked, before it has met a broker.
pub(crate) struct Blueprint {
    pub(crate) options: ConsumerOptions,
    pub(crate) codec: Codec,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) extensions: Extensions,
    pub(crate) parked: Option<Arc<dyn ParkedStore>>,
    pub(crate) tenants: Option<TenantsSetup>,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) inbox: Option<ConsumerInbox>,
    pub(crate) plans: Vec<GroupPlan>,
    /// Declarations of the topics it reads.
    pub(crate) topics: Vec<TopicSpec>,
}

impl ConsumerBuilder {
    pub(super) fn new(options: ConsumerOptions) -> Self {
        Self {
            options: options.bounded(),
            codec: None,
            clock: Arc::new(SystemClock::new()),
            extensions: Extensions::new(),
            parked: None,
            dispatchers: Vec::new(),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            inbox: InboxBuilder::default(),
            tenants: TenantsBuilder::default(),
            topics: Vec::new(),
            error: None,
        }
    }

    /// How payloads are decoded: a codec of the schema registry. Default: schemas known in this process only.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Where the time is taken from. Default: the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A value handlers can take as [`State<T>`](crate::State).
    pub fn state<T: Send + Sync + 'static>(mut self, value: impl Into<Arc<T>>) -> Self {
        self.extensions.insert(value.into());
        self
    }

    /// The database of this service. Events of parked keys are kept there, unless a [`parked_store`](Self::parked_store) is given, and
    /// handlers that take a [`Transaction`](crate::database::Transaction) work in it: it keeps their
    /// [inbox](crate::database::inbox). Give it a publisher first if they publish. A handler holds one of its connections while
    /// it runs, so as many handlers run at once as it has connections.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub fn database(self, database: crate::database::Database) -> Self {
        self.shards(crate::database::Shards::one(database))
    }

    /// The databases of this service, as [`database`](Self::database): a handler's transaction is on the shard of the event's key, or of
    /// the field that `#[on(.., shard = field)]` names. Events of parked keys are kept on the first shard.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub fn shards(mut self, shards: crate::database::Shards) -> Self {
        self.inbox.shards = Some(shards);
        self
    }

    /// How the inbox forgets. Default: [`InboxOptions::default`](crate::database::inbox::InboxOptions).
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub fn inbox(mut self, options: crate::database::inbox::InboxOptions) -> Self {
        self.inbox.options = options;
        self
    }

    /// Where events of parked keys are kept. Default: in the tables of the [`database`](Self::database), where one is given, else in
    /// Kafka, in a compacted topic called after the group.
    pub fn parked_store(mut self, store: Arc<dyn ParkedStore>) -> Self {
        self.parked = Some(store);
        self
    }

    /// Share each group of this process among tenants: `tenant_of` names the tenant of an event from its metadata, and `limits` say
    /// what each may use. Default: events belong to nobody, and none of this costs anything.
    ///
    /// While more events can start than there are places, tenants have turns in proportion to their shares; one that is at its
    /// limit is passed over. What has no name, or an empty one, is a tenant too; of a name the first 128 bytes count.
    ///
    /// ```
    /// # use tidings::consumer::{Consumer, ConsumerOptions, TenantLimit, TenantLimits};
    /// let limits = TenantLimits::new().default_limit(TenantLimit::new().rate(200)).tenant("acme", TenantLimit::new().share(3));
    /// let builder = Consumer::builder(ConsumerOptions::new("leaderboards"))
    ///     .tenants(limits, |envelope| envelope.header("tenant").map(Into::into));
    /// ```
    pub fn tenants(
        mut self,
        limits: TenantLimits,
        tenant_of: impl for<'a> Fn(EnvelopeView<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    ) -> Self {
        self.tenants.limits = limits;
        self.tenants.of = Some(Arc::new(tenant_of));
        self
    }

    /// Read the limits of [`tenants`](Self::tenants) from this file, TOML or JSON by its extension, instead of those given there; the
    /// option of the same name says the same. It is looked at every second while the consumer runs, and what is new in it applies at
    /// once. A file that cannot be used is an error at startup; later it is logged, with the line and the column, and the last limits
    /// stay.
    pub fn tenant_limits_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tenants.file = Some(path.into());
        self
    }

    /// Let `dispatcher` handle the events of its source.
    pub fn dispatch<D: Dispatcher>(self, dispatcher: D) -> Self {
        self.dispatch_with(dispatcher, |settings| settings)
    }

    /// Let `dispatcher` handle the events of its source, as `settings` say.
    pub fn dispatch_with<D: Dispatcher>(
        mut self,
        dispatcher: D,
        settings: impl FnOnce(DispatchSettings) -> DispatchSettings,
    ) -> Self {
        let settings = settings(DispatchSettings::default());
        let group = settings.group.unwrap_or_else(|| format!("{}.{}", self.options.service, D::NAME));
        match bind(dispatcher, &self.options, settings.filter.as_ref(), settings.policy) {
            Ok(mut bound) => {
                bound.source = settings.source.unwrap_or(bound.source);
                self.dispatchers.push((group, bound));
            }
            Err(conflict) => self.error = self.error.or(Some(conflict.into())),
        }
        self
    }

    /// The declaration of a topic that is read, to be compared with the topic there is: one with another number of partitions
    /// is an error at startup, since keys have moved, or will. May be given for each source. Default: a topic need only exist.
    pub fn topic(mut self, topic: TopicSpec) -> Self {
        self.topics.push(topic);
        self
    }

    /// What the dispatchers given so far handle.
    pub fn routes(&self) -> Vec<RouteListing> {
        let of_dispatcher = |(group, dispatcher): &(String, BoundDispatcher)| {
            dispatcher
                .routes
                .iter()
                .map(|route| RouteListing::new(&self.options.service, group, dispatcher, route))
                .collect::<Vec<_>>()
        };
        self.dispatchers.iter().flat_map(of_dispatcher).collect()
    }

    /// Check the routes, the brokers and the topics.
    ///
    /// With `TIDINGS_ROUTES=FILE` in the environment it writes [`routes`](Self::routes) there as JSON instead, touches no
    /// broker, and fails with [`BuildError::RoutesWritten`]: that is how `tidings routes` asks a service.
    ///
    /// # Errors
    /// Two handlers take the same events, a topic is missing or has not as many partitions as its
    /// [declaration](Self::topic) says, keys are to be parked and there is nowhere to keep their events, the file of tenants' limits
    /// cannot be used, or no broker answers.
    pub async fn build(self) -> Result<Consumer, BuildError> {
        let blueprint = self.blueprint(Codec::default()).await?;
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let inbox = blueprint.inbox;
        let Blueprint { options, codec, clock, extensions, parked, tenants, plans, topics: declared, .. } = blueprint;
        let mut groups = Vec::with_capacity(plans.len());
        for plan in plans {
            let topics = startup::check_topics(&plan, &options, &declared).await?;
            let producer = startup::dead_letter_producer(&plan, &options, &topics)?;
            let parked = match &parked {
                Some(store) => Some(Arc::clone(store)),
                None => startup::kafka_parked_store(&plan, &options, &topics).await?,
            };
            groups.push(Group { plan, producer, parked, partitions: topics.partitions });
        }
        let consumer = Consumer::new(options, codec, clock, extensions, tenants, groups);
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let consumer = consumer.with_inbox(inbox);
        Ok(consumer)
    }

    /// Check what needs no broker. `codec` is used where none was given.
    pub(crate) async fn blueprint(self, codec: Codec) -> Result<Blueprint, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.dispatchers.is_empty() {
            return Err(BuildError::NoDispatcher);
        }
        if self.options.service.is_empty() {
            return Err(BuildError::NoService);
        }
        startup::check_properties(&self.options)?;
        if let Some(path) = listing::requested() {
            return Err(listing::write(path, &self.routes()));
        }
        let codec = self.codec.unwrap_or(codec);
        for (_, dispatcher) in &self.dispatchers {
            for route in &dispatcher.routes {
                let payloads = std::iter::successors(Some(&route.info.payload), |payload| payload.older);
                for payload in payloads {
                    let learnt = codec.learn(payload.schema);
                    learnt.map_err(|source| BuildError::Schema { handler: route.info.handler, source })?;
                }
            }
        }
        let plans = plans(&self.options, self.dispatchers)?;
        for topic in plans.iter().flat_map(|plan| &plan.topics) {
            check_transactions(topic)?;
        }
        let given = self.parked;
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let given = given.or_else(|| {
            let database = self.inbox.shards.as_ref()?.iter().next()?;
            Some(Arc::new(DatabaseParkedStore::new(database)) as Arc<dyn ParkedStore>)
        });
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let inbox = self.inbox.check(&plans).await?;
        for route in plans.iter().flat_map(GroupPlan::routes) {
            check_parking(route)?;
        }
        startup::check_declared(&self.topics, &plans)?;
        let mut tenants = self.tenants;
        tenants.file = tenants.file.or_else(|| self.options.tenant_limits_file.clone());
        let tenants = tenants.check().await?;
        let Self { options, clock, extensions, topics, .. } = self;
        Ok(Blueprint {
            options,
            codec,
            clock,
            extensions,
            parked: given,
            tenants,
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            inbox,
            plans,
            topics,
        })
    }
}

/// Whether keys can be parked where a policy says so.
fn check_parking(route: &BoundRoute) -> Result<(), BuildError> {
    if route.policy.on_exhausted == OnExhausted::ParkKey && route.order != DeliveryOrder::Key {
        return Err(BuildError::ParkWithoutKeys { handler: route.handler });
    }
    Ok(())
}

/// Whether the events of a topic that are handled in transactions come one after the other. An inbox remembers the latest of each stream,
/// whether it was handled or passed over, and takes what comes behind it for a repeat.
fn check_transactions(topic: &TopicPlan) -> Result<(), BuildError> {
    let mut transactional = topic.routes.iter().filter(|route| route.info.uses_transaction);
    let Some(first) = transactional.clone().next() else { return Ok(()) };
    if let Some(unordered) = transactional.find(|route| route.order == DeliveryOrder::Unordered) {
        return Err(BuildError::UnorderedTransaction { handler: unordered.handler });
    }
    // One that names no event waits for those of one order, and is remembered as passed over for all.
    let has_another = |route: &&BoundRoute| route.order != DeliveryOrder::Unordered && route.order != first.order;
    match topic.routes.iter().find(has_another) {
        Some(other) => Err(BuildError::TransactionsOfTwoOrders { handler: first.handler, other: other.handler }),
        None => Ok(()),
    }
}

/// One plan a group, in the order the groups were first named.
fn plans(options: &ConsumerOptions, dispatchers: Vec<(String, BoundDispatcher)>) -> Result<Vec<GroupPlan>, BuildError> {
    let mut groups: Vec<(String, Vec<BoundDispatcher>)> = Vec::new();
    for (group, dispatcher) in dispatchers {
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push(dispatcher),
            None => groups.push((group, vec![dispatcher])),
        }
    }
    groups.into_iter().map(|(group, members)| Ok(GroupPlan::new(&group, options, members)?)).collect()
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConsumerBuilder")
            .field("options", &self.options)
            .field(
                "dispatchers",
                &self.dispatchers.iter().map(|(group, dispatcher)| (group, dispatcher.name)).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
