//! Streams that several commands will read, as far as they can be named before deciding.

use jangbu_kernel::{OrderId, PaymentId, ShipmentId, StreamId};

use crate::order::Order;
use crate::payment::Payment;
use crate::shipment::Shipment;
use crate::state::States;

/// The stocks of an order's lines.
pub(crate) fn add_lines(states: &dyn States, order_id: OrderId, streams: &mut Vec<StreamId>) {
    if let Ok(order) = states.get::<Order>(order_id) {
        streams.extend(order.lines().iter().map(|line| StreamId::stock(line.product_id)));
    }
}

/// A payment, and the shop's own books that its legs are in.
pub(crate) fn add_payment(states: &dyn States, payment_id: PaymentId, streams: &mut Vec<StreamId>) {
    let stream = StreamId::payment(payment_id);
    if !streams.contains(&stream) {
        streams.push(stream);
    }
    if let Ok(payment) = states.get::<Payment>(payment_id) {
        let payer = payment.user_id();
        streams.extend(payment.own_legs().filter_map(|(_, _, books)| payer.map(|payer| books.stream(payer))));
    }
}

pub(crate) fn add_open_payment(states: &dyn States, order_id: OrderId, streams: &mut Vec<StreamId>) {
    if let Ok(order) = states.get::<Order>(order_id) {
        for payment_id in order.open_payment().into_iter().chain(order.paid_by()) {
            add_payment(states, payment_id, streams);
        }
    }
}

pub(crate) fn add_parcel(states: &dyn States, shipment_id: ShipmentId, streams: &mut Vec<StreamId>) {
    if let Some(order_id) = states.get::<Shipment>(shipment_id).ok().and_then(Shipment::order_id) {
        streams.push(StreamId::order(order_id));
        add_lines(states, order_id, streams);
        let paid_by = states.get::<Order>(order_id).ok().and_then(Order::paid_by);
        streams.extend(paid_by.map(StreamId::payment));
    }
}
