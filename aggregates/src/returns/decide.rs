//! What a return decides.

use std::collections::BTreeSet;

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, Money, Refusal, RefusalCode, Remark};

use super::command::ReturnCommand;
use super::event::{
    InspectedLine, Remedy, ReturnApproved, ReturnClosed, ReturnEvent, ReturnInspected, ReturnReceived, ReturnRejected,
    ReturnSent, ReturnWithdrawn, WayBack, WithdrawnBy,
};
use super::state::{Case, Return, ReturnStatus};
use crate::checks;
use crate::facts::Facts;

/// Characters of a carrier's name and of its number.
const LONGEST_MARK: usize = 50;

impl Decider for Return {
    const KIND: AggregateKind = AggregateKind::Return;
    const STATE_VERSION: u16 = 1;
    type Event = ReturnEvent;
    type Command = ReturnCommand;
    type Facts = Facts;

    fn decide(&self, command: &ReturnCommand, facts: &Facts) -> Decision<ReturnEvent> {
        match (&self.case, command) {
            (None, ReturnCommand::Request(requested)) => Decision::one(requested.as_ref().clone()),
            (Some(_), ReturnCommand::Request(_)) => Decision::AlreadyDone,
            (Some(case), command) => case.decide(command, facts),
            (
                None,
                ReturnCommand::Approve { .. }
                | ReturnCommand::Reject { .. }
                | ReturnCommand::Withdraw { .. }
                | ReturnCommand::Send { .. }
                | ReturnCommand::Receive
                | ReturnCommand::Inspect { .. }
                | ReturnCommand::Close(_),
            ) => checks::not_found("return").into(),
        }
    }

    fn evolve(&mut self, event: &ReturnEvent) {
        self.fold(event);
    }
}

impl Return {
    /// Whether the time to send the goods back is over and they are not on their way.
    #[must_use]
    pub fn has_lapsed(&self, facts: &Facts) -> bool {
        self.case.as_ref().is_some_and(|case| {
            case.status == ReturnStatus::Approved && case.send_by.is_some_and(|send_by| send_by <= facts.now)
        })
    }
}

impl Case {
    fn decide(&self, command: &ReturnCommand, facts: &Facts) -> Decision<ReturnEvent> {
        match command {
            ReturnCommand::Request(_) => Decision::AlreadyDone,
            ReturnCommand::Approve { fee } => self.approve(*fee, facts),
            ReturnCommand::Reject { reason } => self.reject(reason),
            ReturnCommand::Withdraw { by, reason } => self.withdraw(*by, reason.as_ref()),
            ReturnCommand::Send { carrier, tracking_number } => self.send(carrier, tracking_number),
            ReturnCommand::Receive => self.receive(facts),
            ReturnCommand::Inspect { lines, note } => self.inspect(lines, note.as_ref()),
            ReturnCommand::Close(closed) => self.close(closed),
        }
    }

    fn conflict(&self, detail: &str) -> Decision<ReturnEvent> {
        Refusal::new(RefusalCode::ReturnStateConflict, detail)
            .in_state(self.status.name(), self.status.allowed_commands())
            .into()
    }

    fn approve(&self, fee: Option<Money>, facts: &Facts) -> Decision<ReturnEvent> {
        match self.status {
            ReturnStatus::Requested => {}
            ReturnStatus::Approved => return Decision::AlreadyDone,
            ReturnStatus::InTransit
            | ReturnStatus::Received
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Rejected
            | ReturnStatus::Withdrawn => return self.conflict("the return is decided already"),
        }
        let Some(value) = self.lines.first().map(|line| Money::zero(line.unit_price.currency())) else {
            return self.conflict("nothing is to come back");
        };
        let fee = fee.unwrap_or(value);
        let wrong = |detail: &str| Refusal::new(RefusalCode::ValidationFailed, detail).at("/fee").into();
        if fee.currency() != value.currency() || fee.is_negative() {
            return wrong("the fee is zero or more, in the currency of the goods");
        }
        if fee.is_positive() && (self.way_back == WayBack::Shop || self.remedy == Remedy::Exchange) {
            return wrong("a fee is only taken off a refund whose way back the buyer pays");
        }
        let send_by = facts.now.checked_add_signed(facts.policy.send_back_within).unwrap_or(facts.now);
        Decision::one(ReturnApproved { fee, send_by: to_millis(send_by) })
    }

    fn reject(&self, reason: &Remark) -> Decision<ReturnEvent> {
        if let Err(refusal) = checks::remark(reason) {
            return refusal.into();
        }
        match self.status {
            ReturnStatus::Requested => Decision::one(ReturnRejected { reason: reason.clone() }),
            ReturnStatus::Rejected => Decision::AlreadyDone,
            ReturnStatus::Approved
            | ReturnStatus::InTransit
            | ReturnStatus::Received
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Withdrawn => self.conflict("the return is decided already"),
        }
    }

