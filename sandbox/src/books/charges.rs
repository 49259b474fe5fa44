//! Charges: what was taken, under which key, and its present state.

use jangbu_kernel::Money;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;

use super::outbox::{self, Owed};
use super::{Page as ListPage, Window, faults, money, new_id, now_ms, refunds, rfc3339, unreadable};
use crate::dialect::{Dialect, SANDBOX};
use crate::script::{DUPLICATES, FAILURES, Page, Script};

/// The status of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// The gateway is still processing it.
    Processing,
    /// The buyer has to confirm it, or to pay it at a page.
    RequiresAction,
    /// The buyer made a transfer, and the money has not arrived.
    AwaitingDeposit,
    /// The money is taken; refunded amounts are in `refunded`.
    Captured,
    /// The gateway declined it.
    Declined,
    /// Cancelled completely: nothing is or will be charged.
    Voided,
}

jangbu_kernel::named!(Status);

/// A charge as stored in the file.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The gateway's id.
    pub id: String,
    /// The client's idempotency key.
    pub idempotency_key: String,
    /// The order it is for.
    pub order_id: String,
    /// The payment it is for.
    pub payment_id: String,
    /// The amount.
    pub amount: Money,
    /// The refunded amount.
    pub refunded: Money,
    /// Its status.
    pub status: Status,
    /// Why it was declined or voided.
    pub code: Option<String>,
    /// When it arrived, in milliseconds since 1970.
    pub created_at: i64,
    /// The gateway that it belongs to.
    pub dialect: &'static Dialect,
    /// Where the buyer pays it, if it is paid at a page.
    pub page: Option<(String, Page)>,
    fingerprint: Vec<u8>,
}

/// A charge as the gateway's clients see it.
#[derive(Serialize)]
pub struct ChargeView<'a> {
    id: &'a str,
    idempotency_key: &'a str,
    order_id: &'a str,
    payment_id: &'a str,
    amount: String,
    currency: &'a str,
    refunded: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_url: Option<&'a str>,
    created_at: String,
}

