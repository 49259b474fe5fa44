//! Large logs: grown, loaded, stored, started from.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::Method;
use jangbu_aggregates::stock::Stock;
use jangbu_app::client::Connection;
use jangbu_app::engine;
use jangbu_kernel::Position;
use jangbu_kernel::log::ReadFilter;
use jangbu_store::hash::LeafFields;
use sqlx::Connection as _;

use super::{check_acknowledged, ms, place_orders, settle};
use crate::bench::Bench;
use crate::offline::{Offline, Until};
use crate::place::Place;
use crate::report::{Goal, Report, Row, median, ratio};
use crate::server::ServerUnderTest;

/// Products and buyers of a large log.
const SCENERY: (usize, usize) = (1_000, 64);
/// Orders that are added between two checks of the log's length.
const STEP: u64 = 20_000;
/// Loads of one stream whose median is taken, each by a store that was just opened.
const LOADS: usize = 11;
/// Events read at once.
const PAGE: usize = 10_000;
const READY_LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Orders with a long past behind them, against orders in a new shop.
pub(super) async fn growth(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("growth");
    let old_place = bench.place().await?;
    let events = scenery(&old_place, bench.args.events).await?;
    report.figure("events", events);
    let old = ServerUnderTest::start(old_place, &bench.args.roles).await?;
    report.check("the read models came to show the whole log", settle(&old).await?);
    let mut old_shop = bench.stock(&old).await?;
    let mut tallies = Vec::new();
    let (mut grown, mut empty, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        report.check("the server came to rest between the loads", settle(&old).await?);
        let (new, shop) = bench.shop(&bench.args.roles).await?;
        let on_empty = place_orders(bench, &new, &shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_empty"), &on_empty);
        check_acknowledged(&mut report, &new, &[&on_empty]).await?;
        new.finish(&mut report).await?;
        old_shop.log_in().await?;
        let on_grown = place_orders(bench, &old, &old_shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_grown"), &on_grown);
        grown.push(on_grown.rate());
        empty.push(on_empty.rate());
        shares.push(ratio(on_grown.rate(), on_empty.rate()));
        tallies.push(on_grown);
    }
    check_acknowledged(&mut report, &old, &tallies.iter().collect::<Vec<_>>()).await?;
    old.finish(&mut report).await?;
    report.row(Row {
        name: format!("growth: place-order with {events} events in the log / an empty one, {}", bench.engine()),
        measured: format!("{} orders/s", median(grown)),
        yardstick: format!("empty {}/s", median(empty)),
        value: median(shares),
        goal: Goal::share(800, 950),
    });
    Ok(report)
}

/// One product with years of sales, loaded for the first time after a start.
pub(super) async fn stock_stream(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("stock-stream");
    let place = bench.place().await?;
    let offline = Offline::open(&place, 1, SCENERY.1).await?;
    eprintln!("making a stock of {} facts ...", bench.args.facts);
    offline.stock_facts(bench.args.facts).await?;
    let product = offline.product().context("a shop without products")?;
    offline.close_as_scenery().await?;
    let mut took = Vec::new();
    let mut facts = 0;
    for _ in 0..LOADS {
        let store = engine::open_for_reading(&place.settings()?).await?;
        let begun = Instant::now();
        let (stock, version) = jangbu_commands::load_state::<Stock>(&*store, product).await?;
        took.push(u64::try_from(begun.elapsed().as_micros())?);
        facts = version.get();
        drop(stock);
        store.close().await;
    }
    report.figure("facts", facts);
    report.check("the stream is as long as it was to be", facts >= bench.args.facts);
    report.check("audit verify holds", place.command(&["audit", "verify"]).await?.status.success());
    took.sort_unstable();
    let worst = took.last().copied().unwrap_or_default();
    report.row(Row {
        name: format!("a stock stream of {facts} facts, cold load, p50, {}", bench.engine()),
        measured: format!("{LOADS} loads, each by a store just opened; worst {} ms", ms(worst)),
        yardstick: String::new(),
        value: median(took),
        goal: Goal::at_most(50_000, 5_000, "ms"),
    });
    Ok(report)
}

/// What the log takes on disk for each byte of an event.
pub(super) async fn stored_bytes(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("stored-bytes");
    let (server, shop) = bench.shop(&bench.args.roles).await?;
    let tally = place_orders(bench, &server, &shop, bench.args.connections).await?;
    report.tally("load", &tally);
    check_acknowledged(&mut report, &server, &[&tally]).await?;
    let place = server.finish(&mut report).await?;
    let stored = stored(&place).await?;
    let (events, raw) = raw(&place).await?;
    report.figure("events", events);
    report.row(Row {
        name: format!("stored bytes / raw event bytes, {}", bench.engine()),
        measured: format!(
            "{} bytes an event: the log with indexes, receipts, snapshots and seals",
            stored / events.max(1)
        ),
        yardstick: format!(
            "{} bytes an event: payload and envelope in the canonical form that is hashed",
            raw / events.max(1)
        ),
        value: ratio(stored, raw),
        goal: Goal::at_most(1_500, 1_250, ""),
    });
    Ok(report)
}

/// From the start of the process until it says that it is ready.
pub(super) async fn start(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("start");
    let mut place = bench.place().await?;
    let events = scenery(&place, bench.args.start_events).await?;
    report.figure("events", events);
    // The first start builds the read models; it is reported but is not the case.
    let begun = Instant::now();
    let server = ServerUnderTest::start(place, &bench.args.roles).await?;
    report.check("the read models came to show the whole log", settle(&server).await?);
    report.figure("first_start_with_read_models_ms", u64::try_from(begun.elapsed().as_millis())?);
    place = server.finish(&mut report).await?;
    let mut took = Vec::new();
    for _ in 0..bench.args.rounds {
        let server = ServerUnderTest::start(place, &bench.args.roles).await?;
        let listening = Instant::now();
        let mut connection = Connection::open(&server.address()?.to_string()).await?;
        while !connection.send(Method::GET, "/readyz", &[], Vec::new()).await?.status.is_success() {
            anyhow::ensure!(listening.elapsed() < READY_LIMIT, "the server did not become ready");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        took.push(u64::try_from((server.started_in + listening.elapsed()).as_millis())?);
        place = server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("start to ready with {events} events, {}", bench.engine()),
        measured: "a start after a clean end".to_owned(),
        yardstick: String::new(),
        value: median(took),
        goal: Goal::at_most(5_000, 1_000, "s"),
    });
    Ok(report)
}

/// Fills a log with orders until it has at least this many events; returns how many it has.
async fn scenery(place: &Place, events: u64) -> anyhow::Result<u64> {
    let offline = Offline::open(place, SCENERY.0, SCENERY.1).await?;
    eprintln!("filling a log with {events} events ...");
    let mut head = offline.head().await?.get();
    while head < events {
        // An order is 3 events on average: itself, and one for each of its 2 lines.
        offline.orders(Until::Count(STEP.min((events - head) / 3 + 1)), false).await?;
        head = offline.head().await?.get();
    }
    offline.close_as_scenery().await?;
    Ok(head)
}

async fn stored(place: &Place) -> anyhow::Result<u64> {
    let Some(url) = &place.database_url else {
        let sizes = ["log.db", "log.db-wal"].map(|name| std::fs::metadata(place.data_dir.join(name)));
        return Ok(sizes.into_iter().flatten().map(|file| file.len()).sum());
    };
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let sum: i64 = sqlx::query_scalar(
        "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c \
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    )
    .fetch_one(&mut connection)
    .await?;
    Ok(u64::try_from(sum)?)
}

/// The number of events, and the bytes of each that are hashed.
async fn raw(place: &Place) -> anyhow::Result<(u64, u64)> {
    let store = engine::open_for_reading(&place.settings()?).await?;
    let (mut events, mut bytes, mut after) = (0_u64, 0_u64, Position::ZERO);
    loop {
        let (page, read_to) = store.read_all(after, PAGE, &ReadFilter::default()).await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            let actor = event.meta.actor.to_string();
            let fields = LeafFields {
                stream_kind: event.stream.kind.name(),
                stream_id: event.stream.id,
                version: event.version,
                event_id: event.event_id.uuid(),
                event_type: &event.event_type,
                schema_version: u64::from(event.schema_version),
                payload: &event.payload,
                correlation_id: event.meta.correlation_id.uuid(),
                causation_id: event.meta.causation_id,
                command_id: event.meta.command_id.uuid(),
                actor: &actor,
                trace: event.meta.trace.as_deref(),
                recorded_at_ms: event.meta.recorded_at.timestamp_millis(),
            };
            bytes += u64::try_from(fields.canonical_form().len())?;
        }
        events += u64::try_from(page.len())?;
        after = read_to;
    }
    store.close().await;
    Ok((events, bytes))
}
