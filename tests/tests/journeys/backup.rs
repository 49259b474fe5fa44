//! A backup is taken under load, and restored on either engine.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::harness::{ADMIN_EMAIL, ADMIN_PASSWORD, Client, Database, Engine, Program, World, run_to_end};

/// A target of a restore.
struct Place {
    folder: PathBuf,
    database: Option<Database>,
    /// The key of the shop, if the backup does not contain it.
    key: Option<String>,
}

impl Place {
    async fn empty(world: &World, name: &str, engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::make().await),
        };
        // On Postgres the harness sets the key; an embedded shop has generated its own.
        let made = std::fs::read_to_string(world.data_dir().join("master.key"));
        let key = Some(made.map_or_else(|_| "5a".repeat(32), |made| made.trim().to_owned()));
        Self { folder: world.folder().join(name), database, key }
    }

    fn command(&self, world: &World, arguments: &[&str]) -> tokio::process::Command {
        let mut command = world.command(arguments);
        command.env("JANGBU_DATA_DIR", &self.folder).env_remove("JANGBU_DATABASE_URL").env_remove("JANGBU_MASTER_KEY");
        if let Some(database) = &self.database {
            command.env("JANGBU_DATABASE_URL", &database.url);
        }
        if let Some(key) = &self.key {
            command.env("JANGBU_MASTER_KEY", key);
        }
        command
    }

    async fn run(&self, world: &World, arguments: &[&str]) -> Output {
        run_to_end(self.command(world, arguments)).await
    }

    #[track_caller]
    fn succeeded(output: &Output) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    async fn remove(self) {
        if let Some(database) = self.database {
            database.drop_it().await;
        }
    }
}

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

/// Takes a backup while orders are placed; returns the orders that were acknowledged before it
/// began.
async fn backup_under_load(world: &World, folder: &Path) -> (Client, Vec<String>) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 100_000).await;
    let paid = buyer.buy(&[(&tea, 1)]).await;
    let mut acknowledged = vec![paid["id"].as_str().unwrap().to_owned()];
    for _ in 0..5 {
        acknowledged.push(buyer.place(&[(&tea, 1)]).await["id"].as_str().unwrap().to_owned());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let shopper = tokio::spawn({
        let (stop, buyer, tea) = (Arc::clone(&stop), buyer.clone(), tea.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                buyer.place(&[(&tea, 1)]).await;
            }
        }
    });
    let backup = folder.to_str().unwrap();
    let manifest: Value = serde_json::from_str(&world.run_well(&["backup", backup, "--json"]).await).unwrap();
    stop.store(true, Ordering::Relaxed);
    shopper.await.unwrap();
    assert!(manifest["events"].as_u64().unwrap() > 20, "{manifest}");
    (buyer, acknowledged)
}

pub async fn a_backup_under_load_is_restored_on_either_engine(world: &mut World) {
    let backup = world.folder().join("backup");
    let (_, acknowledged) = backup_under_load(world, &backup).await;
    // The shop keeps running, and its later data is not in the backup.
    for (name, engine) in [("embedded", Engine::Sqlite), ("database", Engine::Postgres)] {
        let place = Place::empty(world, name, engine).await;
        Place::succeeded(&place.run(world, &["restore", backup.to_str().unwrap()]).await);
        Place::succeeded(&place.run(world, &["audit", "verify"]).await);
        let server = serve(world, &place, name).await;
        everything_is_there(&server, &acknowledged).await;
        assert!(server.terminate().await.success());
        Place::succeeded(&place.run(world, &["audit", "verify", "--read-models"]).await);
        // An existing store is never overwritten.
        let again = place.run(world, &["restore", backup.to_str().unwrap()]).await;
        refused(&again, if engine == Engine::Sqlite { "holds a shop already" } else { "another log" });
        place.remove().await;
    }
}

