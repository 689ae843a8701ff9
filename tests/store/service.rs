//! The store over gRPC.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tidings::Stream;
use tidings::outbox::{Relay, held_topics};
use tidings::publisher::DeliveryMode;
use tidings::store::{
    Append, DatabaseStore, EventStore, ExpectedVersion, Notice, Refusal, Relayed, ServiceOptions, StoreClient,
    StoreClientOptions, StoreError, StoreOptions, StoreProducers, StoreService, StreamQuery, Subscription, TlsFiles,
    Tokens,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scenarios::account::AccountRenamed;
use crate::scenarios::event_store::{event, placed, store};
use crate::scenarios::stage::{Stage, eventually};

pub(crate) const TOKEN: &str = "a-token-that-is-long-enough";

/// A service that runs until it is stopped.
pub(crate) struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    service: JoinHandle<Result<(), StoreError>>,
}

impl Running {
    pub(crate) async fn start(store: DatabaseStore, change: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Self {
        let options = change(ServiceOptions::new(([127, 0, 0, 1], 0).into()));
        let service = StoreService::bind(store, options).await.unwrap();
        let address = service.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let service = tokio::spawn(service.run(async {
            let _ = stopped.await;
        }));
        Self { address, stop, service }
    }

    pub(crate) fn options(&self) -> StoreClientOptions {
        StoreClientOptions::new(format!("http://{}", self.address)).deadline(Duration::from_secs(30))
    }

    /// A line to it, for whoever speaks to it without the client.
    pub(crate) fn channel(&self) -> tonic::transport::Channel {
        tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    async fn client(&self) -> StoreClient {
        StoreClient::new(self.options()).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.service.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_appends_relays_reads_and_follows() {
    let stage = Stage::sqlite().await;
    let running = Running::start(store(&stage, StoreOptions::default()).await, |options| options).await;
    let client = running.client().await;

    let mut strange = event("Account/ü 'x'", "payload");
    strange.envelope.tracestate = Some("vendor=1".to_owned());
    let append = Append::new([strange.clone()], ExpectedVersion::None);
    let appended = client.append(append.clone()).await.unwrap();
    assert_eq!((appended.last.sequence, appended.repeated), (1, false));
    assert!(client.append(append).await.unwrap().repeated);
    let wrong = client.append(Append::new([event("Account/ü 'x'", "2")], ExpectedVersion::Exact(7))).await;
    let Err(StoreError::Refused(Refusal::WrongVersion { expected: 7, actual: 1, .. })) = wrong else {
        panic!("{wrong:?}")
    };

    let results = client.relay(vec![placed("Account/2", 0, 1), placed("Account/2", 0, 3)]).await.unwrap();
    assert!(
        matches!(&*results, [Relayed::Stored, Relayed::Refused(Refusal::Gap { sequence: 3, last: 1, .. })]),
        "{results:?}"
    );
    client.stored(strange.id()).await.unwrap();

    let read: Vec<_> =
        client.read(StreamQuery::new("accounts", strange.envelope.stream.clone())).try_collect().await.unwrap();
    strange.envelope.sequence = Some(1);
    assert_eq!(read.iter().map(|stored| &stored.event).collect::<Vec<_>>(), [&strange]);

    let mut following = client.subscribe(Subscription::after(0));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Notice::Event(event) = following.try_next().await.unwrap().unwrap() {
            seen.push(event);
        }
    }
    assert_eq!(seen.iter().map(|event| event.position).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(seen[0].event, strange);

    // The stream ends with the service, and says why.
    running.stop().await;
    let ended = loop {
        match following.try_next().await {
            Ok(Some(Notice::CaughtUp { .. })) => {}
            other => break other,
        }
    };
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
}

#[tokio::test]
async fn only_who_has_a_token_is_served_and_health_needs_none() {
    let stage = Stage::sqlite().await;
    let tokens = Tokens::parse(TOKEN).unwrap();
    let store = store(&stage, StoreOptions::default()).await;
    let running = Running::start(store, |options| options.tokens(tokens)).await;
    let append = || Append::new([event("Account/1", "x")], ExpectedVersion::Any);
    for options in [running.options(), running.options().token("a-token-that-is-a-wrong-one")] {
        let refused = StoreClient::new(options).await.unwrap().append(append()).await;
        assert!(matches!(refused, Err(StoreError::Unauthenticated { .. })), "{refused:?}");
    }
    let known = StoreClient::new(running.options().token(TOKEN)).await.unwrap();
    assert!(!format!("{known:?}").contains(TOKEN));
    assert_eq!(known.append(append()).await.unwrap().last.sequence, 1);

    let mut health = tonic_health::pb::health_client::HealthClient::new(running.channel());
    let service = "tidings.store.v1.EventStore".to_owned();
    let status = async move {
        loop {
            let request = tonic_health::pb::HealthCheckRequest { service: service.clone() };
            if let Ok(reply) = health.check(request).await
                && reply.get_ref().status == tonic_health::pb::health_check_response::ServingStatus::Serving as i32
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), status).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn who_has_no_token_has_no_long_question_read() {
    let stage = Stage::sqlite().await;
    let running = Running::start(store(&stage, StoreOptions::default()).await, |options| options).await;
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap().connect_lazy();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let mut ask = async |bytes: usize| {
        let request = tonic_health::pb::HealthCheckRequest { service: "x".repeat(bytes) };
        health.check(request).await.unwrap_err().code()
    };
    assert_eq!(ask(250).await, tonic::Code::NotFound);
    assert_eq!(ask(2_000).await, tonic::Code::OutOfRange);
    running.stop().await;
}

#[tokio::test]
async fn a_token_does_what_it_grants_and_nothing_else() {
    let stage = Stage::sqlite().await;
    let tokens = Tokens::parse(
        "token-that-appends-accounts source=accounts right=append\n\
         token-that-reads-accounts source=accounts right=read\n",
    );
    let store = store(&stage, StoreOptions::default()).await;
    let running = Running::start(store, |options| options.tokens(tokens.unwrap())).await;
    let client = async |token: &str| StoreClient::new(running.options().token(token)).await.unwrap();
    let (writer, reader) = (client("token-that-appends-accounts").await, client("token-that-reads-accounts").await);
    let append = |source: &str| {
        let mut event = event("Account/1", "x");
        event.envelope.source = source.to_owned().into();
        Append::new([event], ExpectedVersion::Any)
    };
    writer.append(append("accounts")).await.unwrap();
    for (who, source) in [(&writer, "payments"), (&reader, "accounts")] {
        let refused = who.append(append(source)).await;
        assert!(matches!(refused, Err(StoreError::Unauthenticated { .. })), "{source}: {refused:?}");
    }
    let read = async |who: &StoreClient, source: &str| {
        who.read(StreamQuery::new(source, tidings::Stream::new("Account", "1"))).try_collect::<Vec<_>>().await
    };
    assert_eq!(read(&reader, "accounts").await.unwrap().len(), 1);
    for (who, source) in [(&reader, "payments"), (&writer, "accounts")] {
        let refused = read(who, source).await;
        assert!(matches!(refused, Err(StoreError::Unauthenticated { .. })), "{source}: {refused:?}");
    }
    let follow = async |subscription: Subscription| reader.subscribe(subscription).try_next().await;
    assert!(matches!(follow(Subscription::after(0)).await, Err(StoreError::Unauthenticated { .. })));
    assert!(follow(Subscription::after(0).source("accounts")).await.unwrap().is_some());
    running.stop().await;
}

#[tokio::test]
async fn a_relay_whose_token_is_not_for_a_source_holds_back_that_source_and_no_other() {
    let (stage, service) = (Stage::sqlite().await, Stage::sqlite().await);
    let tokens = Tokens::parse("token-that-appends-accounts source=accounts right=append\n").unwrap();
    let store = store(&stage, StoreOptions::default()).await;
    let running = Running::start(store.clone(), |options| options.tokens(tokens)).await;
    let client = StoreClient::new(running.options().token("token-that-appends-accounts")).await.unwrap();

    let mut foreign = placed("Player/1", 0, 1);
    foreign.envelope.source = "players".into();
    let results = client.relay(vec![placed("Account/1", 0, 1), foreign, placed("Account/1", 0, 2)]).await.unwrap();
    assert!(
        matches!(&*results, [Relayed::Stored, Relayed::Refused(Refusal::Forbidden { name }), Relayed::Stored] if name == "players"),
        "{results:?}"
    );

    // And so the relay: nothing is parked.
    let database = service.database.clone().with_publisher(&service.publisher(DeliveryMode::Store).await);
    let publish = async |id: &str| {
        let publish = database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(id, "Kim"));
            Ok::<_, tidings::database::Error>(())
        });
        publish.await.unwrap();
    };
    publish("7").await;
    service.execute("UPDATE tidings_outbox SET source = '/players', topic = 'players'").await;
    let relay = Relay::new(&service.database, StoreProducers::new(Arc::new(client))).spawn();
    eventually("it is told of", async || held_topics(&service.database).await.unwrap().len() == 1).await;
    publish("8").await;
    publish("9").await;
    eventually("the others are stored", async || service.outbox_rows().await == 1).await;
    let held = held_topics(&service.database).await.unwrap();
    assert!(held[0].target == "store" && held[0].reason.contains("token is not for the source players"), "{held:?}");
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked, summary.restarts), (2, 0, 0));
    running.stop().await;
}

