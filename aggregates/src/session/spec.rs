//! The answers of a session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, RefusalCode, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::testing::{at, check_table, facts, folded, given, id};

/// Seconds of a refresh token's life.
const LIFE: i64 = 30 * 24 * 3_600;

fn started() -> SessionEvent {
    SessionStarted { user_id: id(1), token_hash: "a".into(), expires_at: at(LIFE), generation: Some(0) }.into()
}
/// An exchange to the token of a generation: "a", "b", "c" and so on.
fn rotated(generation: u8) -> SessionEvent {
    rotated_at(generation, at(-60))
}
fn rotated_at(generation: u8, moment: Timestamp) -> SessionEvent {
    let (token_hash, expires_at) = (token(generation), at(LIFE));
    SessionRotated { token_hash, expires_at, generation: Some(generation.into()), rotated_at: Some(moment) }.into()
}
fn token(generation: u8) -> String {
    char::from(b'a' + generation).to_string()
}
fn ended() -> SessionEvent {
    SessionEnded { reason: SessionEndReason::LoggedOut }.into()
}
fn rotate(generation: u8) -> SessionCommand {
    SessionCommand::Rotate {
        presented_hash: token(generation),
        presented_generation: Some(generation.into()),
        next_hash: token(generation + 1),
    }
}
/// Presents a token without a proof, such as earlier releases issued and anybody may invent.
fn rotate_unproven(presented: &str) -> SessionCommand {
    let next_hash = "next".into();
    SessionCommand::Rotate { presented_hash: presented.into(), presented_generation: None, next_hash }
}
fn reuse() -> Vec<SessionEvent> {
    vec![ReuseDetected {}.into(), SessionEnded { reason: SessionEndReason::TokenReused }.into()]
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let states = [
        ("none", vec![]),
        ("live", vec![started()]),
        ("rotated", vec![started(), rotated(1)]),
        ("just", vec![started(), rotated_at(1, at(-9))]),
        ("ended", vec![started(), rotated(1), ended()]),
        ("stolen", [vec![started(), rotated(1)], reuse()].concat()),
    ];
    let end = SessionCommand::End { reason: SessionEndReason::LoggedOut };
    let commands = [
        ("start", SessionCommand::Start { user_id: id(1), token_hash: "a".into() }, at(0)),
        ("rotate_a", rotate(0), at(0)),
        ("rotate_b", rotate(1), at(0)),
        ("rotate_c", rotate(2), at(0)),
        ("guess", rotate_unproven("x"), at(0)),
        ("last_moment", rotate(1), at(LIFE - 1)),
        ("overdue", rotate(1), at(LIFE)),
        ("end", end, at(0)),
    ];
    let answers = "
        command     none live rotated just ended stolen
        start       +    =    =       =    =     =
        rotate_a    U    +    +       =    U     U
        rotate_b    U    U    +       +    U     U
        rotate_c    U    U    U       U    U     U
        guess       U    U    U       U    U     U
        last_moment U    U    +       +    U     U
        overdue     U    U    U       U    U     U
        end         N    +    +       +    =     =
    ";
    let answers = answers.replace(" U", " unauthenticated").replace(" N", " not_found");
    check_table::<Session>(&answers, &states, &commands);
}

#[test]
fn i2_a_token_shown_after_its_exchange_ends_the_family_however_old_it_is() {
    let session = given::<Session>(&[started(), rotated(1)]).when(&rotate(0)).records(&reuse());
    assert!(!session.is_live(at(0)));
    let old = [started(), rotated(1), rotated(2), rotated(3)];
    for generation in 0..3 {
        given::<Session>(&old).when(&rotate(generation)).records(&reuse());
    }
}

#[test]
fn i2_an_exchange_may_be_repeated_for_ten_seconds_while_its_successor_is_unused() {
    let exchanged = [started(), rotated_at(1, at(0))];
    for (second, repeats) in [(0, true), (9, true), (10, false), (3_600, false)] {
        let when = given::<Session>(&exchanged).at(at(second)).when(&rotate(0));
        if repeats {
            when.done_already();
        } else {
            when.records(&reuse());
        }
    }
    let used = [started(), rotated_at(1, at(0)), rotated_at(2, at(1))];
    given::<Session>(&used).at(at(2)).when(&rotate(0)).records(&reuse());
    given::<Session>(&used).at(at(2)).when(&rotate(1)).done_already();
}

