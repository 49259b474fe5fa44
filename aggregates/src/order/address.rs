//! Where an order goes, and changing that before it is sent.

use jangbu_kernel::{Decision, Money, Refusal, Sealed, ShipmentId};

use super::event::{CancelledBy, OrderAddressChanged, OrderEvent, OrderPreparationStarted};
use super::state::{Order, OrderStatus, Standing};
use crate::checks;
use crate::facts::Facts;

/// The new address, by whom, and the ids of what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressToChange {
    /// The buyer or staff: only the buyer has to be in time.
    pub by: CancelledBy,
    /// The address, sealed.
    pub shipping_address: Sealed,
    /// What shipping there costs.
    pub shipping_fee: Money,
    /// The parcel that replaces the one that is being prepared, if there is one.
    pub shipment_id: ShipmentId,
}

impl Order {
    /// What shipping costs.
    #[must_use]
    pub fn shipping_fee(&self) -> Option<Money> {
        self.standing.as_ref().map(|order| order.shipping_fee)
    }

    /// Whether the address can be changed in the order's state.
    pub(crate) fn may_go_elsewhere(&self) -> Result<(), Refusal> {
        let order = self.standing.as_ref().ok_or_else(|| checks::not_found("order"))?;
        order.may_change().map(|_| ())
    }
}

impl Standing {
    /// What is paid stays: once the order is paid its fee does not change, so the buyer can only have
    /// it sent where that is enough.
    pub(super) fn change_address(&self, asked: &AddressToChange, facts: &Facts) -> Decision<OrderEvent> {
        let is_paid = match self.may_change() {
            Ok(is_paid) => is_paid,
            Err(refusal) => return refusal.into(),
        };
        if asked.shipping_address == self.shipping_address {
            return Decision::AlreadyDone;
        }
        if is_paid && asked.by == CancelledBy::Owner {
            if !self.in_owner_window(facts) {
                return self.conflict("the time in which the owner may change the order is over").into();
            }
            if asked.shipping_fee.amount() > self.shipping_fee.amount() {
                let detail = format!(
                    "shipping there costs {}, {} was paid: ask the shop, or cancel and order again",
                    asked.shipping_fee, self.shipping_fee
                );
                return self.conflict(&detail).into();
            }
        }
        let shipping_fee = if is_paid { self.shipping_fee } else { asked.shipping_fee };
        let total = self.total.checked_sub(&self.shipping_fee).and_then(|rest| rest.checked_add(&shipping_fee));
        let Ok(total) = total else { return self.conflict("the amounts cannot be summed").into() };
        let replaced_shipment_id = self.shipment_id.filter(|_| self.status == OrderStatus::Preparing);
        let changed = OrderAddressChanged {
            by: asked.by,
            shipping_address: asked.shipping_address.clone(),
            shipping_fee,
            total,
            replaced_shipment_id,
        };
        let further = replaced_shipment_id.map(|_| OrderPreparationStarted { shipment_id: asked.shipment_id }.into());
        Decision::Record(std::iter::once(changed.into()).chain(further).collect())
    }

    pub(super) fn go_elsewhere(&mut self, changed: &OrderAddressChanged) {
        self.shipping_address = changed.shipping_address.clone();
        self.shipping_fee = changed.shipping_fee;
        self.total = changed.total;
    }
}
