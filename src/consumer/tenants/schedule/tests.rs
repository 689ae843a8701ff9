use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::consumer::key::KeyId;
use crate::consumer::tenants::{TenantBook, TenantLimit};

const NOW: Duration = Duration::from_secs(100);

fn headers(tenant: &str) -> Headers {
    let mut headers = Headers::new();
    headers.push_str("tenant", tenant);
    headers
}

fn tenants(limits: TenantLimits) -> Tenants {
    let of: super::super::TenantOf = Arc::new(|envelope| {
        let name = envelope.header("tenant")?;
        assert_ne!(name, "panic", "told to");
        Some(name.into())
    });
    Tenants::new(TenantParts { of, book: Arc::new(TenantBook::new(Arc::new(limits))) }, 2)
}

/// Let `keys` events of `tenant` wait in `lane`.
fn wait(tenants: &mut Tenants, tenant: &str, lane: LaneId, keys: i64) -> Vec<Held> {
    let mut held = Vec::new();
    for offset in 0..keys {
        let event = tenants.hold(&headers(tenant), NOW);
        tenants.push(event.id(), lane, WaitingKey { slot: 0, epoch: 1, key: KeyId::Alone(offset) });
        held.push(event);
    }
    held
}

/// Start `count` events; how many of each tenant, by the share of their name.
fn start(tenants: &mut Tenants, count: usize) -> BTreeMap<String, usize> {
    let mut started = BTreeMap::new();
    for _ in 0..count {
        let Some((lane, id)) = tenants.next(NOW, &[false, false]) else { break };
        assert!(tenants.first(lane, id).is_some());
        tenants.pop(lane, id);
        drop(tenants.begin(id, NOW));
        *started.entry(tenants.tenant(id).cell.name().to_string()).or_default() += 1;
    }
    started
}

#[test]
fn turns_are_in_proportion_to_shares_in_all_lanes_together() {
    let limits = TenantLimits::new().tenant("a", TenantLimit::new().share(5)).tenant("b", TenantLimit::new().share(2));
    let mut tenants = tenants(limits);
    let _held: Vec<_> = [("a", 0), ("b", 0), ("b", 1), ("c", 1)]
        .into_iter()
        .flat_map(|(tenant, lane)| wait(&mut tenants, tenant, lane, 1_000))
        .collect();
    let started = start(&mut tenants, 800);
    for (tenant, expected) in [("a", 500), ("b", 200), ("c", 100)] {
        assert!(started[tenant].abs_diff(expected) <= 1, "{started:?}");
    }
}

#[test]
fn who_was_idle_has_saved_up_nothing() {
    let mut tenants = tenants(TenantLimits::new());
    let _a = wait(&mut tenants, "a", 0, 1_000);
    assert_eq!(start(&mut tenants, 500)["a"], 500);
    let _b = wait(&mut tenants, "b", 0, 1_000);
    let started = start(&mut tenants, 100);
    assert!(started["a"].abs_diff(50) <= 1, "{started:?}");
}

#[test]
fn who_was_held_back_has_saved_up_nothing_either() {
    let mut tenants = tenants(TenantLimits::new().tenant("b", TenantLimit::new().max_in_flight(1)));
    let _held = [wait(&mut tenants, "a", 0, 1_000), wait(&mut tenants, "b", 0, 1_000)];
    let id = tenants.by_name["b"];
    let place = tenants.begin(id, NOW);
    assert_eq!(start(&mut tenants, 500).get("b"), None);
    drop(place);
    tenants.wake(NOW);
    let started = start(&mut tenants, 100);
    assert!(started["a"].abs_diff(50) <= 1, "{started:?}");
}

#[test]
fn new_shares_apply_to_the_next_turn_even_after_a_long_stride() {
    let mut tenants = tenants(
        TenantLimits::new().default_limit(TenantLimit::new().share(1_000)).tenant("a", TenantLimit::new().share(1)),
    );
    let _held = [wait(&mut tenants, "a", 0, 1_000), wait(&mut tenants, "b", 0, 2_000)];
    start(&mut tenants, 100);
    let limits =
        TenantLimits::new().default_limit(TenantLimit::new().share(1)).tenant("a", TenantLimit::new().share(3));
    tenants.parts.book.set_limits(Arc::new(limits));
    tenants.reload(NOW);
    let started = start(&mut tenants, 400);
    assert!(started["a"].abs_diff(300) <= 3, "{started:?}");
}

