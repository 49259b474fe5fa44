//! A whole node in this process, on each engine: it starts on an empty store, answers, can be
//! found, refuses a second one, and stops cleanly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use jangbu_app::audit::verify::verify;
use jangbu_app::config::{Flags, Settings, Sources};
use jangbu_app::engine;
use jangbu_app::node::{Node, NodeOptions, Roles};
use jangbu_app::operator::{NewUser, RoleChange, RunningServer, ServerFile};
use jangbu_audit::End;
use jangbu_kernel::Role;

fn settings(folder: &Path, more: &[(&str, &str)]) -> Settings {
    let mut environment = vec![("JANGBU_LISTEN", "127.0.0.1:0"), ("JANGBU_ADMIN_PASSWORD", "correct horse battery")];
    environment.extend(more);
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let flags =
        Flags { data_dir: Some(folder.to_owned()), config: Some(folder.join("jangbu.toml")), ..Flags::default() };
    std::fs::write(folder.join("jangbu.toml"), "").unwrap();
    Settings::resolve(&Sources { flags, environment }).unwrap()
}

async fn get(node: &Node, path: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(10)).build().unwrap();
    client.get(format!("http://{}{path}", node.address())).send().await.unwrap()
}

/// A folder with the permissions that the program requires of its data folder.
fn private_folder() -> tempfile::TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

#[tokio::test]
async fn a_node_starts_on_nothing_is_found_refuses_a_second_and_stops_cleanly() {
    let folder = private_folder();
    let settings = settings(folder.path(), &[]);
    let node = Node::start(settings.clone(), NodeOptions::default()).await.unwrap();
    assert_eq!(node.first_admin(), Some(("admin@example.com", None)));
    assert!(get(&node, "/readyz").await.status().is_success());
    assert!(get(&node, "/metrics").await.status().is_success());
    assert_eq!(get(&node, "/internal/operator/ping").await.status(), 404, "operators are not heard on the public port");

    let second = Node::start(settings.clone(), NodeOptions::default()).await;
    let refusal = second.err().expect("one process writes an embedded store").to_string();
    assert!(refusal.contains("in use by another process"), "{refusal}");

    let server = RunningServer::find(folder.path()).await.unwrap().expect("it runs");
    let user = NewUser {
        email: "kim@example.com".into(),
        password: "correct horse battery".into(),
        name: "Kim".into(),
        roles: vec![Role::Staff],
        operator: "tester".into(),
    };
    let created = server.create_user(&user).await.unwrap();
    let again = server.create_user(&user).await.unwrap_err().to_string();
    assert!(again.contains("the address has an account"), "{again}");
    let change = RoleChange { user: user.email.clone(), role: Role::Auditor, grant: true, operator: "tester".into() };
    let granted = server.change_role(&change).await.unwrap();
    assert_eq!((granted.user_id, granted.changed), (created.user_id, true));
    assert!(!server.change_role(&change).await.unwrap().changed);

    node.stop().await;
    assert!(ServerFile::read(folder.path()).unwrap().is_none(), "a clean stop takes its file away");
    assert!(RunningServer::find(folder.path()).await.unwrap().is_none());

    let store = engine::open_for_reading(&settings).await.unwrap();
    let end = End { now: chrono::Utc::now(), patience: chrono::TimeDelta::minutes(15) };
    let report = verify(&*store, |_| {}).await.unwrap().finish(end);
    assert!(report.ok, "{report:?}");
    assert_eq!(report.unsealed, 0, "a clean stop seals everything");
    store.close().await;

    let node = Node::start(settings, NodeOptions::default()).await.unwrap();
    assert_eq!(node.first_admin(), None, "there is an admin already");
    node.stop().await;
}

#[tokio::test]
async fn what_a_dead_server_left_does_not_mislead() {
    let folder = private_folder();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let left = format!(r#"{{"address":"{address}","operator_address":"{address}","token":"old","pid":1}}"#);
    std::fs::write(folder.path().join("server.json"), left).unwrap();
    assert!(RunningServer::find(folder.path()).await.unwrap().is_none());

    let node = Node::start(settings(folder.path(), &[]), NodeOptions::default()).await.unwrap();
    assert!(RunningServer::find(folder.path()).await.unwrap().is_some(), "the new server's file took its place");
    node.stop().await;
}

#[tokio::test]
async fn a_taken_port_and_a_missing_key_say_what_to_do() {
    let folder = private_folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut settings = settings(folder.path(), &[]);
    settings.listen = address.parse().unwrap();
    let error = Node::start(settings.clone(), NodeOptions::default()).await.err().unwrap().to_string();
    assert!(error.contains("is in use") && error.contains("--listen"), "{error}");

    let roles = Roles { api: true, projector: false, process_manager: false };
    let error = Node::start(settings, NodeOptions { roles, may_migrate: true, ..NodeOptions::default() })
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("JANGBU_DATABASE_URL"), "{error}");
}

/// A database of its own on the server that `JANGBU_TEST_DATABASE_URL` names.
async fn database() -> String {
    let url = std::env::var("JANGBU_TEST_DATABASE_URL").expect("JANGBU_TEST_DATABASE_URL: run ./test, which sets it");
    let name = format!("jangbu_node_{}", uuid::Uuid::new_v4().simple());
    let mut connection =
        <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("the test server answers");
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut connection).await.expect("a test database can be made");
    let (server, _) = url.rsplit_once('/').expect("the address names a database");
    format!("{server}/{name}")
}

#[tokio::test]
async fn on_postgres_the_master_key_is_asked_for_and_nodes_share_one_log() {
    let url = database().await;
    let folder = private_folder();
    let keyless = settings(folder.path(), &[("JANGBU_DATABASE_URL", &url)]);
    let error = Node::start(keyless, NodeOptions::default()).await.err().unwrap().to_string();
    assert!(error.contains("JANGBU_MASTER_KEY") && error.contains("openssl rand"), "{error}");

    let key = "00".repeat(32);
    let first = settings(folder.path(), &[("JANGBU_DATABASE_URL", &url), ("JANGBU_MASTER_KEY", &key)]);
    let first = Node::start(first, NodeOptions::default()).await.unwrap();
    let sandbox = first.sandbox_url().unwrap().to_owned();

    let other = private_folder();
    let more = [("JANGBU_DATABASE_URL", url.as_str()), ("JANGBU_MASTER_KEY", &key), ("JANGBU_SANDBOX_URL", &sandbox)];
    let second = settings(other.path(), &more);
    let api_only = Roles { api: true, projector: false, process_manager: false };
    let second = Node::start(second, NodeOptions { roles: api_only, may_migrate: true, ..NodeOptions::default() })
        .await
        .unwrap();
    assert_eq!(second.first_admin(), None, "the first node has made the admin");
    assert!(get(&second, "/readyz").await.status().is_success());

    let bare = private_folder();
    let worker = settings(bare.path(), &more);
    let projector_only = Roles { api: false, projector: true, process_manager: false };
    let worker =
        Node::start(worker, NodeOptions { roles: projector_only, may_migrate: true, ..NodeOptions::default() })
            .await
            .unwrap();
    let ready = async {
        while get(&worker, "/readyz").await.status() != 204 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ready).await.expect("the worker gets ready");
    assert_eq!(get(&worker, "/v1/products").await.status(), 404, "a worker takes no requests");
    for node in [worker, second, first] {
        node.stop().await;
    }
}
