//! What must hold on every database: the same scenarios run on SQLite, MySQL and MariaDB.

pub(crate) mod account;
#[cfg(feature = "macros")]
pub(crate) mod derived;
#[cfg(feature = "store")]
#[allow(dead_code, reason = "run by the tests of the store and of the servers, not by all that share these")]
pub(crate) mod event_store;
pub(crate) mod inbox;
pub(crate) mod inbox_batches;
pub(crate) mod modes;
#[cfg(feature = "consumer")]
pub(crate) mod parked;
pub(crate) mod relaying;
pub(crate) mod shards;
pub(crate) mod stage;
#[cfg(feature = "store")]
#[allow(dead_code, reason = "run by the tests of the store and of the servers, not by all that share these")]
pub(crate) mod store_epochs;
pub(crate) mod transactions;

/// A test for each scenario named, with the attributes of `[…]`, on the stage that the expression sets.
#[macro_export]
macro_rules! scenarios {
    ($attributes:tt $stage:tt $($module:ident { $($name:ident),+ $(,)? })+) => {
        $(mod $module {
            use super::*;
            $($crate::scenarios! { @test $attributes $stage $module $name })+
        })+
    };
    (@test [$($attribute:tt)*] ($stage:expr) $module:ident $name:ident) => {
        #[tokio::test]
        $($attribute)*
        async fn $name() {
            let stage = $stage.await;
            scenarios::$module::$name(&stage).await;
            stage.clear().await;
        }
    };
}

/// A test for each scenario that every database knows.
#[macro_export]
macro_rules! all_scenarios {
    ($attributes:tt $stage:tt) => {
        $crate::scenarios! { $attributes $stage
            transactions {
                a_rolled_back_transaction_publishes_nothing,
                sequences_are_gapless_from_the_first_commit_under_eight_writers,
                a_conflict_runs_the_closure_again,
                two_creators_of_one_entity_both_succeed,
                another_unique_key_is_an_error_and_no_endless_conflict,
                a_conflict_without_end_is_given_up,
                locking_first_makes_writers_wait_and_not_run_again,
                the_callers_own_sql_is_part_of_the_transaction,
                a_transaction_ended_from_within_publishes_nothing,
                a_handle_that_outlives_its_transaction_does_nothing,
                many_events_of_several_streams_are_numbered_in_order,
                a_stream_keeps_its_mode_its_shard_and_its_key,
                the_direct_mode_sends_after_the_commit,
                an_event_too_large_for_its_topic_is_refused_before_the_commit,
                names_that_do_not_fit_are_refused,
                any_text_survives_the_outbox,
                processes_that_migrate_at_once_wait_for_each_other,
                a_publisher_records_in_the_outbox,
            }
            inbox {
                an_event_that_is_delivered_again_takes_effect_once,
                a_handler_that_fails_leaves_nothing_behind,
                what_filters_leave_out_is_not_waited_for,
                streams_dispatchers_groups_and_sources_are_apart,
                a_dead_letter_is_handled_once_when_it_is_redriven,
                the_latest_event_is_handled_when_it_comes_again_after_it_was_passed_over,
                what_was_handled_is_not_passed_over,
                a_fork_is_never_dropped,
                a_higher_epoch_begins_anew_and_a_lower_one_is_over,
                an_event_without_a_sequence_is_remembered_by_its_id_for_a_while,
                idle_streams_and_old_holes_are_purged_when_that_is_asked_for,
                two_processes_do_not_handle_one_stream_at_once,
                extractors_of_one_handler_share_its_transaction,
                a_save_that_was_overtaken_has_the_event_delivered_again,
                many_deliveries_of_many_events_take_effect_once_each,
            }
            inbox_batches {
                a_batch_takes_effect_once_with_each_of_its_events_remembered,
                an_event_that_fails_rolls_its_batch_back_and_nobody_else_has_failed,
                what_was_handled_before_is_taken_out_of_a_batch,
                a_fork_in_a_batch_is_given_up_alone,
                a_passed_over_event_is_handled_once_in_a_batch,
                a_batch_whose_commit_fails_leaves_nothing_behind,
                a_batch_waits_for_another_process_that_handles_one_of_its_streams,
            }
            shards {
                each_key_is_written_and_published_on_its_own_shard,
                an_event_of_a_key_that_lives_elsewhere_fails_before_the_commit,
                a_database_remembers_how_keys_are_spread,
                a_moved_key_goes_on_where_it_was_on_its_new_shard,
                a_move_that_is_killed_after_any_step_goes_on,
                a_key_whose_events_are_not_published_stays_where_it_is,
                a_key_that_is_moved_while_many_write_loses_and_reorders_nothing,
                a_mover_that_is_overtaken_by_another_puts_no_sequence_back,
                an_announcement_that_comes_too_late_is_taken_back,
                a_key_that_came_back_and_is_closed_too_late_is_still_moved_with_its_rows,
                a_moved_keys_events_are_still_handled_once,
                what_was_passed_over_and_handled_before_a_move_is_not_handled_again,
                an_event_without_a_sequence_that_comes_again_is_handled_once_on_each_shard_its_key_was_on,
                a_batch_is_on_one_shard_or_blames_none_of_its_events,
            }
            modes {
                a_stream_changes_its_mode_with_a_new_epoch_once_all_of_it_is_published,
                a_mode_is_not_changed_under_an_event_that_is_on_its_way,
            }
            relaying {
                records_are_those_of_the_direct_mode_with_a_sequence,
                an_epoch_that_is_not_zero_is_a_header,
                a_commit_wakes_the_relay_of_its_process,
                a_relay_in_another_process_finds_what_is_committed_here,
                two_relays_share_the_buckets_and_reorder_nothing,
                what_a_killed_relay_published_and_did_not_delete_is_repeated_with_its_sequence,
                a_relay_that_shuts_down_gives_its_buckets_to_the_next_at_once,
                shutting_down_waits_for_acknowledgements_and_deletes_what_was_acknowledged,
                a_poisoned_row_is_parked_and_the_others_go_on,
                a_topic_that_takes_nothing_holds_back_its_own_events_only_and_is_told_of,
                a_broker_that_does_not_know_of_a_partition_yet_gets_its_events_later,
                streams_of_one_name_of_two_sources_do_not_share_their_fate,
                a_row_too_large_for_the_client_is_parked_at_once_and_its_stream_waits_behind_it,
                parked_events_are_put_back_in_order_before_what_came_since,
                parked_events_that_are_put_back_go_before_later_ones_that_nobody_has_read_yet,
                what_is_put_back_and_refused_again_is_parked_again,
                a_parked_event_that_is_skipped_is_gone_and_the_others_are_published,
                a_new_epoch_is_above_those_that_a_copy_may_have_forgotten,
                a_stream_that_the_copy_does_not_have_begins_in_the_new_epoch,
                a_commit_wakes_the_relay_of_another_process,
                a_producer_that_fails_is_made_again_and_nothing_is_lost_or_reordered,
                a_row_that_somebody_spoilt_is_parked_with_its_stream,
                the_status_tells_of_the_backlog,
                the_health_tells_of_what_is_parked_and_of_buckets_without_a_relay,
                a_row_with_a_lower_id_that_appears_later_is_still_published,
            }
        }
    };
}

