//! What the process decides: it takes an input in, then makes what is recorded match the plan.

use chrono::TimeDelta;
use jangbu_kernel::time::to_millis;
use jangbu_kernel::{
    AggregateKind, CommandId, Decider, Decision, Money, OrderId, Refusal, RefusalCode, Remark, StreamId, Timestamp,
};

use super::command::{FulfilmentCommand, FulfilmentInput};
use super::event::{
    CommandIssued, CommandRefused, CompensationStarted, FirstInput, FulfilmentEnded, FulfilmentEvent,
    FulfilmentOutcome, FulfilmentParked, FulfilmentStarted, InputName, InputReceived, OperatorAction, OperatorResolved,
    ProcessCommand, Step, StepEntered, TimerCancelled, TimerName, TimerReached, TimerSet,
};
use super::fact::{fact_of, order_of};
use super::knowledge::OrderPhase;
use super::plan::{self, Plan, Wish};
use super::reason::ParkReason;
use super::state::{Fulfilment, derive_id};
use crate::checks;
use crate::event::DomainEvent;
use crate::facts::Facts;
use crate::order::OrderEvent;

/// The reason that is recorded when a process resumes because an amount was accepted.
const MISMATCH_ACCEPTED: &str = "mismatch_accepted";

/// How often one input can change the plan: a compensation begins, then the instance parks. More
/// rounds would be a defect, and the limit stops them.
const MAX_ROUNDS: u32 = 4;

impl Decider for Fulfilment {
    const KIND: AggregateKind = AggregateKind::Fulfilment;
    // 2: an order whose payment is fully refunded is cancelled. 3: inputs are named by stream and
    // version. 4: a payment can wait for a deposit. 5: a parcel can be replaced.
    // 6: returns.
    const STATE_VERSION: u16 = 6;
    type Event = FulfilmentEvent;
    type Command = FulfilmentCommand;
    type Facts = Facts;

    fn decide(&self, command: &FulfilmentCommand, facts: &Facts) -> Decision<FulfilmentEvent> {
        match command {
            FulfilmentCommand::Start { order_id, total, payment_deadline } => {
                self.start(*order_id, *total, *payment_deadline)
            }
            FulfilmentCommand::Take(input) => self.take(input, facts),
            FulfilmentCommand::Resolve { action, reason } => self.resolve(*action, reason, facts),
        }
    }

    fn evolve(&mut self, event: &FulfilmentEvent) {
        self.apply(event);
    }
}

impl Fulfilment {
    fn start(&self, order_id: OrderId, total: Money, payment_deadline: Timestamp) -> Decision<FulfilmentEvent> {
        if self.order_id.is_some() {
            return Decision::AlreadyDone;
        }
        let payment_deadline = to_millis(payment_deadline);
        Decision::Record(vec![FulfilmentStarted { order_id, total, payment_deadline, first_input: None }.into()])
    }

    fn take(&self, input: &FulfilmentInput, facts: &Facts) -> Decision<FulfilmentEvent> {
        match input {
            FulfilmentInput::Event { stream, version, logged, event } => {
                let input = InputName::Event { stream: *stream, version: *version };
                self.take_event(input, *logged, *stream, event, facts)
            }
            FulfilmentInput::Timer { timer, due_at } => self.take_timer(*timer, *due_at, facts),
            FulfilmentInput::CommandRefused { command_id, code } => self.take_refusal(*command_id, code, facts),
        }
    }

