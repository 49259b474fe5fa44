//! Tests of decisions: given the events, when a command comes, then this is the answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use jangbu_kernel::{
    AggregateKind, Decision, Money, OrderId, ProductId, Refusal, RefusalCode, Sealed, StreamId, Timestamp, Version,
};
use uuid::Uuid;

use crate::command::{ErasedCommand, Outcome};
use crate::event::DomainEvent;
use crate::facts::{Facts, Scope};
use crate::policy::Policy;
use crate::processes::walk::{Ground, Unloaded, Versioned, Walked, walk};
use crate::state::{Aggregate, AnyState, Missing, States};
use crate::stock::{Stock, StockEvent, StockReleased};

/// A time, some seconds after the start time of the tests.
pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

pub(crate) fn facts(now: Timestamp) -> Facts {
    Facts { now, policy: Arc::new(Policy::default()), scope: Scope::Any }
}

pub(crate) fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(number))
}

pub(crate) fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}

pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed::from_ciphertext(text.to_owned())
}

pub(crate) fn folded<A: Aggregate>(events: &[A::Event]) -> A {
    events.iter().fold(A::default(), |mut state, event| {
        state.evolve(event);
        state
    })
}

/// An answer in one word: `+` records, `=` is already done, otherwise the refusal's code.
pub(crate) fn word<E>(decision: &Decision<E>) -> &'static str {
    match decision {
        Decision::Record(_) => "+",
        Decision::AlreadyDone => "=",
        Decision::Refused(refusal) => refusal.code.code(),
    }
}

pub(crate) fn given<A: Aggregate>(events: &[A::Event]) -> Given<A> {
    Given { state: folded(events), facts: facts(at(0)) }
}

pub(crate) struct Given<A> {
    state: A,
    facts: Facts,
}

impl<A: Aggregate> Given<A> {
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.facts.now = now;
        self
    }
    pub(crate) fn when(self, command: &A::Command) -> Then<A> {
        Then { decision: self.state.decide(command, &self.facts), state: self.state }
    }
}

pub(crate) struct Then<A: Aggregate> {
    decision: Decision<A::Event>,
    state: A,
}

