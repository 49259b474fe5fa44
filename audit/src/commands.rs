//! L2: a command id has one append.

use std::collections::HashSet;

use jangbu_kernel::{AggregateKind, CommandId};

use super::finding::{Check, Findings, Invariant, Looks, Seen};

/// Keeps every command id: 16 bytes a command, the only state of the audit that can never be
/// dropped.
#[derive(Default)]
pub(crate) struct Commands {
    ended: HashSet<CommandId>,
    current: Option<CommandId>,
}

impl Check for Commands {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn looks(&self) -> Looks {
        Looks { kinds: AggregateKind::ALL, types: &[] }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let id = seen.event.meta.command_id;
        if self.current == Some(id) {
            return;
        }
        if let Some(before) = self.current.replace(id) {
            self.ended.insert(before);
        }
        if self.ended.contains(&id) {
            seen.report(findings, Invariant::L2, format!("command {id} has appended before"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, id};
    use super::*;

    #[test]
    fn l2_one_append_of_several_events_holds() {
        let mut story = Story::default();
        story.stock_received(id(1), 5);
        story.same_command();
        story.stock_received(id(2), 5);
        assert_eq!(story.broken(), []);
    }

    #[test]
    fn l2_a_command_that_comes_back_is_found() {
        let mut story = Story::default();
        story.stock_received(id(1), 5);
        let first = story.command();
        story.stock_received(id(1), 5);
        story.repeat(first);
        story.stock_received(id(1), 5);
        assert_eq!(story.broken(), [(Invariant::L2, 3)]);
    }
}
