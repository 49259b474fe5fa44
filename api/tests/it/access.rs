use std::path::Path;

use jangbu_api::{Access, Route, route_table};
use jangbu_commands::{Key, Reach, allows};
use jangbu_kernel::Role;

use crate::house::{House, NOBODY};

/// A path with values in place of its parameters.
fn concrete(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{stream}" => format!("order-{NOBODY}"),
        "{number}" | "{tracking_number}" | "{name}" => "nothing".to_owned(),
        part if part.starts_with('{') => NOBODY.to_owned(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_guarded(route: &Route) -> bool {
    !matches!(route.access, Access::Open | Access::Public | Access::Auth)
}

/// Whether a user with this role gets past the gate.
fn passes(access: Access, role: Role) -> bool {
    match access {
        Access::Open | Access::Public | Access::Auth | Access::Holder(Reach::LoggedIn) => true,
        Access::Holder(Reach::Any(permission) | Reach::Own(permission)) => allows(&[role], permission),
        Access::Holder(Reach::OwnOrAny { own, any }) => allows(&[role], own) || allows(&[role], any),
    }
}

#[tokio::test]
async fn every_guarded_route_asks_for_a_login() {
    let house = House::new().await;
    let routes = route_table();
    assert!(routes.iter().filter(|route| is_guarded(route)).count() > 40, "the table is the whole table");
    for route in routes.iter().filter(|route| is_guarded(route)) {
        for (token, code) in [("", "unauthenticated"), ("not.a.token", "unauthenticated")] {
            let answer = house.send_json(route.method.as_str(), token, &concrete(&route.path), &[], "{}").await;
            let answer = answer.problem(401, code);
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{route:?}");
        }
    }
}

#[tokio::test]
async fn every_guarded_route_refuses_the_roles_that_lack_its_permission() {
    let house = House::new().await;
    let mut refused = 0;
    for role in Role::ALL.iter().copied() {
        let token = house.somebody(&[role]).await;
        for route in route_table().iter().filter(|route| is_guarded(route)) {
            // The stream of an order that does not exist is answered 404 before anything is
            // followed.
            let answer = house.send_json(route.method.as_str(), &token, &concrete(&route.path), &[], "{}").await;
            if passes(route.access, role) {
                assert_ne!(answer.status.as_u16(), 403, "{role:?} {route:?}");
                assert_ne!(answer.status.as_u16(), 401, "{role:?} {route:?}");
            } else {
                answer.problem(403, "forbidden");
                refused += 1;
            }
        }
    }
    assert!(refused > 30, "{refused}");
    let nobody = house.somebody(&[]).await;
    for route in
        route_table().iter().filter(|route| is_guarded(route) && route.access != Access::Holder(Reach::LoggedIn))
    {
        let answer = house.send_json(route.method.as_str(), &nobody, &concrete(&route.path), &[], "{}").await;
        answer.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn an_expired_token_says_so_and_a_public_route_does_not_mind() {
    let house = House::new().await;
    let token = house.somebody(&[Role::Customer]).await;
    house.get(&token, "/v1/orders").await.expect(200);
    house.world.pass(306);
    let answer = house.get(&token, "/v1/orders").await.problem(401, "token_expired");
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    house.get(&token, "/v1/products").await.expect(200);
}

/// How far a user with this role reaches through a route.
fn reached(access: Access, role: Role) -> &'static str {
    match access {
        Access::Open | Access::Public | Access::Auth => "any",
        Access::Holder(Reach::LoggedIn) => "own",
        Access::Holder(Reach::Any(permission)) if allows(&[role], permission) => "any",
        Access::Holder(Reach::Own(permission)) if allows(&[role], permission) => "own",
        Access::Holder(Reach::OwnOrAny { any, .. }) if allows(&[role], any) => "any",
        Access::Holder(Reach::OwnOrAny { own, .. }) if allows(&[role], own) => "own",
        Access::Holder(Reach::Any(_) | Reach::Own(_) | Reach::OwnOrAny { .. }) => "-",
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" | ")
}

/// The table of `docs/PERMISSIONS.md`.
fn table(routes: &[Route]) -> String {
    let roles = words(Role::ALL.iter().map(|role| role.name()));
    let mut rows = vec![format!("| command | route | {roles} | key | refused with |")];
    rows.push(format!("|---|---|{}---|---|", "---|".repeat(Role::ALL.len())));
    for route in routes {
        for rules in &route.commands {
            let reach = words(Role::ALL.iter().map(|role| reached(route.access, *role)));
            let key = if rules.key == Key::Required { "required" } else { "optional" };
            let refusals: Vec<_> = rules.refusals.iter().map(|code| format!("`{}`", code.code())).collect();
            let (name, method, path) = (rules.name, &route.method, &route.path);
            rows.push(format!("| `{name}` | `{method} {path}` | {reach} | {key} | {} |", refusals.join(", ")));
        }
    }
    rows.join("\n")
}

#[test]
fn who_may_send_which_command_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PERMISSIONS.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let start = document.find("| command |").expect("the table");
    let end = document[start..].find("\n\n").map_or(document.len(), |end| start + end);
    let told = table(&route_table());
    if std::env::var_os("JANGBU_BLESS").is_some() {
        std::fs::write(&path, format!("{}{told}{}", &document[..start], &document[end..])).unwrap();
        return;
    }
    assert_eq!(document[start..end].trim_end(), told, "JANGBU_BLESS=1 writes it anew");
}

#[test]
fn all_commands_of_a_route_have_the_same_reach() {
    for route in route_table() {
        for rules in &route.commands {
            assert_eq!(rules.reach.map_or(Access::Auth, Access::Holder), route.access, "{}", rules.name);
        }
    }
}
