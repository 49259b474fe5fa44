//! `jangbu bench`: figures from a real server.

use super::Done;
use crate::bench::{self, BenchArgs};

pub(super) async fn run(arguments: BenchArgs, json: bool) -> anyhow::Result<Done> {
    Ok(if bench::run(arguments, json).await? { Done::Yes } else { Done::CheckFailed })
}
