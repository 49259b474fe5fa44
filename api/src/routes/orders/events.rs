//! Following an order as it happens: server-sent events, one per event of its stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use jangbu_commands::identity::Identity;
use jangbu_kernel::log::EventLog;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::{OrderId, RecordedEvent, SessionId, StreamId, UserId, Version};
use jangbu_projections::OrderRow;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::call::Call;
use crate::http::params::PathId;
use crate::http::problem::{Code, Problem};
use crate::http::resource::load;
use crate::routes::audit::RecordView;
use crate::shares::{Exhausted, Share};
use crate::state::App;

/// A stream ends after this time, as an access token does; browsers reconnect by themselves and
/// send the id of the last event.
const LONGEST: Duration = Duration::from_secs(300);
/// A comment is sent when there are no events, so that a broken connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Least time between two reads for one follower, because the log also grows by other orders'
/// events.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: usize = 100;

/// Follows an order: first what happened so far, then what happens.
///
/// `Last-Event-ID` is the version of the last event seen. The stream ends with the login,
/// or after five minutes; reconnect with `Last-Event-ID`, as browsers do by themselves. A
/// user may have ten streams open at once; one more is answered 429.
#[utoipa::path(
    get, path = "/v1/orders/{id}/events", operation_id = "followOrder", tag = "orders",
    params(
        ("id" = uuid::Uuid, Path, description = "the order"),
        ("Last-Event-ID" = Option<u64>, Header, description = "go on behind this version"),
    ),
    responses((status = 200, description = "the order's events; `id` is the version, `event` the type, `data` an Event", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn follow(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let seen = last_seen(&call)?;
    let principal = call.principal()?;
    let share = app.streams.take(principal.user_id).map_err(too_many)?;
    let log = Arc::clone(app.state.commands.log());
    let follower = Follower {
        identity: app.state.identity.clone(),
        login: (principal.user_id, principal.session_id),
        head: log.watch_head(),
        log,
        stream: StreamId::order(OrderId::new(order.id.uuid())),
        next_version: seen.next(),
        ready: VecDeque::new(),
        ends_at: Instant::now() + LONGEST,
        looked_at: Instant::now(),
        draining: app.draining.clone(),
        _share: share,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}

fn too_many(exhausted: Exhausted) -> Problem {
    const SECONDS: u64 = 5;
    let problem = match exhausted {
        Exhausted::All => Problem::new(Code::UpstreamUnavailable, "too many streams are open, try again"),
        Exhausted::Share => Problem::new(Code::RateLimited, "you have too many streams open, close some of them"),
    };
    problem.retry_after(SECONDS)
}

fn last_seen(call: &Call) -> Result<Version, Problem> {
    match call.headers.get("last-event-id") {
        None => Ok(Version::ZERO),
        Some(value) => {
            let version: Option<Version> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            version.filter(|version| *version < Version::MAX).ok_or_else(|| {
                Problem::invalid_at("/headers/Last-Event-ID", "malformed_header", "expected a version such as 3")
            })
        }
    }
}

struct Follower {
    identity: Identity,
    /// The user and the login; the stream ends with the login.
    login: (UserId, SessionId),
    log: Arc<dyn EventLog>,
    head: HeadWatch,
    stream: StreamId,
    next_version: Version,
    ready: VecDeque<RecordedEvent>,
    ends_at: Instant,
    looked_at: Instant,
    draining: CancellationToken,
    /// Counts the open streams; released when the client disconnects.
    _share: Share<UserId>,
}

impl Follower {
    /// The next event; none when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(recorded) = self.ready.pop_front() {
                self.next_version = recorded.version.next();
                return sse_event(&recorded);
            }
            self.looked_at = Instant::now();
            let (user_id, session_id) = self.login;
            if !self.identity.is_live(user_id, session_id).await.unwrap_or(false) {
                return None;
            }
            let page = self.log.read_stream(self.stream, self.next_version, Version::MAX, PAGE).await;
            // The client reconnects with the last id it saw, so nothing is lost by ending here.
            self.ready.extend(page.inspect_err(|error| tracing::warn!(%error, "a stream of events ends early")).ok()?);
            if self.ready.is_empty() && !self.wait().await {
                return None;
            }
        }
    }

    /// Waits for new events; false when the stream is over.
    async fn wait(&mut self) -> bool {
        let looked_at = self.looked_at;
        let head = &mut self.head;
        let news = async {
            let open = head.changed().await;
            tokio::time::sleep_until(looked_at + LOOK_EVERY).await;
            open
        };
        tokio::select! {
            open = news => open,
            () = tokio::time::sleep_until(self.ends_at) => false,
            () = self.draining.cancelled() => false,
        }
    }
}

fn sse_event(recorded: &RecordedEvent) -> Option<Event> {
    let view = RecordView::of(recorded);
    Event::default().id(recorded.version.to_string()).event(recorded.event_type.clone()).json_data(view).ok()
}
