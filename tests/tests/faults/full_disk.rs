//! The disk is full for a while.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::strace::Fault;
use jangbu_tests::harness::{World, eventually, krw, times};
use serde_json::json;

/// The shop's disk space in this case, in bytes: the two write-ahead logs may take half of it.
const ROOM: u64 = 160 * 1024 * 1024;

/// A disk that can be filled and cleared.
enum Disk {
    /// A small file system of the case's own; needs the right to mount one.
    Small(PathBuf),
    /// Otherwise system calls on the shop's files report that there is no space.
    Pretended(Vec<PathBuf>),
}

impl Disk {
    async fn under(world: &mut World) -> Self {
        let folder = world.folder().join("small");
        std::fs::create_dir(&folder).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={ROOM},mode=700"), "none"]).arg(&folder);
        if mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success()) {
            assert!(world.terminate_shop().await.success());
            let data = folder.join("data");
            std::fs::create_dir(&data).unwrap();
            world.move_data_to(data);
            world.start_shop().await;
            return Self::Small(folder);
        }
        println!("a file system cannot be mounted here: that the disk is full is pretended");
        let names = ["log.db", "log.db-wal", "keys.db", "keys.db-journal", "views.db", "views.db-wal"];
        Self::Pretended(names.iter().map(|name| world.data_dir().join(name)).collect())
    }

    async fn fill(&self, world: &World) -> Filled {
        match self {
            Self::Small(folder) => {
                let path = folder.join("filler");
                let mut filler = File::create(&path).unwrap();
                // Smaller and smaller pieces, so that no space is left.
                for size in [1024 * 1024, 4096, 512] {
                    while filler.write_all(&vec![7; size]).is_ok() {}
                }
                Filled::Really(path)
            }
            Self::Pretended(files) => {
                let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
                let calls = "write,pwrite64,ftruncate,fallocate";
                Filled::Seemingly(Fault::begin(world.shop().pid(), &files, calls, "error=ENOSPC").await)
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small(folder) = self {
            // Lazily, because a process may still have a file open.
            let _ = std::process::Command::new("umount").arg("--lazy").arg(folder).status();
        }
    }
}

enum Filled {
    Really(PathBuf),
    Seemingly(Fault),
}

impl Filled {
    async fn clear(self) {
        match self {
            Self::Really(path) => std::fs::remove_file(path).unwrap(),
            Self::Seemingly(fault) => fault.end().await,
        }
    }
}

pub async fn a_full_disk_refuses_writes_until_there_is_room(world: &mut World) {
    let usual = world.data_dir();
    let disk = Disk::under(world).await;
    let shop = Shop::open(world).await;
    let running = world.shop().pid();
    let told = shop
        .under_load(async |journal| {
            for _ in 0..times(2, 15) {
                journal.goes_on(SHOPPERS).await;
                let filled = disk.fill(world).await;
                writes_are_refused_and_reads_go_on(&shop).await;
                filled.clear().await;
                journal.goes_on(SHOPPERS).await;
            }
        })
        .await;
    assert!(world.shop_has_ended().is_none() && world.shop().pid() == running, "it recovers without a restart");
    all_is_as_told(world, &shop, &told).await;
    assert!(world.terminate_shop().await.success());
    if world.data_dir() != usual {
        world.move_data_to(usual);
    }
}

async fn writes_are_refused_and_reads_go_on(shop: &Shop) {
    let admin = &shop.admin;
    let product = json!({"name": "보이차", "price": krw(1_000)});
    // Writes into space that the files already have still succeed.
    let refused = eventually("a write is refused", async || {
        let reply = admin.post("/v1/products", &product).send().await;
        (reply.status != 201).then_some(reply)
    })
    .await;
    let problem = refused.expect_problem(503, "upstream_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("nothing can be written"), "{problem}");
    assert!(refused.header("retry-after").is_some());
    for path in ["/livez", "/v1/orders?limit=1", "/v1/products?limit=1"] {
        let reply = admin.get(path).send().await;
        assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text());
    }
    let order = admin.read("/v1/orders?limit=1").await["items"][0].clone();
    admin.read(&format!("/v1/orders/{}", order["id"].as_str().unwrap())).await;
}
