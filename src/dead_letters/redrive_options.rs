//! How letters are redriven.

/// How letters are redriven.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `max_redrives` | 3 | times a letter |
/// | `rate` | as fast as can be | letters a second |
/// | `limit` | none | letters |
/// | `for_group` | the group that gave the letter up | |
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct RedriveOptions {
    pub(super) max_redrives: u32,
    pub(super) rate: Option<f64>,
    pub(super) limit: Option<u64>,
    pub(super) for_group: Option<String>,
}

impl Default for RedriveOptions {
    fn default() -> Self {
        Self { max_redrives: 3, rate: None, limit: None, for_group: None }
    }
}

impl RedriveOptions {
    /// How often an event may be redriven in all; then its letter is refused. Default: 3.
    pub fn max_redrives(mut self, redrives: u32) -> Self {
        self.max_redrives = redrives;
        self
    }

    /// How many letters a second. Default: as fast as can be.
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How many letters at most. Default: all that are selected.
    pub fn limit(mut self, letters: u64) -> Self {
        self.limit = Some(letters);
        self
    }

    /// The only consumer group that is to handle them. Default: for each letter the group that gave it up, else the one
    /// whose dead-letter topic it is.
    pub fn for_group(mut self, group: impl Into<String>) -> Self {
        self.for_group = Some(group.into());
        self
    }
}
