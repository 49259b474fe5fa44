//! The program under test as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::eventually;

/// The program: `JANGBU_BIN`, else the one that was built beside these tests.
pub fn jangbu() -> PathBuf {
    std::env::var_os("JANGBU_BIN").map_or_else(|| beside_the_tests("jangbu"), PathBuf::from)
}

/// A program of the workspace that was built beside these tests.
pub fn beside_the_tests(name: &str) -> PathBuf {
    // target/<profile>/deps/journeys-<hash> -> target/<profile>/<name>
    let this = std::env::current_exe().unwrap();
    let binary = this.parent().and_then(Path::parent).expect("a test lies in deps").join(name);
    assert!(
        binary.exists(),
        "{} is not there: build it with `cargo build --workspace --bins` (./test does), or name `jangbu` in JANGBU_BIN",
        binary.display()
    );
    binary
}

/// Runs a command until it ends, within the limit.
pub async fn run_to_end(mut command: Command) -> Output {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(super::LIMIT, command.output()).await;
    output.expect("the command ends within the limit").unwrap()
}

/// The same command, with its environment and folder, after a prefix: `strace ... jangbu serve`.
pub fn behind(prefix: &[String], command: Command) -> Command {
    let Some((first, rest)) = prefix.split_first() else { return command };
    let inner = command.as_std();
    let mut outer = Command::new(first);
    outer.args(rest).arg(inner.get_program()).args(inner.get_args());
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A running process whose output goes to a file. Dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
    /// The address it announced.
    pub address: String,
}

/// A process that ended before it announced itself.
#[derive(Debug)]
pub struct Stillborn {
    pub status: ExitStatus,
    pub said: String,
}

impl Program {
    /// Starts it and waits until it has announced its address after `announcement`.
    pub async fn start(command: Command, log: PathBuf, announcement: &str) -> Self {
        let begun = Self::begin(command, log, announcement).await;
        begun.unwrap_or_else(|Stillborn { status, said }| {
            panic!("it ended with {status} before it announced itself:\n{said}")
        })
    }

    /// The same for a process that may end during its start.
    pub async fn begin(mut command: Command, log: PathBuf, announcement: &str) -> Result<Self, Stillborn> {
        let output = File::options().create(true).append(true).open(&log).unwrap();
        // A restart appends, so only the output from here on counts.
        let begin = usize::try_from(output.metadata().unwrap().len()).unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let begun = eventually(announcement, async || {
            // Checked before the output is read, so that the output of an ended process is
            // complete.
            let ended = child.try_wait().unwrap();
            let said = std::fs::read(&log).unwrap();
            let said = String::from_utf8_lossy(&said[begin..]).into_owned();
            match (ended, announced(&said, announcement)) {
                (Some(status), _) => Some(Err(Stillborn { status, said })),
                (None, address) => address.map(Ok),
            }
        })
        .await;
        begun.map(|address| Self { child, log, address })
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; returns how it ended.
    pub async fn terminate(self) -> ExitStatus {
        self.end_by(Signal::TERM).await
    }

    /// SIGHUP, as when its terminal is closed; returns how it ended.
    pub async fn hang_up(self) -> ExitStatus {
        self.end_by(Signal::HUP).await
    }

    async fn end_by(self, signal: Signal) -> ExitStatus {
        kill_process(self.pid(), signal).unwrap();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(super::LIMIT, self.child.wait()).await;
        ended.expect("it stops within the limit").unwrap()
    }

    /// Whether it has ended, and how.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGSTOP: it is paused and does not notice.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    pub fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id().expect("it still runs")).unwrap();
        Pid::from_raw(id).unwrap()
    }

    /// Its resident memory in KiB, as the system counts it.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// How many sockets it has open.
    pub fn open_sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero())).unwrap().flatten();
        open.filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        })
        .count()
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// The address in a complete line whose text begins with the announcement.
fn announced(said: &str, announcement: &str) -> Option<String> {
    let finished = said.rsplit_once('\n')?.0;
    let address = finished.lines().find_map(|line| line.trim_start().strip_prefix(announcement))?;
    Some(address.trim().trim_end_matches('/').to_owned())
}
