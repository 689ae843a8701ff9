//! Which shard a key lives on, unless it was moved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

/// Which shard a key lives on, unless it was [moved](super::Shards::move_key).
///
/// It must be the same in every process of a service, for ever: the databases remember it, and refuse another one.
#[derive(Clone)]
pub struct Placement(Kind);

type ShardOfKey = dyn Fn(&str) -> Option<String> + Send + Sync;

#[derive(Clone)]
enum Kind {
    Hash,
    Lookup { table: Arc<BTreeMap<String, String>>, otherwise: Option<String> },
    Function { name: String, function: Arc<ShardOfKey> },
}

impl Placement {
    /// By a hash of the key and the shards' names (rendezvous hashing). A shard that is added takes its part from all the others.
    pub fn hash() -> Self {
        Self(Kind::Hash)
    }

    /// As `table` says, key by key. A key that is not in it has no shard, unless [`otherwise`](Self::otherwise) names one.
    pub fn lookup<K: Into<String>, S: Into<String>>(table: impl IntoIterator<Item = (K, S)>) -> Self {
        let table = table.into_iter().map(|(key, shard)| (key.into(), shard.into())).collect();
        Self(Kind::Lookup { table: Arc::new(table), otherwise: None })
    }

    /// The shard of the keys that a lookup table does not name.
    pub fn otherwise(mut self, shard: impl Into<String>) -> Self {
        if let Kind::Lookup { otherwise, .. } = &mut self.0 {
            *otherwise = Some(shard.into());
        }
        self
    }

    /// As `function` says; `None` where a key has no shard. `name` is what the databases remember it by: give it another one when
    /// the function changes its mind about a key.
    pub fn by(name: impl Into<String>, function: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Kind::Function { name: name.into(), function: Arc::new(function) })
    }

    /// The name of the shard of `key` among `names`.
    pub(super) fn shard(&self, key: &str, names: &[Arc<str>]) -> Option<String> {
        match &self.0 {
            Kind::Hash => names.iter().max_by_key(|name| (weight(name, key), *name)).map(ToString::to_string),
            Kind::Lookup { table, otherwise } => table.get(key).or(otherwise.as_ref()).cloned(),
            Kind::Function { function, .. } => function(key),
        }
    }

    /// What the databases remember. A lookup table may grow: only what it is says how keys are spread.
    pub(super) fn layout(&self, names: &[Arc<str>]) -> String {
        match &self.0 {
            Kind::Hash => {
                let mut names: Vec<_> = names.iter().map(|name| &**name).collect();
                names.sort_unstable();
                format!("hash of {}", names.join(", "))
            }
            Kind::Lookup { .. } => "lookup table".to_owned(),
            Kind::Function { name, .. } => format!("function {name}"),
        }
    }
}

/// FNV-1a of the shard's name and the key, then stirred, for FNV's upper bits hardly depend on the last byte. It never changes.
fn weight(shard: &str, key: &str) -> u64 {
    let bytes = shard.bytes().chain([0]).chain(key.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

impl fmt::Debug for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Hash => formatter.write_str("Hash"),
            Kind::Lookup { table, .. } => write!(formatter, "Lookup({} keys)", table.len()),
            Kind::Function { name, .. } => write!(formatter, "Function({name})"),
        }
    }
}

/// A placement as a file says it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Hash,
    #[serde(untagged)]
    Lookup {
        lookup: BTreeMap<String, String>,
        otherwise: Option<String>,
    },
}

impl<'de> Deserialize<'de> for Placement {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Hash => Self::hash(),
            Written::Lookup { lookup, otherwise } => Self(Kind::Lookup { table: Arc::new(lookup), otherwise }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn a_keys_hash_never_changes_and_does_not_depend_on_the_order_of_shards() {
        let placement = Placement::hash();
        let found = ["1", "42", "user-7", ""].map(|key| placement.shard(key, &names(&["a", "b", "c"])).unwrap());
        let reversed = ["1", "42", "user-7", ""].map(|key| placement.shard(key, &names(&["c", "b", "a"])).unwrap());
        assert_eq!(found, reversed);
        assert_eq!(found, ["b", "c", "a", "b"]);
    }

    #[test]
    fn a_shard_that_is_added_takes_its_part_and_moves_nothing_between_the_others() {
        let (before, after) = (names(&["a", "b", "c"]), names(&["a", "b", "c", "d"]));
        let placement = Placement::hash();
        let mut taken = 0;
        for key in 0..10_000 {
            let key = key.to_string();
            let (old, new) = (placement.shard(&key, &before).unwrap(), placement.shard(&key, &after).unwrap());
            assert!(new == old || new == "d");
            taken += u32::from(new == "d");
        }
        assert!((2_300..2_700).contains(&taken), "{taken} of 10,000");
    }

    #[test]
    fn placements_are_read_by_the_names_documented() {
        let lookup: Placement = serde_json::from_str(r#"{"lookup": {"42": "b"}, "otherwise": "a"}"#).unwrap();
        let all = names(&["a", "b"]);
        assert_eq!((lookup.shard("42", &all), lookup.shard("7", &all)), (Some("b".into()), Some("a".into())));
        let hash: Placement = serde_json::from_str(r#""hash""#).unwrap();
        assert_eq!(hash.layout(&all), "hash of a, b");
        assert_eq!(Placement::lookup([("42", "b")]).shard("7", &all), None);
    }
}
