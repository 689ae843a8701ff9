//! What a registry has of an event.

use super::history::EventHistory;
use super::judge::Earlier;
use crate::cli::error::CliError;
use crate::cli::settings::{RegistryArguments, Settings};
use crate::schema::compatibility::{CompatibilityMode, stated_version};
use crate::schema::{ConfluentRegistry, RegistryOptions, SchemaRegistry as _};

/// The registry, where there is one; made sure that it answers.
pub(super) async fn open(
    settings: &Settings,
    arguments: &RegistryArguments,
    adjust: impl FnOnce(RegistryOptions) -> RegistryOptions,
) -> Result<Option<ConfluentRegistry>, CliError> {
    let Some(options) = settings.registry(arguments)? else { return Ok(None) };
    let registry = ConfluentRegistry::new(&adjust(options)).map_err(|error| CliError::unusable(&error))?;
    registry.ping().await.map_err(|error| CliError::failed(&error))?;
    Ok(Some(registry))
}

/// What the registry holds an event's versions to. NONE says nothing: registries answer it for what nobody has configured.
pub(super) async fn mode(
    registry: &ConfluentRegistry,
    history: &EventHistory,
    topic: Option<&String>,
) -> Result<Option<CompatibilityMode>, CliError> {
    let mode = registry.compatibility(&history.subject(topic)).await.map_err(|error| CliError::failed(&error))?;
    Ok(mode.filter(|mode| *mode != CompatibilityMode::None))
}

/// The versions of an event that are registered, the oldest first.
pub(super) async fn versions(
    registry: &ConfluentRegistry,
    history: &EventHistory,
    topic: Option<&String>,
) -> Result<Vec<Earlier>, CliError> {
    let subject = history.subject(topic);
    let versions = registry.versions(&subject).await.map_err(|error| CliError::failed(&error))?;
    Ok(versions
        .into_iter()
        // What refers to other schemas is the registry's to compare: its own verdict is asked for too.
        .filter(|schema| schema.references.is_empty())
        .map(|schema| {
            let number = schema.version.unwrap_or_default();
            let stated = stated_version(&schema.schema);
            Earlier {
                name: stated.as_ref().map_or_else(|| format!("{subject} version {number}"), ToString::to_string),
                origin: format!("{subject} version {number}, id {}", schema.id),
                text: schema.schema,
                version: stated,
            }
        })
        .collect())
}
