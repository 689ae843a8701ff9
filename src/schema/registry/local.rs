//! Ids without a server.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::{RegisteredSchema, Registration, RegistryError, SchemaRegistry};
use crate::schema::contract::Contract;

/// Gives ids without a server: each schema's is made from the fingerprint of its canonical form, so that all processes
/// agree. It knows the schemas of this process only, those published and those [learnt](SchemaRegistry::learn).
#[derive(Debug, Default)]
pub struct LocalRegistry {
    schemas: RwLock<FxHashMap<u32, Arc<Contract>>>,
    /// The schema last used under each subject.
    subjects: RwLock<FxHashMap<String, u32>>,
}

impl LocalRegistry {
    /// One that knows no schema.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one of this process, so that what one part publishes, another can read.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<LocalRegistry>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(Arc::default))
    }

    fn add(&self, schema: &str) -> Result<u32, RegistryError> {
        let contract =
            Contract::parse(schema).map_err(|source| RegistryError::NotASchema { source: Arc::new(source) })?;
        let id = local_id(contract.fingerprint());
        let mut schemas = self.schemas.write();
        match schemas.get(&id) {
            Some(known) if known.fingerprint() != contract.fingerprint() => {
                return Err(RegistryError::SameId {
                    id,
                    first: known.name().to_string(),
                    second: contract.name().to_string(),
                });
            }
            Some(_) => {}
            None => {
                schemas.insert(id, Arc::new(contract));
            }
        }
        Ok(id)
    }

    fn get(&self, id: u32) -> Option<Arc<Contract>> {
        self.schemas.read().get(&id).cloned()
    }
}

#[async_trait]
impl SchemaRegistry for LocalRegistry {
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError> {
        let contract = self.get(id).ok_or(RegistryError::NoRegistry { id })?;
        Ok(RegisteredSchema::new(id, contract.text()))
    }

    async fn registration(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        self.register(subject, schema).await
    }

    async fn register(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        let id = self.add(schema)?;
        self.subjects.write().insert(subject.to_owned(), id);
        self.find(subject, schema).await
    }

    async fn find(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        let not_registered = || RegistryError::NotRegistered { subject: subject.to_owned() };
        let fingerprint = Contract::parse(schema).map_err(|_| not_registered())?.fingerprint();
        let id = local_id(fingerprint);
        self.get(id).filter(|known| known.fingerprint() == fingerprint).ok_or_else(not_registered)?;
        Ok(Registration::new(id, 1, format!("urn:avro:{fingerprint:016x}")))
    }

    async fn latest(&self, subject: &str) -> Result<RegisteredSchema, RegistryError> {
        let id = self.subjects.read().get(subject).copied();
        match id {
            Some(id) => self.schema(id).await,
            None => Err(RegistryError::UnknownSubject { subject: subject.to_owned() }),
        }
    }

    async fn ping(&self) -> Result<(), RegistryError> {
        Ok(())
    }

    fn learn(&self, schema: &str) -> Result<(), RegistryError> {
        self.add(schema).map(drop)
    }
}

/// Positive as a Java `int`, which is what other clients take an id for.
fn local_id(fingerprint: u64) -> u32 {
    let folded = (fingerprint >> 32) ^ fingerprint;
    u32::try_from(folded & 0x7fff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str =
        r#"{"type":"record","name":"Happened","namespace":"accounts","fields":[{"name":"a","type":"long"}]}"#;

    #[tokio::test]
    async fn every_registry_gives_a_schema_the_same_id() {
        let (here, there) = (LocalRegistry::new(), LocalRegistry::new());
        let first = here.register("accounts-accounts.Happened", SCHEMA).await.unwrap();
        let second = there.register("other-accounts.Happened", SCHEMA).await.unwrap();
        assert_eq!(first, second);
        assert!(i32::try_from(first.id).is_ok());
        assert_eq!(first.uri.strip_prefix("urn:avro:").map(str::len), Some(16));
        assert_eq!(here.schema(first.id).await.unwrap().schema, SCHEMA);
        assert_eq!(here.latest("accounts-accounts.Happened").await.unwrap().id, first.id);
    }

    #[tokio::test]
    async fn what_was_never_learnt_is_unknown() {
        let registry = LocalRegistry::new();
        assert!(matches!(registry.schema(7).await, Err(RegistryError::NoRegistry { id: 7 })));
        assert!(matches!(registry.latest("s").await, Err(RegistryError::UnknownSubject { .. })));
        assert!(matches!(registry.find("s", SCHEMA).await, Err(RegistryError::NotRegistered { .. })));
        registry.learn(SCHEMA).unwrap();
        assert!(registry.find("s", SCHEMA).await.is_ok());
        assert!(matches!(registry.learn("\"long\""), Err(RegistryError::NotASchema { .. })));
    }
}
