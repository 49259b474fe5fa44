//! Faults: what breaks around the shop, against the real program, on both engines.
//!
//! Every case starts a shop and its sandbox as processes of its own (see
//! [`jangbu_tests::harness`]), runs a load while something breaks, and keeps the answers outside
//! the shop. In the end everything has come to rest, the log passes its audit, the read models are
//! its fold, a replay gives the same rows, and the gateway's books have the same charges.
//! docs/RELIABILITY.md has the table.
//!
//! In the long form (`JANGBU_TEST_LONG=1`, as `./test all` sets it) the same is done
//! more often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod clients;
mod clock;
mod connections;
mod crash;
mod database;
mod disk;
mod full_disk;
mod nodes;
mod outside;
mod overload;
mod stopping;
mod unheard;
mod unreadable;

/// Runs each case on an engine.
macro_rules! on {
    ($engine:ident: $($theme:ident::$case:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            jangbu_tests::harness::run(jangbu_tests::harness::Engine::$engine, crate::$theme::$case).await;
        })+
    };
}

mod sqlite {
    on! { Sqlite:
        crash::killed_at_random,
        crash::killed_at_each_sync,
        crash::killed_at_each_write,
        disk::a_failed_sync_ends_the_process,
        disk::slow_syncs_only_slow_down,
        full_disk::a_full_disk_refuses_writes_until_there_is_room,
        stopping::sigterm_under_load,
        clients::hanging_up_at_every_stage,
        connections::five_thousand_connections,
        connections::few_files_carry_orders_on,
        overload::a_full_queue_turns_away,
        outside::the_outside_world_restarts_amid_sagas,
        clock::the_wall_clock_is_stepped,
        unheard::log_lines_that_cannot_be_written_are_lost_and_nothing_else,
        unreadable::an_unreadable_process_stops_its_own_order_only,
        unreadable::what_a_newer_release_wrote_is_passed_over,
        unreadable::one_persons_key_takes_no_list_away,
    }
}

mod postgres {
    on! { Postgres:
        crash::killed_at_random,
        database::connections_are_cut_by_the_server,
        database::answers_to_appends_are_lost,
        database::answers_to_read_models_are_lost,
        nodes::a_paused_node_is_fenced,
        stopping::sigterm_under_load,
        clients::hanging_up_at_every_stage,
        connections::five_thousand_connections,
        connections::few_files_carry_orders_on,
        overload::a_full_queue_turns_away,
        outside::the_outside_world_restarts_amid_sagas,
        clock::the_wall_clock_is_stepped,
        unreadable::an_unreadable_process_stops_its_own_order_only,
        unreadable::what_a_newer_release_wrote_is_passed_over,
        unreadable::one_persons_key_takes_no_list_away,
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_database_stops_and_starts() {
        crate::database::the_database_stops_and_starts().await;
    }
}
