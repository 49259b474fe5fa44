//! M1, M2, M3 and M5: what was charged, for what, and what was returned.

use std::collections::{BTreeMap, HashMap, HashSet};

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{
    OrderAddressChanged, OrderEvent, OrderLatePaymentDetected, OrderLine, OrderLinesCancelled, OrderPlaced,
};
use jangbu_aggregates::payment::{POINTS, PaymentEvent, PaymentRequested, RefundRequested};
use jangbu_aggregates::points::{PointsCaptured, PointsEvent, PointsHeld, PointsReleased, PointsRestored};
use jangbu_aggregates::processes::{FulfilmentEvent, OperatorAction, OperatorResolved};
use jangbu_kernel::{AggregateKind, Money, MoneyError, OrderId, PaymentId, Position, RefundId, StreamId};

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};
use super::gateway_books::GatewayCharge;

/// M5: the parts of an order sum to its total, the legs of a payment to its, and the refund of
/// cancelled lines is what they cost.
#[derive(Default)]
pub(crate) struct Totals {
    orders: HashMap<OrderId, Amounts>,
    /// The money of cancelled lines whose refund was not seen yet.
    cancelled_lines: HashMap<RefundId, (Money, Position, StreamId)>,
}

/// What an order costs.
#[derive(Clone, Copy)]
struct Amounts {
    subtotal: Money,
    shipping_fee: Money,
    total: Money,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Totals {
    fn name(&self) -> &'static str {
        "totals"
    }

