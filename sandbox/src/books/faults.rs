//! Fault rates, their random numbers, and how many labels are still to be refused.

use rusqlite::Connection;

use crate::script::{Rates, Script};

/// The rates in force and their seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The rates.
    pub rates: Rates,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// Sets the rates and restarts the random numbers.
pub fn set(db: &Connection, faults: Faults) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE faults SET decline = ?1, timeout = ?2, duplicate = ?3, seed = ?4, thrown = 0")?.execute(
        (
            faults.rates.decline,
            faults.rates.timeout,
            faults.rates.duplicate,
            // The column is signed; only the bits matter.
            faults.seed.cast_signed(),
        ),
    )?;
    Ok(())
}

/// Sets the first seed; rates that a tester has set keep theirs.
pub fn start_from(db: &Connection, seed: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE faults SET seed = ?1 WHERE decline = 0 AND timeout = 0 AND duplicate = 0")?
        .execute([seed.cast_signed()])?;
    Ok(())
}

/// The rates in force.
pub fn get(db: &Connection) -> rusqlite::Result<Faults> {
    read(db).map(|(faults, _)| faults)
}

fn read(db: &Connection) -> rusqlite::Result<(Faults, u64)> {
    db.prepare_cached("SELECT decline, timeout, duplicate, seed, thrown FROM faults")?.query_row([], |row| {
        let rates = Rates { decline: row.get(0)?, timeout: row.get(1)?, duplicate: row.get(2)? };
        let seed: i64 = row.get(3)?;
        let thrown: i64 = row.get(4)?;
        Ok((Faults { rates, seed: seed.cast_unsigned() }, thrown.cast_unsigned()))
    })
}

/// Draws the outcome of one charge that would otherwise be captured.
pub fn throw(db: &Connection) -> rusqlite::Result<Script> {
    let (faults, thrown) = read(db)?;
    if !faults.rates.any() {
        return Ok(Script::Capture);
    }
    db.prepare_cached("UPDATE faults SET thrown = thrown + 1")?.execute([])?;
    Ok(faults.rates.throw(faults.seed, thrown))
}

/// Refuses the next `labels` requests for a label.
pub fn refuse_labels(db: &Connection, labels: u32) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE faults SET refuse_labels = ?1")?.execute([labels])?;
    Ok(())
}

/// How many requests for a label are still to be refused.
pub fn labels_to_refuse(db: &Connection) -> rusqlite::Result<u32> {
    db.prepare_cached("SELECT refuse_labels FROM faults")?.query_row([], |row| row.get(0))
}

/// Whether this request for a label is refused; counts it.
pub fn refuses_label(db: &Connection) -> rusqlite::Result<bool> {
    let refused =
        db.prepare_cached("UPDATE faults SET refuse_labels = refuse_labels - 1 WHERE refuse_labels > 0")?.execute([])?;
    Ok(refused > 0)
}
