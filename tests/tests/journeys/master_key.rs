//! The master key is checked before anything else is done.

use std::process::Output;

use sqlx::{Connection as _, PgConnection};

use crate::harness::{ADMIN_EMAIL, Engine, World, run_to_end};

const NEW_USER: [&str; 6] = ["users", "create", "--email", "new@example.com", "--role", "staff"];
const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// Runs a command under another key than this world's.
async fn with_another_key(world: &World, arguments: &[&str]) -> Output {
    let mut command = world.command(arguments);
    command.env("JANGBU_MASTER_KEY", "11".repeat(32)).env("JANGBU_PASSWORD", "a long enough password");
    run_to_end(command).await
}

#[track_caller]
fn is_refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

async fn events(world: &World) -> String {
    world.run_well(&["events", "list", "--json", "--limit", "10000"]).await
}

async fn every_command_refuses_another_key(world: &World) {
    let before = events(world).await;
    // The address is taken, which cannot be seen with another key.
    let again = ["users", "create", "--email", ADMIN_EMAIL, "--role", "admin"];
    let grant = ["users", "grant", "--user", ADMIN_EMAIL, "--role", "staff"];
    for arguments in [&again[..], &NEW_USER, &grant, &["replay"], &SERVE] {
        is_refused(&with_another_key(world, arguments).await, "another store's");
    }
    assert_eq!(events(world).await, before, "nothing was written");
}

pub async fn another_key_is_refused_and_changes_nothing(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    every_command_refuses_another_key(world).await;
    world.start_shop().await;
    world.admin().await.read("/v1/users").await;
}

pub async fn a_lost_key_is_not_replaced(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    let before = events(world).await;
    let path = world.data_dir().join("master.key");
    let kept = std::fs::read(&path).ok();
    let why = match world.engine() {
        Engine::Sqlite => "master.key is not there",
        Engine::Postgres => "JANGBU_MASTER_KEY is not set",
    };
    if kept.is_some() {
        std::fs::remove_file(&path).unwrap();
    }
    for arguments in [&NEW_USER[..], &["replay"], &SERVE] {
        let mut command = world.command(arguments);
        command.env_remove("JANGBU_MASTER_KEY").env("JANGBU_PASSWORD", "a long enough password");
        is_refused(&run_to_end(command).await, why);
        assert!(!path.exists(), "no key is made beside a store that has secrets");
    }
    assert_eq!(events(world).await, before, "nothing was written");
    if let Some(key) = kept {
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    world.start_shop().await;
    world.admin().await.read("/v1/users").await;
}

/// Runs a statement on the tables of keys.
async fn on_the_keys(world: &World, statement: &'static str) {
    match world.database_url() {
        None => {
            let log = rusqlite::Connection::open(world.data_dir().join("keys.db")).unwrap();
            assert!(log.execute(statement, []).unwrap() > 0);
        }
        Some(url) => {
            let mut log = PgConnection::connect(url).await.unwrap();
            let done = sqlx::raw_sql(statement).execute(&mut log).await.unwrap();
            assert!(done.rows_affected() > 0);
            log.close().await.unwrap();
        }
    }
}

pub async fn stores_without_a_check_are_tried_all_the_same(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    // As an earlier version left it: the token key is sealed, and there is no check.
    on_the_keys(world, "delete from secrets where name = 'master-key-check'").await;
    every_command_refuses_another_key(world).await;
    // Only a person's key is sealed, as by a node that never served the API.
    on_the_keys(world, "delete from secrets where name like 'access-token%'").await;
    every_command_refuses_another_key(world).await;
    world.start_shop().await;
    // From now on the check exists.
    on_the_keys(world, "update secrets set name = name where name = 'master-key-check'").await;
}
