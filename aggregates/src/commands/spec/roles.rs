//! The roles of users.

use jangbu_kernel::{RefusalCode, Role};

use super::*;
use crate::command::Outcome;
use crate::commands::{ListAdministrators, RegisterUser, RoleChange, SetRoles};
use crate::testing::{at, id, sealed};

fn register(number: u128, roles: &[Role]) -> impl Command {
    RegisterUser {
        user_id: id(number),
        email_claim: id(1_000 + number),
        other_claims: Vec::new(),
        email: sealed("e"),
        name: sealed("n"),
        phone: None,
        password_hash: sealed("p"),
        roles: roles.to_vec(),
    }
}
fn set(number: u128, roles: &[Role]) -> impl Command {
    SetRoles { user_id: id(number), change: RoleChange::Set(roles.to_vec()) }
}

#[test]
fn roles_are_replaced_in_one_append() {
    let mut world = shop();
    world.must(&register(20, &[Role::Customer, Role::Staff]), at(0));
    let appended = world.must(&set(20, &[Role::Customer, Role::Auditor]), at(0));
    assert_eq!(appended.len(), 1);
    assert_eq!(appended[0].1, ["user.role_granted", "user.role_revoked"]);
    assert_eq!(world.ask(&set(20, &[Role::Auditor, Role::Customer, Role::Auditor]), at(0)), Outcome::AlreadyDone);
    world.refuses(&set(99, &[]), at(0), RefusalCode::NotFound);
    world.must(&set(20, &[]), at(0));
}

#[test]
fn whichever_way_the_role_is_taken_an_administrator_stays() {
    let mut world = shop();
    world.must(&register(20, &[Role::Admin]), at(0));
    let appended = world.must(&register(21, &[Role::Customer]), at(0));
    assert_eq!(appended.len(), 2);
    let revoke = |number| SetRoles { user_id: id(number), change: RoleChange::Revoke(Role::Admin) };
    let grant = |number| SetRoles { user_id: id(number), change: RoleChange::Grant(Role::Admin) };
    // Nobody is removed from a list that is not written yet.
    world.refuses(&revoke(20), at(0), RefusalCode::LastAdministrator);
    world.must(&ListAdministrators { user_ids: vec![id(20)] }, at(0));
    world.refuses(&revoke(20), at(0), RefusalCode::LastAdministrator);
    world.refuses(&set(20, &[Role::Staff]), at(0), RefusalCode::LastAdministrator);
    world.must(&set(20, &[Role::Admin, Role::Staff]), at(0));
    let appended = world.must(&grant(21), at(0));
    assert_eq!(appended.len(), 2, "the role and the list stand or fall together");
    world.must(&revoke(20), at(0));
    world.refuses(&set(21, &[]), at(0), RefusalCode::LastAdministrator);
    world.must(&set(20, &[Role::Admin]), at(0));
    world.must(&set(21, &[]), at(0));
}