    fn take_event(
        &self,
        input: InputName,
        logged: Option<FirstInput>,
        stream: StreamId,
        event: &DomainEvent,
        facts: &Facts,
    ) -> Decision<FulfilmentEvent> {
        let (Some(order_id), Some(fact)) = (order_of(stream, event), fact_of(stream, event)) else {
            return Decision::AlreadyDone;
        };
        let seen = self.seen.contains(&input) || logged.is_some_and(|at| self.seen.contains(&InputName::Logged(at)));
        if seen || self.order_id.is_some_and(|known| known != order_id) {
            return Decision::AlreadyDone;
        }
        let mut record = Recorder::new(self, order_id, input.identity(), facts);
        if let DomainEvent::Order(OrderEvent::Placed(placed)) = event {
            if self.payment_deadline.is_some() {
                // The placing began the process, and there is nothing more to learn from it.
                return Decision::AlreadyDone;
            }
            let (total, payment_deadline) = (placed.total, to_millis(placed.payment_deadline));
            let first_input = logged.filter(|_| self.seen.is_empty());
            record.add(FulfilmentStarted { order_id, total, payment_deadline, first_input });
            if first_input.is_some() {
                return record.finish();
            }
        }
        let event_type = event.event_type().to_owned();
        record.add(InputReceived { input, event_type, fact, step: None, issued: Vec::new() });
        if record.state.is_parked_for_nothing() {
            // Accepting the amount has decided what the process waits for.
            record.add(OperatorResolved { action: OperatorAction::Resume, reason: MISMATCH_ACCEPTED.into() });
        }
        record.finish()
    }

    fn take_timer(&self, timer: TimerName, due_at: Timestamp, facts: &Facts) -> Decision<FulfilmentEvent> {
        let Some(order_id) = self.order_id else {
            return Decision::AlreadyDone;
        };
        // A timer that was moved or cancelled since is ignored, and so is one that another node's
        // clock makes due too early.
        if self.timers.get(&timer) != Some(&due_at) || facts.now < due_at {
            return Decision::AlreadyDone;
        }
        let identity = format!("timer/{timer:?}/{}", due_at.timestamp_millis());
        let mut record = Recorder::new(self, order_id, identity, facts);
        record.add(TimerReached { timer, due_at });
        record.finish()
    }

    fn take_refusal(&self, command_id: CommandId, code: &str, facts: &Facts) -> Decision<FulfilmentEvent> {
        let (Some(order_id), Some(issued)) =
            (self.order_id, self.issued.iter().find(|issued| issued.command_id == command_id))
        else {
            return Decision::AlreadyDone;
        };
        if issued.refused.is_some() || self.is_answered(&issued.command) {
            return Decision::AlreadyDone;
        }
        let mut record = Recorder::new(self, order_id, format!("refusal/{command_id}"), facts);
        record.add(CommandRefused { command_id, code: code.to_owned() });
        record.finish()
    }

    fn resolve(&self, action: OperatorAction, reason: &Remark, facts: &Facts) -> Decision<FulfilmentEvent> {
        let Some(order_id) = self.order_id else {
            return Refusal::new(RefusalCode::NotFound, "no such process").into();
        };
        if let Err(refusal) = checks::remark(reason) {
            return refusal.into();
        }
        let allowed = self.allowed_actions();
        if !allowed.contains(&action) {
            let detail = if self.parked.is_some() {
                "what is parked cannot be resolved like this"
            } else {
                "the process waits for nobody"
            };
            return Refusal::new(RefusalCode::SagaStateConflict, detail)
                .in_state(self.step.name(), allowed.iter().map(|action| action.name()).collect::<Vec<_>>())
                .into();
        }
        let identity = format!("resolution/{}", self.resumes);
        let mut record = Recorder::new(self, order_id, identity, facts);
        record.add(OperatorResolved { action, reason: reason.clone() });
        if action == OperatorAction::Compensate {
            record.add(CompensationStarted { reason: "operator".to_owned() });
        }
        record.finish()
    }

    /// The actions that a person can choose now.
    #[must_use]
    pub fn allowed_actions(&self) -> Vec<OperatorAction> {
        let Some(parked) = &self.parked else {
            return Vec::new();
        };
        let mut allowed = vec![OperatorAction::Resume];
        if parked.reason.is_skippable() {
            allowed.push(OperatorAction::Skip);
        }
        let undoable = matches!(self.order.phase.value, OrderPhase::Unpaid | OrderPhase::Paid);
        if undoable && self.compensating.is_none() {
            allowed.push(OperatorAction::Compensate);
        }
        allowed
    }
}

impl InputName {
    /// Identifies this input among all inputs of the instance. Storage format: ids are derived from
    /// it.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Logged(FirstInput { position, .. }) => format!("event/{position}"),
            Self::Event { stream, version } => format!("event/{stream}/{version}"),
        }
    }
}

