//! The data of a call, from the append that asks for it. A page of the dispatcher has each append
//! as a whole, so a command and its data are always in the same page.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::payment::{CaptureRequested, Leg, PaymentEvent, PaymentRequested};
use jangbu_aggregates::processes::OutsideCall;
use jangbu_aggregates::shipment::{ShipmentEvent, ShipmentRequested};
use jangbu_kernel::{PaymentId, RecordedEvent, Sealed, ShipmentId, UserId};
use uuid::Uuid;

/// A charge that no gateway was asked for yet.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    /// The id of the event that asks for it: the idempotency key at the gateway.
    pub key: Uuid,
    /// The gateway to ask.
    pub gateway: String,
    /// The buyer.
    pub buyer: Option<UserId>,
    /// The amount, and the payment method.
    pub leg: Leg,
}

/// A parcel that no carrier was asked for yet.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// The carrier to ask.
    pub carrier: String,
    /// The buyer.
    pub buyer: Option<UserId>,
    /// The address to send it to.
    pub address: Sealed,
}

/// The data that came with a command, so that nothing has to be read.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Charge(Charge),
    Parcel(Parcel),
}

/// The data in the events of a page, none of which has been acted on.
#[derive(Debug, Default)]
pub(super) struct AtHand {
    charges: HashMap<PaymentId, Charge>,
    parcels: HashMap<ShipmentId, Parcel>,
}

impl AtHand {
    /// Collects the data.
    pub fn of<'a>(events: impl Iterator<Item = (&'a RecordedEvent, &'a DomainEvent)>) -> Self {
        let (mut at_hand, mut payments) = (Self::default(), HashMap::new());
        for (recorded, event) in events {
            if let DomainEvent::Payment(PaymentEvent::Requested(requested)) = event {
                payments.insert(recorded.stream, requested);
            } else if let DomainEvent::Payment(PaymentEvent::CaptureRequested(capture)) = event {
                let charge = payments.get(&recorded.stream).and_then(|paying| charge_of(recorded, paying, capture));
                at_hand.charges.extend(charge.map(|charge| (PaymentId::new(recorded.stream.id), charge)));
            } else if let DomainEvent::Shipment(ShipmentEvent::Requested(requested)) = event {
                let ShipmentRequested { user_id, carrier, shipping_address, .. } = requested;
                let (carrier, buyer, address) = (carrier.clone(), Some(*user_id), shipping_address.clone());
                at_hand.parcels.insert(ShipmentId::new(recorded.stream.id), Parcel { carrier, buyer, address });
            }
        }
        at_hand
    }

    /// The data of a call; none if it has to be read.
    pub fn told(&self, call: &OutsideCall) -> Option<Told> {
        match call {
            OutsideCall::Charge(payment_id) => self.charges.get(payment_id).cloned().map(Told::Charge),
            OutsideCall::BookLabel(shipment_id, 1) => self.parcels.get(shipment_id).cloned().map(Told::Parcel),
            OutsideCall::BookLabel(..)
            | OutsideCall::ConfirmCharge(_)
            | OutsideCall::Inquire(_)
            | OutsideCall::NetCancel(_)
            | OutsideCall::Refund(..)
            | OutsideCall::CallOff(..) => None,
        }
    }
}

/// The charge of a payment; none if no gateway has a part in it.
fn charge_of(recorded: &RecordedEvent, paying: &PaymentRequested, capture: &CaptureRequested) -> Option<Charge> {
    let leg = paying.legs.get(usize::from(capture.leg?))?.clone();
    let (key, gateway) = (recorded.event_id.uuid(), capture.gateway.clone()?);
    Some(Charge { key, gateway, buyer: Some(paying.user_id), leg })
}
