//! How the service is offered.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::Tokens;
use crate::store::StoreError;

/// How the service is offered.
///
/// | option | default |
/// | --- | --- |
/// | `listen` | none: it must be given |
/// | `tokens` | none: any caller on this machine |
/// | `anonymous` | false: other machines' callers need a token |
/// | `tls` | none: plain text |
/// | `max_calls` | 1,024 for each connection |
/// | `max_incoming` | 1,024 over all connections |
/// | `max_incoming_bytes` | 256 MiB over all connections |
/// | `max_listeners` | 4,096 over all connections |
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    pub(super) listen: SocketAddr,
    pub(super) tokens: Option<Tokens>,
    pub(super) anonymous: bool,
    pub(super) tls: Option<TlsFiles>,
    pub(super) max_calls: u32,
    pub(super) max_incoming: usize,
    pub(super) max_incoming_bytes: usize,
    pub(super) max_listeners: usize,
}

/// The files of TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl ServiceOptions {
    /// Listen at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            listen: address,
            tokens: None,
            anonymous: false,
            tls: None,
            max_calls: 1_024,
            max_incoming: 1_024,
            max_incoming_bytes: 256 * 1_024 * 1_024,
            max_listeners: 4_096,
        }
    }

    /// Serve only callers with one of these tokens. Health can be asked without. Default: none.
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Serve callers from other machines without a token: where the network itself lets only friends in. Default: no.
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Speak TLS. Default: plain text.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// How many calls of one connection run at once; the others wait. Default: 1,024.
    pub fn max_calls(mut self, calls: u32) -> Self {
        self.max_calls = calls.max(1);
        self
    }

    /// How many requests that bring events are received at once, over all connections; more are refused before they are read, as
    /// all are while the store has no room for events. Each may have 32 MiB. Default: 1,024.
    pub fn max_incoming(mut self, requests: usize) -> Self {
        self.max_incoming = requests.max(1);
        self
    }

    /// How many bytes requests that bring events take while these are received and decoded, over all connections; a request that
    /// finds no room for its next bytes, or for what its events take in memory, ends with [`StoreError::Overloaded`]. One alone may have its 32 MiB. Default: 256 MiB.
    pub fn max_incoming_bytes(mut self, bytes: usize) -> Self {
        self.max_incoming_bytes = bytes.max(1);
        self
    }

    /// How many reads, subscriptions and waits for an event go on at once, over all connections; more are refused with
    /// [`StoreError::Overloaded`]. Default: 4,096.
    pub fn max_listeners(mut self, calls: usize) -> Self {
        self.max_listeners = calls.max(1);
        self
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.tokens.is_none() && !self.anonymous && !self.listen.ip().is_loopback() {
            return Err(StoreError::Client {
                reason: format!(
                    "{} can be reached from other machines, and no token is asked for: give tokens, or say that anybody may",
                    self.listen
                ),
            });
        }
        if self.tokens.is_some() && self.tls.is_none() && !self.listen.ip().is_loopback() {
            tracing::warn!("tokens travel in plain text: use TLS, here or in front of the store");
        }
        Ok(())
    }
}

impl TlsFiles {
    /// The service's certificate, with the chain behind it, and its key.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), client_ca: None }
    }

    /// Serve only callers whose certificates this authority has signed. Default: any.
    pub fn client_ca(mut self, certificate: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(certificate.into());
        self
    }

    pub(super) async fn server(&self) -> Result<ServerTlsConfig, StoreError> {
        let identity = Identity::from_pem(read(&self.certificate).await?, read(&self.key).await?);
        let mut config = ServerTlsConfig::new().identity(identity);
        if let Some(client_ca) = &self.client_ca {
            config = config.client_ca_root(Certificate::from_pem(read(client_ca).await?));
        }
        Ok(config)
    }
}

/// The content of a file of TLS.
pub(in crate::store) async fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    tokio::fs::read(path)
        .await
        .map_err(|error| StoreError::Client { reason: format!("{} cannot be read: {error}", path.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_token_unless_they_are_let_in_by_name() {
        let open = ServiceOptions::new(([0, 0, 0, 0], 1).into());
        assert!(open.check().unwrap_err().to_string().contains("0.0.0.0:1"));
        assert!(open.clone().anonymous(true).check().is_ok());
        assert!(open.tokens(Tokens::parse("a-token-long-enough").unwrap()).check().is_ok());
        assert!(ServiceOptions::new(([127, 0, 0, 1], 1).into()).check().is_ok());
    }
}
