//! What a notice promises.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, OrderId, RefusalCode, StreamId, Timestamp, UserId, Version};

use super::*;
use crate::testing::{at, check_table, facts, given, id};

fn about() -> NoticeAbout {
    NoticeAbout {
        name: "order_placed".to_owned(),
        to: Recipient::Buyer,
        channel: "mail".to_owned(),
        stream: StreamId::order(id::<OrderId>(1)),
        version: Version::FIRST,
        user_id: Some(id::<UserId>(2)),
        order_id: Some(id::<OrderId>(1)),
    }
}

fn sent(attempt: u32) -> NoticeEvent {
    NoticeSent { about: about(), attempt }.into()
}

fn failed(attempt: u32, retry_at: Timestamp) -> NoticeEvent {
    NoticeFailed { about: about(), attempt, reason: "timed_out".to_owned(), retry_at }.into()
}

fn given_up(attempt: u32) -> NoticeEvent {
    NoticeGivenUp { about: about(), attempt, reason: "timed_out".to_owned() }.into()
}

fn record(attempt: u32, outcome: NoticeOutcome) -> NoticeCommand {
    NoticeCommand::Record { about: about(), attempt, outcome }
}

fn failure(for_good: bool) -> NoticeOutcome {
    NoticeOutcome::Failed { reason: "timed_out".to_owned(), for_good }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let requested: NoticeEvent = NoticeSendRequested { at: at(0) }.into();
    let states = [
        ("none", vec![]),
        ("sent", vec![sent(1)]),
        ("waiting", vec![failed(1, at(60))]),
        ("given_up", vec![given_up(1)]),
        ("requested", vec![given_up(1), requested]),
    ];
    let commands = [
        ("sent_first", record(1, NoticeOutcome::Sent), at(0)),
        ("sent_second", record(2, NoticeOutcome::Sent), at(0)),
        ("failed_first", record(1, failure(false)), at(0)),
        ("failed_second", record(2, failure(false)), at(0)),
        ("send", NoticeCommand::Send, at(0)),
        ("send_late", NoticeCommand::Send, at(60)),
    ];
    let answers = "
        command       none sent waiting given_up requested
        sent_first    +    =    =       =        =
        sent_second   +    =    +       +        +
        failed_first  +    =    =       =        =
        failed_second +    =    +       +        +
        send          N    S    +       +        =
        send_late     N    S    =       +        =
    ";
    let answers = answers.replace(" N", " not_found").replace(" S", " notice_already_sent");
    check_table::<Notice>(&answers, &states, &commands);
}

#[test]
fn i1_what_was_sent_is_not_sent_again() {
    given::<Notice>(&[failed(1, at(60)), sent(2)]).when(&NoticeCommand::Send).refused(RefusalCode::NoticeAlreadySent);
    given::<Notice>(&[sent(1)]).when(&record(2, failure(true))).done_already();
}

#[test]
fn i2_an_attempt_is_recorded_once() {
    given::<Notice>(&[failed(1, at(60))]).when(&record(1, NoticeOutcome::Sent)).done_already();
}

#[test]
fn i3_the_waits_grow_to_a_day_and_then_it_is_given_up() {
    let mut notice = Notice::default();
    let (mut now, mut wait) = (at(0), chrono::TimeDelta::zero());
    for attempt in 1..=MOST_ATTEMPTS {
        let Decision::Record(events) = notice.decide(&record(attempt, failure(false)), &facts(now)) else {
            panic!("attempt {attempt} is recorded");
        };
        notice.evolve(&events[0]);
        let Some(retry_at) = notice.retry_at() else { break };
        assert!(retry_at - now > wait, "the wait after attempt {attempt} is longer");
        (wait, now) = (retry_at - now, retry_at);
    }
    assert_eq!((notice.state(), notice.attempts()), (Some(NoticeState::GivenUp), MOST_ATTEMPTS));
    let hours = (now - at(0)).num_hours();
    assert!((22..=24).contains(&hours), "{hours}");
}

#[test]
fn i3_what_a_server_will_never_take_is_given_up_at_once() {
    given::<Notice>(&[]).when(&record(1, failure(true))).records(&[given_up(1)]);
}

#[test]
fn i4_staff_have_it_tried_again_once_for_each_time() {
    let requested: NoticeEvent = NoticeSendRequested { at: at(5) }.into();
    let lost = [given_up(MOST_ATTEMPTS)];
    let notice = given::<Notice>(&lost).at(at(5)).when(&NoticeCommand::Send).records(std::slice::from_ref(&requested));
    assert_eq!(notice.retry_at(), Some(at(5)));
    let again = [lost[0].clone(), requested];
    let next = MOST_ATTEMPTS + 1;
    given::<Notice>(&again).when(&record(next, failure(false))).records(&[given_up(next)]);
    given::<Notice>(&again).when(&record(next, NoticeOutcome::Sent)).records(&[sent(next)]);
}
