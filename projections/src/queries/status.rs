//! The status of the views.

use jangbu_kernel::{Position, StreamId, Timestamp};

use super::{Queries, QueryError};
use crate::engine::meta::{Building, Lease, Parked, Record};
use crate::registry::VIEWS;

/// What a view is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ProjectionState {
    /// It follows the log.
    Live,
    /// It is behind by more than two pages, and is catching up.
    CatchingUp,
    /// A shadow of it is being built, or the view itself is being built from the log's beginning.
    Rebuilding,
    /// No projector is active.
    Stopped,
}

jangbu_kernel::named!(ProjectionState);

/// The status of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// The view.
    pub name: String,
    /// The version of its fold.
    pub version: u32,
    /// The position up to which it shows the log.
    pub position: Position,
    /// How many positions it is behind, as far as the projector knows.
    pub lag: u64,
    /// What it is doing.
    pub state: ProjectionState,
    /// How many streams it does not follow, because they are parked.
    pub parked_streams: u64,
}

/// A lag that about two pages clear is not reported as catching up.
const CATCHING_UP: u64 = 8_192;

pub(crate) fn statuses(lease: Lease, records: &[Record], head: Position) -> Vec<ProjectionStatus> {
    let alive = !lease.is_silent();
    let known = VIEWS.iter().filter_map(|view| records.iter().find(|record| record.name == view.spec.name));
    known
        .map(|record| {
            let lag = record.position.behind(head);
            let state = match (alive, record.building) {
                (false, _) => ProjectionState::Stopped,
                (true, Building::Beside | Building::Anew) => ProjectionState::Rebuilding,
                (true, Building::Nothing) if lag > CATCHING_UP => ProjectionState::CatchingUp,
                (true, Building::Nothing) => ProjectionState::Live,
            };
            ProjectionStatus {
                name: record.name.clone(),
                version: u32::try_from(record.version).unwrap_or(0),
                position: record.position,
                lag,
                state,
                parked_streams: record.parked_streams,
            }
        })
        .collect()
}

/// A stream that a view does not follow until it is redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedStream {
    /// The view.
    pub view: String,
    /// The stream.
    pub stream: StreamId,
    /// Position of the first event that is not folded in.
    pub position: Position,
    /// The error that its event caused.
    pub reason: String,
    /// Since when it is parked.
    pub since: Timestamp,
}

impl Queries {
    /// The parked streams, in the order of their events.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn parked_streams(&self) -> Result<Vec<ParkedStream>, QueryError> {
        let parked = self.models.engine.parked().await?;
        let told = |parked: Parked| ParkedStream {
            view: parked.view,
            stream: parked.stream,
            position: parked.position,
            reason: parked.reason,
            since: parked.at,
        };
        Ok(parked.into_iter().map(told).collect())
    }

    /// Why the read models cannot be relied on at the moment; none if they can.
    pub async fn problem(&self) -> Option<String> {
        let engine = &self.models.engine;
        let records = match engine.records().await {
            Ok(records) => records,
            Err(error) => return Some(engine.health().problem().unwrap_or_else(|| error.to_string())),
        };
        if let Some(problem) = engine.health().problem() {
            return Some(problem);
        }
        let slowest = records.iter().filter(|record| record.building == Building::Anew).min_by_key(|of| of.position)?;
        Some(format!(
            "rebuilding: {} is being built from the log and is at position {}",
            slowest.name, slowest.position
        ))
    }

    /// The status of every view, from any process. The lag is measured against the head that the
    /// projector saw last, at most about a second ago.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn statuses(&self) -> Result<Vec<ProjectionStatus>, QueryError> {
        let engine = &self.models.engine;
        let lease = engine.lease().await?;
        let records = engine.records().await?;
        let seen = records.iter().map(|record| record.position).max().unwrap_or(Position::ZERO);
        Ok(statuses(lease, &records, lease.head.max(seen)))
    }
}
