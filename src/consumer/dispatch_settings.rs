//! How one dispatcher takes part in a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Filter;
use crate::dispatch::{BreakerOverrides, DeliveryOrder, OnExhausted, Policy, RetryOverrides};
use crate::envelope::EnvelopeView;

/// How one dispatcher takes part: its group, its source, its filter, and its policy, by the names of
/// [`#[dispatcher]`](macro@crate::dispatcher) and of [`ConsumerOptions`](super::ConsumerOptions). A policy here replaces what the
/// dispatcher's block says; what a handler says itself stands.
///
/// ```
/// use std::time::Duration;
/// use tidings::consumer::DispatchSettings;
/// use tidings::dispatch::{OnExhausted, RetryOverrides};
///
/// fn of_a_slow_neighbour(settings: DispatchSettings) -> DispatchSettings {
///     settings
///         .retry(RetryOverrides::new().max_attempts(3))
///         .on_exhausted(OnExhausted::ParkKey)
///         .timeout(Duration::from_secs(5))
///         .concurrency(8)
/// }
/// # let _ = of_a_slow_neighbour(DispatchSettings::default());
/// ```
#[derive(Default)]
#[must_use]
pub struct DispatchSettings {
    pub(super) group: Option<String>,
    pub(super) source: Option<String>,
    pub(super) filter: Option<Filter>,
    pub(super) policy: Policy,
}

impl DispatchSettings {
    /// The consumer group. Default: `{service}.{Dispatcher}`, so that every dispatcher sees every event. Dispatchers that name
    /// one group share its work: they are read by one client, and no two may take the same version of an event.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Read the events of this source instead of the one the dispatcher names: for environments that share a cluster and
    /// give their services names of their own, such as `staging.accounts`. Default: the dispatcher's.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Skip events for which `wanted` is false. It sees the envelope; the payload is not decoded.
    pub fn filter(mut self, wanted: impl Fn(EnvelopeView<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(wanted));
        self
    }

    /// When and how often failed events are tried again; what it leaves out is as the block says, else as the consumer's options.
    pub fn retry(mut self, retry: RetryOverrides) -> Self {
        self.policy.retry = retry;
        self
    }

    /// What becomes of an event that failed for good. Default: as the block says, else as the consumer's options.
    pub fn on_exhausted(mut self, action: OnExhausted) -> Self {
        self.policy = self.policy.on_exhausted(action);
        self
    }

    /// How long one attempt of a handler may take. Default: as the block says, else as the consumer's options.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.timeout(timeout);
        self
    }

    /// Which events wait for which. Default: as the block says, else as the consumer's options.
    pub fn order(mut self, order: DeliveryOrder) -> Self {
        self.policy = self.policy.order(order);
        self
    }

    /// How many attempts run at once, at least 1, of each handler. Default: as the block says, else as the consumer's options.
    pub fn concurrency(mut self, attempts: u32) -> Self {
        self.policy = self.policy.concurrency(attempts);
        self
    }

    /// How many attempts begin in a second, at least 1, of each handler. Default: as the block says, else as the consumer's options.
    pub fn rate(mut self, attempts_per_second: u32) -> Self {
        self.policy = self.policy.rate(attempts_per_second);
        self
    }

    /// How many keys wait for each handler's limits or its breaker; an event of one more is rejected. Default: as the block says, else
    /// as the consumer's options.
    pub fn max_waiting(mut self, keys: u32) -> Self {
        self.policy = self.policy.max_waiting(keys);
        self
    }

    /// When a handler is paused that fails whatever it is given; what it leaves out is as the block says, else as the consumer's
    /// options.
    pub fn breaker(mut self, breaker: BreakerOverrides) -> Self {
        self.policy.breaker = breaker;
        self
    }
}

