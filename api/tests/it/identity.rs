//! Logins, their end, attacks on them; roles; conditions.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jangbu_commands::commands::RecordLoginFailure;
use jangbu_kernel::{Role, UserId};
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, order_body};

const OWNER: &str = "192.0.2.1";
const STRANGER: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.1";

/// How long a test waits for something that should happen within a second.
const LIMIT: Duration = Duration::from_secs(30);

struct Person {
    id: String,
    email: String,
    access: String,
    refresh: String,
}

async fn person(house: &House, email: &str) -> Person {
    let account = json!({"email": email, "password": PASSWORD, "name": "김민지"});
    let user = house.post_from(OWNER, "/v1/auth/register", &account).await.expect(201);
    let login = log_in(house, OWNER, email, PASSWORD).await.expect(200);
    Person {
        id: text(&user.body["id"]),
        email: email.to_owned(),
        access: text(&login.body["access_token"]),
        refresh: text(&login.body["refresh_token"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn log_in(house: &House, from: &str, email: &str, password: &str) -> Answer {
    house.post_from(from, "/v1/auth/login", &json!({"email": email, "password": password})).await
}

async fn refresh(house: &House, token: &str) -> Answer {
    house.post_from(OWNER, "/v1/auth/refresh", &json!({"refresh_token": token})).await
}

async fn refused_soon(house: &House, access: &str, path: &str) {
    let began = Instant::now();
    while house.get(access, path).await.status != 401 {
        assert!(began.elapsed() < LIMIT, "{path} still answers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.get(access, path).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_login_that_ended_is_refused_on_every_route_whatever_token_ended_it() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let other = log_in(&house, OWNER, &minji.email, PASSWORD).await.expect(200);
    let second = refresh(&house, &minji.refresh).await.expect(200);
    let third = refresh(&house, &text(&second.body["refresh_token"])).await.expect(200);
    // Any token of the family ends it: here the oldest.
    let logout = json!({"refresh_token": minji.refresh});
    house.post_from(OWNER, "/v1/auth/logout", &logout).await.expect(204);
    house.post_from(OWNER, "/v1/auth/logout", &logout).await.expect(204);
    for access in [&minji.access, &text(&second.body["access_token"]), &text(&third.body["access_token"])] {
        for path in ["/v1/auth/profile", "/v1/orders", "/v1/payments", "/v1/shipments"] {
            refused_soon(&house, access, path).await;
        }
    }
    refresh(&house, &text(&third.body["refresh_token"])).await.problem(401, "unauthenticated");
    // Another login of the same user stays valid.
    house.get(&text(&other.body["access_token"]), "/v1/auth/profile").await.expect(200);
    // A made-up token ends no login.
    let made_up = json!({"refresh_token": "A".repeat(91)});
    house.post_from(OWNER, "/v1/auth/logout", &made_up).await.expect(204);
}

#[tokio::test]
async fn thirty_refreshes_at_once_get_one_answer_and_the_login_lives() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let answers = join_all((0..30).map(|_| refresh(&house, &minji.refresh))).await;
    let tokens: Vec<String> =
        answers.into_iter().map(|answer| text(&answer.expect(200).body["refresh_token"])).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_ne!(tokens[0], minji.refresh);
    house.world.pass(9);
    let again = refresh(&house, &minji.refresh).await.expect(200);
    assert_eq!(text(&again.body["refresh_token"]), tokens[0]);
    house.get(&minji.access, "/v1/auth/profile").await.expect(200);
    let next = refresh(&house, &tokens[0]).await.expect(200);
    // The successor was used, so a client that sends the earlier token has stolen it.
    refresh(&house, &minji.refresh).await.problem(401, "unauthenticated");
    refresh(&house, &text(&next.body["refresh_token"])).await.problem(401, "unauthenticated");
    refused_soon(&house, &text(&next.body["access_token"]), "/v1/auth/profile").await;
}

#[tokio::test]
async fn a_refresh_repeated_after_ten_seconds_ends_the_login() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let next = refresh(&house, &minji.refresh).await.expect(200);
    house.world.pass(10);
    refresh(&house, &minji.refresh).await.problem(401, "unauthenticated");
    refused_soon(&house, &text(&next.body["access_token"]), "/v1/auth/profile").await;
}

/// Sends wrong passwords until the next attempt is delayed; returns how many counted.
async fn wrong_passwords(house: &House, from: &str, email: &str) -> (u32, Answer) {
    for counted in 0..100 {
        let answer = log_in(house, from, email, "not the password").await;
        if answer.status == 423 {
            return (counted, answer);
        }
        answer.problem(401, "unauthenticated");
    }
    panic!("a hundred wrong passwords and no delay");
}

#[tokio::test]
async fn wrong_passwords_delay_who_types_them_and_nobody_else() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let staff = house.somebody(&[Role::Staff]).await;
    let (counted, delayed) = wrong_passwords(&house, STRANGER, &minji.email).await;
    assert_eq!(counted, 5);
    let delayed = delayed.problem(423, "account_locked");
    assert_eq!(delayed.header("retry-after"), "1");
    // Nothing reveals whether the account exists.
    let (unknown_counted, unknown) = wrong_passwords(&house, STRANGER, "nobody@example.com").await;
    let unknown = unknown.problem(423, "account_locked");
    assert_eq!((unknown_counted, unknown.header("retry-after")), (counted, "1"));
    assert_eq!(unknown.body["detail"], delayed.body["detail"]);
    // The right password is delayed, too, from that address; logged-in users and other addresses
    // are not.
    log_in(&house, STRANGER, &minji.email, PASSWORD).await.problem(423, "account_locked");
    let tea = house.product(&staff, "1000", 5).await;
    let key = [("idempotency-key", "order-while-delayed")];
    house.post(&minji.access, "/v1/orders", &key, &order_body(&tea, 1)).await.expect(201);
    refresh(&house, &minji.refresh).await.expect(200);
    log_in(&house, ELSEWHERE, &minji.email, PASSWORD).await.expect(200);
    house.get(&staff, &format!("/v1/users/{}", minji.id)).await.expect(200);
    // Each further wrong password doubles the delay.
    for wait in ["2", "4", "8"] {
        house.world.pass(wait.parse::<i64>().unwrap() / 2);
        log_in(&house, STRANGER, &minji.email, "not the password").await.problem(401, "unauthenticated");
        let delayed = log_in(&house, STRANGER, &minji.email, PASSWORD).await.problem(423, "account_locked");
        assert_eq!(delayed.header("retry-after"), wait);
    }
    house.world.pass(8);
    log_in(&house, STRANGER, &minji.email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_known_device_gets_through_and_a_login_that_ended_is_none() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    for _ in 0..10 {
        log_in(&house, OWNER, &minji.email, "not the password").await.problem(401, "unauthenticated");
    }
    log_in(&house, OWNER, &minji.email, PASSWORD).await.expect(200);
    let last = log_in(&house, OWNER, &minji.email, PASSWORD).await.expect(200);
    let logout = json!({"refresh_token": last.body["refresh_token"]});
    house.post_from(OWNER, "/v1/auth/logout", &logout).await.expect(204);
    assert_eq!(wrong_passwords(&house, OWNER, &minji.email).await.0, 5);
}

#[tokio::test]
async fn parallel_guesses_are_judged_one_after_the_other() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let guesses = (0..20).map(|_| log_in(&house, STRANGER, &minji.email, "not the password"));
    let answers = join_all(guesses).await;
    let counted = answers.iter().filter(|answer| answer.status == 401).count();
    let delayed = answers.iter().filter(|answer| answer.status == 423).count();
    assert_eq!((counted, delayed), (5, 15));
}

#[tokio::test]
async fn an_administrator_unlocks() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    let admin = house.somebody(&[Role::Admin]).await;
    wrong_passwords(&house, STRANGER, &minji.email).await;
    let path = format!("/v1/users/{}/unlock", minji.id);
    house.post(&minji.access, &path, &[], &json!({})).await.problem(403, "forbidden");
    house
        .post(&admin, "/v1/users/01890a5d-ac96-774b-bcce-b302099a8057/unlock", &[], &json!({}))
        .await
        .problem(404, "not_found");
    let unlocked = house.post(&admin, &path, &[], &json!({})).await.expect(200);
    assert_eq!(unlocked.body["id"], minji.id);
    assert!(unlocked.header("jangbu-position").parse::<u64>().unwrap() > 0);
    log_in(&house, STRANGER, &minji.email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn roles_are_one_decision_under_one_condition() {
    let house = House::new().await;
    let admin = house.somebody(&[Role::Admin]).await;
    let minji = person(&house, "minji@example.com").await;
    let path = format!("/v1/users/{}/roles", minji.id);
    let version = house.get(&admin, &format!("/v1/users/{}", minji.id)).await.expect(200).header("etag").to_owned();
    let put = async |roles: &[&str], headers: &[(&str, &str)]| {
        house.send_json("PUT", &admin, &path, headers, &json!({"roles": roles}).to_string()).await
    };
    let condition = [("if-match", version.as_str())];
    let (one, other) = tokio::join!(put(&["staff"], &condition), put(&["auditor", "customer"], &condition));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let set = if one.status == 200 { one } else { other };
    assert!(set.header("jangbu-position").parse::<u64>().unwrap() > 0);
    let roles = set.body["roles"].as_array().unwrap().clone();
    assert!(roles == [json!("staff")] || roles == [json!("customer"), json!("auditor")], "{roles:?}");
    // A repeat gets the first answer, even if the condition no longer holds.
    let keyed = [("idempotency-key", "set-the-roles-once"), ("if-match", set.header("etag"))];
    let first = put(&["customer", "staff", "auditor"], &keyed).await.expect(200);
    put(&["customer"], &[]).await.expect(200);
    let again = put(&["customer", "staff", "auditor"], &keyed).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body));
    put(&["admin"], &[("if-match", "\"1\", \"2\"")]).await.problem(412, "version_conflict");
}

#[tokio::test]
async fn the_last_administrator_stays_one_also_when_two_remove_each_other() {
    let house = House::new().await;
    let one = house.somebody(&[Role::Admin]).await;
    let id = async |token: &str| text(&house.get(token, "/v1/auth/profile").await.expect(200).body["id"]);
    let set = async |by: &str, whose: &str, roles: &[&str]| {
        let body = json!({"roles": roles}).to_string();
        house.send_json("PUT", by, &format!("/v1/users/{whose}/roles"), &[], &body).await
    };
    let first = id(&one).await;
    set(&one, &first, &["customer"]).await.problem(409, "last_administrator");
    set(&one, &first, &[]).await.problem(409, "last_administrator");
    set(&one, &first, &["customer", "admin"]).await.expect(200);
    let two = house.somebody(&[Role::Admin]).await;
    let second = id(&two).await;
    let (by_one, by_two) = tokio::join!(set(&one, &second, &["customer"]), set(&two, &first, &["customer"]));
    let won = [&by_one, &by_two].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{by_one:?} {by_two:?}");
    let left = if by_one.status == 200 { (&one, &first) } else { (&two, &second) };
    set(left.0, left.1, &["customer"]).await.problem(409, "last_administrator");
}

#[tokio::test]
async fn a_condition_is_judged_after_the_receipt_and_after_the_owner() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let (owner, stranger) = (person(&house, "minji@example.com").await, person(&house, "other@example.com").await);
    let tea = house.product(&staff, "1000", 5).await;
    let key = [("idempotency-key", "a-condition-and-its-owner")];
    let order = house.post(&owner.access, "/v1/orders", &key, &order_body(&tea, 1)).await.expect(201);
    let cancel = format!("/v1/orders/{}/cancel", text(&order.body["id"]));
    let profile = "/v1/auth/profile";
    for condition in ["\"99\"", "\"98\", \"99\"", "\"99\",,", "W/\"1\"", "\"\"", "\"1\", \"2\""] {
        let headers = [("if-match", condition)];
        house.post(&stranger.access, &cancel, &headers, &json!({})).await.problem(404, "not_found");
    }
    for condition in ["\"99\"", "\"98\", \"99\"", "W/\"1\"", "\"\""] {
        let headers = [("if-match", condition)];
        house.post(&owner.access, &cancel, &headers, &json!({})).await.problem(412, "version_conflict");
    }
    for condition in ["", ",", "1", "\"1\" \"2\"", "\"1"] {
        let headers = [("if-match", condition)];
        house.post(&owner.access, &cancel, &headers, &json!({})).await.problem(400, "validation_failed");
    }
    // A list holds if one of its versions does; a repeat of an executed request gets its first
    // answer.
    let body = json!({"name": "새 이름"}).to_string();
    for (round, condition) in ["\"7\",,\"1\"", "\"2\" , \"9\",", "*", "W/\"4\", \"4\""].into_iter().enumerate() {
        let key = format!("change-my-name-{round}");
        let headers = [("if-match", condition), ("idempotency-key", key.as_str())];
        let first = house.send_json("PUT", &owner.access, profile, &headers, &body).await.expect(200);
        let again = house.send_json("PUT", &owner.access, profile, &headers, &body).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body), "{condition}");
    }
}

