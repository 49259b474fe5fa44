//! A notice was sent, or could not be. Writes `notice`.

use jangbu_kernel::{NoticeId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::notice::{Notice, NoticeAbout, NoticeCommand, NoticeOutcome};
use crate::state::{Missing, States};

/// A notice was sent, or could not be. Writes `notice`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordNotice {
    /// The notice.
    pub notice_id: NoticeId,
    /// What was told to whom.
    pub about: NoticeAbout,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What became of it.
    pub outcome: NoticeOutcome,
}

impl Command for RecordNotice {
    const RULES: Rules = Rules::internal("record_notice");

    fn subject(&self) -> StreamId {
        StreamId::notice(self.notice_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        if self.attempt == 1 {
            streams.push(self.subject());
        }
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (about, outcome) = (self.about.clone(), self.outcome.clone());
        append.only::<Notice>(self.notice_id, &NoticeCommand::Record { about, attempt: self.attempt, outcome })
    }
}
