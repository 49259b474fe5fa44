//! Notices the appends of other nodes. A notification is a hint and may be lost: the head is polled
//! several times a second anyway. It is sent on a separate connection after the commit, because a
//! notification inside the transaction would make all commits wait for each other.

use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::Position;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::known::Place;
use super::{Shared, read};

const CHANNEL: &str = "jangbu_head";
/// How often the head is polled without a notification.
const POLL: Duration = Duration::from_millis(200);
/// The least time between two notifications of one node; one stands for all appends before it.
const NOTICE_PAUSE: Duration = Duration::from_millis(20);
/// The pause before the listening connection is opened again.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

pub(super) fn spawn(shared: &Arc<Shared>) {
    start(shared, poll(Arc::clone(shared)));
    start(shared, listen(Arc::clone(shared)));
    start(shared, tell(Arc::clone(shared)));
}

fn start(shared: &Shared, task: impl Future<Output = ()> + Send + 'static) {
    let stop = shared.stop.clone();
    shared.tasks.spawn(async move { stop.run_until_cancelled(task).await });
}

async fn poll(shared: Arc<Shared>) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look(&shared).await;
    }
}

async fn look(shared: &Shared) {
    let before = shared.known.newest();
    // A failure is reported to the callers that need the answer; here the next tick tries again.
    let Ok(seen) = read::head_and_known(&shared.pool, before.map_or(Position::ZERO, |known| known.position)).await
    else {
        return;
    };
    if shared.known.compare(before, seen.head, seen.at_known.as_deref()).is_err() {
        return;
    }
    if let Some(hash) = seen.at_head.and_then(|hash| hash.try_into().ok()) {
        shared.known.learn(Place { position: seen.head, hash });
    }
    shared.head.advance(seen.head);
}

async fn tell(shared: Arc<Shared>) {
    loop {
        shared.appended.notified().await;
        let notice = sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(&shared.pool).await;
        if let Err(error) = notice {
            tracing::debug!(%error, "other nodes were not told of an append, they will see it when they look");
        }
        sleep(NOTICE_PAUSE).await;
    }
}

async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = listen_once(&shared).await {
            tracing::debug!(%error, "the listening connection was lost");
        }
        sleep(LISTEN_RETRY).await;
    }
}

async fn listen_once(shared: &Shared) -> Result<(), sqlx::Error> {
    let pool = shared.connect.pool(PgPoolOptions::new().max_connections(1)).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        look(shared).await;
    }
}
