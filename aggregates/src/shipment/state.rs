//! The state of a parcel.

use jangbu_kernel::{OrderId, Sealed, Timestamp, UserId, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::{ScanStatus, ShipmentEvent};
use super::scans::scan_key;
use crate::order::OrderLine;

/// Where a parcel stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ShipmentState {
    /// There is no such parcel.
    #[default]
    None,
    /// The carrier is being asked for a label.
    Requested,
    /// There is a label.
    Ready,
    /// The carrier has it.
    Dispatched,
    /// It is moving.
    InTransit,
    /// It is on the last vehicle.
    OutForDelivery,
    /// Nobody opened.
    AttemptFailed,
    /// Something is wrong with it.
    Exception,
    /// It is handed over.
    Delivered,
    /// It is back at the shop.
    Returned,
    /// It is gone.
    Lost,
    /// It was called off.
    Cancelled,
}

named!(ShipmentState);

impl ShipmentState {
    /// The state that a scan reports.
    #[must_use]
    pub const fn of_scan(status: ScanStatus) -> Self {
        match status {
            ScanStatus::InTransit => Self::InTransit,
            ScanStatus::OutForDelivery => Self::OutForDelivery,
            ScanStatus::AttemptFailed => Self::AttemptFailed,
            ScanStatus::Exception => Self::Exception,
            ScanStatus::Delivered => Self::Delivered,
            ScanStatus::Returned => Self::Returned,
            ScanStatus::Lost => Self::Lost,
        }
    }

    /// Whether the carrier has it, or had it.
    #[must_use]
    pub const fn is_dispatched(self) -> bool {
        match self {
            Self::None | Self::Requested | Self::Ready | Self::Cancelled => false,
            Self::Dispatched
            | Self::InTransit
            | Self::OutForDelivery
            | Self::AttemptFailed
            | Self::Exception
            | Self::Delivered
            | Self::Returned
            | Self::Lost => true,
        }
    }
}

/// A parcel.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Shipment {
    pub(super) order_id: Option<OrderId>,
    user_id: Option<UserId>,
    lines: Vec<OrderLine>,
    shipping_address: Option<Sealed>,
    /// The carrier that is asked for the label.
    pub(super) asked: Option<String>,
    pub(super) state: ShipmentState,
    pub(super) refusals: u32,
    pub(super) label: Option<(String, String)>,
    pub(super) dispatched_with: Option<(String, String)>,
    /// The newest scan by the label's carrier that came before the hand-over could be recorded.
    pub(super) early: Option<(Timestamp, ScanStatus)>,
    pub(super) scans: Vec<Uuid>,
    pub(super) latest_scan_at: Option<Timestamp>,
}

impl Shipment {
    /// Its state.
    #[must_use]
    pub const fn state(&self) -> ShipmentState {
        self.state
    }
    /// Whether it exists.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.order_id.is_some()
    }
    /// The order whose goods are in it.
    #[must_use]
    pub const fn order_id(&self) -> Option<OrderId> {
        self.order_id
    }
    /// Who receives it.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        self.user_id
    }
    /// What is in it.
    #[must_use]
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }
    /// The delivery address, sealed.
    #[must_use]
    pub const fn shipping_address(&self) -> Option<&Sealed> {
        self.shipping_address.as_ref()
    }
    /// The carrier that is asked for the label, by its name.
    #[must_use]
    pub fn asked_carrier(&self) -> Option<&str> {
        self.asked.as_deref()
    }
    /// Whether a carrier was ever involved: it was asked for the label, or got the parcel.
    #[must_use]
    pub fn is_known_to(&self, carrier: &str) -> bool {
        let names = [&self.label, &self.dispatched_with].into_iter().flatten().map(|(name, _)| name);
        names.chain(&self.asked).any(|name| name == carrier)
    }
    /// The carrier, once it is known.
    #[must_use]
    pub fn carrier(&self) -> Option<&str> {
        self.dispatched_with.as_ref().or(self.label.as_ref()).map(|(carrier, _)| carrier.as_str())
    }
    /// The tracking number, once there is one.
    #[must_use]
    pub fn tracking_number(&self) -> Option<&str> {
        self.dispatched_with.as_ref().or(self.label.as_ref()).map(|(_, number)| number.as_str())
    }
    /// How often a carrier refused the label.
    #[must_use]
    pub const fn refusals(&self) -> u32 {
        self.refusals
    }
    /// Whether the label of this attempt (from 1) is still to be requested. An attempt is over once
    /// it was refused, or once the parcel has moved on.
    #[must_use]
    pub fn needs_label(&self, attempt: u32) -> bool {
        self.state == ShipmentState::Requested && self.refusals < attempt
    }

    pub(super) fn apply(&mut self, event: &ShipmentEvent) {
        match event {
            ShipmentEvent::Requested(requested) => {
                self.order_id = Some(requested.order_id);
                self.user_id = Some(requested.user_id);
                self.lines.clone_from(&requested.lines);
                self.shipping_address = Some(requested.shipping_address.clone());
                self.asked = Some(requested.carrier.clone());
                self.state = ShipmentState::Requested;
            }
            ShipmentEvent::Refused(refused) => self.refusals = refused.attempt,
            ShipmentEvent::Ready(ready) => {
                self.label = Some((ready.carrier.clone(), ready.tracking_number.clone()));
                self.state = ShipmentState::Ready;
            }
            ShipmentEvent::Dispatched(dispatched) => {
                self.dispatched_with = Some((dispatched.carrier.clone(), dispatched.tracking_number.clone()));
                self.state = ShipmentState::Dispatched;
            }
            ShipmentEvent::ScanRecorded(scan) => {
                let told = scan.told();
                self.scans.push(scan_key(&told));
                if self.is_handed_over_by(&told) && self.early.is_none_or(|(at, _)| at <= scan.at) {
                    self.early = Some((scan.at, scan.status));
                }
                if scan.ignored_because.is_none() && scan.received_at.is_none() {
                    self.latest_scan_at = self.latest_scan_at.max(Some(scan.at));
                }
            }
            ShipmentEvent::InTransit(_) => self.state = ShipmentState::InTransit,
            ShipmentEvent::OutForDelivery(_) => self.state = ShipmentState::OutForDelivery,
            ShipmentEvent::AttemptFailed(_) => self.state = ShipmentState::AttemptFailed,
            ShipmentEvent::ExceptionReported(_) => self.state = ShipmentState::Exception,
            ShipmentEvent::Delivered(_) => self.state = ShipmentState::Delivered,
            ShipmentEvent::Returned(_) => self.state = ShipmentState::Returned,
            ShipmentEvent::Lost(_) => self.state = ShipmentState::Lost,
            ShipmentEvent::Cancelled(_) => self.state = ShipmentState::Cancelled,
            ShipmentEvent::TrackingNumberCorrected(corrected) => {
                if let Some((_, number)) = self.dispatched_with.as_mut().or(self.label.as_mut()) {
                    number.clone_from(&corrected.tracking_number);
                }
            }
        }
    }
}
