//! The state of a return.

use jangbu_kernel::{Money, OrderId, Timestamp, UserId, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{InspectedLine, Remedy, Replacement, ReturnEvent, ReturnReason, ReturnRequested, WayBack};
use crate::order::OrderLine;

/// How far a return has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReturnStatus {
    /// Staff have to decide.
    Requested,
    /// The goods may be sent back.
    Approved,
    /// The goods are on their way back.
    InTransit,
    /// The goods are at the shop.
    Received,
    /// Somebody looked at the goods.
    Inspected,
    /// The buyer gets the money or the goods.
    Closed,
    /// The shop does not take the goods back.
    Rejected,
    /// The goods stay with the buyer.
    Withdrawn,
}

named!(ReturnStatus);

impl ReturnStatus {
    /// The commands that people can give in this status, by name.
    #[must_use]
    pub const fn allowed_commands(self) -> &'static [&'static str] {
        match self {
            Self::Requested => &["approve_return", "reject_return", "withdraw_return"],
            Self::Approved => &["send_return", "receive_return", "withdraw_return"],
            Self::InTransit => &["send_return", "receive_return"],
            Self::Received => &["inspect_return"],
            Self::Inspected => &["close_return"],
            Self::Closed | Self::Rejected | Self::Withdrawn => &[],
        }
    }
}

/// A return; before it is requested, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Return {
    pub(super) case: Option<Case>,
}

/// What is known of a return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Case {
    pub(super) status: ReturnStatus,
    pub(super) order_id: OrderId,
    pub(super) user_id: UserId,
    pub(super) reason: ReturnReason,
    pub(super) remedy: Remedy,
    pub(super) way_back: WayBack,
    pub(super) lines: Vec<OrderLine>,
    pub(super) replacement: Option<Replacement>,
    pub(super) fee: Option<Money>,
    pub(super) send_by: Option<Timestamp>,
    /// Carrier and number.
    pub(super) parcel: Option<(String, String)>,
    pub(super) inspected: Vec<InspectedLine>,
}

impl Case {
    fn new(requested: &ReturnRequested) -> Self {
        Self {
            status: ReturnStatus::Requested,
            order_id: requested.order_id,
            user_id: requested.user_id,
            reason: requested.reason,
            remedy: requested.remedy,
            way_back: requested.way_back,
            lines: requested.lines.clone(),
            replacement: requested.replacement.clone(),
            fee: None,
            send_by: None,
            parcel: None,
            inspected: Vec::new(),
        }
    }

    fn evolve(&mut self, event: &ReturnEvent) {
        match event {
            // Decided only once per stream; another one changes nothing.
            ReturnEvent::Requested(_) => {}
            ReturnEvent::Approved(approved) => {
                self.status = ReturnStatus::Approved;
                self.fee = Some(approved.fee);
                self.send_by = Some(approved.send_by);
            }
            ReturnEvent::Rejected(_) => self.status = ReturnStatus::Rejected,
            ReturnEvent::Withdrawn(_) => self.status = ReturnStatus::Withdrawn,
            ReturnEvent::Sent(sent) => {
                self.status = ReturnStatus::InTransit;
                self.parcel = Some((sent.carrier.clone(), sent.tracking_number.clone()));
            }
            ReturnEvent::Received(_) => self.status = ReturnStatus::Received,
            ReturnEvent::Inspected(inspected) => {
                self.status = ReturnStatus::Inspected;
                self.inspected.clone_from(&inspected.lines);
            }
            ReturnEvent::Closed(_) => self.status = ReturnStatus::Closed,
        }
    }
}

impl Return {
    pub(super) fn fold(&mut self, event: &ReturnEvent) {
        match (&mut self.case, event) {
            (Some(case), event) => case.evolve(event),
            (None, ReturnEvent::Requested(requested)) => self.case = Some(Case::new(requested)),
            (None, _) => {}
        }
    }

    /// Its status; none before it is requested.
    #[must_use]
    pub fn status(&self) -> Option<ReturnStatus> {
        self.case.as_ref().map(|case| case.status)
    }
    /// The order whose goods come back.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.case.as_ref().map(|case| case.order_id)
    }
    /// The buyer.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.case.as_ref().map(|case| case.user_id)
    }
    /// Why the goods come back.
    #[must_use]
    pub fn reason(&self) -> Option<ReturnReason> {
        self.case.as_ref().map(|case| case.reason)
    }
    /// What the buyer wants for them.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        self.case.as_ref().map(|case| case.remedy)
    }
    /// The further order that an exchange leads to.
    #[must_use]
    pub fn replacement(&self) -> Option<&Replacement> {
        self.case.as_ref().and_then(|case| case.replacement.as_ref())
    }
    /// What is taken off a refund for the way back.
    #[must_use]
    pub fn fee(&self) -> Option<Money> {
        self.case.as_ref().and_then(|case| case.fee)
    }
    /// The goods that are to come back, one line per product.
    #[must_use]
    pub fn lines(&self) -> &[OrderLine] {
        self.case.as_ref().map_or(&[], |case| &case.lines)
    }
    /// What was found.
    #[must_use]
    pub fn inspected(&self) -> &[InspectedLine] {
        self.case.as_ref().map_or(&[], |case| &case.inspected)
    }
    /// The goods that came back, at the prices of the order. None if the amounts cannot be counted.
    #[must_use]
    pub fn came_back(&self) -> Option<Vec<OrderLine>> {
        let found = self.inspected().iter().filter(|found| found.came_back() > 0);
        let line = |found: &InspectedLine| {
            let asked = self.lines().iter().find(|line| line.product_id == found.product_id)?;
            let line_total = asked.unit_price.checked_mul(found.came_back()).ok()?;
            Some(OrderLine { quantity: found.came_back(), line_total, ..asked.clone() })
        };
        found.map(line).collect()
    }
}
