//! Sends the queued webhooks, signed by the Standard Webhooks specification if their dialect signs.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Url;
use standardwebhooks::Webhook;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::books::now_ms;
use crate::books::outbox::{self, Owed};
use crate::dialect::Dialect;
use crate::store::Store;

/// Timeout of the receiver; the message counts as not accepted then.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer waits for its webhook to be sent first.
const PATIENCE_BEFORE_ANSWER: Duration = Duration::from_secs(1);
/// Concurrent messages.
const AT_ONCE: usize = 32;
/// Messages read from the file at once.
const READ_AT_ONCE: u32 = 256;
/// The longest pause between two reads of the queue.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// A handle on the webhook sender.
#[derive(Clone)]
pub struct Courier {
    store: Store,
    client: reqwest::Client,
    signer: Arc<Webhook>,
    target: watch::Sender<Option<Url>>,
    news: Arc<Notify>,
}

impl Courier {
    /// A courier that sends to `target`, once it is set.
    pub fn new(store: Store, client: reqwest::Client, signer: Webhook, target: Option<Url>) -> Self {
        Self {
            store,
            client,
            signer: Arc::new(signer),
            target: watch::Sender::new(target),
            news: Arc::new(Notify::new()),
        }
    }

    /// Changes where webhooks go.
    pub fn set_target(&self, target: Option<Url>) {
        self.target.send_replace(target);
        self.wake();
    }

    /// Wakes the courier, because a message may have been queued.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Sends one message before the answer that it belongs to; if that fails it stays in the queue.
    pub async fn send_now(&self, owed: Owed) {
        let Some(target) = self.target.borrow().clone() else {
            return;
        };
        let sent = tokio::time::timeout(PATIENCE_BEFORE_ANSWER, self.send(&target, &owed)).await;
        if sent == Ok(true)
            && let Err(error) = self.store.call(move |db| outbox::taken(db, owed.seq)).await
        {
            tracing::warn!(%error, "a webhook was sent but could not be struck off: it will be sent again");
        }
    }

    /// Sends queued messages until the sandbox stops.
    pub async fn run(self, stopping: CancellationToken) {
        let mut target = self.target.subscribe();
        loop {
            let known = target.borrow_and_update().clone();
            let sleep = match known {
                None => None,
                Some(to) => {
                    let round = tokio::select! {
                        round = self.send_due(&to) => round,
                        () = stopping.cancelled() => return,
                    };
                    Some(round)
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = target.changed() => if changed.is_err() { return },
                () = self.news.notified(), if sleep.is_some() => {}
                () = tokio::time::sleep(sleep.unwrap_or(LONGEST_SLEEP)), if sleep.is_some() => {}
            }
        }
    }

    /// Sends everything that is due; returns how long to sleep then.
    async fn send_due(&self, target: &Url) -> Duration {
        loop {
            let now = now_ms();
            let (owed, next) = match self.store.call(move |db| outbox::due(db, now, READ_AT_ONCE)).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(%error, "the webhooks that are owed cannot be read");
                    return LONGEST_SLEEP;
                }
            };
            if owed.is_empty() {
                let wait_ms = next.map_or(i64::MAX, |at| at.saturating_sub(now)).max(1);
                return Duration::from_millis(wait_ms.unsigned_abs()).min(LONGEST_SLEEP);
            }
            let sent: Vec<(Owed, bool)> = futures::stream::iter(owed)
                .map(|owed| async move {
                    let taken = self.send(target, &owed).await;
                    (owed, taken)
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            self.settle(sent).await;
        }
    }

    async fn settle(&self, sent: Vec<(Owed, bool)>) {
        let given_up =
            sent.iter().filter(|(owed, taken)| !taken && owed.attempts.saturating_add(1) >= outbox::ATTEMPTS);
        for (owed, _) in given_up {
            tracing::warn!(message_id = owed.message_id, "a webhook was given up: nobody took it");
        }
        let settled = self
            .store
            .call(move |db| {
                let now = now_ms();
                sent.iter().try_for_each(|(owed, taken)| match taken {
                    true => outbox::taken(db, owed.seq),
                    false => outbox::not_taken(db, owed, now),
                })
            })
            .await;
        if let Err(error) = settled {
            tracing::warn!(%error, "webhooks were sent but could not be struck off: they will be sent again");
        }
    }

    /// Sends one message; true if the receiver accepted it.
    async fn send(&self, target: &Url, owed: &Owed) -> bool {
        let timestamp = now_ms().div_euclid(1_000);
        let url = format!("{}{}", target.as_str().trim_end_matches('/'), owed.path);
        let dialect = Dialect::of_hook(&owed.path);
        let content_type = dialect.map_or(outbox::JSON, |dialect| dialect.content_type);
        let message = self.client.post(url).header("content-type", content_type).body(owed.body.clone());
        if dialect.is_some_and(|dialect| !dialect.is_signed) {
            return was_taken(message.timeout(PATIENCE).send().await);
        }
        let Ok(signature) = self.signer.sign(&owed.message_id, timestamp, owed.body.as_bytes()) else {
            return false;
        };
        let sent = message
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &owed.message_id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature)
            .timeout(PATIENCE)
            .send()
            .await;
        was_taken(sent)
    }
}

fn was_taken(sent: reqwest::Result<reqwest::Response>) -> bool {
    matches!(sent, Ok(answer) if answer.status().is_success())
}
