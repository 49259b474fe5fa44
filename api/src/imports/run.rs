//! Carries out the rows of a file, a bounded number of them at once, and tells what became of each.

use std::collections::VecDeque;
use std::fs::File;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::body::Bytes;
use futures::Stream;
use jangbu_commands::commands::{EndImport, RecordImportProgress, StartImport};
use jangbu_commands::{
    AnyCommand, Caller, CommandError, DomainEvent, Foresight, Idempotency, ImportCounts, ImportEnd, ImportEvent,
    ImportInterruption, ImportKind, ImportState, Outcome as Decided, Request,
};
use jangbu_kernel::{CommandId, CorrelationId, ImportId, ProductId, RecordedEvent, StreamId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::attempt::{outcome_of, persist, refused};
use super::line::{ImportLine, ImportSummary, Outcome, RowOutcome};
use super::rows::{Planned, StockMode, in_the_row, plan};
use super::sheet::{Format, Sheet, Unreadable, count};
use super::teller::{Gone, Teller};
use super::{Importer, columns};
use crate::http::node::Node;
use crate::http::problem::{FieldProblem, Problem};

/// Rows that are carried out at once: enough to fill the log's batches.
const AT_ONCE: usize = 64;
/// Rows that are read ahead.
const READ_AHEAD: usize = 256;
/// Rows of a dry run whose streams are loaded together.
const TOGETHER: usize = 128;
/// How often it is noted in the log how far a run has come.
pub(crate) const NOTE_EVERY: Duration = Duration::from_secs(10);

/// A file to be imported.
pub struct ImportRequest {
    /// What its rows are.
    pub kind: ImportKind,
    /// How they are written.
    pub format: Format,
    /// What the quantity of a row of stock is that does not say it itself.
    pub mode: Option<StockMode>,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// The name of the import: under the same one, by the same caller, what was done is not done again.
    pub key: Option<String>,
    /// Who imports.
    pub caller: Caller,
    /// Recorded on everything that follows from it.
    pub correlation_id: CorrelationId,
    /// W3C `traceparent` of the request.
    pub trace: Option<String>,
}

/// An import that has begun.
pub struct Import {
    /// Its id; none for a dry run.
    pub id: Option<ImportId>,
    /// How many rows its file has.
    pub rows: u64,
    lines: mpsc::Receiver<Bytes>,
}

impl Import {
    /// What became of the rows, a line of JSON each, in pieces of whole lines. When the stream is
    /// dropped, the import stops after the rows under way.
    pub fn lines(self) -> impl Stream<Item = Bytes> + Send + 'static {
        futures::stream::unfold(self.lines, async |mut lines| Some((lines.recv().await?, lines)))
    }
}

impl Importer {
    /// Looks a file through and begins to carry out its rows. `held` is dropped when it is over.
    ///
    /// # Errors
    /// A file that cannot be read, or a store that takes no writes.
    pub async fn begin(
        &self,
        request: ImportRequest,
        file: File,
        stop: CancellationToken,
        held: impl Send + 'static,
    ) -> Result<Import, Problem> {
        let (kind, format) = (request.kind, request.format);
        let file_again = file.try_clone().map_err(|error| Problem::unavailable(error.to_string()))?;
        let counted = tokio::task::spawn_blocking(move || count(file_again, format, columns(kind))).await;
        let rows = counted.map_err(|error| Problem::internal(error.to_string()))??;
        let run = self.start(request, rows, stop).await?;
        let (teller, lines) = Teller::new();
        let (read, to_do) = mpsc::channel(READ_AHEAD);
        tokio::task::spawn_blocking(move || read_all(file, format, kind, &read));
        let id = (!run.request.dry_run).then_some(run.id);
        tokio::spawn(async move {
            run.work_through(to_do, teller).await;
            drop(held);
        });
        Ok(Import { id, rows, lines })
    }

