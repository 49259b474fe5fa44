//! Commands on parcels, and what they have in common.

mod cancel;
mod correct_tracking_number;
mod dispatch;
mod observe_label;
mod record_scan;
mod request;

use jangbu_kernel::{Refusal, RefusalCode, ShipmentId};

use crate::checks;
use crate::command::{Added, Append, Stop};
use crate::order::{Order, OrderCommand, OrderStatus};
use crate::payment::Payment;
use crate::shipment::{Shipment, ShipmentCommand};
use crate::stock::{Stock, StockCommand};

pub use cancel::CancelShipment;
pub use correct_tracking_number::CorrectTrackingNumber;
pub use dispatch::DispatchShipment;
pub use observe_label::ObserveLabel;
pub use record_scan::RecordScan;
pub use request::RequestShipment;

/// Whether nothing prevents a parcel from leaving now.
pub(super) fn may_leave(append: &Append<'_>, shipment_id: ShipmentId, order: &Order) -> Result<bool, Stop> {
    let payment = order.paid_by().map(|payment_id| append.before::<Payment>(payment_id)).transpose()?;
    let may_be_sent = order.status() == Some(OrderStatus::Preparing)
        && order.hold().is_none()
        && order.shipment_id() == Some(shipment_id)
        && !payment.is_some_and(Payment::is_given_back);
    Ok(may_be_sent && is_here(append, shipment_id)?)
}

/// Whether the units of a parcel are at the shop's locations: they may have been promised before they were
/// here.
fn is_here(append: &Append<'_>, shipment_id: ShipmentId) -> Result<bool, Stop> {
    for line in append.before::<Shipment>(shipment_id)?.lines() {
        if append.before::<Stock>(line.product_id)?.here() < i64::from(line.quantity) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands a parcel over. Shipment, order and stock change together, so that an order cannot be
/// cancelled from the moment its parcel left.
pub(super) fn hand_over(
    append: &mut Append<'_>,
    shipment_id: ShipmentId,
    dispatch: &ShipmentCommand,
) -> Result<(), Stop> {
    if append.ask::<Shipment>(shipment_id, dispatch)? == Added::Nothing {
        return Ok(());
    }
    let shipment = append.before::<Shipment>(shipment_id)?;
    let Some(order_id) = shipment.order_id() else {
        return Err(checks::not_found("shipment").into());
    };
    let order = append.before::<Order>(order_id)?;
    if order.shipment_id() != Some(shipment_id) {
        let refusal = Refusal::new(RefusalCode::ShipmentStateConflict, "the parcel is not the order's");
        return Err(refusal.in_state(shipment.state().name(), []).into());
    }
    // The payment must not change before the append, so that money and goods are not both sent.
    let payment = order.paid_by().map(|payment_id| append.unmoved::<Payment>(payment_id)).transpose()?;
    if payment.is_some_and(Payment::is_given_back) {
        return Err(given_back(order).into());
    }
    append.ask::<Order>(order_id, &OrderCommand::MarkShipped)?;
    for line in shipment.lines() {
        append.ask::<Stock>(line.product_id, &StockCommand::Ship { order_id })?;
    }
    Ok(())
}

/// The refusal for an order whose money is fully refunded, or about to be: nothing of it is sent.
pub(super) fn given_back(order: &Order) -> Refusal {
    let detail = "all of the order's money is given back or on its way: it is to be called off, not sent";
    let refusal = Refusal::new(RefusalCode::OrderStateConflict, detail);
    let Some(status) = order.status() else { return refusal };
    let others = status.allowed_commands().iter().copied().filter(|command| *command != "dispatch_shipment");
    refusal.in_state(status.name(), others.collect::<Vec<_>>())
}
