//! What an import answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::testing::{at, check_table, folded, given};

fn started(run: u32) -> ImportEvent {
    ImportStarted { kind: ImportKind::Products, run, rows: 3 }.into()
}

fn counts() -> ImportCounts {
    ImportCounts { created: 1, invalid: 1, ..ImportCounts::default() }
}

fn end(run: u32, end: ImportEnd) -> ImportCommand {
    ImportCommand::End { run, counts: counts(), end }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let gone = ImportInterruption::ClientGone;
    let states = [
        ("none", vec![]),
        ("running", vec![started(1), ImportProgressed { run: 1, counts: counts() }.into()]),
        ("done", vec![started(1), ImportFinished { run: 1, counts: counts() }.into()]),
        ("stopped", vec![started(1), ImportInterrupted { run: 1, counts: counts(), reason: gone }.into()]),
        ("again", vec![started(1), started(2)]),
    ];
    let commands = [
        ("start", ImportCommand::Start { kind: ImportKind::Products, rows: 3 }, at(0)),
        ("progress", ImportCommand::Progress { run: 1, counts: counts() }, at(0)),
        ("finish", end(1, ImportEnd::Finished), at(0)),
        ("interrupt", end(1, ImportEnd::Interrupted(gone)), at(0)),
        ("second", end(2, ImportEnd::Finished), at(0)),
    ];
    let answers = "
        command   none      running done stopped again
        start     +         +       +    +       +
        progress  not_found +       =    =       =
        finish    not_found +       =    =       =
        interrupt not_found +       =    =       =
        second    not_found =       =    =       +
    ";
    check_table::<Import>(answers, &states, &commands);
}

#[test]
fn i1_every_start_is_a_run_of_its_own() {
    let begin = ImportCommand::Start { kind: ImportKind::Products, rows: 3 };
    let import = given::<Import>(&[]).when(&begin).records(&[started(1)]);
    assert_eq!(import.state(), Some(ImportState::Running));
    given::<Import>(&[started(1)]).when(&begin).records(&[started(2)]);
}

#[test]
fn i2_a_run_ends_once() {
    let finished: ImportEvent = ImportFinished { run: 1, counts: counts() }.into();
    let import =
        given::<Import>(&[started(1)]).when(&end(1, ImportEnd::Finished)).records(std::slice::from_ref(&finished));
    assert_eq!(import.state(), Some(ImportState::Done));
    let late = end(1, ImportEnd::Interrupted(ImportInterruption::ClientGone));
    given::<Import>(&[started(1), finished.clone()]).when(&late).done_already();
    assert_eq!(folded::<Import>(&[started(1), finished, started(2)]).state(), Some(ImportState::Running));
}

#[test]
fn i3_only_counts_are_kept() {
    assert_eq!(counts().rows(), 2);
    let event: ImportEvent = ImportFinished { run: 1, counts: counts() }.into();
    assert_eq!(
        event.payload_json(),
        r#"{"run":1,"counts":{"created":1,"changed":0,"unchanged":0,"replayed":0,"refused":0,"invalid":1}}"#
    );
}
