//! Rebuilds: beside the live views, equal to them, and harmless when they end early.

use std::sync::{Arc, Mutex};

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::StreamId;
use jangbu_projections::{OrderStatus, ProjectorError, RebuildOptions, RebuildProgress, RebuildStage};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, paid, won};

crate::on_both_engines! {
    a_rebuild_equals_the_live_rows_while_events_arrive,
    a_rebuild_mends_what_was_damaged_and_tells,
    a_cancelled_rebuild_leaves_the_live_tables,
    a_dry_run_writes_nothing,
    unknown_views_are_refused,
}

async fn shop(fixture: &Fixture, orders: std::ops::Range<u128>) {
    for number in orders {
        let order = fixture.order(number, i64::try_from(number).unwrap(), won(1_000)).await;
        if number % 3 == 0 {
            let event = DomainEvent::Order(paid(None).into());
            fixture.append(StreamId::order(order), 0, vec![event]).await;
            fixture.product(100_000 + number, "사과", 1_000).await;
        }
    }
}

async fn a_rebuild_equals_the_live_rows_while_events_arrive(fixture: &Fixture) {
    shop(fixture, 0..3_000).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    let stages: Arc<Mutex<Vec<RebuildStage>>> = Arc::default();
    let seen = Arc::clone(&stages);
    let (told, mut progress) = tokio::sync::mpsc::unbounded_channel();
    let writer = async {
        let mut number = 10_000;
        // Events arrive at every step of the rebuild.
        while progress.recv().await.is_some() {
            shop(fixture, number..number + 30).await;
            number += 30;
            // Queries are answered all the while.
            assert!(fixture.models.queries().order_by_number("N-7").await.unwrap().is_some());
        }
    };
    let rebuild = async {
        let options = RebuildOptions { verify: true, ..RebuildOptions::default() };
        let tell = move |progress: RebuildProgress| {
            seen.lock().unwrap().push(progress.stage);
            let _ = told.send(());
        };
        projector.rebuild(&[], options, tell).await.unwrap()
    };
    let (report, ()) = tokio::join!(rebuild, writer);
    for view in &report.views {
        assert_eq!((view.differences, view.swapped), (Some(0), true), "{view:?}");
    }
    assert!(report.events >= 5_000);
    let mut stages = stages.lock().unwrap().clone();
    stages.dedup();
    assert!(stages.starts_with(&[RebuildStage::Building, RebuildStage::Indexing]), "{stages:?}");
    assert_eq!(stages.last(), Some(&RebuildStage::Swapping));
    // The old tables are kept, and the live projector goes on over the new ones.
    assert!(fixture.number("select count(*) from {}orders_previous").await >= 3_000);
    shop(fixture, 900_000..900_030).await;
    fixture.caught_up(&projector).await;
    fixture.rows_are_the_log(&projector).await;
    // Once more, replacing the old tables.
    let again = projector
        .rebuild(&["orders".to_owned(), "products".to_owned()], RebuildOptions::default(), |_| {})
        .await
        .unwrap();
    assert_eq!(again.views.iter().map(|view| view.name).collect::<Vec<_>>(), ["orders", "products"]);
    fixture.rows_are_the_log(&projector).await;
    projector.stop().await;
}

async fn a_rebuild_mends_what_was_damaged_and_tells(fixture: &Fixture) {
    shop(fixture, 0..30).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    fixture.tamper("update {}orders set status = 'failed' where number = 'N-1'").await;
    fixture.tamper("delete from {}orders where number = 'N-2'").await;
    fixture.tamper("update {}orders set doc = '{}' where number = 'N-3'".replace("'{}'", "'[]'").as_str()).await;
    let orders = ["orders".to_owned()];
    let verify = RebuildOptions { verify_only: true, ..RebuildOptions::default() };
    let report = projector.rebuild(&orders, verify, |_| {}).await.unwrap();
    let view = &report.views[0];
    assert_eq!((view.differences, view.swapped, view.rows), (Some(3), false, 30));
    let mut whats: Vec<&str> = view.examples.iter().map(|example| example.what.as_str()).collect();
    whats.sort_unstable();
    assert_eq!(whats, ["different", "different", "missing"]);
    // The comparison changed nothing.
    assert_eq!(fixture.number("select count(*) from {}orders").await, 29);
    let report = projector.rebuild(&orders, RebuildOptions::default(), |_| {}).await.unwrap();
    assert!(report.views[0].swapped);
    fixture.rows_are_the_log(&projector).await;
    let mended = fixture.models.queries().order_by_number("N-3").await.unwrap().unwrap();
    assert_eq!(mended.status, OrderStatus::Paid);
    projector.stop().await;
}

async fn a_cancelled_rebuild_leaves_the_live_tables(fixture: &Fixture) {
    shop(fixture, 0..50).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    fixture.tamper("update {}orders set status = 'failed' where number = 'N-1'").await;
    let cancel = CancellationToken::new();
    let options = RebuildOptions { cancel: cancel.clone(), ..RebuildOptions::default() };
    let outcome = projector.rebuild(&[], options, move |_| cancel.cancel()).await;
    assert!(matches!(outcome, Err(ProjectorError::Cancelled)), "{outcome:?}");
    assert_eq!(fixture.number("select count(*) from {}orders where status = 'failed'").await, 1);
    assert_eq!(fixture.number("select max(rebuilding) from {}projections").await, 0);
    shop(fixture, 50..60).await;
    fixture.caught_up(&projector).await;
    projector.stop().await;
}

async fn a_dry_run_writes_nothing(fixture: &Fixture) {
    shop(fixture, 0..10).await;
    let projector = fixture.projector();
    fixture.caught_up(&projector).await;
    fixture.tamper("update {}orders set status = 'failed' where number = 'N-1'").await;
    let options = RebuildOptions { dry_run: true, ..RebuildOptions::default() };
    let report = projector.rebuild(&["orders".to_owned()], options, |_| {}).await.unwrap();
    assert_eq!((report.views.len(), report.views[0].rows, report.views[0].swapped), (1, 10, false));
    assert_eq!(fixture.number("select count(*) from {}orders where status = 'failed'").await, 1);
    projector.stop().await;
}

async fn unknown_views_are_refused(fixture: &Fixture) {
    let projector = fixture.projector();
    let outcome = projector.rebuild(&["parrots".to_owned()], RebuildOptions::default(), |_| {}).await;
    assert!(matches!(outcome, Err(ProjectorError::UnknownView(name)) if name == "parrots"));
    projector.stop().await;
}
