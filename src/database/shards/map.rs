//! Which shard each key lives on: where it is placed, and where it was moved since.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::Placement;
use crate::database::Error;

/// The most keys that were moved whose homes are remembered; more are asked for again. About 100 MB.
const REMEMBERED: usize = 1_000_000;

pub(crate) struct ShardMap {
    pub(super) names: Vec<Arc<str>>,
    pub(super) placement: Placement,
    /// Keys that were moved, and where to.
    moved: RwLock<FxHashMap<Box<str>, usize>>,
}

impl ShardMap {
    pub(super) fn new(names: Vec<Arc<str>>, placement: Placement) -> Self {
        Self { names, placement, moved: RwLock::default() }
    }

    /// The number of the shard that `key` lives on, as far as is known here.
    pub(crate) fn home(&self, key: &str) -> Result<usize, Error> {
        if let Some(shard) = self.moved.read().get(key) {
            return Ok(*shard);
        }
        self.placed(key)
    }

    /// The number of the shard that `key` is placed on, moved or not.
    pub(super) fn placed(&self, key: &str) -> Result<usize, Error> {
        if self.names.len() == 1 {
            return Ok(0);
        }
        let name = self.placement.shard(key, &self.names);
        let found = name.as_deref().and_then(|name| self.number(name));
        found.ok_or_else(|| Error::NoShard { key: key.to_owned(), shard: name })
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }

    /// Remember that `key` lives on shard `home`.
    pub(super) fn learn(&self, key: &str, home: usize) {
        let placed = self.placed(key);
        let mut moved = self.moved.write();
        if placed.is_ok_and(|placed| placed == home) {
            moved.remove(key);
            return;
        }
        if moved.len() >= REMEMBERED {
            moved.clear();
        }
        moved.insert(key.into(), home);
    }
}

impl fmt::Debug for ShardMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ShardMap")
            .field("names", &self.names)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}
