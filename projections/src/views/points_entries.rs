//! Points: the ledger, entry by entry.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::points::PointsEvent;
use jangbu_kernel::{AggregateKind, Currency, Money, OrderId, PaymentId, Remark, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use super::points::balance_after;
use crate::view::{Fact, FoldError, Index, Key, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, fixed};

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    /// Points were granted.
    Granted,
    /// Points are held for a payment; the balance stays the same.
    Held,
    /// Held points were spent.
    Captured,
    /// Held points were released; the balance stays the same.
    Released,
    /// Spent points came back by a refund.
    Restored,
    /// What was left of a grant lapsed.
    Expired,
}

jangbu_kernel::named!(EntryKind);

/// An entry of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointsEntryRow {
    /// The owner of the ledger.
    pub user_id: UserId,
    /// The version of the ledger's stream at this entry. Numbers rise, with gaps where entries that
    /// do not change the balance are not listed.
    pub number: Version,
    /// Its kind.
    pub kind: EntryKind,
    /// What it adds to the balance, negative if it takes. For [`EntryKind::Held`] and
    /// [`EntryKind::Released`] it is the amount held or released, which leaves the balance as it
    /// is.
    pub amount: Money,
    /// What the points are granted for, for a grant.
    pub reference: Option<Remark>,
    /// The order, if the event names one.
    pub order_id: Option<OrderId>,
    /// The payment, if there is one.
    pub payment_id: Option<PaymentId>,
    /// The balance after it.
    pub balance_after: Money,
    /// The time at which it was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub at: Timestamp,
    /// When what is left of a grant lapses.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub expires_at: Option<Timestamp>,
}

/// The view "points_entries".
pub struct PointsEntriesView;

impl View for PointsEntriesView {
    type Row = PointsEntryRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "points_entries",
        version: 2,
        key: &[column("user_id", Kind::Uuid), column("number", Kind::Int)],
        columns: &[
            fixed("kind", Kind::Text),
            fixed("amount", Kind::Int),
            fixed("balance_after", Kind::Int),
            fixed("changes_balance", Kind::Bool),
            fixed("at", Kind::Time),
        ],
        indexes: &[Index { name: "changes", columns: "user_id, number", only: "changes_balance" }],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Points);

    fn key(fact: &Fact) -> Key {
        Key::number(fact.stream.id, fact.version)
    }

    fn basis(fact: &Fact) -> Option<Key> {
        (fact.version > Version::FIRST).then(|| Key::number(fact.stream.id, fact.version.previous()))
    }

    fn fold(row: &mut Option<PointsEntryRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Points(event) = &fact.event else { return Err(NOT_SHOWN) };
        // The given row is the previous entry, which this one is based on.
        let before = match row {
            Some(before) if before.number.next() == fact.version => before.balance_after,
            Some(before) => return Err(FoldError::Gap { row: before.number, found: fact.version }),
            None if fact.version == Version::FIRST => Money::zero(Currency::KRW),
            None => return Err(FoldError::NoRow(fact.event.event_type(), fact.version)),
        };
        let after = balance_after(before, event)?;
        let (kind, payment_id) = match event {
            PointsEvent::Granted(_) => (EntryKind::Granted, None),
            PointsEvent::Held(held) => (EntryKind::Held, Some(held.payment_id)),
            PointsEvent::Captured(captured) => (EntryKind::Captured, Some(captured.payment_id)),
            PointsEvent::Released(released) => (EntryKind::Released, Some(released.payment_id)),
            PointsEvent::Restored(restored) => (EntryKind::Restored, Some(restored.payment_id)),
            PointsEvent::Expired(_) => (EntryKind::Expired, None),
        };
        let amount = match event {
            PointsEvent::Held(held) => held.amount,
            PointsEvent::Released(released) => released.amount,
            PointsEvent::Granted(_) | PointsEvent::Captured(_) | PointsEvent::Restored(_) | PointsEvent::Expired(_) => {
                after.checked_sub(&before)?
            }
        };
        let grant = if let PointsEvent::Granted(granted) = event { Some(granted) } else { None };
        let order_id = if let PointsEvent::Held(held) = event { Some(held.order_id) } else { None };
        *row = Some(PointsEntryRow {
            user_id: UserId::new(fact.stream.id),
            number: fact.version,
            kind,
            amount,
            reference: grant.map(|granted| granted.reference.clone()),
            order_id,
            payment_id,
            balance_after: after,
            at: fact.at,
            expires_at: match event {
                PointsEvent::Granted(granted) => granted.expires_at,
                PointsEvent::Restored(restored) => restored.parts.iter().filter_map(|part| part.extended_to).max(),
                PointsEvent::Held(_)
                | PointsEvent::Captured(_)
                | PointsEvent::Released(_)
                | PointsEvent::Expired(_) => None,
            },
        });
        Ok(())
    }

    fn columns(row: &PointsEntryRow) -> Vec<Value> {
        vec![
            Value::name(row.kind.name()),
            Value::int(row.amount.minor_units()),
            Value::int(row.balance_after.minor_units()),
            Value::bool(!matches!(row.kind, EntryKind::Held | EntryKind::Released)),
            Value::time(row.at),
        ]
    }
}
