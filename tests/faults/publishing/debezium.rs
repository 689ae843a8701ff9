//! Debezium's outbox event router on the real table: its records beside the relay's.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use tidings::transport::kafka::{TopicSpec, topics};

use super::press::{Press, post_many};
use crate::reader::{Seen, read};
use crate::servers::Servers;
use crate::setting;
use crate::support::chance::tell;
use crate::support::groups::ends_of;
use crate::support::jvm::jvm_program;
use crate::support::scene::kafka;
use crate::support::wait::until;

const CONNECTOR: &str = include_str!("../debezium/connector.properties");
const SUFFIX: &str = "-debezium";

/// Debezium's engine, until it is dropped.
struct Engine {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Engine {
    fn start(press: &Press) -> Self {
        let url = press.store.url();
        let place = url.strip_prefix("mysql://").unwrap();
        let (credentials, rest) = place.split_once('@').unwrap();
        let ((user, password), (address, database)) =
            (credentials.split_once(':').unwrap(), rest.split_once('/').unwrap());
        let (host, port) = address.split_once(':').unwrap();
        let server_id = std::process::id().to_string();
        let settings = [
            ("host", host),
            ("port", port),
            ("user", user),
            ("password", password),
            ("database", database),
            ("server_id", &server_id),
        ];
        let connector =
            settings.iter().fold(CONNECTOR.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("connector.properties");
        std::fs::write(&file, connector).unwrap();

        let mut process = jvm_program("faults/debezium")
            .args([file.to_str().unwrap(), &setting("TIDINGS_TEST_BROKERS"), SUFFIX])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.into_iter().any(|line| line == "capturing"), "the engine ended before it captured anything");
        Self { process, _folder: folder }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A record's headers, as whoever reads them sees them.
fn headers(record: &Seen) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<_, _> =
        record.text_headers().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // The router cannot leave a header out: it writes the epoch where it is 0, too, and null where there is no value.
    if headers.get("ce_streamepoch").is_some_and(|epoch| epoch == "0") {
        headers.remove("ce_streamepoch");
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make soak runs it: it wants Maven and a Java compiler, which servers in containers do not"]
async fn debeziums_outbox_event_router_publishes_the_records_that_the_relay_does() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let copies = format!("{}{SUFFIX}", press.scene.topic());
    let partitions = press.scene.partitions();
    let topic = TopicSpec::new(&copies, u32::try_from(partitions).unwrap());
    topics::ensure(&kafka(), &[topic], Duration::from_secs(30)).await.unwrap();
    let engine = tokio::task::block_in_place(|| Engine::start(&press));
    let (database, relay) = (press.database(), press.relay());
    let copied = async || ends_of(&copies, partitions).await.iter().sum::<i64>();

    // What was committed before it read the binary log is not captured.
    let first = async || {
        post_many(&database, 0, 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if copied().await > 0 { Ok(()) } else { Err(()) }
    };
    until("the engine captures", first).await;
    for round in 0..20 {
        for player in 1..=20 {
            post_many(&database, player, 2).await.unwrap();
        }
        if round == 9 {
            press.execute("UPDATE tidings_stream SET epoch = 1").await;
        }
    }
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let ours = {
        let count = usize::try_from(ends_of(&press.scene.topic(), partitions).await.iter().sum::<i64>()).unwrap();
        read(&setting("TIDINGS_TEST_BROKERS"), &press.scene.topic(), partitions, count)
    };
    let all = async || if copied().await > 800 { Ok(()) } else { Err(copied().await) };
    until("the engine has captured everything", all).await;
    let theirs = read(&setting("TIDINGS_TEST_BROKERS"), &copies, partitions, usize::try_from(copied().await).unwrap());
    drop(engine);

    let of_load = |records: Vec<Seen>| {
        let records = records.into_iter().filter(|record| record.key.as_deref() != Some(b"0"));
        let mut partitions: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
        records.for_each(|record| partitions.entry(record.partition).or_default().push(record));
        partitions
    };
    let (ours, theirs) = (of_load(ours), of_load(theirs));
    assert_eq!(ours.values().map(Vec::len).sum::<usize>(), 800);
    for (partition, ours) in &ours {
        let theirs = &theirs[partition];
        assert_eq!(ours.len(), theirs.len());
        // Both keep a stream's order; between streams neither promises any.
        let by_stream = |records: &[Seen]| {
            let mut records: Vec<_> = records.to_vec();
            records.sort_by_key(|record| record.key.clone());
            records
        };
        for (ours, theirs) in by_stream(ours).iter().zip(by_stream(theirs)) {
            assert_eq!((&ours.key, &ours.payload), (&theirs.key, &theirs.payload));
            let (ours, mut theirs) = (headers(ours), headers(&theirs));
            // The router's own, which cannot be switched off.
            assert_eq!(theirs.remove("id"), ours.get("ce_id").cloned());
            assert_eq!(ours, theirs);
        }
    }
    tell("Debezium: 800 events in both topics, in the same partitions, with the same keys, payloads and headers");
}
