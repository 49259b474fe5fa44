//! What is to be done next, derived from what is known: the core of the process.
//!
//! A plan is a function of the state and the policy alone. It names every command that should have
//! been issued by now; those that were issued are not issued again. So it does not depend on the
//! order in which the inputs came.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use jangbu_kernel::{RefusalCode, ShipmentId, Timestamp};

use super::event::{FulfilmentOutcome, ProcessCommand, ShipmentNews, Step, TimerName};
use super::knowledge::{ChargePhase, KnownPayment, KnownShipment, OrderPhase};
use super::reason::ParkReason;
use super::state::Fulfilment;
use crate::policy::Policy;

/// Net-cancels before a person is asked: with the last wait of 5 minutes, about a day.
pub(super) const MAX_NET_CANCELS: u32 = 300;
/// Requests for a label without an answer, before a person is asked.
pub(super) const MAX_LABEL_ASKS: u32 = 100;
/// The carrier refuses the parcel.
const SHIPMENT_REFUSED: &str = "shipment_refused";
/// Everything that was paid was refunded before the goods left.
const REFUNDED_WHOLE: &str = "refunded_whole";
/// Another parcel replaces it: lines of it were cancelled, or the order goes elsewhere.
const PARCEL_REPLACED: &str = "parcel_replaced";
/// The parcel was cancelled although the order was to be sent.
const SHIPMENT_CANCELLED: &str = "shipment_cancelled";

/// When a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// At this moment.
    At(Timestamp),
    /// This long after now; a timer that is already set is left alone.
    After(TimeDelta),
}

/// What is to be done next.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub step: Step,
    /// The commands that should have been issued, and how often by now.
    pub commands: Vec<(ProcessCommand, u32)>,
    pub timers: BTreeMap<TimerName, Wish>,
    /// Why going forward has failed for good.
    pub compensate: Option<String>,
    /// Why a person has to decide, and whether the order is to be held meanwhile.
    pub park: Option<(ParkReason, bool)>,
}

/// Makes the plan.
pub(super) fn plan(state: &Fulfilment, policy: &Policy) -> Plan {
    let mut planner = Planner { state, policy, plan: Plan::default() };
    planner.make();
    planner.plan
}

struct Planner<'a> {
    state: &'a Fulfilment,
    policy: &'a Policy,
    plan: Plan,
}

