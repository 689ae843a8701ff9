//! Which payload versions a route takes.

use std::fmt;

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// A range of payload versions.
///
/// A requirement follows Cargo's rules: `>=1.2.3, <3`, `^2`, `~1.4`. A pre-release matches only a requirement that names a
/// pre-release of the same version: `>=1.2.3` does not take `2.0.0-rc.1`. [`Versions::Any`] takes everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Every version, pre-releases included.
    Any,
    /// The versions a requirement matches.
    Matching(VersionReq),
}

impl Versions {
    /// Whether `version` is among them.
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Matching(requirement) => requirement.matches(version),
        }
    }

    /// Whether some version is in both.
    ///
    /// Exact: a range over versions can only begin at a bound one of the comparators names, or just behind it, so it is
    /// enough to try those.
    pub fn overlap(&self, other: &Self) -> bool {
        let mut candidates = vec![Version::new(0, 0, 0)];
        for versions in [self, other] {
            if let Self::Matching(requirement) = versions {
                requirement.comparators.iter().for_each(|comparator| push_bounds(comparator, &mut candidates));
            }
        }
        candidates.iter().any(|version| self.matches(version) && other.matches(version))
    }
}

/// The lowest versions that can begin a range bounded by `comparator`.
fn push_bounds(comparator: &Comparator, candidates: &mut Vec<Version>) {
    let Comparator { major, minor, patch, ref pre, op } = *comparator;
    let floor = Version { pre: pre.clone(), ..Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0)) };
    if !pre.is_empty() {
        // The next pre-release: `rc.1` < `rc.1.0` < whatever else follows `rc.1`.
        if let Ok(pre) = Prerelease::new(&format!("{pre}.0")) {
            candidates.push(Version { pre, ..floor.clone() });
        }
        // The lowest of this version's pre-releases, and the release itself.
        if let Ok(pre) = Prerelease::new("0") {
            candidates.push(Version { pre, ..floor.clone() });
        }
        candidates.push(Version { pre: Prerelease::EMPTY, ..floor.clone() });
    }
    let next = match (op, minor, patch) {
        (_, None, _) => Version::new(major.saturating_add(1), 0, 0),
        (_, Some(minor), None) => Version::new(major, minor.saturating_add(1), 0),
        (_, Some(minor), Some(patch)) => Version::new(major, minor, patch.saturating_add(1)),
    };
    candidates.extend([floor, next]);
    if matches!(op, Op::Caret | Op::Tilde | Op::Wildcard) {
        // Upper ends of these: nothing begins there but what another comparator's own bound gives.
        candidates.push(Version::new(major.saturating_add(1), 0, 0));
        candidates.push(Version::new(major, minor.unwrap_or(0).saturating_add(1), 0));
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Matching(requirement) => requirement.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matching(text: &str) -> Versions {
        Versions::Matching(text.parse().unwrap())
    }

    #[test]
    fn disjoint_ranges_do_not_overlap() {
        for (left, right) in
            [("<2", ">=2"), ("^1", "^2"), ("=1.2.3", "=1.2.4"), ("~1.2", "~1.3"), (">1.2.3", "<=1.2.3")]
        {
            assert!(!matching(left).overlap(&matching(right)), "{left} {right}");
            assert!(!matching(right).overlap(&matching(left)), "{right} {left}");
        }
    }

    #[test]
    fn touching_ranges_overlap() {
        for (left, right) in
            [("<=2", ">=2"), (">=1.2.3", ">=2"), ("^1", "~1.4"), (">1, <3", "=2.9.9"), ("*", "^7"), (">1.2", "<=1.3.0")]
        {
            assert!(matching(left).overlap(&matching(right)), "{left} {right}");
        }
    }

    #[test]
    fn any_overlaps_whatever_has_a_version() {
        assert!(Versions::Any.overlap(&matching("=1.0.0-rc.1")));
        assert!(!Versions::Any.overlap(&matching(">2, <1")));
    }

    #[test]
    fn a_prerelease_needs_a_requirement_that_names_it() {
        assert!(!matching(">=1.2.3").matches(&"2.0.0-rc.1".parse().unwrap()));
        assert!(matching(">=2.0.0-rc.0").matches(&"2.0.0-rc.1".parse().unwrap()));
        assert!(Versions::Any.matches(&"2.0.0-rc.1".parse().unwrap()));
    }

    fn requirement() -> impl Strategy<Value = String> {
        let comparator = (0_usize..8, 0_u64..4, proptest::option::of(0_u64..4), proptest::option::of(0_u64..4))
            .prop_map(|(op, major, minor, patch)| {
                let op = ["", "=", ">", ">=", "<", "<=", "~", "^"][op];
                let version = match (minor, patch) {
                    (None, _) => format!("{major}"),
                    (Some(minor), None) => format!("{major}.{minor}"),
                    (Some(minor), Some(patch)) => format!("{major}.{minor}.{patch}"),
                };
                format!("{op}{version}")
            });
        proptest::collection::vec(comparator, 1..3).prop_map(|comparators| comparators.join(", "))
    }

    proptest! {
        #[test]
        fn overlap_agrees_with_trying_every_version(left in requirement(), right in requirement()) {
            let (left, right) = (matching(&left), matching(&right));
            let mut every = (0..6).flat_map(|major| (0..6).flat_map(move |minor| (0..6).map(move |patch| Version::new(major, minor, patch))));
            prop_assert_eq!(left.overlap(&right), every.any(|version| left.matches(&version) && right.matches(&version)));
        }
    }
}
