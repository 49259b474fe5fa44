//! The carrier's labels and the scans of their parcels.

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;

use super::outbox;
use super::{Page, Window, faults, now_ms, rfc3339};

/// The statuses of a scan. Scans may come in any order, as real ones do.
pub const SCANS: [&str; 7] =
    ["in_transit", "out_for_delivery", "attempt_failed", "exception", "delivered", "returned", "lost"];

const READY: &str = "ready";
const CANCELLED: &str = "cancelled";

/// A label as stored in the file; one that was cancelled before it was requested has no tracking
/// number.
#[derive(Clone, Debug)]
pub struct Label {
    /// The shop's shipment.
    pub shipment_id: String,
    /// The shop's order.
    pub order_id: String,
    /// The number on the parcel.
    pub tracking_number: Option<String>,
    /// `ready`, `cancelled`, or the status of the last scan.
    pub status: String,
    /// When it was requested, in milliseconds since 1970.
    pub created_at: i64,
}

/// A label as clients see it.
#[derive(Serialize)]
pub struct LabelView<'a> {
    shipment_id: &'a str,
    order_id: &'a str,
    tracking_number: Option<&'a str>,
    status: &'a str,
    created_at: String,
}

/// A scan as sent in webhooks.
#[derive(Serialize)]
pub struct ScanView<'a> {
    shipment_id: &'a str,
    order_id: &'a str,
    tracking_number: &'a str,
    status: &'a str,
    code: String,
    place: &'a str,
    scanned_at: String,
}

impl Label {
    /// The form for answers.
    pub fn view(&self) -> LabelView<'_> {
        LabelView {
            shipment_id: &self.shipment_id,
            order_id: &self.order_id,
            tracking_number: self.tracking_number.as_deref(),
            status: &self.status,
            created_at: rfc3339(self.created_at),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let label = Self {
            shipment_id: row.get("shipment_id")?,
            order_id: row.get("order_id")?,
            tracking_number: row.get("tracking_number")?,
            status: row.get("status")?,
            created_at: row.get("created_at")?,
        };
        Ok((row.get("seq")?, label))
    }

    fn dispatched(&self) -> bool {
        self.status != READY && self.status != CANCELLED
    }
}

/// The result of a request for a label.
pub enum Labelled {
    /// There is a label.
    Ready {
        /// The label.
        label: Label,
        /// Whether this request created it.
        fresh: bool,
    },
    /// The carrier refuses it this time.
    Refused,
    /// It was cancelled.
    Cancelled,
    /// The shipment's label belongs to another order.
    OtherOrder,
}