impl Planner<'_> {
    fn make(&mut self) {
        if self.state.payment_deadline.is_none() {
            return;
        }
        if let Some(parked) = &self.state.parked {
            // A refund that staff requested is settled even while the process is parked for
            // something else.
            if !parked.reason.is_about_refunds() {
                self.settle_refunds();
                self.plan.park = None;
            }
            self.plan.step = Step::NeedsOperator;
            return;
        }
        self.settle_refunds();
        self.return_surplus();
        let undoing = self.state.compensating.clone();
        self.plan.step = match (self.state.order.phase.value, undoing) {
            (OrderPhase::Unpaid | OrderPhase::Paid, Some(reason)) => {
                self.undo(&ProcessCommand::FailOrder { reason });
                Step::Compensating
            }
            (OrderPhase::Unpaid, None) => self.collect(),
            (OrderPhase::Paid, None) => self.ship(),
            (OrderPhase::Delivered, _) => self.complete(),
            (OrderPhase::Cancelling, _) => {
                self.undo(&ProcessCommand::FinishCancellation);
                Step::Cancelling
            }
            (OrderPhase::Completed | OrderPhase::Cancelled | OrderPhase::Expired | OrderPhase::Failed, _) => {
                self.after_end()
            }
        };
        self.watch_deadline();
        self.retry_refused();
    }

    fn want(&mut self, command: ProcessCommand) {
        self.want_times(command, 1);
    }

    fn want_times(&mut self, command: ProcessCommand, times: u32) {
        if !self.plan.commands.iter().any(|(wanted, _)| *wanted == command) {
            self.plan.commands.push((command, times));
        }
    }

    fn park(&mut self, reason: ParkReason, hold: bool) {
        self.plan.park.get_or_insert((reason, hold));
    }

    /// Sets a timer. Of two waits the shorter one counts; a fixed time is kept.
    fn after(&mut self, timer: TimerName, wait: TimeDelta) {
        let wish = match self.plan.timers.get(&timer) {
            Some(Wish::After(known)) => Wish::After(wait.min(*known)),
            Some(Wish::At(moment)) => Wish::At(*moment),
            None => Wish::After(wait),
        };
        self.plan.timers.insert(timer, wish);
    }

    /// The limit of attempts, which grows by itself with every resumption.
    const fn limit(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.state.resumes.saturating_add(1))
    }

    fn undo_limit(&self) -> u32 {
        self.limit(count(self.policy.undo_retries.len()))
    }

    // ---- the payment ----

    fn collect(&mut self) -> Step {
        let state = self.state;
        self.note_failures();
        let good = state.payments.iter().find(|payment| payment.captured.is_some() && payment.ended.is_none());
        if let Some(payment) = good {
            let confirm = ProcessCommand::ConfirmOrder { payment_id: payment.id };
            let refusal = state.issued(&confirm).and_then(|issued| issued.refused.as_deref());
            if let Some(code) = refusal.filter(|code| is_for_good(code)) {
                self.plan.compensate = Some(code.to_owned());
            }
            self.want(confirm);
            return Step::Confirming;
        }
        let mut step = Step::AwaitingPayment;
        let mut undecided = false;
        for payment in state.payments.iter().filter(|payment| payment.is_undecided()) {
            step = self.charge(payment);
            undecided = true;
        }
        if !undecided && state.deadline_reached {
            self.want(ProcessCommand::ExpireOrder);
        }
        step
    }

    fn note_failures(&mut self) {
        for payment in &self.state.payments {
            if let Some(reason) = payment.ended.as_ref().filter(|_| !payment.failure_noted) {
                self.want(ProcessCommand::RecordPaymentFailure { payment_id: payment.id, reason: reason.clone() });
            }
        }
    }

    /// Brings an undecided payment to its end.
    fn charge(&mut self, payment: &KnownPayment) -> Step {
        let state = self.state;
        let payment_id = payment.id;
        let giving_up = state.compensating.is_some() || state.order.phase.value.has_ended();
        let stopping = giving_up || state.deadline_reached || state.order.phase.value != OrderPhase::Unpaid;
        if payment.net_cancel_requested || payment.net_cancel_since.is_some() {
            return self.net_cancel(payment, "called_off");
        }
        match payment.charge.value {
            ChargePhase::Requested => {
                let capture = ProcessCommand::CapturePayment { payment_id };
                let forward = !giving_up && state.order.phase.value == OrderPhase::Unpaid;
                if !forward && state.issued(&capture).is_none() {
                    return self.net_cancel(payment, "order_called_off");
                }
                self.want(capture);
                Step::Capturing
            }
            ChargePhase::Confirmed => {
                self.want_times(ProcessCommand::ConfirmCharge { payment_id }, payment.confirmations);
                Step::Capturing
            }
            ChargePhase::Challenge if stopping => self.net_cancel(payment, "challenge_not_met"),
            ChargePhase::Challenge => Step::AwaitingChallenge,
            ChargePhase::Deposit if stopping => self.net_cancel(payment, "deposit_not_made"),
            // The gateway reports when the money is there. The report may be lost, so it is asked,
            // too.
            ChargePhase::Deposit => {
                self.inquire(payment);
                Step::AwaitingDeposit
            }
            ChargePhase::Unknown if giving_up || state.deadline_reached => self.net_cancel(payment, "undecided"),
            ChargePhase::Unknown if payment.not_found >= self.policy.not_found_before_net_cancel => {
                self.net_cancel(payment, "not_found")
            }
            ChargePhase::Unknown => {
                self.inquire(payment);
                Step::Inquiring
            }
            // Nobody has to decide if the order is cancelled anyway.
            ChargePhase::Mismatch if giving_up || state.order.phase.value == OrderPhase::Cancelling => {
                self.net_cancel(payment, "mismatch")
            }
            ChargePhase::Mismatch => {
                self.park(ParkReason::PaymentMismatch, true);
                Step::Inquiring
            }
        }
    }

    /// Asks for the outcome of a charge whenever the timer is due.
    fn inquire(&mut self, payment: &KnownPayment) {
        if payment.rings > 0 {
            self.want(ProcessCommand::InquirePayment { payment_id: payment.id, attempt: payment.rings });
        }
        self.after(TimerName::Inquiry, rung(&self.policy.inquiry_ladder, payment.rings));
    }

    /// Voids until the gateway acknowledges: the timer, not the answer, triggers the next attempt.
    fn net_cancel(&mut self, payment: &KnownPayment, reason: &str) -> Step {
        let earlier = self.state.issued.iter().map(|issued| &issued.command).find(
            |command| matches!(command, ProcessCommand::NetCancelPayment { payment_id, .. } if *payment_id == payment.id),
        );
        let command = earlier
            .cloned()
            .unwrap_or_else(|| ProcessCommand::NetCancelPayment { payment_id: payment.id, reason: reason.to_owned() });
        let repeats = payment.rings.saturating_sub(payment.net_cancel_since.unwrap_or(payment.rings));
        if repeats >= self.limit(MAX_NET_CANCELS) {
            self.park(ParkReason::OutcomeUnknown, false);
        }
        self.want_times(command, repeats.saturating_add(1));
        self.after(TimerName::Inquiry, rung(&self.policy.inquiry_ladder, repeats));
        Step::Inquiring
    }

    fn watch_deadline(&mut self) {
        let state = self.state;
        let pending =
            state.order.phase.value == OrderPhase::Unpaid || state.payments.iter().any(KnownPayment::is_undecided);
        if let Some(deadline) = state.payment_deadline.filter(|_| pending && !state.deadline_reached) {
            self.plan.timers.insert(TimerName::PaymentDeadline, Wish::At(deadline));
        }
    }

    // ---- the parcel ----

    fn ship(&mut self) -> Step {
        let state = self.state;
        let under_way = |shipment: &KnownShipment| shipment.left() && !state.is_replaced(shipment);
        if state.is_refunded_whole() && !state.shipments.iter().any(under_way) {
            self.want(ProcessCommand::CancelOrder { reason: REFUNDED_WHOLE.to_owned() });
            return Step::Shipping;
        }
        if state.shipments.is_empty() {
            if !state.order.held.value {
                let shipment_id = ShipmentId::new(state.derived_id("shipment/0"));
                self.want(ProcessCommand::RequestShipment { shipment_id });
            }
            return Step::Shipping;
        }
        let clear = self.cancel_replaced();
        let parcels = || state.shipments.iter().filter(|shipment| !state.is_replaced(shipment));
        // A replacement is requested in the append that replaces the parcel, so one is always coming.
        let mut step = if parcels().next().is_none() { Step::Shipping } else { Step::Delivering };
        let mut arrived = step == Step::Delivering;
        for shipment in parcels() {
            arrived &= shipment.taken_as_delivered || shipment.status.value == ShipmentNews::Delivered;
            if shipment.taken_as_delivered {
                continue;
            }
            match shipment.status.value {
                ShipmentNews::Requested | ShipmentNews::Refused { .. } => {
                    // With two labels at a time the order could be sent twice.
                    if clear {
                        self.book(shipment);
                    }
                    step = Step::Shipping;
                }
                ShipmentNews::Cancelled => self.plan.compensate = Some(SHIPMENT_CANCELLED.to_owned()),
                ShipmentNews::Lost if !shipment.acknowledged => self.park(ParkReason::ShipmentLost, true),
                ShipmentNews::Returned if !shipment.acknowledged => self.park(ParkReason::ShipmentReturned, true),
                ShipmentNews::Ready
                | ShipmentNews::Dispatched
                | ShipmentNews::Delivered
                | ShipmentNews::Returned
                | ShipmentNews::Lost => {}
            }
        }
        if arrived {
            self.want(ProcessCommand::MarkDelivered);
        }
        step
    }

    /// Cancels the parcels that another one replaces. True if all of them are cancelled.
    fn cancel_replaced(&mut self) -> bool {
        let state = self.state;
        let mut clear = true;
        for shipment in state.shipments.iter().filter(|shipment| shipment.replaced && !shipment.is_undone()) {
            clear = false;
            self.cancel_parcel(shipment, PARCEL_REPLACED);
        }
        clear
    }

    /// Requests a label. The timer, not the answer, triggers the next attempt, so a lost answer
    /// needs no event.
    fn book(&mut self, shipment: &KnownShipment) {
        if shipment.refusals >= count(self.policy.label_retries.len()).max(1) {
            self.plan.compensate = Some(SHIPMENT_REFUSED.to_owned());
            return;
        }
        let booked = |command: &ProcessCommand| matches!(command, ProcessCommand::BookCarrier { shipment_id, .. } if *shipment_id == shipment.id);
        let asked: u32 =
            self.state.issued.iter().filter(|issued| booked(&issued.command)).map(|issued| issued.times).sum();
        if asked >= self.limit(MAX_LABEL_ASKS) {
            self.park(ParkReason::LabelUnknown, true);
        }
        let command =
            ProcessCommand::BookCarrier { shipment_id: shipment.id, attempt: shipment.refusals.saturating_add(1) };
        let before = self.state.issued(&command).map_or(0, |issued| issued.times);
        let due = shipment.label_rings >= asked;
        self.want_times(command, if due { before.saturating_add(1) } else { before });
        let refused_all = shipment.refusals > 0 && (shipment.refusals == asked || due);
        let wait = if refused_all {
            rung(&self.policy.label_retries, shipment.refusals.saturating_sub(1))
        } else {
            rung(&self.policy.undo_retries, shipment.label_rings)
        };
        self.after(TimerName::LabelRetry, wait);
    }

    fn complete(&mut self) -> Step {
        let state = self.state;
        let back = |shipment: &&KnownShipment| {
            shipment.status.value == ShipmentNews::Returned && !shipment.acknowledged && !shipment.taken_as_delivered
        };
        if state.shipments.iter().any(|shipment| back(&shipment)) {
            self.park(ParkReason::ShipmentReturned, true);
        }
        if state.order.has_open_returns() {
            // The order is completed when it is known what comes back.
            return Step::AwaitingCompletion;
        }
        if state.completion_reached {
            if !state.order.held.value {
                self.want(ProcessCommand::CompleteOrder);
            }
        } else if let Some(due) = state.completion_due {
            self.plan.timers.insert(TimerName::Completion, Wish::At(due));
        } else {
            self.after(TimerName::Completion, self.policy.completion_delay);
        }
        Step::AwaitingCompletion
    }

    // ---- undoing ----

    /// Undoes in reverse order: parcels, then money, then the order with everything that is held
    /// for it. Each begins when the one before it is done.
    fn undo(&mut self, last: &ProcessCommand) {
        let state = self.state;
        let mut clear = true;
        for payment in state.payments.iter().filter(|payment| payment.is_undecided()) {
            self.charge(payment);
            clear = false;
        }
        clear &= self.undo_shipments();
        if !clear {
            return;
        }
        for payment in state.payments.iter().filter(|payment| payment.has_money()) {
            self.return_money(payment);
            clear = false;
        }
        if clear {
            self.want(last.clone());
        }
    }

    fn undo_shipments(&mut self) -> bool {
        let state = self.state;
        // A parcel whose request is still open has to be waited for.
        let mut clear =
            !state.open_commands().any(|(_, command)| matches!(command, ProcessCommand::RequestShipment { .. }));
        for shipment in state.shipments.iter().filter(|shipment| !shipment.is_undone()) {
            clear = false;
            self.cancel_parcel(shipment, state.compensating.as_deref().unwrap_or("order_cancelled"));
        }
        clear
    }

    /// Cancels a parcel with its label until the carrier acknowledges it. An operator decides if the
    /// carrier already has the parcel, or does not answer.
    fn cancel_parcel(&mut self, shipment: &KnownShipment, reason: &str) {
        let earlier = self.state.issued.iter().find(|issued| {
            matches!(issued.command, ProcessCommand::CancelShipment { shipment_id, .. } if shipment_id == shipment.id)
        });
        let too_late = earlier.is_some_and(|issued| {
            issued.refused.as_deref() == Some(RefusalCode::OrderAlreadyDispatched.code()) && !issued.again
        });
        if shipment.left() || too_late {
            return self.park(ParkReason::AlreadyDispatched, true);
        }
        if shipment.cancel_rings > self.undo_limit() {
            return self.park(ParkReason::LabelCancelUnknown, true);
        }
        let command = earlier.map_or_else(
            || ProcessCommand::CancelShipment { shipment_id: shipment.id, reason: reason.to_owned() },
            |issued| issued.command.clone(),
        );
        self.want_times(command, shipment.cancel_rings.saturating_add(1));
        self.after(TimerName::CancelRetry, rung(&self.policy.undo_retries, shipment.cancel_rings));
    }

    /// Requests a refund of all that no refund claims yet; after a refusal a new one, later.
    fn return_money(&mut self, payment: &KnownPayment) {
        if !payment.unclaimed().is_positive() {
            return;
        }
        let (known, refused) = self.state.own_refunds(payment);
        if refused > self.undo_limit() {
            self.park(ParkReason::RefundRefused, false);
        } else if refused > payment.refund_tries {
            self.after(TimerName::RefundRetry, rung(&self.policy.undo_retries, payment.refund_tries));
        } else {
            let refund_id = self.state.own_refund_id(payment.id, known);
            let earlier = self.state.issued.iter().map(|issued| &issued.command).find(
                |command| matches!(command, ProcessCommand::RequestRefund { refund_id: id, .. } if *id == refund_id),
            );
            let reason = match self.state.order.phase.value {
                OrderPhase::Cancelling => "order_cancelled".to_owned(),
                OrderPhase::Unpaid | OrderPhase::Paid => {
                    self.state.compensating.clone().unwrap_or_else(|| "late_payment".to_owned())
                }
                OrderPhase::Delivered
                | OrderPhase::Completed
                | OrderPhase::Cancelled
                | OrderPhase::Expired
                | OrderPhase::Failed => "late_payment".to_owned(),
            };
            let command =
                earlier.cloned().unwrap_or(ProcessCommand::RequestRefund { payment_id: payment.id, refund_id, reason });
            self.want(command);
        }
    }

    /// Settles every open refund, including those that the process did not request.
    fn settle_refunds(&mut self) {
        for payment in self.state.payments.iter().filter(|payment| !payment.written_off) {
            for refund in payment.refunds.iter().filter(|refund| refund.is_open()) {
                if refund.rings > self.undo_limit() {
                    self.park(ParkReason::RefundUnknown, false);
                    continue;
                }
                self.want(ProcessCommand::SettleRefund {
                    payment_id: payment.id,
                    refund_id: refund.id,
                    attempt: refund.rings.saturating_add(1),
                });
                self.after(TimerName::RefundRetry, rung(&self.policy.undo_retries, refund.rings));
            }
        }
    }

    /// Refunds money that can pay nothing: it came late, or another payment has paid.
    fn return_surplus(&mut self) {
        let state = self.state;
        let phase = state.order.phase.value;
        let unpaid_end = matches!(phase, OrderPhase::Cancelled | OrderPhase::Expired | OrderPhase::Failed);
        for payment in state.payments.iter().filter(|payment| payment.has_money()) {
            let other_paid = state.order.paid_by.is_some_and(|paid_by| paid_by != payment.id);
            if unpaid_end && !payment.lateness_noted {
                self.want(ProcessCommand::RecordLatePayment { payment_id: payment.id });
            }
            if unpaid_end || payment.is_late() || other_paid {
                self.return_money(payment);
            }
        }
    }

    fn after_end(&mut self) -> Step {
        let state = self.state;
        let mut working = false;
        for payment in state.payments.iter().filter(|payment| payment.is_undecided()) {
            self.charge(payment);
            working = true;
        }
        let phase = state.order.phase.value;
        working |= state.payments.iter().any(|payment| {
            payment.has_money()
                && (phase != OrderPhase::Completed
                    || payment.is_late()
                    || state.order.paid_by.is_some_and(|paid_by| paid_by != payment.id))
        });
        if working { Step::ReturningLatePayment } else { Step::Ended }
    }

    /// A refusal is final until something changes. If nothing does, the command is retried a few
    /// times, and then a person is asked, so that nothing waits for ever.
    fn retry_refused(&mut self) {
        let stuck = self.plan.commands.iter().any(|(command, _)| {
            self.state.issued(command).is_some_and(|issued| issued.refused.is_some() && !issued.again)
        });
        if !stuck || self.plan.compensate.is_some() {
            return;
        }
        let unreadable = self.plan.commands.iter().any(|(command, _)| {
            let refused = self.state.issued(command).filter(|issued| !issued.again);
            refused.is_some_and(|issued| issued.refused.as_deref() == Some(RefusalCode::StreamUnreadable.code()))
        });
        if unreadable {
            // Waiting does not repair what is stored.
            self.park(ParkReason::StreamUnreadable, false);
        } else if self.state.retry_rings >= count(self.policy.undo_retries.len()) {
            self.park(ParkReason::CommandRefused, false);
        } else {
            self.after(TimerName::CommandRetry, rung(&self.policy.undo_retries, self.state.retry_rings));
        }
    }
}

