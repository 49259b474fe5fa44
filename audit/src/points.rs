//! M6: points ledgers, entry by entry.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::points::{PointsEvent, PointsPart};
use jangbu_kernel::{AggregateKind, Currency, Money, MoneyError, PaymentId};
use uuid::Uuid;

use super::finding::{Check, Findings, Invariant, Looks, Seen};

/// Every ledger with at least one grant.
#[derive(Default)]
pub(crate) struct Ledgers(HashMap<Uuid, Ledger>);

#[derive(Default)]
struct Ledger {
    grants: Vec<Grant>,
    held: HashMap<PaymentId, Vec<PointsPart>>,
    spent: HashMap<PaymentId, Money>,
}

struct Grant {
    granted: Money,
    /// Points that are neither held nor spent nor lapsed.
    free: Money,
}

impl Check for Ledgers {
    fn name(&self) -> &'static str {
        "points"
    }

    fn looks(&self) -> Looks {
        Looks { kinds: &[AggregateKind::Points], types: &[] }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let DomainEvent::Points(event) = seen.domain else { return };
        let ledger = self.0.entry(seen.event.stream.id).or_default();
        match ledger.fold(event) {
            Ok(None) => {}
            Ok(Some(broken)) => seen.report(findings, Invariant::M6, broken),
            Err(_) => seen.report(findings, Invariant::M6, "amounts of the ledger cannot be summed"),
        }
        if ledger.grants.iter().any(Grant::is_out_of_bounds) {
            seen.report(findings, Invariant::M6, "an entry is used beyond what it holds");
        }
    }
}

impl Grant {
    fn is_out_of_bounds(&self) -> bool {
        self.free.is_negative() || self.free.checked_cmp(&self.granted).is_ok_and(std::cmp::Ordering::is_gt)
    }
}

impl Ledger {
    /// Folds an event in; returns what does not add up.
    fn fold(&mut self, event: &PointsEvent) -> Result<Option<&'static str>, MoneyError> {
        match event {
            PointsEvent::Granted(granted) => {
                self.grants.push(Grant { granted: granted.amount, free: granted.amount });
                Ok((!granted.amount.is_positive()).then_some("a grant gives nothing"))
            }
            PointsEvent::Held(held) => {
                let whole = self.take(&held.parts)? && sum(&held.parts)? == held.amount;
                let fresh = self.held.insert(held.payment_id, held.parts.clone()).is_none();
                Ok((!whole || !fresh).then_some("a hold is not the sum of its parts"))
            }
            PointsEvent::Captured(captured) => {
                let parts = self.held.remove(&captured.payment_id).unwrap_or_default();
                self.spent.insert(captured.payment_id, captured.amount);
                Ok((sum(&parts)? != captured.amount).then_some("more or less is spent than was held"))
            }
            PointsEvent::Released(released) => {
                let parts = self.held.remove(&released.payment_id).unwrap_or_default();
                let whole = self.give_back(&parts)? && sum(&parts)? == released.amount;
                Ok((!whole).then_some("more or less is released than was held"))
            }
            PointsEvent::Restored(restored) => {
                let whole = self.give_back(&restored.parts)? && sum(&restored.parts)? == restored.amount;
                let spent = self.spent.entry(restored.payment_id).or_insert(Money::zero(Currency::KRW));
                *spent = spent.checked_sub(&restored.amount)?;
                Ok((!whole || spent.is_negative()).then_some("more comes back than was spent"))
            }
            PointsEvent::Expired(expired) => {
                let part = PointsPart { entry: expired.entry, amount: expired.amount, extended_to: None };
                Ok((!self.take(&[part])?).then_some("an entry lapses that was never granted"))
            }
        }
    }

    fn grant(&mut self, entry: u32) -> Option<&mut Grant> {
        let index = usize::try_from(entry).ok()?.checked_sub(1)?;
        self.grants.get_mut(index)
    }

    /// False if a part refers to an entry that does not exist.
    fn take(&mut self, parts: &[PointsPart]) -> Result<bool, MoneyError> {
        for part in parts {
            let Some(grant) = self.grant(part.entry) else { return Ok(false) };
            grant.free = grant.free.checked_sub(&part.amount)?;
        }
        Ok(true)
    }

    fn give_back(&mut self, parts: &[PointsPart]) -> Result<bool, MoneyError> {
        for part in parts {
            let Some(grant) = self.grant(part.entry) else { return Ok(false) };
            grant.free = grant.free.checked_add(&part.amount)?;
        }
        Ok(true)
    }
}

fn sum(parts: &[PointsPart]) -> Result<Money, MoneyError> {
    Money::sum(parts.iter().map(|part| &part.amount), Currency::KRW)
}
