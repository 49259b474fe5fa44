//! W1: a process is told of an event in the append of that event.
//!
//! The log does not mark where an append ends. All of its events have one correlation id and one
//! time, and events of others cannot lie between them; so an event was missed if an event with
//! another correlation id or time follows before a process was told of it. In a log that an earlier
//! version has begun, the rule holds from the first append that tells a process.

use std::collections::BTreeMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::processes::{FulfilmentEvent, InputName, PROCESSES};
use jangbu_kernel::{AggregateKind, CorrelationId, Position, StreamId, Timestamp, Version};

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};

/// The events of the current append that no process has been told of.
#[derive(Default)]
pub(crate) struct Walks {
    append: Option<(CorrelationId, Timestamp)>,
    /// With their positions.
    untold: BTreeMap<InputName, Position>,
    /// Whether the rule holds yet in this log.
    holds: bool,
}

impl Walks {
    fn told(&mut self, input: InputName) {
        self.holds |= self.untold.remove(&input).is_some();
    }

    fn append_ends(&mut self, findings: &mut Findings) {
        for (input, position) in std::mem::take(&mut self.untold) {
            if let (true, InputName::Event { stream, .. }) = (self.holds, input) {
                findings.report(Invariant::W1, position, stream, "no process was told of it in its append");
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Walks {
    fn name(&self) -> &'static str {
        "walks"
    }

    fn looks(&self) -> Looks {
        Looks { kinds: AggregateKind::ALL, types: &[] }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let (stream, meta) = (seen.event.stream, &seen.event.meta);
        let append = Some((meta.correlation_id, meta.recorded_at));
        if self.append != append {
            self.append_ends(findings);
            self.append = append;
        }
        if PROCESSES.iter().any(|process| process.learner(stream, seen.domain).is_some()) {
            let input = InputName::Event { stream, version: seen.event.version };
            self.untold.insert(input, seen.event.position);
        }
        match seen.domain {
            DomainEvent::Fulfilment(FulfilmentEvent::InputReceived(received)) => self.told(received.input),
            DomainEvent::Fulfilment(FulfilmentEvent::InputsSetAside(aside)) => {
                aside.inputs.iter().for_each(|input| self.told(*input));
            }
            // The order's first event is told by the process's own first event.
            DomainEvent::Fulfilment(FulfilmentEvent::Started(started)) => {
                self.untold
                    .remove(&InputName::Event { stream: StreamId::order(started.order_id), version: Version::FIRST });
            }
            _ => {}
        }
    }

    fn finish(&mut self, _: End, findings: &mut Findings) {
        self.append_ends(findings);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use jangbu_aggregates::order::{OrderEvent, OrderHoldReleased};
    use jangbu_aggregates::processes::{InputReceived, InputsSetAside, ProcessFact};

    use super::super::story::Story;
    use super::*;

    fn released(story: &mut Story) -> InputName {
        story.order(OrderEvent::from(OrderHoldReleased { reason: "looked".into() }));
        let (event, _) = story.events.last().expect("it was told");
        InputName::Event { stream: event.stream, version: event.version }
    }

    fn taken_in(story: &mut Story, input: InputName) {
        let (event_type, fact) = ("order.hold_released".to_owned(), ProcessFact::OrderReleased);
        story.process(InputReceived { input, event_type, fact, step: None, issued: Vec::new() });
    }

    fn broken(story: &Story) -> Vec<u64> {
        let (mut walks, mut findings) = (Walks::default(), Findings::default());
        for (event, domain) in &story.events {
            walks.observe(Seen { event, domain }, &mut findings);
        }
        let end = End { now: Timestamp::UNIX_EPOCH, patience: TimeDelta::zero() };
        walks.finish(end, &mut findings);
        findings.in_order().iter().map(|found| found.position.get()).collect()
    }

    #[test]
    fn w1_an_input_in_the_append_of_its_event_holds() {
        let mut story = Story::default();
        let input = released(&mut story);
        taken_in(&mut story, input);
        story.wait(TimeDelta::seconds(1));
        let input = released(&mut story);
        story.process(InputsSetAside { inputs: vec![input], reason: "broke_off".into() });
        assert!(broken(&story).is_empty());
    }

    #[test]
    fn w1_an_input_that_comes_later_or_never_is_found() {
        let mut story = Story::default();
        let input = released(&mut story);
        taken_in(&mut story, input);
        story.wait(TimeDelta::seconds(1));
        let late = released(&mut story);
        story.wait(TimeDelta::seconds(1));
        taken_in(&mut story, late);
        story.wait(TimeDelta::seconds(1));
        released(&mut story);
        assert_eq!(broken(&story), [3, 5]);
    }

    #[test]
    fn w1_what_an_earlier_version_wrote_is_not_held_against_it() {
        let mut story = Story::default();
        let old = released(&mut story);
        story.wait(TimeDelta::seconds(1));
        taken_in(&mut story, old);
        story.wait(TimeDelta::seconds(1));
        let input = released(&mut story);
        taken_in(&mut story, input);
        assert!(broken(&story).is_empty());
    }
}
