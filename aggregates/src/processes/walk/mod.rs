//! The walk: what the processes learn from a decision, and what they then ask of aggregates, is
//! decided together with it and goes into the same append.
//!
//! It starts with what a command has decided to write and handles everything that was written, in
//! the order of cause and effect. An event that a process learns from is taken in. For each command
//! that a process issues, what can be decided here is decided at once: a plain command, or the
//! intent of a call to the outside. What that records is handled in turn; a refusal becomes an
//! input at once; what is already done leads to nothing. Only the calls are left to the dispatcher.
//!
//! Invariants:
//! - W1 Every event that a process learns from has its input in the same append. If that is not
//!   possible, the process records in the same append what was set aside, and is left alone until
//!   it has caught up.
//! - W2 The same decision on the same states gives the same walk, including all ids. What a process
//!   was told already is known to it, and records nothing the second time.
//! - W3 Nothing in here refuses what the command decided: neither a refusal, nor a stream that
//!   cannot be read, nor a plan that panics or never ends.
//! - W4 If something was not written because of a stream that was read, the append expects that
//!   stream at the version that was read, as if it were written.

mod overlay;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jangbu_kernel::{CommandId, RefusalCode, StreamId, Version};

use super::fulfilment::InputName;
use super::process::{
    IssuedTask, PROCESSES, Process, Told, input_command_id, refusal_command_id, set_aside_command_id,
};
use crate::command::{AnyCommand, Outcome};
use crate::event::DomainEvent;
use crate::facts::{Facts, Scope};
use crate::state::{Missing, States};
use overlay::Overlay;

/// Inputs and commands of one walk. The longest walk has about a dozen: an order paid with points,
/// from the placing to the request for its label. More would be a defect, and the limit stops it.
pub const MAX_ROUNDS: u32 = 32;

/// Events per stream, in the order in which they are appended.
pub type Writes = Vec<(StreamId, Vec<DomainEvent>)>;

/// States that know the versions of their streams.
pub trait Versioned: States {
    /// The version of a stream, 0 if it does not exist.
    fn version(&self, stream: StreamId) -> Version;
}

/// What one command of a walk wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its id.
    pub command_id: CommandId,
    /// Its cause: the index of an event among all events of the append, from 0.
    pub cause: usize,
    /// What it wrote. A stream without events was only read, and has to be at its version still.
    pub writes: Writes,
}

/// A command of a process, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name.
    pub name: &'static str,
    /// Whether it was refused.
    pub refused: bool,
}

/// The result of a walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walked {
    /// What is appended after the decision, in this order.
    pub steps: Vec<Step>,
    /// The streams among them that are new.
    pub begun: Vec<StreamId>,
    /// The commands that were executed.
    pub carried: Vec<Carried>,
    /// Why the processes were set aside; none if they were not.
    pub set_aside: Option<&'static str>,
}

/// What the caller knows of the streams.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Streams that cannot be read, with their versions.
    pub unreadable: &'a BTreeMap<StreamId, Version>,
    /// Whether streams that commands begin are taken as empty without being loaded.
    pub begins: bool,
}

/// These streams are not loaded. Load them and walk again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unloaded(pub BTreeSet<StreamId>);

