//! Which payload versions a handler takes, and whether two handlers take the same one.
//!
//! The consumer follows the same rules at run time; a macro crate cannot share its code.

use semver::{Comparator, Prerelease, Version, VersionReq};

/// A range of versions.
#[derive(Debug, Clone)]
pub(crate) enum VersionRange {
    /// Every version, pre-releases included.
    Any,
    /// The versions a requirement matches.
    Matching(VersionReq),
}

impl VersionRange {
    fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Matching(requirement) => requirement.matches(version),
        }
    }

    fn comparators(&self) -> &[Comparator] {
        match self {
            Self::Any => &[],
            Self::Matching(requirement) => &requirement.comparators,
        }
    }

    /// Whether some version is in both.
    ///
    /// Exact: what two ranges share begins at a bound that one of their comparators names, or directly behind it, or at the
    /// lowest version of all. So trying those is enough.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let mut starts = vec![Version::new(0, 0, 0)];
        for comparator in self.comparators().iter().chain(other.comparators()) {
            push_starts(comparator, &mut starts);
        }
        starts.iter().any(|version| self.matches(version) && other.matches(version))
    }

    /// Whether no version matches, as with `>2, <1`.
    pub(crate) fn is_empty(&self) -> bool {
        !self.overlaps(&Self::Any)
    }
}

/// The versions at which a range bounded by `comparator` can begin.
fn push_starts(comparator: &Comparator, starts: &mut Vec<Version>) {
    let &Comparator { major, minor, patch, ref pre, .. } = comparator;
    let release = Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0));
    let behind = match (minor, patch) {
        (None, _) => Version::new(major.saturating_add(1), 0, 0),
        (Some(minor), None) => Version::new(major, minor.saturating_add(1), 0),
        (Some(minor), Some(patch)) => Version::new(major, minor, patch.saturating_add(1)),
    };
    if !pre.is_empty() {
        // Of a version's pre-releases `0` is the lowest, and `x.0` follows `x` directly.
        for text in ["0", pre.as_str(), &format!("{pre}.0")] {
            starts.extend(Prerelease::new(text).map(|pre| Version { pre, ..release.clone() }));
        }
    }
    starts.extend([release, behind]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRERELEASES: [&str; 4] = ["0", "1", "rc", "rc.1"];

    fn range(text: &str) -> VersionRange {
        if text == "any" { VersionRange::Any } else { VersionRange::Matching(text.parse().unwrap()) }
    }

    /// Every version up to the bounds of the generated requirements, with what can lie between their pre-releases.
    fn universe() -> Vec<Version> {
        let mut prereleases = vec![Prerelease::EMPTY];
        for text in PRERELEASES {
            for text in [text.to_owned(), format!("{text}.0"), format!("{text}.zz")] {
                prereleases.push(Prerelease::new(&text).unwrap());
            }
        }
        let mut versions = Vec::new();
        for number in 0..5_u64.pow(3) {
            let release = Version::new(number / 25, number / 5 % 5, number % 5);
            versions.extend(prereleases.iter().map(|pre| Version { pre: pre.clone(), ..release.clone() }));
        }
        versions
    }

    fn requirement() -> impl Strategy<Value = String> {
        let numbers = (0_u64..3, proptest::option::of(0_u64..3), proptest::option::of(0_u64..3));
        let prerelease = proptest::option::weighted(0.3, proptest::sample::select(&PRERELEASES[..]));
        let comparator = (0_usize..8, numbers, prerelease).prop_map(|(operator, (major, minor, patch), prerelease)| {
            let operator = ["", "=", ">", ">=", "<", "<=", "~", "^"][operator];
            match (minor, patch, prerelease) {
                (None, ..) => format!("{operator}{major}"),
                (Some(minor), None, _) => format!("{operator}{major}.{minor}"),
                (Some(minor), Some(patch), None) => format!("{operator}{major}.{minor}.{patch}"),
                (Some(minor), Some(patch), Some(pre)) => format!("{operator}{major}.{minor}.{patch}-{pre}"),
            }
        });
        let list = proptest::collection::vec(comparator, 1..4).prop_map(|comparators| comparators.join(", "));
        prop_oneof![9 => list, 1 => Just("any".to_owned())]
    }

    proptest! {
        #[test]
        fn overlap_agrees_with_trying_every_version(left in requirement(), right in requirement()) {
            let (left, right) = (range(&left), range(&right));
            let shared = universe().iter().any(|version| left.matches(version) && right.matches(version));
            prop_assert_eq!(left.overlaps(&right), shared);
            prop_assert_eq!(right.overlaps(&left), shared);
        }

        #[test]
        fn emptiness_agrees_with_trying_every_version(text in requirement()) {
            let range = range(&text);
            prop_assert_eq!(range.is_empty(), !universe().iter().any(|version| range.matches(version)));
        }
    }

    #[test]
    fn neighbours_do_not_overlap() {
        for (left, right) in [("<2", ">=2"), ("^1", "^2"), ("~1.2", "~1.3"), (">1.2.3", "<=1.2.3"), ("^0.1", "^0.2")] {
            assert!(!range(left).overlaps(&range(right)), "{left} {right}");
        }
    }

    #[test]
    fn prereleases_overlap_only_where_both_name_them() {
        assert!(range(">=2.0.0-rc.1, <2.0.0").overlaps(&range("=2.0.0-rc.2")));
        assert!(!range(">=1, <2").overlaps(&range("=2.0.0-rc.2")));
        assert!(range("any").overlaps(&range("=2.0.0-rc.2")));
    }
}
