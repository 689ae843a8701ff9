//! A record on its way to a handler.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

#[cfg(any(feature = "mysql", feature = "sqlite"))]
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::DeliveryOrder;
use crate::envelope::EnvelopeView;
use crate::outcome::Outcome;
use crate::schema::Codec;
use crate::transport::Record;

/// A record on its way to a handler. A cheap handle: clones share the record.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

/// What a delivery is made of.
#[derive(Debug)]
pub struct DeliveryParts {
    /// The record.
    pub record: Record,
    /// What all deliveries of a group share.
    pub context: Arc<DeliveryContext>,
    /// The handler's name.
    pub handler: &'static str,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What all deliveries of a group share.
#[derive(Debug)]
pub struct DeliveryContext {
    /// Turns payloads into types.
    pub codec: Codec,
    /// The state handlers may ask for.
    pub extensions: Extensions,
    /// The consumer group.
    pub group: Arc<str>,
}

struct Shared {
    parts: DeliveryParts,
    order: DeliveryOrder,
    hooks: Mutex<Vec<CompletionHook>>,
    /// What extractors keep for each other, one value a type: few, so a list will do.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    kept: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

/// Runs between a handler's return and the event's completion; may change the outcome. A handler's transaction commits here.
pub type CompletionHook = Box<dyn FnOnce(Outcome) -> BoxFuture<'static, Outcome> + Send>;

/// The same for several deliveries of a batch, with an outcome each. The transaction of a batch commits here.
pub(crate) type BatchHook = Box<dyn FnOnce(Vec<Outcome>) -> BoxFuture<'static, Vec<Outcome>> + Send>;

/// What each of the deliveries keeps that a batch's hook is for.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
struct SharedHook(Mutex<Option<BatchHook>>);

impl Delivery {
    /// A delivery of these parts.
    pub fn new(parts: DeliveryParts) -> Self {
        Self::with_order(parts, DeliveryOrder::Key)
    }

