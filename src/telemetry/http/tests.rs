//! The paths, asked without a network.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;

use super::{Endpoint, prometheus_builder, router};
use crate::clock::{Clock as _, SystemClock};
use crate::consumer::health::{GroupHealth, HealthOptions};
use crate::consumer::{ConsumerHandle, Counters};

struct Watched {
    counters: Arc<Counters>,
    clock: Arc<SystemClock>,
    handle: ConsumerHandle,
}

/// A consumer's handle, whose poll thread the test plays.
fn watched() -> Watched {
    let (clock, group) = (Arc::new(SystemClock::new()), Arc::from("leaderboards.Scores"));
    let handle =
        ConsumerHandle::new([(group, None)].into_iter(), Arc::clone(&clock) as _, HealthOptions::default(), None);
    Watched { counters: handle.counters(0), clock, handle }
}

impl Watched {
    fn turn(&self, reasons: &[&str]) {
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        self.counters.pulse.beat(self.clock.monotonic());
        self.counters.pulse.publish(GroupHealth { ready: reasons.is_empty(), reasons, ..GroupHealth::default() });
    }

    async fn ask(&self, path: &str) -> (StatusCode, String) {
        let endpoint = Endpoint::new().consumer(self.handle.clone());
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = endpoint.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_live_and_ready_while_it_turns_and_gets_on() {
    let watched = watched();
    watched.turn(&[]);
    assert_eq!(watched.ask("/live").await, (StatusCode::OK, "live\n".to_owned()));
    assert_eq!(watched.ask("/ready").await, (StatusCode::OK, "ready\n".to_owned()));
    let (status, body) = watched.ask("/health").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["consumers"][0]["groups"][0]["group"]), (StatusCode::OK, &"leaderboards.Scores".into()));
    // No recorder, no metrics.
    assert_eq!(watched.ask("/metrics").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_get_on_is_live_but_not_ready_and_says_why() {
    let watched = watched();
    watched.turn(&["partition accounts[3] has not moved for 312 s"]);
    assert_eq!(watched.ask("/live").await.0, StatusCode::OK);
    let (status, body) = watched.ask("/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "not ready\nleaderboards.Scores: partition accounts[3] has not moved for 312 s\n");
    let (status, body) = watched.ask("/health").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["live"], &body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &true.into(), &false.into()));
    assert!(body["reasons"][0].as_str().unwrap().contains("312 s"));
}

#[tokio::test(start_paused = true)]
async fn one_whose_thread_hangs_is_not_live_and_recovers() {
    let watched = watched();
    watched.turn(&[]);
    tokio::time::advance(Duration::from_secs(61)).await;
    let (status, body) = watched.ask("/live").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.starts_with("not live\nleaderboards.Scores: the consumer's thread has not turned for 61 s"), "{body}");
    assert_eq!(watched.ask("/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    watched.turn(&[]);
    assert_eq!((watched.ask("/live").await.0, watched.ask("/ready").await.0), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn metrics_are_told_as_prometheus_reads_them() {
    let recorder = prometheus_builder().unwrap().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        crate::telemetry::describe();
        metrics::histogram!(crate::telemetry::names::PROCESS_DURATION).record(0.003);
    });
    let router = router(watched().handle, recorder.handle());
    let response = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(r#"messaging_process_duration_seconds_bucket{le="0.005"} 1"#), "{text}");
}

#[tokio::test]
async fn the_server_answers_on_the_loopback_until_it_is_stopped() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let watched = watched();
    watched.turn(&[]);
    let mut address = super::DEFAULT_ADDRESS;
    assert!(address.ip().is_loopback());
    address.set_port(0);
    let server = Endpoint::new().consumer(watched.handle.clone()).bind(address).await.unwrap();
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}
