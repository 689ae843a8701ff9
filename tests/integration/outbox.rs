//! Transactions and the relay on real MySQL and MariaDB.

mod mysql {
    use crate::scenarios;
    use crate::scenarios::stage::Stage;

    all_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
    server_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
}

mod mariadb {
    use crate::scenarios;
    use crate::scenarios::stage::Stage;

    all_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
    server_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
}