    fn with_order(parts: DeliveryParts, order: DeliveryOrder) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                order,
                hooks: Mutex::default(),
                #[cfg(any(feature = "mysql", feature = "sqlite"))]
                kept: Mutex::default(),
            }),
        }
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.shared.parts.record
    }

    /// The record's envelope.
    pub fn envelope(&self) -> EnvelopeView<'_> {
        EnvelopeView::new(&self.record().headers)
    }

    /// The codec of the consumer.
    pub fn codec(&self) -> &Codec {
        &self.shared.parts.context.codec
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.shared.parts.context.group
    }

    /// The handler's name.
    pub fn handler(&self) -> &'static str {
        self.shared.parts.handler
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.shared.parts.attempt
    }

    /// State of type `T` given to the consumer's builder.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.shared.parts.context.extensions.get()
    }

    /// Run `hook` after the handler returns and before the event counts as complete. The last one registered runs first.
    pub fn on_completion(&self, hook: CompletionHook) {
        self.shared.hooks.lock().push(hook);
    }

    /// Whether this one must not be handled before `earlier`, which was read before it.
    pub(crate) fn is_behind(&self, earlier: &Self) -> bool {
        let (this, other) = (self.record(), earlier.record());
        this.partition == other.partition
            && this.topic == other.topic
            && match self.shared.order {
                DeliveryOrder::Key => this.key.is_some() && this.key == other.key,
                DeliveryOrder::Partition => true,
                DeliveryOrder::Unordered => false,
            }
    }

    /// Run the hooks registered, the last one first, as a consumer does when the handler has returned `outcome`; what becomes of
    /// the delivery. For whoever runs handlers without a consumer.
    pub async fn complete(&self, mut outcome: Outcome) -> Outcome {
        for hook in self.take_completion_hooks().into_iter().rev() {
            outcome = hook(outcome).await;
        }
        outcome
    }

    /// The same for a batch. What `deliveries` have in common is completed last.
    pub async fn complete_all(deliveries: &[Self], outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let mut completed = Vec::with_capacity(outcomes.len());
        for (delivery, outcome) in deliveries.iter().zip(outcomes) {
            completed.push(delivery.complete(outcome).await);
        }
        match Self::take_batch_hook(deliveries) {
            Some(hook) => hook(completed).await,
            None => completed,
        }
    }

    /// Run `hook` once for all of `deliveries`, behind the hooks of each. One hook a batch: a later one takes an earlier one's place.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn on_batch_completion(deliveries: &[Self], hook: BatchHook) {
        let hook = Arc::new(SharedHook(Mutex::new(Some(hook))));
        for delivery in deliveries {
            delivery.share_value(Arc::clone(&hook));
        }
    }

    /// What is left to do for `deliveries`, those of a batch, together. It takes and returns the outcomes of all of them, and
    /// leaves those alone that it is not for. Handed out once.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn take_batch_hook(deliveries: &[Self]) -> Option<BatchHook> {
        let shared = |delivery: &Self| delivery.shared_value::<SharedHook>();
        let hook = deliveries.iter().find_map(|delivery| shared(delivery)?.0.lock().take())?;
        let concerned: Vec<bool> = deliveries.iter().map(|delivery| shared(delivery).is_some()).collect();
        Some(Box::new(move |outcomes| {
            async move {
                let (mut its_own, mut places) = (Vec::new(), Vec::with_capacity(outcomes.len()));
                for (outcome, concerned) in outcomes.into_iter().zip(concerned) {
                    if concerned {
                        its_own.push(outcome);
                        places.push(None);
                    } else {
                        places.push(Some(outcome));
                    }
                }
                let mut completed = hook(its_own).await.into_iter();
                places.into_iter().filter_map(|place| place.or_else(|| completed.next())).collect()
            }
            .boxed()
        }))
    }

    /// Without a database, nothing is.
    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    pub(crate) const fn take_batch_hook(_deliveries: &[Self]) -> Option<BatchHook> {
        None
    }

    /// What an extractor keeps for the others of this attempt.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn shared_value<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let values = self.shared.kept.lock();
        values.iter().find_map(|value| Arc::clone(value).downcast().ok())
    }

    /// Keep `value` for the other extractors of this attempt.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn share_value<T: Send + Sync + 'static>(&self, value: Arc<T>) {
        self.shared.kept.lock().push(value);
    }

    /// Become the delivery of attempt `attempt` at `handler`, whose events are in `order`. Where somebody still holds an earlier
    /// attempt's, that one stays as it is.
    #[cfg(feature = "consumer")]
    pub(crate) fn begin_attempt(&mut self, handler: &'static str, attempt: u32, order: DeliveryOrder) {
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => {
                shared.parts.handler = handler;
                shared.parts.attempt = attempt;
                shared.order = order;
                // An earlier attempt was cut short before it came to them.
                shared.hooks.get_mut().clear();
                #[cfg(any(feature = "mysql", feature = "sqlite"))]
                shared.kept.get_mut().clear();
            }
            None => self.replace(self.record().clone(), handler, attempt, order),
        }
    }

    /// Hold the record in memory of its own: it has to wait, and would keep its neighbours in memory.
    #[cfg(feature = "consumer")]
    pub(crate) fn detach(&mut self) {
        let detached = self.record().detached();
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.parts.record = detached,
            None => self.replace(detached, self.handler(), self.attempt(), self.shared.order),
        }
    }

    #[cfg(feature = "consumer")]
    fn replace(&mut self, record: Record, handler: &'static str, attempt: u32, order: DeliveryOrder) {
        let context = Arc::clone(&self.shared.parts.context);
        *self = Self::with_order(DeliveryParts { record, context, handler, attempt }, order);
    }

    /// The hooks registered, first one first; each is handed out once.
    pub(crate) fn take_completion_hooks(&self) -> Vec<CompletionHook> {
        std::mem::take(&mut *self.shared.hooks.lock())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("record", self.record())
            .field("handler", &self.handler())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

/// State that handlers may ask for, one value a type.
#[derive(Clone, Default)]
pub struct Extensions {
    values: FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Extensions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keep `value`; one of the same type is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.values.insert(TypeId::of::<T>(), value);
    }

    /// The value of type `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.values.get(&TypeId::of::<T>()).cloned().and_then(|value| value.downcast().ok())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Extensions").field("values", &self.values.len()).finish()
    }
}