/// Creates a label, one per shipment. With a `step` the parcel's first scan follows after that
/// time.
pub fn request(db: &Connection, shipment_id: &str, order_id: &str, step_ms: Option<i64>) -> rusqlite::Result<Labelled> {
    if let Some(label) = by_shipment(db, shipment_id)? {
        return Ok(match label {
            label if label.status == CANCELLED => Labelled::Cancelled,
            label if label.order_id != order_id => Labelled::OtherOrder,
            label => Labelled::Ready { label, fresh: false },
        });
    }
    if faults::refuses_label(db)? {
        return Ok(Labelled::Refused);
    }
    let created_at = now_ms();
    db.prepare_cached(
        "INSERT INTO labels (shipment_id, order_id, status, next_scan_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((shipment_id, order_id, READY, step_ms.map(|step| created_at.saturating_add(step)), created_at))?;
    let seq = db.last_insert_rowid();
    let tracking_number = tracking_number(seq);
    db.prepare_cached("UPDATE labels SET tracking_number = ?2 WHERE seq = ?1")?.execute((seq, &tracking_number))?;
    let label = Label {
        shipment_id: shipment_id.to_owned(),
        order_id: order_id.to_owned(),
        tracking_number: Some(tracking_number),
        status: READY.to_owned(),
        created_at,
    };
    Ok(Labelled::Ready { label, fresh: true })
}

/// Twelve digits, the last of them a check digit (the number without it modulo 7),
/// as parcels in Korea carry them.
fn tracking_number(seq: i64) -> String {
    const FIRST: i64 = 60_000_000_000;
    let number = FIRST.saturating_add(seq);
    format!("{number}{}", number.rem_euclid(7))
}

/// The result of cancelling a label.
pub enum CalledOff {
    /// The label is void; if it was never requested, it never will be created.
    Cancelled,
    /// The carrier has the parcel already.
    Dispatched,
}

/// Cancels a label, even one that was never requested: a late request is refused then.
pub fn cancel(db: &Connection, shipment_id: &str) -> rusqlite::Result<CalledOff> {
    match by_shipment(db, shipment_id)? {
        Some(label) if label.dispatched() => Ok(CalledOff::Dispatched),
        Some(_) => {
            db.prepare_cached("UPDATE labels SET status = ?2, next_scan_at = NULL WHERE shipment_id = ?1")?
                .execute((shipment_id, CANCELLED))?;
            Ok(CalledOff::Cancelled)
        }
        None => {
            db.prepare_cached(
                "INSERT INTO labels (shipment_id, order_id, status, created_at) VALUES (?1, '', ?2, ?3)",
            )?
            .execute((shipment_id, CANCELLED, now_ms()))?;
            Ok(CalledOff::Cancelled)
        }
    }
}

/// The result of a scan.
pub enum Scanned {
    /// It is recorded, and a webhook is queued.
    Recorded(Label),
    /// No parcel has this number.
    NoParcel,
    /// The label was cancelled.
    Cancelled,
}

/// Scans a parcel.
pub fn scan(db: &Connection, tracking_number: &str, status: &str, place: &str) -> rusqlite::Result<Scanned> {
    let found = db
        .prepare_cached("SELECT * FROM labels WHERE tracking_number = ?1")?
        .query_row([tracking_number], Label::read)
        .optional()?;
    let Some((_, mut label)) = found else {
        return Ok(Scanned::NoParcel);
    };
    if label.status == CANCELLED {
        return Ok(Scanned::Cancelled);
    }
    let now = now_ms();
    db.prepare_cached("INSERT INTO scans (tracking_number, status, place, scanned_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute((tracking_number, status, place, now))?;
    db.prepare_cached("UPDATE labels SET status = ?2 WHERE tracking_number = ?1")?
        .execute((tracking_number, status))?;
    status.clone_into(&mut label.status);
    let told = ScanView {
        shipment_id: &label.shipment_id,
        order_id: &label.order_id,
        tracking_number,
        status,
        code: status.to_uppercase(),
        place,
        scanned_at: rfc3339(now),
    };
    let message = outbox::envelope("parcel.scanned", &told).map_err(super::unreadable)?;
    outbox::owe(db, outbox::CARRIER_HOOK, &message, &[0])?;
    Ok(Scanned::Recorded(label))
}

/// Scans every parcel whose next scan is due; returns how many there were.
pub fn advance_due(db: &Connection, step_ms: i64) -> rusqlite::Result<usize> {
    const AT_ONCE: u32 = 256;
    let now = now_ms();
    let due = db
        .prepare_cached("SELECT * FROM labels WHERE next_scan_at IS NOT NULL AND next_scan_at <= ?1 LIMIT ?2")?
        .query_map((now, AT_ONCE), Label::read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let moved = due.len();
    for (seq, label) in due {
        let next = match (label.status.as_str(), &label.tracking_number) {
            ("delivered" | "returned" | "lost", _) | (_, None) => None,
            (status, Some(number)) => {
                let (status, place) = match status {
                    READY => ("in_transit", "hub"),
                    "in_transit" => ("out_for_delivery", "depot"),
                    _ => ("delivered", "door"),
                };
                scan(db, number, status, place)?;
                (status != "delivered").then(|| now.saturating_add(step_ms))
            }
        };
        db.prepare_cached("UPDATE labels SET next_scan_at = ?2 WHERE seq = ?1")?.execute((seq, next))?;
    }
    Ok(moved)
}

fn by_shipment(db: &Connection, shipment_id: &str) -> rusqlite::Result<Option<Label>> {
    let found = db
        .prepare_cached("SELECT * FROM labels WHERE shipment_id = ?1")?
        .query_row([shipment_id], Label::read)
        .optional()?;
    Ok(found.map(|(_, label)| label))
}

/// One page of the labels, newest first.
pub fn list(db: &Connection, window: &Window) -> rusqlite::Result<Page<Label>> {
    super::page(db, "labels", window, Label::read)
}
