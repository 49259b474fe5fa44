//! What a points ledger decides.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{
    AggregateKind, Currency, Decider, Decision, Money, OrderId, PaymentId, RefundId, Refusal, RefusalCode, Timestamp,
};

use super::command::{GrantReference, PointsCommand};
use super::event::{
    PointsCaptured, PointsEvent, PointsExpired, PointsGranted, PointsHeld, PointsReleased, PointsRestored,
};
use super::state::{Grant, Part, Points, Use, units_of, won, write_parts};
use crate::facts::Facts;

/// The longest reference of a grant, in characters.
const LONGEST_REFERENCE: usize = 200;

impl Decider for Points {
    const KIND: AggregateKind = AggregateKind::Points;
    const STATE_VERSION: u16 = 1;
    type Event = PointsEvent;
    type Command = PointsCommand;
    type Facts = Facts;

    fn decide(&self, command: &PointsCommand, facts: &Facts) -> Decision<PointsEvent> {
        match command {
            PointsCommand::Grant { amount, reference, expires_at } => {
                self.give(amount, reference, *expires_at, facts.now)
            }
            PointsCommand::Hold { payment_id, order_id, amount } => {
                self.hold(*payment_id, *order_id, amount, facts.now)
            }
            PointsCommand::Capture { payment_id } => match self.payments.get(payment_id) {
                Some(Use::Captured { .. }) => Decision::AlreadyDone,
                Some(Use::Held { parts }) => {
                    Decision::one(PointsCaptured { payment_id: *payment_id, amount: won(units_of(parts)) })
                }
                Some(Use::Released) | None => {
                    Refusal::new(RefusalCode::InsufficientPoints, "the payment holds no points").into()
                }
            },
            PointsCommand::Release { payment_id, reason } => match self.payments.get(payment_id) {
                Some(Use::Held { parts }) => {
                    let amount = won(units_of(parts));
                    Decision::one(PointsReleased { payment_id: *payment_id, amount, reason: reason.clone() })
                }
                Some(Use::Captured { .. } | Use::Released) | None => Decision::AlreadyDone,
            },
            PointsCommand::Restore { payment_id, refund_id, amount } => {
                self.restore(*payment_id, *refund_id, amount, facts)
            }
            PointsCommand::WriteOff => {
                let lapses = self.lapses(facts.now);
                if lapses.is_empty() { Decision::AlreadyDone } else { Decision::Record(lapses) }
            }
        }
    }

    fn evolve(&mut self, event: &PointsEvent) {
        self.fold(event);
    }
}