    fn looks(&self) -> Looks {
        Looks {
            kinds: &[],
            types: &[
                OrderPlaced::TYPE,
                OrderLinesCancelled::TYPE,
                OrderAddressChanged::TYPE,
                PaymentRequested::TYPE,
                RefundRequested::TYPE,
            ],
        }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        match seen.domain {
            DomainEvent::Order(OrderEvent::Placed(placed)) => {
                if placed_total(placed) != Ok(placed.total) {
                    seen.report(findings, Invariant::M5, "the order's parts do not sum to its total");
                }
                let (subtotal, shipping_fee, total) = (placed.subtotal, placed.shipping_fee, placed.total);
                let amounts = Amounts { subtotal, shipping_fee, total };
                self.orders.insert(OrderId::new(seen.event.stream.id), amounts);
            }
            DomainEvent::Order(OrderEvent::LinesCancelled(cancelled)) => {
                self.lines_cancelled(seen, cancelled, findings)
            }
            DomainEvent::Order(OrderEvent::AddressChanged(changed)) => self.address_changed(seen, changed, findings),
            DomainEvent::Payment(PaymentEvent::RefundRequested(refund)) => {
                let cancelled_lines = self.cancelled_lines.remove(&refund.refund_id);
                if cancelled_lines.is_some_and(|(amount, ..)| amount != refund.amount) {
                    seen.report(findings, Invariant::M5, "the refund of cancelled lines is not what they cost");
                }
            }
            DomainEvent::Payment(PaymentEvent::Requested(requested)) => {
                if legs_total(requested) != Ok(requested.total) {
                    seen.report(findings, Invariant::M5, "the payment's legs do not sum to its total");
                }
                if self.orders.get(&requested.order_id).map(|order| order.total) != Some(requested.total) {
                    seen.report(findings, Invariant::M5, "the payment's total is not the order's");
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _end: End, findings: &mut Findings) {
        for (_, position, stream) in self.cancelled_lines.values() {
            findings.report(Invariant::M5, *position, *stream, "lines that were paid are cancelled without a refund");
        }
    }
}

impl Totals {
    fn lines_cancelled(&mut self, seen: Seen<'_>, cancelled: &OrderLinesCancelled, findings: &mut Findings) {
        let stream = seen.event.stream;
        let known = self.orders.get(&OrderId::new(stream.id)).copied();
        let left = known.map(|known| known.less(cancelled));
        if left != Some(Ok((cancelled.subtotal, cancelled.total))) {
            seen.report(findings, Invariant::M5, "the remaining lines of the order do not sum to its total");
        }
        let shipping_fee = known.map_or(Money::zero(cancelled.total.currency()), |known| known.shipping_fee);
        let amounts = Amounts { subtotal: cancelled.subtotal, shipping_fee, total: cancelled.total };
        self.orders.insert(OrderId::new(stream.id), amounts);
        if let (Some(refund_id), Ok(amount)) = (cancelled.refund_id, lines_total(&cancelled.lines, cancelled.total)) {
            self.cancelled_lines.insert(refund_id, (amount, seen.event.position, stream));
        }
    }
}

impl Totals {
    fn address_changed(&mut self, seen: Seen<'_>, changed: &OrderAddressChanged, findings: &mut Findings) {
        let known = self.orders.get_mut(&OrderId::new(seen.event.stream.id));
        let beside_shipping = |total: Money, fee: Money| total.checked_sub(&fee);
        let agrees = known.as_ref().is_some_and(|known| {
            beside_shipping(known.total, known.shipping_fee) == beside_shipping(changed.total, changed.shipping_fee)
        });
        if !agrees {
            seen.report(findings, Invariant::M5, "with another address the order costs more or less than its shipping");
        }
        if let Some(known) = known {
            (known.shipping_fee, known.total) = (changed.shipping_fee, changed.total);
        }
    }
}

impl Amounts {
    /// Subtotal and total without the cancelled lines.
    fn less(self, cancelled: &OrderLinesCancelled) -> Result<(Money, Money), MoneyError> {
        let amount = lines_total(&cancelled.lines, self.total)?;
        Ok((self.subtotal.checked_sub(&amount)?, self.total.checked_sub(&amount)?))
    }
}

/// The sum of lines, in the currency of an amount, when each is its price times its quantity.
fn lines_total(lines: &[OrderLine], like: Money) -> Result<Money, MoneyError> {
    for line in lines {
        if line.unit_price.checked_mul(line.quantity)? != line.line_total {
            return Err(MoneyError::OutOfRange);
        }
    }
    Money::sum(lines.iter().map(|line| &line.line_total), like.currency())
}

fn placed_total(placed: &OrderPlaced) -> Result<Money, MoneyError> {
    let lines = lines_total(&placed.lines, placed.total)?;
    if lines != placed.subtotal {
        return Err(MoneyError::OutOfRange);
    }
    lines.checked_sub(&placed.discount)?.checked_add(&placed.shipping_fee)
}

fn legs_total(requested: &PaymentRequested) -> Result<Money, MoneyError> {
    Money::sum(requested.legs.iter().map(|leg| &leg.amount), requested.total.currency())
}

/// The state of a payment.
struct Payment {
    order_id: OrderId,
    total: Money,
    /// Amount by leg, and whether the leg is booked in the points ledger.
    legs: Vec<(Money, bool)>,
    captured: Option<Capture>,
    /// Refunds that were requested and not refused, whether settled or not.
    refunds: Vec<Refund>,
    /// The gateway refused to refund all of it, and no refund was requested since.
    refused_whole: bool,
    /// Staff have confirmed that a refused refund was returned in another way.
    returned_by_hand: bool,
    /// What the points ledger has spent on it, less what was restored.
    points_spent: Money,
    /// What the points ledger holds for it; it is spent when the order is confirmed.
    points_held: Money,
    /// The gateway of the charge.
    gateway: Option<String>,
    /// A request to the gateway is open: the log does not have its outcome yet.
    asked: bool,
    /// What was refunded of the gateway's legs.
    gateway_back: Money,
    position: Position,
    /// The position of its last change.
    moved: Position,
}

struct Capture {
    amount: Money,
    position: Position,
}

struct Refund {
    id: RefundId,
    amount: Money,
    settled: bool,
    /// The part of it that is restored to the points ledger.
    points: Money,
    legs_back: Money,
}

/// M1, M2, M3: captures and refunds by payment and by order.
#[derive(Default)]
pub(crate) struct Payments {
    payments: HashMap<PaymentId, Payment>,
    captured_of_order: HashMap<OrderId, Vec<PaymentId>>,
    late: HashMap<OrderId, Vec<PaymentId>>,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Payments {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn looks(&self) -> Looks {
        let types = &[
            PointsHeld::TYPE,
            PointsCaptured::TYPE,
            PointsReleased::TYPE,
            PointsRestored::TYPE,
            OrderLatePaymentDetected::TYPE,
            OperatorResolved::TYPE,
        ];
        Looks { kinds: &[AggregateKind::Payment], types }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let folded = match seen.domain {
            DomainEvent::Payment(event) => self.payment(seen, event, findings),
            DomainEvent::Points(event) => self.points(event),
            DomainEvent::Order(OrderEvent::LatePaymentDetected(late)) => {
                self.late.entry(OrderId::new(seen.event.stream.id)).or_default().push(late.payment_id);
                Ok(())
            }
            DomainEvent::Fulfilment(FulfilmentEvent::OperatorResolved(resolved)) => {
                self.resolved(OrderId::new(seen.event.stream.id), resolved.action);
                Ok(())
            }
            _ => Ok(()),
        };
        if folded.is_err() {
            seen.report(findings, Invariant::M1, "amounts of the payment cannot be summed");
        }
    }

    fn finish(&mut self, _end: End, findings: &mut Findings) {
        for (order_id, captured) in &self.captured_of_order {
            let late = self.late.get(order_id).map_or(&[][..], Vec::as_slice);
            let kept = captured.iter().filter(|payment| !late.contains(payment));
            // A payment that is refunded completely does not count: a late capture of an order that
            // another had paid.
            let kept = kept.filter_map(|id| self.payments.get(id)).filter(|payment| !payment.goes_back_whole());
            let mut kept = kept.filter_map(|payment| payment.captured.as_ref());
            if let (Some(_), Some(second)) = (kept.next(), kept.next()) {
                findings.report(
                    Invariant::M3,
                    second.position,
                    StreamId::order(*order_id),
                    "the order has more than one captured payment",
                );
            }
        }
        for (id, payment) in &self.payments {
            if let Some(capture) = &payment.captured
                && !payment.books_agree().unwrap_or(false)
            {
                findings.report(
                    Invariant::M1,
                    capture.position,
                    StreamId::payment(*id),
                    "captured less refunded is not what the legs and the points ledger say",
                );
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Payments {
    fn payment(&mut self, seen: Seen<'_>, event: &PaymentEvent, findings: &mut Findings) -> Result<(), MoneyError> {
        let id = PaymentId::new(seen.event.stream.id);
        if let PaymentEvent::Requested(requested) = event {
            self.payments.insert(id, Payment::new(requested, seen.event.position));
            return Ok(());
        }
        let Some(payment) = self.payments.get_mut(&id) else {
            seen.report(findings, Invariant::M2, "the payment was never requested");
            return Ok(());
        };
        payment.moved = seen.event.position;
        if let PaymentEvent::CaptureRequested(requested) = event {
            payment.gateway.clone_from(&requested.gateway);
        }
        payment.asked = is_asked(event).unwrap_or(payment.asked);
        match event {
            PaymentEvent::Captured(captured) => {
                if payment.captured.is_some() {
                    seen.report(findings, Invariant::M2, "the payment is captured twice");
                    return Ok(());
                }
                payment.captured = Some(Capture { amount: captured.amount, position: seen.event.position });
                self.captured_of_order.entry(payment.order_id).or_default().push(id);
            }
            // Staff have accepted the amount: the gateway's leg is what the gateway took.
            PaymentEvent::MismatchAccepted(mismatch) => {
                if let Some((amount, _)) = payment.legs.iter_mut().find(|(_, points)| !points) {
                    *amount = mismatch.accepted;
                }
            }
            PaymentEvent::RefundRequested(refund) => {
                payment.refused_whole = false;
                payment.refunds.push(Refund {
                    id: refund.refund_id,
                    amount: refund.amount,
                    settled: false,
                    points: Money::sum(
                        refund.allocation.iter().filter(|part| payment.is_points(part.leg)).map(|part| &part.amount),
                        payment.total.currency(),
                    )?,
                    legs_back: Money::zero(payment.total.currency()),
                });
            }
            PaymentEvent::LegRefunded(leg) => {
                if !payment.is_points(leg.leg) {
                    payment.gateway_back = payment.gateway_back.checked_add(&leg.amount)?;
                }
                if let Some(refund) = payment.refund(leg.refund_id) {
                    refund.legs_back = refund.legs_back.checked_add(&leg.amount)?;
                }
            }
            PaymentEvent::RefundRefused(refused) => {
                payment.refused_whole = payment.goes_back_whole();
                payment.refunds.retain(|refund| refund.id != refused.refund_id);
            }
            PaymentEvent::RefundSettled(settled) => match payment.refund(settled.refund_id) {
                Some(refund) if refund.amount == settled.amount && refund.legs_back == settled.amount => {
                    refund.settled = true;
                }
                _ => {
                    seen.report(findings, Invariant::M2, "a refund is settled for more or less than its legs gave back")
                }
            },
            _ => {}
        }
        payment.check_bounds(seen, findings)
    }

    /// An operator who skips a refund that the gateway refuses has returned the money in another
    /// way.
    fn resolved(&mut self, order_id: OrderId, action: OperatorAction) {
        if action != OperatorAction::Skip {
            return;
        }
        for id in self.captured_of_order.get(&order_id).into_iter().flatten() {
            if let Some(payment) = self.payments.get_mut(id) {
                payment.returned_by_hand |= payment.refused_whole;
            }
        }
    }

    fn points(&mut self, event: &PointsEvent) -> Result<(), MoneyError> {
        match event {
            PointsEvent::Captured(captured) => {
                if let Some(payment) = self.payments.get_mut(&captured.payment_id) {
                    payment.points_spent = payment.points_spent.checked_add(&captured.amount)?;
                    payment.points_held = payment.points_held.checked_sub(&captured.amount)?;
                }
            }
            PointsEvent::Held(held) => {
                if let Some(payment) = self.payments.get_mut(&held.payment_id) {
                    payment.points_held = payment.points_held.checked_add(&held.amount)?;
                }
            }
            PointsEvent::Released(released) => {
                if let Some(payment) = self.payments.get_mut(&released.payment_id) {
                    payment.points_held = payment.points_held.checked_sub(&released.amount)?;
                }
            }
            PointsEvent::Restored(restored) => {
                if let Some(payment) = self.payments.get_mut(&restored.payment_id) {
                    payment.points_spent = payment.points_spent.checked_sub(&restored.amount)?;
                }
            }
            PointsEvent::Granted(_) | PointsEvent::Expired(_) => {}
        }
        Ok(())
    }
}

impl Payments {
    /// M3: for each order, the gateway kept as much as the log says it took there. Orders with an
    /// open request at the gateway, or with changes after `as_of`, are left out: their outcome is
    /// not known yet, or came after the list was read.
    pub(crate) fn compare_with_gateway(
        &self,
        gateway: &str,
        charges: &[GatewayCharge],
        as_of: Position,
        findings: &mut Findings,
    ) {
        let mut kept: BTreeMap<OrderId, (Result<Money, MoneyError>, Position)> = BTreeMap::new();
        let mut open = HashSet::new();
        for payment in self.payments.values() {
            if payment.asked || payment.moved > as_of {
                open.insert(payment.order_id);
            }
            let amount = payment.kept_at(gateway);
            let entry =
                kept.entry(payment.order_id).or_insert((Ok(Money::zero(payment.total.currency())), payment.position));
            entry.0 = entry.0.and_then(|sum| sum.checked_add(&amount?));
        }
        let mut listed: BTreeMap<OrderId, Vec<&GatewayCharge>> = BTreeMap::new();
        for charge in charges.iter().filter(|charge| charge.is_captured()) {
            listed.entry(charge.order_id).or_default().push(charge);
        }
        for (order_id, charges) in &listed {
            if !kept.contains_key(order_id) {
                let detail = format!("the gateway has charged it {} times, the log knows of no payment", charges.len());
                findings.report(Invariant::M3, Position::ZERO, StreamId::order(*order_id), detail);
            }
        }
        for (order_id, (ours, position)) in kept.iter().filter(|(order_id, _)| !open.contains(*order_id)) {
            let charges = listed.get(order_id).map_or(&[][..], Vec::as_slice);
            let theirs = ours.and_then(|ours| {
                charges.iter().try_fold(Money::zero(ours.currency()), |sum, charge| sum.checked_add(&charge.kept()?))
            });
            if theirs != *ours || ours.is_err() {
                let shown = |amount: &Result<Money, MoneyError>| {
                    amount.map_or_else(|error| error.to_string(), |money| money.to_string())
                };
                let detail = format!("the gateway keeps {}, the log says {}", shown(&theirs), shown(ours));
                findings.report(Invariant::M3, *position, StreamId::order(*order_id), detail);
            }
        }
    }
}

/// Whether a request to the gateway is open after an event; none if the event does not change that.
const fn is_asked(event: &PaymentEvent) -> Option<bool> {
    match event {
        PaymentEvent::CaptureRequested(_)
        | PaymentEvent::ChallengeConfirmed(_)
        | PaymentEvent::NetCancelRequested(_)
        | PaymentEvent::RefundRequested(_)
        | PaymentEvent::MismatchDetected(_) => Some(true),
        PaymentEvent::Captured(_)
        | PaymentEvent::MismatchAccepted(_)
        | PaymentEvent::Failed(_)
        | PaymentEvent::Voided(_)
        | PaymentEvent::RefundSettled(_)
        | PaymentEvent::RefundRefused(_) => Some(false),
        PaymentEvent::Requested(_)
        | PaymentEvent::ChallengeRequired(_)
        | PaymentEvent::RedirectRequired(_)
        | PaymentEvent::DepositAwaited(_)
        | PaymentEvent::OutcomeUnknown(_)
        | PaymentEvent::InquiryUndecided(_)
        | PaymentEvent::ObservationIgnored(_)
        | PaymentEvent::LegRefunded(_) => None,
    }
}

impl Payment {
    /// Whether everything that was captured is refunded, or its refund is requested.
    fn goes_back_whole(&self) -> bool {
        if self.returned_by_hand {
            return true;
        }
        let back = Money::sum(self.refunds.iter().map(|refund| &refund.amount), self.total.currency());
        self.captured.as_ref().is_some_and(|capture| back.is_ok_and(|back| back == capture.amount))
    }

    /// What a gateway took and did not refund.
    fn kept_at(&self, gateway: &str) -> Result<Money, MoneyError> {
        let currency = self.total.currency();
        if self.captured.is_none() || self.gateway.as_deref() != Some(gateway) {
            return Ok(Money::zero(currency));
        }
        let taken = self.legs.iter().filter(|(_, points)| !points).map(|(amount, _)| amount);
        Money::sum(taken, currency)?.checked_sub(&self.gateway_back)
    }

    fn new(requested: &PaymentRequested, position: Position) -> Self {
        Self {
            order_id: requested.order_id,
            total: requested.total,
            legs: requested.legs.iter().map(|leg| (leg.amount, leg.method == POINTS)).collect(),
            captured: None,
            refunds: Vec::new(),
            refused_whole: false,
            returned_by_hand: false,
            points_spent: Money::zero(requested.total.currency()),
            points_held: Money::zero(requested.total.currency()),
            gateway: None,
            asked: false,
            gateway_back: Money::zero(requested.total.currency()),
            position,
            moved: position,
        }
    }

    fn is_points(&self, leg: u8) -> bool {
        self.legs.get(usize::from(leg)).is_some_and(|(_, points)| *points)
    }

    fn refund(&mut self, id: RefundId) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.id == id)
    }

    /// M2: 0 <= refunded <= captured <= total. A requested refund counts as refunded.
    fn check_bounds(&self, seen: Seen<'_>, findings: &mut Findings) -> Result<(), MoneyError> {
        let zero = Money::zero(self.total.currency());
        let captured = self.captured.as_ref().map_or(zero, |capture| capture.amount);
        let refunded = Money::sum(self.refunds.iter().map(|refund| &refund.amount), self.total.currency())?;
        if captured.is_negative() || captured.checked_cmp(&self.total)?.is_gt() {
            seen.report(findings, Invariant::M2, "more is captured than the payment's total");
        }
        if refunded.checked_cmp(&captured)?.is_gt() || self.refunds.iter().any(|refund| !refund.amount.is_positive()) {
            seen.report(findings, Invariant::M2, "more is being refunded than was captured");
        }
        Ok(())
    }

    /// M1: the captured amount is the gateway's legs and what the points ledger holds for it or
    /// spent on it, less settled refunds. Money that came after the points were released is the
    /// gateway's legs alone.
    fn books_agree(&self) -> Result<bool, MoneyError> {
        let currency = self.total.currency();
        let Some(capture) = &self.captured else { return Ok(true) };
        let sum_of = |of_points: bool| {
            Money::sum(self.legs.iter().filter(|(_, points)| *points == of_points).map(|(amount, _)| amount), currency)
        };
        let (gateway, points) = (sum_of(false)?, sum_of(true)?);
        let back =
            Money::sum(self.refunds.iter().filter(|refund| refund.settled).map(|refund| &refund.points), currency)?;
        let by_points = capture.amount.checked_sub(&gateway)?;
        let booked = self.points_spent.checked_add(&self.points_held)?.checked_add(&back)?;
        Ok((by_points == points || by_points.is_zero()) && by_points == booked)
    }
}
