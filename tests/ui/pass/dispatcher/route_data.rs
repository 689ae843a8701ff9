//! Everything the attributes say is in the routes: the block's options are defaults, which a handler replaces one by one.

use std::time::Duration;

use tidings::dispatch::{DeliveryOrder, OnExhausted, Policy, Versions};
use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated, UserUpdatedV3};

struct r#Leaderboards;

#[dispatcher(
    source = "accounts",
    name = "boards",
    retry(max_attempts = 8, initial = "200ms", max = "1m"),
    on_exhausted = "dead_letter",
    timeout = "30s",
    order = "partition",
    concurrency = 8,
    rate = 1_000,
    max_waiting = 5_000,
    breaker(keys = 20, pause = "5s", max_pause = "1m"),
)]
impl r#Leaderboards {
    /// Keeps the names in step.
    ///
    ///   - and their history
    #[on("accounts.UserUpdated", version = ">=1.2.3, <3")]
    async fn on_user_updated(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^3", retry(max_attempts = 2, max_age = "1h"), on_exhausted = "stop", timeout = "5s",)]
    async fn r#on(&self, _event: UserUpdatedV3) {}

    #[on(
        "accounts.UserDeleted",
        version = "<2",
        order = "key",
        on_exhausted = "park_key",
        concurrency = 1,
        rate = 5u32,
        max_waiting = 0,
        breaker(keys = 0),
    )]
    async fn on_user_deleted(&self, _event: UserDeleted) {}

    #[on("accounts.UserDeleted", version = ">=2", order = "unordered")]
    async fn on_user_deleted_v2(&self, _event: UserDeleted) {}
}

struct Plain;

#[dispatcher(source = "accounts")]
impl Plain {
    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, _event: UserDeleted) {}
}

fn main() {
    assert_eq!((Leaderboards::SOURCE, Leaderboards::NAME), ("accounts", "boards"));
    let block = Policy::INHERIT
        .max_attempts(8)
        .initial(Duration::from_millis(200))
        .max(Duration::from_secs(60))
        .on_exhausted(OnExhausted::DeadLetter)
        .timeout(Duration::from_secs(30))
        .order(DeliveryOrder::Partition)
        .concurrency(8)
        .rate(1_000)
        .max_waiting(5_000)
        .breaker_keys(20)
        .breaker_pause(Duration::from_secs(5))
        .breaker_max_pause(Duration::from_secs(60));

    let routes = Leaderboards::routes();
    let routes: Vec<_> = routes.infos().collect();
    let [updated, updated_v3, deleted, deleted_v2] = routes.as_slice() else { panic!("{routes:?}") };

    assert_eq!((updated.event, updated.handler), ("accounts.UserUpdated", "on_user_updated"));
    assert_eq!(updated.docs, "Keeps the names in step.\n\n  - and their history");
    assert_eq!(updated.versions, Versions::Matching(">=1.2.3, <3".parse().unwrap()));
    assert_eq!(updated.policy, block);
    assert_eq!((updated.payload.event, updated.payload.version), ("accounts.UserUpdated", "1.3.0"));
    assert!(updated.payload.schema.contains("\"nickname\""));

    assert_eq!((updated_v3.handler, updated_v3.docs, updated_v3.payload.version), ("on", "", "3.0.0"));
    assert_eq!(
        updated_v3.policy,
        block
            .max_attempts(2)
            .max_age(Duration::from_secs(3_600))
            .on_exhausted(OnExhausted::Stop)
            .timeout(Duration::from_secs(5))
    );

    let own = Policy::INHERIT
        .order(DeliveryOrder::Key)
        .on_exhausted(OnExhausted::ParkKey)
        .concurrency(1)
        .rate(5)
        .max_waiting(0)
        .breaker_keys(0);
    assert_eq!((deleted.own, deleted.policy), (own, own.or(block)));
    assert_eq!((deleted_v2.own, deleted_v2.batch), (Policy::INHERIT.order(DeliveryOrder::Unordered), None));
    assert_eq!((updated.own, updated.policy.limits.rate), (Policy::INHERIT, Some(1_000)));
    assert!(Leaderboards::routes().check().is_ok());

    assert_eq!(Plain::NAME, "Plain");
    let plain = Plain::routes();
    assert!(plain.infos().all(|route| route.policy == Policy::INHERIT && route.versions == Versions::Any));
}
