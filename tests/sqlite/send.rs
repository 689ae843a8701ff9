//! What the compiler must accept: handlers borrow themselves and their locals inside a transaction, and stay `Send`.

use tidings::database::{Database, Transaction};

use super::scenarios::account::{Account, AccountRenamed};
use super::scenarios::stage::Stage;

struct Handlers {
    database: Database,
    suffix: String,
}

fn business_logic(account: Option<Account>, suffix: &str) -> tidings::Result<(Account, AccountRenamed)> {
    let account = account.ok_or("there is no such account")?;
    let account = Account { nickname: account.nickname + suffix, ..account };
    let event = AccountRenamed::of(&account);
    Ok((account, event))
}

impl Handlers {
    async fn other_data(&self) -> usize {
        tokio::task::yield_now().await;
        self.suffix.len()
    }

    async fn on_something(&self, id: String) -> tidings::Result<usize> {
        let local = [1_usize, 2, 3];
        self.database
            .atomically(id.as_str(), async |tx, account: Option<Account>| {
                let data = self.other_data().await + local.len();
                let (account, event) = business_logic(account, &self.suffix)?;
                tx.save(&account);
                tx.publish(&event);
                Ok(data)
            })
            .await
    }

    async fn on_something_else(&self, ids: &[&str]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.database
            .transaction(async |tx: Transaction| -> Result<(), tidings::database::Error> {
                for id in ids {
                    if let Some(account) = tx.load::<Account>(id).await? {
                        let seen = self.other_data().await;
                        tx.publish(&AccountRenamed::new(&account.id, &seen.to_string()));
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_handler_borrows_itself_and_its_locals_and_can_be_spawned() {
    let stage = Stage::sqlite().await;
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('7', 'Kim', 1)").await;
    let handlers = std::sync::Arc::new(Handlers { database: stage.database.clone(), suffix: "!".to_owned() });
    let spawned = {
        let handlers = std::sync::Arc::clone(&handlers);
        tokio::spawn(async move { handlers.on_something("7".to_owned()).await.map_err(|error| error.chain()) })
    };
    assert_eq!(spawned.await.unwrap(), Ok(4));
    assert_send(handlers.on_something_else(&["7", "8"])).await.unwrap();
    assert_eq!(stage.texts("SELECT nickname FROM account").await, ["Kim!"]);
    assert_eq!(stage.outbox_rows().await, 2);
    let missing = handlers.on_something("8".to_owned()).await.unwrap_err();
    assert_eq!(missing.chain(), "there is no such account");
    stage.clear().await;
}
