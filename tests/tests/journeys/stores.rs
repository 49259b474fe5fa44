//! Stores that do not belong together: a log that was restored to an earlier state, a missing log,
//! unreadable read models.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::harness::{Stillborn, World, eventually};

async fn is_ready(world: &World) {
    eventually("the shop is ready", async || (world.visitor().get("/readyz").send().await.status == 200).then_some(()))
        .await;
}

async fn is_not_ready(world: &World, word: &str) {
    eventually("the shop is not ready and says why", async || {
        let ready = world.visitor().get("/readyz").send().await;
        (ready.status == 503 && ready.text().contains(word)).then_some(())
    })
    .await;
}

async fn is_refused(world: &mut World, words: &str) {
    let Err(Stillborn { status, said }) = world.begin_shop().await else { panic!("the shop started") };
    assert!(!status.success() && said.contains(words), "{status}: {said}");
}

/// Truncates the log after a position, as a restore does.
async fn go_back(url: &str, position: i64) {
    let mut database = PgConnection::connect(url).await.unwrap();
    let text = format!(
        "begin; set local session_replication_role = replica; \
         update log_head set position = {position}; delete from events where position > {position}; \
         delete from sealed_roots where size > {position}; delete from sealed_frontier; \
         delete from receipts where position > {position}; \
         update checkpoints set position = least(position, {position}); commit;"
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut database).await.unwrap();
}

pub async fn a_shop_whose_log_went_back_shows_what_is_there(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "우롱차", 15_000, 50).await;
    buyer.place(&[(&tea, 1)]).await;
    buyer.place(&[(&tea, 1)]).await;
    buyer.list_of(2, "/v1/orders").await;
    if let Some(url) = world.database_url().map(str::to_owned) {
        let mut database = PgConnection::connect(&url).await.unwrap();
        let position: i64 = sqlx::query_scalar("select position from log_head").fetch_one(&mut database).await.unwrap();
        for _ in 0..3 {
            buyer.place(&[(&tea, 1)]).await;
        }
        buyer.list_of(5, "/v1/orders").await;
        go_back(&url, position).await;
        is_not_ready(world, "gone back").await;
        buyer.post("/v1/orders", &crate::harness::basket(&[(&tea, 1)])).send().await.expect(503);
        assert!(world.terminate_shop().await.success());
    } else {
        let (log, kept) = (world.data_dir().join("log.db"), world.folder().join("kept.db"));
        assert!(world.terminate_shop().await.success());
        fs::copy(&log, &kept).unwrap();
        world.start_shop().await;
        for _ in 0..3 {
            buyer.place(&[(&tea, 1)]).await;
        }
        buyer.list_of(5, "/v1/orders").await;
        assert!(world.terminate_shop().await.success());
        fs::write(&log, fs::read(&kept).unwrap()).unwrap();
        is_refused(world, "log.mark").await;
        fs::remove_file(world.data_dir().join("log.mark")).unwrap();
    }
    world.start_shop().await;
    is_ready(world).await;
    assert!(world.shop().said().contains("thrown away and built anew"));
    buyer.list_of(2, "/v1/orders").await;
    buyer.place(&[(&tea, 1)]).await;
    buyer.list_of(3, "/v1/orders").await;
    admin.stock_becomes(&tea, 50, 3, 0).await;
}

pub async fn a_lost_log_is_not_replaced_by_a_new_shop(world: &mut World) {
    let admin = world.admin().await;
    world.product(&admin, "우롱차", 15_000, 50).await;
    let (log, kept) = (world.data_dir().join("log.db"), world.folder().join("kept.db"));
    assert!(world.terminate_shop().await.success());
    fs::rename(&log, &kept).unwrap();
    is_refused(world, "is not there").await;
    fs::write(&log, "").unwrap();
    is_refused(world, "is empty").await;
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    fs::remove_file(&log).unwrap();
    fs::rename(&kept, &log).unwrap();
    world.start_shop().await;
    is_ready(world).await;
}

/// A copy of a running shop's folder, in which the log was copied first and everything else later.
pub async fn a_copy_of_a_running_folder_shows_its_own_log(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "우롱차", 15_000, 50).await;
    buyer.place(&[(&tea, 1)]).await;
    buyer.list_of(1, "/v1/orders").await;
    let copy = world.folder().join("copy");
    fs::create_dir_all(&copy).unwrap();
    for name in ["log.db", "log.db-wal"] {
        fs::copy(world.data_dir().join(name), copy.join(name)).unwrap();
    }
    buyer.place(&[(&tea, 1)]).await;
    buyer.list_of(2, "/v1/orders").await;
    let (log, wal) = (fs::read(copy.join("log.db")).unwrap(), fs::read(copy.join("log.db-wal")).unwrap());
    world.move_data_to(copy.clone());
    fs::write(copy.join("log.db"), log).unwrap();
    fs::write(copy.join("log.db-wal"), wal).unwrap();
    for name in ["log.db-shm", "server.json"] {
        let _ = fs::remove_file(copy.join(name));
    }
    world.kill_shop().await;
    world.start_shop().await;
    is_ready(world).await;
    buyer.list_of(1, "/v1/orders").await;
}

pub async fn damaged_read_models_say_so_and_are_built_anew(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "우롱차", 15_000, 50).await;
    buyer.place(&[(&tea, 1)]).await;
    buyer.list_of(1, "/v1/orders").await;
    let views = world.data_dir().join("views.db");
    assert!(world.terminate_shop().await.success());
    let roots: Vec<u32> = {
        let database = rusqlite::Connection::open(&views).unwrap();
        let mut roots = database.prepare("select rootpage from sqlite_master where tbl_name = 'orders'").unwrap();
        roots.query_map([], |row| row.get(0)).unwrap().map(|page| page.unwrap()).collect()
    };
    let mut file = fs::OpenOptions::new().write(true).open(&views).unwrap();
    for page in roots {
        file.seek(SeekFrom::Start(u64::from(page - 1) * 4_096)).unwrap();
        file.write_all(&[0xA5; 4_096]).unwrap();
    }
    world.start_shop().await;
    buyer.place(&[(&tea, 1)]).await;
    is_not_ready(world, "damaged").await;
    world.run_well(&["replay", "--from-scratch"]).await;
    is_ready(world).await;
    buyer.list_of(2, "/v1/orders").await;
    // Also without a server, and at a start.
    for garbage in [true, false] {
        assert!(world.terminate_shop().await.success());
        fs::write(&views, vec![0xA5_u8; 40_960]).unwrap();
        if garbage {
            world.run_well(&["replay", "--from-scratch"]).await;
        }
        world.start_shop().await;
        is_ready(world).await;
        buyer.list_of(2, "/v1/orders").await;
    }
}