    /// Records that a run begins, if anything is to be recorded.
    async fn start(&self, request: ImportRequest, rows: u64, stop: CancellationToken) -> Result<Run, Problem> {
        let own = || self.ids.new_id();
        let id = ImportId::new(request.key.as_ref().map_or_else(own, |key| {
            let name = format!("{}/{}/{key}", request.caller.actor, request.kind.name());
            Uuid::new_v5(&NAMESPACE, name.as_bytes())
        }));
        let mut run = Run {
            importer: self.clone(),
            request,
            id,
            number: 0,
            rows,
            began_ms: self.clock.now().timestamp_millis(),
            began: Instant::now(),
            noted: Instant::now(),
            counts: ImportCounts::default(),
            stop,
        };
        if run.request.dry_run {
            return Ok(run);
        }
        let kind = run.request.kind;
        // Not tried again: each start is a run of its own.
        let answer = self.commands.execute(run.own(StartImport { import_id: id, kind, rows })).await?;
        run.number = answer.events.iter().find_map(|event| started(event)).unwrap_or_default();
        // The first run says when new products were made, so that a later one makes the same.
        let first = self.commands.history(StreamId::import(id), Some(jangbu_kernel::Version::FIRST)).await?;
        if let Some(first) = first.first() {
            run.began_ms = first.meta.recorded_at.timestamp_millis();
        }
        Ok(run)
    }
}

/// Ids of imports and of their commands are names in this space.
const NAMESPACE: Uuid = Uuid::from_u128(0x7c1d_5a0e_3b64_4f0f_9c55_0a6f_1e86_d2b7);

fn started(event: &RecordedEvent) -> Option<u32> {
    match DomainEvent::try_from(event) {
        Ok(DomainEvent::Import(ImportEvent::Started(started))) => Some(started.run),
        Ok(_) | Err(_) => None,
    }
}

/// A row that was read, and what is needed to know it again.
struct ReadRow {
    number: u64,
    node: Result<Node, Vec<FieldProblem>>,
    identity: Vec<u8>,
}

fn read_all(file: File, format: Format, kind: ImportKind, to: &mpsc::Sender<Result<ReadRow, Unreadable>>) {
    let mut sheet = match Sheet::open(file, format, columns(kind)) {
        Ok(sheet) => sheet,
        Err(error) => return drop(to.blocking_send(Err(error))),
    };
    loop {
        let row = match sheet.next() {
            Ok(None) => return,
            Ok(Some((number, raw))) => Ok(ReadRow { number, node: raw.node(), identity: raw.identity() }),
            Err(error) => Err(error),
        };
        let ends = row.is_err();
        if to.blocking_send(row).is_err() || ends {
            return;
        }
    }
}

/// A run of an import.
struct Run {
    importer: Importer,
    request: ImportRequest,
    id: ImportId,
    /// Which run of this import, from 1.
    number: u32,
    rows: u64,
    /// When the import was first started, in milliseconds since 1970.
    began_ms: i64,
    began: Instant,
    noted: Instant,
    counts: ImportCounts,
    stop: CancellationToken,
}

/// A row that is being carried out, or was answered already.
struct UnderWay {
    touches: Vec<Uuid>,
    outcome: JoinHandle<Result<RowOutcome, ImportInterruption>>,
}

impl Run {
    async fn work_through(mut self, to_do: mpsc::Receiver<Result<ReadRow, Unreadable>>, mut teller: Teller) {
        let ended = if self.request.dry_run {
            self.foresee(to_do, &mut teller).await
        } else {
            self.carry_out(to_do, &mut teller).await
        };
        let (state, reason) = match ended {
            Ok(()) => (ImportState::Done, None),
            Err(reason) => (ImportState::Interrupted, Some(reason)),
        };
        if !self.request.dry_run {
            let end = reason.map_or(ImportEnd::Finished, ImportEnd::Interrupted);
            let (import_id, run, counts) = (self.id, self.number, self.counts);
            if let Err(error) =
                persist(&self.importer.commands, &self.own(EndImport { import_id, run, counts, end })).await
            {
                // The import is found to have fallen silent.
                tracing::warn!(import = %self.id, %error, "the end of an import could not be recorded");
            }
        }
        let summary = self.summary(state, reason);
        let _ = teller.tell(&ImportLine::Summary { summary }).await;
        let _ = teller.send().await;
    }

