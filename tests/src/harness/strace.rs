//! Faults of system calls, injected with strace: an error instead of the call, a signal at the k-th
//! call, a delay.
//!
//! Only calls on the given files are affected, so a fault hits only its target.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::eventually;

/// The arguments of strace: calls on files with the fault, as in `fdatasync:error=EIO:when=3`.
/// Calls are counted for each thread separately.
fn arguments(files: &[impl AsRef<Path>], calls: &str, fault: &str) -> Vec<String> {
    let words = ["-f", "-qq", "-o", "/dev/null", "-e", "signal=none"];
    let mut words: Vec<String> = words.into_iter().map(ToOwned::to_owned).collect();
    for file in files {
        words.extend(["-P".to_owned(), file.as_ref().display().to_string()]);
    }
    words.extend(["-e".into(), format!("trace={calls}"), "-e".into(), format!("inject={calls}:{fault}")]);
    words
}

/// The prefix of a command that has the fault from its start. The process that is started this way
/// is the program itself, not strace (`-D`).
pub fn from_the_start(files: &[impl AsRef<Path>], calls: &str, fault: &str) -> Vec<String> {
    let mut words = vec!["strace".to_owned(), "-D".to_owned()];
    words.extend(arguments(files, calls, fault));
    words
}

/// A fault in a running process. It ends with [`Fault::end`].
pub struct Fault {
    strace: Child,
}

impl Fault {
    /// Starts it, and waits until every thread of the process is traced.
    pub async fn begin(process: Pid, files: &[impl AsRef<Path>], calls: &str, fault: &str) -> Self {
        let mut command = Command::new("strace");
        let id = process.as_raw_nonzero();
        command.args(arguments(files, calls, fault)).arg("-p").arg(id.to_string());
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
        let strace = child.expect("strace can be started: ./test installs it");
        eventually("strace has every thread", async || every_thread_is_traced(id.get()).then_some(())).await;
        Self { strace }
    }

    /// Ends it; the process continues unaffected.
    pub async fn end(mut self) {
        // It may have ended already with the process that it traced.
        if let Some(id) = self.strace.id() {
            let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            let _ = kill_process(id, Signal::INT);
        }
        let ended = tokio::time::timeout(super::LIMIT, self.strace.wait()).await;
        ended.expect("strace lets go").unwrap();
    }
}

fn every_thread_is_traced(id: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    threads.flatten().all(|thread| {
        // A thread that has just ended cannot be traced.
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("TracerPid:") && line.ends_with("\t0"))
    })
}