impl fmt::Debug for DispatchSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DispatchSettings")
            .field("group", &self.group)
            .field("source", &self.source)
            .field("filter", &self.filter.is_some())
            .field("policy", &self.policy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::ConsumerOptions;
    use super::super::plan::{BoundRoute, bind};
    use super::*;
    use crate::dispatch::{
        BreakerPolicy, Dispatcher, Limits, PayloadInfo, RetryPolicy, Route, RouteHandle, RouteInfo, Routes, Versions,
    };

    /// A block that says a part, with one handler that says a part of its own.
    struct Said;

    const HANDLERS: Policy = Policy::INHERIT.max_attempts(1).rate(1).breaker_keys(1);
    const BLOCKS: Policy =
        Policy::INHERIT.max_attempts(2).rate(2).breaker_keys(2).initial(MS).max_waiting(2).timeout(MS);
    const MS: Duration = Duration::from_millis(2);

    impl Dispatcher for Said {
        const SOURCE: &'static str = "accounts";
        const NAME: &'static str = "Said";

        fn routes() -> Routes<Self> {
            let info = RouteInfo {
                event: "accounts.UserUpdated",
                versions: Versions::Any,
                handler: "on_user_updated",
                docs: "",
                policy: BLOCKS,
                own: HANDLERS,
                payload: PayloadInfo { event: "accounts.UserUpdated", version: "1.0.0", schema: "", older: None },
                uses_transaction: false,
                batch: None,
            };
            let handle = RouteHandle::Single(|_, _| Box::pin(async { crate::Outcome::Done }));
            [Route { info, handle }].into()
        }
    }

    fn bound(options: &ConsumerOptions, settings: &DispatchSettings) -> BoundRoute {
        let bound = bind(Said, options, None, settings.policy).unwrap();
        bound.routes.into_iter().next().unwrap()
    }

    #[test]
    fn a_handlers_word_comes_first_then_the_settings_the_blocks_and_the_consumers() {
        let ms = Duration::from_millis;
        let options = ConsumerOptions::new("leaderboards")
            .retry(RetryPolicy::default().max_attempts(4).initial(ms(4)).max(ms(4)).max_age(ms(4)))
            .on_exhausted(OnExhausted::Stop)
            .timeout(ms(4))
            .order(DeliveryOrder::Partition)
            .concurrency(4)
            .rate(4)
            .max_waiting(4)
            .breaker(BreakerPolicy::default().keys(4).pause(ms(4)).max_pause(ms(4)));
        let route = bound(&options, &DispatchSettings::default());
        assert_eq!(route.policy.retry, options.retry.max_attempts(1).initial(MS));
        assert_eq!((route.policy.on_exhausted, route.policy.timeout), (OnExhausted::Stop, MS));
        assert_eq!(route.order, DeliveryOrder::Partition);
        assert_eq!(route.limits, Limits { concurrency: Some(4), rate: Some(1), max_waiting: Some(2) });
        assert_eq!(route.breaker, options.breaker.keys(1));

        let settings = DispatchSettings::default()
            .retry(RetryOverrides::new().max_attempts(3).initial(ms(3)).max(ms(3)))
            .on_exhausted(OnExhausted::ParkKey)
            .timeout(ms(3))
            .order(DeliveryOrder::Key)
            .concurrency(3)
            .rate(3)
            .max_waiting(3)
            .breaker(BreakerOverrides::new().keys(3).pause(ms(3)).max_pause(ms(3)));
        let route = bound(&options, &settings);
        assert_eq!(route.policy.retry, options.retry.max_attempts(1).initial(ms(3)).max(ms(3)));
        assert_eq!((route.policy.on_exhausted, route.policy.timeout), (OnExhausted::ParkKey, ms(3)));
        assert_eq!(route.order, DeliveryOrder::Key);
        assert_eq!(route.limits, Limits { concurrency: Some(3), rate: Some(1), max_waiting: Some(3) });
        assert_eq!(route.breaker, options.breaker.keys(1).pause(ms(3)).max_pause(ms(3)));
    }
}