impl Points {
    fn give(
        &self,
        amount: &Money,
        reference: &GrantReference,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Decision<PointsEvent> {
        let units = match whole_points(amount) {
            Ok(units) => units,
            Err(refusal) => return refusal.into(),
        };
        match self.granted_for(reference) {
            Some(granted) if granted == units => return Decision::AlreadyDone,
            Some(_) => {
                let detail = "the reference was used for another amount";
                return Refusal::new(RefusalCode::ReferenceReused, detail).at("/reference").into();
            }
            None => {}
        }
        if reference.text.trim().is_empty() || reference.text.chars().count() > LONGEST_REFERENCE {
            return invalid(&format!("a reference has 1 to {LONGEST_REFERENCE} characters"), "/reference").into();
        }
        if expires_at.is_some_and(|moment| moment <= now) {
            return invalid("points lapse in the future or never", "/expires_at").into();
        }
        // Spent points may come back, so all points ever granted count against the largest amount.
        let given = self.references.values().fold(0_i64, |sum, units| sum.saturating_add(*units));
        if given.checked_add(units).is_none_or(|sum| sum > Money::MAX_UNITS) || self.next_entry().is_none() {
            return invalid("the ledger would be too large to count", "/amount").into();
        }
        let granted = PointsGranted {
            amount: *amount,
            reference: reference.words.clone(),
            reference_hash: reference.hash,
            expires_at: expires_at.map(to_millis),
        };
        self.with_lapses(now, granted)
    }

    fn hold(&self, payment_id: PaymentId, order_id: OrderId, amount: &Money, now: Timestamp) -> Decision<PointsEvent> {
        match self.payments.get(&payment_id) {
            Some(Use::Held { .. } | Use::Captured { .. }) => return Decision::AlreadyDone,
            Some(Use::Released) => {
                return Refusal::new(RefusalCode::PaymentStateConflict, "the payment gave its points back").into();
            }
            None => {}
        }
        let units = match whole_points(amount) {
            Ok(units) => units,
            Err(refusal) => return refusal.into(),
        };
        let available = self.available(now);
        if units > available {
            let detail = format!("{units} points wanted, {available} available");
            return Refusal::new(RefusalCode::InsufficientPoints, detail).into();
        }
        let parts = write_parts(&self.pick(units, now));
        self.with_lapses(now, PointsHeld { payment_id, order_id, amount: *amount, parts })
    }

    fn restore(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        amount: &Money,
        facts: &Facts,
    ) -> Decision<PointsEvent> {
        let Some(Use::Captured { parts, refunds }) = self.payments.get(&payment_id) else {
            return Refusal::new(RefusalCode::RefundExceedsCaptured, "the payment has spent no points").into();
        };
        if refunds.contains(&refund_id) {
            return Decision::AlreadyDone;
        }
        let units = match whole_points(amount) {
            Ok(units) => units,
            Err(refusal) => return refusal.into(),
        };
        if units > units_of(parts) {
            return Refusal::new(RefusalCode::RefundExceedsCaptured, "more points than the payment has spent").into();
        }
        // Last taken, first returned: a partial refund returns the points that lapse last.
        let back = take_from(parts.iter().rev().copied(), units);
        let lapsed = |part: &Part| self.grant(part.entry).is_some_and(|grant| grant.has_lapsed(facts.now));
        let extended_to = facts.now.checked_add_signed(facts.policy.refunded_points_life).map(to_millis);
        let mut parts = write_parts(&back);
        for (_, named) in back.iter().zip(&mut parts).filter(|(part, _)| lapsed(part)) {
            named.extended_to = extended_to;
        }
        let restored = PointsRestored { payment_id, refund_id, amount: *amount, parts };
        // Points that had lapsed before must not become usable again with those that come back.
        if back.iter().any(lapsed) { self.with_lapses(facts.now, restored) } else { Decision::one(restored) }
    }

    /// Takes this many free points: those that lapse first, then by number. Points that never lapse
    /// come last.
    fn pick(&self, units: i64, now: Timestamp) -> Vec<Part> {
        let mut usable: Vec<_> =
            (1_u32..).zip(&self.grants).filter(|(_, grant)| grant.free > 0 && !grant.has_lapsed(now)).collect();
        usable.sort_by_key(|(entry, grant)| (grant.expires_at.is_none(), grant.expires_at, *entry));
        take_from(usable.into_iter().map(|(entry, grant)| Part { entry, units: grant.free }), units)
    }

    /// The event, after writing off all free points that have lapsed.
    fn with_lapses(&self, now: Timestamp, event: impl Into<PointsEvent>) -> Decision<PointsEvent> {
        let mut events = self.lapses(now);
        events.push(event.into());
        Decision::Record(events)
    }

    /// Writes off all free points that have lapsed, with one event per grant. What a payment holds
    /// does not lapse while it is held.
    fn lapses(&self, now: Timestamp) -> Vec<PointsEvent> {
        let lapsed = (1_u32..).zip(&self.grants).filter(|(_, grant)| grant.free > 0 && grant.has_lapsed(now));
        lapsed.map(|(entry, grant)| PointsExpired { entry, amount: won(grant.free) }.into()).collect()
    }

    fn grant(&self, entry: u32) -> Option<&Grant> {
        self.grants.get(usize::try_from(entry).ok()?.checked_sub(1)?)
    }

    fn next_entry(&self) -> Option<u32> {
        u32::try_from(self.grants.len()).ok()?.checked_add(1)
    }
}

/// Fills up an amount from parts, in their order.
fn take_from(parts: impl Iterator<Item = Part>, units: i64) -> Vec<Part> {
    let mut missing = units;
    let mut taken = Vec::new();
    for part in parts {
        if missing <= 0 {
            break;
        }
        let units = part.units.min(missing);
        missing = missing.saturating_sub(units);
        taken.push(Part { entry: part.entry, units });
    }
    taken
}

fn whole_points(amount: &Money) -> Result<i64, Refusal> {
    if amount.currency() != Currency::KRW || !amount.is_positive() {
        return Err(invalid("points are whole won, at least 1", "/amount"));
    }
    Ok(amount.minor_units())
}

fn invalid(detail: &str, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer)
}
