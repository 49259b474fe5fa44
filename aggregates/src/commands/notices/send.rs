//! Staff have a notice tried again that was not delivered. Writes `notice`.

use jangbu_kernel::{NoticeId, RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::notice::{Notice, NoticeCommand};
use crate::state::{Missing, States};

/// Staff have a notice tried again that was not delivered. Writes `notice`.
#[derive(Clone, Debug, PartialEq)]
pub struct SendNotice {
    /// The notice.
    pub notice_id: NoticeId,
}

impl Command for SendNotice {
    const RULES: Rules = Rules::new(
        "send_notice",
        Reach::Any(Permission::NoticesSend),
        Key::Optional,
        &[RefusalCode::NoticeAlreadySent],
    );

    fn subject(&self) -> StreamId {
        StreamId::notice(self.notice_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Notice>(self.notice_id, &NoticeCommand::Send)
    }
}