impl Charge {
    /// The form for answers and webhooks.
    pub fn view(&self) -> ChargeView<'_> {
        ChargeView {
            id: &self.id,
            idempotency_key: &self.idempotency_key,
            order_id: &self.order_id,
            payment_id: &self.payment_id,
            amount: self.amount.amount().to_string(),
            currency: self.amount.currency().code(),
            refunded: self.refunded.amount().to_string(),
            status: self.status,
            code: self.code.as_deref(),
            page_url: self.page.as_ref().map(|(url, _)| url.as_str()),
            created_at: rfc3339(self.created_at),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let currency: String = row.get("currency")?;
        let status: String = row.get("status")?;
        let charge = Self {
            id: row.get("id")?,
            idempotency_key: row.get("idempotency_key")?,
            order_id: row.get("order_id")?,
            payment_id: row.get("payment_id")?,
            amount: money(row.get("amount")?, &currency)?,
            refunded: money(row.get("refunded")?, &currency)?,
            status: Status::from_name(&status).ok_or_else(|| unreadable(UnknownStatus))?,
            code: row.get("code")?,
            created_at: row.get("created_at")?,
            dialect: match row.get::<_, Option<String>>("dialect")? {
                Some(name) => Dialect::named(&name).ok_or_else(|| unreadable(UnknownDialect))?,
                None => &SANDBOX,
            },
            page: match row.get("url")? {
                Some(url) => {
                    Some((url, Page { is_transfer: row.get("is_transfer")?, is_silent: row.get("is_silent")? }))
                }
                None => None,
            },
            fingerprint: row.get("fingerprint")?,
        };
        Ok((row.get("seq")?, charge))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown status of a charge")]
struct UnknownStatus;

#[derive(Debug, thiserror::Error)]
#[error("a charge of an unknown gateway")]
struct UnknownDialect;

/// A request to charge.
pub struct NewCharge {
    /// The gateway that was asked.
    pub dialect: &'static Dialect,
    /// The client's idempotency key.
    pub idempotency_key: String,
    /// Hash of the whole request: the same key with another request is refused.
    pub fingerprint: Vec<u8>,
    /// The order it is for.
    pub order_id: String,
    /// The payment it is for.
    pub payment_id: String,
    /// The amount.
    pub amount: Money,
    /// What the card does.
    pub script: Script,
    /// The base address of the pages of charges; the charge's id follows.
    pub pages: String,
}

/// The result of a request to charge.
pub enum Charged {
    /// There is a charge under the key.
    Stands {
        /// The charge.
        charge: Box<Charge>,
        /// Whether this request created it.
        fresh: bool,
        /// How the answer is delivered.
        delivery: Delivery,
    },
    /// The key belongs to another request.
    KeyReused,
    /// An error is answered, and nothing is recorded.
    Fails,
    /// No answer is given, and nothing is recorded.
    Silence,
}

/// How an answer reaches the client.
pub enum Delivery {
    /// At once.
    AtOnce,
    /// Never.
    Never,
    /// After a while, when the charge is finished.
    Slow,
    /// After this webhook has been sent.
    AfterWebhook(Owed),
}

/// What is recorded under a key.
#[expect(clippy::large_enum_variant, reason = "one at a time, taken apart at once")]
pub enum Known {
    /// A charge.
    Charge(Charge),
    /// It was cancelled before anything was charged.
    Cancelled,
    /// Nothing.
    Nothing,
}

/// Charges, once per key.
pub fn charge(db: &Connection, new: NewCharge) -> rusqlite::Result<Charged> {
    match by_key(db, new.dialect, &new.idempotency_key)? {
        Known::Charge(charge) if charge.fingerprint == new.fingerprint => {
            let charge = Box::new(charge);
            return Ok(Charged::Stands { charge, fresh: false, delivery: Delivery::AtOnce });
        }
        Known::Charge(_) => return Ok(Charged::KeyReused),
        Known::Cancelled => {
            let charge = Box::new(insert(db, &new, Status::Voided, Some("net_cancelled"))?);
            return Ok(Charged::Stands { charge, fresh: true, delivery: Delivery::AtOnce });
        }
        Known::Nothing => {}
    }
    let script = if new.script == Script::Capture { faults::throw(db)? } else { new.script };
    let (status, code, delivery) = match script {
        Script::Capture | Script::TellFiveTimes => (Status::Captured, None, Delivery::AtOnce),
        Script::LoseAnswer => (Status::Captured, None, Delivery::Never),
        Script::Decline(code) => (Status::Declined, Some(code), Delivery::AtOnce),
        Script::Challenge | Script::Page(_) => (Status::RequiresAction, None, Delivery::AtOnce),
        Script::Slow => (Status::Processing, None, Delivery::Slow),
        Script::LoseRequest => return Ok(Charged::Silence),
        Script::FailTwice if fails_again(db, &new.idempotency_key)? => return Ok(Charged::Fails),
        Script::FailTwice => (Status::Captured, None, Delivery::AtOnce),
    };
    let mut charge = Box::new(insert(db, &new, status, code)?);
    if let Script::Page(page) = script {
        let url = format!("{}{}", new.pages, charge.id);
        db.prepare_cached("INSERT INTO pages VALUES (?1, ?2, ?3, ?4)")?.execute((
            &charge.id,
            &url,
            page.is_transfer,
            page.is_silent,
        ))?;
        charge.page = Some((url, page));
    }
    let delays: &[i64] = if script == Script::TellFiveTimes { &FIVE_TIMES } else { &[0] };
    let first = tell(db, &charge, delays)?;
    let delivery = match (script, first) {
        (Script::TellFiveTimes, Some(owed)) => Delivery::AfterWebhook(owed),
        _ => delivery,
    };
    Ok(Charged::Stands { charge, fresh: true, delivery })
}

/// The first copy is sent before the answer by the task that answers; the queue only sends it if
/// that fails. The others follow the answer.
const FIVE_TIMES: [i64; DUPLICATES] = [5_000, 100, 100, 100, 100];

fn fails_again(db: &Connection, key: &str) -> rusqlite::Result<bool> {
    let attempts: i64 = db
        .prepare_cached(
            "INSERT INTO failed_attempts VALUES (?1, 1) \
             ON CONFLICT DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
        )?
        .query_row([key], |row| row.get(0))?;
    Ok(attempts <= FAILURES)
}

fn insert(db: &Connection, new: &NewCharge, status: Status, code: Option<&str>) -> rusqlite::Result<Charge> {
    let charge = Charge {
        id: new_id("ch"),
        idempotency_key: new.idempotency_key.clone(),
        order_id: new.order_id.clone(),
        payment_id: new.payment_id.clone(),
        amount: new.amount,
        refunded: Money::zero(new.amount.currency()),
        status,
        code: code.map(str::to_owned),
        created_at: now_ms(),
        dialect: new.dialect,
        page: None,
        fingerprint: new.fingerprint.clone(),
    };
    db.prepare_cached(
        "INSERT INTO charges (id, idempotency_key, fingerprint, order_id, payment_id, amount, currency, status, code, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        &charge.id,
        &charge.idempotency_key,
        &charge.fingerprint,
        &charge.order_id,
        &charge.payment_id,
        charge.amount.minor_units(),
        charge.amount.currency().code(),
        status.name(),
        code,
        charge.created_at,
    ))?;
    db.prepare_cached("INSERT INTO dialects VALUES (?1, ?2)")?.execute((&charge.id, new.dialect.name))?;
    Ok(charge)
}

/// Queues a webhook about a charge.
fn tell(db: &Connection, charge: &Charge, delays_ms: &[i64]) -> rusqlite::Result<Option<Owed>> {
    if matches!(charge.page, Some((_, Page { is_silent: true, .. }))) {
        return Ok(None);
    }
    let message = (charge.dialect.message)(charge).map_err(unreadable)?;
    outbox::owe(db, &charge.dialect.hook(), &message, delays_ms)
}

/// A buyer's action at the page of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPage {
    /// Pays.
    Pays,
    /// Cancels.
    Cancels,
}

