//! Scans of a parcel: which are new, and which change something.

use jangbu_kernel::time::{rfc3339, to_millis};
use jangbu_kernel::{Decision, OrderId, Refusal, RefusalCode, Remark, Timestamp, text};
use uuid::Uuid;

use super::command::Scan;
use super::decide::{conflict, not_found};
use super::event::{
    ScanRecorded, ScanStatus, ShipmentAttemptFailed, ShipmentDelivered, ShipmentEvent, ShipmentExceptionReported,
    ShipmentInTransit, ShipmentLost, ShipmentOutForDelivery, ShipmentReturned,
};
use super::state::{Shipment, ShipmentState};
use crate::facts::Facts;

/// The carrier of a scan that was made by the shop's staff.
pub const STAFF: &str = "staff";

/// Scans kept of one parcel. A real journey has about ten; a carrier that repeats itself with new
/// times must not grow the stream without end.
pub const MAX_SCANS: usize = 500;

/// Longest code, place or remark of a scan, in characters.
pub const MAX_SCAN_TEXT: usize = 300;

/// Namespace of scan keys. Storage format of snapshots: never change.
const SCAN_NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_5c0e_2f5b_4a8e_9d1b_7c3a_5e0f_8b21);

/// The identity of a scan: carrier, number, time, code, place and status. The Unicode form of its
/// texts does not matter.
pub(super) fn scan_key(scan: &Scan) -> Uuid {
    let fields = [
        text::composed(&scan.carrier),
        number_key(&scan.tracking_number),
        rfc3339(scan.at),
        text::composed(&scan.code),
        text::composed(&scan.place),
        ShipmentState::of_scan(scan.status).name().to_owned(),
    ];
    // The length before each field keeps ("ab", "c") apart from ("a", "bc").
    let mut text = String::new();
    for field in fields {
        text.push_str(&field.len().to_string());
        text.push(':');
        text.push_str(&field);
    }
    Uuid::new_v5(&SCAN_NAMESPACE, text.as_bytes())
}

/// A tracking number in the form in which it is compared: people and carriers write it with or
/// without blanks and hyphens, and in letters of any width. One without a letter or digit is
/// compared as a whole.
#[must_use]
pub fn number_key(number: &str) -> String {
    let key = text::key(number);
    if key.is_empty() { text::folded(number) } else { key }
}

impl Scan {
    pub(super) fn recorded(
        self,
        order_id: OrderId,
        received_at: Option<Timestamp>,
        ignored_because: Option<String>,
    ) -> ScanRecorded {
        let Self { carrier, tracking_number, status, code, place, at, note } = self;
        ScanRecorded { order_id, carrier, tracking_number, status, code, place, at, received_at, note, ignored_because }
    }
}

impl ScanRecorded {
    /// The scan, as it was reported.
    pub(super) fn told(&self) -> Scan {
        Scan {
            carrier: self.carrier.clone(),
            tracking_number: self.tracking_number.clone(),
            status: self.status,
            code: self.code.clone(),
            place: self.place.clone(),
            at: self.at,
            note: self.note.clone(),
        }
    }
}

impl Shipment {
    /// Whether a scan shows that the carrier has a parcel whose hand-over is not recorded yet: it
    /// is by the carrier of the label, under the label's number.
    #[must_use]
    pub fn is_handed_over_by(&self, scan: &Scan) -> bool {
        let Some((carrier, number)) = &self.label else { return false };
        self.state == ShipmentState::Ready
            && scan.carrier == *carrier
            && number_key(&scan.tracking_number) == number_key(number)
            && in_the_carriers_hands(scan.status)
    }

    /// Whether the carrier reported that it has the parcel, and the hand-over could not be
    /// recorded.
    #[must_use]
    pub const fn waits_for_hand_over(&self) -> bool {
        matches!(self.state, ShipmentState::Ready) && self.early.is_some()
    }

