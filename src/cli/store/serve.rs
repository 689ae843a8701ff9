//! `tidings store serve`: the event store as a service.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::oneshot;

use super::serve_options::ServeOptionArguments;
use crate::cli::database;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::relay_options::RelayOptionArguments;
use crate::cli::settings::{DatabaseArguments, KafkaArguments, Settings};
use crate::consumer::terminated;
use crate::outbox::{KafkaProducers, Relay, RelayError, RelayOptions, RelaySummary};
use crate::store::{DatabaseStore, ServiceOptions, StoreOptions, StoreService, TlsFiles, Tokens};
use crate::transport::kafka::{KafkaOptions, KafkaProducer, ProducerOptions, topics};

/// A topic that need not be there: asking for it shows that the brokers answer.
const ANY_TOPIC: &str = "tidings.store.check";

/// Serve the event store over gRPC until it is told to end (SIGTERM or Ctrl-C).
///
/// Any number may run on one database: they share the work. Events go on to Kafka, each to the topic of its source, unless
/// --no-forward says otherwise.
///
/// It listens on this machine only unless --listen says otherwise, and then asks for tokens: give them in a file, one a line, or
/// in TIDINGS_STORE_TOKENS, separated by commas.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings store serve --database mysql://store@db.example/store --brokers broker-1:9092
  tidings store serve --listen 0.0.0.0:7433 --token-file tokens --tls-certificate store.pem --tls-key store.key")]
pub(super) struct ServeArguments {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7433", env = "TIDINGS_STORE_LISTEN")]
    listen: SocketAddr,

    /// A file with the tokens that callers may have, one a line: TOKEN, or TOKEN source=NAME right=append, or right=read.
    #[arg(long, value_name = "FILE", env = "TIDINGS_STORE_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// Let anybody in who reaches it: where the network itself lets only friends in.
    #[arg(long, conflicts_with = "token_file")]
    anonymous: bool,

    /// The certificate, in PEM, with the chain behind it.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "TIDINGS_STORE_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,

    /// The certificate's key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "TIDINGS_STORE_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Serve only callers whose certificates this authority has signed.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "TIDINGS_STORE_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,

    /// Keep events, and do not take them to Kafka. All replicas say the same.
    #[arg(long)]
    no_forward: bool,

    /// The most connections to the database; the relay that forwards has five more.
    #[arg(long, value_name = "N", default_value_t = 32, env = "TIDINGS_STORE_CONNECTIONS")]
    connections: u32,

    /// How long the brokers may take to answer at first, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "TIDINGS_STORE_TIMEOUT")]
    timeout: u64,

    #[command(flatten)]
    options: ServeOptionArguments,

    #[command(flatten)]
    relay: RelayOptionArguments,

    #[command(flatten)]
    database: DatabaseArguments,

    #[command(flatten)]
    kafka: KafkaArguments,
}

pub(super) async fn run(arguments: ServeArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let service = service_options(&arguments).await?;
    let options = database::options(settings, &arguments.database, false)?.max_connections(arguments.connections);
    let place = options.redacted_url();
    let kafka = settings.kafka(&arguments.kafka)?;
    if !arguments.no_forward {
        check_brokers(&kafka, Duration::from_secs(arguments.timeout.max(1))).await?;
    }
    let database = database::connect(options).await?;
    let forward = !arguments.no_forward;
    let options = arguments.options.change(StoreOptions::default().forward(forward));
    let store = DatabaseStore::open(&database, options).await?;
    let service = StoreService::bind(store, service).await?;
    let address = service.address().map_err(|error| CliError::failed(&error))?;
    let relay_options = arguments.relay.change(RelayOptions::default());
    let relay = || Relay::new(&database, KafkaProducers::new(kafka.clone())).options(relay_options);
    let relay = forward.then(relay);
    let onward = if forward { format!(", and forwards to {}", kafka.brokers()) } else { String::new() };
    printer.note(&format!("the event store in {place} listens at {address}{onward}"));
    let summary = serve(service, relay, terminated()).await;
    database.close().await;
    if let Some(summary) = summary? {
        printer.note(&format!("forwarded {}, parked {}", summary.published, summary.parked));
    }
    Ok(())
}

