//! The disk reports failures, or is slow.

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{World, strace::Fault, times};

const SYNCS: &str = "fsync,fdatasync";

/// After a failed sync it is unknown what is on the disk, and a second sync would only seem to
/// succeed, because the pages may be gone. So nothing is acknowledged and nothing more is written,
/// and the next start reads what is really there.
pub async fn a_failed_sync_ends_the_process(world: &mut World) {
    let shop = Shop::open(world).await;
    let wal = world.data_dir().join("log.db-wal");
    let cycles = times(2, 20);
    let told = shop
        .under_load(async |journal| {
            let mut seen = 0;
            for _ in 0..cycles {
                journal.goes_on(SHOPPERS).await;
                // Only the next call fails: all later ones would report success.
                let fault = Fault::begin(world.shop().pid(), &[&wal], SYNCS, "error=EIO:when=1").await;
                let status = world.shop_ends().await;
                fault.end().await;
                assert_eq!(status.code(), Some(1), "the shop ended with {status}");
                let left = std::fs::metadata(&wal).map_or(0, |file| file.len());
                assert!(left > 0, "the write-ahead log was folded in although it may not be what it seems");
                world.start_shop().await;
                seen = journal.word_is_kept(seen).await;
            }
            journal.goes_on(SHOPPERS).await;
        })
        .await;
    let said = world.shop().said();
    assert_eq!(said.matches("a write to the disk failed").count() / cycles, 1, "it says why");
    assert!(said.contains("the server has stopped"), "it says so at the end");
    all_is_as_told(world, &shop, &told).await;
    println!("{cycles} failed syncs");
}

pub async fn slow_syncs_only_slow_down(world: &mut World) {
    let shop = Shop::open(world).await;
    let wal = world.data_dir().join("log.db-wal");
    let told = shop
        .under_load(async |journal| {
            journal.goes_on(SHOPPERS).await;
            // Microseconds, added to every sync.
            let fault = Fault::begin(world.shop().pid(), &[&wal], SYNCS, "delay_exit=100000").await;
            journal.goes_on(times(2, 40) * SHOPPERS).await;
            fault.end().await;
            journal.goes_on(SHOPPERS).await;
            assert_eq!(journal.turned_away(), 0, "nobody is turned away because a disk is slow");
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
}
