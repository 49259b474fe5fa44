//! Commands on payments and refunds, and what they have in common.

mod cancel;
mod confirm;
mod observe;
mod observe_refund;
mod refund;
mod request;
mod request_capture;
mod request_full_refund;
mod request_net_cancel;

use jangbu_kernel::{Money, OrderId, PaymentId, UserId};

use crate::checks;
use crate::command::{Append, Stop};
use crate::order::{Order, OrderCommand};
use crate::payment::{Hold, Payment, PaymentCommand};

pub use cancel::CancelPayment;
pub use confirm::ConfirmPayment;
pub use observe::ObservePayment;
pub use observe_refund::ObserveRefund;
pub use refund::RefundPayment;
pub use request::{RequestPayment, WantedPayment};
pub use request_capture::RequestCapture;
pub use request_full_refund::RequestFullRefund;
pub use request_net_cancel::RequestNetCancel;

/// Opens the payment at the order, requests it, and holds the legs in the shop's own books.
pub(super) fn open_payment(
    append: &mut Append<'_>,
    order_id: OrderId,
    user_id: UserId,
    total: Money,
    payment: &WantedPayment,
) -> Result<(), Stop> {
    let payment_id = payment.payment_id;
    append.ask::<Order>(order_id, &OrderCommand::OpenPayment { payment_id })?;
    let legs = payment.legs.clone();
    append.ask::<Payment>(payment_id, &PaymentCommand::Request { order_id, user_id, total, legs })?;
    for (index, leg) in payment.legs.iter().enumerate() {
        let Some(books) = leg.method.own_books() else { continue };
        books.hold(append, user_id, Hold { payment_id, order_id, amount: leg.amount }).map_err(|stop| match stop {
            Stop::Refused(refusal) => Stop::Refused(refusal.at(format!("/legs/{index}"))),
            Stop::Missing(missing) => Stop::Missing(missing),
        })?;
    }
    Ok(())
}

/// A payment, if it is one of this order.
pub(super) fn payment_of<'a>(
    append: &Append<'a>,
    order_id: OrderId,
    payment_id: PaymentId,
) -> Result<&'a Payment, Stop> {
    let payment = append.before::<Payment>(payment_id)?;
    if payment.order_id() == Some(order_id) { Ok(payment) } else { Err(checks::not_found("payment").into()) }
}

/// Releases what the legs of a payment hold in the shop's own books.
pub(super) fn release_holds(append: &mut Append<'_>, payment_id: PaymentId, reason: &str) -> Result<(), Stop> {
    let payment = append.before::<Payment>(payment_id)?;
    let Some(user_id) = payment.user_id() else { return Ok(()) };
    for (_, _, books) in payment.own_legs() {
        books.release(append, user_id, payment_id, reason)?;
    }
    Ok(())
}
