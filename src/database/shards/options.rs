//! How to reach shards.

use serde::Deserialize;

use super::Placement;
use crate::database::DatabaseOptions;

/// How to reach shards, and how keys are spread over them. A service may read them from a file of its own, by the same names.
///
/// | option | default |
/// | --- | --- |
/// | `databases` | none: at least one, each with its `shard` |
/// | `placement` | `hash`; or `{"lookup": {"42": "eu-1"}, "otherwise": "eu-2"}` |
///
/// ```
/// use tidings::database::shards::ShardsOptions;
///
/// let options: ShardsOptions = serde_json::from_str(
///     r#"{"placement": "hash", "databases": [
///         {"shard": "eu-1", "url": "mysql://accounts@db-1.example/accounts"},
///         {"shard": "eu-2", "url": "mysql://accounts@db-2.example/accounts"}]}"#,
/// )?;
/// # let _ = options;
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShardsOptions {
    pub(super) databases: Vec<DatabaseOptions>,
    pub(super) placement: Placement,
}

impl Default for ShardsOptions {
    fn default() -> Self {
        Self { databases: Vec::new(), placement: Placement::hash() }
    }
}

impl ShardsOptions {
    /// No shard yet, and keys by their hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more shard. Give it its name with [`DatabaseOptions::shard`].
    pub fn database(mut self, options: DatabaseOptions) -> Self {
        self.databases.push(options);
        self
    }

    /// How keys are spread. Default: by a hash.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }
}
