//! A person has an order sent again whose parcel is lost or came back. Writes `order`, `stock` per
//! line, `shipment` (a further parcel of the order's lines, or of a part of them) and `fulfilment`;
//! reads `payment` and the parcel that left. Either the goods are there or nothing is written: what
//! came back and can be sold again is put back into stock first, and then as much is allocated to
//! the order as the parcel holds.

use jangbu_kernel::{OrderId, Refusal, RefusalCode, Remark, ShipmentId, StreamId};

use super::confirm::allocate;
use super::part::part_of;
use super::place::WantedLine;
use super::trouble::{check_restock, not_this, release, restock, trouble_of};
use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_lines};
use crate::commands::shipments::given_back;
use crate::order::{Order, OrderCommand, OrderLine};
use crate::payment::Payment;
use crate::processes::{Fulfilment, FulfilmentCommand, OperatorAction, Trouble};
use crate::shipment::{Shipment, ShipmentCommand, ShipmentState};
use crate::state::{Missing, States};

/// Sends a further parcel.
#[derive(Clone, Debug, PartialEq)]
pub struct SendOrderAgain {
    /// The order.
    pub order_id: OrderId,
    /// The id of the further parcel.
    pub shipment_id: ShipmentId,
    /// What goes into it: products of the order, each once, at most as many as were bought. No
    /// lines means everything.
    pub lines: Vec<WantedLine>,
    /// Staff's reason, for the audit trail.
    pub reason: Remark,
    /// Whether what came back can be sold again.
    pub restock: bool,
}

impl Command for SendOrderAgain {
    const RULES: Rules = Rules::new(
        "send_order_again",
        Reach::Any(Permission::ShipmentsWrite),
        Key::Required,
        &[
            RefusalCode::SagaStateConflict,
            RefusalCode::OrderStateConflict,
            RefusalCode::ShipmentStateConflict,
            RefusalCode::InsufficientStock,
            RefusalCode::ValidationFailed,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::fulfilment(self.order_id));
        add_lines(states, self.order_id, streams);
        if let Ok(order) = states.get::<Order>(self.order_id) {
            streams.extend(order.paid_by().map(StreamId::payment));
            streams.extend(order.shipment_id().map(StreamId::shipment));
        }
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::shipment(self.shipment_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, shipment_id) = (self.order_id, self.shipment_id);
        let trouble = trouble_of(append, order_id)?;
        if trouble == Trouble::PaymentMismatch {
            let process = append.before::<Fulfilment>(order_id)?;
            return Err(not_this(process, "the order was not sent").into());
        }
        check_restock(self.restock, trouble)?;
        let order = append.before::<Order>(order_id)?;
        check_parcel(append, order)?;
        let lines = chosen(order, &self.lines)?;
        // The payment must not change before the append, so that money and goods are not both sent.
        let payment = order.paid_by().map(|payment_id| append.unmoved::<Payment>(payment_id)).transpose()?;
        if payment.is_some_and(Payment::is_given_back) {
            return Err(given_back(order).into());
        }
        release(append, order_id, trouble, &self.reason)?;
        append.ask::<Order>(order_id, &OrderCommand::SendAgain { shipment_id })?;
        if self.restock {
            restock(append, order_id)?;
        }
        allocate(append, order_id, order, &lines)?;
        request(append, order_id, shipment_id, order, lines)?;
        let resume = FulfilmentCommand::Resolve { action: OperatorAction::Resume, reason: self.reason.clone() };
        append.only::<Fulfilment>(order_id, &resume)
    }
}

/// Checks that no other parcel of the order is under way than the one that is lost or came back.
fn check_parcel(append: &Append<'_>, order: &Order) -> Result<(), Stop> {
    let Some(shipment_id) = order.shipment_id() else { return Err(checks::not_found("shipment").into()) };
    let state = append.before::<Shipment>(shipment_id)?.state();
    if matches!(state, ShipmentState::Lost | ShipmentState::Returned) {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalCode::ShipmentStateConflict, "a parcel of the order is under way");
    Err(refusal.in_state(state.name(), []).into())
}

/// The lines of the further parcel, priced as they were sold.
fn chosen(order: &Order, wanted: &[WantedLine]) -> Result<Vec<OrderLine>, Refusal> {
    if wanted.is_empty() {
        return Ok(order.lines().to_vec());
    }
    part_of(order, wanted.iter().map(|line| (line.product_id, Some(line.quantity))))
}

pub(super) fn request(
    append: &mut Append<'_>,
    order_id: OrderId,
    shipment_id: ShipmentId,
    order: &Order,
    lines: Vec<OrderLine>,
) -> Result<(), Stop> {
    let (Some(user_id), Some(address)) = (order.user_id(), order.shipping_address()) else {
        return Err(checks::not_found("order").into());
    };
    let shipping_address = address.clone();
    append.only::<Shipment>(shipment_id, &ShipmentCommand::Request { order_id, user_id, lines, shipping_address })
}
