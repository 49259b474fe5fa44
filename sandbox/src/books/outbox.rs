//! Queued webhooks. A row is removed when its message was accepted, or stays forever without a due
//! time if it was not accepted in [`ATTEMPTS`] attempts.

use rusqlite::Connection;
use serde::Serialize;

use super::{new_id, now_ms, rfc3339};

/// How often a message is sent before it is given up: with the pauses of [`pause_ms`] that is about
/// ten minutes.
pub const ATTEMPTS: u32 = 12;

/// The path of the carrier's webhooks.
pub const CARRIER_HOOK: &str = "/v1/hooks/carriers/sandbox";
/// The content type of most messages.
pub const JSON: &str = "application/json";

/// One copy of a message.
#[derive(Clone, Debug)]
pub struct Owed {
    /// Its row.
    pub seq: i64,
    /// The message's id: the same on every copy.
    pub message_id: String,
    /// Path at the receiver.
    pub path: String,
    /// Exact body.
    pub body: String,
    /// Failed attempts.
    pub attempts: u32,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: &'a T,
}

/// A message in the form of Standard Webhooks.
pub fn envelope<T: Serialize>(kind: &str, data: &T) -> serde_json::Result<String> {
    serde_json::to_string(&Envelope { kind, timestamp: rfc3339(now_ms()), data })
}

/// Queues a message, one copy after each delay; returns the first copy.
pub fn owe(db: &Connection, path: &str, body: &str, delays_ms: &[i64]) -> rusqlite::Result<Option<Owed>> {
    let now = now_ms();
    let message_id = new_id("msg");
    let mut first = None;
    for delay in delays_ms {
        db.prepare_cached("INSERT INTO outbox (message_id, path, body, due_at) VALUES (?1, ?2, ?3, ?4)")?.execute((
            &message_id,
            path,
            body,
            now.saturating_add(*delay),
        ))?;
        if first.is_none() {
            let seq = db.last_insert_rowid();
            first = Some(Owed {
                seq,
                message_id: message_id.clone(),
                path: path.to_owned(),
                body: body.to_owned(),
                attempts: 0,
            });
        }
    }
    Ok(first)
}

/// Messages that are due, earliest first; if there are none, the time of the next.
pub fn due(db: &Connection, now: i64, limit: u32) -> rusqlite::Result<(Vec<Owed>, Option<i64>)> {
    let owed = db
        .prepare_cached(
            "SELECT seq, message_id, path, body, attempts FROM outbox \
             WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at, seq LIMIT ?2",
        )?
        .query_map((now, limit), |row| {
            Ok(Owed {
                seq: row.get(0)?,
                message_id: row.get(1)?,
                path: row.get(2)?,
                body: row.get(3)?,
                attempts: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let next = db
        .prepare_cached("SELECT min(due_at) FROM outbox WHERE due_at IS NOT NULL AND due_at > ?1")?
        .query_row([now], |row| row.get(0))?;
    Ok((owed, next))
}

/// The message was accepted.
pub fn taken(db: &Connection, seq: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// The message was not accepted: sets its next attempt, or gives it up.
pub fn not_taken(db: &Connection, owed: &Owed, now: i64) -> rusqlite::Result<()> {
    let attempts = owed.attempts.saturating_add(1);
    let due_at = (attempts < ATTEMPTS).then(|| now.saturating_add(pause_ms(attempts)));
    db.prepare_cached("UPDATE outbox SET attempts = ?2, due_at = ?3 WHERE seq = ?1")?
        .execute((owed.seq, attempts, due_at))?;
    Ok(())
}

/// 100 ms, doubled with every attempt, at most two minutes.
fn pause_ms(attempts: u32) -> i64 {
    const FIRST: i64 = 100;
    const LONGEST: i64 = 120_000;
    FIRST.checked_shl(attempts.saturating_sub(1)).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(pause_ms(1), 100);
        assert_eq!(pause_ms(4), 800);
        assert_eq!((ATTEMPTS..80).map(pause_ms).max(), Some(120_000));
        let total: i64 = (1..ATTEMPTS).map(pause_ms).sum();
        assert!((60_000..1_200_000).contains(&total), "{total}");
    }
}
