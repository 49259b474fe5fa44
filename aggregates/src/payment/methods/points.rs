//! The buyer's points: one point is one won. Their books are the ledgers of
//! [`points`](crate::points).

use jangbu_kernel::{Currency, Money, PaymentId, RefundId, StreamId, UserId};

use super::{Composition, Hold, OwnBooks, PaymentMethod};
use crate::command::{Append, Stop};
use crate::points::{Points, PointsCommand};

/// Fewest points of a leg.
const SMALLEST_KRW: i64 = 1;
/// Most points of a leg.
const LARGEST_KRW: i64 = 10_000_000;

/// The strategy.
pub(super) struct BuyersPoints;

impl PaymentMethod for BuyersPoints {
    fn name(&self) -> &'static str {
        "points"
    }
    fn description(&self) -> &'static str {
        "What the buyer's points pay."
    }
    fn limits(&self, currency: Currency) -> Option<(i64, i64)> {
        (currency == Currency::KRW).then_some((SMALLEST_KRW, LARGEST_KRW))
    }
    fn composition(&self) -> Composition {
        Composition::Complement
    }
    fn own_books(&self) -> Option<&'static dyn OwnBooks> {
        Some(&Self)
    }
}

impl OwnBooks for BuyersPoints {
    fn stream(&self, buyer: UserId) -> StreamId {
        StreamId::points(buyer)
    }

    fn hold(&self, append: &mut Append<'_>, buyer: UserId, hold: Hold) -> Result<(), Stop> {
        let Hold { payment_id, order_id, amount } = hold;
        append.only::<Points>(buyer, &PointsCommand::Hold { payment_id, order_id, amount })
    }

    fn release(&self, append: &mut Append<'_>, buyer: UserId, payment_id: PaymentId, reason: &str) -> Result<(), Stop> {
        append.only::<Points>(buyer, &PointsCommand::Release { payment_id, reason: reason.to_owned() })
    }

    fn capture(&self, append: &mut Append<'_>, buyer: UserId, payment_id: PaymentId) -> Result<(), Stop> {
        append.only::<Points>(buyer, &PointsCommand::Capture { payment_id })
    }

    fn restore(
        &self,
        append: &mut Append<'_>,
        buyer: UserId,
        payment_id: PaymentId,
        refund_id: RefundId,
        amount: Money,
    ) -> Result<(), Stop> {
        // The payment captured its points, but if the order was never confirmed, the ledger still
        // only holds them. Capturing and restoring them in one append makes the ledger agree with
        // the payment.
        if append.before::<Points>(buyer)?.held_for(payment_id) > 0 {
            append.ask::<Points>(buyer, &PointsCommand::Capture { payment_id })?;
        }
        append.only::<Points>(buyer, &PointsCommand::Restore { payment_id, refund_id, amount })
    }
}
