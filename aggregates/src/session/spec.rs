//! What a session answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, RefusalCode};
use proptest::prelude::*;

use super::*;
use crate::testing::{at, check_table, facts, folded, given, id};

/// Seconds of a refresh token's life.
const LIFE: i64 = 30 * 24 * 3_600;

fn started() -> SessionEvent {
    SessionStarted { user_id: id(1), token_hash: "a".into(), expires_at: at(LIFE) }.into()
}
fn rotated(to: &str) -> SessionEvent {
    SessionRotated { token_hash: to.into(), expires_at: at(LIFE) }.into()
}
fn ended() -> SessionEvent {
    SessionEnded { reason: SessionEndReason::LoggedOut }.into()
}
fn rotate(presented: &str) -> SessionCommand {
    SessionCommand::Rotate { presented_hash: presented.into(), next_hash: "next".into() }
}
fn reuse() -> Vec<SessionEvent> {
    vec![ReuseDetected {}.into(), SessionEnded { reason: SessionEndReason::TokenReused }.into()]
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let states = [
        ("none", vec![]),
        ("live", vec![started()]),
        ("rotated", vec![started(), rotated("b")]),
        ("ended", vec![started(), rotated("b"), ended()]),
        ("stolen", [vec![started(), rotated("b")], reuse()].concat()),
    ];
    let end = SessionCommand::End { reason: SessionEndReason::LoggedOut };
    let commands = [
        ("start", SessionCommand::Start { user_id: id(1), token_hash: "a".into() }, at(0)),
        ("rotate_a", rotate("a"), at(0)),
        ("rotate_b", rotate("b"), at(0)),
        ("guess", rotate("x"), at(0)),
        ("last_moment", rotate("b"), at(LIFE - 1)),
        ("overdue", rotate("b"), at(LIFE)),
        ("end", end, at(0)),
    ];
    let answers = "
        command     none live rotated ended stolen
        start       +    =    =       =     =
        rotate_a    U    +    +       U     U
        rotate_b    U    U    +       U     U
        guess       U    U    U       U     U
        last_moment U    U    +       U     U
        overdue     U    U    U       U     U
        end         N    +    +       =     =
    ";
    let answers = answers.replace(" U", " unauthenticated").replace(" N", " not_found");
    check_table::<Session>(&answers, &states, &commands);
}

#[test]
fn i2_the_second_showing_of_a_token_ends_the_family() {
    let session = given::<Session>(&[started(), rotated("b")]).when(&rotate("a")).records(&reuse());
    assert!(!session.is_live(at(0)));
}

#[test]
fn i2_a_rotated_token_is_good_for_its_whole_life_from_now() {
    let next = SessionRotated { token_hash: "next".into(), expires_at: at(LIFE + 5) };
    let session = given::<Session>(&[started()]).at(at(5)).when(&rotate("a")).records(&[next.into()]);
    assert!(session.is_live(at(LIFE)));
    assert_eq!(session.user_id(), Some(id(1)));
}

#[test]
fn i2_of_ten_parallel_exchanges_exactly_one_wins() {
    let mut session = folded::<Session>(&[started()]);
    let mut won = 0;
    for number in 0..10 {
        let command = SessionCommand::Rotate { presented_hash: "a".into(), next_hash: format!("next {number}") };
        if let Decision::Record(events) = session.decide(&command, &facts(at(1))) {
            won += events.iter().filter(|event| matches!(event, SessionEvent::Rotated(_))).count();
            events.iter().for_each(|event| session.evolve(event));
        }
    }
    assert_eq!(won, 1);
    given::<Session>(&[started(), rotated("next 0"), ended()])
        .when(&rotate("next 0"))
        .refused(RefusalCode::Unauthenticated);
}

proptest! {
    #[test]
    fn i1_only_the_last_token_is_ever_alive(shown in prop::collection::vec(0_usize..6, 1..30)) {
        let mut session = folded::<Session>(&[started()]);
        let (mut log, mut live, mut next) = (vec![started()], Some("a".to_owned()), 1);
        for number in shown {
            let presented = if number == 0 { "a".to_owned() } else { format!("t{number}") };
            let command = SessionCommand::Rotate { presented_hash: presented.clone(), next_hash: format!("t{next}") };
            if let Decision::Record(events) = session.decide(&command, &facts(at(1))) {
                let rotates = events.len() == 1;
                prop_assert_eq!(rotates, live.as_deref() == Some(presented.as_str()));
                live = rotates.then(|| format!("t{next}"));
                next += 1;
                for event in events {
                    session.evolve(&event);
                    log.push(event);
                }
            }
        }
        prop_assert_eq!(&folded::<Session>(&log), &session);
        let snapshot = serde_json::to_string(&session).unwrap();
        prop_assert_eq!(serde_json::from_str::<Session>(&snapshot).unwrap(), session);
    }
}
