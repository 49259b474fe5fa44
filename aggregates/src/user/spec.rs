//! The answers of a user and of a claim on an address.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use jangbu_kernel::{RefusalCode, Role, Timestamp};

use super::*;
use crate::notice::{Locale, NoticeTopic};
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
        ("unlocked", vec![registered(), failed(), UserUnlocked { at: at(0) }.into()]),
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
        ("unlock", UserCommand::Unlock, at(0)),
        ("choose", UserCommand::ChooseNotices { locale: Some(Locale::En), muted: None }, at(0)),
        ("choose_same", UserCommand::ChooseNotices { locale: None, muted: Some(BTreeSet::new()) }, at(0)),
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
        wrong_password N    +      +           +      +
        right_password N    =      +           =      =
        unlock         N    +      +           +      +
        choose         N    +      +           +      +
        choose_same    N    =      =           =      =
    ";
    let answers = answers.replace(" N", " not_found");
    check_table::<User>(&answers, &states, &commands);
}

#[test]
fn i2_wrong_passwords_keep_nobody_from_acting() {
    let mut events = vec![registered()];
    for _ in 0..20 {
        let user = given::<User>(&events).when(&UserCommand::RecordLoginFailure).records(&[failed()]);
        assert_eq!(user.may_act(), Ok(()));
        events.push(failed());
    }
    let succeeded: UserEvent = LoginSucceeded {}.into();
    given::<User>(&events).when(&UserCommand::RecordLoginSuccess).records(std::slice::from_ref(&succeeded));
    events.push(succeeded);
    given::<User>(&events).when(&UserCommand::RecordLoginSuccess).done_already();
}

#[test]
fn i2_a_lock_of_an_earlier_release_keeps_nobody_from_acting() {
    let user = folded::<User>(&[registered(), failed(), locked(at(LOCK))]);
    assert_eq!(user.status(), Some(UserStatus::Active));
    assert_eq!(user.may_act(), Ok(()));
    assert_eq!(User::default().may_act().unwrap_err().code, RefusalCode::NotFound);
}

#[test]
fn i3_unlocking_says_from_when_on_wrong_passwords_count() {
    let unlocked: UserEvent = UserUnlocked { at: at(7) }.into();
    let user = given::<User>(&[registered(), failed()]).at(at(7)).when(&UserCommand::Unlock).records(&[unlocked]);
    assert_eq!(user.unlocked_at(), Some(at(7)));
}

#[test]
fn contact_details_are_those_of_the_last_change() {
    let change = |name, phone| UserEvent::from(ContactDetailsChanged { name, phone, phone_cleared: false });
    let events = [registered(), change(Some(sealed("n2")), None), change(None, Some(sealed("p2")))];
    let cleared: UserEvent = ContactDetailsChanged { name: None, phone: None, phone_cleared: true }.into();
    let user = folded::<User>(&[events.as_slice(), &[cleared]].concat());
    assert_eq!(user.contact_details().unwrap().phone, None);
    let user = folded::<User>(&events);
    let wanted = ContactDetails { email: sealed("email"), name: sealed("n2"), phone: Some(sealed("p2")) };
    assert_eq!(user.contact_details(), Some(&wanted));
}

#[test]
fn i6_the_last_administrator_stays_one() {
    let listed = |ids: &[u128]| -> AdministratorsEvent {
        AdministratorsListed { user_ids: ids.iter().map(|number| id(*number)).collect() }.into()
    };
    let added: AdministratorsEvent = AdministratorAdded { user_id: id(2) }.into();
    let removed: AdministratorsEvent = AdministratorRemoved { user_id: id(1) }.into();
    let remove = |number| AdministratorsCommand::Remove(id(number));
    given::<Administrators>(&[listed(&[1])]).when(&remove(1)).refused(RefusalCode::LastAdministrator);
    given::<Administrators>(&[listed(&[1]), added.clone()]).when(&remove(1)).records(std::slice::from_ref(&removed));
    given::<Administrators>(&[listed(&[1, 2]), removed]).when(&remove(2)).refused(RefusalCode::LastAdministrator);
    // Before the list is written nobody leaves it, and a user who joined before stays on it.
    given::<Administrators>(std::slice::from_ref(&added)).when(&remove(2)).refused(RefusalCode::LastAdministrator);
    let list = AdministratorsCommand::List(vec![id(1)]);
    let both = given::<Administrators>(&[added]).when(&list).records(&[listed(&[1])]);
    assert_eq!(both, folded::<Administrators>(&[listed(&[1, 2])]));
    given::<Administrators>(&[listed(&[1])]).when(&list).done_already();
    given::<Administrators>(&[listed(&[1])]).when(&AdministratorsCommand::Add(id(1))).done_already();
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
fn i7_what_is_chosen_again_is_no_fact() {
    let choose = |locale, muted: Option<&[NoticeTopic]>| UserCommand::ChooseNotices {
        locale,
        muted: muted.map(|muted| muted.iter().copied().collect()),
    };
    let both = choose(Some(Locale::En), Some(&[NoticeTopic::Delivery]));
    let chosen: UserEvent = NoticesChosen { locale: Some(Locale::En), muted: Some(vec![NoticeTopic::Delivery]) }.into();
    let user = given::<User>(&[registered()]).when(&both).records(std::slice::from_ref(&chosen));
    assert_eq!((user.locale(), user.muted().collect::<Vec<_>>()), (Some(Locale::En), vec![NoticeTopic::Delivery]));
    let events = [registered(), chosen];
    given::<User>(&events).when(&both).done_already();
    let unmuted: UserEvent = NoticesChosen { locale: None, muted: Some(Vec::new()) }.into();
    let user = given::<User>(&events).when(&choose(Some(Locale::En), Some(&[]))).records(&[unmuted]);
    assert_eq!((user.locale(), user.muted().count()), (Some(Locale::En), 0));
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
