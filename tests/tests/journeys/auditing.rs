//! The audit of an intact shop, and of one whose data was altered.

use std::process::Stdio;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::harness::World;

/// A shop that has sold something and was closed.
async fn closed_shop(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    buyer.order_reaches(&order, "preparing").await;
    assert!(world.terminate_shop().await.success());
}

/// The report, and the exit code.
async fn verified(world: &World, more: &[&str]) -> (Value, Option<i32>) {
    let output = world.run(&[&["audit", "verify", "--json"][..], more].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}")), output.status.code())
}

async fn printed(world: &World, more: &[&str]) -> String {
    let output = world.run(&[&["audit", "verify"][..], more].concat()).await;
    String::from_utf8(output.stdout).unwrap()
}

/// Alters stored data, as somebody with the store's password could. The embedded store has two
/// files, whose tables have different names.
async fn alter(world: &World, file: &str, sql: &str) {
    match world.database_url() {
        None => {
            let database = rusqlite::Connection::open(world.data_dir().join(file)).unwrap();
            let guards = "select group_concat('drop trigger ' || name, ';') from sqlite_schema where type = 'trigger'";
            let guards: Option<String> = database.query_row(guards, [], |row| row.get(0)).unwrap();
            database.execute_batch(&format!("{};{sql}", guards.unwrap_or_default())).unwrap();
        }
        Some(url) => {
            let mut database = PgConnection::connect(url).await.unwrap();
            let sql = format!("set session_replication_role = replica; set search_path = public, views; {sql}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
        }
    }
}

pub async fn what_was_not_checked_says_so(world: &mut World) {
    closed_shop(world).await;
    let (all, code) = verified(world, &[]).await;
    assert_eq!((code, &all["ok"], &all["log_holds"]), (Some(0), &Value::Bool(true), &Value::Bool(true)), "{all}");
    assert_eq!((&all["read_models_agree"], &all["gateway_agrees"]), (&Value::Bool(true), &Value::Bool(true)), "{all}");
    let lines = all["invariants"].as_object().unwrap();
    assert!(lines.values().all(|broken| *broken == 0), "all of it was checked: {all}");
    assert_eq!(all["not_checked"], serde_json::json!({}));

    let (part, code) = verified(world, &["--no-read-models", "--no-gateway-books"]).await;
    assert_eq!((code, &part["ok"]), (Some(0), &Value::Bool(true)), "{part}");
    for (name, broken) in part["invariants"].as_object().unwrap() {
        let left_out = ["P1", "M3"].contains(&name.as_str());
        assert_eq!(broken.is_null(), left_out, "{name}: {part}");
        assert_eq!(part["not_checked"][name].is_string(), left_out, "{name}: {part}");
    }
    let text = printed(world, &["--no-read-models", "--no-gateway-books"]).await;
    assert_eq!(text.matches("not checked").count(), 4, "two lines, and why: {text}");
    assert!(text.ends_with("the log holds\n"), "{text}");
    // The sandbox with the books does not answer any more.
    world.kill_sandbox().await;
    let (alone, code) = verified(world, &[]).await;
    assert_eq!((code, &alone["invariants"]["M3"], &alone["gateway_agrees"]), (Some(0), &Value::Null, &Value::Null));
    let asked = world.run(&["audit", "verify", "--gateway-books", &world.sandbox_url()]).await;
    assert_eq!(asked.status.code(), Some(1), "what was asked for and cannot be done is a failure");
}

pub async fn a_changed_read_model_is_no_damage_of_the_log(world: &mut World) {
    closed_shop(world).await;
    for (change, what) in [
        ("update orders set status = 'completed'", "different"),
        ("update payments set doc = replace(doc, '12000', '1')", "different"),
        ("delete from stock", "missing"),
    ] {
        alter(world, "views.db", change).await;
        let (report, code) = verified(world, &[]).await;
        assert_eq!((code, &report["ok"], &report["log_holds"]), (Some(1), &Value::Bool(false), &Value::Bool(true)));
        assert_eq!((&report["read_models_agree"], &report["first_bad_position"]), (&Value::Bool(false), &Value::Null));
        let found = report["violations"].as_array().unwrap();
        assert!(found.iter().all(|violation| violation["invariant"] == "P1"), "{report}");
        assert!(found.iter().any(|violation| violation["detail"].as_str().unwrap().contains(what)), "{report}");
    }
    let text = printed(world, &[]).await;
    assert!(text.contains("the log holds\n") && text.contains("the read models differ from the log"), "{text}");
    assert!(!text.contains("NOT hold"), "{text}");
    world.log_was_tampered_with();
}

pub async fn a_log_that_was_cut_is_found_by_whatever_is_left(world: &mut World) {
    closed_shop(world).await;
    let (whole, _) = verified(world, &[]).await;
    let head = whole["events"].as_u64().unwrap() - 5;
    world.log_was_tampered_with();
    let cut = format!("delete from events where position > {head}; delete from sealed_roots where size > {head};");
    alter(world, "log.db", &cut).await;
    let (report, code) = verified(world, &[]).await;
    assert_eq!((code, &report["log_holds"]), (Some(1), &Value::Bool(false)), "{report}");
    assert_eq!(report["first_bad_position"], head + 1, "{report}");
    assert_eq!(report["invariants"]["G1"], Value::Null, "its end was not checked: {report}");

    let clean_up = format!(
        "delete from sealed_frontier; delete from receipts where position > {head}; \
         delete from snapshots; update checkpoints set position = 1;"
    );
    alter(world, "log.db", &clean_up).await;
    if world.database_url().is_some() {
        alter(world, "log.db", &format!("update log_head set position = {head};")).await;
    }
    let (report, code) = verified(world, &[]).await;
    assert_eq!((code, &report["log_holds"]), (Some(1), &Value::Bool(false)), "{report}");
    let told_by_views = |violation: &Value| {
        violation["invariant"] == "L1" && violation["detail"].as_str().unwrap().contains("shows it up to")
    };
    assert!(report["violations"].as_array().unwrap().iter().any(told_by_views), "the read models tell: {report}");
}

/// As with `| head -1`: the reader leaves, and the exit code stays.
pub async fn a_failed_check_fails_also_when_nobody_reads_it(world: &mut World) {
    closed_shop(world).await;
    let exit_code = async |world: &World, arguments: &[&str]| {
        let mut child = world.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        child.wait().await.unwrap().code()
    };
    let commands = [&["audit", "verify"][..], &["audit", "verify", "--json"], &["replay", "--verify-only"]];
    for command in commands {
        assert_eq!(exit_code(world, command).await, Some(0), "{command:?} over a shop in order");
    }
    alter(world, "views.db", "update orders set status = 'completed'").await;
    world.log_was_tampered_with();
    for command in commands {
        assert_eq!(exit_code(world, command).await, Some(1), "{command:?}");
    }
    assert_eq!(exit_code(world, &["health"]).await, Some(1), "no server answers");
    let nothing = world.folder().join("no-schemas");
    std::fs::create_dir(&nothing).unwrap();
    let check = ["schemas", "check", "--folder", nothing.to_str().unwrap()];
    assert_eq!(exit_code(world, &check).await, Some(1));
}
