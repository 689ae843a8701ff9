//! Entities whose statements are derived.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::try_join;
use tidings::Key;
use tidings::database::sqlx;
use tidings::database::{Database, Entity, Error, Locking, Transaction, TransactionOptions};
use tokio::sync::Barrier;

use super::account::AccountRenamed;
use super::stage::Stage;

/// Every name needs its quotes.
const TABLE: &str = "CREATE TABLE `order` (`key` BIGINT NOT NULL, `group` VARCHAR(64) NOT NULL, `nick name` VARCHAR(64) NULL, \
     `select` BIGINT NOT NULL, `row version` BIGINT NOT NULL, PRIMARY KEY (`key`, `group`))";
const TABLE_OF_NOTES: &str = "CREATE TABLE note (id VARCHAR(64) PRIMARY KEY, version BIGINT NOT NULL)";

#[derive(Debug, Clone, PartialEq, Eq)]
struct MemberId {
    key: i64,
    guild: String,
}

impl Key for MemberId {
    fn to_key(&self) -> Cow<'_, str> {
        format!("{}:{}", self.key, self.guild).into()
    }
}

#[derive(Entity, Debug, Clone, PartialEq, Eq)]
#[entity(table = "order", version = "row version", delete)]
struct Member {
    #[entity(column = "nick name")]
    nickname: Option<String>,
    #[entity(key, columns(key, guild = "group"))]
    id: MemberId,
    select: i64,
}

#[derive(Entity, Debug, Clone, PartialEq, Eq)]
#[entity(table = "note")]
struct Note {
    #[entity(key = str)]
    id: String,
}

static ID: LazyLock<MemberId> = LazyLock::new(id);

fn id() -> MemberId {
    MemberId { key: 7, guild: "red".to_owned() }
}

/// Write the member with what `change` makes of it.
async fn change(database: &Database, change: impl Fn(Option<Member>) -> Member + Send + Sync) -> Result<Member, Error> {
    let changed = database.atomically(&*ID, async |tx: Transaction, member: Option<Member>| {
        let member = change(member);
        tx.save(&member);
        tx.publish(&AccountRenamed::new("7", member.nickname.as_deref().unwrap_or("nobody")));
        Ok(member)
    });
    changed.await
}

fn one_more(member: Option<Member>) -> Member {
    let member = member.unwrap_or(Member { nickname: None, id: id(), select: 0 });
    Member { nickname: Some(format!("nr {}", member.select)), select: member.select + 1, ..member }
}

pub(crate) async fn a_derived_entity_is_inserted_found_and_updated(stage: &Stage) {
    stage.execute(TABLE).await;
    for locking in [Locking::Optimistic, Locking::ForUpdate] {
        let database = stage.database.clone().with_options(TransactionOptions::default().locking(locking));
        change(&database, one_more).await.unwrap();
    }
    let unnamed = |member: Option<Member>| Member { nickname: None, ..member.unwrap() };
    change(&stage.database, unnamed).await.unwrap();
    // One of another key is another row.
    let other = MemberId { guild: "blue".to_owned(), ..id() };
    let found = stage.database.atomically(&other, async |_, member: Option<Member>| Ok::<_, Error>(member));
    assert_eq!(found.await.unwrap(), None);
    let found = stage.database.atomically(&*ID, async |_, member: Option<Member>| Ok::<_, Error>(member));
    assert_eq!(found.await.unwrap(), Some(Member { nickname: None, id: id(), select: 2 }));
    assert_eq!(stage.outbox_rows().await, 3);
}

pub(crate) async fn a_derived_entity_that_is_overtaken_is_read_again(stage: &Stage) {
    stage.execute(TABLE).await;
    let (runs, both_have_read) = (AtomicU32::new(0), Barrier::new(2));
    for expected in [3, 6] {
        let raise = || {
            let (runs, both_have_read) = (&runs, &both_have_read);
            stage.database.atomically(&*ID, async move |tx: Transaction, member: Option<Member>| {
                // The first two of each pair: once to create the member, once to change it.
                if runs.fetch_add(1, Ordering::Relaxed) % 3 < 2 {
                    both_have_read.wait().await;
                }
                tx.save(&one_more(member));
                Ok::<_, Error>(())
            })
        };
        try_join(raise(), raise()).await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), expected);
    }
    let found = stage.database.atomically(&*ID, async |_, member: Option<Member>| Ok::<_, Error>(member));
    assert_eq!(found.await.unwrap().unwrap().select, 4);
}

pub(crate) async fn a_deleted_entity_is_gone_and_one_created_anew_is_not_taken_for_it(stage: &Stage) {
    stage.execute(TABLE).await;
    change(&stage.database, one_more).await.unwrap();
    let delete = async || {
        let deleted = stage.database.atomically(&*ID, async |tx: Transaction, member: Option<Member>| {
            tx.delete(&member.unwrap());
            tx.publish(&AccountRenamed::new("7", "gone"));
            Ok::<_, Error>(())
        });
        deleted.await.unwrap();
    };
    let runs = AtomicU32::new(0);
    let changed = stage.database.atomically(&*ID, async |tx: Transaction, member: Option<Member>| {
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            // Between this read and this write it is deleted, and created anew just as it was.
            delete().await;
            assert_eq!(stage.texts("SELECT `group` FROM `order`").await.len(), 0);
            change(&stage.database, one_more).await?;
        }
        tx.save(&one_more(member));
        Ok::<_, Error>(())
    });
    changed.await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2, "it was taken for the one that was deleted");

    // What somebody has changed since it was read is not deleted.
    let runs = AtomicU32::new(0);
    let deleted = stage.database.atomically(&*ID, async |tx: Transaction, member: Option<Member>| {
        let member = member.unwrap();
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            change(&stage.database, one_more).await?;
        }
        tx.delete(&member);
        Ok::<_, Error>(member.select)
    });
    assert_eq!((deleted.await.unwrap(), runs.load(Ordering::Relaxed)), (3, 2));
    // One that was not read is deleted as it is, or not there as it should be.
    for _ in 0..2 {
        let deleted = stage.database.transaction(async |tx| {
            tx.delete(&one_more(None));
            Ok::<_, Error>(())
        });
        deleted.await.unwrap();
    }
    assert_eq!(stage.texts("SELECT `group` FROM `order`").await.len(), 0);
}

pub(crate) async fn an_entity_of_nothing_but_a_key_is_found_by_what_it_borrows_as(stage: &Stage) {
    stage.execute(TABLE_OF_NOTES).await;
    for found_before in [false, true, true] {
        let noted = stage.database.atomically("it's", async |tx: Transaction, note: Option<Note>| {
            tx.save(&Note { id: "it's".to_owned() });
            Ok::<_, Error>(note.is_some())
        });
        assert_eq!(noted.await.unwrap(), found_before);
    }
    assert_eq!(stage.texts("SELECT CAST(version AS CHAR) FROM note").await, ["3"]);
}

pub(crate) async fn a_column_that_does_not_fit_is_named(stage: &Stage) {
    stage.execute(&TABLE.replace("`select` BIGINT", "`select` VARCHAR(64)")).await;
    stage.execute("INSERT INTO `order` VALUES (7, 'red', NULL, 'many', 1)").await;
    let found = stage.database.atomically(&*ID, async |_, member: Option<Member>| Ok::<_, Error>(member));
    let Err(Error::Sql { source: sqlx::Error::ColumnDecode { index, .. }, .. }) = found.await else {
        panic!("a text was taken for a number");
    };
    assert_eq!(index, "select");
}