async fn serve(world: &World, place: &Place, name: &str) -> Program {
    let mut command = place.command(world, &["serve", "--listen", "127.0.0.1:0"]);
    // The backed-up shop still uses the other sandbox.
    command.env_remove("JANGBU_SANDBOX_URL").env("JANGBU_SANDBOX_LISTEN", "127.0.0.1:0");
    command.env("JANGBU_SANDBOX_SMTP_LISTEN", "127.0.0.1:0");
    world.serve(command, name).await
}

async fn everything_is_there(server: &Program, acknowledged: &[String]) {
    let visitor = Client::anonymous(format!("http://{}", server.address));
    // Passwords, roles and sealed names are the shop's own.
    let (admin, _) = visitor.log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await;
    crate::harness::eventually("the read models are built", async || {
        let all = admin.read_all("/v1/orders").await;
        acknowledged.iter().all(|id| all.iter().any(|order| order["id"] == id.as_str())).then_some(())
    })
    .await;
    let users = admin.read("/v1/users").await;
    assert!(users["items"].as_array().unwrap().iter().any(|user| user["email"] == "minji@example.com"), "{users}");
}

pub async fn what_does_not_belong_together_is_not_restored(world: &mut World) {
    let backup = world.folder().join("backup");
    backup_under_load(world, &backup).await;
    let named = backup.to_str().unwrap();
    refused(&world.run(&["backup", named]).await, "is not empty");
    // A running shop's store is not overwritten either.
    let over = world.run(&["restore", named]).await;
    assert_eq!(over.status.code(), Some(1), "{}", String::from_utf8_lossy(&over.stderr));

    let mut place = Place::empty(world, "place", world.engine()).await;
    let key = place.key.replace("11".repeat(32));
    refused(&place.run(world, &["restore", named]).await, "another shop's");
    place.key = key;
    let nothing = world.folder().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    refused(&place.run(world, &["restore", nothing.to_str().unwrap()]).await, "not finished");
    // One byte of the log, and one of the manifest.
    for (file, from, to) in
        [("log.db", "order.placed", "order.placex"), ("manifest.json", "\"events\": ", "\"events\": 1")]
    {
        let path = backup.join(file);
        let kept = std::fs::read(&path).unwrap();
        let at = kept.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let altered = [&kept[..at], to.as_bytes(), &kept[at + from.len()..]].concat();
        std::fs::write(&path, altered).unwrap();
        let output = place.run(world, &["restore", named]).await;
        assert_eq!(output.status.code(), Some(1), "{file}: {}", String::from_utf8_lossy(&output.stdout));
        std::fs::write(&path, kept).unwrap();
    }
    Place::succeeded(&place.run(world, &["restore", named]).await);
    Place::succeeded(&place.run(world, &["audit", "verify"]).await);
    place.remove().await;
}

pub async fn the_key_comes_along_unless_it_is_left_out(world: &mut World) {
    let (with, without) = (world.folder().join("with"), world.folder().join("without"));
    world.run_well(&["backup", with.to_str().unwrap()]).await;
    world.run_well(&["backup", "--without-key", without.to_str().unwrap()]).await;
    // Only the embedded store's own key is ever written into a backup.
    assert_eq!(with.join("master.key").exists(), world.engine() == Engine::Sqlite);
    assert!(!without.join("master.key").exists());
    let mut place = Place::empty(world, "place", Engine::Sqlite).await;
    let key = place.key.take();
    refused(&place.run(world, &["restore", without.to_str().unwrap()]).await, "the master key is not in this backup");
    if world.engine() == Engine::Postgres {
        place.key = key;
    }
    Place::succeeded(&place.run(world, &["restore", with.to_str().unwrap()]).await);
    let server = serve(world, &place, "place").await;
    everything_is_there_of_the_admin(&server).await;
    assert!(server.terminate().await.success());
}

async fn everything_is_there_of_the_admin(server: &Program) {
    let visitor = Client::anonymous(format!("http://{}", server.address));
    visitor.log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await;
}
