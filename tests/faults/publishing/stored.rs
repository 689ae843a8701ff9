//! Events that travel through the event store, while services and replicas are killed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidings::outbox::{ProducerFactory, Relay, RelayOptions};
use tidings::publisher::DeliveryMode;
use tidings::store::{DatabaseStore, StoreClient, StoreClientOptions, StoreProducers};
use tidings::testing::FAULT_POINT_VARIABLE;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::kills::{OF_A_SERVICE, killed};
use super::press::{LEASE, Load, MYSQL, Pace, Press};
use crate::servers::Servers;
use crate::support::child::Child;
use crate::support::groups::ends;
use crate::support::store::Store;
use crate::support::wait::until;

/// Take events to the store at `url`.
pub(super) async fn producers(url: String) -> impl ProducerFactory {
    let options = StoreClientOptions::new(url).deadline(Duration::from_secs(5));
    StoreProducers::new(Arc::new(StoreClient::new(options).await.unwrap()))
}

/// At which of its times a point ends a service: late enough that its events have gone some way.
fn late(point: &'static str) -> (&'static str, u32) {
    (point, if point.ends_with("commit") { 400 } else { 60 })
}

/// What stands before replicas: takes each connection to the first of `places` where one answers.
async fn door(places: [SocketAddr; 2]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                for place in places {
                    let Ok(mut replica) = TcpStream::connect(place).await else { continue };
                    // It ends when either does.
                    let _ = copy_bidirectional(&mut client, &mut replica).await;
                    return;
                }
            });
        }
    });
    here
}

async fn free_place() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A service is killed at each point, and meanwhile, each time, the replica that its events went to; another one takes over.
async fn killed_on_both_sides(points: impl Iterator<Item = (&'static str, u32)>, then: i64) {
    let _alone = Servers::alone().await;
    let (press, behind) = (Press::on(MYSQL, DeliveryMode::Store).await, Store::new().await);
    DatabaseStore::migrate(&behind.database).await.unwrap();
    let places = [free_place().await, free_place().await];
    let store = format!("http://{}", door(places).await);
    let (topic, url) = (press.scene.topic(), behind.url());
    let replica = |place: SocketAddr| {
        let settings = [("TOPIC", topic.as_str()), ("DATABASE", url.as_str()), ("ADDRESS", &place.to_string())];
        let replica = Child::start("store replica", &settings);
        replica.expect("serving");
        replica
    };
    let second = replica(places[1]);
    for (point, times) in points {
        let first = replica(places[0]);
        let armed = format!("{point}*{times}");
        let mut service = press.child("service", &[("STORE", store.as_str()), (FAULT_POINT_VARIABLE, &armed)]);
        let before = ends(&press.scene).await.iter().sum::<i64>();
        // It may come to its point before much of what it commits has gone its way: then the next one takes it along.
        let some_went = async || {
            let now = ends(&press.scene).await.iter().sum::<i64>();
            if now >= before + 30 || service.is_over() { Ok(()) } else { Err(now) }
        };
        until("events go through the store", some_went).await;
        first.kill();
        killed(point, service);
    }
    let options = RelayOptions::default().lease_ttl(LEASE);
    let relay = Relay::new(&press.database(), producers(store).await).options(options).spawn();
    if then > 0 {
        let load = Load::begin(&press.database(), Pace::HARD);
        press.progress(then).await;
        load.end().await;
    }
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let forwarded = async || match behind.rows("tidings_outbox").await {
        0 => Ok(()),
        rows => Err(rows),
    };
    until("everything is forwarded", forwarded).await;
    second.kill();
    press.proof("services and replicas of the store killed").await.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_replicas_of_the_store_killed_at_every_step_lose_and_reorder_nothing() {
    killed_on_both_sides(OF_A_SERVICE.into_iter().map(late), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn services_and_replicas_of_the_store_killed_again_and_again_lose_and_reorder_nothing() {
    killed_on_both_sides((0..36).map(|round| late(OF_A_SERVICE[round % OF_A_SERVICE.len()])), 50_000).await;
}
