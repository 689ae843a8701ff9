//! Transactions and the relay on real MySQL and MariaDB.

mod mysql {
    use crate::scenarios;
    use crate::scenarios::stage::Stage;

    all_scenarios!(Stage::server(&crate::setting("TIDINGS_TEST_DATABASE")));

    scenarios! { Stage::server(&crate::setting("TIDINGS_TEST_DATABASE")) =>
        mysql {
            a_row_committed_late_under_a_lower_id_is_published_and_not_swept_away,
            a_deadlock_in_the_callers_own_sql_runs_the_closure_again,
            a_deadlock_that_is_ignored_publishes_nothing,
            a_lock_wait_that_times_out_runs_the_closure_again,
            a_connection_killed_before_the_commit_runs_the_closure_again,
            a_connection_lost_after_commit_was_sent_is_unknown,
            what_is_wrong_with_the_address_is_named,
            a_statement_that_commits_implicitly_is_noticed,
        }
    }
}