fn write(folder: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn over_tls_the_store_is_who_its_certificate_says_and_asks_for_the_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = params.self_signed(&ca_key).unwrap();
    let ca = write(path, "ca.pem", &ca_certificate.pem());
    let issuer = rcgen::Issuer::new(params, ca_key);
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        (
            write(path, &format!("{name}.pem"), &certificate.pem()),
            write(path, &format!("{name}.key"), &key.serialize_pem()),
        )
    };
    let (certificate, key) = signed("store");
    let stage = Stage::sqlite().await;
    let store = store(&stage, StoreOptions::default()).await;
    let files = TlsFiles::new(certificate, key).client_ca(&ca);
    let running = Running::start(store, |options| options.tls(files)).await;

    let options = StoreClientOptions::new(format!("https://localhost:{}", running.address.port()))
        .deadline(Duration::from_secs(3));
    let append = || Append::new([event("Account/1", "x")], ExpectedVersion::Any);
    let (certificate, key) = signed("client");
    let trusted = StoreClient::new(options.clone().ca_file(&ca).certificate(certificate, key)).await.unwrap();
    assert_eq!(trusted.append(append()).await.unwrap().last.sequence, 1);

    let strangers = [
        ("a client without a certificate", options.clone().ca_file(&ca)),
        ("a client that does not know the authority", options.clone()),
        (
            "a client that speaks plain text",
            StoreClientOptions::new(format!("http://{}", running.address)).deadline(Duration::from_secs(3)),
        ),
    ];
    for (who, options) in strangers {
        // Some are told when the client is made, as where a machine trusts no authority at all.
        let refused = match StoreClient::new(options).await {
            Ok(client) => client.append(append()).await,
            Err(error) => Err(error),
        };
        let is_refused =
            matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Deadline | StoreError::Client { .. }));
        assert!(is_refused, "{who}: {refused:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn files_of_tls_that_are_not_there_are_named() {
    let stage = Stage::sqlite().await;
    let store = store(&stage, StoreOptions::default()).await;
    let options = ServiceOptions::new(([127, 0, 0, 1], 0).into()).tls(TlsFiles::new("/no/such.pem", "/no/such.key"));
    let refused = StoreService::bind(store, options).await.unwrap().run(std::future::pending()).await;
    assert!(refused.unwrap_err().to_string().contains("/no/such.pem"));
}

