//! The watched head, which the engines share.

use std::future::Future;
use std::pin::Pin;

use jangbu_kernel::Position;
use jangbu_kernel::log::watch::{HeadWatch, WatchSource};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    head: Position,
    closed: bool,
}

/// Tells watchers the head of the log. It only moves forward.
#[derive(Debug)]
pub(crate) struct HeadSignal(watch::Sender<State>);

impl HeadSignal {
    pub(crate) fn new(head: Position) -> Self {
        Self(watch::Sender::new(State { head, closed: false }))
    }

    /// Wakes the watchers if the head is behind `position`. Call after the commit.
    pub(crate) fn advance(&self, position: Position) {
        self.0.send_if_modified(|state| {
            let ahead = position > state.head;
            state.head = state.head.max(position);
            ahead
        });
    }

    /// The newest known head.
    pub(crate) fn current(&self) -> Position {
        self.0.borrow().head
    }

    /// Ends all watchers.
    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.closed = true);
    }

    pub(crate) fn watch(&self) -> HeadWatch {
        HeadWatch::new(Box::new(Follower(self.0.subscribe())))
    }
}

struct Follower(watch::Receiver<State>);

impl WatchSource for Follower {
    fn current(&mut self) -> Position {
        self.0.borrow_and_update().head
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            // A follower that subscribes after the store was closed sees no more changes.
            if self.0.borrow().closed {
                return false;
            }
            self.0.changed().await.is_ok() && !self.0.borrow_and_update().closed
        })
    }
}
