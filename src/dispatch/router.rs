//! Which of a dispatcher's routes takes a record.

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use semver::Version;

use super::RouteInfo;

/// The answers kept at most, and the longest version text kept; versions come from strangers, so the cache is bounded.
const MAX_CACHED: usize = 4_096;
const MAX_TEXT: usize = 64;

/// Looks routes up by event name and payload version.
#[derive(Debug)]
pub struct Router {
    by_event: FxHashMap<&'static str, EventRoutes>,
}

#[derive(Debug, Default)]
struct EventRoutes {
    routes: Vec<(super::Versions, usize)>,
    // Parsing a version costs more than routing: remember the answer for its text.
    known: RwLock<FxHashMap<Box<str>, RouteMatch>>,
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteMatch {
    /// The route at this index.
    Route(usize),
    /// Nobody handles this event, or this version of it.
    None,
    /// The event has no readable version and more than one route.
    Ambiguous,
}

impl Router {
    /// A router over `routes`, which do not overlap.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a RouteInfo>) -> Self {
        let mut by_event: FxHashMap<_, EventRoutes> = FxHashMap::default();
        for (index, route) in routes.into_iter().enumerate() {
            by_event.entry(route.event).or_default().routes.push((route.versions.clone(), index));
        }
        Self { by_event }
    }

    /// The route of `event` in the version `version`, as the header has it.
    pub fn route(&self, event: &str, version: Option<&str>) -> RouteMatch {
        let Some(EventRoutes { routes, known }) = self.by_event.get(event) else { return RouteMatch::None };
        let Some(text) = version else { return Self::without_version(routes) };
        if let Some(found) = known.read().get(text) {
            return *found;
        }
        let found = match Version::parse(text) {
            Ok(version) => routes
                .iter()
                .find(|(versions, _)| versions.matches(&version))
                .map_or(RouteMatch::None, |(_, index)| RouteMatch::Route(*index)),
            Err(_) => Self::without_version(routes),
        };
        let mut known = known.write();
        if known.len() < MAX_CACHED && text.len() <= MAX_TEXT {
            known.insert(text.into(), found);
        }
        found
    }

    /// A record without a version, from a publisher that knows no such header, can go to only one place or to none.
    fn without_version(routes: &[(super::Versions, usize)]) -> RouteMatch {
        match routes {
            [(_, index)] => RouteMatch::Route(*index),
            _ => RouteMatch::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{PayloadInfo, Policy, Versions};

    fn info(event: &'static str, versions: &str) -> RouteInfo {
        RouteInfo {
            event,
            versions: if versions == "*" { Versions::Any } else { Versions::Matching(versions.parse().unwrap()) },
            handler: "handler",
            docs: "",
            policy: Policy::INHERIT,
            own: Policy::INHERIT,
            payload: PayloadInfo { event, version: "1.0.0", schema: "", older: None },
            uses_transaction: false,
            batch: None,
        }
    }

    #[test]
    fn an_event_goes_to_the_route_of_its_version() {
        let routes = [info("a.B", ">=1.2.3, <3"), info("a.B", "^3"), info("a.C", "*")];
        let router = Router::new(&routes);
        // Twice, so that the cache answers too.
        for _ in 0..2 {
            assert_eq!(router.route("a.B", Some("1.2.3")), RouteMatch::Route(0));
            assert_eq!(router.route("a.B", Some("3.1.0")), RouteMatch::Route(1));
            assert_eq!(router.route("a.B", Some("1.0.0")), RouteMatch::None);
            assert_eq!(router.route("a.C", Some("9.0.0-rc.1")), RouteMatch::Route(2));
            assert_eq!(router.route("a.D", Some("1.0.0")), RouteMatch::None);
        }
    }

    #[test]
    fn an_event_without_a_version_goes_to_its_only_route() {
        let routes = [info("a.B", ">=1.2.3, <3"), info("a.B", "^3"), info("a.C", "^1")];
        let router = Router::new(&routes);
        assert_eq!(router.route("a.C", None), RouteMatch::Route(2));
        assert_eq!(router.route("a.C", Some("not a version")), RouteMatch::Route(2));
        assert_eq!(router.route("a.B", None), RouteMatch::Ambiguous);
    }

    #[test]
    fn hostile_versions_do_not_grow_the_cache_without_bound() {
        let routes = [info("a.B", "*")];
        let router = Router::new(&routes);
        for number in 0..MAX_CACHED + 100 {
            router.route("a.B", Some(&format!("1.0.{number}")));
        }
        assert_eq!(router.by_event["a.B"].known.read().len(), MAX_CACHED);
    }
}
