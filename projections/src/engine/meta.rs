//! What the projector stores beside the rows: the lease with its epoch, a checkpoint for each view,
//! and the parked streams. Also how tables are created, rebuilt and swapped.

use jangbu_kernel::{Position, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::{Engine, EngineError, Frozen, Statement, Step, sql};
use crate::projector::LEASE_MS;
use crate::registry::VIEWS;
use crate::view::{Kind, Value, ViewSpec};

/// The lease of the projector that owns the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub epoch: i64,
    /// How long ago the owner last renewed it, by the database's clock.
    pub silent_ms: i64,
    /// The head of the log as the owner last saw it.
    pub head: Position,
}

impl Lease {
    /// Whether the owner is gone. A renewal far in the future counts as silence, too: it was made
    /// before the database's clock was put back, and none has followed.
    pub const fn is_silent(&self) -> bool {
        self.silent_ms.unsigned_abs() > LEASE_MS.unsigned_abs()
    }
}

/// A view's checkpoint, and the state of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub name: String,
    pub version: i64,
    pub position: Position,
    pub generation: i64,
    pub building: Building,
    pub parked_streams: u64,
    /// The log that the position belongs to, and the hash of the event there, as [`Proof`] writes
    /// them.
    pub log: String,
    pub hash: String,
}

/// What is being built of a view. The numbers are a storage format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Building {
    /// Nothing.
    Nothing,
    /// A shadow; the view itself goes on.
    Beside,
    /// The view itself, from the log's beginning: its rows are not complete yet.
    Anew,
}

impl Building {
    pub const fn number(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Beside => 1,
            Self::Anew => 2,
        }
    }

    const fn of(number: i64) -> Self {
        match number {
            0 => Self::Nothing,
            2 => Self::Anew,
            _ => Self::Beside,
        }
    }
}

/// What a checkpoint proves: which log it belongs to, and which event is at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub log: Uuid,
    pub hash: Option<[u8; 32]>,
}

impl Proof {
    /// The log as it is stored.
    pub fn log_text(self) -> String {
        self.log.to_string()
    }

