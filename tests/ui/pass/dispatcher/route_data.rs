//! Everything the attributes say is in the routes: the block's options are defaults, which a handler replaces one by one.

use std::time::Duration;

use tidings::dispatch::{OnExhausted, Policy, Versions};
use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated, UserUpdatedV3};

struct r#Leaderboards;

#[dispatcher(
    source = "accounts",
    name = "boards",
    retry(max_attempts = 8, initial = "200ms", max = "1m"),
    on_exhausted = "dead_letter",
    timeout = "30s",
)]
impl r#Leaderboards {
    /// Keeps the names in step.
    ///
    ///   - and their history
    #[on("accounts.UserUpdated", version = ">=1.2.3, <3")]
    async fn on_user_updated(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^3", retry(max_attempts = 2, max_age = "1h"), on_exhausted = "stop", timeout = "5s",)]
    async fn r#on(&self, _event: UserUpdatedV3) {}

    #[on("accounts.UserDeleted",)]
    async fn on_user_deleted(&self, _event: UserDeleted) {}
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
        .timeout(Duration::from_secs(30));

    let routes = Leaderboards::routes();
    let routes: Vec<_> = routes.infos().collect();
    let [updated, updated_v3, deleted] = routes.as_slice() else { panic!("{routes:?}") };

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

    assert_eq!((deleted.versions.clone(), deleted.policy), (Versions::Any, block));
    assert!(Leaderboards::routes().check().is_ok());

    assert_eq!(Plain::NAME, "Plain");
    assert!(Plain::routes().infos().all(|route| route.policy == Policy::INHERIT));
}