#[tokio::test]
async fn a_caller_who_cannot_wait_is_told_and_can_send_the_same_again() {
    let stage = Stage::sqlite().await;
    let running = Running::start(store(&stage, StoreOptions::default()).await, |options| options).await;
    // Nobody else writes while this is held.
    let block =
        stage.hold("INSERT INTO tidings_store_stream VALUES ('/accounts', 'Account/0', 'store', 'k', 0, 0)").await;
    let impatient = StoreClient::new(running.options().deadline(Duration::from_millis(200))).await.unwrap();
    let append = Append::new([event("Account/1", "x")], ExpectedVersion::Any);
    let late = impatient.append(append.clone()).await;
    assert!(matches!(late, Err(StoreError::Deadline)), "{late:?}");
    drop(block);
    let client = running.client().await;
    assert_eq!(client.append(append.clone()).await.unwrap().last.sequence, 1);
    assert!(client.append(append).await.unwrap().repeated);
    running.stop().await;
}

#[tokio::test]
async fn clients_of_a_store_with_too_much_to_do_come_back_and_nothing_acknowledged_is_lost() {
    let stage = Stage::sqlite().await;
    let options = StoreOptions::default().max_queued_events(2);
    let running = Running::start(store(&stage, options).await, |options| options).await;
    let client = running.client().await;
    let block =
        stage.hold("INSERT INTO tidings_store_stream VALUES ('/accounts', 'Account/0', 'store', 'k', 0, 0)").await;
    let appends: Vec<_> = (0..32)
        .map(|number| {
            let (client, append) = (
                client.clone(),
                Append::new([event(&format!("Account/{}", number % 5 + 1), "x")], ExpectedVersion::Any),
            );
            tokio::spawn(async move { client.append(append).await })
        })
        .collect();
    // One who does not come back is told that there is no room, at once.
    let impatient = StoreClient::new(running.options().deadline(Duration::from_millis(50))).await.unwrap();
    let refused = async || impatient.append(Append::new([event("Account/9", "x")], ExpectedVersion::Any)).await;
    let overloaded = async { while !matches!(refused().await, Err(StoreError::Overloaded)) {} };
    tokio::time::timeout(Duration::from_secs(30), overloaded).await.unwrap();
    drop(block);
    for append in appends {
        append.await.unwrap().unwrap();
    }
    let mut stored = 0;
    for stream in 1..=5 {
        let query = StreamQuery::new("accounts", Stream::from_name(&format!("Account/{stream}")));
        stored += client.read(query).try_collect::<Vec<_>>().await.unwrap().len();
    }
    assert_eq!(stored, 32);
    running.stop().await;
}

