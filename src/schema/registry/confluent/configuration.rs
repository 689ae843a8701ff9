//! What a registry holds the versions of a subject to.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use url::Url;

use super::{ConfluentRegistry, RegistryAuthorization, RegistryOptionsError};
use crate::schema::compatibility::{CompatibilityMode, UnknownMode};
use crate::schema::registry::RegistryError;

/// The longest answer that is read, in bytes: it is one short object.
const MAX_ANSWER: usize = 65_536;

/// Asks a registry by path.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    addresses: Vec<Url>,
    authorization: RegistryAuthorization,
}

/// A subject's configuration, or the registry's own.
#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "compatibilityLevel")]
    compatibility: String,
}

impl ConfluentRegistry {
    /// The compatibility mode that the registry holds a subject to: the subject's own, else the registry's. `None` where it has
    /// neither.
    ///
    /// Not every registry tells a subject that nobody has configured from one without checks: Apicurio's answers
    /// [`CompatibilityMode::None`] for both.
    ///
    /// # Errors
    /// The registry is away, or its answer is no mode.
    pub async fn compatibility(&self, subject: &str) -> Result<Option<CompatibilityMode>, RegistryError> {
        let answer = match self.http.get(&["config", subject], Some("defaultToGlobal=true")).await? {
            Some(answer) => Some(answer),
            // An unknown subject has no configuration of its own; some registries say so whatever they are asked to default to.
            None => self.http.get(&["config"], None).await?,
        };
        let Some(answer) = answer else { return Ok(None) };
        let strange = |reason: String| RegistryError::NotARegistry { registry: Arc::clone(&self.address), reason };
        let configuration: Configuration = serde_json::from_slice(&answer)
            .map_err(|error| strange(format!("its answer about the compatibility cannot be read: {error}")))?;
        configuration.compatibility.parse().map(Some).map_err(|error: UnknownMode| strange(error.to_string()))
    }
}

impl Http {
    /// A client for these addresses, which carry no credentials.
    pub(super) fn new(
        addresses: &[String],
        authorization: RegistryAuthorization,
        timeout: Duration,
    ) -> Result<Self, RegistryOptionsError> {
        let addresses = addresses.iter().map(|address| Url::parse(address)).collect::<Result<_, _>>();
        let client = Client::builder().timeout(timeout).build();
        Ok(Self {
            client: client.map_err(|error| RegistryOptionsError::Client(error.into()))?,
            addresses: addresses.map_err(RegistryOptionsError::Address)?,
            authorization,
        })
    }

    /// What lies at a path, the addresses tried in their order; `None` where nothing does.
    async fn get(&self, path: &[&str], query: Option<&str>) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut away = None;
        for address in &self.addresses {
            let registry: Arc<str> = address.as_str().trim_end_matches('/').into();
            let source: Box<dyn StdError + Send + Sync> = match self.ask(address, path, query).await {
                Ok((StatusCode::NOT_FOUND, _)) => return Ok(None),
                Ok((status, answer)) if status.is_success() => return Ok(Some(answer)),
                Ok((status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _)) => {
                    return Err(RegistryError::Denied { registry, status: status.as_u16() });
                }
                Ok((status, _)) if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                    format!("HTTP {}", status.as_u16()).into()
                }
                Ok((status, _)) => {
                    let reason = format!("HTTP {}", status.as_u16());
                    return Err(RegistryError::NotARegistry { registry, reason });
                }
                Err(error) => error.without_url().into(),
            };
            away.get_or_insert(RegistryError::Unavailable { registry, source: Arc::from(source) });
        }
        away.map_or(Ok(None), Err)
    }

    async fn ask(
        &self,
        address: &Url,
        path: &[&str],
        query: Option<&str>,
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let mut url = address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_query(query);
        let request = self.client.get(url);
        let request = match &self.authorization {
            RegistryAuthorization::None => request,
            RegistryAuthorization::Basic { user, password } => request.basic_auth(user, Some(password)),
            RegistryAuthorization::Bearer(token) => request.bearer_auth(token),
        };
        let mut response = request.send().await?;
        let mut answer = Vec::new();
        while answer.len() <= MAX_ANSWER {
            let Some(piece) = response.chunk().await? else { break };
            answer.extend_from_slice(&piece);
        }
        Ok((response.status(), answer))
    }
}
