//! schemathesis over `/openapi.json`: every operation with valid, broken and unusual requests, as
//! an administrator, checked against the promises of the document.
//!
//! Its configuration is in `tests/schemathesis`. `./test` installs it; the seed is fixed, so a
//! finding recurs until it is fixed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::{Engine, World, run};

/// The size of a run.
struct Reach {
    /// The most requests of an operation in each of the tool's phases.
    examples: u32,
    /// A run that takes longer counts as hanging.
    limit: Duration,
}

impl Reach {
    /// The long form is for `./test all`.
    fn chosen() -> Self {
        if std::env::var("JANGBU_TEST_LONG").is_ok_and(|long| long == "1") {
            Self { examples: 150, limit: Duration::from_secs(1_500) }
        } else {
            Self { examples: 8, limit: Duration::from_secs(900) }
        }
    }
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

/// The tool: `JANGBU_TEST_SCHEMATHESIS`, else the one that `./test` has installed.
fn tool() -> PathBuf {
    if let Some(named) = std::env::var_os("JANGBU_TEST_SCHEMATHESIS") {
        return named.into();
    }
    // target/<profile>/deps/hostile-<hash> -> target/schemathesis
    let this = std::env::current_exe().unwrap();
    let target = this.ancestors().nth(3).expect("a test lies in target/<profile>/deps");
    let tool = target.join("schemathesis/bin/schemathesis");
    assert!(tool.exists(), "{} is not there: run ./test, which installs it", tool.display());
    tool
}

async fn the_document_is_true(world: &mut World) {
    let reach = Reach::chosen();
    let shop = format!("http://{}", world.shop_address());
    let settings = world.command(&[]);
    let settings = settings.as_std();
    let mut command = Command::new(tool());
    command
        .arg("--config-file")
        .arg(rules().join("schemathesis.toml"))
        .args(["run", "--no-color", "--max-examples", &reach.examples.to_string()])
        .arg(format!("{shop}/openapi.json"))
        .current_dir(world.folder())
        .env("PYTHONPATH", rules())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SHOP_UNDER_TEST", &shop)
        .env("PROGRAM_UNDER_TEST", settings.get_program())
        .envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(reach.limit, command.output()).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "schemathesis found something: see above");
    let tested = said.lines().map(str::trim).find_map(|line| line.strip_prefix("Tested: "));
    let tested: usize =
        tested.and_then(|count| count.trim().parse().ok()).expect("it says how many operations it tested");
    assert!(tested >= 60, "only {tested} operations were tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_true_on_sqlite() {
    run(Engine::Sqlite, the_document_is_true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_true_on_postgres() {
    run(Engine::Postgres, the_document_is_true).await;
}
