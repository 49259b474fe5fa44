//! The state of a points ledger. Amounts are whole won.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_kernel::{Currency, Money, PaymentId, RefundId, Remark, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::GrantReference;
use super::event::{PointsEvent, PointsGranted, PointsPart};

/// A points ledger; a user nobody gave points to has an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Points {
    balance: i64,
    held: i64,
    /// Entry n is at place n - 1.
    pub(super) grants: Vec<Grant>,
    /// What was given for which reference: by its hash, by its text where that is a code or of an
    /// earlier version.
    pub(super) references: BTreeMap<String, i64>,
    pub(super) payments: BTreeMap<PaymentId, Use>,
}

/// What is left of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Grant {
    /// Neither held nor spent nor written off.
    pub(super) free: i64,
    pub(super) expires_at: Option<Timestamp>,
}

impl Grant {
    pub(super) fn has_lapsed(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// A part of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Part {
    pub(super) entry: u32,
    pub(super) units: i64,
}

/// What a payment does with points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Use {
    /// Keeps them.
    Held { parts: Vec<Part> },
    /// Has spent them; `parts` is what was not restored yet.
    Captured { parts: Vec<Part>, refunds: BTreeSet<RefundId> },
    /// Gave them back unspent.
    Released,
}

pub(super) fn units_of(parts: &[Part]) -> i64 {
    parts.iter().fold(0, |sum: i64, part| sum.saturating_add(part.units))
}

/// The key by which the reference of a grant is recognised.
fn key_of(granted: &PointsGranted) -> String {
    match (granted.reference_hash, &granted.reference) {
        (Some(hash), _) => hash.to_string(),
        (None, Remark::Plain(text)) => text.clone(),
        (None, Remark::Sealed { sealed }) => sealed.ciphertext().to_owned(),
    }
}

impl Points {
    /// What was granted for this reference.
    pub(super) fn granted_for(&self, reference: &GrantReference) -> Option<i64> {
        let by_hash = reference.hash.and_then(|hash| self.references.get(&hash.to_string()));
        by_hash.or_else(|| self.references.get(&reference.text)).copied()
    }

    pub(super) fn fold(&mut self, event: &PointsEvent) {
        match event {
            PointsEvent::Granted(granted) => {
                let units = granted.amount.minor_units();
                self.grants.push(Grant { free: units, expires_at: granted.expires_at });
                self.references.insert(key_of(granted), units);
                self.balance = self.balance.saturating_add(units);
            }
            PointsEvent::Held(held) => {
                let parts = read_parts(&held.parts);
                self.move_free(&parts, -1);
                self.held = self.held.saturating_add(units_of(&parts));
                self.payments.insert(held.payment_id, Use::Held { parts });
            }
            PointsEvent::Captured(captured) => {
                if let Some(Use::Held { parts }) = self.payments.get(&captured.payment_id) {
                    let (units, parts) = (units_of(parts), parts.clone());
                    self.held = self.held.saturating_sub(units);
                    self.balance = self.balance.saturating_sub(units);
                    self.payments.insert(captured.payment_id, Use::Captured { parts, refunds: BTreeSet::new() });
                }
            }
            PointsEvent::Released(released) => {
                if let Some(Use::Held { parts }) = self.payments.get(&released.payment_id) {
                    let parts = parts.clone();
                    self.move_free(&parts, 1);
                    self.held = self.held.saturating_sub(units_of(&parts));
                    self.payments.insert(released.payment_id, Use::Released);
                }
            }
            PointsEvent::Restored(restored) => {
                let back = read_parts(&restored.parts);
                if let Some(Use::Captured { parts, refunds }) = self.payments.get_mut(&restored.payment_id) {
                    refunds.insert(restored.refund_id);
                    take_parts(parts, &back);
                    self.move_free(&back, 1);
                    for part in &restored.parts {
                        let grant = place(part.entry).and_then(|place| self.grants.get_mut(place));
                        if let (Some(extended_to), Some(grant)) = (part.extended_to, grant) {
                            grant.expires_at = Some(extended_to);
                        }
                    }
                    self.balance = self.balance.saturating_add(units_of(&back));
                }
            }
            PointsEvent::Expired(expired) => {
                let part = Part { entry: expired.entry, units: expired.amount.minor_units() };
                self.move_free(&[part], -1);
                self.balance = self.balance.saturating_sub(part.units);
            }
        }
    }

    /// Adds (`sign` 1) parts to what is free of their grants, or takes them (-1).
    fn move_free(&mut self, parts: &[Part], sign: i64) {
        for part in parts {
            if let Some(grant) = place(part.entry).and_then(|place| self.grants.get_mut(place)) {
                grant.free = grant.free.saturating_add(part.units.saturating_mul(sign));
            }
        }
    }

    /// All points that are neither spent nor written off, including held ones, in won.
    #[must_use]
    pub fn balance(&self) -> i64 {
        self.balance
    }
    /// Points held for payments, in won.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.held
    }
    /// Points that can be used at a time, in won.
    #[must_use]
    pub fn available(&self, now: Timestamp) -> i64 {
        let usable = self.grants.iter().filter(|grant| !grant.has_lapsed(now));
        usable.fold(0, |sum: i64, grant| sum.saturating_add(grant.free))
    }
    /// When the first of the points that no payment holds lapse or have lapsed; none if none of
    /// them lapse.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Timestamp> {
        self.grants.iter().filter(|grant| grant.free > 0).filter_map(|grant| grant.expires_at).min()
    }
    /// Points that a payment holds, in won; 0 if it captured, released or never held any.
    #[must_use]
    pub fn held_for(&self, payment_id: PaymentId) -> i64 {
        match self.payments.get(&payment_id) {
            Some(Use::Held { parts }) => units_of(parts),
            Some(Use::Captured { .. } | Use::Released) | None => 0,
        }
    }
}

/// The place in the list for the number of a grant.
fn place(entry: u32) -> Option<usize> {
    usize::try_from(entry).ok()?.checked_sub(1)
}

fn read_parts(parts: &[PointsPart]) -> Vec<Part> {
    parts.iter().map(|part| Part { entry: part.entry, units: part.amount.minor_units() }).collect()
}

/// The parts as an event names them.
pub(super) fn write_parts(parts: &[Part]) -> Vec<PointsPart> {
    parts.iter().map(|part| PointsPart { entry: part.entry, amount: won(part.units), extended_to: None }).collect()
}

/// Units of a ledger as money. They are limited by the largest amount of money when they are
/// granted, so they always fit.
pub(super) fn won(units: i64) -> Money {
    Money::krw(units).unwrap_or(Money::zero(Currency::KRW))
}

fn take_parts(parts: &mut Vec<Part>, back: &[Part]) {
    for taken in back {
        if let Some(part) = parts.iter_mut().find(|part| part.entry == taken.entry) {
            part.units = part.units.saturating_sub(taken.units);
        }
    }
    parts.retain(|part| part.units > 0);
}