/// The outcome of the process for an order that has ended; none for one that has not.
pub(super) const fn outcome_of(phase: OrderPhase) -> Option<FulfilmentOutcome> {
    match phase {
        OrderPhase::Completed => Some(FulfilmentOutcome::Completed),
        OrderPhase::Cancelled => Some(FulfilmentOutcome::Cancelled),
        OrderPhase::Expired => Some(FulfilmentOutcome::Expired),
        OrderPhase::Failed => Some(FulfilmentOutcome::Failed),
        OrderPhase::Unpaid | OrderPhase::Paid | OrderPhase::Delivered | OrderPhase::Cancelling => None,
    }
}

/// Whether a refusal to confirm the order is final. A state conflict is not: it means that a fact
/// is on its way that changes the plan. Data that cannot be read is not either: a person has to
/// repair it, and it is no reason to refund the money.
fn is_for_good(code: &str) -> bool {
    let passing = [
        RefusalCode::OrderStateConflict,
        RefusalCode::PaymentStateConflict,
        RefusalCode::PaymentInProgress,
        RefusalCode::StreamUnreadable,
    ];
    !passing.iter().any(|passing| passing.code() == code)
}

/// A wait from a list of waits; the last one repeats.
fn rung(ladder: &[TimeDelta], index: u32) -> TimeDelta {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    ladder.get(index).or(ladder.last()).copied().unwrap_or(TimeDelta::seconds(1))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
