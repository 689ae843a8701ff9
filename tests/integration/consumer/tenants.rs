//! Tenants on a real broker.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{BuildError, Consumer, ControlError, TenantLimit, TenantLimits, TenantStats};
use tidings::prelude::*;

use crate::support::chain;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::until_true;

/// Takes its time.
struct Slow(Arc<Ledger>);

#[dispatcher(source = "scores")]
impl Slow {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

fn stats_of(tenants: &[TenantStats], tenant: &str) -> (u64, u64) {
    let stats = tenants.iter().find(|stats| &*stats.tenant == tenant);
    stats.map_or((0, 0), |stats| (stats.handled, stats.waiting))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_held_to_the_limits_of_a_file_until_that_changes_and_no_other_waits_for_it() {
    let scene = Scene::new(4).await;
    // The players 0 and 1 are one tenant, the others each one of their own.
    post(&scene.publisher().await, 20, 1..=20).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tenants.json");
    std::fs::write(&file, r#"{"tenants": {"both": {"rate": 5}}}"#).unwrap();
    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer().max_in_flight(4))
        .codec(codec())
        .tenants(TenantLimits::new(), |envelope| {
            let player = envelope.key()?;
            Some(if matches!(player, "0" | "1") { "both".into() } else { player.into() })
        })
        .tenant_limits_file(&file)
        .dispatch_with(Slow(Arc::clone(&ledger)), |settings| settings.source(scene.topic()))
        .build()
        .await
        .unwrap();
    let handle = consumer.handle();
    let running = Running::start(consumer);
    until_true("the others are done", || ledger.distinct() >= 18 * 20 && stats_of(&handle.tenants(), "19") == (20, 0))
        .await;
    let (handled, waiting) = stats_of(&handle.tenants(), "both");
    assert!(handled < 40 && waiting > 0, "{handled} handled, {waiting} waiting");
    std::fs::write(&file, r#"{"tenants": {"both": {"rate": 1000}}}"#).unwrap();
    until_true("the limits of the file apply", || ledger.distinct() == 400).await;
    caught_up(&scene, &scene.group("Slow")).await;
    assert_eq!(running.stop().await.handled, 400);
    assert_eq!(ledger.audit(&posted(20, 20)), Audit::default());
    assert_eq!(handle.tenants().len(), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_cannot_be_used_are_an_error_at_once() {
    let scene = Scene::new(1).await;
    let builder = || {
        let board = Scoreboard { ledger: Arc::default() };
        Consumer::builder(scene.consumer()).dispatch_with(board, |settings| settings.source(scene.topic()))
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tenants.toml");
    std::fs::write(&file, "[default]\nrate = \"fast\"\n").unwrap();
    let error = builder().tenants(TenantLimits::new(), |_| None).tenant_limits_file(&file).build().await.unwrap_err();
    assert!(chain(&error).contains("tenants.toml, line 2, column 8: "), "{}", chain(&error));
    let error = builder().tenant_limits_file(&file).build().await.unwrap_err();
    assert!(matches!(error, BuildError::NoTenants { .. }), "{error}");
    let without = builder().build().await.unwrap();
    let limits = TenantLimits::new().default_limit(TenantLimit::new().rate(1));
    assert!(matches!(without.handle().set_tenant_limits(limits), Err(ControlError::NoTenants)));
    assert_eq!(without.handle().tenants(), []);
}
