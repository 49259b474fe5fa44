//! Which streams a command will look at, as far as that can be told beforehand. Only a
//! hint that saves rounds of loading: what is not named here, the decision names.

use jangbu_kernel::{OrderId, PaymentId, ShipmentId, StreamId};

use super::{Command, PlaceOrder, RegisterUser, WantedPayment};
use crate::order::Order;
use crate::payment::{MethodName, Payment};
use crate::session::Session;
use crate::shipment::{ScanRecorded, Shipment};
use crate::state::States;

impl Command {
    /// Streams to load side by side before deciding: what can be named from the
    /// command and the states loaded so far. A hint: [`Command::decide`] names what else it needs.
    #[must_use]
    pub fn streams(&self, states: &impl States) -> Vec<StreamId> {
        let mut streams = vec![self.primary()];
        self.add_others(states, &mut streams);
        streams
    }

    /// Streams that come into being with this command, so that there is nothing to load:
    /// their ids were made for it. Where it was carried out before, the append finds a
    /// version that it did not expect; load them then.
    pub fn begins(&self) -> impl Iterator<Item = StreamId> {
        let placed = if let Self::PlaceOrder(command) = self { Some(command) } else { None };
        let payment = if let Self::RequestPayment { payment, .. } = self {
            Some(payment)
        } else {
            placed.and_then(|command| command.payment.as_ref())
        };
        let parcel = if let Self::RequestShipment { shipment_id, .. } = self { Some(*shipment_id) } else { None };
        let orders = placed.map(|command| [StreamId::order(command.order_id), StreamId::fulfilment(command.order_id)]);
        let payment = payment.map(|payment| StreamId::payment(payment.payment_id));
        orders.into_iter().flatten().chain(payment).chain(parcel.map(StreamId::shipment))
    }

    fn add_others(&self, states: &impl States, streams: &mut Vec<StreamId>) {
        match self {
            Self::RegisterUser(command) => add_claims(command, streams),
            Self::StartSession { user_id, .. } | Self::GrantPoints { user_id, .. } => {
                streams.push(StreamId::user(*user_id));
            }
            Self::RotateSession { session_id, .. } => {
                let session = states.get::<Session>(*session_id).ok();
                streams.extend(session.and_then(Session::user_id).map(StreamId::user));
            }
            Self::ReceiveStock { product_id, .. } | Self::AdjustStock { product_id, .. } => {
                streams.push(StreamId::product(*product_id));
            }
            Self::PlaceOrder(command) => add_placing(command, streams),
            Self::RequestPayment { order_id, payment } => {
                streams.push(StreamId::order(*order_id));
                let buyer = states.get::<Order>(*order_id).ok().and_then(Order::user_id);
                streams.extend(buyer.filter(|_| has_points(payment)).map(StreamId::points));
            }
            Self::ConfirmOrder { order_id, payment_id } => {
                add_lines(states, *order_id, streams);
                add_payment(states, *payment_id, streams);
            }
            Self::RecordPaymentFailure { payment_id, .. } | Self::RecordLatePayment { payment_id, .. } => {
                add_payment(states, *payment_id, streams);
            }
            Self::CancelPayment { payment_id } => {
                add_payment(states, *payment_id, streams);
                let order = states.get::<Payment>(*payment_id).ok().and_then(Payment::order_id);
                streams.extend(order.map(StreamId::order));
            }
            Self::ObserveRefund { payment_id, .. } => add_payment(states, *payment_id, streams),
            Self::CancelOrder { order_id, .. } => add_open_payment(states, *order_id, streams),
            Self::ExpireOrder { order_id }
            | Self::FinishCancellation { order_id }
            | Self::FailOrder { order_id, .. } => {
                add_lines(states, *order_id, streams);
                add_open_payment(states, *order_id, streams);
            }
            Self::RequestShipment { order_id, .. } => streams.push(StreamId::order(*order_id)),
            Self::DispatchShipment { shipment_id, .. } => add_parcel(states, *shipment_id, streams),
            Self::RecordScan { shipment_id, scan } => add_scanned(states, *shipment_id, scan, streams),
            Self::AdvanceFulfilment { .. }
            | Self::ResolveFulfilment { .. }
            | Self::ChangeContactDetails { .. }
            | Self::ListAdministrators { .. }
            | Self::SetRoles { .. }
            | Self::GrantRole { .. }
            | Self::RevokeRole { .. }
            | Self::UnlockUser { .. }
            | Self::RecordLoginFailure { .. }
            | Self::EndSession { .. }
            | Self::CreateProduct(_)
            | Self::ActivateProduct { .. }
            | Self::DeactivateProduct { .. }
            | Self::ConfirmDelivery { .. }
            | Self::ConfirmPayment { .. }
            | Self::RefundPayment { .. }
            | Self::CorrectTrackingNumber { .. }
            | Self::RequestCapture { .. }
            | Self::RequestNetCancel { .. }
            | Self::ObservePayment { .. }
            | Self::ObserveLabel { .. }
            | Self::CancelShipment { .. }
            | Self::RequestFullRefund { .. }
            | Self::MarkDelivered { .. }
            | Self::CompleteOrder { .. }
            | Self::HoldOrder { .. }
            | Self::ReleaseHold { .. } => {}
        }
    }
}

