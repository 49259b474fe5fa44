//! Tells what became of rows: lines of JSON, gathered to pieces.

use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Lines are sent when there are so many bytes of them, or after this time.
const PIECE: usize = 8 * 1024;
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Pieces that may wait for a slow reader.
const PIECES: usize = 4;

/// The reader of the lines is gone.
pub(super) struct Gone;

/// Collects lines to pieces and sends them.
pub(super) struct Teller {
    pieces: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
    told: Instant,
}

impl Teller {
    /// Tells into the other end.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (pieces, lines) = mpsc::channel(PIECES);
        (Self { pieces, piece: Vec::new(), told: Instant::now() }, lines)
    }

    /// Tells a line, now or with some that come after it.
    pub(super) async fn tell(&mut self, line: &impl Serialize) -> Result<(), Gone> {
        // Texts and numbers always serialize.
        serde_json::to_writer(&mut self.piece, line).unwrap_or_default();
        self.piece.push(b'\n');
        if self.piece.len() >= PIECE || self.told.elapsed() >= TELL_EVERY {
            return self.send().await;
        }
        if self.pieces.is_closed() { Err(Gone) } else { Ok(()) }
    }

    /// Sends what was told.
    pub(super) async fn send(&mut self) -> Result<(), Gone> {
        self.told = Instant::now();
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.pieces.send(piece).await.map_err(|_| Gone)
    }
}
