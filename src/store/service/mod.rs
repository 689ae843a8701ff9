//! The store over gRPC: what `tidings store serve` runs.

mod calls;
mod deadline;
mod grant;
pub(super) mod options;
pub(super) mod receiving;
mod seats;
pub(super) mod status;
mod tokens;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

use self::calls::Calls;
use self::seats::Seated;
use self::status::to_status;
use super::wire::event_store_server::EventStoreServer;
use super::{DatabaseStore, StoreError, wire};

pub use options::{ServiceOptions, TlsFiles};
pub use tokens::Tokens;

/// The largest request that is read, in bytes.
pub(super) const LARGEST_REQUEST: usize = 32 * 1_024 * 1_024;
/// The largest question about health that is read, in bytes: a name. It takes no token and no seat to ask it.
const LARGEST_HEALTH_QUESTION: usize = 1_024;
/// The largest question about the contract, in bytes: a name, or two.
const LARGEST_REFLECTION_QUESTION: usize = 16 * 1_024;
/// How often the database is asked whether it still answers, for the health that is reported.
const LOOK: Duration = Duration::from_secs(2);
/// How long calls may take to end when the service does.
const FAREWELL: Duration = Duration::from_secs(10);

/// The store's service, bound to its address.
///
/// ```no_run
/// # async fn example(store: tidings::store::DatabaseStore) -> Result<(), Box<dyn std::error::Error>> {
/// use tidings::store::{ServiceOptions, StoreService, Tokens};
///
/// let tokens = Tokens::read("tokens.txt".as_ref()).await?;
/// let options = ServiceOptions::new(([127, 0, 0, 1], 7433).into()).tokens(tokens);
/// let service = StoreService::bind(store, options).await?;
/// service.run(async { /* until told to end */ }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StoreService {
    store: DatabaseStore,
    options: ServiceOptions,
    listener: TcpListener,
}

impl StoreService {
    /// Listen where `options` say. Callers wait until [`run`](Self::run).
    ///
    /// # Errors
    /// [`StoreError::Client`]: the address cannot be had; or it is not the machine's own and there are no tokens, which is
    /// refused unless [`anonymous`](ServiceOptions::anonymous) is set.
    pub async fn bind(store: DatabaseStore, options: ServiceOptions) -> Result<Self, StoreError> {
        options.check()?;
        let listener = TcpListener::bind(options.listen).await.map_err(|error| StoreError::Client {
            reason: format!("the address {} cannot be listened at: {error}", options.listen),
        })?;
        Ok(Self { store, options, listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serve until `shutdown` resolves; then end streams, wait for the other calls, at most 10 s, and close the store.
    ///
    /// # Errors
    /// [`StoreError::Client`]: the files of TLS cannot be used; [`StoreError::Unavailable`]: the service failed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), StoreError> {
        let Self { store, options, listener } = self;
        let stop = watch::Sender::new(false);
        let calls = Calls { store: store.clone(), stopping: stop.subscribe() };
        let tokens = options.tokens.clone().map(Arc::new);
        let check = move |mut request: Request<()>| -> Result<Request<()>, Status> {
            if let Some(tokens) = &tokens {
                let grant = tokens.check(request.metadata()).map_err(|error| to_status(&error))?;
                request.extensions_mut().insert(grant);
            }
            Ok(request)
        };
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
            .build_v1()
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?
            .max_decoding_message_size(LARGEST_REFLECTION_QUESTION);
        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service.max_decoding_message_size(LARGEST_HEALTH_QUESTION);

        let mut server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .max_concurrent_streams(options.max_calls);
        if let Some(files) = &options.tls {
            let refused = |error: tonic::transport::Error| StoreError::Client {
                reason: format!("the files of TLS cannot be used: {}", with_causes(&error)),
            };
            server = server.tls_config(files.server().await?).map_err(refused)?;
        }
        let store_service = EventStoreServer::new(calls).max_decoding_message_size(LARGEST_REQUEST);
        let store_service = Seated::new(store_service, store.clone(), &options);
        let router = server
            // Whoever watches over the service has no token.
            .add_service(health_service)
            .add_service(InterceptedService::new(reflection, check.clone()))
            .add_service(InterceptedService::new(store_service, check));
        let watching = tokio::spawn(watch_health(store.clone(), health));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut stopped = stop.subscribe();
        let until_stopped = async move {
            // The sender lives as long as this function.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let serving = router.serve_with_incoming_shutdown(incoming, until_stopped);
        let result = {
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                result = &mut serving => result,
                () = shutdown => {
                    stop.send_replace(true);
                    // Who keeps a connection open without a call would keep the service.
                    tokio::time::timeout(FAREWELL, serving).await.unwrap_or(Ok(()))
                }
            }
        };
        watching.abort();
        store.close().await;
        result.map_err(|error| StoreError::Unavailable(Box::new(error)))
    }
}

/// Report whether the database answers and takes what is appended.
async fn watch_health(store: DatabaseStore, health: tonic_health::server::HealthReporter) {
    let mut was_usable = None;
    loop {
        let usable = store.is_usable().await;
        if was_usable != Some(usable) {
            let status = if usable {
                tonic_health::ServingStatus::Serving
            } else {
                tracing::warn!("the store's database does not answer, or does not take what is appended");
                tonic_health::ServingStatus::NotServing
            };
            health.set_service_status("", status).await;
            health.set_service_status("tidings.store.v1.EventStore", status).await;
            was_usable = Some(usable);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An error in one line: the library's own text leaves its causes out.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
