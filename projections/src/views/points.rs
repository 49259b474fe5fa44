//! Points: the balance of each user.

use std::collections::BTreeMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::points::{PointsEvent, PointsPart};
use jangbu_kernel::{AggregateKind, Currency, Money, MoneyError, PaymentId, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Index, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, next};

/// A user's points. One point is one won.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointsRow {
    /// The user.
    pub user_id: UserId,
    /// All points: the sum of the entries.
    pub balance: Money,
    /// Held for payments that are not captured yet.
    pub held: Money,
    /// What can be spent: `balance - held`.
    pub available: Money,
    /// The number of grants so far.
    grants: u32,
    /// Grants that lapse, by their number.
    lapsing: BTreeMap<u32, Lapsing>,
    /// The parts of those grants that are held, by payment. A release returns them to the grants.
    kept: BTreeMap<PaymentId, Vec<PointsPart>>,
    /// The version of the ledger that is folded in.
    pub version: Version,
}

impl PointsRow {
    /// No points.
    #[must_use]
    pub const fn empty(user_id: UserId) -> Self {
        let none = Money::zero(Currency::KRW);
        Self {
            user_id,
            balance: none,
            held: none,
            available: none,
            grants: 0,
            lapsing: BTreeMap::new(),
            kept: BTreeMap::new(),
            version: Version::ZERO,
        }
    }

    /// Whether the available points change with time alone.
    #[must_use]
    pub fn lapses(&self) -> bool {
        self.lapses_at().is_some()
    }

    /// When the first of the free points lapse or have lapsed; none if no free points lapse.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Timestamp> {
        self.lapsing.values().filter(|grant| grant.free > 0).map(|grant| grant.expires_at).min()
    }

    /// The points at a moment: what has lapsed by then is left out, whether or not the ledger has
    /// written it off yet. Payments take points by the same rule.
    ///
    /// # Errors
    /// When the amounts cannot be counted.
    pub fn at(mut self, now: Timestamp) -> Result<Self, MoneyError> {
        let lapsed = self.lapsing.values().filter(|grant| grant.expires_at <= now);
        let lapsed = Money::krw(lapsed.fold(0_i64, |sum, grant| sum.saturating_add(grant.free)))?;
        self.balance = self.balance.checked_sub(&lapsed)?;
        self.available = self.balance.checked_sub(&self.held)?;
        Ok(self)
    }

    /// Tracks what is free of the grants that lapse.
    fn follow(&mut self, event: &PointsEvent) {
        match event {
            PointsEvent::Granted(granted) => {
                self.grants = self.grants.saturating_add(1);
                if let Some(expires_at) = granted.expires_at {
                    let free = granted.amount.minor_units();
                    self.lapsing.insert(self.grants, Lapsing { free, expires_at });
                }
            }
            PointsEvent::Held(held) => {
                self.free(&held.parts, -1);
                let lapsing = held.parts.iter().filter(|part| self.lapsing.contains_key(&part.entry));
                self.kept.insert(held.payment_id, lapsing.cloned().collect());
            }
            PointsEvent::Released(released) => {
                let parts = self.kept.remove(&released.payment_id).unwrap_or_default();
                self.free(&parts, 1);
            }
            PointsEvent::Captured(captured) => {
                self.kept.remove(&captured.payment_id);
            }
            PointsEvent::Restored(restored) => {
                self.free(&restored.parts, 1);
                for part in &restored.parts {
                    if let (Some(extended_to), Some(grant)) = (part.extended_to, self.lapsing.get_mut(&part.entry)) {
                        grant.expires_at = extended_to;
                    }
                }
            }
            PointsEvent::Expired(expired) => {
                if let Some(grant) = self.lapsing.get_mut(&expired.entry) {
                    grant.free = grant.free.saturating_sub(expired.amount.minor_units());
                }
            }
        }
    }

    fn free(&mut self, parts: &[PointsPart], sign: i64) {
        for part in parts {
            if let Some(grant) = self.lapsing.get_mut(&part.entry) {
                grant.free = grant.free.saturating_add(part.amount.minor_units().saturating_mul(sign));
            }
        }
    }
}

/// What is left of a grant that lapses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lapsing {
    /// Points that are neither held, spent nor written off, in won.
    free: i64,
    #[serde(with = "jangbu_kernel::time::millis")]
    expires_at: Timestamp,
}

/// The view "points".
pub struct PointsView;

impl View for PointsView {
    type Row = PointsRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "points",
        // 3: when points lapse. 4: the column that finds the users whose points have lapsed.
        version: 4,
        key: &[column("user_id", Kind::Uuid)],
        columns: &[
            column("balance", Kind::Int),
            column("held", Kind::Int),
            column("available", Kind::Int),
            column("version", Kind::Int),
            column("lapses_at", Kind::Time),
        ],
        indexes: &[Index { name: "lapsing", columns: "lapses_at, user_id", only: "lapses_at is not null" }],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Points);

    fn fold(row: &mut Option<PointsRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Points(event) = &fact.event else { return Err(NOT_SHOWN) };
        let mut changed = match row {
            Some(_) => next(row, |row| row.version, fact)?.clone(),
            None => {
                first(row, fact)?;
                PointsRow::empty(UserId::new(fact.stream.id))
            }
        };
        match event {
            PointsEvent::Held(held) => changed.held = changed.held.checked_add(&held.amount)?,
            PointsEvent::Released(released) => changed.held = changed.held.checked_sub(&released.amount)?,
            PointsEvent::Captured(captured) => changed.held = changed.held.checked_sub(&captured.amount)?,
            PointsEvent::Granted(_) | PointsEvent::Restored(_) | PointsEvent::Expired(_) => {}
        }
        changed.balance = balance_after(changed.balance, event)?;
        changed.follow(event);
        changed.available = changed.balance.checked_sub(&changed.held)?;
        changed.version = fact.version;
        *row = Some(changed);
        Ok(())
    }

    fn columns(row: &PointsRow) -> Vec<Value> {
        vec![
            Value::int(row.balance.minor_units()),
            Value::int(row.held.minor_units()),
            Value::int(row.available.minor_units()),
            Value::count(row.version),
            Value::Time(row.lapses_at()),
        ]
    }
}

/// The balance after an event. Held points still belong to the user.
pub(super) fn balance_after(balance: Money, event: &PointsEvent) -> Result<Money, FoldError> {
    Ok(match event {
        PointsEvent::Granted(granted) => balance.checked_add(&granted.amount)?,
        PointsEvent::Restored(restored) => balance.checked_add(&restored.amount)?,
        PointsEvent::Captured(captured) => balance.checked_sub(&captured.amount)?,
        PointsEvent::Expired(expired) => balance.checked_sub(&expired.amount)?,
        PointsEvent::Held(_) | PointsEvent::Released(_) => balance,
    })
}