impl<A: Aggregate<Event: Debug + PartialEq>> Then<A> {
    #[track_caller]
    pub(crate) fn records(self, events: &[A::Event]) -> A {
        match self.decision {
            Decision::Record(recorded) => assert_eq!(recorded, events),
            Decision::AlreadyDone => panic!("already done, not {events:?}"),
            Decision::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
        events.iter().fold(self.state, |mut state, event| {
            state.evolve(event);
            state
        })
    }
    #[track_caller]
    pub(crate) fn done_already(self) {
        assert_eq!(self.decision, Decision::AlreadyDone);
    }
    #[track_caller]
    pub(crate) fn refused(self, code: RefusalCode) -> Refusal {
        match self.decision {
            Decision::Refused(refusal) if refusal.code == code => refusal,
            other => panic!("expected {code:?}, got {other:?}"),
        }
    }
}

/// Checks the answer of every (state, command) pair against a table: one row per command, one
/// column per state, words as in [`word`]. Every pair has to be in the table.
#[track_caller]
pub(crate) fn check_table<A: Aggregate>(
    table: &str,
    states: &[(&str, Vec<A::Event>)],
    commands: &[(&str, A::Command, Timestamp)],
) {
    let mut rows = table.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.split_whitespace();
        (words.next().unwrap(), words.collect::<Vec<_>>())
    });
    let (_, columns) = rows.next().expect("a head");
    assert_eq!(columns, states.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "the columns are the states");
    let rows: Vec<_> = rows.collect();
    assert_eq!(
        rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        commands.iter().map(|(name, ..)| *name).collect::<Vec<_>>(),
        "the rows are the commands"
    );
    let mut wrong = Vec::new();
    for ((row, expected), (_, command, now)) in rows.iter().zip(commands) {
        assert_eq!(expected.len(), states.len(), "row {row} is full");
        for ((state, events), expected) in states.iter().zip(expected) {
            let answer = word(&folded::<A>(events).decide(command, &facts(*now)));
            if answer != *expected {
                wrong.push(format!("{state} x {row}: {answer}, the table says {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All aggregates in memory, and all their events.
#[derive(Clone, Default)]
pub(crate) struct World {
    states: BTreeMap<StreamId, AnyState>,
    pub(crate) log: Vec<(StreamId, DomainEvent)>,
    /// Streams that cannot be read, with their versions.
    pub(crate) unreadable: BTreeMap<StreamId, Version>,
}

/// What one append wrote.
pub(crate) struct Appended {
    pub(crate) events: Vec<(StreamId, DomainEvent)>,
    pub(crate) walked: Walked,
}

impl States for World {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        if self.unreadable.contains_key(&stream) { None } else { self.states.get(&stream) }
    }
}

impl Versioned for World {
    fn version(&self, stream: StreamId) -> Version {
        Version::new(self.log.iter().filter(|(of, _)| *of == stream).count() as u64)
    }
}

impl World {
    pub(crate) fn get<A: Aggregate>(&self, id: impl Into<Uuid>) -> Result<&A, Missing> {
        (self as &dyn States).get(id)
    }

    /// Decides with unlimited scope, loading what is missing, and appends the outcome together with
    /// everything that the processes add. Returns the events of the append.
    pub(crate) fn append(&mut self, command: &dyn ErasedCommand, facts: &Facts) -> Result<Appended, Refusal> {
        let first = loop {
            match command.decide(self, facts) {
                Ok(Outcome::Record(first)) => break first,
                Ok(Outcome::AlreadyDone) => break Vec::new(),
                Ok(Outcome::Refused(refusal)) => return Err(refusal),
                Err(Missing(stream)) => self.load(stream),
            }
        };
        let unreadable = self.unreadable.clone();
        let walked = loop {
            match walk(self, facts, &first, Ground { unreadable: &unreadable, begins: true }) {
                Ok(walked) => break walked,
                Err(Unloaded(streams)) => streams.into_iter().for_each(|stream| self.load(stream)),
            }
        };
        let begin = self.log.len();
        let writes = first.into_iter().chain(walked.steps.iter().flat_map(|step| step.writes.clone()));
        for (stream, events) in writes {
            for event in events {
                self.apply(stream, event);
            }
        }
        Ok(Appended { events: self.log[begin..].to_vec(), walked })
    }

    /// Decides, loading what is missing, and applies the outcome.
    pub(crate) fn run(&mut self, command: &dyn ErasedCommand, facts: &Facts) -> Outcome {
        assert!(command.streams(self).contains(&command.subject()));
        for stream in command.streams(self) {
            self.load(stream);
        }
        let outcome = loop {
            match command.decide(self, facts) {
                Ok(outcome) => break outcome,
                Err(Missing(stream)) => {
                    assert!(!self.states.contains_key(&stream), "{stream} is loaded and still missing");
                    self.load(stream);
                }
            }
        };
        if let Outcome::Record(streams) = &outcome {
            assert!(streams.iter().any(|(_, events)| !events.is_empty()), "nothing is recorded");
            for (place, (stream, events)) in streams.iter().enumerate() {
                assert!(streams[..place].iter().all(|(earlier, _)| earlier != stream), "{stream} twice");
                for event in events {
                    assert_eq!(event.kind(), stream.kind);
                    self.apply(*stream, event.clone());
                }
            }
        }
        outcome
    }

    /// Decides now, with unlimited scope.
    pub(crate) fn ask(&mut self, command: &dyn ErasedCommand, now: Timestamp) -> Outcome {
        self.run(command, &facts(now))
    }

    #[track_caller]
    pub(crate) fn must(&mut self, command: &dyn ErasedCommand, now: Timestamp) -> Vec<(StreamId, Vec<&'static str>)> {
        match self.ask(command, now) {
            Outcome::Record(streams) => streams
                .into_iter()
                .filter(|(_, events)| !events.is_empty())
                .map(|(stream, events)| (stream, events.iter().map(DomainEvent::event_type).collect()))
                .collect(),
            other => panic!("{command:?}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn refuses(&mut self, command: &dyn ErasedCommand, now: Timestamp, code: RefusalCode) -> Refusal {
        let events = self.log.len();
        match self.ask(command, now) {
            Outcome::Refused(refusal) if refusal.code == code => {
                assert_eq!(self.log.len(), events);
                refusal
            }
            other => panic!("expected {code:?}, got {other:?}"),
        }
    }

    fn load(&mut self, stream: StreamId) {
        self.states.entry(stream).or_insert_with(|| AnyState::initial(stream.kind));
    }

    fn apply(&mut self, stream: StreamId, event: DomainEvent) {
        self.load(stream);
        self.states.get_mut(&stream).unwrap().evolve(&event);
        self.log.push((stream, event));
    }

    /// Removes a reservation, as a mistaken manual change of the stock would.
    pub(crate) fn lose_reservation(&mut self, product_id: ProductId, order_id: OrderId) {
        let quantity = self.get_or_new::<Stock>(product_id).reserved_for(order_id);
        let released = StockReleased { order_id, quantity, reason: "order_expired".into() };
        self.apply(StreamId::stock(product_id), StockEvent::from(released).into());
    }

    pub(crate) fn get_or_new<A: Aggregate>(&self, id: impl Into<Uuid>) -> A {
        self.get::<A>(id).cloned().unwrap_or_default()
    }

    /// Checks that every state is the fold of its events, and survives its snapshot.
    #[track_caller]
    pub(crate) fn check_folds(&self) {
        for (stream, state) in &self.states {
            let mut fold = AnyState::initial(stream.kind);
            for (_, event) in self.log.iter().filter(|(of, _)| of == stream) {
                let stored = event.payload_json();
                let read = DomainEvent::decode(*stream, event.event_type(), event.schema_version(), &stored).unwrap();
                assert_eq!(&read, event);
                fold.evolve(&read);
            }
            let snapshot = state.to_snapshot();
            assert_eq!(fold.to_snapshot(), snapshot, "{stream}");
            assert_eq!(AnyState::from_snapshot(*stream, &snapshot).unwrap().to_snapshot(), snapshot, "{stream}");
        }
    }

    pub(crate) fn streams_of(&self, kind: AggregateKind) -> impl Iterator<Item = Uuid> {
        self.states.keys().filter(move |stream| stream.kind == kind).map(|stream| stream.id)
    }
}
