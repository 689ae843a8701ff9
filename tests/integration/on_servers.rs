//! What only a server with many connections can show.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::try_join;
use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::database::{Database, DatabaseOptions, Error, Transaction};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};

use crate::scenarios::account::{Account, AccountRenamed};
use crate::scenarios::stage::{Place, Stage, eventually, of_server};
use crate::scenarios::transactions::ServiceError;

async fn two_accounts(stage: &Stage) {
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('1', 'one', 1), ('2', 'two', 1)").await;
}

async fn touch(tx: &Transaction, id: &str) -> Result<(), ServiceError> {
    let mut connection = tx.mysql().await?;
    sqlx::query("UPDATE account SET version = version + 1 WHERE id = ?").bind(id).execute(&mut *connection).await?;
    Ok(())
}

pub(crate) async fn a_deadlock_in_the_callers_own_sql_runs_the_closure_again(stage: &Stage) {
    two_accounts(stage).await;
    let (runs, both_hold_one) = (AtomicU32::new(0), Barrier::new(2));
    let cross = |first: &'static str, second: &'static str| {
        let (runs, both_hold_one) = (&runs, &both_hold_one);
        stage.database.transaction(async move |tx| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            touch(&tx, first).await?;
            if run < 2 {
                both_hold_one.wait().await;
            }
            touch(&tx, second).await?;
            tx.publish(&AccountRenamed::new(first, "crossed"));
            Ok::<_, ServiceError>(())
        })
    };
    try_join(cross("1", "2"), cross("2", "1")).await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(stage.texts("SELECT CAST(version AS CHAR) FROM account").await, ["3", "3"]);
    assert_eq!(stage.outbox_rows().await, 2);
}

pub(crate) async fn a_deadlock_that_is_ignored_publishes_nothing(stage: &Stage) {
    two_accounts(stage).await;
    let both_hold_one = Barrier::new(2);
    let cross = async |first: &'static str, second: &'static str| {
        let crossed = stage.database.transaction(async |tx| {
            touch(&tx, first).await?;
            both_hold_one.wait().await;
            let swallowed = touch(&tx, second).await.is_err();
            tx.publish(&AccountRenamed::new(first, if swallowed { "swallowed" } else { "crossed" }));
            Ok::<_, ServiceError>(())
        });
        crossed.await
    };
    let results = tokio::join!(cross("1", "2"), cross("2", "1"));
    let failed = [results.0, results.1].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(&failed[..], [ServiceError::Database(Error::EndedFromWithin)]), "{failed:?}");
    assert_eq!(stage.outbox_rows().await, 1);
}

pub(crate) async fn a_statement_that_commits_implicitly_is_noticed(stage: &Stage) {
    let result = stage.database.transaction(async |tx| {
        let mut connection = tx.mysql().await?;
        sqlx::raw_sql("CREATE TABLE implicit (id INT)").execute(&mut *connection).await?;
        tx.publish(&AccountRenamed::new("1", "one"));
        Ok::<_, ServiceError>(())
    });
    assert!(matches!(result.await, Err(ServiceError::Database(Error::EndedFromWithin))));
    assert_eq!(stage.outbox_rows().await, 0);
}

pub(crate) async fn a_lock_wait_that_times_out_runs_the_closure_again(stage: &Stage) {
    // Of the framework's own save, and of the caller's own SQL, by text and prepared.
    for waits in ["save", "text", "prepared"] {
        stage.execute("DELETE FROM account; DELETE FROM tidings_outbox").await;
        two_accounts(stage).await;
        let pool = stage.database.mysql_pool().unwrap();
        let mut other = pool.begin().await.unwrap();
        sqlx::query("UPDATE account SET nickname = 'held' WHERE id = '1'").execute(&mut *other).await.unwrap();
        let (runs, again) = (AtomicU32::new(0), Arc::new(Notify::new()));
        let release = {
            let again = Arc::clone(&again);
            async move {
                again.notified().await;
                other.rollback().await.unwrap();
                Ok(())
            }
        };
        let write = stage.database.atomically("1", async |tx: Transaction, account: Option<Account>| {
            if runs.fetch_add(1, Ordering::Relaxed) > 0 {
                again.notify_one();
            }
            let mut connection = tx.mysql().await?;
            sqlx::raw_sql("SET SESSION innodb_lock_wait_timeout = 1").execute(&mut *connection).await?;
            match waits {
                "text" => {
                    let lock = sqlx::raw_sql("SELECT id FROM account WHERE id = '1' FOR UPDATE");
                    // However the caller words it.
                    lock.execute(&mut *connection).await.map_err(|_| ServiceError::Forbidden)?;
                }
                "prepared" => {
                    let lock = sqlx::query("SELECT id FROM account WHERE id = ? FOR UPDATE").bind("1");
                    lock.fetch_all(&mut *connection).await.map_err(|_| ServiceError::Forbidden)?;
                }
                _ => {}
            }
            drop(connection);
            tx.save(&Account { nickname: "waited".into(), ..account.unwrap() });
            tx.publish(&AccountRenamed::new("1", "waited"));
            Ok::<_, ServiceError>(())
        });
        try_join(write, release).await.unwrap_or_else(|error| panic!("{waits}: {error:?}"));
        assert_eq!(runs.load(Ordering::Relaxed), 2, "{waits}");
        assert_eq!(stage.outbox_rows().await, 1, "{waits}");
    }
}