/// Why a walk stops.
enum Halt {
    Unloaded(Unloaded),
    /// The processes have to be set aside, for this reason.
    SetAside(&'static str),
}

/// Walks on from what a command has decided to write.
///
/// # Errors
/// [`Unloaded`]: streams that have to be loaded first.
pub fn walk<S: Versioned>(states: &S, facts: &Facts, first: &Writes, ground: Ground<'_>) -> Result<Walked, Unloaded> {
    // The actor of what follows is the system, whatever actor sent the first command.
    let facts = Facts { scope: Scope::Any, ..facts.clone() };
    // The states are only read, so they are intact after a panic.
    let walked = catch_unwind(AssertUnwindSafe(|| {
        let mut walker = Walker::new(states, &facts, ground);
        walker.write(first);
        walker.go()?;
        Ok(walker.finish())
    }));
    let reason = match walked {
        Ok(Ok(walked)) => return Ok(walked),
        Ok(Err(Halt::Unloaded(unloaded))) => return Err(unloaded),
        Ok(Err(Halt::SetAside(reason))) => reason,
        Err(_) => "broke_off",
    };
    Ok(set_aside(states, first, reason))
}

/// Streams that are read when something is written to one of these, as far as the loaded states
/// tell. Only a hint, which saves rounds of loading.
#[must_use]
pub fn looked_at(states: &dyn States, streams: &[StreamId]) -> Vec<StreamId> {
    let all = streams.iter().flat_map(|stream| PROCESSES.iter().flat_map(|process| process.looks_at(states, *stream)));
    all.filter(|stream| !streams.contains(stream)).collect()
}

/// What is to be done next.
enum Todo {
    /// A process is told something, by this command.
    Tell { command_id: CommandId, command: AnyCommand, cause: usize },
    /// A command of a process is executed, as far as that is possible here.
    Carry { process: &'static dyn Process, instance: StreamId, issued: IssuedTask, cause: usize },
}

struct Walker<'a, S> {
    overlay: Overlay<'a, S>,
    facts: &'a Facts,
    ground: Ground<'a>,
    queue: VecDeque<Todo>,
    steps: Vec<Step>,
    carried: Vec<Carried>,
    /// The number of events of the append so far.
    events: usize,
}

impl<'a, S: Versioned> Walker<'a, S> {
    const fn new(states: &'a S, facts: &'a Facts, ground: Ground<'a>) -> Self {
        let overlay = Overlay::over(states);
        Self { overlay, facts, ground, queue: VecDeque::new(), steps: Vec::new(), carried: Vec::new(), events: 0 }
    }

    fn finish(self) -> Walked {
        Walked { begun: self.overlay.begun(), steps: self.steps, carried: self.carried, set_aside: None }
    }

    fn go(&mut self) -> Result<(), Halt> {
        let mut rounds = 0;
        while let Some(todo) = self.queue.pop_front() {
            rounds += 1;
            if rounds > MAX_ROUNDS {
                return Err(Halt::SetAside("no_end"));
            }
            match todo {
                Todo::Tell { command_id, command, cause } => self.tell(command_id, &command, cause)?,
                Todo::Carry { process, instance, issued, cause } => self.carry(process, instance, &issued, cause)?,
            }
        }
        Ok(())
    }

    /// Applies writes to the states and queues what follows from them.
    fn write(&mut self, writes: &Writes) {
        for (stream, events) in writes {
            let version = self.overlay.write(*stream, events);
            for (version, event) in version.onwards().zip(events) {
                let cause = self.events;
                self.events += 1;
                self.follow(Told { stream: *stream, version, logged: None, event }, cause);
            }
        }
    }

    fn follow(&mut self, told: Told<'_>, cause: usize) {
        for process in PROCESSES {
            if let Some(instance) = process.learner(told.stream, told.event) {
                let command_id = input_command_id(instance, told.stream, told.version);
                self.queue.push_back(Todo::Tell { command_id, command: process.take_in(instance, told), cause });
            }
            for issued in process.issued(told.stream, told.event) {
                let (process, instance) = (*process, told.stream);
                self.queue.push_back(Todo::Carry { process, instance, issued, cause });
            }
        }
    }

    fn step(&mut self, command_id: CommandId, cause: usize, writes: Writes) {
        self.write(&writes);
        self.steps.push(Step { command_id, cause, writes });
    }

    fn tell(&mut self, command_id: CommandId, command: &AnyCommand, cause: usize) -> Result<(), Halt> {
        match self.decide(command) {
            Ok(Outcome::Record(writes)) => {
                self.step(command_id, cause, writes);
                Ok(())
            }
            // The input is known already; a process refuses no input.
            Ok(Outcome::AlreadyDone | Outcome::Refused(_)) => Ok(()),
            Err(Missing(stream)) if self.ground.unreadable.contains_key(&stream) => {
                Err(Halt::SetAside(RefusalCode::StreamUnreadable.code()))
            }
            Err(Missing(stream)) => Err(self.unloaded(command, stream)),
        }
    }

