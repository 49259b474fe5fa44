//! What a user and a claim on an address answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{RefusalCode, Role, Timestamp};

use super::*;
use crate::testing::{at, check_table, folded, given, id, sealed};

/// Seconds of a lock.
const LOCK: i64 = 15 * 60;

fn registration() -> UserRegistered {
    UserRegistered {
        email: sealed("email"),
        name: sealed("name"),
        phone: None,
        password_hash: sealed("hash"),
        roles: vec![Role::Customer],
    }
}
fn registered() -> UserEvent {
    registration().into()
}
fn failed() -> UserEvent {
    LoginFailed {}.into()
}
fn locked(until: Timestamp) -> UserEvent {
    UserLocked { until }.into()
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let states = [
        ("none", vec![]),
        ("active", vec![registered()]),
        ("failed_once", vec![registered(), failed()]),
        ("locked", vec![registered(), locked(at(LOCK))]),
        ("unlocked", vec![registered(), locked(at(0))]),
    ];
    let name = Some(sealed("new"));
    let commands = [
        ("register", UserCommand::Register(registration()), at(0)),
        ("change_name", UserCommand::ChangeContactDetails { name, phone: None, clear_phone: false }, at(0)),
        ("change_nothing", UserCommand::ChangeContactDetails { name: None, phone: None, clear_phone: false }, at(0)),
        ("grant", UserCommand::GrantRole(Role::Staff), at(0)),
        ("grant_again", UserCommand::GrantRole(Role::Customer), at(0)),
        ("revoke", UserCommand::RevokeRole(Role::Customer), at(0)),
        ("revoke_other", UserCommand::RevokeRole(Role::Staff), at(0)),
        ("wrong_password", UserCommand::RecordLoginFailure, at(0)),
        ("right_password", UserCommand::RecordLoginSuccess, at(0)),
    ];
    let answers = "
        command        none active failed_once locked unlocked
        register       +    =      =           =      =
        change_name    N    +      +           +      +
        change_nothing N    =      =           =      =
        grant          N    +      +           +      +
        grant_again    N    =      =           =      =
        revoke         N    +      +           +      +
        revoke_other   N    =      =           =      =
        wrong_password N    +      +           L      +
        right_password N    =      +           L      =
    ";
    let answers = answers.replace(" N", " not_found").replace(" L", " account_locked");
    check_table::<User>(&answers, &states, &commands);
}

#[test]
fn i2_the_fifth_wrong_password_locks_the_account() {
    let four = [registered(), failed(), failed(), failed(), failed()];
    let user = given::<User>(&four).when(&UserCommand::RecordLoginFailure).records(&[failed(), locked(at(LOCK))]);
    assert_eq!(user.status(at(LOCK - 1)), Some(UserStatus::Locked));
    assert_eq!(user.status(at(LOCK)), Some(UserStatus::Active));
    assert_eq!(user.may_act(at(0)).unwrap_err().code, RefusalCode::UserNotActive);
    assert_eq!(user.may_act(at(LOCK)), Ok(()));
}

#[test]
fn i2_the_count_starts_anew_after_the_right_password_and_after_a_lock() {
    let four = [registered(), failed(), failed(), failed(), failed()];
    for ended in [LoginSucceeded {}.into(), locked(at(0))] {
        let events = [&four[..], &[ended]].concat();
        given::<User>(&events).when(&UserCommand::RecordLoginFailure).records(&[failed()]);
    }
}

#[test]
fn i3_while_locked_the_right_password_does_not_count_either() {
    let refusal = given::<User>(&[registered(), locked(at(LOCK))])
        .at(at(LOCK - 1))
        .when(&UserCommand::RecordLoginSuccess)
        .refused(RefusalCode::AccountLocked);
    assert_eq!(refusal.current_state, Some("locked"));
}

#[test]
fn i4_roles_are_a_set() {
    let user = folded::<User>(&[
        registered(),
        RoleGranted { role: Role::Admin }.into(),
        RoleGranted { role: Role::Staff }.into(),
        RoleRevoked { role: Role::Customer }.into(),
    ]);
    assert_eq!(user.roles().collect::<Vec<_>>(), [Role::Staff, Role::Admin]);
    let snapshot = serde_json::to_string(&user).unwrap();
    assert_eq!(serde_json::from_str::<User>(&snapshot).unwrap(), user);
}

#[test]
fn i5_an_address_belongs_to_the_first_who_claimed_it() {
    let claimed: EmailEvent = EmailClaimed { user_id: id(1) }.into();
    let claim = |number| EmailCommand::Claim { user_id: id(number) };
    let email = given::<EmailClaim>(&[]).when(&claim(1)).records(std::slice::from_ref(&claimed));
    assert_eq!(email.user_id(), Some(id(1)));
    given::<EmailClaim>(std::slice::from_ref(&claimed)).when(&claim(1)).done_already();
    given::<EmailClaim>(&[claimed]).when(&claim(2)).refused(RefusalCode::EmailTaken);
}
