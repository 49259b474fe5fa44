//! Something in the store cannot be read: a byte was changed, a newer release has written it, a key
//! is gone. What depends on it is parked and reported; everything else continues.

use jangbu_tests::harness::{Client, Engine, World, by_card, eventually};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

/// Runs a statement on the store of a stopped shop, with its guards disabled.
async fn tamper(world: &World, sqlite: &str, postgres: &str) {
    match world.engine() {
        Engine::Sqlite => {
            let log = rusqlite::Connection::open(world.data_dir().join("log.db")).unwrap();
            log.execute_batch("drop trigger if exists events_are_not_updated").unwrap();
            let keys = world.data_dir().join("keys.db");
            log.execute("attach ?1 as keys", [keys.to_str()]).unwrap();
            log.execute_batch(sqlite).unwrap();
        }
        Engine::Postgres => {
            let mut database = PgConnection::connect(world.database_url().unwrap()).await.unwrap();
            sqlx::raw_sql("alter table events disable trigger all").execute(&mut database).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(postgres.to_owned())).execute(&mut database).await.unwrap();
            database.close().await.unwrap();
        }
    }
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

fn bare(thing: &Value) -> String {
    id(thing).replace('-', "")
}

async fn readiness(world: &World) -> Value {
    world.visitor().get("/readyz").send().await.expect(200)
}

fn check<'a>(readiness: &'a Value, name: &str) -> &'a Value {
    readiness["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

/// The order is reported as parked, in every interface that reports it.
async fn is_named(world: &World, admin: &Client, order: &Value) {
    let listed = admin.list_of(1, "/v1/sagas?state=parked").await.remove(0);
    assert_eq!((&listed["order_id"], &listed["state"]), (&order["id"], &json!("parked")), "{listed}");
    assert_eq!(listed["number"], order["number"]);
    let stream = format!("fulfilment-{}", id(order));
    assert_eq!(listed["unreadable"]["stream"], *stream, "{listed}");
    assert_eq!(admin.read_all("/v1/sagas?stuck_seconds=60").await.len(), 1);
    let alone = admin.read(&format!("/v1/sagas/{}", id(order))).await;
    assert_eq!(alone["unreadable"]["stream"], *stream, "{alone}");
    let stuck = world.run_well(&["sagas", "list", "--stuck", "--json"]).await;
    assert!(stuck.contains(id(order)) && stuck.contains("cannot be"), "{stuck}");
    assert!(world.run_well(&["sagas", "show", id(order)]).await.contains("fulfilment.started"));
    let readiness = readiness(world).await;
    assert_eq!(readiness["status"], "ready");
    assert_eq!(check(&readiness, "processes")["state"], "down", "{readiness}");
    eventually("the metric tells", async || {
        let metrics = world.visitor().get("/metrics").send().await.text();
        metrics.contains("jangbu_process_parked_orders 1").then_some(())
    })
    .await;
}

pub async fn an_unreadable_process_stops_its_own_order_only(world: &mut World) {
    world.log_was_tampered_with();
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 20).await;
    let (broken, other) = (buyer.place(&[(&tea, 1)]).await, buyer.place(&[(&tea, 1)]).await);
    // The read models have the order before the log is altered.
    buyer.order_reaches(&broken, "placed").await;
    admin.saga_rests(id(&broken)).await;
    assert!(world.terminate_shop().await.success());
    tamper(
        world,
        &format!(
            "update events set payload = substr(payload, 1, 20) \
             where stream_kind = 'fulfilment' and hex(stream_id) = upper('{}')",
            bare(&broken)
        ),
        &format!(
            "update events set payload = substr(payload, 1, 20) where stream_kind = 'fulfilment' and stream_id = '{}'",
            id(&broken)
        ),
    )
    .await;
    world.start_shop().await;
    let refused = buyer.post("/v1/payments", &by_card(&broken, "tok_ok")).send().await;
    assert_eq!(refused.status, 201, "its payment is asked for, and waits");
    buyer.pay(&other, "tok_ok").send().await;
    buyer.order_reaches(&other, "preparing").await;
    is_named(world, &admin, &broken).await;
    let said = world.shop().said();
    assert_eq!(said.matches(&format!("the process of order {} is parked", id(&broken))).count(), 1, "named once");

    // Also after a restart.
    assert!(world.terminate_shop().await.success());
    world.start_shop().await;
    buyer.buy(&[(&tea, 1)]).await;
    is_named(world, &admin, &broken).await;
    assert_eq!(buyer.read(&format!("/v1/orders/{}", id(&broken))).await["status"], "awaiting_payment");
}