    fn summary(&self, state: ImportState, reason: Option<ImportInterruption>) -> ImportSummary {
        let ImportCounts { created, changed, unchanged, replayed, refused, invalid } = self.counts;
        ImportSummary {
            import_id: (!self.request.dry_run).then_some(self.id.uuid()),
            state,
            reason,
            dry_run: self.request.dry_run,
            rows: self.rows,
            created,
            changed,
            unchanged,
            replayed,
            refused,
            invalid,
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn carry_out(
        &mut self,
        mut to_do: mpsc::Receiver<Result<ReadRow, Unreadable>>,
        teller: &mut Teller,
    ) -> Result<(), ImportInterruption> {
        let mut under_way: VecDeque<UnderWay> = VecDeque::with_capacity(AT_ONCE);
        let mut ended = Ok(());
        while let Some(row) = self.next(&mut to_do).await.unwrap_or_else(|reason| {
            ended = Err(reason);
            None
        }) {
            let (number, planned, identity) = self.plan(row);
            let touches = planned.as_ref().map(|planned| planned.touches.clone()).unwrap_or_default();
            let meets = |earlier: &UnderWay| earlier.touches.iter().any(|touched| touches.contains(touched));
            while ended.is_ok() && (under_way.len() >= AT_ONCE || under_way.iter().any(meets)) {
                ended = self.finish(under_way.pop_front(), teller).await;
            }
            if ended.is_err() {
                break;
            }
            let outcome = self.begin(number, planned, &identity);
            under_way.push_back(UnderWay { touches, outcome });
        }
        // Whatever ended it, what is under way is waited for and counted.
        while !under_way.is_empty() {
            let finished = self.finish(under_way.pop_front(), teller).await;
            ended = ended.and(finished);
        }
        ended
    }

    /// The next row; none at the end of the file.
    async fn next(
        &self,
        to_do: &mut mpsc::Receiver<Result<ReadRow, Unreadable>>,
    ) -> Result<Option<ReadRow>, ImportInterruption> {
        if self.stop.is_cancelled() {
            return Err(ImportInterruption::ServerStopping);
        }
        match to_do.recv().await.transpose() {
            Ok(row) => Ok(row),
            Err(error) => {
                let error = Problem::from(error);
                tracing::warn!(import = %self.id, detail = error.detail(), "a file cannot be read on");
                Err(ImportInterruption::FileUnreadable)
            }
        }
    }

    /// The row as a command, or what is wrong with it.
    fn plan(&self, row: ReadRow) -> (u64, Result<Planned, RowOutcome>, Vec<u8>) {
        let ReadRow { number, node, identity } = row;
        let ImportRequest { kind, mode, format, .. } = self.request;
        let planned = node.and_then(|node| plan(kind, mode, node, self.new_product(number)));
        let planned = planned.map_err(|mut problems| {
            for problem in &mut problems {
                problem.pointer = in_the_row(kind, format == Format::Csv, &problem.pointer);
            }
            RowOutcome::invalid(number, None, problems)
        });
        (number, planned, identity)
    }

    /// The id of a product that a row makes without naming one: the same in every run, and in the
    /// order of the file, so that products are listed in it.
    fn new_product(&self, number: u64) -> ProductId {
        let hash = digest::digest(&digest::SHA256, format!("{}/{number}", self.id).as_bytes());
        let mut bytes = [0; 10];
        for (place, byte) in bytes.iter_mut().zip(self.id.uuid().as_bytes()) {
            *place = *byte;
        }
        let (_, own) = bytes.split_at_mut(3);
        for (place, byte) in
            own.iter_mut().zip(number.to_be_bytes().into_iter().skip(4).chain(hash.as_ref().iter().copied()))
        {
            *place = byte;
        }
        let millis = u64::try_from(self.began_ms).unwrap_or_default();
        ProductId::new(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }

    /// Has a row carried out. It goes on whatever becomes of this import.
    fn begin(
        &self,
        number: u64,
        planned: Result<Planned, RowOutcome>,
        identity: &[u8],
    ) -> JoinHandle<Result<RowOutcome, ImportInterruption>> {
        let Planned { product_id, command, .. } = match planned {
            Ok(planned) => planned,
            Err(outcome) => return tokio::spawn(std::future::ready(Ok(outcome))),
        };
        let mut fingerprint = [0; 32];
        let mode = self.request.mode.map_or("", StockMode::name);
        let hash = digest::digest(&digest::SHA256, &[mode.as_bytes(), b"\0", identity].concat());
        fingerprint.copy_from_slice(hash.as_ref());
        let key = format!("import/{}/{number}", self.id);
        let command_id = CommandId::new(Uuid::new_v5(&self.id.uuid(), key.as_bytes()));
        let idempotency = Some(Idempotency { key, fingerprint });
        let request = Request { idempotency, ..self.request(command, command_id, self.request.caller.clone()) };
        let (kind, is_csv) = (self.request.kind, self.request.format == Format::Csv);
        let commands = self.importer.commands.clone();
        tokio::spawn(async move {
            let id = Some(product_id.uuid());
            match persist(&commands, &request).await {
                Ok(answer) if answer.replayed => Ok(RowOutcome::of(number, Outcome::Replayed, id)),
                Ok(answer) => {
                    let types = answer.events.iter().map(|event| event.event_type.as_str());
                    Ok(RowOutcome::of(number, outcome_of(types), id))
                }
                Err(error) => refused(number, id, kind, is_csv, error),
            }
        })
    }

    async fn finish(&mut self, row: Option<UnderWay>, teller: &mut Teller) -> Result<(), ImportInterruption> {
        let Some(UnderWay { outcome, .. }) = row else { return Ok(()) };
        let outcome = outcome.await.unwrap_or(Err(ImportInterruption::StoreUnavailable))?;
        self.told(outcome, teller).await?;
        if self.noted.elapsed() < NOTE_EVERY {
            return Ok(());
        }
        self.noted = Instant::now();
        let progress = RecordImportProgress { import_id: self.id, run: self.number, counts: self.counts };
        match self.importer.commands.execute(self.own(progress)).await {
            Ok(answer) if answer.events.is_empty() => Err(ImportInterruption::StartedAgain),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(import = %self.id, %error, "the progress of an import could not be recorded");
                Ok(())
            }
        }
    }

    async fn told(&mut self, outcome: RowOutcome, teller: &mut Teller) -> Result<(), ImportInterruption> {
        outcome.outcome.count(&mut self.counts);
        teller.tell(&ImportLine::Row(outcome)).await.map_err(|Gone| ImportInterruption::ClientGone)
    }

    /// Tells what the rows would do, one after the other.
    async fn foresee(
        &mut self,
        mut to_do: mpsc::Receiver<Result<ReadRow, Unreadable>>,
        teller: &mut Teller,
    ) -> Result<(), ImportInterruption> {
        let Importer { commands, clock, policy, .. } = self.importer.clone();
        let (kind, is_csv) = (self.request.kind, self.request.format == Format::Csv);
        let mut foresight = Foresight::new(&commands, policy, clock.now());
        let mut ended = false;
        while !ended {
            let mut some = Vec::with_capacity(TOGETHER);
            while some.len() < TOGETHER && !ended {
                match self.next(&mut to_do).await? {
                    Some(row) => some.push(self.plan(row)),
                    None => ended = true,
                }
            }
            let planned = some.iter().filter_map(|(_, planned, _)| planned.as_ref().ok());
            let ahead: Vec<AnyCommand> = planned.map(|planned| planned.command.clone()).collect();
            foresight.prepare(&ahead).await;
            for (number, planned, _) in some {
                let outcome = match planned {
                    Err(outcome) => outcome,
                    Ok(Planned { product_id, command, .. }) => {
                        // A product that is not there yet has no id to be told.
                        let id = Some(product_id.uuid()).filter(|_| product_id != self.new_product(number));
                        match foresight.decide(&command).await {
                            Ok(Decided::Record(streams)) => {
                                let events = streams.iter().flat_map(|(_, events)| events);
                                RowOutcome::of(number, outcome_of(events.map(DomainEvent::event_type)), id)
                            }
                            Ok(Decided::AlreadyDone) => RowOutcome::of(number, Outcome::Unchanged, id),
                            Ok(Decided::Refused(refusal)) => {
                                refused(number, id, kind, is_csv, CommandError::Refused(refusal))?
                            }
                            Err(error) => refused(number, id, kind, is_csv, error)?,
                        }
                    }
                };
                self.told(outcome, teller).await?;
            }
        }
        Ok(())
    }

    /// A command of the import itself.
    fn own(&self, command: impl Into<AnyCommand>) -> Request {
        let command_id = CommandId::new(self.importer.ids.new_id());
        self.request(command.into(), command_id, self.request.caller.clone())
    }

    fn request(&self, command: AnyCommand, command_id: CommandId, caller: Caller) -> Request {
        let ImportRequest { correlation_id, trace, .. } = &self.request;
        Request { trace: trace.clone(), ..Request::new(command, caller, command_id, *correlation_id) }
    }
}
