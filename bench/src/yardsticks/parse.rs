//! How fast the events of a log can be read in order and parsed into their types, without anything
//! else: no hash, no fold, no row.

use std::time::Instant;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use jangbu_aggregates::DomainEvent;
use jangbu_kernel::{AggregateKind, StreamId};
use sqlx::{Connection as _, Row as _};
use uuid::Uuid;

use crate::place::Place;
use crate::report::per_second;

const COLUMNS: &str = "select stream_kind, stream_id, event_type, schema_version, payload from events";
/// Rows of one request to Postgres.
const PAGE: i64 = 10_000;

/// Events a second.
///
/// # Errors
/// When the log cannot be read.
pub async fn read_and_parse(place: &Place) -> anyhow::Result<u64> {
    match &place.database_url {
        Some(url) => postgres(url).await,
        None => {
            let file = place.data_dir.join("log.db");
            tokio::task::spawn_blocking(move || embedded(&file)).await?
        }
    }
}

fn embedded(file: &std::path::Path) -> anyhow::Result<u64> {
    let connection = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(&format!("{COLUMNS} order by position"))?;
    let begun = Instant::now();
    let mut rows = statement.query([])?;
    let mut parsed = 0_u64;
    while let Some(row) = rows.next()? {
        let id = Uuid::from_bytes(row.get(1)?);
        parse(row.get_ref(0)?.as_str()?, id, row.get_ref(2)?.as_str()?, row.get(3)?, row.get_ref(4)?.as_str()?)?;
        parsed += 1;
    }
    Ok(per_second(parsed, begun.elapsed()))
}

async fn postgres(url: &str) -> anyhow::Result<u64> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let sql = format!("{COLUMNS} where position > $1 and position <= $2 order by position");
    let begun = Instant::now();
    let mut parsed = 0_u64;
    let mut after = 0_i64;
    loop {
        let statement = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(after).bind(after + PAGE);
        let mut rows = statement.fetch(&mut connection);
        let mut found = 0_u64;
        while let Some(row) = rows.try_next().await? {
            let version: i32 = row.try_get(3)?;
            parse(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, u16::try_from(version)?, row.try_get(4)?)?;
            found += 1;
        }
        if found == 0 {
            return Ok(per_second(parsed, begun.elapsed()));
        }
        parsed += found;
        after += PAGE;
    }
}

fn parse(kind: &str, id: Uuid, event_type: &str, schema_version: u16, payload: &str) -> anyhow::Result<()> {
    let kind = AggregateKind::from_name(kind).with_context(|| format!("no kind of stream is called {kind}"))?;
    let event = DomainEvent::decode(StreamId::new(kind, id), event_type, schema_version, payload)?;
    std::hint::black_box(event);
    Ok(())
}
