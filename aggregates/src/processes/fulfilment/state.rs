//! The state of the process: a fold of its own stream and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_kernel::{CommandId, OrderId, PaymentId, RefundId, ShipmentId, StreamId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::{
    CommandIssued, FulfilmentEvent, FulfilmentOutcome, InputName, InputReceived, OperatorAction, OperatorResolved,
    ProcessCommand, ProcessFact, ShipmentNews, Step, TimerName,
};
use super::knowledge::{At, ChargePhase, KnownOrder, KnownPayment, KnownShipment, OrderPhase};
use super::reason::ParkReason;
use super::trouble::Trouble;

/// Namespace of the ids that a process derives. Storage format: never change.
const PROCESS_NAMESPACE: Uuid = Uuid::from_u128(0x2b9a_61f4_0d37_4c55_8e0a_94c1_77d2_3e6b);

/// Why an instance is parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Parked {
    pub reason: ParkReason,
    pub step: Step,
}

/// A command that went out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Issued {
    pub command: ProcessCommand,
    /// The id it went out with last.
    pub command_id: CommandId,
    /// How often it went out.
    pub times: u32,
    /// The code of its refusal, when the last one was refused.
    pub refused: Option<String>,
    /// It was refused, and something has changed since.
    pub again: bool,
}

/// The fulfilment of an order.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Fulfilment {
    pub(super) order_id: Option<OrderId>,
    pub(super) payment_deadline: Option<Timestamp>,
    /// The events of other streams that were taken in.
    pub(super) seen: BTreeSet<InputName>,
    pub(super) order: KnownOrder,
    pub(super) payments: Vec<KnownPayment>,
    pub(super) shipments: Vec<KnownShipment>,
    pub(super) issued: Vec<Issued>,
    pub(super) timers: BTreeMap<TimerName, Timestamp>,
    pub(super) deadline_reached: bool,
    pub(super) completion_due: Option<Timestamp>,
    pub(super) completion_reached: bool,
    pub(super) step: Step,
    pub(super) compensating: Option<String>,
    pub(super) parked: Option<Parked>,
    pub(super) outcome: Option<FulfilmentOutcome>,
    /// How often a person resumed it: every limit counts anew.
    pub(super) resumes: u32,
    /// Rings of the retry timer since the last fact.
    pub(super) retry_rings: u32,
}

impl Fulfilment {
    /// The order; none before it is known to be placed.
    #[must_use]
    pub const fn order_id(&self) -> Option<OrderId> {
        self.order_id
    }

    /// The current step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Whether it is undoing, because something failed for good or a person decided so.
    #[must_use]
    pub const fn is_compensating(&self) -> bool {
        self.compensating.is_some()
    }

    /// Why a person has to decide; none if nobody has to.
    #[must_use]
    pub fn parked_reason(&self) -> Option<&str> {
        self.parked.as_ref().map(|parked| parked.reason.as_str())
    }

    /// How it ended; none if it has not.
    #[must_use]
    pub const fn outcome(&self) -> Option<FulfilmentOutcome> {
        self.outcome
    }