    pub(super) fn record_scan(&self, scan: &Scan, facts: &Facts) -> Decision<ShipmentEvent> {
        let Some(order_id) = self.order_id else {
            return not_found().into();
        };
        let mut scan = scan.clone();
        let by_staff = scan.carrier == STAFF;
        if by_staff {
            // Staff look at the parcel itself, not at its number.
            scan.tracking_number = self.tracking_number().unwrap_or_default().to_owned();
        }
        if self.scans.contains(&scan_key(&scan)) {
            return Decision::AlreadyDone;
        }
        if by_staff && !self.state.is_dispatched() {
            return conflict(self, "the parcel is not handed over").into();
        }
        if let Err(refusal) = check_texts(&scan) {
            return refusal.into();
        }
        // The latest time that is accepted from a carrier's clock.
        let latest = facts.now.checked_add_signed(facts.policy.scan_clock_tolerance).unwrap_or(facts.now);
        let ignored_because = self.reason_to_ignore(&scan, latest).map(str::to_owned);
        let reached = ShipmentState::of_scan(scan.status);
        let moves = ignored_because.is_none() && reached != self.state;
        if self.scans.len() >= MAX_SCANS && !(moves && ends_journey(scan.status)) {
            return Decision::AlreadyDone;
        }
        let status = scan.status;
        let received_at = (scan.at > latest).then_some(to_millis(facts.now));
        let mut events = vec![ShipmentEvent::from(scan.recorded(order_id, received_at, ignored_because))];
        if moves {
            events.push(status_event(status, order_id));
        }
        Decision::Record(events)
    }

    fn reason_to_ignore(&self, scan: &Scan, latest: Timestamp) -> Option<&'static str> {
        let ours = [self.label.as_ref(), self.dispatched_with.as_ref()];
        let told = number_key(&scan.tracking_number);
        let known = ours.into_iter().flatten().any(|(_, number)| number_key(number) == told);
        match self.state {
            ShipmentState::None | ShipmentState::Requested | ShipmentState::Ready => Some("not_dispatched"),
            ShipmentState::Cancelled => Some("already_cancelled"),
            ShipmentState::Returned => Some("already_returned"),
            _ if scan.carrier != STAFF && !self.is_known_to(&scan.carrier) => Some("other_carrier"),
            _ if !known && scan.carrier != STAFF => Some("other_tracking_number"),
            ShipmentState::Delivered if scan.status != ScanStatus::Returned => Some("already_delivered"),
            ShipmentState::Lost if !ends_journey(scan.status) => Some("already_lost"),
            ShipmentState::Dispatched
            | ShipmentState::InTransit
            | ShipmentState::OutForDelivery
            | ShipmentState::AttemptFailed
            | ShipmentState::Exception
            | ShipmentState::Delivered
            | ShipmentState::Lost => {
                // A time in the future orders nothing, even if it was accepted earlier.
                let newest = self.latest_scan_at.filter(|newest| *newest <= latest);
                let older = newest.is_some_and(|newest| scan.at < newest);
                // A scan that ends the journey counts, whatever the carrier's clocks say.
                (older && !ends_journey(scan.status)).then_some("older_than_known")
            }
        }
    }
}

/// Whether a status shows that the carrier has the parcel, or had it. An exception may be about
/// a label alone.
pub(super) const fn in_the_carriers_hands(status: ScanStatus) -> bool {
    match status {
        ScanStatus::InTransit
        | ScanStatus::OutForDelivery
        | ScanStatus::AttemptFailed
        | ScanStatus::Delivered
        | ScanStatus::Returned
        | ScanStatus::Lost => true,
        ScanStatus::Exception => false,
    }
}

const fn ends_journey(status: ScanStatus) -> bool {
    match status {
        ScanStatus::Delivered | ScanStatus::Returned | ScanStatus::Lost => true,
        ScanStatus::InTransit | ScanStatus::OutForDelivery | ScanStatus::AttemptFailed | ScanStatus::Exception => false,
    }
}

fn check_texts(scan: &Scan) -> Result<(), Refusal> {
    let texts = [
        ("/code", scan.code.as_str()),
        ("/place", scan.place.as_str()),
        ("/note", scan.note.as_ref().and_then(Remark::plain).unwrap_or_default()),
        ("/carrier", scan.carrier.as_str()),
        ("/tracking_number", scan.tracking_number.as_str()),
    ];
    for (pointer, text) in texts {
        if text.chars().count() > MAX_SCAN_TEXT {
            return Err(
                Refusal::new(RefusalCode::ValidationFailed, format!("at most {MAX_SCAN_TEXT} characters")).at(pointer)
            );
        }
    }
    Ok(())
}

pub(super) fn status_event(status: ScanStatus, order_id: OrderId) -> ShipmentEvent {
    match status {
        ScanStatus::InTransit => ShipmentInTransit { order_id }.into(),
        ScanStatus::OutForDelivery => ShipmentOutForDelivery { order_id }.into(),
        ScanStatus::AttemptFailed => ShipmentAttemptFailed { order_id }.into(),
        ScanStatus::Exception => ShipmentExceptionReported { order_id }.into(),
        ScanStatus::Delivered => ShipmentDelivered { order_id }.into(),
        ScanStatus::Returned => ShipmentReturned { order_id }.into(),
        ScanStatus::Lost => ShipmentLost { order_id }.into(),
    }
}
