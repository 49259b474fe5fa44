//! The machine: how this process is scheduled, and what else affects the figures.
//!
//! The kernel of a shared machine lets a woken task wait for milliseconds, which is longer than a
//! durable commit takes. Under `SCHED_RR` it runs at once. Child processes inherit the policy, so
//! setting it once is enough.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Set in the environment of the process that was started through `chrt`, so that a failed attempt
/// is not repeated forever.
const TRIED: &str = "BENCH_ASKED_FOR_CHRT";
/// The field of `/proc/self/stat` behind the closing bracket of the name that holds the
/// policy, from 0 (proc(5): field 41 from 1, the bracket ends field 2).
const POLICY_FIELD: usize = 38;
const SCHED_RR: &str = "2";
/// Connections, files of the engine, and as many again in reserve.
const OPEN_FILES: u64 = 16_384;

/// Restarts this program under `chrt -r 1` where that is allowed and `plain` is not set. Returns
/// when the process is to continue with its present scheduling.
pub fn schedule(plain: bool) {
    if plain || is_realtime() || std::env::var_os(TRIED).is_some() {
        return;
    }
    let allowed = Command::new("chrt").args(["-r", "1", "true"]).stderr(Stdio::null()).status();
    let (true, Ok(this)) = (allowed.is_ok_and(|status| status.success()), std::env::current_exe()) else { return };
    // Returns only on failure; the bench then continues with plain scheduling.
    let error =
        Command::new("chrt").args(["-r", "1"]).arg(this).args(std::env::args_os().skip(1)).env(TRIED, "1").exec();
    eprintln!("chrt could not be started: {error}");
}

/// Has this thread run before what it measures, where that runs under `SCHED_RR`: a
/// request that is due leaves when it is due.
pub fn go_before_others() {
    if !is_realtime() {
        return;
    }
    let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let Some(thread) = thread.file_name() else { return };
    let raised = Command::new("chrt").args(["-r", "-p", "2"]).arg(thread).status();
    if !raised.is_ok_and(|status| status.success()) {
        eprintln!("the load generator goes on with the priority of the server");
    }
}

/// Raises the limit of open files for this process and its children, to one connection per client.
pub fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            eprintln!("the limit of open files stays as it is: {error}");
        }
    }
}

fn is_realtime() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(POLICY_FIELD) == Some(SCHED_RR)
}

/// Processor time that a process has used since it began, all its threads together.
///
/// # Errors
/// When it is not there any more.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
    Ok(Duration::from(clock_gettime(clock)?))
}

/// How server, database and load are scheduled, in words.
#[must_use]
pub fn scheduling() -> &'static str {
    if is_realtime() {
        "SCHED_RR 1"
    } else {
        "plain (SCHED_RR is not allowed here or was not wanted): compare nothing but ratios, and those with care"
    }
}

/// What affects the figures beside the program.
#[must_use]
pub fn describe(folder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    format!("{cores} cores of {model}, Linux {}, data on {}", kernel.trim(), file_system(folder))
}

/// The kind of file system that a folder is on.
fn file_system(folder: &Path) -> String {
    let output = Command::new("stat").args(["--file-system", "--format", "%T"]).arg(folder).output();
    let name = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let name = name.map(|name| String::from_utf8_lossy(&name).trim().to_owned());
    match name.as_deref() {
        Some("tmpfs" | "ramfs") => "a file system in memory, where a commit costs nothing: use --folder".to_owned(),
        Some(name) => name.to_owned(),
        None => "an unknown file system".to_owned(),
    }
}
