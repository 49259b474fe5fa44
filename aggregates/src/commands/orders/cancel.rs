//! Cancels an order. Writes `order`, and if nothing prevents it `payment`, `stock` per line,
//! `points` and `buyer`: a cancelled order holds nothing from that moment on.
//!
//! An unpaid order ends at once, together with a payment of which nothing was requested from the
//! gateway yet. An order that is paid, or whose payment is at the gateway, is cancelling, and the
//! process returns what there is to return.

use jangbu_kernel::{OrderId, RefusalCode, Remark, StreamId};

use super::ending::free_everything;
use super::waiting::note_changed;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_open_payment};
use crate::order::{CancelledBy, Order, OrderCommand, OrderStatus};
use crate::payment::{Payment, PaymentCommand, PaymentState};
use crate::state::{Missing, States};

/// The reason for which what an order held is released.
pub(super) const ORDER_CANCELLED: &str = "order_cancelled";

/// Cancels an order.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelOrder {
    /// The order.
    pub order_id: OrderId,
    /// The buyer or staff; different rules hold for them.
    pub by: CancelledBy,
    /// Why; staff have to give a reason.
    pub reason: Option<Remark>,
}

impl Command for CancelOrder {
    const RULES: Rules = Rules::new(
        "cancel_order",
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
        add_open_payment(states, self.order_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = self.order_id;
        let open = match append.before::<Order>(order_id)?.open_payment() {
            Some(payment_id) => Some((payment_id, append.before::<Payment>(payment_id)?)),
            None => None,
        };
        let unsent = open.filter(|(_, payment)| payment.state() == PaymentState::Requested);
        let payment_in_flight = unsent.is_none() && open.is_some_and(|(_, payment)| !payment.has_ended());
        let cancel = OrderCommand::Cancel { by: self.by, reason: self.reason.clone(), payment_in_flight };
        append.ask::<Order>(order_id, &cancel)?;
        let was = append.before::<Order>(order_id)?.status();
        let is = append.after::<Order>(order_id)?.status();
        if is == Some(OrderStatus::Cancelled) && was != is {
            if let Some((payment_id, _)) = unsent {
                append.ask::<Payment>(payment_id, &PaymentCommand::Void { reason: ORDER_CANCELLED.to_owned() })?;
            }
            free_everything(append, order_id, ORDER_CANCELLED)?;
        }
        note_changed(append, order_id)
    }
}
