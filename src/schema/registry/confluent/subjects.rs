//! What a registry has under a subject.

use schema_registry_converter::async_impl::schema_registry::{
    get_all_versions, get_schema_by_subject_and_version, is_compatible_schema,
};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use super::ConfluentRegistry;
use crate::schema::registry::{RegisteredSchema, RegistryError};

impl ConfluentRegistry {
    /// Every version of a subject, the oldest first; none where there is no such subject.
    ///
    /// # Errors
    /// The registry is away.
    pub async fn versions(&self, subject: &str) -> Result<Vec<RegisteredSchema>, RegistryError> {
        let versions = get_all_versions(&self.settings, path_segment(subject)).await;
        let mut versions = match versions.map_err(|error| self.failure(error).about_subject(subject)) {
            Ok(versions) => versions,
            Err(RegistryError::UnknownSubject { .. }) => return Ok(Vec::new()),
            // This call's errors do not carry the registry's code: whether there is a subject, the newest version tells.
            Err(RegistryError::NotARegistry { .. }) => match crate::schema::SchemaRegistry::latest(self, subject).await
            {
                Err(RegistryError::UnknownSubject { .. }) => return Ok(Vec::new()),
                answer => return answer.map(|latest| vec![latest]),
            },
            Err(error) => return Err(error),
        };
        versions.sort_unstable();
        let mut schemas = Vec::with_capacity(versions.len());
        for version in versions {
            let answer = get_schema_by_subject_and_version(&self.settings, subject, Some(version))
                .await
                .map_err(|error| self.failure(error).about_subject(subject))?;
            schemas.push(self.complete(answer).await?);
        }
        Ok(schemas)
    }

    /// Whether the registry would take a schema under a subject, by the subject's compatibility. A subject that does not exist
    /// takes any.
    ///
    /// # Errors
    /// The registry is away, or the text is no schema for it.
    pub async fn accepts(&self, subject: &str, schema: &str) -> Result<bool, RegistryError> {
        if self.versions(subject).await?.is_empty() {
            return Ok(true);
        }
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        is_compatible_schema(&self.settings, path_segment(subject), supplied)
            .await
            .map_err(|error| self.failure(error).about_subject(subject))
    }
}

/// A subject as a part of an address's path.
fn path_segment(subject: &str) -> String {
    subject.replace('/', "%2F")
}