#[test]
fn i2_a_rotated_token_is_good_for_its_whole_life_from_now() {
    let (expires_at, rotated_at) = (at(LIFE + 5), Some(at(5)));
    let next = SessionRotated { token_hash: "b".into(), expires_at, generation: Some(1), rotated_at };
    let session = given::<Session>(&[started()]).at(at(5)).when(&rotate(0)).records(&[next.into()]);
    assert!(session.is_live(at(LIFE)));
    assert_eq!(session.user_id(), Some(id(1)));
}

#[test]
fn i2_of_thirty_parallel_exchanges_one_is_recorded_and_the_login_lives() {
    let mut session = folded::<Session>(&[started()]);
    let mut recorded = Vec::new();
    for _ in 0..30 {
        match session.decide(&rotate(0), &facts(at(1))) {
            Decision::Record(events) => {
                events.iter().for_each(|event| session.evolve(event));
                recorded.extend(events);
            }
            Decision::AlreadyDone => {}
            Decision::Refused(refusal) => panic!("{refusal}"),
        }
    }
    assert!(matches!(recorded.as_slice(), [SessionEvent::Rotated(_)]), "{recorded:?}");
    assert!(session.is_live(at(1)));
    given::<Session>(&[started(), rotated(1), ended()]).when(&rotate(1)).refused(RefusalCode::Unauthenticated);
}

/// A session as earlier releases recorded it.
fn old_session() -> [SessionEvent; 3] {
    let expires_at = at(LIFE);
    let rotated = |to: &str| SessionRotated { token_hash: to.into(), expires_at, generation: None, rotated_at: None };
    let started = SessionStarted { user_id: id(1), token_hash: "old 0".into(), expires_at, generation: None };
    [started.into(), rotated("old 1").into(), rotated("old 2").into()]
}

#[test]
fn i2_a_session_of_an_earlier_release_goes_on_and_its_stolen_tokens_are_known() {
    for token in ["old 0", "old 1"] {
        given::<Session>(&old_session()).when(&rotate_unproven(token)).records(&reuse());
    }
    let (token_hash, expires_at) = ("next".to_owned(), at(LIFE));
    let next = SessionRotated { token_hash, expires_at, generation: Some(1), rotated_at: Some(at(0)) };
    given::<Session>(&old_session()).when(&rotate_unproven("old 2")).records(&[next.clone().into()]);
    let later = [old_session().to_vec(), vec![next.into()]].concat();
    given::<Session>(&later).at(at(9)).when(&rotate_unproven("old 2")).done_already();
    for token in ["old 1", "old 2"] {
        given::<Session>(&later).at(at(10)).when(&rotate_unproven(token)).records(&reuse());
    }
    let session = folded::<Session>(&later);
    assert!(["old 0", "old 2", "next"].into_iter().all(|hash| session.knows(hash)) && !session.knows("other"));
}

#[test]
fn what_a_session_keeps_in_mind_does_not_grow_with_its_exchanges() {
    let size = |exchanges: u64| {
        let mut session = folded::<Session>(&[started()]);
        for generation in 1..=exchanges {
            let token_hash = format!("{generation:064}");
            let (generation, rotated_at) = (Some(generation), Some(at(0)));
            session.evolve(&SessionRotated { token_hash, expires_at: at(LIFE), generation, rotated_at }.into());
        }
        serde_json::to_string(&session).unwrap().len()
    };
    assert!(size(5_000) <= size(10) + 10, "{} {}", size(5_000), size(10));
}

proptest! {
    #[test]
    fn i1_only_the_last_token_is_ever_alive(
        shown in prop::collection::vec((0_u8..6, any::<bool>(), 0_i64..15), 1..30),
    ) {
        let mut session = folded::<Session>(&[started()]);
        let (mut log, mut live, mut now) = (vec![started()], Some(0_u8), 0);
        for (generation, proven, wait) in shown {
            now += wait;
            let command = if proven { rotate(generation) } else { rotate_unproven(&token(generation)) };
            if let Decision::Record(events) = session.decide(&command, &facts(at(now))) {
                let rotates = matches!(events.as_slice(), [SessionEvent::Rotated(_)]);
                prop_assert_eq!(rotates, live == Some(generation));
                if rotates && !proven {
                    // The shop's own tokens always have a proof; what follows is not tested here.
                    return Ok(());
                }
                live = rotates.then_some(generation + 1);
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
