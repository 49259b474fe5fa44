//! Opening a parcel and handing it over.
//!
//! Opening writes `shipment` and `order`: an order that is being prepared has a parcel.
//! Handing over writes `shipment`, `order` and `stock` per line: what left the house is
//! not counted in it, and an order cannot be called off any more the moment it left. It
//! reads `payment`: goods whose money has all gone back do not leave.

use jangbu_kernel::{OrderId, Refusal, RefusalCode, ShipmentId};

use super::append::{Added, Append, Stop, decide};
use crate::checks;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::order::{Order, OrderCommand, OrderStatus};
use crate::payment::Payment;
use crate::shipment::{ScanRecorded, Shipment, ShipmentCommand};
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};

/// Opens a parcel for a paid order.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn request_shipment(
    states: &impl States,
    facts: &Facts,
    order_id: OrderId,
    shipment_id: ShipmentId,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let order = append.before::<Order>(order_id)?;
        let (Some(user_id), Some(address)) = (order.user_id(), order.shipping_address()) else {
            return Err(checks::not_found("order").into());
        };
        if append.ask::<Order>(order_id, &OrderCommand::StartPreparation { shipment_id })? == Added::Nothing {
            return Ok(());
        }
        let (lines, shipping_address) = (order.lines().to_vec(), address.clone());
        let request = ShipmentCommand::Request { order_id, user_id, lines, shipping_address };
        append.ask::<Shipment>(shipment_id, &request)?;
        Ok(())
    })
}

/// The parcel is handed over.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn dispatch_shipment(
    states: &impl States,
    facts: &Facts,
    shipment_id: ShipmentId,
    carrier: Option<&str>,
    tracking_number: Option<&str>,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let (carrier, tracking_number) = (carrier.map(str::to_owned), tracking_number.map(str::to_owned));
        hand_over(append, shipment_id, &ShipmentCommand::Dispatch { carrier, tracking_number })
    })
}

/// Records a scan. One that shows the parcel in the hands of the carrier whose label it has is
/// the hand-over, if none is recorded. While the order may not be sent (on hold, being called
/// off, money given back) the scan is kept: it counts when the parcel is dispatched or the hold
/// is released.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn record_scan(
    states: &impl States,
    facts: &Facts,
    shipment_id: ShipmentId,
    scan: &ScanRecorded,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let shipment = append.before::<Shipment>(shipment_id)?;
        let of_order = shipment.order_id().filter(|_| shipment.is_handed_over_by(scan));
        if let Some(order_id) = of_order
            && may_leave(append, shipment_id, append.before::<Order>(order_id)?)?
        {
            hand_over(append, shipment_id, &ShipmentCommand::Dispatch { carrier: None, tracking_number: None })?;
        }
        append.ask::<Shipment>(shipment_id, &ShipmentCommand::RecordScan(scan.clone()))?;
        Ok(())
    })
}

/// Releases a hold. Where a scan has shown meanwhile that the carrier has the parcel, the
/// hand-over is recorded with it.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn release_hold(states: &impl States, facts: &Facts, order_id: OrderId, reason: &str) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        append.ask::<Order>(order_id, &OrderCommand::ReleaseHold { reason: reason.to_owned() })?;
        let order = append.after::<Order>(order_id)?;
        let Some(shipment_id) = order.shipment_id() else { return Ok(()) };
        let shipment = append.before::<Shipment>(shipment_id)?;
        if shipment.waits_for_hand_over() && may_leave(append, shipment_id, &order)? {
            hand_over(append, shipment_id, &ShipmentCommand::Dispatch { carrier: None, tracking_number: None })?;
        }
        Ok(())
    })
}

/// Whether nothing stands against a parcel's leaving now.
fn may_leave<S: States>(append: &Append<'_, S>, shipment_id: ShipmentId, order: &Order) -> Result<bool, Stop> {
    let payment = order.paid_by().map(|payment_id| append.before::<Payment>(payment_id)).transpose()?;
    Ok(order.status() == Some(OrderStatus::Preparing)
        && order.hold().is_none()
        && order.shipment_id() == Some(shipment_id)
        && !payment.is_some_and(Payment::is_given_back))
}

fn hand_over<S: States>(
    append: &mut Append<'_, S>,
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
    // A refund of another moment must not slip in between: money and goods go one way.
    let payment = order.paid_by().map(|payment_id| append.unmoved::<Payment>(payment_id)).transpose()?;
    if payment.is_some_and(Payment::is_given_back) {
        return Err(given_back(order).into());
    }
    append.ask::<Order>(order_id, &OrderCommand::MarkShipped)?;
    for line in order.lines() {
        append.ask::<Stock>(line.product_id, &StockCommand::Ship { order_id })?;
    }
    Ok(())
}

fn given_back(order: &Order) -> Refusal {
    let detail = "all of the order's money is given back or on its way: it is to be called off, not sent";
    let refusal = Refusal::new(RefusalCode::OrderStateConflict, detail);
    let Some(status) = order.status() else { return refusal };
    let others = status.allowed_commands().iter().copied().filter(|command| *command != "dispatch_shipment");
    refusal.in_state(status.name(), others.collect::<Vec<_>>())
}