    /// The hash as it is stored; empty if the event has none.
    pub fn hash_text(self) -> String {
        self.hash.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A stream that a view does not follow until it is redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub view: String,
    pub stream: StreamId,
    /// Position of the first event that is not folded in.
    pub position: Position,
    /// Its version.
    pub version: Version,
    pub reason: String,
    pub at: Timestamp,
}

fn number(value: Option<&Value>) -> i64 {
    if let Some(Value::Int(Some(number))) = value { *number } else { 0 }
}

fn unsigned<T: From<u64>>(value: Option<&Value>) -> T {
    u64::try_from(number(value)).unwrap_or(0).into()
}

fn text(value: Option<&Value>) -> String {
    if let Some(Value::Text(Some(text))) = value { text.clone() } else { String::new() }
}

/// The columns of [`Engine::records`].
const RECORD: &[Kind] = &[Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Text];

fn records(rows: &[Vec<Value>]) -> Vec<Record> {
    // Leaves out the rows of views that only a newer release knows.
    let known = |record: &Record| VIEWS.iter().any(|view| view.spec.name == record.name);
    rows.iter()
        .map(|row| Record {
            name: text(row.first()),
            version: number(row.get(1)),
            position: unsigned(row.get(2)),
            generation: number(row.get(3)),
            building: Building::of(number(row.get(4))),
            parked_streams: unsigned(row.get(5)),
            log: text(row.get(6)),
            hash: text(row.get(7)),
        })
        .filter(known)
        .collect()
}

pub(crate) fn steps(statements: Vec<Statement>) -> Vec<Step> {
    statements.into_iter().map(Step::Run).collect()
}

impl Engine {
    /// Creates what does not exist yet. Several processes may do so at once.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        let mut all = vec![
            sql(
                format!(
                    "create table if not exists {} (id bigint primary key, epoch bigint not null, renewed_ms bigint not null, head bigint not null)",
                    self.table("lease")
                ),
                vec![],
            ),
            sql(
                format!(
                    "create table if not exists {} (name text primary key, version bigint not null, position bigint not null, generation bigint not null, rebuilding bigint not null, log text, hash text)",
                    self.table("projections")
                ),
                vec![],
            ),
            sql(
                format!(
                    "create table if not exists {} (view text not null, stream text not null, position bigint not null, version bigint not null, reason text not null, parked_ms bigint not null, primary key (view, stream))",
                    self.table("parked_streams")
                ),
                vec![],
            ),
            sql(
                format!(
                    "insert into {} (id, epoch, renewed_ms, head) values (1, 0, 0, 0) on conflict (id) do nothing",
                    self.table("lease")
                ),
                vec![],
            ),
        ];
        for view in &VIEWS {
            all.push(sql(
                format!("insert into {} (name, version, position, generation, rebuilding) values ($1, $2, 0, 1, 0) on conflict (name) do nothing", self.table("projections")),
                vec![Value::text(view.spec.name), Value::int(i64::from(view.spec.version))],
            ));
            all.extend(self.create_table(view.spec, view.spec.name));
        }
        if let Self::Postgres(engine) = self {
            // Postgres refuses even "create schema if not exists" to a role that may not create
            // schemas.
            let schema = vec![Value::text(engine.schema())];
            let there = self.select(sql("select count(to_regnamespace($1))", schema), &[Kind::Int]).await?;
            if there.first().is_none_or(|row| number(row.first()) == 0) {
                all.insert(0, sql(format!("create schema if not exists {}", engine.schema()), vec![]));
            }
            // "if not exists" can fail when two nodes start at once, so one waits for the other.
            all.insert(0, sql("select pg_advisory_xact_lock(8243107)", vec![]));
        }
        self.transaction(None, steps(all)).await?;
        self.add_proofs().await?;
        let made = self.records().await?;
        let mut indexes = Vec::new();
        for view in &VIEWS {
            if let Some(record) = made.iter().find(|record| record.name == view.spec.name)
                && record.version == i64::from(view.spec.version)
            {
                indexes.extend(self.create_indexes(view.spec, view.spec.name, record.generation));
            }
        }
        if let Self::Postgres(_) = self {
            indexes.insert(0, sql("select pg_advisory_xact_lock(8243107)", vec![]));
        }
        self.transaction(None, steps(indexes)).await
    }

    /// Adds the columns that older versions do not have. A view without a proof is built anew.
    async fn add_proofs(&self) -> Result<(), EngineError> {
        if self.has_proofs().await? {
            return Ok(());
        }
        let table = self.table("projections");
        let added: Vec<Statement> = ["log", "hash"]
            .iter()
            .map(|column| sql(format!("alter table {table} add column {column} text"), vec![]))
            .collect();
        match self.transaction(None, steps(added)).await {
            // Another process did it at the same time.
            Err(error) if !self.has_proofs().await? => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn has_proofs(&self) -> Result<bool, EngineError> {
        let text = match self {
            Self::Sqlite(_) => "select count(*) from pragma_table_info('projections') where name in ('log', 'hash')",
            Self::Postgres(_) => {
                "select count(*) from pg_attribute where attrelid = to_regclass($1) and attname in ('log', 'hash') and not attisdropped"
            }
        };
        let params = if let Self::Postgres(_) = self { vec![Value::text(self.table("projections"))] } else { vec![] };
        let rows = self.select(sql(text, params), &[Kind::Int]).await?;
        Ok(rows.first().is_some_and(|row| number(row.first()) == 2))
    }

    /// Takes the lease under a new epoch, which fences every older projector.
    pub async fn acquire(&self) -> Result<i64, EngineError> {
        loop {
            let held = self.lease().await?;
            match self.acquire_after(held.epoch).await {
                // Another process was first: try again.
                Err(EngineError::Fenced) => {}
                other => return other,
            }
        }
    }

    /// Takes the epoch after this one, which fences the projector that holds it. When this returns,
    /// every transaction under the old epoch has ended.
    pub async fn acquire_after(&self, epoch: i64) -> Result<i64, EngineError> {
        let wanted = epoch.saturating_add(1);
        let take = sql(
            format!(
                "update {} set epoch = $1, renewed_ms = {} where id = 1 and epoch = $2",
                self.table("lease"),
                self.now_ms()
            ),
            vec![Value::int(wanted), Value::int(epoch)],
        );
        self.transaction(Some(epoch), vec![Step::Run(take)]).await.map(|()| wanted)
    }

    /// Renews the lease.
    pub async fn renew(&self, epoch: i64, head: Position) -> Result<(), EngineError> {
        let renew = sql(
            format!("update {} set renewed_ms = {}, head = $1 where id = 1", self.table("lease"), self.now_ms()),
            vec![Value::count(head)],
        );
        self.transaction(Some(epoch), vec![Step::Run(renew)]).await
    }

    /// Lets another projector take over at once.
    pub async fn release(&self, epoch: i64) -> Result<(), EngineError> {
        let release = sql(format!("update {} set renewed_ms = 0 where id = 1", self.table("lease")), vec![]);
        self.transaction(Some(epoch), vec![Step::Run(release)]).await
    }

    /// Reads the lease.
    pub async fn lease(&self) -> Result<Lease, EngineError> {
        let statement = sql(
            format!("select epoch, {} - renewed_ms, head from {} where id = 1", self.now_ms(), self.table("lease")),
            vec![],
        );
        let rows = self.select(statement, &[Kind::Int, Kind::Int, Kind::Int]).await?;
        let row = rows.first().ok_or_else(|| EngineError::Corrupt("the lease has no row".to_owned()))?;
        Ok(Lease { epoch: number(row.first()), silent_ms: number(row.get(1)), head: unsigned(row.get(2)) })
    }

    /// The record of every view.
    pub async fn records(&self) -> Result<Vec<Record>, EngineError> {
        Ok(records(&self.select(self.ask_records(), RECORD).await?))
    }

    /// The same, in a snapshot.
    pub async fn records_of(&self, frozen: &mut Frozen) -> Result<Vec<Record>, EngineError> {
        Ok(records(&frozen.select(self.ask_records(), RECORD).await?))
    }

    fn ask_records(&self) -> Statement {
        sql(
            format!(
                "select p.name, p.version, p.position, p.generation, p.rebuilding, (select count(*) from {} s where s.view = p.name), p.log, p.hash from {} p",
                self.table("parked_streams"),
                self.table("projections")
            ),
            vec![],
        )
    }

    /// The position that every view has reached.
    pub async fn reached(&self) -> Result<Position, EngineError> {
        let names: Vec<String> = VIEWS.iter().map(|view| format!("'{}'", view.spec.name)).collect();
        let statement = sql(
            format!("select min(position) from {} where name in ({})", self.table("projections"), names.join(", ")),
            vec![],
        );
        let rows = self.select(statement, &[Kind::Int]).await?;
        Ok(unsigned(rows.first().and_then(|row| row.first())))
    }

    /// The parked streams, in the order of their events. Streams of kinds that only a newer release
    /// knows are left out.
    pub async fn parked(&self) -> Result<Vec<Parked>, EngineError> {
        let statement = sql(
            format!(
                "select view, stream, position, version, reason, parked_ms from {} order by position, view",
                self.table("parked_streams")
            ),
            vec![],
        );
        let kinds = &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Text, Kind::Int];
        let rows = self.select(statement, kinds).await?;
        let parked = rows.iter().filter_map(|row| {
            Some(Parked {
                view: text(row.first()),
                stream: text(row.get(1)).parse().ok()?,
                position: unsigned(row.get(2)),
                version: unsigned(row.get(3)),
                reason: text(row.get(4)),
                at: Timestamp::from_timestamp_millis(number(row.get(5))).unwrap_or_default(),
            })
        });
        Ok(parked.collect())
    }

    /// Moves the checkpoints of views in one statement: on Postgres each statement costs a round
    /// trip, and a page of the live log often has fewer events than there are views.
    pub fn checkpoint(&self, views: &[&'static str], position: Position, proof: Proof) -> Statement {
        let names: Vec<String> = views.iter().map(|name| format!("'{name}'")).collect();
        sql(
            format!(
                "update {} set position = $1, log = $2, hash = $3 where name in ({})",
                self.table("projections"),
                names.join(", ")
            ),
            vec![Value::count(position), Value::text(proof.log_text()), Value::text(proof.hash_text())],
        )
    }

    /// Parks a stream.
    pub fn park(&self, parked: &Parked) -> Statement {
        sql(
            format!(
                "insert into {} (view, stream, position, version, reason, parked_ms) values ($1, $2, $3, $4, $5, $6) on conflict (view, stream) do update set position = excluded.position, version = excluded.version, reason = excluded.reason, parked_ms = excluded.parked_ms",
                self.table("parked_streams")
            ),
            vec![
                Value::text(&parked.view),
                Value::text(parked.stream.to_string()),
                Value::count(parked.position),
                Value::count(parked.version),
                Value::text(&parked.reason),
                Value::int(parked.at.timestamp_millis()),
            ],
        )
    }

    /// Removes a stream from the parked ones.
    pub fn unpark(&self, view: &str, stream: StreamId) -> Statement {
        sql(
            format!("delete from {} where view = $1 and stream = $2", self.table("parked_streams")),
            vec![Value::text(view), Value::text(stream.to_string())],
        )
    }

    /// Records what is being built of a view, for its status, if `before` is what was recorded.
    pub fn mark_building(&self, view: &str, before: Building, now: Building) -> Statement {
        sql(
            format!("update {} set rebuilding = $1 where name = $2 and rebuilding = $3", self.table("projections")),
            vec![Value::int(now.number()), Value::text(view), Value::int(before.number())],
        )
    }

    /// Creates an empty shadow table, replacing that of an earlier attempt.
    pub async fn make_shadow(&self, epoch: i64, spec: &ViewSpec) -> Result<(), EngineError> {
        let shadow = shadow_of(spec.name);
        let mut all = self.drop_table(spec, &shadow);
        all.extend(self.create_table(spec, &shadow));
        all.push(self.mark_building(spec.name, Building::Nothing, Building::Beside));
        self.transaction(Some(epoch), steps(all)).await
    }

    /// Creates the shadow's secondary indexes, once its rows are written.
    pub async fn index_shadow(&self, epoch: i64, spec: &ViewSpec) -> Result<(), EngineError> {
        let generation = self.generation(spec.name).await?.saturating_add(1);
        let mut all = self.fill_terms(spec, &shadow_of(spec.name));
        all.extend(self.create_indexes(spec, &shadow_of(spec.name), generation));
        self.transaction(Some(epoch), steps(all)).await
    }

    /// Drops a shadow that will not be used.
    pub async fn drop_shadow(&self, epoch: i64, spec: &ViewSpec) -> Result<(), EngineError> {
        let mut all = self.drop_table(spec, &shadow_of(spec.name));
        all.push(self.mark_building(spec.name, Building::Beside, Building::Nothing));
        self.transaction(Some(epoch), steps(all)).await
    }

    /// Replaces the live tables by the shadows, all in one transaction. The old tables are kept
    /// under `<table>_previous`.
    pub async fn swap(&self, epoch: i64, specs: &[&'static ViewSpec], parked: &[Parked]) -> Result<(), EngineError> {
        let mut all = Vec::new();
        for spec in specs {
            let previous = format!("{}_previous", spec.name);
            all.extend(self.drop_table(spec, &previous));
            all.extend(self.rename_table(spec, spec.name, &previous));
            all.extend(self.rename_table(spec, &shadow_of(spec.name), spec.name));
            all.push(sql(
                format!(
                    "update {} set generation = generation + 1, rebuilding = 0 where name = $1",
                    self.table("projections")
                ),
                vec![Value::text(spec.name)],
            ));
            all.push(sql(
                format!("delete from {} where view = $1", self.table("parked_streams")),
                vec![Value::text(spec.name)],
            ));
        }
        all.extend(parked.iter().map(|parked| self.park(parked)));
        self.transaction(Some(epoch), steps(all)).await
    }

    async fn generation(&self, view: &str) -> Result<i64, EngineError> {
        let records = self.records().await?;
        records
            .iter()
            .find(|record| record.name == view)
            .map(|record| record.generation)
            .ok_or_else(|| EngineError::Corrupt(format!("view {view} has no checkpoint")))
    }
}

/// The name of the table that a rebuild writes to.
pub(crate) fn shadow_of(table: &str) -> String {
    format!("{table}_shadow")
}
