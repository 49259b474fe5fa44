//! Pays an existing order. Writes `payment`, `order`, `buyer` and, if points are a leg, `points`:
//! an order names one open payment, and points are held exactly as long as that payment can still
//! take them.

use jangbu_kernel::{OrderId, PaymentId, RefusalCode, StreamId, UserId};

use super::open_payment;
use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::orders::note_changed;
use crate::order::Order;
use crate::payment::Leg;
use crate::state::{Missing, States};

/// A payment that a buyer wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPayment {
    /// The id of the payment.
    pub payment_id: PaymentId,
    /// Its legs.
    pub legs: Vec<Leg>,
}

impl WantedPayment {
    /// The streams of the shop's own books in which its legs are held.
    pub(crate) fn own_streams(&self, buyer: UserId) -> impl Iterator<Item = StreamId> {
        self.legs.iter().filter_map(move |leg| Some(leg.method.own_books()?.stream(buyer)))
    }
}

/// Pays an order that has no open payment.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPayment {
    /// The order to be paid.
    pub order_id: OrderId,
    /// Its id and its legs.
    pub payment: WantedPayment,
}

impl Command for RequestPayment {
    const RULES: Rules = Rules::new(
        "request_payment",
        Reach::Own(Permission::PaymentsCreateOwn),
        Key::Required,
        &[
            RefusalCode::NotFound,
            RefusalCode::OrderStateConflict,
            RefusalCode::PaymentInProgress,
            RefusalCode::InsufficientPoints,
            RefusalCode::PaymentTotalMismatch,
            RefusalCode::PaymentMethodInvalid,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::order(self.order_id));
        let buyer = states.get::<Order>(self.order_id).ok().and_then(Order::user_id);
        streams.extend(buyer.into_iter().flat_map(|buyer| self.payment.own_streams(buyer)));
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::payment(self.payment.payment_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order = append.before::<Order>(self.order_id)?;
        let (Some(user_id), Some(total)) = (order.user_id(), order.total()) else {
            return Err(checks::not_found("order").into());
        };
        open_payment(append, self.order_id, user_id, total, &self.payment)?;
        note_changed(append, self.order_id)
    }
}
