//! What operators do beside the running server.

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::harness::{Client, Engine, World, basket, by_card, eventually};

pub async fn two_servers_share_postgres_but_no_folder(world: &mut World) {
    match world.engine() {
        Engine::Sqlite => a_second_server_is_refused(world).await,
        Engine::Postgres => a_second_node_serves_the_same_shop(world).await,
    }
}

async fn a_second_server_is_refused(world: &World) {
    let output = world.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in use by another process") && said.contains("data"), "{said}");
    // The first server is not affected.
    let admin = world.admin().await;
    world.product(&admin, "보이차", 12_000, 1).await;
}

async fn a_second_node_serves_the_same_shop(world: &World) {
    let mut command = world.command(&["serve", "--roles", "api", "--listen", "127.0.0.1:0"]);
    command.env("JANGBU_DATA_DIR", world.data_dir().with_file_name("second"));
    let second = world.serve(command, "second").await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 1).await;
    // A token of one node is valid on the other, and so is every fact.
    let there = Client::anonymous(format!("http://{}", second.address)).with_token(&buyer.token());
    let order = there.place(&[(&tea, 1)]).await;
    buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await.expect_problem(409, "insufficient_stock");
    there.post("/v1/payments", &by_card(&order, "tok_ok")).send().await.expect(201);
    there.order_reaches(&order, "preparing").await;
    assert!(second.terminate().await.success());
}

/// Every line of an output as JSON.
fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

pub async fn the_command_line_works_beside_the_server(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let id = order["id"].as_str().unwrap();
    let stream = format!("order-{id}");

    events(world, &stream).await;
    let story = world.run_well(&["audit", "show", &stream, "--json"]).await;
    let story = lines(&story);
    assert!(story.len() >= 4 && story[0]["type"] == "order.placed", "{story:?}");
    assert!(world.run_well(&["audit", "show", &stream]).await.contains("order.paid"));
    let verified: Value = serde_json::from_str(&world.run_well(&["audit", "verify", "--json"]).await).unwrap();
    assert_eq!(verified["ok"], true, "{verified}");
    assert_eq!(verified["first_bad_position"], Value::Null);

    admin.list_of(1, "/v1/sagas").await;
    let sagas = lines(&world.run_well(&["sagas", "list", "--json"]).await);
    assert_eq!(sagas.len(), 1, "{sagas:?}");
    let saga: Value = serde_json::from_str(&world.run_well(&["sagas", "show", id, "--json"]).await).unwrap();
    assert_eq!(saga["order_id"], id, "{saga}");
    let projections = lines(&world.run_well(&["projections", "--json"]).await);
    assert!(projections.iter().any(|projection| projection["name"] == "orders"), "{projections:?}");

    users(world).await;
    let document: Value = serde_json::from_str(&world.run_well(&["openapi"]).await).unwrap();
    assert_eq!(document, world.visitor().read("/openapi.json").await);
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../event-schemas");
    world.run_well(&["schemas", "check", "--folder", schemas]).await;
    world.run_well(&["health"]).await;
    assert!(world.run_well(&["completions", "bash"]).await.contains("jangbu"));
    let nonsense = world.run(&["audit", "show", "not-a-stream"]).await;
    assert_eq!(nonsense.status.code(), Some(2), "wrong usage");
}

