//! What tenants may use.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use crate::positive::at_least_one;

/// What each tenant may use of a group in one process. It may be read from a file, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `default` | nothing is limited, and all have the same share | |
/// | `tenants` | none; by name, what a tenant has otherwise than `default` says | |
///
/// A tenant that `tenants` does not name has the limits of `default`, for itself: two of them do not share a rate.
///
/// ```
/// use tidings::consumer::{TenantLimit, TenantLimits};
///
/// let limits = TenantLimits::new()
///     .default_limit(TenantLimit::new().max_in_flight(32).rate(200))
///     .tenant("acme", TenantLimit::new().share(3).rate(2_000));
/// # let read: TenantLimits = serde_json::from_str(r#"{
/// #     "default": {"max_in_flight": 32, "rate": 200}, "tenants": {"acme": {"share": 3, "rate": 2000}}
/// # }"#).unwrap();
/// # assert_eq!(read, limits);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct TenantLimits {
    default: TenantLimit,
    tenants: BTreeMap<String, TenantLimit>,
}

/// What one tenant may use, or the tenants that are not named.
///
/// | option | default, in `default` | default, for a named tenant | unit |
/// | --- | --- | --- | --- |
/// | `share` | 1 | that of `default` | turns, in relation to other tenants |
/// | `max_in_flight` | not limited | that of `default` | attempts that run at once |
/// | `rate` | not limited | that of `default` | attempts that begin in a second |
///
/// Each is at least 1. A limit that `default` sets is lifted for one tenant by a number it does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct TenantLimit {
    share: Option<NonZeroU32>,
    max_in_flight: Option<NonZeroU32>,
    rate: Option<NonZeroU32>,
}

/// The limits of one tenant, once it is known which apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) share: u32,
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) rate: Option<u32>,
}

impl TenantLimits {
    /// Nothing is limited, and all tenants have the same share.
    pub fn new() -> Self {
        Self::default()
    }

    /// What tenants may use that are not named, and what named ones may where nothing else is said.
    pub fn default_limit(mut self, limit: TenantLimit) -> Self {
        self.default = limit;
        self
    }

    /// What the tenant `name` may use. The empty name stands for events that have no tenant.
    pub fn tenant(mut self, name: impl Into<String>, limit: TenantLimit) -> Self {
        self.tenants.insert(name.into(), limit);
        self
    }

    pub(crate) fn of(&self, name: &str) -> Applied {
        let named = self.tenants.get(name).copied().unwrap_or_default();
        let pick = |named: Option<NonZeroU32>, default: Option<NonZeroU32>| named.or(default).map(NonZeroU32::get);
        Applied {
            share: pick(named.share, self.default.share).unwrap_or(1),
            max_in_flight: pick(named.max_in_flight, self.default.max_in_flight),
            rate: pick(named.rate, self.default.rate),
        }
    }

    pub(crate) fn names(&self, name: &str) -> bool {
        self.tenants.contains_key(name)
    }
}

impl TenantLimit {
    /// No limit of its own.
    pub const fn new() -> Self {
        Self { share: None, max_in_flight: None, rate: None }
    }

    /// How many turns it has, in relation to the others, while more events can start than there are places. Default: 1.
    /// 0 counts as 1.
    pub fn share(mut self, turns: u32) -> Self {
        self.share = Some(at_least_one(turns));
        self
    }

    /// Attempts that run at once. Default: not limited. 0 counts as 1.
    pub fn max_in_flight(mut self, attempts: u32) -> Self {
        self.max_in_flight = Some(at_least_one(attempts));
        self
    }

    /// Attempts that begin in a second, retries included. Default: not limited. 0 counts as 1.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.rate = Some(at_least_one(per_second));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_tenant_has_what_the_default_says_where_it_says_nothing() {
        let limits = TenantLimits::new()
            .default_limit(TenantLimit::new().share(2).max_in_flight(8).rate(100))
            .tenant("acme", TenantLimit::new().share(6));
        assert_eq!(limits.of("acme"), Applied { share: 6, max_in_flight: Some(8), rate: Some(100) });
        assert_eq!(limits.of("other"), Applied { share: 2, max_in_flight: Some(8), rate: Some(100) });
        assert_eq!(TenantLimits::new().of(""), Applied { share: 1, max_in_flight: None, rate: None });
    }

    #[test]
    fn zero_is_no_limit_in_a_file() {
        for wrong in [r#"{"default": {"share": 0}}"#, r#"{"tenants": {"acme": {"rates": 1}}}"#, r#"{"tenant": {}}"#] {
            assert!(serde_json::from_str::<TenantLimits>(wrong).is_err(), "{wrong}");
        }
    }
}
