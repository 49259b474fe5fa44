//! What a call is made of, as the append that asks for it tells. A page of the dispatcher holds
//! an append whole, so what is asked for and what tells of it are always in one.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::payment::{CaptureRequested, Leg, PaymentEvent, PaymentRequested};
use jangbu_aggregates::processes::ProcessCommand;
use jangbu_aggregates::shipment::{ShipmentEvent, ShipmentRequested};
use jangbu_kernel::{PaymentId, RecordedEvent, Sealed, ShipmentId, UserId};
use uuid::Uuid;

/// A charge that nobody was asked for yet.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    /// The id of the event that asks for it: the key at the gateway.
    pub key: Uuid,
    /// Who is asked.
    pub gateway: String,
    /// Who pays.
    pub buyer: Option<UserId>,
    /// What is to be taken, and by which means.
    pub leg: Leg,
}

/// A parcel that no carrier was asked for yet.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Who is asked.
    pub carrier: String,
    /// Whose it is.
    pub buyer: Option<UserId>,
    /// Where to.
    pub address: Sealed,
}

/// What a command was told together with being issued, so that nothing has to be read.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Charge(Charge),
    Parcel(Parcel),
}

/// What the events of a page tell, of which nobody has acted on any.
#[derive(Debug, Default)]
pub(super) struct AtHand {
    charges: HashMap<PaymentId, Charge>,
    parcels: HashMap<ShipmentId, Parcel>,
}

impl AtHand {
    /// Gathers it.
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

    /// What is told of a command; none where it has to be read.
    pub fn told(&self, command: &ProcessCommand) -> Option<Told> {
        if let ProcessCommand::CapturePayment { payment_id } = command {
            self.charges.get(payment_id).cloned().map(Told::Charge)
        } else if let ProcessCommand::BookCarrier { shipment_id, attempt: 1 } = command {
            self.parcels.get(shipment_id).cloned().map(Told::Parcel)
        } else {
            None
        }
    }
}

/// The charge of a payment; none when nobody outside has a part in it.
fn charge_of(recorded: &RecordedEvent, paying: &PaymentRequested, capture: &CaptureRequested) -> Option<Charge> {
    let leg = paying.legs.get(usize::from(capture.leg?))?.clone();
    let (key, gateway) = (recorded.event_id.uuid(), capture.gateway.clone()?);
    Some(Charge { key, gateway, buyer: Some(paying.user_id), leg })
}