fn add_claims(command: &RegisterUser, streams: &mut Vec<StreamId>) {
    let claims = command.other_claims.iter().chain([&command.email_claim]);
    streams.extend(claims.map(|claim| StreamId::email(*claim)));
}

fn add_placing(command: &PlaceOrder, streams: &mut Vec<StreamId>) {
    streams.extend([
        StreamId::user(command.user_id),
        StreamId::buyer(command.user_id),
        StreamId::fulfilment(command.order_id),
    ]);
    for line in &command.lines {
        streams.extend([StreamId::product(line.product_id), StreamId::stock(line.product_id)]);
    }
    if let Some(payment) = &command.payment {
        streams.push(StreamId::payment(payment.payment_id));
        if has_points(payment) {
            streams.push(StreamId::points(command.user_id));
        }
    }
    // Lines of one product name its streams more than once.
    streams.sort_unstable();
    streams.dedup();
}

fn has_points(payment: &WantedPayment) -> bool {
    payment.legs.iter().any(|leg| leg.method == MethodName::Points)
}

fn add_lines(states: &impl States, order_id: OrderId, streams: &mut Vec<StreamId>) {
    if let Ok(order) = states.get::<Order>(order_id) {
        streams.extend(order.lines().iter().map(|line| StreamId::stock(line.product_id)));
    }
}

/// A payment and, when points are a leg of it, the ledger.
fn add_payment(states: &impl States, payment_id: PaymentId, streams: &mut Vec<StreamId>) {
    let stream = StreamId::payment(payment_id);
    if !streams.contains(&stream) {
        streams.push(stream);
    }
    if let Ok(payment) = states.get::<Payment>(payment_id) {
        let payer = payment.points_leg().and(payment.user_id());
        streams.extend(payer.map(StreamId::points));
    }
}

fn add_open_payment(states: &impl States, order_id: OrderId, streams: &mut Vec<StreamId>) {
    if let Ok(order) = states.get::<Order>(order_id) {
        for payment_id in order.open_payment().into_iter().chain(order.paid_by()) {
            add_payment(states, payment_id, streams);
        }
    }
}

/// A scan may be the hand-over of a parcel that nobody has handed over.
fn add_scanned(states: &impl States, shipment_id: ShipmentId, scan: &ScanRecorded, streams: &mut Vec<StreamId>) {
    if states.get::<Shipment>(shipment_id).is_ok_and(|shipment| shipment.is_handed_over_by(scan)) {
        add_parcel(states, shipment_id, streams);
    }
}

fn add_parcel(states: &impl States, shipment_id: ShipmentId, streams: &mut Vec<StreamId>) {
    if let Some(order_id) = states.get::<Shipment>(shipment_id).ok().and_then(Shipment::order_id) {
        streams.push(StreamId::order(order_id));
        add_lines(states, order_id, streams);
        let paid_by = states.get::<Order>(order_id).ok().and_then(Order::paid_by);
        streams.extend(paid_by.map(StreamId::payment));
    }
}
