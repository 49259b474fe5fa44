//! Has an order sent elsewhere. Writes `order`, and `shipment` if a parcel is being prepared; reads
//! `product` per line, for what shipping costs.
//!
//! A parcel whose label may bear the former address is replaced in the same append. The process then
//! cancels it, and requests the label of the further one when that is done.

use jangbu_kernel::{OrderId, Refusal, RefusalCode, Sealed, ShipmentId, StreamId};

use super::send_again::request;
use crate::checks;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::{AddressToChange, CancelledBy, Order, OrderCommand, OrderStatus};
use crate::product::Product;
use crate::shipment::Shipment;
use crate::shipping::Goods;
use crate::state::{Missing, States};

/// Changes where an order goes.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeShippingAddress {
    /// The order.
    pub order_id: OrderId,
    /// The buyer or staff: only the buyer has to be in time.
    pub by: CancelledBy,
    /// The address, sealed under the buyer's key.
    pub shipping_address: Sealed,
    /// Where it goes, in the clear, for the shipping fee; the same as in the address.
    pub postal_code: String,
    /// The id that the further parcel gets, if there is one.
    pub shipment_id: ShipmentId,
}

impl Command for ChangeShippingAddress {
    const RULES: Rules = Rules::new(
        "change_shipping_address",
        Reach::OwnOrAny { own: Permission::OrdersCancelOwn, any: Permission::OrdersCancelAny },
        Key::Optional,
        &[RefusalCode::OrderStateConflict, RefusalCode::OrderAlreadyDispatched, RefusalCode::PaymentInProgress],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        if let Ok(order) = states.get::<Order>(self.order_id) {
            streams.extend(order.lines().iter().map(|line| StreamId::product(line.product_id)));
            streams.extend(order.shipment_id().map(StreamId::shipment));
        }
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::shipment(self.shipment_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, shipment_id) = (self.order_id, self.shipment_id);
        let order = append.before::<Order>(order_id)?;
        order.may_go_elsewhere()?;
        let Some(total) = order.total() else { return Err(checks::not_found("order").into()) };
        let fee = append.facts().policy.shipping_fee(total.currency(), &goods(append, order)?, Some(&self.postal_code));
        let Ok(shipping_fee) = fee else {
            let refusal = Refusal::new(RefusalCode::OrderStateConflict, "what shipping costs cannot be counted");
            return Err(refusal.into());
        };
        let (by, shipping_address) = (self.by, self.shipping_address.clone());
        let asked = AddressToChange { by, shipping_address, shipping_fee, shipment_id };
        let added = append.ask::<Order>(order_id, &OrderCommand::ChangeAddress(Box::new(asked)))?;
        if added == Added::Events && order.status() == Some(OrderStatus::Preparing) {
            let parcel = order.shipment_id().map(|id| append.before::<Shipment>(id)).transpose()?;
            let lines = parcel.map_or_else(|| order.lines().to_vec(), |parcel| parcel.lines().to_vec());
            let changed = append.after::<Order>(order_id)?;
            request(append, order_id, shipment_id, &changed, lines)?;
        }
        Ok(())
    }
}

/// The goods of an order, as far as shipping fees go by them.
fn goods(append: &Append<'_>, order: &Order) -> Result<Vec<Goods>, Missing> {
    let of_line = |line: &crate::order::OrderLine| {
        let product = append.before::<Product>(line.product_id)?;
        let grams = u64::from(product.weight_grams()).saturating_mul(u64::from(line.quantity));
        Ok(Goods { seller_id: product.seller_id(), value: line.line_total, grams })
    };
    order.lines().iter().map(of_line).collect()
}
