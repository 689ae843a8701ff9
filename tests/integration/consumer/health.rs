//! Health, lag and metrics of consumers on real brokers, over HTTP.

use std::sync::Arc;

use tidings::consumer::{Consumer, HealthOptions};
use tidings::prelude::*;
use tidings::telemetry::http::{self, Endpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, post};
use crate::support::wait::{until, until_true};

/// Takes no score before the doors open.
struct Turnstile {
    doors: Arc<Semaphore>,
}

#[dispatcher(source = "scores")]
impl Turnstile {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, _event: ScorePosted) -> Result<()> {
        self.doors.acquire().await.terminal()?.forget();
        Ok(())
    }
}

async fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_tells_its_lag_and_is_ready_while_it_gets_on() {
    let scene = Scene::new(2).await;
    let prometheus = http::install_prometheus().unwrap();
    let doors = Arc::new(Semaphore::new(0));
    let options = scene.consumer().health(HealthOptions::default().show_keys(true));
    let turnstile = Turnstile { doors: Arc::clone(&doors) };
    let builder =
        Consumer::builder(options).codec(codec()).dispatch_with(turnstile, |settings| settings.source(scene.topic()));
    let consumer = builder.build().await.unwrap();
    let handle = consumer.handle();
    let mut address = http::DEFAULT_ADDRESS;
    address.set_port(0);
    let server = Endpoint::new().consumer(handle.clone()).prometheus(prometheus).bind(address).await.unwrap();
    let address = server.address();
    let server = tokio::spawn(server.run());
    assert!(ask(address, "/ready").await.contains("503"), "nobody runs it yet");
    let running = Running::start(consumer);

    // Nothing was ever published: assigned, and nothing waits.
    until_true("it is ready", || handle.health().ready && handle.health().groups[0].partitions.len() == 2).await;
    post(&scene.publisher().await, 10, 1..=4).await;
    let lag = || {
        let partitions = handle.health().groups.remove(0).partitions;
        partitions.iter().map(|partition| partition.lag_messages).sum::<Option<u64>>()
    };
    until("all forty are behind", async || if lag() == Some(40) { Ok(()) } else { Err(handle.health()) }).await;
    let health = handle.health();
    assert!(health.live && health.ready, "{health:?}");
    // Of a batch some records stand for the others.
    assert!(!health.groups[0].hottest_keys.is_empty(), "{health:?}");
    until_true("ten are in flight", || handle.health().groups[0].in_flight == 10).await;
    assert!(ask(address, "/live").await.contains("200 OK"));
    assert!(ask(address, "/ready").await.contains("200 OK"));

    doors.add_permits(40);
    until("nothing waits any more", async || if lag() == Some(0) { Ok(()) } else { Err(handle.health()) }).await;
    let group = scene.group("Turnstile");
    let handled = format!(r#"tidings_consumer_handled_events_total{{messaging_consumer_group_name="{group}"}} 40"#);
    let text = until("the metrics tell it", async || {
        let text = ask(address, "/metrics").await;
        if text.contains(&handled) { Ok(text) } else { Err(text) }
    })
    .await;
    assert!(text.contains("# TYPE messaging_process_duration_seconds histogram"), "{text}");
    assert!(text.contains(r#"tidings_handler="Turnstile::on_posted""#), "{text}");
    assert!(text.contains("# TYPE tidings_consumer_lag_messages gauge"), "{text}");

    running.stop().await;
    let stopped = ask(address, "/live").await;
    assert!(stopped.contains("503") && stopped.contains("it was stopped"), "{stopped}");
    server.abort();
}
