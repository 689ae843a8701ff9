//! Transactions and the relay on SQLite: no server needed.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

#[path = "../scenarios/mod.rs"]
mod scenarios;
mod send;

use scenarios::stage::Stage;

all_scenarios! { [] (Stage::sqlite()) }

#[cfg(feature = "macros")]
derived_scenarios! { [] (Stage::sqlite()) }

#[cfg(feature = "consumer")]
mod parked_in_memory {
    use super::scenarios;
    use super::scenarios::parked::ParkedStage;

    crate::parked_scenarios! { [] (async { ParkedStage::memory() }) }
}

#[cfg(feature = "consumer")]
mod parked_in_sqlite {
    use super::scenarios;
    use super::scenarios::parked::ParkedStage;
    use super::scenarios::stage::Stage;

    crate::parked_scenarios! { [] (async { ParkedStage::database(Stage::sqlite().await) }) }
}

mod opening {
    use tidings::database::{Database, DatabaseOptions, Error};

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_named() {
        let error = Database::connect(DatabaseOptions::new("sqlite:/no/such/folder/file.db")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable { address, .. } if address == "/no/such/folder/file.db"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_url_of_another_kind_is_refused_without_showing_it() {
        let error = Database::connect(DatabaseOptions::new("postgres://user:secret@host/db")).await.unwrap_err();
        assert!(matches!(error, Error::Url { .. }) && !format!("{error:?}{error}").contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_database_in_memory_works() {
        let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
        Database::connect(options).await.unwrap().check_migrated().await.unwrap();
    }
}
