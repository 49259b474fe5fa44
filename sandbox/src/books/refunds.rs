//! Refunds: what was returned, under which key.

use jangbu_kernel::Money;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;

use super::charges::{self, Charge, Status};
use super::{Page, Window, money, new_id, now_ms, rfc3339};

/// A refund as stored in the file. There is only one status, because refused refunds are not
/// recorded.
#[derive(Clone, Debug)]
pub struct Refund {
    /// The gateway's id.
    pub id: String,
    /// The charge that is refunded.
    pub charge_id: String,
    /// The order of the charge.
    pub order_id: String,
    /// The amount.
    pub amount: Money,
    /// The time, in milliseconds since 1970.
    pub created_at: i64,
}

/// A refund as clients see it.
#[derive(Serialize)]
pub struct RefundView<'a> {
    id: &'a str,
    charge_id: &'a str,
    order_id: &'a str,
    amount: String,
    currency: &'a str,
    status: &'static str,
    created_at: String,
}

/// The one status of a refund.
pub const SETTLED: &str = "settled";

impl Refund {
    /// The form for answers.
    pub fn view(&self) -> RefundView<'_> {
        RefundView {
            id: &self.id,
            charge_id: &self.charge_id,
            order_id: &self.order_id,
            amount: self.amount.amount().to_string(),
            currency: self.amount.currency().code(),
            status: SETTLED,
            created_at: rfc3339(self.created_at),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let currency: String = row.get("currency")?;
        let refund = Self {
            id: row.get("id")?,
            charge_id: row.get("charge_id")?,
            order_id: row.get("order_id")?,
            amount: money(row.get("amount")?, &currency)?,
            created_at: row.get("created_at")?,
        };
        Ok((row.get("seq")?, refund))
    }
}

/// The result of a request to refund.
pub enum Refunded {
    /// The money is returned.
    Settled {
        /// The refund.
        refund: Refund,
        /// Whether this request created it.
        fresh: bool,
    },
    /// No such charge.
    NoCharge,
    /// Nothing was captured, or all of it was voided.
    NotCaptured,
    /// More than what is left of the charge.
    ExceedsCaptured,
    /// The currency differs from the charge's.
    OtherCurrency,
    /// The key belongs to another request.
    KeyReused,
}

/// Refunds, once per key.
pub fn refund(db: &Connection, key: &str, charge_id: &str, amount: Money) -> rusqlite::Result<Refunded> {
    let earlier = db
        .prepare_cached("SELECT * FROM refunds WHERE idempotency_key = ?1")?
        .query_row([key], Refund::read)
        .optional()?;
    if let Some((_, refund)) = earlier {
        let same = refund.charge_id == charge_id && refund.amount == amount;
        return Ok(if same { Refunded::Settled { refund, fresh: false } } else { Refunded::KeyReused });
    }
    let Some(charge) = charges::by_id(db, charge_id)? else {
        return Ok(Refunded::NoCharge);
    };
    if charge.status != Status::Captured {
        return Ok(Refunded::NotCaptured);
    }
    if charge.amount.currency() != amount.currency() {
        return Ok(Refunded::OtherCurrency);
    }
    let Ok(refunded) = charge.refunded.checked_add(&amount) else {
        return Ok(Refunded::ExceedsCaptured);
    };
    if refunded.amount() > charge.amount.amount() {
        return Ok(Refunded::ExceedsCaptured);
    }
    let refund = insert(db, key, &charge, amount)?;
    charges::set_refunded(db, charge, refunded)?;
    Ok(Refunded::Settled { refund, fresh: true })
}

/// Records what a net cancellation returns, so that the refunds of a charge always add up to its
/// refunded amount.
pub fn give_back_the_rest(db: &Connection, charge: &Charge) -> rusqlite::Result<()> {
    let rest = charge.amount.checked_sub(&charge.refunded).map_err(super::unreadable)?;
    if rest.is_positive() {
        insert(db, &format!("net-cancel:{}", charge.idempotency_key), charge, rest)?;
    }
    Ok(())
}

fn insert(db: &Connection, key: &str, charge: &Charge, amount: Money) -> rusqlite::Result<Refund> {
    let refund = Refund {
        id: new_id("re"),
        charge_id: charge.id.clone(),
        order_id: charge.order_id.clone(),
        amount,
        created_at: now_ms(),
    };
    db.prepare_cached(
        "INSERT INTO refunds (id, idempotency_key, charge_id, order_id, amount, currency, status, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        &refund.id,
        key,
        &refund.charge_id,
        &refund.order_id,
        amount.minor_units(),
        amount.currency().code(),
        SETTLED,
        refund.created_at,
    ))?;
    Ok(refund)
}

/// One page of the refunds, newest first.
pub fn list(db: &Connection, window: &Window) -> rusqlite::Result<Page<Refund>> {
    super::page(db, "refunds", window, Refund::read)
}
