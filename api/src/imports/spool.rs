//! Takes a file in whole before anything is done with it. A client that sends all of its file before
//! it reads any answer is served as well as one that does both at once, and a file that cannot be read
//! is known as such before its first row.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::http::problem::{Code, Problem};

/// The largest file that is taken, in bytes.
pub const MAX_FILE: u64 = 256 * 1024 * 1024;
/// Nothing of a file may take longer than this to arrive.
const SILENCE: Duration = Duration::from_secs(30);

/// Writes a body into a file without a name in this folder, which goes away with its handle.
///
/// # Errors
/// A body that is too large, too slow or ends early; a folder that cannot be written.
pub async fn spool(mut body: Body, folder: &Path) -> Result<File, Problem> {
    let file = tempfile::tempfile_in(folder).map_err(no_room)?;
    let mut writer = tokio::io::BufWriter::new(tokio::fs::File::from_std(file));
    let mut length = 0_u64;
    loop {
        let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
            Err(_) => return Err(Problem::new(Code::RequestTimeout, "the file took too long to arrive")),
            Ok(None) => break,
            Ok(Some(Err(_))) => {
                return Err(Problem::invalid_at("", "malformed_body", "the file ended early or cannot be read"));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(bytes) = frame.into_data() else { continue };
        length = length.saturating_add(bytes.len() as u64);
        if length > MAX_FILE {
            return Err(too_large());
        }
        writer.write_all(&bytes).await.map_err(no_room)?;
    }
    writer.flush().await.map_err(no_room)?;
    let mut file = writer.into_inner().into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(no_room)?;
    Ok(file)
}

pub(crate) fn too_large() -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("a file has at most {MAX_FILE} bytes: send it in parts"))
}

fn no_room(error: std::io::Error) -> Problem {
    Problem::unavailable(format!("a file that came in cannot be kept: {error}"))
}
