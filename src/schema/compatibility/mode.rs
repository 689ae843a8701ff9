//! Which versions have to read which.

use std::fmt;
use std::str::FromStr;

use super::Direction;

/// Which versions of a schema have to read which, as schema registries call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CompatibilityMode {
    /// None: every change is allowed.
    None,
    /// The new version reads the one before it.
    Backward,
    /// The new version reads every version before it: whatever is still on the topic. The default.
    #[default]
    BackwardTransitive,
    /// The version before reads the new one.
    Forward,
    /// Every version before reads the new one: handlers need not be released first.
    ForwardTransitive,
    /// Both ways, with the version before.
    Full,
    /// Both ways, with every version before.
    FullTransitive,
}

/// A text that is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no compatibility mode: write NONE, BACKWARD, FORWARD or FULL, each of the last three also with _TRANSITIVE behind it"
)]
pub struct UnknownMode(String);

impl CompatibilityMode {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::None, "NONE"),
        (Self::Backward, "BACKWARD"),
        (Self::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Self::Forward, "FORWARD"),
        (Self::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Self::Full, "FULL"),
        (Self::FullTransitive, "FULL_TRANSITIVE"),
    ];

    /// The ways in which payloads have to be readable.
    pub const fn directions(self) -> &'static [Direction] {
        match self {
            Self::None => &[],
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }

    /// Whether every version before counts, not the last alone.
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    /// Its name, as registries write it: `BACKWARD_TRANSITIVE`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(mode, _)| *mode == self).map_or("NONE", |(_, name)| name)
    }
}

impl fmt::Display for CompatibilityMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for CompatibilityMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        let name = text.to_ascii_uppercase().replace('-', "_");
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(mode, _)| *mode)
            .ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_known_by_its_name_in_any_spelling() {
        for (mode, name) in CompatibilityMode::NAMES {
            assert_eq!(name.parse(), Ok(mode));
            assert_eq!(name.to_lowercase().replace('_', "-").parse(), Ok(mode));
            assert_eq!(mode.to_string(), name);
        }
        assert!("BACKWARDS".parse::<CompatibilityMode>().unwrap_err().to_string().contains("BACKWARDS"));
    }
}
