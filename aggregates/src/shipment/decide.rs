//! What a parcel decides.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode, Remark, text};

use super::command::ShipmentCommand;
use super::event::{
    ShipmentCancelled, ShipmentDispatched, ShipmentEvent, ShipmentReady, ShipmentRefused, ShipmentRequested,
    TrackingNumberCorrected,
};
use super::scans::{MAX_SCAN_TEXT, number_key, status_event};
use super::state::{Shipment, ShipmentState};
use crate::checks;
use crate::facts::Facts;

impl Decider for Shipment {
    const KIND: AggregateKind = AggregateKind::Shipment;
    // 2: the identity of a scan includes its status. 3: the carrier that was asked.
    const STATE_VERSION: u16 = 3;
    type Event = ShipmentEvent;
    type Command = ShipmentCommand;
    type Facts = Facts;

    fn decide(&self, command: &ShipmentCommand, facts: &Facts) -> Decision<ShipmentEvent> {
        match command {
            ShipmentCommand::Request { order_id, user_id, lines, shipping_address } => match self.order_id {
                Some(known) if known == *order_id => Decision::AlreadyDone,
                Some(_) => conflict(self, "a shipment with this id exists").into(),
                None => Decision::one(ShipmentRequested {
                    order_id: *order_id,
                    user_id: *user_id,
                    lines: lines.clone(),
                    shipping_address: shipping_address.clone(),
                    carrier: facts.policy.carrier.clone(),
                }),
            },
            ShipmentCommand::ObserveLabel { carrier, outcome } => self.observe_label(carrier, outcome),
            ShipmentCommand::Dispatch { carrier, tracking_number } => {
                self.dispatch(carrier.as_deref(), tracking_number.as_deref())
            }
            ShipmentCommand::RecordScan(scan) => self.record_scan(scan, facts),
            ShipmentCommand::CorrectTrackingNumber { tracking_number, reason } => {
                self.correct_tracking_number(tracking_number, reason)
            }
            ShipmentCommand::Cancel { reason } => self.cancel(reason),
        }
    }

    fn evolve(&mut self, event: &ShipmentEvent) {
        self.apply(event);
    }
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "no such shipment")
}

pub(super) fn conflict(shipment: &Shipment, detail: &str) -> Refusal {
    let allowed: &[&'static str] = match shipment.state() {
        ShipmentState::None | ShipmentState::Cancelled | ShipmentState::Returned => &[],
        ShipmentState::Requested | ShipmentState::Ready => &["dispatch_shipment", "cancel_shipment"],
        ShipmentState::Dispatched
        | ShipmentState::InTransit
        | ShipmentState::OutForDelivery
        | ShipmentState::AttemptFailed
        | ShipmentState::Exception
        | ShipmentState::Delivered
        | ShipmentState::Lost => &["record_scan"],
    };
    Refusal::new(RefusalCode::ShipmentStateConflict, detail).in_state(shipment.state().name(), allowed)
}

fn check_name(pointer: &str, text: &str) -> Result<(), Refusal> {
    if !text::is_blank(text) && text.chars().count() <= MAX_SCAN_TEXT {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::ValidationFailed, format!("1 to {MAX_SCAN_TEXT} characters")).at(pointer))
}

impl Shipment {
    fn observe_label(&self, carrier: &str, outcome: &LabelOutcome) -> Decision<ShipmentEvent> {
        let Some(order_id) = self.order_id else {
            return not_found().into();
        };
        // An answer changes nothing for a parcel that has its label, or no longer needs one.
        if self.state != ShipmentState::Requested {
            return Decision::AlreadyDone;
        }
        match outcome {
            LabelOutcome::Ready { tracking_number } => Decision::one(ShipmentReady {
                order_id,
                carrier: carrier.to_owned(),
                tracking_number: tracking_number.clone(),
            }),
            LabelOutcome::Refused { code } => Decision::one(ShipmentRefused {
                order_id,
                attempt: self.refusals.saturating_add(1),
                reason: code.clone(),
            }),
            LabelOutcome::Unknown { .. } => Decision::AlreadyDone,
        }
    }

    fn dispatch(&self, carrier: Option<&str>, tracking_number: Option<&str>) -> Decision<ShipmentEvent> {
        let Some(order_id) = self.order_id else {
            return not_found().into();
        };
        let carrier = carrier.or(self.carrier());
        let number = tracking_number.or(self.tracking_number());
        if self.state.is_dispatched() {
            let same = number.map(number_key) == self.tracking_number().map(number_key);
            return if carrier == self.carrier() && same {
                Decision::AlreadyDone
            } else {
                conflict(self, "the parcel is handed over already").into()
            };
        }
        if self.state == ShipmentState::Cancelled {
            return conflict(self, "the shipment was called off").into();
        }
        let (Some(carrier), Some(number)) = (carrier, number) else {
            return conflict(self, "there is no label: carrier and tracking number must be given").into();
        };
        for (pointer, text) in [("/carrier", carrier), ("/tracking_number", number)] {
            if let Err(refusal) = check_name(pointer, text) {
                return refusal.into();
            }
        }
        let dispatched =
            ShipmentDispatched { order_id, carrier: carrier.to_owned(), tracking_number: number.to_owned() };
        // What the carrier reported before counts from now on.
        let ours = self.label.as_ref().is_some_and(|(known, _)| known == carrier);
        let told = self.early.filter(|_| ours).map(|(_, status)| status_event(status, order_id));
        Decision::Record(std::iter::once(dispatched.into()).chain(told).collect())
    }

    fn correct_tracking_number(&self, number: &str, reason: &Remark) -> Decision<ShipmentEvent> {
        let Some(order_id) = self.order_id else {
            return not_found().into();
        };
        let Some(previous) = self.tracking_number() else {
            return conflict(self, "there is no number yet: dispatching the parcel gives it one").into();
        };
        if previous == number {
            return Decision::AlreadyDone;
        }
        if self.state == ShipmentState::Cancelled {
            return conflict(self, "the shipment was called off").into();
        }
        if let Err(refusal) = check_name("/tracking_number", number).and_then(|()| checks::remark(reason)) {
            return refusal.into();
        }
        Decision::one(TrackingNumberCorrected {
            order_id,
            previous: previous.to_owned(),
            tracking_number: number.to_owned(),
            reason: reason.clone(),
        })
    }

    fn cancel(&self, reason: &str) -> Decision<ShipmentEvent> {
        let Some(order_id) = self.order_id else {
            return not_found().into();
        };
        if self.state == ShipmentState::Cancelled {
            return Decision::AlreadyDone;
        }
        if self.state.is_dispatched() {
            return conflict(self, "the parcel is handed over already").into();
        }
        Decision::one(ShipmentCancelled { order_id, reason: reason.to_owned() })
    }
}
