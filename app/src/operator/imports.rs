//! Imports of files: asked of the running server, or carried out here when none runs.

use std::fs::File;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use jangbu_api::Problem;
use jangbu_api::imports::{Format, ImportLine, ImportRequest, ROWS, StockMode, spool};
use jangbu_commands::{Caller, ImportKind, Scope};
use jangbu_kernel::{Actor, CorrelationId};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::RunningServer;
use super::routes::Operator;
use crate::config::Settings;
use crate::node::WriteSide;

/// A file to be imported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WantedImport {
    /// What its rows are.
    pub kind: ImportKind,
    /// How they are written.
    pub format: Format,
    /// What the quantity of a row of stock is that does not say it itself.
    pub mode: Option<StockMode>,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// The name of the import; none: of its own.
    pub key: Option<String>,
    /// The operator.
    pub operator: String,
}

impl Operator {
    fn request(&self, wanted: WantedImport) -> ImportRequest {
        let WantedImport { kind, format, mode, dry_run, key, operator } = wanted;
        ImportRequest {
            kind,
            format,
            mode,
            dry_run,
            key,
            caller: Caller { actor: Actor::Operator(operator), scope: Scope::Any },
            correlation_id: CorrelationId::new(self.ids.new_id()),
            trace: None,
        }
    }
}

/// Tells what became of each row, one JSON object a line. The import stops with the connection.
pub(super) async fn import(
    State(operator): State<Operator>,
    Query(wanted): Query<WantedImport>,
    request: Request,
) -> Response {
    let begun = async {
        let file = spool(request.into_body(), &operator.spool).await?;
        operator.importer.begin(operator.request(wanted), file, CancellationToken::new(), ()).await
    };
    match begun.await {
        Ok(import) => {
            let rows = import.rows.to_string();
            let lines = import.lines().map(Ok::<_, std::convert::Infallible>);
            let head =
                [(HeaderName::from_static(ROWS), rows), (header::CONTENT_TYPE, "application/x-ndjson".to_owned())];
            (head, Body::from_stream(lines)).into_response()
        }
        Err(problem) => (StatusCode::CONFLICT, said(&problem)).into_response(),
    }
}

fn said(problem: &Problem) -> String {
    format!("{} ({})", problem.detail(), problem.code().name())
}

/// Imports a file. `told` is called with the number of rows and each line.
///
/// # Errors
/// A file that cannot be read, a server that does not answer, a store that cannot be opened, or the
/// error of `told`.
pub async fn import_anywhere(
    settings: &Settings,
    wanted: WantedImport,
    file: File,
    told: impl FnMut(u64, ImportLine) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(server) = RunningServer::find(&settings.data_dir).await? {
        let response = server.import(&wanted, file).await?;
        let rows = response.headers().get(ROWS).and_then(|rows| rows.to_str().ok()).and_then(|rows| rows.parse().ok());
        let bytes = futures::stream::try_unfold(response, async |mut response| {
            let piece = response.chunk().await.context("the server broke off: import the file again to go on")?;
            Ok(piece.map(|piece| (piece, response)))
        });
        return read(bytes, rows.unwrap_or_default(), told).await;
    }
    let side = WriteSide::open(settings).await?;
    let operator = side.operator();
    let (held, over) = oneshot::channel::<()>();
    let begun = operator.importer.begin(operator.request(wanted), file, CancellationToken::new(), held).await;
    let done = match begun {
        Ok(import) => {
            let rows = import.rows;
            let interrupted = tokio::signal::ctrl_c();
            tokio::select! {
                done = read(import.lines().map(Ok), rows, told) => done,
                _ = interrupted => Err(anyhow::anyhow!("interrupted: import the file again to go on")),
            }
        }
        Err(problem) => Err(anyhow::anyhow!(said(&problem))),
    };
    // What is under way is finished, and that it was is recorded.
    let _ = over.await;
    side.close().await;
    done
}

async fn read(
    bytes: impl Stream<Item = anyhow::Result<bytes::Bytes>>,
    rows: u64,
    mut told: impl FnMut(u64, ImportLine) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut bytes = std::pin::pin!(bytes);
    let mut rest = Vec::new();
    while let Some(piece) = bytes.next().await {
        rest.extend_from_slice(&piece?);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let tail = rest.split_off(end + 1);
        for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            told(rows, serde_json::from_slice(line).context("the server is of another version")?)?;
        }
        rest = tail;
    }
    if !rest.is_empty() {
        bail!("the server broke off: import the file again to go on");
    }
    Ok(())
}
