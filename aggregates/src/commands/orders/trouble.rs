//! What the commands share by which a person ends what an order's process waits for: a parcel that
//! is lost or came back, or another amount of money.

use jangbu_kernel::{OrderId, Refusal, RefusalCode, Remark};

use crate::checks;
use crate::command::{Append, Stop};
use crate::order::{Order, OrderCommand};
use crate::processes::{Fulfilment, Trouble};
use crate::shipment::Shipment;
use crate::stock::{Stock, StockCommand};

/// The problem that the order's process waits for a person to solve.
pub(super) fn trouble_of(append: &Append<'_>, order_id: OrderId) -> Result<Trouble, Stop> {
    if append.before::<Order>(order_id)?.status().is_none() {
        return Err(checks::not_found("order").into());
    }
    let process = append.before::<Fulfilment>(order_id)?;
    process.trouble().ok_or_else(|| not_this(process, "the order's process does not wait for this").into())
}

/// The refusal if the process waits for something else, or for nobody.
pub(super) fn not_this(process: &Fulfilment, detail: &str) -> Refusal {
    let allowed = process.allowed_actions();
    let allowed = allowed.iter().map(|action| action.name());
    Refusal::new(RefusalCode::SagaStateConflict, detail).in_state(process.step().name(), allowed.collect::<Vec<_>>())
}

/// Releases the order's hold, if this is the reason for it.
pub(super) fn release(
    append: &mut Append<'_>,
    order_id: OrderId,
    trouble: Trouble,
    reason: &Remark,
) -> Result<(), Stop> {
    if append.before::<Order>(order_id)?.hold().and_then(Remark::plain) == Some(trouble.reason().as_str()) {
        append.ask::<Order>(order_id, &OrderCommand::ReleaseHold { reason: reason.clone() })?;
    }
    Ok(())
}

/// Puts everything in the parcel that came back into stock again.
pub(super) fn restock(append: &mut Append<'_>, order_id: OrderId) -> Result<(), Stop> {
    let Some(shipment_id) = append.before::<Order>(order_id)?.shipment_id() else {
        return Err(checks::not_found("shipment").into());
    };
    let shipment = append.before::<Shipment>(shipment_id)?;
    for line in shipment.lines() {
        let (quantity, reason) = (line.quantity, Trouble::ParcelReturned.reason().to_string());
        append.ask::<Stock>(line.product_id, &StockCommand::Restock { order_id, quantity, reason })?;
    }
    Ok(())
}

/// Only what came back can be put back.
pub(super) fn check_restock(restock: bool, trouble: Trouble) -> Result<(), Refusal> {
    if !restock || trouble == Trouble::ParcelReturned {
        return Ok(());
    }
    let detail = "nothing came back that could be put back into stock";
    Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/restock"))
}