#[tokio::test]
async fn strangers_who_sign_up_do_not_meet_in_each_others_keys() {
    let house = House::new().await;
    let sign_up = async |email: &str, name: &str, key: &str| {
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        house.post("", "/v1/auth/register", &[("idempotency-key", key)], &body).await
    };
    let first = sign_up("one@example.com", "하나", "the-same-key").await.expect(201);
    let second = sign_up("two@example.com", "둘", "the-same-key").await.expect(201);
    assert_ne!(first.body["id"], second.body["id"]);
    let again = sign_up("one@example.com", "하나", "the-same-key").await.expect(201);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body));
    sign_up("one@example.com", "다른 이름", "the-same-key").await.problem(422, "idempotency_key_reused");
    sign_up("one@example.com", "하나", "another-key").await.problem(409, "email_taken");
}

#[tokio::test]
async fn answers_stay_right_however_long_the_history_has_become() {
    let house = House::new().await;
    let minji = person(&house, "minji@example.com").await;
    // Repeated answers stay the same, however many changes came after them.
    let user_id: UserId = minji.id.parse().unwrap();
    let caller = jangbu_commands::Caller {
        actor: jangbu_kernel::Actor::User(user_id),
        scope: jangbu_commands::Scope::Own(user_id),
    };
    let name = |number: u32| json!({"name": format!("이름 {number}")}).to_string();
    let key = [("idempotency-key", "an-early-change")];
    let early = house.send_json("PUT", &minji.access, "/v1/auth/profile", &key, &name(0)).await.expect(200);
    for _ in 0..1_200 {
        let failed = RecordLoginFailure { user_id };
        let ids = || jangbu_kernel::ports::IdSource::new_id(&*house.world);
        let (command_id, correlation_id) =
            (jangbu_kernel::CommandId::new(ids()), jangbu_kernel::CorrelationId::new(ids()));
        let request = jangbu_commands::Request::new(failed, caller.clone(), command_id, correlation_id);
        house.state.commands.execute(request).await.unwrap();
    }
    let late = house.send_json("PUT", &minji.access, "/v1/auth/profile", &[], &name(1)).await.expect(200);
    assert_eq!(late.body["version"], 1_203);
    let again = house.send_json("PUT", &minji.access, "/v1/auth/profile", &key, &name(0)).await.expect(200);
    assert_eq!(again.body, early.body);
    let now = house.get(&minji.access, "/v1/auth/profile").await.expect(200);
    assert_eq!(now.body, late.body);
}