async fn events(world: &World, stream: &str) {
    let all = lines(&world.run_well(&["events", "list", "--json", "--limit", "10000"]).await);
    for (index, event) in all.iter().enumerate() {
        assert_eq!(event["position"], index + 1, "{event}");
        for name in ["stream", "id", "type", "actor", "correlation_id", "causation_id", "recorded_at"] {
            assert!(event[name].is_string(), "an event has {name}: {event}");
        }
        assert!(event["version"].is_u64() && event["data"].is_object(), "{event}");
    }
    let own = lines(&world.run_well(&["events", "list", "--stream", stream, "--json"]).await);
    let expected: Vec<_> = all.iter().filter(|event| event["stream"] == stream).collect();
    assert_eq!(own.iter().collect::<Vec<_>>(), expected);
    let versions: Vec<_> = own.iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=u64::try_from(own.len()).unwrap()).collect::<Vec<_>>());
    let placed = lines(&world.run_well(&["events", "list", "--type", "order.placed", "--json"]).await);
    assert_eq!(placed.len(), 1);
    let correlation = placed[0]["correlation_id"].as_str().unwrap();
    let together = lines(&world.run_well(&["events", "list", "--correlation", correlation, "--json"]).await);
    assert!(together.iter().any(|event| event["type"] == "stock.reserved"), "{together:?}");
    let position = placed[0]["position"].to_string();
    let shown: Value = serde_json::from_str(&world.run_well(&["events", "show", &position, "--json"]).await).unwrap();
    assert_eq!(shown["id"], placed[0]["id"]);
    // Personal data is in the log only as ciphertext.
    let text = serde_json::to_string(&all).unwrap();
    for secret in ["김민지", "010-1234-5678", "minji@example.com", "테헤란로"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

/// A user that was created beside the server can log in to it, and a granted role takes effect.
async fn users(world: &World) {
    let who = ["--email", "staff@example.com", "--name", "박서준", "--role", "staff"];
    let mut create = world.command(&[&["users", "create"][..], &who].concat());
    create.env("JANGBU_PASSWORD", "a long enough password");
    let output = crate::harness::run_to_end(create).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let login = serde_json::json!({"email": "staff@example.com", "password": "a long enough password"});
    let answer = world.visitor().post("/v1/auth/login", &login).send().await.expect(200);
    let staff = world.visitor().with_token(answer["access_token"].as_str().unwrap());
    world.product(&staff, "청자 다관", 30_000, 3).await;
    world.run_well(&["users", "grant", "--user", "staff@example.com", "--role", "auditor"]).await;
    eventually("the profile shows the new role", async || {
        let roles = staff.read("/v1/auth/profile").await["roles"].clone();
        roles.as_array().unwrap().iter().any(|role| role == "auditor").then_some(())
    })
    .await;
}

pub async fn an_altered_byte_is_found(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    buyer.buy(&[(&tea, 1)]).await;
    assert!(world.terminate_shop().await.success());
    world.run_well(&["audit", "verify"]).await;
    let paid = world.run_well(&["events", "list", "--type", "order.paid", "--json"]).await;
    let position = lines(&paid)[0]["position"].as_i64().unwrap();

    alter(world, position).await;
    world.log_was_tampered_with();
    let output = world.run(&["audit", "verify", "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["first_bad_position"], position, "{report}");
    let plain = world.run(&["audit", "verify"]).await;
    assert_eq!(plain.status.code(), Some(1));
    let said = String::from_utf8_lossy(&plain.stdout).into_owned() + &String::from_utf8_lossy(&plain.stderr);
    assert!(said.contains(&position.to_string()), "the report names the position: {said}");
}

/// Changes one character of an event's payload, as somebody with the store's password could.
async fn alter(world: &World, position: i64) {
    // The last character is a brace; a blank before it does not change the JSON's meaning.
    match world.database_url() {
        None => {
            let log = rusqlite::Connection::open(world.data_dir().join("log.db")).unwrap();
            log.execute_batch("drop trigger events_are_not_updated").unwrap();
            let change =
                "update events set payload = substr(payload, 1, length(payload) - 1) || ' }' where position = ?1";
            assert_eq!(log.execute(change, [position]).unwrap(), 1);
        }
        Some(url) => {
            let mut log = PgConnection::connect(url).await.unwrap();
            // A superuser can bypass triggers.
            sqlx::raw_sql("set session_replication_role = replica").execute(&mut log).await.unwrap();
            let change = "update events set payload = left(payload, -1) || ' }' where position = $1";
            let done = sqlx::query(change).bind(position).execute(&mut log).await.unwrap();
            assert_eq!(done.rows_affected(), 1);
            log.close().await.unwrap();
        }
    }
}

pub async fn a_hang_up_ends_the_server_in_good_order(world: &mut World) {
    let admin = world.admin().await;
    world.product(&admin, "보이차", 12_000, 5).await;
    let status = world.hang_up_shop().await;
    assert!(status.success(), "it ended with {status}");
    world.run_well(&["audit", "verify"]).await;
    world.start_shop().await;
}

pub async fn readiness_knows_when_no_write_gets_through(world: &mut World) {
    let ready = world.visitor().read("/readyz").await;
    assert_eq!(writes_are(&ready), "up", "{ready}");
    // Another process holds a lock that every write needs. Reads continue.
    match world.database_url() {
        None => {
            let log = rusqlite::Connection::open(world.data_dir().join("log.db")).unwrap();
            log.execute_batch("begin immediate").unwrap();
            is_not_ready(world).await;
            log.execute_batch("rollback").unwrap();
        }
        Some(url) => {
            let mut log = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql("begin; select position from log_head for update").execute(&mut log).await.unwrap();
            is_not_ready(world).await;
            log.close().await.unwrap();
        }
    }
    eventually("the shop is ready again", async || {
        (world.visitor().get("/readyz").send().await.status == 200).then_some(())
    })
    .await;
}

async fn is_not_ready(world: &World) {
    let answer = eventually("the shop says that it is not ready", async || {
        let answer = world.visitor().get("/readyz").send().await;
        (answer.status == 503).then(|| answer.json())
    })
    .await;
    assert_eq!((&answer["status"], writes_are(&answer)), (&"not_ready".into(), "down"), "{answer}");
    let log = answer["checks"].as_array().unwrap().iter().find(|check| check["name"] == "log").unwrap();
    assert_eq!(log["state"], "up", "the log can be read: {answer}");
}

fn writes_are(ready: &Value) -> &str {
    let checks = ready["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "log_writes").unwrap()["state"].as_str().unwrap()
}
