//! Transactions, the inbox and the relay on real MySQL and MariaDB.

mod scenarios {
    #[cfg(feature = "macros")]
    pub(super) use crate::scenarios::derived;
    #[cfg(feature = "store")]
    pub(super) use crate::scenarios::{event_store, store_epochs};
    pub(super) use crate::scenarios::{inbox, inbox_batches, modes, relaying, shards, transactions};
    #[cfg(feature = "store")]
    pub(super) use crate::store_on_servers;
    pub(super) use crate::{inbox_on_servers, long_transactions, on_servers, traps};
}

/// A test for each scenario that only a server with many connections can show.
macro_rules! server_scenarios {
    ($attributes:tt $stage:tt) => {
        scenarios! { $attributes $stage
            on_servers {
                a_deadlock_in_the_callers_own_sql_runs_the_closure_again,
                a_deadlock_that_is_ignored_publishes_nothing,
                a_lock_wait_that_times_out_runs_the_closure_again,
                a_lock_wait_that_timed_out_and_was_got_over_leaves_a_later_error_as_it_is,
                a_connection_killed_before_the_commit_runs_the_closure_again,
                a_connection_lost_after_commit_was_sent_is_unknown,
                what_is_wrong_with_the_address_is_named,
                a_statement_that_commits_implicitly_is_noticed,
            }
            long_transactions {
                a_row_whose_transaction_stays_open_for_long_is_not_passed_by,
                beside_a_transaction_that_stays_open_the_relay_is_about_as_fast_as_without,
            }
            traps {
                an_event_that_commits_late_is_lost_by_a_cursor_and_by_a_range_delete_and_not_by_the_relay,
                a_row_that_is_locked_is_passed_by_with_skip_locked_and_not_by_the_relay,
                workers_that_skip_each_others_rows_reorder_a_stream_and_relays_do_not,
                a_torn_view_is_published_by_who_believes_it_and_looked_at_again_by_the_relay,
            }
            inbox_on_servers {
                a_deadlock_in_a_handler_is_no_attempt_of_its_event,
                a_lock_that_does_not_come_is_no_attempt_of_its_event,
                a_commit_that_nobody_knows_of_is_decided_by_the_inbox,
                a_cancelled_handler_closes_its_connection_and_leaves_nothing,
                a_handler_that_ends_in_order_keeps_its_connection,
                a_purge_neither_waits_for_a_handler_nor_forgets_its_stream,
                a_transaction_that_nothing_is_heard_from_is_ended_by_the_server,
            }
        }
    };
}

/// As [`server_scenarios`], of the event store.
#[cfg(feature = "store")]
macro_rules! store_server_scenarios {
    ($attributes:tt $stage:tt) => {
        scenarios! { $attributes $stage
            store_on_servers {
                an_append_that_stays_open_holds_up_no_other_and_is_not_passed_by,
                what_has_its_position_is_not_looked_at_again_and_again,
                who_sends_small_events_has_no_large_ones_read,
            }
        }
    };
}

mod mysql {
    use super::scenarios;
    use crate::scenarios::stage::Stage;

    all_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
    #[cfg(feature = "macros")]
    derived_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
    server_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
    #[cfg(feature = "store")]
    crate::event_store_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
    #[cfg(feature = "store")]
    store_server_scenarios! { [] (Stage::server(&crate::setting("TIDINGS_TEST_DATABASE"))) }
}

mod mariadb {
    use super::scenarios;
    use crate::scenarios::stage::Stage;

    all_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
    #[cfg(feature = "macros")]
    derived_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
    server_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
    #[cfg(feature = "store")]
    crate::event_store_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
    #[cfg(feature = "store")]
    store_server_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")))
    }
}
