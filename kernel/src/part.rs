//! The background parts of a node: one trait for all of them, and one list.

use async_trait::async_trait;

/// Something that runs until its owner stops it.
#[async_trait]
pub trait Part: Send {
    /// Its name as used in a sentence: "the sealer".
    fn name(&self) -> &'static str;

    /// Whether it has ended without being stopped, which means that it has failed.
    fn is_finished(&mut self) -> bool;

    /// Lets it finish its current work, up to its own time limit, and ends it.
    async fn stop(self: Box<Self>);

    /// Ends it at once, as a crash would.
    async fn abort(self: Box<Self>);
}

/// The running parts of a node, in the order in which they are stopped: a part may need those after
/// it until it has ended.
#[derive(Default)]
pub struct Parts(Vec<Box<dyn Part>>);

impl Parts {
    /// Adds a part. It is stopped after the parts that were added before.
    pub fn add(&mut self, part: impl Part + 'static) {
        self.0.push(Box::new(part));
    }

    /// Adds a part that was started together with a handle to it; returns the handle.
    pub fn keep<H>(&mut self, (handle, part): (H, impl Part + 'static)) -> H {
        self.add(part);
        handle
    }

    /// Adds the parts of another list, in their order.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// The name of a part that has ended by itself. If there are several, it is the last in the
    /// list, because the others may have needed it.
    pub fn ended(&mut self) -> Option<&'static str> {
        self.0.iter_mut().rev().find_map(|part| part.is_finished().then(|| part.name()))
    }

    /// Stops them one after the other.
    pub async fn stop(self) {
        for part in self.0 {
            part.stop().await;
        }
    }

    /// Ends them at once, one after the other, as a crash would.
    pub async fn abort(self) {
        for part in self.0 {
            part.abort().await;
        }
    }
}

impl<P: Part + 'static> Extend<P> for Parts {
    fn extend<I: IntoIterator<Item = P>>(&mut self, parts: I) {
        parts.into_iter().for_each(|part| self.add(part));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Heard = Arc<Mutex<Vec<String>>>;

    struct Told {
        name: &'static str,
        finished: bool,
        heard: Heard,
    }

    #[async_trait]
    impl Part for Told {
        fn name(&self) -> &'static str {
            self.name
        }

        fn is_finished(&mut self) -> bool {
            self.finished
        }

        async fn stop(self: Box<Self>) {
            self.heard.lock().unwrap().push(format!("{} stopped", self.name));
        }

        async fn abort(self: Box<Self>) {
            self.heard.lock().unwrap().push(format!("{} aborted", self.name));
        }
    }

    /// "one" is added with a handle, "two" and "three" come from another list.
    fn parts(finished: &[&str]) -> (Parts, Heard) {
        let heard = Heard::default();
        let told = |name| Told { name, finished: finished.contains(&name), heard: Arc::clone(&heard) };
        let mut parts = Parts::default();
        assert_eq!(parts.keep(("handle", told("one"))), "handle");
        let mut others = Parts::default();
        others.add(told("two"));
        others.extend(Some(told("three")));
        parts.append(others);
        (parts, heard)
    }

    /// Runs a future that never waits.
    fn run(work: impl Future<Output = ()>) {
        assert_eq!(pin!(work).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }

    #[test]
    fn parts_end_in_the_order_in_which_they_were_added() {
        let (stopped, heard) = parts(&[]);
        run(stopped.stop());
        assert_eq!(*heard.lock().unwrap(), ["one stopped", "two stopped", "three stopped"]);
        let (aborted, heard) = parts(&[]);
        run(aborted.abort());
        assert_eq!(*heard.lock().unwrap(), ["one aborted", "two aborted", "three aborted"]);
    }

    #[test]
    fn of_several_that_have_ended_the_one_is_named_that_the_others_needed() {
        assert_eq!(parts(&[]).0.ended(), None);
        assert_eq!(parts(&["one"]).0.ended(), Some("one"));
        assert_eq!(parts(&["one", "two"]).0.ended(), Some("two"));
    }
}
