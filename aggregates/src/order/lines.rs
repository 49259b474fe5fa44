//! Cancelling some of an order's lines.

use jangbu_kernel::{Decision, Money, RefundId, Refusal, RefusalCode, Remark, ShipmentId};

use super::event::{CancelledBy, OrderEvent, OrderLine, OrderLinesCancelled, OrderPreparationStarted};
use super::state::{Order, OrderStatus, Standing};
use crate::checks;
use crate::facts::Facts;

/// Which lines are to be cancelled, by whom, and the ids of what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct LinesToCancel {
    /// The buyer or staff: they have different windows.
    pub by: CancelledBy,
    /// Why; staff must say.
    pub reason: Option<Remark>,
    /// What is to be cancelled: lines of the order, of each at most what is left of it.
    pub lines: Vec<OrderLine>,
    /// The refund of the lines, if they were paid and cost something.
    pub refund_id: Option<RefundId>,
    /// The parcel that replaces the one that is being prepared, if there is one.
    pub shipment_id: ShipmentId,
}

impl Order {
    /// Whether lines can be cancelled in the order's state, whichever they are.
    pub(crate) fn may_lose_lines(&self) -> Result<(), Refusal> {
        let order = self.standing.as_ref().ok_or_else(|| checks::not_found("order"))?;
        order.may_change().map(|_| ())
    }
}

impl Standing {
    pub(super) fn cancel_lines(&self, asked: &LinesToCancel, facts: &Facts) -> Decision<OrderEvent> {
        match self.check_lines(asked, facts) {
            Ok((subtotal, total)) => self.lines_cancelled(asked, subtotal, total),
            Err(refusal) => refusal.into(),
        }
    }

    fn lines_cancelled(&self, asked: &LinesToCancel, subtotal: Money, total: Money) -> Decision<OrderEvent> {
        let LinesToCancel { by, reason, lines, refund_id, shipment_id } = asked.clone();
        let replaced_shipment_id = self.shipment_id.filter(|_| self.status == OrderStatus::Preparing);
        let cancelled = OrderLinesCancelled { by, reason, lines, subtotal, total, refund_id, replaced_shipment_id };
        let further = replaced_shipment_id.map(|_| OrderPreparationStarted { shipment_id }.into());
        Decision::Record(std::iter::once(cancelled.into()).chain(further).collect())
    }

    /// Subtotal and total of the remaining lines, or why these lines cannot be cancelled.
    fn check_lines(&self, asked: &LinesToCancel, facts: &Facts) -> Result<(Money, Money), Refusal> {
        let is_paid = self.may_change()?;
        Self::check_reason(asked.by, asked.reason.as_ref())?;
        if is_paid && asked.by == CancelledBy::Owner && !self.in_owner_window(facts) {
            return Err(self.conflict("the time in which the owner may cancel is over"));
        }
        let wrong = |detail: &str| Refusal::new(RefusalCode::ValidationFailed, detail).at("/lines");
        let left = less(&self.lines, &asked.lines).ok_or_else(|| wrong("not all of this is in the order"))?;
        if left.is_empty() {
            return Err(wrong("that is all of the order: cancel the order instead"));
        }
        let sum = |lines: &[OrderLine]| Money::sum(lines.iter().map(|line| &line.line_total), self.total.currency());
        let rest = sum(&asked.lines).and_then(|amount| self.total.checked_sub(&amount));
        let (Ok(subtotal), Ok(total)) = (sum(&left), rest) else { return Err(wrong("the amounts cannot be summed")) };
        if total.is_negative() || (!is_paid && total.is_zero()) {
            return Err(self.conflict("nothing would be left to pay: cancel the order instead"));
        }
        Ok((subtotal, total))
    }

    /// Whether the order is paid, or why nothing of it can be changed in its state.
    pub(super) fn may_change(&self) -> Result<bool, Refusal> {
        match self.status {
            OrderStatus::Placed | OrderStatus::AwaitingPayment if self.open_payment.is_some() => {
                Err(self.refusal(RefusalCode::PaymentInProgress, "a payment of the order is under way"))
            }
            OrderStatus::Placed | OrderStatus::AwaitingPayment => Ok(false),
            OrderStatus::Paid | OrderStatus::Preparing => Ok(true),
            OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed => {
                Err(self.refusal(RefusalCode::OrderAlreadyDispatched, "the order is on its way already"))
            }
            OrderStatus::Cancelling | OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Failed => {
                Err(self.conflict("the order has ended or is being cancelled"))
            }
        }
    }

    pub(super) fn lose_lines(&mut self, cancelled: &OrderLinesCancelled) {
        // Lines that are not in the order are left out here; the audit reports them.
        if let Some(left) = less(&self.lines, &cancelled.lines) {
            self.lines = left;
        }
        self.total = cancelled.total;
    }
}

/// The lines without those that are taken; none if the taken ones are not all among them.
fn less(lines: &[OrderLine], taken: &[OrderLine]) -> Option<Vec<OrderLine>> {
    if taken.is_empty() {
        return None;
    }
    let mut left = lines.to_vec();
    for gone in taken {
        let line = left.iter_mut().find(|line| line.product_id == gone.product_id)?;
        line.quantity = line.quantity.checked_sub(gone.quantity).filter(|_| gone.quantity > 0)?;
        line.line_total = line.unit_price.checked_mul(line.quantity).ok()?;
    }
    left.retain(|line| line.quantity > 0);
    Some(left)
}