/// A test for each thing that derived entities must do.
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! derived_scenarios {
    ($attributes:tt $stage:tt) => {
        $crate::scenarios! { $attributes $stage
            derived {
                a_derived_entity_is_inserted_found_and_updated,
                a_derived_entity_that_is_overtaken_is_read_again,
                a_deleted_entity_is_gone_and_one_created_anew_is_not_taken_for_it,
                an_entity_of_nothing_but_a_key_is_found_by_what_it_borrows_as,
                a_column_that_does_not_fit_is_named,
            }
        }
    };
}

/// A test for each thing that every store of parked events must do.
#[cfg(feature = "consumer")]
#[macro_export]
macro_rules! parked_scenarios {
    ($attributes:tt $stage:tt) => {
        $crate::scenarios! { $attributes $stage
            parked {
                an_event_comes_back_as_it_was,
                events_of_a_key_are_read_in_the_order_of_their_offsets_however_they_were_parked,
                the_first_events_of_a_key_are_read_within_so_many_bytes,
                an_event_parked_again_replaces_itself_and_is_counted_once,
                an_event_parked_again_without_a_cause_keeps_the_one_it_had,
                an_event_is_removed_once_however_often_that_is_asked,
                a_discarded_key_is_gone_with_its_request,
                a_key_is_forgotten_once_it_has_no_events,
                what_a_former_owner_still_does_harms_nothing_that_was_parked_since,
                keys_are_those_of_the_group_and_the_partitions_asked_for,
                a_request_stays_until_it_is_withdrawn_and_needs_a_key_that_is_parked,
                keys_that_differ_in_a_byte_are_different_keys,
                many_events_of_a_key_are_counted_read_in_parts_and_discarded,
                calls_at_once_for_many_keys_lose_nothing,
                a_call_that_is_over_is_seen_by_every_other_process,
            }
        }
    };
}

/// A test for each thing that an event store must do.
#[cfg(feature = "store")]
#[macro_export]
macro_rules! event_store_scenarios {
    ($attributes:tt $stage:tt) => {
        $crate::scenarios! { $attributes $stage
            event_store {
                an_event_comes_back_as_it_was,
                a_stream_is_read_both_ways_in_parts_and_as_it_was,
                a_stream_as_it_was_has_nothing_of_what_is_appended_while_it_is_read,
                a_read_that_does_not_see_an_event_gives_out_nothing_behind_it_and_looks_again,
                an_append_takes_effect_only_at_the_version_it_expects,
                an_id_is_for_one_event_for_ever,
                a_relayed_event_is_taken_only_behind_its_predecessor,
                what_is_stored_cannot_be_changed,
                two_replicas_append_at_once_and_every_subscriber_sees_every_event_once,
                a_subscription_goes_on_across_takeovers_of_the_sequencer,
                a_subscription_can_be_to_one_source_and_says_when_it_has_caught_up,
                a_service_publishes_through_the_store,
                a_receipt_tells_when_the_store_has_the_event,
                a_doubled_relay_neither_repeats_nor_reorders,
                one_event_that_cannot_be_stored_is_parked_and_the_others_go_on,
                an_event_that_the_store_waits_for_is_skipped_only_with_its_epoch,
                a_store_with_too_much_to_do_says_so_at_once_and_loses_nothing,
                an_append_that_was_not_answered_in_time_can_be_sent_again,
                what_cannot_be_stored_is_refused_by_name,
                a_database_without_the_stores_tables_is_refused,
            }
            store_epochs {
                a_service_goes_to_the_store_and_back_with_a_new_epoch_each_time,
                after_a_restore_without_a_new_epoch_the_store_gives_out_places_and_positions_again,
                after_a_restore_and_a_new_epoch_no_place_and_no_position_is_given_out_twice,
                positions_go_on_behind_the_one_that_is_named_while_replicas_and_subscribers_go_on,
            }
        }
    };
}