    fn carry(
        &mut self,
        process: &'static dyn Process,
        instance: StreamId,
        issued: &IssuedTask,
        cause: usize,
    ) -> Result<(), Halt> {
        let Some(command) = issued.task.way.decided_at_once() else { return Ok(()) };
        if self.ground.begins {
            let mut begun = Vec::new();
            command.begins(&mut begun);
            begun.into_iter().for_each(|stream| self.overlay.begin(stream));
        }
        let refused = match self.decide(command) {
            Ok(Outcome::Record(writes)) => {
                self.step(issued.command_id, cause, writes);
                None
            }
            Ok(Outcome::AlreadyDone) => {
                self.hold_to_what_was_looked_at(issued.command_id, cause);
                None
            }
            Ok(Outcome::Refused(refusal)) => Some(refusal.code.code()),
            Err(Missing(stream)) if self.ground.unreadable.contains_key(&stream) => {
                Some(RefusalCode::StreamUnreadable.code())
            }
            Err(Missing(stream)) => return Err(self.unloaded(command, stream)),
        };
        self.carried.push(Carried { name: issued.task.name, refused: refused.is_some() });
        if let Some(code) = refused {
            self.hold_to_what_was_looked_at(issued.command_id, cause);
            let command_id = refusal_command_id(instance, issued.command_id);
            let command = process.refused(instance, issued.command_id, code);
            self.queue.push_front(Todo::Tell { command_id, command, cause });
        }
        Ok(())
    }

    fn decide(&self, command: &AnyCommand) -> Result<Outcome, Missing> {
        self.overlay.take_looked_at();
        command.decide(&self.overlay, self.facts)
    }

    /// W4: on a log with several writers, what led to a refusal or to "already done" may be
    /// outdated.
    fn hold_to_what_was_looked_at(&mut self, command_id: CommandId, cause: usize) {
        let looked_at = self.overlay.take_looked_at().into_iter();
        let unwritten = looked_at.filter(|stream| !self.overlay.is_written(*stream));
        let readable = unwritten.filter(|stream| self.overlay.any(*stream).is_some());
        let writes: Writes = readable.map(|stream| (stream, Vec::new())).collect();
        if !writes.is_empty() {
            self.steps.push(Step { command_id, cause, writes });
        }
    }

    /// Asks for the stream that a decision needs, and for the others that it will read.
    fn unloaded(&self, command: &AnyCommand, stream: StreamId) -> Halt {
        let named = command.streams(&self.overlay).into_iter();
        let named = named.filter(|stream| !self.ground.unreadable.contains_key(stream));
        let wanted = named.filter(|stream| self.overlay.any(*stream).is_none()).chain([stream]);
        Halt::Unloaded(Unloaded(wanted.collect()))
    }
}

/// What a process is not told of a decision.
struct Aside {
    process: &'static dyn Process,
    /// The first event that it is set aside for.
    cause: usize,
    inputs: Vec<InputName>,
}

/// Sets the processes that a decision concerns aside: the decision is appended alone, with a record
/// of that.
fn set_aside<S: Versioned>(states: &S, first: &Writes, reason: &'static str) -> Walked {
    let mut versions = Overlay::over(states);
    let mut aside: BTreeMap<StreamId, Aside> = BTreeMap::new();
    let mut cause = 0;
    for (stream, events) in first {
        let version = versions.write(*stream, events);
        for (version, event) in version.onwards().zip(events) {
            for process in PROCESSES {
                let new = || Aside { process: *process, cause, inputs: Vec::new() };
                if let Some(instance) = process.learner(*stream, event) {
                    let input = InputName::Event { stream: *stream, version };
                    aside.entry(instance).or_insert_with(new).inputs.push(input);
                }
                // The commands that an event issues are not executed either.
                if !process.issued(*stream, event).is_empty() {
                    aside.entry(*stream).or_insert_with(new);
                }
            }
            cause += 1;
        }
    }
    let step = |(instance, Aside { process, cause, inputs }): (StreamId, Aside)| {
        let version = versions.version_after(instance);
        let command_id = set_aside_command_id(instance, version);
        Step { command_id, cause, writes: vec![(instance, vec![process.set_aside(inputs, reason)])] }
    };
    Walked { steps: aside.into_iter().map(step).collect(), set_aside: Some(reason), ..Walked::default() }
}
