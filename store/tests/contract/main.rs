//! The contract of an engine, tested on all three of them and on the store of the simulation, so
//! that the model stays true; and what each engine guarantees beyond it.
//!
//! `JANGBU_TEST_DATABASE_URL` is a superuser's URL of a running Postgres server; `./test` starts
//! one and sets it. Each test makes a database of its own there and drops it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "tests"
)]

mod appending;
mod back;
mod concurrency;
mod fixture;
mod keys;
mod lost;
mod model;
mod planting;
mod postgres;
mod reading;
mod receipts;
mod sealing;
mod side;
mod sqlite;
mod streams;
mod unreadable;

/// Runs each case on each engine, every run on a store of its own.
macro_rules! contract {
    ($($module:ident: $($case:ident),+;)+) => {
        mod on_memory {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::on_memory(crate::$module::$case).await;
            })+)+
        }
        mod on_simulation {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::on_simulation(crate::$module::$case).await;
            })+)+
        }
        mod on_sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::on_sqlite(crate::$module::$case).await;
            })+)+
        }
        mod on_sqlite_in_short_runs {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::on_sqlite_in_short_runs(crate::$module::$case).await;
            })+)+
        }
        mod on_postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::fixture::on_postgres(crate::$module::$case).await;
            })+)+
        }
    };
}

contract! {
    appending:
        what_is_appended_is_read_back,
        a_wrong_expectation_conflicts,
        an_append_over_several_streams_is_all_or_nothing,
        the_writes_of_an_append_lie_in_their_order_each_with_its_own_meta,
        every_append_of_a_batch_has_its_own_answer,
        what_builds_on_a_refused_append_is_refused,
        a_used_receipt_answers_with_the_first_answer,
        an_append_without_events_keeps_its_receipt,
        a_write_without_events_checks_the_version;
    concurrency:
        eight_writers_and_a_reader,
        thirty_two_writers_and_a_reader,
        two_handles_write_the_same_streams,
        followers_see_what_both_handles_wrote,
        a_dropped_append_is_whole_or_absent,
        watchers_hear_of_commits_and_of_the_close;
    model:
        random_batches_end_as_in_the_model;
    reading:
        the_log_is_read_in_pages,
        a_filter_tells_how_far_it_read,
        a_stream_is_read_by_range,
        a_stream_loads_from_its_snapshot,
        the_newest_snapshot_is_kept,
        a_snapshot_ahead_of_its_stream_is_not_kept,
        a_log_tells_itself_from_others;
    sealing:
        roots_are_sealed_and_verified,
        sealing_goes_on_where_it_ended,
        two_sealers_agree,
        what_is_sealed_from_memory_is_what_the_log_holds,
        what_another_handle_wrote_is_sealed_too,
        another_root_for_a_size_is_refused,
        the_sealer_follows_the_head_and_seals_at_its_stop;
    side:
        keys_are_kept_once,
        a_destroyed_key_is_never_made_again,
        checkpoints_only_move_forward,
        a_lease_has_one_holder_at_a_time,
        parked_processes_are_kept_until_they_go_on,
        the_inbox_takes_a_message_once,
        a_handled_message_is_marked_with_the_next_append,
        a_handled_message_is_marked_though_nothing_is_appended,
        a_closed_store_refuses,
        migrating_again_changes_nothing;
}