/// Serve, and forward, until `told` to end. Where nothing is forwarded any more, nothing is served either: who looks after the process
/// starts it again.
async fn serve(
    service: StoreService,
    relay: Option<Relay>,
    told: impl Future<Output = ()> + Send,
) -> Result<Option<RelaySummary>, CliError> {
    let Some(relay) = relay else { return service.run(told).await.map(|()| None).map_err(CliError::from) };
    let (stop, stopped) = oneshot::channel::<()>();
    let mut relay = tokio::spawn(relay.run(async {
        // Dropped, it says the same.
        let _ = stopped.await;
    }));
    let mut ended = None;
    let told_or_ended = async {
        tokio::select! {
            () = told => {}
            // It does so by itself only where it cannot begin.
            result = &mut relay => ended = Some(result),
        }
    };
    let served = service.run(told_or_ended).await;
    drop(stop);
    let result = match ended {
        Some(result) => result,
        None => relay.await,
    };
    let summary = result.unwrap_or(Err(RelayError::Ended)).map_err(|error| CliError::failed(&error))?;
    served.map(|()| Some(summary)).map_err(CliError::from)
}

async fn service_options(arguments: &ServeArguments) -> Result<ServiceOptions, CliError> {
    let options = ServiceOptions::new(arguments.listen).anonymous(arguments.anonymous);
    let mut options = arguments.options.change_service(options);
    let named = std::env::var("TIDINGS_STORE_TOKENS").unwrap_or_default();
    if let Some(path) = &arguments.token_file {
        options = options.tokens(Tokens::read(path).await?);
    } else if !named.is_empty() {
        options = options.tokens(Tokens::parse(&named.replace(',', "\n"))?);
    }
    if let (Some(certificate), Some(key)) = (&arguments.tls_certificate, &arguments.tls_key) {
        let files = TlsFiles::new(certificate, key);
        options = options.tls(match &arguments.tls_client_ca {
            Some(authority) => files.client_ca(authority),
            None => files,
        });
    }
    Ok(options)
}

/// A wrong address or password is an error now, not an outage to be waited out.
async fn check_brokers(kafka: &KafkaOptions, timeout: Duration) -> Result<(), CliError> {
    // Refuses properties that would break the relay's promise.
    drop(KafkaProducer::new(kafka, &ProducerOptions::relay())?);
    match topics::show(kafka, &[ANY_TOPIC.to_owned()], timeout).await {
        Err(error @ crate::transport::kafka::TopicError::Kafka(_)) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use futures_util::future::{self, BoxFuture};

    use super::*;
    use crate::database::{Database, DatabaseOptions};
    use crate::transport::Producer;
    use crate::transport::memory::MemoryProducer;

    #[tokio::test]
    async fn a_store_whose_relay_cannot_begin_ends_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let connect = async |name: &str| {
            let url = format!("sqlite:{}", folder.path().join(name).display());
            Database::connect(DatabaseOptions::new(url).check_migrated(false)).await.unwrap()
        };
        let (database, empty) = (connect("store.db").await, connect("empty.db").await);
        DatabaseStore::migrate(&database).await.unwrap();
        let start = async |database_of_relay: &Database, told: BoxFuture<'static, ()>| {
            let store = DatabaseStore::open(&database, StoreOptions::default()).await.unwrap();
            let options = ServiceOptions::new(([127, 0, 0, 1], 0).into());
            let service = StoreService::bind(store, options).await.unwrap();
            let producers = || -> Arc<dyn Producer> { Arc::new(MemoryProducer::new(1)) };
            serve(service, Some(Relay::new(database_of_relay, producers)), told).await
        };
        let error = start(&empty, future::pending().boxed()).await.unwrap_err();
        assert!(format!("{error:?}").contains("migrate"), "{error:?}");
        let summary = start(&database, future::ready(()).boxed()).await.unwrap();
        assert_eq!(summary, Some(RelaySummary::default()));
    }
}