/// It was not for the lock that it failed.
pub(crate) async fn a_lock_wait_that_timed_out_and_was_got_over_leaves_a_later_error_as_it_is(stage: &Stage) {
    two_accounts(stage).await;
    let pool = stage.database.mysql_pool().unwrap();
    let mut other = pool.begin().await.unwrap();
    sqlx::query("UPDATE account SET nickname = 'held' WHERE id = '1'").execute(&mut *other).await.unwrap();
    let runs = AtomicU32::new(0);
    let refused = stage.database.transaction(async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        let mut connection = tx.mysql().await?;
        sqlx::raw_sql("SET SESSION innodb_lock_wait_timeout = 1").execute(&mut *connection).await?;
        drop(connection);
        touch(&tx, "1").await.unwrap_err();
        touch(&tx, "2").await?;
        Err::<(), _>(ServiceError::Forbidden)
    });
    assert!(matches!(refused.await, Err(ServiceError::Forbidden)));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    other.rollback().await.unwrap();
}

pub(crate) async fn a_connection_killed_before_the_commit_runs_the_closure_again(stage: &Stage) {
    two_accounts(stage).await;
    let runs = AtomicU32::new(0);
    let write = stage.database.atomically("1", async |tx: Transaction, account: Option<Account>| {
        let first = runs.fetch_add(1, Ordering::Relaxed) == 0;
        let mut connection = tx.mysql().await?;
        let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(&mut *connection).await?;
        drop(connection);
        if first {
            let kill = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")));
            kill.execute(stage.database.mysql_pool()?).await?;
        }
        tx.save(&Account { nickname: "again".into(), ..account.unwrap() });
        tx.publish(&AccountRenamed::new("1", "again"));
        Ok::<_, ServiceError>(())
    });
    write.await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(stage.outbox_rows().await, 1);
}

/// Passes everything on between clients and the server of `address`, until a client sends `COMMIT`: that still reaches the
/// server, but the answer does not come back.
pub(crate) async fn a_line_that_breaks_after_commit(address: String) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move {
                let (mut client, mut server) = (client, server);
                let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => {
                            let Ok(read @ 1..) = read else { return };
                            server.write_all(&up[..read]).await.unwrap();
                            if up[..read].windows(7).any(|window| window == b";COMMIT") {
                                // The server is left to finish, and heard by nobody.
                                drop(client);
                                while matches!(server.read(&mut down).await, Ok(1..)) {}
                                return;
                            }
                        }
                        read = server.read(&mut down) => {
                            let Ok(read @ 1..) = read else { return };
                            if client.write_all(&down[..read]).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    here
}

pub(crate) async fn a_connection_lost_after_commit_was_sent_is_unknown(stage: &Stage) {
    let Place::Server { url, name } = &stage.place else { return };
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let line = a_line_that_breaks_after_commit(address.to_owned()).await;
    let through_it = format!("{credentials}@{line}/{name}?ssl-mode=disabled");
    let broken = Database::connect(DatabaseOptions::new(through_it)).await.unwrap();
    let publisher = stage.publisher(tidings::publisher::DeliveryMode::Outbox).await;
    let broken = broken.with_publisher(&publisher);
    let runs = AtomicU32::new(0);
    let result = broken.transaction(async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        tx.publish(&AccountRenamed::new("1", "one"));
        Ok(())
    });
    let error: Error = result.await.unwrap_err();
    assert!(matches!(error, Error::CommitUnknown { .. }), "{error:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 1, "what may have taken effect is not run again");
    eventually("this time it has taken effect", async || stage.outbox_rows().await == 1).await;
}

pub(crate) async fn what_is_wrong_with_the_address_is_named(stage: &Stage) {
    let Place::Server { url, name } = &stage.place else { return };
    let (_, place) = url.split_once('@').unwrap();
    let (address, _) = place.split_once('/').unwrap();
    let connect = async |url: String| {
        let options = DatabaseOptions::new(url).connect_timeout(Duration::from_secs(5));
        let error = Database::connect(options).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("wr0ng-secret"), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        connect(format!("mysql://tidings:wr0ng-secret@{address}/{name}")).await,
        format!("access denied for user 'tidings' at {address}; check the password and the user's grants")
    );
    assert_eq!(
        connect(of_server(url, "tidings_no_such_database")).await,
        format!("there is no database 'tidings_no_such_database' at {address}; create it, or correct the URL")
    );
    assert_eq!(
        connect("mysql://tidings:wr0ng-secret@127.0.0.1:1/x".to_owned()).await,
        "no database answers at 127.0.0.1:1; check that it runs and that the address is right"
    );
    assert!(connect("mysql://tidings:wr0ng-secret@127.0.0.1:1".to_owned()).await.contains("names no database"));
}
