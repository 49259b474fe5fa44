//! The program under test as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::eventually;

/// The binary: `JANGBU_BIN`, else the one that was built beside these tests.
pub fn jangbu() -> PathBuf {
    if let Some(named) = std::env::var_os("JANGBU_BIN") {
        return named.into();
    }
    // target/<profile>/deps/journeys-<hash> -> target/<profile>/jangbu
    let this = std::env::current_exe().unwrap();
    let binary = this.parent().and_then(Path::parent).expect("a test lies in deps").join("jangbu");
    assert!(
        binary.exists(),
        "{} is not there: build it with `cargo build -p jangbu-app`, or name one in JANGBU_BIN (./test does)",
        binary.display()
    );
    binary
}

/// Runs a command to its end, within the limit.
pub async fn run_to_end(mut command: Command) -> Output {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(super::LIMIT, command.output()).await;
    output.expect("the command ends within the limit").unwrap()
}

/// A running process whose output goes to a file. Dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
    /// The address it announced.
    pub address: String,
}

impl Program {
    /// Starts it and waits until it has announced its address behind `announcement`.
    pub async fn start(mut command: Command, log: PathBuf, announcement: &str) -> Self {
        let output = File::options().create(true).append(true).open(&log).unwrap();
        // A restart appends, so only what comes from here on counts.
        let begin = usize::try_from(output.metadata().unwrap().len()).unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let address = eventually(announcement, async || {
            let said = std::fs::read(&log).unwrap();
            let said = String::from_utf8_lossy(&said[begin..]).into_owned();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status} before it announced itself:\n{said}");
            }
            announced(&said, announcement)
        })
        .await;
        Self { child, log, address }
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id().expect("it still runs")).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        let ended = tokio::time::timeout(super::LIMIT, self.child.wait()).await;
        ended.expect("it stops within the limit").unwrap()
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// The address in a finished line that holds the announcement at the start of its text.
fn announced(said: &str, announcement: &str) -> Option<String> {
    let finished = said.rsplit_once('\n')?.0;
    let address = finished.lines().find_map(|line| line.trim_start().strip_prefix(announcement))?;
    Some(address.trim().trim_end_matches('/').to_owned())
}
