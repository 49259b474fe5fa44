//! The README's commands are run unchanged by a shell in an empty folder: from the first start to
//! the delivered parcel and the audit.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{Engine, Program, World, jangbu, run};

/// Limit for all of it; the demo alone may take a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(170);
const ANNOUNCEMENT: &str = "listening on http://";

/// The README's commands, a text for each block.
fn blocks() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let mut blocks = Vec::new();
    let mut inside = None;
    for line in readme.lines() {
        match (line, &mut inside) {
            ("```sh", None) => inside = Some(String::new()),
            ("```", Some(_)) => blocks.extend(inside.take()),
            (line, Some(block)) => *block = format!("{block}{line}\n"),
            (_, None) => {}
        }
    }
    blocks
}

/// The only block that contains these words.
fn block(words: &str) -> String {
    let found: Vec<_> = blocks().into_iter().filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "{words} stands in one block: {found:#?}");
    found.into_iter().next().unwrap()
}

/// A shell in which `cargo run --release -- X` runs the program under test.
fn shell(folder: &Path, script: &str) -> Command {
    let tools = folder.join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    let cargo = tools.join("cargo");
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || exit 64\nshift 3\nexec {} \"$@\"\n",
        jangbu().display()
    );
    std::fs::write(&cargo, text).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JANGBU_") {
            command.env_remove(name);
        }
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).env("PATH", path).kill_on_drop(true);
    command
}

/// Runs a block to its end; returns its output.
async fn types(folder: &Path, script: &str) -> String {
    let output = tokio::time::timeout(PATIENCE, shell(folder, script).output()).await;
    let output = output.expect("it ends in time").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\nended with {}:\n{out}\n{err}", output.status);
    out.into_owned()
}

#[test]
fn every_block_of_the_readme_is_carried_out_here() {
    let known = ["-- serve\n", "-- demo\n", "API=http://127.0.0.1:8080", "export JANGBU_DATABASE_URL=", "./test\n"];
    let unknown: Vec<_> =
        blocks().into_iter().filter(|block| !known.iter().any(|words| block.contains(words))).collect();
    assert_eq!(unknown, Vec::<String>::new(), "carry it out in a test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_leads_to_the_door() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let serve = blocks().remove(0);
    assert_eq!(serve, "cargo run --release -- serve\n");
    // Another port, because the default one may be in use on the machine.
    let mut command = shell(folder, &serve);
    command.env("JANGBU_LISTEN", "127.0.0.1:0");
    let shop = Program::start(command, folder.join("shop.log"), ANNOUNCEMENT).await;

    let demo = types(folder, &block("-- demo\n")).await;
    assert!(demo.contains("the shop is open: 200 products") && demo.contains("  password "), "{demo}");

    let walk = block("API=http://127.0.0.1:8080");
    let walk = walk.replace("http://127.0.0.1:8080", &format!("http://{}", shop.address));
    let said = types(folder, &walk).await;
    for step in ["preparing\n", "\"status\":\"dispatched\"", "completed\n", "order.placed", "the log holds"] {
        assert!(said.contains(step) || said.contains(step.trim_end()), "{step:?} in\n{said}");
    }
    let (shipped, completed) = (said.find("dispatched"), said.find("completed"));
    assert!(shipped.is_some() && shipped < completed, "{said}");
    assert!(shop.terminate().await.success());
}

async fn the_postgres_block_serves(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    let folder = TempDir::new().unwrap();
    let script = block("export JANGBU_DATABASE_URL=");
    // The address is a placeholder; the rest is unchanged.
    let script = script.replace("postgres://jangbu:secret@localhost/jangbu", world.database_url().unwrap());
    // The database has secrets under the world's key.
    let script = script.replace("openssl rand -base64 32", &format!("printf {}", "5a".repeat(32)));
    let mut command = shell(folder.path(), &script.replace("cargo run", "exec cargo run"));
    command.env("JANGBU_LISTEN", "127.0.0.1:0");
    let shop = Program::start(command, folder.path().join("shop.log"), ANNOUNCEMENT).await;
    assert!(shop.terminate().await.success());
    world.start_shop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_serves_on_postgres() {
    run(Engine::Postgres, the_postgres_block_serves).await;
}