#[test]
fn however_many_tenants_strangers_invent_only_so_many_are_remembered() {
    let mut tenants = tenants(TenantLimits::new().tenant("named", TenantLimit::new().share(2)));
    let busy = [tenants.hold(&headers("busy"), NOW), tenants.hold(&headers(&"long".repeat(100_000)), NOW)];
    drop(tenants.hold(&headers("named"), NOW));
    for number in 0..3 * MAX_TENANTS {
        drop(tenants.hold(&headers(&format!("stranger-{number}")), NOW));
    }
    assert!(tenants.len() <= MAX_TENANTS, "{}", tenants.len());
    assert!(tenants.known.len() <= MAX_TENANTS);
    let known = tenants.parts.book.read(&"group".into());
    assert_eq!(known.len(), tenants.len());
    assert!(known.iter().all(|stats| stats.tenant.len() <= MAX_NAME));
    // Who has something waiting stays, and whom the limits name.
    assert_eq!(tenants.by_name.get("busy"), Some(&busy[0].id()));
    assert!(tenants.by_name.contains_key("named"));
    // More than that are remembered only while they have something waiting.
    let held: Vec<_> =
        (0..2 * MAX_TENANTS).map(|number| tenants.hold(&headers(&format!("busy-{number}")), NOW)).collect();
    assert!(tenants.len() > MAX_TENANTS);
    drop(held);
    for number in 0..MAX_TENANTS {
        drop(tenants.hold(&headers(&format!("late-{number}")), NOW));
    }
    assert!(tenants.len() <= MAX_TENANTS, "{}", tenants.len());
}

#[test]
fn a_tenant_does_not_get_its_rate_back_by_being_forgotten() {
    let mut tenants = tenants(TenantLimits::new().default_limit(TenantLimit::new().rate(1)));
    let held = tenants.hold(&headers("fast"), NOW);
    drop(tenants.begin(held.id(), NOW));
    drop(held);
    for number in 0..2 * MAX_TENANTS {
        drop(tenants.hold(&headers(&format!("stranger-{number}")), NOW));
    }
    let held = wait(&mut tenants, "fast", 0, 1);
    assert_eq!(tenants.next(NOW, &[false, false]), None);
    assert!(tenants.next_due(NOW).is_some());
    drop(held);
}

#[test]
fn keys_that_wait_no_longer_have_no_turn_and_the_others_keep_theirs() {
    let mut tenants = tenants(TenantLimits::new());
    let _held =
        [("a", 0, 10), ("b", 0, 20), ("b", 1, 10)].map(|(tenant, lane, keys)| wait(&mut tenants, tenant, lane, keys));
    tenants.retain(|_, _, key| matches!(key, KeyId::Alone(15..)));
    assert!(!tenants.is_waited_for(1));
    assert_eq!(start(&mut tenants, 100), [("b".to_owned(), 5)].into());
    let _held = wait(&mut tenants, "a", 0, 3);
    assert_eq!(start(&mut tenants, 100), [("a".to_owned(), 3)].into());
}

#[test]
fn who_is_held_back_and_loses_all_that_waited_is_remembered_until_it_is_woken() {
    // The default's: those that the limits name are remembered anyway.
    let mut tenants = tenants(TenantLimits::new().default_limit(TenantLimit::new().max_in_flight(1)));
    let held = wait(&mut tenants, "capped", 0, 2);
    let place = tenants.begin(held[0].id(), NOW);
    assert_eq!(tenants.next(NOW, &[false, false]), None);
    tenants.retain(|_, _, _| false);
    drop((held, place));
    for number in 0..2 * MAX_TENANTS {
        drop(tenants.hold(&headers(&format!("stranger-{number}")), NOW));
    }
    tenants.wake(NOW);
    let _held = wait(&mut tenants, "capped", 0, 3);
    assert_eq!(start(&mut tenants, 100), [("capped".to_owned(), 3)].into());
}

#[test]
fn a_name_that_cannot_be_told_is_none() {
    let mut tenants = tenants(TenantLimits::new());
    let panicked = tenants.hold(&headers("panic"), NOW);
    let nameless = tenants.hold(&Headers::new(), NOW);
    assert_eq!(panicked.id(), nameless.id());
}