#[tokio::test]
async fn readers_and_waiters_beyond_what_there_is_room_for_are_refused_at_once() {
    let stage = Stage::sqlite().await;
    let store = store(&stage, StoreOptions::default()).await;
    let running = Running::start(store, |options| options.max_listeners(2)).await;
    let client = StoreClient::new(running.options().deadline(Duration::from_millis(50))).await.unwrap();
    let read = async || client.read(StreamQuery::new("accounts", Stream::new("Account", "1"))).try_next().await;
    read().await.unwrap();
    let mut first = client.subscribe(Subscription::after(0));
    first.try_next().await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.stored(event("Account/1", "x").id()).await }
    });
    let refused = async {
        while !matches!(read().await, Err(StoreError::Overloaded)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    let third = client.subscribe(Subscription::after(0)).try_next().await;
    assert!(matches!(third, Err(StoreError::Overloaded)), "{third:?}");
    // Those who bring events have room of their own.
    client.append(Append::new([event("Account/1", "x")], ExpectedVersion::Any)).await.unwrap();

    waiting.abort();
    drop(first);
    let served = async {
        while read().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), served).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_store_without_room_refuses_requests_before_it_reads_them() {
    let stage = Stage::sqlite().await;
    let options = StoreOptions::default().max_queued_events(1);
    let running = Running::start(store(&stage, options).await, |options| options).await;
    let block =
        stage.hold("INSERT INTO tidings_store_stream VALUES ('/accounts', 'Account/0', 'store', 'k', 0, 0)").await;
    let client = running.client().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.append(Append::new([event("Account/1", "x")], ExpectedVersion::Any)).await }
    });
    let impatient = StoreClient::new(running.options().deadline(Duration::from_millis(50))).await.unwrap();
    // Whoever reads it finds that it is no append at all.
    let empty =
        async || impatient.append(Append::new(Vec::<tidings::store::NewEvent>::new(), ExpectedVersion::Any)).await;
    let refused = async { while !matches!(empty().await, Err(StoreError::Overloaded)) {} };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    drop(block);
    waiting.await.unwrap().unwrap();
    assert!(matches!(empty().await, Err(StoreError::Invalid { .. })));
    running.stop().await;
}

#[tokio::test]
async fn a_client_is_told_what_the_request_lacks_and_a_store_that_is_not_there_is_unavailable() {
    let stage = Stage::sqlite().await;
    let running = Running::start(store(&stage, StoreOptions::default()).await, |options| options).await;
    let client = running.client().await;
    let empty = client.append(Append::new(Vec::<tidings::store::NewEvent>::new(), ExpectedVersion::Any)).await;
    assert!(matches!(empty, Err(StoreError::Invalid { .. })), "{empty:?}");
    let options = running.options().deadline(Duration::from_millis(300));
    running.stop().await;
    let away = StoreClient::new(options)
        .await
        .unwrap()
        .append(Append::new([event("Account/1", "x")], ExpectedVersion::Any))
        .await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
}