    fn withdraw(&self, by: WithdrawnBy, reason: Option<&Remark>) -> Decision<ReturnEvent> {
        match (by, reason) {
            (WithdrawnBy::Staff, None) => return checks::missing_reason().into(),
            (WithdrawnBy::Staff | WithdrawnBy::Buyer | WithdrawnBy::Timer, Some(reason)) => {
                if let Err(refusal) = checks::remark(reason) {
                    return refusal.into();
                }
            }
            (WithdrawnBy::Buyer | WithdrawnBy::Timer, None) => {}
        }
        match self.status {
            ReturnStatus::Requested | ReturnStatus::Approved => {
                Decision::one(ReturnWithdrawn { by, reason: reason.cloned() })
            }
            ReturnStatus::Withdrawn => Decision::AlreadyDone,
            ReturnStatus::InTransit
            | ReturnStatus::Received
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Rejected => self.conflict("the goods are on their way back, or the return has ended"),
        }
    }

    fn send(&self, carrier: &str, tracking_number: &str) -> Decision<ReturnEvent> {
        for (text, pointer) in [(carrier, "/carrier"), (tracking_number, "/tracking_number")] {
            if text.trim().is_empty() || text.chars().count() > LONGEST_MARK {
                let detail = format!("it has 1 to {LONGEST_MARK} characters");
                return Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer).into();
            }
        }
        let parcel = (carrier.to_owned(), tracking_number.to_owned());
        match self.status {
            ReturnStatus::Approved | ReturnStatus::InTransit if self.parcel.as_ref() == Some(&parcel) => {
                Decision::AlreadyDone
            }
            ReturnStatus::Approved | ReturnStatus::InTransit => {
                let (carrier, tracking_number) = parcel;
                Decision::one(ReturnSent { carrier, tracking_number })
            }
            ReturnStatus::Requested
            | ReturnStatus::Received
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Rejected
            | ReturnStatus::Withdrawn => self.conflict("the goods are not to be sent back now"),
        }
    }

    fn receive(&self, facts: &Facts) -> Decision<ReturnEvent> {
        match self.status {
            ReturnStatus::Approved | ReturnStatus::InTransit => {
                let refund_due_at = facts.policy.refund_by(to_millis(facts.now));
                Decision::one(ReturnReceived { refund_due_at })
            }
            ReturnStatus::Received => Decision::AlreadyDone,
            ReturnStatus::Requested
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Rejected
            | ReturnStatus::Withdrawn => self.conflict("no goods are expected back"),
        }
    }

    fn inspect(&self, lines: &[InspectedLine], note: Option<&Remark>) -> Decision<ReturnEvent> {
        match self.status {
            ReturnStatus::Received => {}
            ReturnStatus::Inspected if self.inspected == lines => return Decision::AlreadyDone,
            ReturnStatus::Requested
            | ReturnStatus::Approved
            | ReturnStatus::InTransit
            | ReturnStatus::Inspected
            | ReturnStatus::Closed
            | ReturnStatus::Rejected
            | ReturnStatus::Withdrawn => return self.conflict("there is nothing here to look at"),
        }
        match self.check_found(lines) {
            Ok(()) => Decision::one(ReturnInspected { lines: lines.to_vec(), note: note.cloned() }),
            Err(refusal) => refusal.into(),
        }
    }

    fn check_found(&self, lines: &[InspectedLine]) -> Result<(), Refusal> {
        let mut named = BTreeSet::new();
        for (index, found) in lines.iter().enumerate() {
            let wrong = |detail: String, field: &str| {
                Refusal::new(RefusalCode::ValidationFailed, detail).at(format!("/lines/{index}/{field}"))
            };
            let Some(asked) = self.lines.iter().find(|line| line.product_id == found.product_id) else {
                return Err(wrong(format!("{} is not to be returned", found.product_id), "product_id"));
            };
            if !named.insert(found.product_id) {
                return Err(wrong(format!("{} is named twice", found.product_id), "product_id"));
            }
            if found.came_back() > asked.quantity {
                return Err(wrong(format!("{} are to be returned", asked.quantity), "restocked"));
            }
        }
        Ok(())
    }

    fn close(&self, closed: &ReturnClosed) -> Decision<ReturnEvent> {
        match self.status {
            ReturnStatus::Inspected => Decision::one(closed.clone()),
            ReturnStatus::Closed => Decision::AlreadyDone,
            ReturnStatus::Requested
            | ReturnStatus::Approved
            | ReturnStatus::InTransit
            | ReturnStatus::Received
            | ReturnStatus::Rejected
            | ReturnStatus::Withdrawn => self.conflict("the goods have to be inspected first"),
        }
    }
}
