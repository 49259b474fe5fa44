//! The port to the ways by which people are told of something: mail, messages to telephones.

use std::fmt;

use async_trait::async_trait;

use crate::ids::NoticeId;

/// What a channel sends.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifies it: what is sent twice under one key is one message, where the channel can tell.
    pub key: NoticeId,
    /// The name of its template, for channels whose provider keeps the approved texts.
    pub template: &'static str,
    /// The recipient's address: of the kind that the channel [reaches](Channel::reaches).
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text of several lines.
    pub text: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("key", &self.key).field("template", &self.template).finish_non_exhaustive()
    }
}

/// The kind of address that a channel needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaches {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
}

/// What became of a message. The texts are codes such as `timed_out` or `smtp_451`: never an address,
/// nor anything else that a server said, because they are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The server has taken it.
    Accepted,
    /// The server will never take it, for instance because there is no such mailbox.
    Rejected(String),
    /// It was not taken this time, or that is not known.
    Failed(String),
}

/// A way by which people are told of something.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Its name. Storage format.
    fn name(&self) -> &'static str;
    /// The kind of address that it needs.
    fn reaches(&self) -> Reaches;
    /// Sends a message, once, within a time limit of its own.
    async fn send(&self, message: Message) -> Delivery;
}
