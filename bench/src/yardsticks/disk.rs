//! How long a durable write takes.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::report::median;

/// One page, as an engine writes it.
const PAGE: [u8; 4_096] = [0x6a; 4_096];
/// Enough for a median.
const MOST: usize = 2_000;

pub(super) fn fdatasync_p50_us(folder: &Path, time: Duration) -> anyhow::Result<u64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < time && took.len() < MOST {
        let before = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        took.push(u64::try_from(before.elapsed().as_micros())?);
    }
    Ok(median(took).max(1))
}
