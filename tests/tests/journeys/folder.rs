//! The permissions of the data folder, and what happens in a wrong one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::harness::{Database, Engine, World, behind, run_to_end};

const PASSWORD: &str = "a long enough password";
const NEW_USER: [&str; 6] = ["users", "create", "--email", "new@example.com", "--role", "staff"];

/// A command on another folder.
async fn run_in(world: &World, folder: &Path, database: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = world.command(arguments);
    command.env("JANGBU_DATA_DIR", folder).env("JANGBU_PASSWORD", PASSWORD);
    if let Some(url) = database {
        command.env("JANGBU_DATABASE_URL", url);
    }
    run_to_end(command).await
}

#[track_caller]
fn is_refused(output: &Output, arguments: &[&str], why: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(why.iter().any(|why| said.contains(why)), "{arguments:?}: {said}");
}

pub async fn only_serve_and_migrate_make_a_store(world: &mut World) {
    let empty = world.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    let missing = world.folder().join("missing");
    let database = match world.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Database::make().await),
    };
    let url = database.as_ref().map(|database| database.url.as_str());
    let commands: [&[&str]; 14] = [
        &NEW_USER,
        &["users", "grant", "--user", "new@example.com", "--role", "admin"],
        &["replay"],
        &["replay", "--dry-run"],
        &["replay", "--verify-only"],
        &["replay", "--from-scratch"],
        &["events", "list"],
        &["events", "count"],
        &["audit", "verify"],
        &["audit", "show", "order-01890a5d-ac96-774b-bcce-b302099a8057"],
        &["sagas", "list"],
        &["projections"],
        &["demo"],
        // Fails although the shop of this test listens at the configured address.
        &["health"],
    ];
    for folder in [&empty, &missing] {
        for arguments in commands {
            let output = run_in(world, folder, url, arguments).await;
            is_refused(&output, arguments, &["there is no store", "no server runs"]);
        }
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0, "nothing was made");
    assert!(!missing.exists());
    // `migrate` creates a store, and then the others work.
    let migrated = run_in(world, &empty, url, &["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    for arguments in [&NEW_USER[..], &["events", "list"], &["replay"], &["projections"]] {
        let output = run_in(world, &empty, url, arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    if let Some(database) = database {
        database.drop_it().await;
    }
}

fn copy_of(world: &World) -> PathBuf {
    let copy = world.folder().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(world.data_dir()).unwrap().flatten() {
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

pub async fn a_copied_folder_does_not_act_on_its_original(world: &mut World) {
    let copy = copy_of(world);
    assert!(copy.join("server.json").exists(), "the copy has the file by which the server is found");
    is_refused(&run_in(world, &copy, None, &["health"]).await, &["health"], &["no server runs"]);
    is_refused(&run_in(world, &copy, None, &["demo"]).await, &["demo"], &["no server runs"]);
    if world.engine() == Engine::Sqlite {
        let made = run_in(world, &copy, None, &NEW_USER).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let login = serde_json::json!({"email": "new@example.com", "password": PASSWORD});
        world.visitor().post("/v1/auth/login", &login).send().await.expect_problem(401, "unauthenticated");
    }
    world.is_ready().await;
}

pub async fn what_a_killed_server_left_is_not_believed(world: &mut World) {
    world.kill_shop().await;
    assert!(world.data_dir().join("server.json").exists());
    is_refused(&world.run(&["health"]).await, &["health"], &["no server runs"]);
    // Nor if another process has its port by now and answers 200.
    let stranger = tokio::net::TcpListener::bind(world.shop_address()).await.unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut connection, _) = stranger.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = connection.read(&mut head).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    is_refused(&world.run(&["health"]).await, &["health"], &["no server runs"]);
    world.run_well(&["health", "--url", &format!("http://{}", world.shop_address())]).await;
    serving.abort();
    let _ = serving.await;
    // No server is running, so the command does the work itself.
    world.run_well(&["replay", "orders"]).await;
    world.start_shop().await;
    world.is_ready().await;
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect()
}

pub async fn the_data_are_their_owners_alone(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    // The permissions that an earlier version left. The key was accessible only to its owner then,
    // too.
    for file in files(&world.data_dir()).iter().filter(|file| !file.ends_with("master.key")) {
        fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap();
    }
    fs::set_permissions(world.data_dir(), Permissions::from_mode(0o755)).unwrap();
    // New files belong to the owner alone from the start, whatever umask the process has.
    let open_mask = ["sh", "-c", "umask 000; exec \"$@\"", "sh"];
    world.put_before_the_shop(open_mask.map(str::to_owned).to_vec());
    world.start_shop().await;
    let admin = world.admin().await;
    world.product(&admin, "보이차", 12_000, 5).await;
    assert_eq!(mode(&world.data_dir()), 0o700);
    let there = files(&world.data_dir());
    assert!(there.iter().any(|file| file.ends_with("server.json")), "{there:?}");
    for file in there {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(world.shop().said().contains("was open to others"), "the log says that it was closed");
}

/// The program as a user who may read this world's folder and write nothing there.
fn as_a_reader(world: &World, arguments: &[&str]) -> Command {
    let nobody = ["runuser", "-u", "nobody", "--"].map(str::to_owned);
    let prefix = if rustix::process::geteuid().is_root() { &nobody[..] } else { &[] };
    behind(prefix, world.command(arguments))
}

pub async fn commands_that_read_need_no_right_to_write(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let stream = format!("order-{}", order["id"].as_str().unwrap());
    assert!(world.terminate_shop().await.success());
    let data = world.data_dir();
    // A key that others can read would be rejected, and none of these commands needs it.
    let key = fs::read(data.join("master.key")).ok();
    for file in files(&data) {
        fs::set_permissions(file, Permissions::from_mode(0o444)).unwrap();
    }
    for (folder, mode) in [(data.as_path(), 0o555), (world.folder(), 0o755)] {
        fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    }
    let url = world.database_url().map(|url| format!("{url}?options=-c%20default_transaction_read_only%3Don"));
    let before = files(&data).len();
    for arguments in [
        &["events", "list"][..],
        &["events", "count"],
        &["audit", "show", &stream],
        &["audit", "verify"],
        &["projections"],
        &["sagas", "list"],
    ] {
        let mut command = as_a_reader(world, arguments);
        if let Some(url) = &url {
            command.env("JANGBU_DATABASE_URL", url);
        }
        let output = run_to_end(command).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(files(&data).len(), before, "nothing was made there");
    for (folder, mode) in [(data.as_path(), 0o700), (world.folder(), 0o700)] {
        fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    }
    for file in files(&data) {
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(fs::read(data.join("master.key")).ok(), key);
    world.start_shop().await;
}
