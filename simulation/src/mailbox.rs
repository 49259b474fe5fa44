//! The mail server: what it took, and a node's way to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jangbu_kernel::NoticeId;
use jangbu_kernel::channel::{Channel, Delivery, Message, Reaches};

use crate::life::Life;
use crate::outside::{Route, call};
use crate::sim::{Sim, lock};

/// The mail server. It outlives every node.
pub(crate) struct Mailbox {
    sim: Arc<Sim>,
    /// How often it took each message.
    taken: Mutex<BTreeMap<NoticeId, u32>>,
}

impl Mailbox {
    pub fn new(sim: &Arc<Sim>) -> Arc<Self> {
        Arc::new(Self { sim: Arc::clone(sim), taken: Mutex::default() })
    }

    /// Whether it took a message.
    pub fn has(&self, key: NoticeId) -> bool {
        lock(&self.taken).contains_key(&key)
    }

    fn take(&self, key: NoticeId) {
        let mut taken = lock(&self.taken);
        let times = taken.entry(key).or_default();
        *times += 1;
        let times = u64::from(*times);
        self.sim.tell("mail", times, || format!("mail server: took {key}, {times} times by now"));
    }
}

/// A node's way to the mail server.
pub(crate) struct NodeMail {
    pub mailbox: Arc<Mailbox>,
    pub life: Arc<Life>,
}

#[async_trait]
impl Channel for NodeMail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn reaches(&self) -> Reaches {
        Reaches::Email
    }

    async fn send(&self, message: Message) -> Delivery {
        let (mailbox, key) = (Arc::clone(&self.mailbox), message.key);
        match call(&self.life, Route::choose(&self.life.sim), move || mailbox.take(key)).await {
            Some(()) => Delivery::Accepted,
            None => Delivery::Failed("no_answer".to_owned()),
        }
    }
}