jangbu_kernel::named!(OperatorAction, Step, TimerName, FulfilmentOutcome);

impl ProcessCommand {
    /// Its name in read models and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

/// Collects the events of one decision and folds each at once, so that what follows is decided on
/// what is recorded. The step and the commands that directly follow an input become part of its
/// event; after another event in between they are events of their own.
struct Recorder<'a> {
    state: Fulfilment,
    events: Vec<FulfilmentEvent>,
    order_id: OrderId,
    /// Identifies this input among all inputs of the instance.
    identity: String,
    ordinal: u32,
    facts: &'a Facts,
}

impl<'a> Recorder<'a> {
    fn new(state: &Fulfilment, order_id: OrderId, identity: String, facts: &'a Facts) -> Self {
        Self { state: state.clone(), events: Vec::new(), order_id, identity, ordinal: 0, facts }
    }

    fn add(&mut self, event: impl Into<FulfilmentEvent>) {
        let event = event.into();
        self.state.apply(&event);
        self.events.push(event);
    }

    fn finish(mut self) -> Decision<FulfilmentEvent> {
        for _ in 0..MAX_ROUNDS {
            let plan = plan::plan(&self.state, &self.facts.policy);
            if let Some(reason) = plan.compensate.clone().filter(|_| self.state.compensating.is_none()) {
                self.add(CompensationStarted { reason });
                continue;
            }
            if let Some((reason, hold)) = plan.park.clone().filter(|_| self.state.parked.is_none()) {
                self.park(reason, hold, plan.step);
                continue;
            }
            self.follow(plan);
            break;
        }
        Decision::Record(self.events)
    }

    fn park(&mut self, reason: ParkReason, hold: bool, step: Step) {
        let order = &self.state.order;
        if hold && !order.held.value && !order.phase.value.has_ended() {
            self.issue(ProcessCommand::HoldOrder { reason: reason.to_string() });
        }
        self.add(FulfilmentParked { reason, step });
    }

    fn follow(&mut self, plan: Plan) {
        let moved = self.state.step != plan.step;
        if moved {
            self.enter(plan.step);
        }
        for (command, times) in plan.commands {
            let known = self.state.issued(&command);
            let due = known.is_none_or(|issued| issued.times < times || (issued.refused.is_some() && issued.again));
            if due && times > 0 {
                self.issue(command);
            }
        }
        self.follow_timers(&plan.timers);
        let outcome = plan::outcome_of(self.state.order.phase.value);
        if let Some(outcome) = outcome.filter(|_| moved && plan.step == Step::Ended) {
            self.add(FulfilmentEnded { outcome });
        }
    }

    fn follow_timers(&mut self, wishes: &std::collections::BTreeMap<TimerName, Wish>) {
        let unneeded: Vec<TimerName> =
            self.state.timers.keys().copied().filter(|timer| !wishes.contains_key(timer)).collect();
        for timer in unneeded {
            self.add(TimerCancelled { timer });
        }
        for (timer, wish) in wishes {
            let due_at = match wish {
                Wish::At(moment) => to_millis(*moment),
                Wish::After(_) if self.state.timers.contains_key(timer) => continue,
                Wish::After(wait) => to_millis(self.facts.now + (*wait).max(TimeDelta::zero())),
            };
            if self.state.timers.get(timer) != Some(&due_at) {
                self.add(TimerSet { timer: *timer, due_at });
            }
        }
    }

    fn issue(&mut self, command: ProcessCommand) {
        let what = format!("{}/{}", self.identity, self.ordinal);
        self.ordinal += 1;
        let issued = CommandIssued { command_id: CommandId::new(derive_id(self.order_id, &what)), command };
        match self.events.last_mut() {
            Some(FulfilmentEvent::InputReceived(input)) => {
                self.state.apply_issued(&issued);
                input.issued.push(issued);
            }
            _ => self.add(issued),
        }
    }

    fn enter(&mut self, step: Step) {
        match self.events.last_mut() {
            // The step of an input comes before the commands that it issued.
            Some(FulfilmentEvent::InputReceived(input)) if input.issued.is_empty() => {
                self.state.step = step;
                input.step = Some(step);
            }
            _ => self.add(StepEntered { step }),
        }
    }
}