pub async fn what_a_newer_release_wrote_is_passed_over(world: &mut World) {
    world.log_was_tampered_with();
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 20).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    assert!(world.terminate_shop().await.success());
    // Three events are appended, as a newer release would have written them: of an unknown kind of
    // stream, of an unknown type, and by an unknown kind of actor.
    let rows = [
        ("parrot", "parrot.spoke", 1, "system:timer"),
        ("stock", "stock.counted_by_parrot", 99, "system:timer"),
        ("stock", "stock.counted_by_parrot", 100, "parrot:polly"),
    ];
    for (kind, event_type, version, actor) in rows {
        let columns = "stream_kind, stream_id, version, event_id, event_type, schema_version, payload, \
             correlation_id, causation_id, command_id, actor, trace, recorded_at, hash";
        tamper(
            world,
            &format!(
                "insert into events (position, {columns}) select max(position) + 1, '{kind}', zeroblob(16), {version}, \
                 randomblob(16), '{event_type}', 1, '{{}}', zeroblob(16), zeroblob(16), zeroblob(16), '{actor}', null, \
                 max(recorded_at), zeroblob(32) from events"
            ),
            &format!(
                "with at as (update log_head set position = position + 1 returning position) \
                 insert into events (position, {columns}) select at.position, '{kind}', \
                 '00000000-0000-0000-0000-000000000000', {version}, gen_random_uuid(), '{event_type}', 1, '{{}}', \
                 '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', \
                 '00000000-0000-0000-0000-000000000000', '{actor}', null, \
                 (select max(recorded_at) from events), decode(repeat('00', 32), 'hex') from at"
            ),
        )
        .await;
    }
    world.start_shop().await;
    buyer.buy(&[(&tea, 1)]).await;
    assert_eq!(buyer.read_all("/v1/orders").await.len(), 2, "the read models go on");
    assert_eq!(check(&readiness(world).await, "processes")["state"], "up");
    let listed = world.run_well(&["events", "list", "--json", "--limit", "100000"]).await;
    assert!(listed.contains("counted_by_parrot") && listed.contains("parrot:polly"), "the log is listed");
    let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spoken: Vec<_> = lines.filter(|line| line["type"] == "parrot.spoke").collect();
    assert_eq!(spoken.len(), 1, "what this release does not know is listed as it is stored");
    let shown = world.run_well(&["events", "show", &spoken[0]["position"].to_string()]).await;
    assert!(shown.contains("parrot.spoke") && shown.contains("parrot-00000000"), "{shown}");
    world.run_well(&["replay"]).await;
    buyer.order_reaches(&order, "preparing").await;
}

pub async fn one_persons_key_takes_no_list_away(world: &mut World) {
    let admin = world.admin().await;
    let (minji, jisoo) = (world.buyer("minji").await, world.buyer("jisoo").await);
    let tea = world.product(&admin, "보이차", 12_000, 20).await;
    let order = minji.client.buy(&[(&tea, 1)]).await;
    jisoo.client.buy(&[(&tea, 1)]).await;
    minji.client.parcel_of(&order, "ready").await;
    let person = minji.id.replace('-', "");
    let broken = [
        // Truncated, and deleted.
        (
            format!("update user_keys set wrapped = x'00' where hex(owner) = upper('{person}')"),
            format!("update user_keys set wrapped = '\\x00' where owner = '{}'", minji.id),
        ),
        (
            format!("delete from user_keys where hex(owner) = upper('{person}')"),
            format!("delete from user_keys where owner = '{}'", minji.id),
        ),
    ];
    for (sqlite, postgres) in broken {
        assert!(world.terminate_shop().await.success());
        tamper(world, &sqlite, &postgres).await;
        world.start_shop().await;
        for (list, of, fields) in [
            ("/v1/users", "id", ["email", "name"]),
            ("/v1/orders", "user_id", ["shipping_address", "on_hold"]),
            ("/v1/shipments", "user_id", ["shipping_address", "dispatched_at"]),
        ] {
            let items = admin.read_all(list).await;
            assert!(items.len() >= 2, "{list}");
            for item in items {
                let hers = item[of] == *minji.id;
                assert_eq!(item["unreadable"], hers, "{list}: {item}");
                assert_eq!(item[fields[0]].is_null(), hers, "{list}: {item}");
                if hers {
                    assert!(item[fields[1]].is_null(), "{list}: {item}");
                    let alone = admin.read(&format!("{list}/{}", id(&item))).await;
                    assert_eq!(alone["unreadable"], true, "{alone}");
                }
            }
        }
        // Other buyers can order, and the stored events of the affected one can still be read.
        jisoo.client.buy(&[(&tea, 1)]).await;
        let stream = format!("/v1/audit/streams/order-{}", id(&order));
        assert!(admin.read_all(&stream).await.iter().all(|event| event["unreadable"] == false));
    }
    let own = eventually("she sees what is left of her", async || {
        let seen = minji.client.get("/v1/auth/profile").send().await;
        (seen.status == 200).then(|| seen.json())
    })
    .await;
    assert_eq!((&own["unreadable"], &own["email"]), (&json!(true), &Value::Null));
}
