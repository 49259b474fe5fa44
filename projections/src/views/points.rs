//! Points: what a user has.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::points::PointsEvent;
use jangbu_kernel::{AggregateKind, Currency, Money, UserId};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, next};

/// A user's points. One point is one won.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointsRow {
    /// Whose.
    pub user_id: UserId,
    /// All of them: the sum of the entries.
    pub balance: Money,
    /// Kept for payments that are not captured yet.
    pub held: Money,
    /// What can be used: `balance - held`.
    pub available: Money,
    /// The version of the ledger that is folded in.
    pub version: u64,
}

impl PointsRow {
    /// No points.
    #[must_use]
    pub const fn empty(user_id: UserId) -> Self {
        let none = Money::zero(Currency::KRW);
        Self { user_id, balance: none, held: none, available: none, version: 0 }
    }
}

/// The view "points".
pub struct PointsView;

impl View for PointsView {
    type Row = PointsRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "points",
        version: 2,
        key: &[column("user_id", Kind::Uuid)],
        columns: &[
            column("balance", Kind::Int),
            column("held", Kind::Int),
            column("available", Kind::Int),
            column("version", Kind::Int),
        ],
        indexes: &[],
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
        ]
    }
}

/// The balance after an event. What is only held is still the user's.
pub(super) fn balance_after(balance: Money, event: &PointsEvent) -> Result<Money, FoldError> {
    Ok(match event {
        PointsEvent::Granted(granted) => balance.checked_add(&granted.amount)?,
        PointsEvent::Restored(restored) => balance.checked_add(&restored.amount)?,
        PointsEvent::Captured(captured) => balance.checked_sub(&captured.amount)?,
        PointsEvent::Expired(expired) => balance.checked_sub(&expired.amount)?,
        PointsEvent::Held(_) | PointsEvent::Released(_) => balance,
    })
}