/// Applies a buyer's action at the page of a charge; a charge that no longer waits for it is left
/// unchanged. None: there is no such page.
pub fn at_page(db: &Connection, id: &str, act: AtPage) -> rusqlite::Result<Option<Charge>> {
    let Some(charge) = by_id(db, id)? else { return Ok(None) };
    let Some((_, page)) = &charge.page else { return Ok(None) };
    if charge.status != Status::RequiresAction {
        return Ok(Some(charge));
    }
    let (status, code) = match act {
        AtPage::Pays if page.is_transfer => (Status::AwaitingDeposit, None),
        AtPage::Pays => (Status::Captured, None),
        AtPage::Cancels => (Status::Declined, Some("cancelled_by_buyer")),
    };
    change(db, charge, status, code).map(Some)
}

/// Takes the money of a charge that waits for its buyer's confirmation; any other is left
/// unchanged.
pub fn confirm(db: &Connection, id: &str) -> rusqlite::Result<Option<Charge>> {
    let Some(charge) = by_id(db, id)? else { return Ok(None) };
    if charge.status != Status::RequiresAction || charge.page.is_some() {
        return Ok(Some(charge));
    }
    change(db, charge, Status::Captured, None).map(Some)
}

/// Takes the money of a charge that is being processed or whose deposit is awaited, unless it was
/// cancelled meanwhile.
pub fn finish(db: &Connection, id: &str) -> rusqlite::Result<Option<Charge>> {
    let Some(charge) = by_id(db, id)? else { return Ok(None) };
    if !matches!(charge.status, Status::Processing | Status::AwaitingDeposit) {
        return Ok(Some(charge));
    }
    change(db, charge, Status::Captured, None).map(Some)
}

/// Finishes the charges that were being processed when the sandbox was last stopped.
pub fn finish_all(db: &Connection) -> rusqlite::Result<()> {
    let ids = db
        .prepare_cached("SELECT id FROM charges WHERE status IN ('processing', 'awaiting_deposit') ORDER BY seq")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    ids.iter().try_for_each(|id| finish(db, id).map(drop))
}

/// Cancels whatever was or will be charged under a key.
pub fn net_cancel(db: &Connection, dialect: &Dialect, key: &str) -> rusqlite::Result<Known> {
    let charge = match by_key(db, dialect, key)? {
        Known::Charge(charge) => charge,
        Known::Cancelled => return Ok(Known::Cancelled),
        Known::Nothing => {
            db.prepare_cached("INSERT INTO tombstones VALUES (?1, ?2)")?.execute((key, now_ms()))?;
            return Ok(Known::Cancelled);
        }
    };
    let voided = match charge.status {
        Status::Declined | Status::Voided => charge,
        Status::Processing | Status::RequiresAction | Status::AwaitingDeposit => {
            change(db, charge, Status::Voided, Some("net_cancelled"))?
        }
        Status::Captured => {
            refunds::give_back_the_rest(db, &charge)?;
            let refunded = charge.amount;
            change(db, Charge { refunded, ..charge }, Status::Voided, Some("net_cancelled"))?
        }
    };
    Ok(Known::Charge(voided))
}

/// Stores a charge's new status and queues a webhook about it.
fn change(db: &Connection, charge: Charge, status: Status, code: Option<&str>) -> rusqlite::Result<Charge> {
    let changed = Charge { status, code: code.map(str::to_owned), ..charge };
    db.prepare_cached("UPDATE charges SET status = ?2, code = ?3, refunded = ?4 WHERE id = ?1")?.execute((
        &changed.id,
        status.name(),
        code,
        changed.refunded.minor_units(),
    ))?;
    tell(db, &changed, &[0])?;
    Ok(changed)
}

/// Stores the refunded amount of a charge.
pub fn set_refunded(db: &Connection, charge: Charge, refunded: Money) -> rusqlite::Result<Charge> {
    let status = charge.status;
    change(db, Charge { refunded, ..charge }, status, None)
}

/// What a gateway has recorded under a key.
pub fn by_key(db: &Connection, dialect: &Dialect, key: &str) -> rusqlite::Result<Known> {
    let charge = db
        .prepare_cached("SELECT * FROM charges_with_pages WHERE idempotency_key = ?1")?
        .query_row([key], Charge::read)
        .optional()?;
    if let Some((_, charge)) = charge {
        let is_its = charge.dialect.name == dialect.name;
        return Ok(if is_its { Known::Charge(charge) } else { Known::Nothing });
    }
    let cancelled = db.prepare_cached("SELECT 1 FROM tombstones WHERE idempotency_key = ?1")?.exists([key])?;
    Ok(if cancelled { Known::Cancelled } else { Known::Nothing })
}

/// The charge with this id.
pub fn by_id(db: &Connection, id: &str) -> rusqlite::Result<Option<Charge>> {
    let found = db
        .prepare_cached("SELECT * FROM charges_with_pages WHERE id = ?1")?
        .query_row([id], Charge::read)
        .optional()?;
    Ok(found.map(|(_, charge)| charge))
}

/// One page of the charges, newest first.
pub fn list(db: &Connection, window: &Window) -> rusqlite::Result<ListPage<Charge>> {
    super::page(db, "charges_with_pages", window, Charge::read)
}
