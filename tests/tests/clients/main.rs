//! Clients that are generated from the OpenAPI document place an order at the real program: one in
//! TypeScript, one in Python.
//!
//! Their scripts are in `tests/clients`, with the tools' versions. `./test` installs the tools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use jangbu_tests::harness::{Engine, World, run, run_to_end};
use tokio::process::Command;

/// The folder with a client's script.
fn client(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

/// The folder of a language's tools: `JANGBU_TEST_CLIENTS`, else `target/clients`.
fn tools(language: &str) -> PathBuf {
    let place = std::env::var_os("JANGBU_TEST_CLIENTS").map_or_else(
        || {
            // target/<profile>/deps/clients-<hash> -> target/clients
            let this = std::env::current_exe().unwrap();
            this.ancestors().nth(3).expect("a test lies in target/<profile>/deps").join("clients")
        },
        PathBuf::from,
    );
    let tools = place.join(language);
    assert!(tools.exists(), "{} is not there: run ./test, which installs it", tools.display());
    tools
}

/// A shop with a product, and the folder in which a client of it is generated.
async fn shop(world: &World, files: &[(&str, PathBuf)]) -> PathBuf {
    let admin = world.admin().await;
    world.product(&admin, "보이차", 12_000, 5).await;
    let folder = world.folder().join("client");
    std::fs::create_dir(&folder).unwrap();
    let document = world.visitor().get("/openapi.json").send().await;
    std::fs::write(folder.join("openapi.json"), document.body).unwrap();
    for (name, from) in files {
        std::fs::copy(from, folder.join(name)).unwrap();
    }
    folder
}

async fn runs(world: &World, folder: &Path, program: PathBuf, arguments: &[&str]) -> String {
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .current_dir(folder)
        .env("SHOP_UNDER_TEST", format!("http://{}", world.shop_address()))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run_to_end(command).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}:\n{out}\n{err}", program.display());
    assert!(!format!("{out}{err}").contains("WARNING"), "the generator is content with the document:\n{out}\n{err}");
    out.into_owned()
}

async fn a_typescript_client_buys(world: &mut World) {
    let (source, tools) = (client("typescript"), tools("typescript"));
    let files = [("buy.ts", source.join("buy.ts")), ("tsconfig.json", source.join("tsconfig.json"))];
    let folder = shop(world, &files).await;
    std::fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
    std::os::unix::fs::symlink(tools.join("node_modules"), folder.join("node_modules")).unwrap();
    let node = || PathBuf::from("node");
    runs(world, &folder, node(), &["node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "shop.d.ts"])
        .await;
    runs(world, &folder, node(), &["node_modules/typescript/bin/tsc", "--project", "."]).await;
    let said = runs(world, &folder, node(), &["built/buy.js"]).await;
    assert!(said.contains("bought "), "{said}");
}

/// A file is bytes to the generator, however it is written.
const SETTINGS: &str = "\
package_name_override: shop_client
content_type_overrides:
  text/csv: application/octet-stream
  application/x-ndjson: application/octet-stream
";

async fn a_python_client_buys(world: &mut World) {
    let tools = tools("python").join("bin");
    let folder = shop(world, &[("buy.py", client("python").join("buy.py"))]).await;
    std::fs::write(folder.join("settings.yaml"), SETTINGS).unwrap();
    let generate = [
        "generate",
        "--path",
        "openapi.json",
        "--meta",
        "none",
        "--config",
        "settings.yaml",
        "--output-path",
        "shop_client",
    ];
    runs(world, &folder, tools.join("openapi-python-client"), &generate).await;
    let said = runs(world, &folder, tools.join("python"), &["buy.py"]).await;
    assert!(said.contains("bought "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_typescript_client_buys_on_sqlite() {
    run(Engine::Sqlite, a_typescript_client_buys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_python_client_buys_on_sqlite() {
    run(Engine::Sqlite, a_python_client_buys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_typescript_client_buys_on_postgres() {
    run(Engine::Postgres, a_typescript_client_buys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_python_client_buys_on_postgres() {
    run(Engine::Postgres, a_python_client_buys).await;
}