    /// How many events of other streams were taken in.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.seen.len()
    }

    /// The timers that are set, by name.
    #[must_use]
    pub const fn timers(&self) -> &BTreeMap<TimerName, Timestamp> {
        &self.timers
    }

    /// The commands that were issued and whose effect, or refusal, was not seen yet.
    pub fn open_commands(&self) -> impl Iterator<Item = (CommandId, &ProcessCommand)> {
        self.issued
            .iter()
            .filter(|issued| issued.refused.is_none() && !self.is_answered(&issued.command))
            .map(|issued| (issued.command_id, &issued.command))
    }

    /// Whether nothing is under way: no command is unanswered, and the step waits for a person, for
    /// something outside, or for a deadline that is not part of the processing. What a parked
    /// process has given up is not under way; a refund that is settled meanwhile is.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        if self.timers.contains_key(&TimerName::RefundRetry) {
            return false;
        }
        let waits = match self.step {
            Step::NeedsOperator => {
                return !self.open_commands().any(|(_, command)| matches!(command, ProcessCommand::HoldOrder { .. }));
            }
            Step::AwaitingPayment
            | Step::AwaitingChallenge
            | Step::AwaitingDeposit
            | Step::Delivering
            | Step::AwaitingCompletion
            | Step::Ended => true,
            Step::Shipping => self.order.held.value,
            Step::NotStarted
            | Step::Capturing
            | Step::Inquiring
            | Step::Confirming
            | Step::Cancelling
            | Step::Compensating
            | Step::ReturningLatePayment => false,
        };
        waits && !self.timers.contains_key(&TimerName::CommandRetry) && self.open_commands().next().is_none()
    }

    pub(super) fn payment(&self, id: PaymentId) -> Option<&KnownPayment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    pub(super) fn shipment(&self, id: ShipmentId) -> Option<&KnownShipment> {
        self.shipments.iter().find(|shipment| shipment.id == id)
    }

    pub(super) fn issued(&self, command: &ProcessCommand) -> Option<&Issued> {
        self.issued.iter().find(|issued| issued.command == *command)
    }

    /// Whether the effect of a command is known to be there, or can never come.
    pub(super) fn is_answered(&self, command: &ProcessCommand) -> bool {
        let phase = self.order.phase.value;
        let payment = |id: &PaymentId| self.payment(*id);
        let decided =
            |id: &PaymentId| payment(id).is_some_and(|payment| payment.captured.is_some() || payment.ended.is_some());
        match command {
            ProcessCommand::CapturePayment { payment_id } => {
                decided(payment_id) || payment(payment_id).is_some_and(KnownPayment::was_asked)
            }
            ProcessCommand::ConfirmCharge { payment_id } => {
                let confirmed = ChargePhase::Confirmed;
                decided(payment_id) || payment(payment_id).is_some_and(|payment| payment.charge.value != confirmed)
            }
            ProcessCommand::InquirePayment { payment_id, attempt } => {
                // An inquiry that finds that the buyer has not paid yet causes no event.
                let waits = |payment: &KnownPayment| payment.charge.value == ChargePhase::Deposit;
                decided(payment_id)
                    || payment(payment_id).is_some_and(|payment| payment.undecided >= *attempt || waits(payment))
            }
            ProcessCommand::NetCancelPayment { payment_id, .. } => decided(payment_id),
            ProcessCommand::ConfirmOrder { .. } | ProcessCommand::ExpireOrder => phase != OrderPhase::Unpaid,
            ProcessCommand::RecordPaymentFailure { payment_id, .. } => {
                phase != OrderPhase::Unpaid || payment(payment_id).is_some_and(|payment| payment.failure_noted)
            }
            ProcessCommand::RequestShipment { shipment_id } => self.shipment(*shipment_id).is_some(),
            ProcessCommand::BookCarrier { shipment_id, attempt } => {
                self.shipment(*shipment_id).is_some_and(|shipment| {
                    shipment.refusals >= *attempt || shipment.status.value != ShipmentNews::Requested
                })
            }
            ProcessCommand::CancelShipment { shipment_id, .. } => {
                self.shipment(*shipment_id).is_some_and(|shipment| shipment.left() || shipment.is_undone())
            }
            ProcessCommand::RequestRefund { payment_id, refund_id, .. } => payment(payment_id)
                .is_some_and(|payment| payment.refund(*refund_id).is_some() || !payment.unclaimed().is_positive()),
            ProcessCommand::SettleRefund { payment_id, refund_id, .. } => payment(payment_id)
                .and_then(|payment| payment.refund(*refund_id))
                .is_some_and(|refund| refund.settled || refund.refused),
            ProcessCommand::CancelOrder { .. } => phase == OrderPhase::Cancelling || phase.has_ended(),
            ProcessCommand::FinishCancellation | ProcessCommand::FailOrder { .. } => phase.has_ended(),
            ProcessCommand::RecordLatePayment { payment_id } => {
                payment(payment_id).is_some_and(|payment| payment.lateness_noted)
            }
            ProcessCommand::MarkDelivered => phase == OrderPhase::Delivered || phase.has_ended(),
            ProcessCommand::CompleteOrder => phase.has_ended(),
            ProcessCommand::HoldOrder { .. } => self.order.was_held || phase.has_ended(),
        }
    }

    /// The trouble that a person can end by refunding, by sending again or by accepting it.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.parked.as_ref().and_then(|parked| Trouble::of_reason(&parked.reason))
    }

    /// Whether it waits for a decision about an amount that was captured meanwhile.
    pub(super) fn is_parked_for_nothing(&self) -> bool {
        let mismatched =
            |payment: &KnownPayment| payment.is_undecided() && payment.charge.value == ChargePhase::Mismatch;
        self.trouble() == Some(Trouble::PaymentMismatch)
            && !self.payments.iter().any(mismatched)
            && self.payments.iter().any(|payment| payment.captured.is_some() && payment.ended.is_none())
    }

    /// Whether a further parcel replaces this one: it is lost or came back, lines that it was to hold
    /// were cancelled, or the order goes elsewhere.
    pub(super) fn is_replaced(&self, shipment: &KnownShipment) -> bool {
        let stands = |other: &KnownShipment| other.id != shipment.id && !other.is_gone_astray() && !other.replaced;
        shipment.replaced || (shipment.is_gone_astray() && shipment.acknowledged && self.shipments.iter().any(stands))
    }

    /// Whether everything that the order was paid with was refunded, so that nothing is to be sent.
    pub(super) fn is_refunded_whole(&self) -> bool {
        let paid_by =
            self.order.paid_by.and_then(|payment_id| self.payments.iter().find(|known| known.id == payment_id));
        paid_by.is_some_and(|payment| {
            payment.captured.is_some_and(|captured| captured.is_positive()) && !payment.outstanding().is_positive()
        })
    }

    /// An id that is derived from the order and from what it is for, and never changes.
    pub(super) fn derived_id(&self, what: &str) -> Uuid {
        let order_id = self.order_id.map_or(Uuid::nil(), OrderId::uuid);
        derive_id(OrderId::new(order_id), what)
    }

    /// The id of the process's own full refund of a payment, by its number from 0.
    pub(super) fn own_refund_id(&self, payment_id: PaymentId, number: usize) -> RefundId {
        RefundId::new(self.derived_id(&format!("refund/{payment_id}/{number}")))
    }

    /// The process's own refunds of a payment: how many are known, how many were refused.
    pub(super) fn own_refunds(&self, payment: &KnownPayment) -> (usize, u32) {
        let mut known = 0;
        let mut refused = 0_u32;
        // Each number is used only after the one before it is known.
        while let Some(refund) = payment.refund(self.own_refund_id(payment.id, known)) {
            known += 1;
            refused = refused.saturating_add(u32::from(refund.refused));
        }
        (known, refused)
    }

    pub(super) fn apply(&mut self, event: &FulfilmentEvent) {
        match event {
            FulfilmentEvent::Started(started) => {
                self.order_id = Some(started.order_id);
                self.payment_deadline = Some(started.payment_deadline);
                self.seen.extend(started.first_input.map(InputName::Logged));
                self.step = Step::AwaitingPayment;
                self.timers.extend([started.timer()]);
            }
            FulfilmentEvent::InputReceived(input) => {
                self.apply_input(input);
                self.step = input.step.unwrap_or(self.step);
                for issued in &input.issued {
                    self.apply_issued(issued);
                }
            }
            // The events that were set aside are in their own streams, and are learned from later.
            FulfilmentEvent::InputsSetAside(_) => {}
            FulfilmentEvent::StepEntered(entered) => self.step = entered.step,
            FulfilmentEvent::CommandIssued(issued) => self.apply_issued(issued),
            FulfilmentEvent::CommandRefused(refused) => {
                if let Some(issued) = self.issued.iter_mut().find(|issued| issued.command_id == refused.command_id) {
                    issued.refused = Some(refused.code.clone());
                    issued.again = false;
                }
            }
            FulfilmentEvent::TimerSet(set) => {
                self.timers.insert(set.timer, set.due_at);
                if set.timer == TimerName::Completion {
                    self.completion_due = Some(set.due_at);
                }
            }
            FulfilmentEvent::TimerCancelled(cancelled) => {
                self.timers.remove(&cancelled.timer);
            }
            FulfilmentEvent::TimerReached(reached) => {
                self.timers.remove(&reached.timer);
                self.apply_ring(reached.timer);
            }
            FulfilmentEvent::CompensationStarted(started) => self.compensating = Some(started.reason.clone()),
            FulfilmentEvent::Parked(parked) => {
                self.parked = Some(Parked { reason: parked.reason.clone(), step: parked.step });
            }
            FulfilmentEvent::OperatorResolved(resolved) => self.apply_resolution(resolved),
            FulfilmentEvent::Ended(ended) => self.outcome = Some(ended.outcome),
        }
    }

    pub(super) fn apply_issued(&mut self, CommandIssued { command_id, command }: &CommandIssued) {
        let command_id = *command_id;
        if let ProcessCommand::NetCancelPayment { payment_id, .. } = command {
            let payment = self.payment_mut(*payment_id);
            payment.net_cancel_since.get_or_insert(payment.rings);
        }
        match self.issued.iter_mut().find(|issued| issued.command == *command) {
            Some(issued) => {
                issued.command_id = command_id;
                issued.times = issued.times.saturating_add(1);
                issued.refused = None;
                issued.again = false;
            }
            None => {
                self.issued.push(Issued { command: command.clone(), command_id, times: 1, refused: None, again: false })
            }
        }
    }

    fn apply_input(&mut self, input: &InputReceived) {
        let at = At::from(input.input);
        self.seen.insert(input.input);
        self.retry_rings = 0;
        self.try_refused_again();
        match &input.fact {
            // Every order begins unpaid; `fulfilment.started` says the rest.
            ProcessFact::OrderPlaced => {}
            ProcessFact::OrderPaymentFailed { payment_id } => self.payment_mut(*payment_id).failure_noted = true,
            ProcessFact::OrderPaid { payment_id } => {
                self.order.paid_by = *payment_id;
                self.order.phase.tell(OrderPhase::Paid, at);
            }
            ProcessFact::OrderDelivered => self.order.phase.tell(OrderPhase::Delivered, at),
            ProcessFact::OrderCompleted => self.order.phase.tell(OrderPhase::Completed, at),
            ProcessFact::OrderCancellationRequested => self.order.phase.tell(OrderPhase::Cancelling, at),
            ProcessFact::OrderCancelled => self.order.phase.tell(OrderPhase::Cancelled, at),
            ProcessFact::OrderExpired => self.order.phase.tell(OrderPhase::Expired, at),
            ProcessFact::OrderFailed => self.order.phase.tell(OrderPhase::Failed, at),
            ProcessFact::OrderLatePayment { payment_id } => self.payment_mut(*payment_id).lateness_noted = true,
            ProcessFact::OrderParcelReplaced { shipment_id } => self.shipment_mut(*shipment_id).replaced = true,
            ProcessFact::OrderHeld => {
                self.order.held.tell(true, at);
                self.order.was_held = true;
            }
            ProcessFact::OrderReleased => self.order.held.tell(false, at),
            ProcessFact::OrderReturnOpened { return_id } => {
                self.order.returns.entry(*return_id).or_default().tell(true, at);
            }
            ProcessFact::OrderReturnEnded { return_id } => {
                self.order.returns.entry(*return_id).or_default().tell(false, at);
            }
            ProcessFact::Payment { payment_id, news } => self.payment_mut(*payment_id).learn(news, at),
            ProcessFact::Shipment { shipment_id, news } => self.shipment_mut(*shipment_id).learn(*news, at),
        }
    }

    fn apply_ring(&mut self, timer: TimerName) {
        match timer {
            TimerName::PaymentDeadline => self.deadline_reached = true,
            TimerName::Completion => self.completion_reached = true,
            TimerName::CommandRetry => {
                self.retry_rings = self.retry_rings.saturating_add(1);
                self.try_refused_again();
            }
            TimerName::Inquiry => self.ring_payments(),
            TimerName::LabelRetry => {
                for shipment in &mut self.shipments {
                    shipment.label_rings = shipment.label_rings.saturating_add(1);
                }
            }
            TimerName::CancelRetry => {
                for shipment in &mut self.shipments {
                    shipment.cancel_rings = shipment.cancel_rings.saturating_add(1);
                }
            }
            TimerName::RefundRetry => self.ring_refunds(),
        }
    }

    fn ring_payments(&mut self) {
        for payment in self.payments.iter_mut().filter(|payment| payment.is_undecided()) {
            payment.rings = payment.rings.saturating_add(1);
        }
    }

    fn ring_refunds(&mut self) {
        let refused: Vec<u32> = self.payments.iter().map(|payment| self.own_refunds(payment).1).collect();
        for (payment, refused) in self.payments.iter_mut().zip(refused) {
            payment.refund_tries = refused;
            for refund in payment.refunds.iter_mut().filter(|refund| refund.is_open()) {
                refund.rings = refund.rings.saturating_add(1);
            }
        }
    }

    fn try_refused_again(&mut self) {
        for issued in self.issued.iter_mut().filter(|issued| issued.refused.is_some()) {
            issued.again = true;
        }
    }

    /// After every resolution, what waited for a retry is tried at once.
    fn apply_resolution(&mut self, resolved: &OperatorResolved) {
        let reason = self.parked.take().map(|parked| parked.reason);
        self.resumes = self.resumes.saturating_add(1);
        self.retry_rings = 0;
        self.try_refused_again();
        self.ring_payments();
        self.ring_refunds();
        for shipment in &mut self.shipments {
            shipment.label_rings = shipment.label_rings.saturating_add(1);
            shipment.cancel_rings = shipment.cancel_rings.saturating_add(1);
            shipment.acknowledged |= shipment.is_gone_astray();
        }
        if resolved.action != OperatorAction::Skip {
            return;
        }
        if reason.as_ref().is_some_and(ParkReason::is_about_refunds) {
            for payment in self.payments.iter_mut().filter(|payment| payment.captured.is_some()) {
                payment.written_off = true;
            }
        }
        let undoes_shipment = reason.as_ref().is_some_and(ParkReason::is_about_undoing_shipment);
        // While the order is still to be sent, only replaced parcels are being cancelled.
        let going_on = self.order.phase.value == OrderPhase::Paid && self.compensating.is_none();
        for shipment in &mut self.shipments {
            if shipment.is_gone_astray() {
                shipment.taken_as_delivered = true;
            } else {
                shipment.taken_as_cancelled |= undoes_shipment && (shipment.replaced || !going_on);
            }
        }
    }

    fn payment_mut(&mut self, id: PaymentId) -> &mut KnownPayment {
        let known = self.payments.iter().position(|payment| payment.id == id);
        let index = known.unwrap_or(self.payments.len());
        if known.is_none() {
            self.payments.push(KnownPayment::new(id));
        }
        #[expect(clippy::indexing_slicing, reason = "the index was found or pushed just above")]
        &mut self.payments[index]
    }

    fn shipment_mut(&mut self, id: ShipmentId) -> &mut KnownShipment {
        let known = self.shipments.iter().position(|shipment| shipment.id == id);
        let index = known.unwrap_or(self.shipments.len());
        if known.is_none() {
            self.shipments.push(KnownShipment::new(id));
        }
        #[expect(clippy::indexing_slicing, reason = "the index was found or pushed just above")]
        &mut self.shipments[index]
    }
}

/// UUID v5 of the process's stream and of what the id is for.
pub(super) fn derive_id(order_id: OrderId, what: &str) -> Uuid {
    let name = format!("{}/{what}", StreamId::fulfilment(order_id));
    Uuid::new_v5(&PROCESS_NAMESPACE, name.as_bytes())
}
