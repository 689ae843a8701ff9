//! What waits for a lane of the event store is stored together.

use std::any::Any;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, TryStreamExt as _};
use tidings::Stream;
use tidings::database::{Database, DatabaseOptions};
use tidings::store::{
    Append, Appended, DatabaseStore, EventStore as _, ExpectedVersion, NewEvent, StoreError, StoreOptions, StreamQuery,
};

use crate::counting::{Counted, counted};
use crate::scenarios::event_store::event;
use crate::scenarios::stage::{Place, Stage, of_server};
use crate::setting;

fn contains(command: &[u8], words: &[u8]) -> bool {
    command.windows(words.len()).any(|part| part == words)
}

/// A transaction that appends is sent as one command with its end.
fn appends(command: &[u8]) -> u64 {
    u64::from(contains(command, b"INSERT INTO tidings_store_event ") && contains(command, b"COMMIT"))
}

/// A store of one lane, on a line that counts the transactions that append.
struct Line {
    stage: Stage,
    database: Database,
    store: DatabaseStore,
    transactions: Counted,
}

impl Line {
    async fn new() -> Self {
        let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
        DatabaseStore::migrate(&stage.database).await.unwrap();
        let Place::Server { url, name } = &stage.place else { panic!("a file has no line") };
        let (url, transactions) = counted(&of_server(url, name), appends).await;
        let database = Database::connect(DatabaseOptions::new(url)).await.unwrap();
        let store = DatabaseStore::open(&database, StoreOptions::default().lanes(1)).await.unwrap();
        Self { stage, database, store, transactions }
    }

    /// Hold up whoever appends to `Account/held`, and so the lane, until the answer is dropped.
    async fn hold(&self) -> Box<dyn Any + Send> {
        self.stage
            .hold(
                "INSERT INTO tidings_store_stream (source, stream, writer, partition_key, epoch, sequence) \
                 VALUES ('/accounts', 'Account/held', 'store', 'Account/held', 0, 0)",
            )
            .await
    }

    /// Append each of `events` by itself while the lane is held up by another one, and then let it go.
    async fn append_at_once(&self, events: Vec<NewEvent>) -> Vec<Result<Appended, StoreError>> {
        let held = self.hold().await;
        let of = |event| self.store.append(Append::new([event], ExpectedVersion::Any));
        let mut all = join_all(std::iter::once(event("Account/held", "x")).chain(events).map(of));
        // Asked once, each waits for the lane.
        assert!((&mut all).now_or_never().is_none());
        drop(held);
        let mut results = all.await;
        assert!(results.remove(0).is_ok());
        results
    }

    async fn stored(&self, stream: &str) -> usize {
        let query = StreamQuery::new("accounts", Stream::from_name(stream));
        self.store.read(query).try_collect::<Vec<_>>().await.unwrap().len()
    }

    async fn close(self) {
        self.store.close().await;
        self.database.close().await;
        self.stage.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_appends_that_wait_at_once_cost_a_few_commits() {
    let line = Line::new().await;
    // It counts: each that finds an idle lane has a transaction of its own.
    for _ in 0..3 {
        line.store.append(Append::new([event("Account/alone", "x")], ExpectedVersion::Any)).await.unwrap();
    }
    assert_eq!(line.transactions.so_far(), 3);

    let fifty = (0..50).map(|number| event(&format!("Account/{}", number % 7), "x")).collect();
    let results = line.append_at_once(fifty).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    // Those that came first, and those that waited. The lane may have to begin again, as the stream was held by somebody else.
    let transactions = line.transactions.so_far() - 3;
    assert!((1..=5).contains(&transactions), "{transactions} transactions for 51 appends");
    assert_eq!((line.stored("Account/0").await, line.stored("Account/6").await), (8, 7));
    line.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_database_refuses_is_told_and_those_in_its_company_are_stored() {
    let line = Line::new().await;
    // As if the database had been made for less than the store lets through.
    line.stage.execute("ALTER TABLE tidings_store_event MODIFY data_schema VARCHAR(20) NOT NULL").await;
    let bad = |stream: &str| {
        let mut event = event(stream, "x");
        event.envelope.data_schema = "urn:avro:1234567890123456789012".to_owned();
        event
    };
    let events = vec![event("Account/1", "x"), event("Account/2", "x"), bad("Account/2"), event("Account/3", "x")];
    let results = line.append_at_once(events).await;
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(appended) => assert!(index != 2 && appended.last.sequence == 1, "{results:?}"),
            Err(StoreError::Invalid { reason }) => {
                assert!(index == 2 && reason.contains("one of its values"), "{reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    for stream in ["Account/1", "Account/2", "Account/3"] {
        assert_eq!(line.stored(stream).await, 1, "{stream}");
    }
    // It is told the same where it has no company.
    let alone = line.store.append(Append::new([bad("Account/2")], ExpectedVersion::Any)).await;
    assert!(matches!(alone, Err(StoreError::Invalid { .. })), "{alone:?}");
    line.store.append(Append::new([event("Account/2", "x")], ExpectedVersion::Exact(1))).await.unwrap();
    line.close().await;
}
