//! The notices that were tried: what was told to whom, or is still to be.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::{NoticeAbout, NoticeEvent, NoticeState};
use jangbu_kernel::{AggregateKind, NoticeId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Index, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, fixed, index, next};

/// A notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// Its id.
    pub id: NoticeId,
    /// What it tells to whom.
    pub about: NoticeAbout,
    /// How far it has come.
    pub state: NoticeState,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed, a code.
    pub reason: Option<String>,
    /// When it is tried again.
    #[serde(with = "jangbu_kernel::time::millis::option")]
    pub retry_at: Option<Timestamp>,
    /// When it was first tried.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
}

/// The view "notices".
pub struct NoticesView;

impl View for NoticesView {
    type Row = NoticeRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "notices",
        version: 1,
        key: &[column("notice_id", Kind::Uuid)],
        columns: &[
            column("state", Kind::Text),
            fixed("order_id", Kind::Uuid),
            fixed("created_at", Kind::Time),
            column("retry_at", Kind::Time),
        ],
        indexes: &[
            index("created", "created_at, notice_id"),
            index("state_created", "state, created_at, notice_id"),
            index("order_created", "order_id, created_at, notice_id"),
            Index { name: "due", columns: "retry_at, notice_id", only: "retry_at is not null" },
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Notice);

    fn fold(row: &mut Option<NoticeRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Notice(event) = &fact.event else { return Err(NOT_SHOWN) };
        if fact.version == Version::FIRST && row.is_none() {
            *row = begun(event, fact);
        }
        let row = next(row, |row| row.version, fact)?;
        match event {
            NoticeEvent::Sent(sent) => row.tried(NoticeState::Sent, sent.attempt, None),
            NoticeEvent::Failed(failed) => {
                row.tried(NoticeState::Waiting, failed.attempt, Some(failed.reason.clone()));
                row.retry_at = Some(failed.retry_at);
            }
            NoticeEvent::GivenUp(given_up) => {
                row.tried(NoticeState::GivenUp, given_up.attempt, Some(given_up.reason.clone()));
            }
            NoticeEvent::SendRequested(requested) => {
                row.state = NoticeState::Waiting;
                row.retry_at = Some(requested.at);
            }
        }
        row.version = fact.version;
        row.updated_at = fact.at;
        Ok(())
    }

    fn columns(row: &NoticeRow) -> Vec<Value> {
        vec![
            Value::name(row.state.name()),
            Value::Uuid(row.about.order_id.map(Into::into)),
            Value::time(row.created_at),
            Value::Time(row.retry_at),
        ]
    }
}

impl NoticeRow {
    fn tried(&mut self, state: NoticeState, attempts: u32, reason: Option<String>) {
        self.state = state;
        self.attempts = attempts;
        self.reason = reason;
        self.retry_at = None;
    }
}

/// The row before its first event; none for an event that no notice begins with.
fn begun(event: &NoticeEvent, fact: &Fact) -> Option<NoticeRow> {
    let about = match event {
        NoticeEvent::Sent(sent) => &sent.about,
        NoticeEvent::Failed(failed) => &failed.about,
        NoticeEvent::GivenUp(given_up) => &given_up.about,
        NoticeEvent::SendRequested(_) => return None,
    };
    Some(NoticeRow {
        id: NoticeId::new(fact.stream.id),
        about: about.clone(),
        state: NoticeState::Waiting,
        attempts: 0,
        reason: None,
        retry_at: None,
        created_at: fact.at,
        updated_at: fact.at,
        version: Version::ZERO,
    })
}
