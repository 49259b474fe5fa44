//! The signals that end a server.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// A second signal within this time counts with the first one, because supervisors and shells
/// signal a process and its group at once.
const TOGETHER: Duration = Duration::from_secs(1);

/// Listens for signals to stop, from the moment it is created.
pub struct StopSignals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// None under `nohup`, under which the process is to outlive the terminal.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl StopSignals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for a signal; returns its name.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub async fn next(&mut self) -> io::Result<&'static str> {
        #[cfg(unix)]
        {
            let hangup = &mut self.hangup;
            let hung_up = async {
                match hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            Ok(tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = hung_up => "SIGHUP",
            })
        }
        #[cfg(not(unix))]
        {
            tokio::signal::ctrl_c().await?;
            Ok("Ctrl-C")
        }
    }

    /// Waits for one more signal after a shutdown that began at `begun`.
    ///
    /// # Errors
    /// As [`StopSignals::next`].
    pub async fn once_more(&mut self, begun: Instant) -> io::Result<&'static str> {
        loop {
            let signal = self.next().await?;
            if begun.elapsed() >= TOGETHER {
                return Ok(signal);
            }
        }
    }
}

/// Whether this process was started with SIGHUP ignored.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    // Linux reports it; elsewhere SIGHUP shuts the server down.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // The lowest bit is signal 1, SIGHUP.
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::task::Poll;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn two_signals_within_a_second_count_as_one() {
        let (mut signals, mut beside) = (StopSignals::listen().unwrap(), StopSignals::listen().unwrap());
        for (sent, name) in [(Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP"), (Signal::INT, "SIGINT")] {
            kill_process(getpid(), sent).unwrap();
            assert_eq!(signals.next().await.unwrap(), name);
            assert_eq!(beside.next().await.unwrap(), name);
        }
        // An hour in the future, so that it is less than a second ago even on a slow machine.
        let begun = Instant::now() + Duration::from_secs(3_600);
        let mut again = std::pin::pin!(signals.once_more(begun));
        kill_process(getpid(), Signal::TERM).unwrap();
        assert_eq!(beside.next().await.unwrap(), "SIGTERM");
        let still_waiting = std::future::poll_fn(|context| Poll::Ready(again.as_mut().poll(context).is_pending()));
        assert!(still_waiting.await);
    }

    #[tokio::test]
    async fn a_later_signal_is_one_of_its_own() {
        let mut signals = StopSignals::listen().unwrap();
        let begun = Instant::now().checked_sub(TOGETHER).unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
        assert_eq!(signals.once_more(begun).await.unwrap(), "SIGTERM");
    }
}
