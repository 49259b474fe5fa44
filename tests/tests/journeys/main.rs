//! Journeys: what people do with the shop, driven over HTTP against the real program.
//!
//! Every scenario starts `jangbu sandbox` and `jangbu serve` as processes of its own over data of
//! its own, once on SQLite and once on Postgres, and uses only what a user has: HTTP, the command
//! line, signals. The inner behaviour is tested in the crates. [`harness`] has the tools; each
//! other module is a theme. What breaks around the shop is in `tests/faults`.
//!
//! The binary is the one beside these tests (`cargo build --workspace --bins`) or the one in
//! `JANGBU_BIN`; Postgres is found through `JANGBU_TEST_DATABASE_URL`. `./test` provides both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use jangbu_tests::harness;
mod auditing;
mod backup;
mod catalogue;
mod categories;
mod desk;
mod documented;
mod folder;
mod gateways;
mod goods;
mod identity;
mod imports;
mod keys;
mod locations;
mod manners;
mod master_key;
mod money;
mod notices;
mod operations;
mod orders;
mod reading;
mod readme;
mod rebuilding;
mod remarks;
mod returns;
mod shown;
mod stores;
mod streams;
mod survival;
mod tracking;
mod transfers;

/// Runs each scenario on each engine.
macro_rules! journeys {
    ($($theme:ident: $($scenario:ident),+;)+) => {
        mod sqlite {
            use crate::harness::{Engine, run};
            $(mod $theme {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::run(super::Engine::Sqlite, crate::$theme::$scenario).await;
                })+
            })+
        }
        mod postgres {
            use crate::harness::{Engine, run};
            $(mod $theme {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::run(super::Engine::Postgres, crate::$theme::$scenario).await;
                })+
            })+
        }
    };
}

journeys! {
    auditing:
        what_was_not_checked_says_so,
        a_changed_read_model_is_no_damage_of_the_log,
        a_log_that_was_cut_is_found_by_whatever_is_left,
        a_failed_check_fails_also_when_nobody_reads_it;
    orders:
        an_order_reaches_the_door,
        points_and_card_share_an_order_and_both_come_back,
        a_hundred_want_the_last_item,
        a_short_line_reserves_nothing,
        ten_cancels_give_one_refund,
        a_refusing_carrier_undoes_the_order;
    catalogue:
        a_product_changes_and_orders_keep_what_they_were_placed_with,
        sizes_and_colours_are_products_of_a_group,
        a_product_is_found_by_its_slug_and_counted,
        every_movement_of_goods_is_listed,
        what_runs_low_is_told_once_and_listed,
        what_is_promised_ahead_leaves_when_it_is_here,
        a_product_has_a_limit_for_each_buyer;
    categories:
        products_are_found_by_category_on_every_level,
        the_tree_is_kept_in_order;
    locations:
        goods_move_between_locations_and_leave_from_them;
    desk:
        staff_keep_notes_that_the_buyer_does_not_see,
        the_desk_lists_what_is_to_be_done_and_finds_what_is_asked_for,
        lines_are_cancelled_before_the_payment_and_after_it,
        an_order_goes_elsewhere;
    returns:
        goods_come_back_for_their_money,
        broken_goods_are_exchanged_and_then_refunded;
    goods:
        what_is_given_back_whole_is_called_off,
        a_scan_before_the_dispatch_is_the_hand_over,
        a_number_used_again_shows_everybody_their_own_parcel,
        a_shop_writes_its_own_labels,
        points_lapse_by_themselves,
        lost_and_returned_parcels_are_brought_to_an_end,
        a_buyer_keeps_only_so_many_orders_waiting;
    tracking:
        a_korean_carriers_parcel_is_followed_to_the_door;
    remarks:
        what_somebody_typed_is_kept_sealed;
    keys:
        equal_requests_give_one_order,
        a_key_outlives_a_restart;
    money:
        a_lost_answer_is_found_out_and_charged_once,
        a_lost_request_fails_and_the_order_is_paid_again,
        a_declined_card_leaves_the_order_payable,
        a_challenge_waits_for_the_buyer,
        errors_slowness_and_repeats_charge_once,
        refunds_never_exceed_what_was_captured;
    notices:
        buyers_and_the_shop_are_told_once,
        a_mail_server_that_hangs_slows_no_order,
        what_is_sent_twice_by_a_crash_is_one_message;
    gateways:
        a_charge_ends_where_it_was_asked_for_and_new_ones_go_elsewhere;
    transfers:
        a_transfer_is_made_at_the_bank_and_the_parcel_follows,
        a_transfer_that_the_buyer_calls_off_leaves_the_order_to_be_paid,
        a_transfer_that_is_never_made_expires_with_its_order;
    identity:
        nobody_reaches_what_is_not_theirs,
        a_reused_refresh_token_ends_its_family,
        thirty_refreshes_at_once_get_one_answer,
        any_token_of_a_login_ends_it,
        wrong_passwords_lock_nobody_out,
        roles_are_one_decision_and_an_administrator_stays,
        strangers_who_sign_up_do_not_share_keys;
    imports:
        a_catalogue_comes_in_with_an_outcome_for_each_row,
        goods_come_in_once_and_are_counted,
        a_file_that_was_interrupted_goes_on_where_it_was_left,
        what_is_exported_is_imported_elsewhere_and_exported_again_the_same,
        an_import_by_command_works_with_and_without_the_server;
    manners:
        a_malformed_request_is_a_problem_of_the_caller,
        versions_and_positions_are_kept,
        a_wait_has_stages_and_an_end,
        a_caller_who_hangs_up_leaves_nothing_half_done;
    reading:
        cursors_walk_everything_once,
        the_past_can_be_asked_for,
        the_program_describes_itself;
    shown:
        a_trace_id_leads_to_its_line_in_the_log,
        every_figure_says_what_it_counts,
        the_root_leads_to_the_docs,
        a_changed_product_has_another_tag,
        tables_fit_and_say_what_they_leave_out,
        programs_get_objects_and_the_newest_events;
    streams:
        an_orders_events_are_followed;
    rebuilding:
        read_models_are_rebuilt_under_load;
    stores:
        a_shop_whose_log_went_back_shows_what_is_there;
    survival:
        the_outside_world_goes_away_and_comes_back;
    operations:
        two_servers_share_postgres_but_no_folder,
        the_command_line_works_beside_the_server,
        an_altered_byte_is_found,
        a_hang_up_ends_the_server_in_good_order,
        readiness_knows_when_no_write_gets_through;
    folder:
        only_serve_and_migrate_make_a_store,
        a_copied_folder_does_not_act_on_its_original,
        what_a_killed_server_left_is_not_believed,
        the_data_are_their_owners_alone,
        commands_that_read_need_no_right_to_write;
    backup:
        a_backup_under_load_is_restored_on_either_engine,
        what_does_not_belong_together_is_not_restored,
        the_key_comes_along_unless_it_is_left_out;
    master_key:
        another_key_is_refused_and_changes_nothing,
        a_lost_key_is_not_replaced,
        stores_without_a_check_are_tried_all_the_same;
}

/// What can only happen with a data folder.
macro_rules! folders {
    ($($scenario:ident),+ $(,)?) => {
        mod folders {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                crate::harness::run(crate::harness::Engine::Sqlite, crate::stores::$scenario).await;
            })+
        }
    };
}

folders! {
    a_lost_log_is_not_replaced_by_a_new_shop,
    a_copy_of_a_running_folder_shows_its_own_log,
    damaged_read_models_say_so_and_are_built_anew,
}
