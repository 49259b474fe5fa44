//! The thread that owns the writing connection, and the bounded queue in front of it.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::Mutex;
pub use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::SendError};

/// The handle to the thread, which ends when it is told to or with the last handle. Clones
/// share it.
#[derive(Debug)]
pub struct Writer<J> {
    /// Nothing instead of a job ends the thread.
    orders: Sender<Option<J>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<J> Clone for Writer<J> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), thread: Arc::clone(&self.thread) }
    }
}

impl<J: Send + 'static> Writer<J> {
    /// Starts the thread, which does `work` with a queue of at most `bound` jobs.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn spawn(name: &str, bound: usize, work: impl FnOnce(Queue<J>) + Send + 'static) -> std::io::Result<Self> {
        let (orders, ordered) = channel(bound);
        let queue = Queue { orders: ordered, next: None, told_to_end: false };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(queue))?;
        Ok(Self { orders, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Hands a job over as soon as there is room. Whoever waits for it may leave then.
    ///
    /// # Errors
    /// When the thread has ended.
    pub async fn send(&self, job: J) -> Result<(), SendError<Option<J>>> {
        self.orders.send(Some(job)).await
    }

    /// Hands a job over if there is room now.
    ///
    /// # Errors
    /// When there is no room, or the thread has ended.
    pub fn try_send(&self, job: J) -> Result<(), TrySendError<Option<J>>> {
        self.orders.try_send(Some(job))
    }

    /// Tells the thread to end after what is queued, and waits for it. False when it had panicked.
    pub async fn end(&self) -> bool {
        // Where nobody listens it has ended already.
        let _ = self.orders.send(None).await;
        let mut thread = self.thread.lock().await;
        let Some(running) = thread.take() else { return true };
        matches!(tokio::task::spawn_blocking(move || running.join()).await, Ok(Ok(())))
    }
}

/// The thread's end of the queue.
pub struct Queue<J> {
    orders: Receiver<Option<J>>,
    next: Option<J>,
    told_to_end: bool,
}

impl<J> Iterator for Queue<J> {
    type Item = J;

    /// The next job, as soon as there is one. None at the end: what comes after is refused.
    fn next(&mut self) -> Option<J> {
        self.look(Receiver::blocking_recv);
        self.next.take()
    }
}

impl<J> Queue<J> {
    /// The next job, if one waits and is wanted; one that is not wanted stays the next.
    pub fn next_if(&mut self, wanted: impl FnOnce(&J) -> bool) -> Option<J> {
        self.look(|orders| orders.try_recv().ok());
        self.next.take_if(|job| wanted(job))
    }

    /// Whether the thread was told to end, and it is not only that the last handle is gone.
    pub const fn was_told_to_end(&self) -> bool {
        self.told_to_end
    }

    fn look(&mut self, receive: impl FnOnce(&mut Receiver<Option<J>>) -> Option<Option<J>>) {
        if self.next.is_none()
            && !self.told_to_end
            && let Some(order) = receive(&mut self.orders)
        {
            self.told_to_end = order.is_none();
            self.next = order;
            if self.told_to_end {
                self.orders.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::mpsc;

    use super::*;

    /// A thread that waits for the word before it looks, and then takes jobs in pairs of equals.
    fn pairing(bound: usize) -> (Writer<u32>, mpsc::Sender<()>, mpsc::Receiver<Vec<u32>>) {
        let (go, word) = mpsc::channel();
        let (done, taken) = mpsc::channel();
        let work = move |mut queue: Queue<u32>| {
            word.recv().unwrap();
            while let Some(first) = queue.next() {
                let second = queue.next_if(|job| *job == first);
                done.send([Some(first), second].into_iter().flatten().collect()).unwrap();
            }
            done.send(vec![u32::from(queue.was_told_to_end())]).unwrap();
        };
        (Writer::spawn("test-writer", bound, work).unwrap(), go, taken)
    }

    #[tokio::test]
    async fn what_is_not_wanted_stays_the_next_and_what_is_queued_is_done_before_the_end() {
        let (writer, go, taken) = pairing(8);
        for job in [7, 7, 8, 9, 9] {
            writer.send(job).await.unwrap();
        }
        go.send(()).unwrap();
        assert!(writer.end().await);
        assert_eq!(taken.iter().collect::<Vec<_>>(), [vec![7, 7], vec![8], vec![9, 9], vec![1]]);
        assert!(writer.send(1).await.is_err());
        assert_eq!(writer.try_send(1), Err(TrySendError::Closed(Some(1))));
        assert!(writer.end().await, "to be told twice is nothing");
    }

    #[tokio::test]
    async fn a_full_queue_turns_away() {
        let (writer, go, taken) = pairing(1);
        writer.send(1).await.unwrap();
        assert_eq!(writer.try_send(2), Err(TrySendError::Full(Some(2))));
        go.send(()).unwrap();
        drop(writer);
        assert_eq!(taken.iter().collect::<Vec<_>>(), [vec![1], vec![0]], "the last handle ended it");
    }

    #[tokio::test]
    async fn who_ends_it_hears_of_a_panic() {
        let (writer, go, _) = pairing(1);
        drop(go);
        assert!(!writer.end().await);
    }
}
