//! Rebuilding read models: the request, its progress, and where it runs.

use std::time::Duration;

use anyhow::anyhow;
use jangbu_kernel::Position;
use jangbu_projections::{Projector, ProjectorHandle, RebuildOptions, RebuildProgress, RebuildReport, RebuildStage};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client::RunningServer;
use super::routes::Operator;
use crate::config::Settings;
use crate::engine;
use crate::node::WriteSide;

/// Which read models, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RebuildRequest {
    /// Names; empty: all of them.
    pub names: Vec<String>,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Build a copy and compare it with the live read models, without replacing them.
    pub verify_only: bool,
    /// Do not compare with the live read models.
    pub from_scratch: bool,
}

/// A message about a rebuild.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RebuildEvent {
    /// The progress.
    Progress {
        /// The present stage.
        stage: String,
        /// The log is folded up to here.
        position: Position,
        /// The log's last position.
        head: Position,
        /// Events folded in a second.
        events_per_second: u64,
    },
    /// The result.
    Done {
        /// View by view.
        views: Vec<RebuiltLine>,
        /// The position up to which all events are folded in.
        position: Position,
        /// How many events were read.
        events: u64,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// Why it failed; the live read models are unchanged.
    Failed {
        /// The reason.
        reason: String,
    },
}

/// The result for one view.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RebuiltLine {
    /// The view.
    pub projection: String,
    /// Its rows.
    pub rows: u64,
    /// Streams that could not be folded.
    pub parked_streams: u64,
    /// Rows that differ from the live ones, if they were compared.
    pub differences: Option<u64>,
    /// The first of them.
    pub examples: Vec<String>,
    /// Whether it replaced the live one.
    pub swapped: bool,
}

/// The name of a stage in a progress message.
const fn stage_name(stage: RebuildStage) -> &'static str {
    match stage {
        RebuildStage::Building => "building",
        RebuildStage::Indexing => "indexing",
        RebuildStage::CatchingUp => "catching up",
        RebuildStage::Verifying => "verifying",
        RebuildStage::Swapping => "swapping",
    }
}

impl From<RebuildProgress> for RebuildEvent {
    fn from(progress: RebuildProgress) -> Self {
        Self::Progress {
            stage: stage_name(progress.stage).to_owned(),
            position: progress.position,
            head: progress.head,
            events_per_second: progress.events_per_second,
        }
    }
}

impl From<RebuildReport> for RebuildEvent {
    fn from(report: RebuildReport) -> Self {
        let views = report.views.into_iter().map(|view| RebuiltLine {
            projection: view.name.to_owned(),
            rows: view.rows,
            parked_streams: view.parked_streams,
            differences: view.differences,
            examples: view.examples.iter().map(|example| format!("{} {}", example.id, example.what)).collect(),
            swapped: view.swapped,
        });
        Self::Done {
            views: views.collect(),
            position: report.position,
            events: report.events,
            took_ms: u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Rebuilds with the server's own projector. Ends early when the client has disconnected.
pub(super) async fn run(operator: &Operator, request: RebuildRequest, told: mpsc::Sender<RebuildEvent>) {
    let ended = match &operator.projector {
        Some(projector) => with_projector(projector, &request, &told).await,
        None => RebuildEvent::Failed { reason: "this node keeps no read models".to_owned() },
    };
    // The client may have disconnected.
    let _ = told.send(ended).await;
}

async fn with_projector(
    projector: &ProjectorHandle,
    request: &RebuildRequest,
    told: &mpsc::Sender<RebuildEvent>,
) -> RebuildEvent {
    let cancel = CancellationToken::new();
    let options = RebuildOptions {
        verify: !request.from_scratch,
        verify_only: request.verify_only,
        dry_run: request.dry_run,
        cancel: cancel.clone(),
    };
    let progress = told.clone();
    let rebuild = projector.rebuild(&request.names, options, move |at| {
        // A slow reader misses some of the progress, because the work does not wait for it.
        let _ = progress.try_send(at.into());
    });
    tokio::pin!(rebuild);
    let report = tokio::select! {
        report = &mut rebuild => report,
        () = told.closed() => {
            cancel.cancel();
            rebuild.await
        }
    };
    match report {
        Ok(report) => report.into(),
        Err(error) => RebuildEvent::Failed { reason: format!("{:#}", anyhow!(error)) },
    }
}

/// How long a projector that was just started may take to get the lease.
const OWNERSHIP: Duration = Duration::from_secs(15);

/// Rebuilds where the writer of the read models is: in the running server on this data folder, else
/// in this process.
///
/// # Errors
/// When the store or the read models cannot be used, the rebuild fails, or `told` does.
pub async fn rebuild_anywhere(
    settings: &Settings,
    request: &RebuildRequest,
    mut told: impl FnMut(RebuildEvent) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(server) = RunningServer::find(&settings.data_dir).await? {
        return server.rebuild(request, told).await;
    }
    let side = WriteSide::open(settings).await?;
    let models = engine::own_read_models(settings).await?;
    let log = std::sync::Arc::clone(&side.store) as _;
    let projector = Projector::spawn(log, models.clone(), std::sync::Arc::clone(&side.world.clock));
    let head = side.store.head().await?;
    let deadline = tokio::time::Instant::now() + OWNERSHIP;
    if request.verify_only && !projector.wait_for(head, deadline).await {
        tracing::warn!("the read models are far behind; what they lack counts as different");
    }
    let (sender, mut events) = mpsc::channel(64);
    let work = async {
        let ended = with_projector(&projector, request, &sender).await;
        let _ = sender.send(ended).await;
        drop(sender);
    };
    let tell = async {
        while let Some(event) = events.recv().await {
            told(event)?;
        }
        anyhow::Ok(())
    };
    let ((), outcome) = tokio::join!(work, tell);
    projector.stop().await;
    models.close().await;
    side.close().await;
    outcome
}
