//! The Merkle tree over the log.

use std::sync::Arc;

use jangbu_kernel::Position;
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_store::{Ledger, MerkleFrontier, Sealer, seal_in_pages, seal_to_head, verify_log};

use crate::fixture::{Fixture, Still, append, append_one, eventually, fill, moment, order, write};

pub async fn roots_are_sealed_and_verified(Fixture { store, .. }: Fixture) {
    assert_eq!(seal_to_head(&*store, &Still).await.unwrap(), MerkleFrontier::new());
    assert_eq!(store.sealed_roots(Position::ZERO, 10).await.unwrap(), [], "an empty log is not sealed");
    let stream = order();
    for n in 0..3 {
        fill(&*store, stream, n * 5, 5).await;
        seal_to_head(&*store, &Still).await.unwrap();
        seal_to_head(&*store, &Still).await.unwrap();
    }
    let roots = store.sealed_roots(Position::ZERO, 10).await.unwrap();
    assert_eq!(roots.iter().map(|root| root.size).collect::<Vec<_>>(), [5, 10, 15].map(Position::new));
    assert_eq!(store.sealed_roots(Position::new(5), 1).await.unwrap(), [roots[1]]);
    assert_eq!(roots[0].sealed_at, moment());

    let mut frontier = MerkleFrontier::new();
    store.rows(Position::ZERO, 100).await.unwrap().iter().for_each(|row| frontier.push(row.leaf_hash()));
    assert_eq!(roots[2].root, frontier.root());
    let mut told = Vec::new();
    let verification = verify_log(&*store, |position| told.push(position)).await.unwrap();
    assert_eq!((verification.events, verification.roots, &verification.flaws[..]), (15, 3, &[][..]));
    assert_eq!(verification.root, frontier.root());
    assert_eq!(told, [15]);
}

pub async fn sealing_goes_on_where_it_ended(Fixture { store, other }: Fixture) {
    let stream = order();
    fill(&*store, stream, 0, 7).await;
    let first = seal_to_head(&*store, &Still).await.unwrap();
    assert_eq!(other.sealed_frontier().await.unwrap(), first);
    fill(&*store, stream, 7, 4).await;
    let second = seal_to_head(&*other, &Still).await.unwrap();
    assert_eq!((first.size(), second.size()), (Position::new(7), Position::new(11)));
    assert_eq!(verify_log(&*store, |_| {}).await.unwrap().roots, 2);
}

pub async fn two_sealers_agree(Fixture { store, other }: Fixture) {
    let sealers = [&store, &other].map(|handle| Sealer::spawn(Arc::clone(handle) as Arc<dyn Ledger>, Arc::new(Still)));
    let stream = order();
    for n in 0..20 {
        append_one(&*store, append([write(stream, n, 1)])).await;
    }
    for sealer in sealers {
        sealer.stop().await;
    }
    assert_eq!(store.sealed_frontier().await.unwrap().size(), Position::new(20));
    assert_eq!(verify_log(&*store, |_| {}).await.unwrap().flaws, []);
}

pub async fn another_root_for_a_size_is_refused(Fixture { store, .. }: Fixture) {
    fill(&*store, order(), 0, 3).await;
    let frontier = seal_to_head(&*store, &Still).await.unwrap();
    let same = SealedRoot { size: Position::new(3), root: frontier.root(), sealed_at: moment() };
    assert!(!store.keep_seal(same, &frontier).await.unwrap());
    let other = SealedRoot { root: [9; 32], ..same };
    assert!(matches!(store.keep_seal(other, &frontier).await, Err(LogError::Damaged(_))));
    assert_eq!(store.sealed_roots(Position::ZERO, 9).await.unwrap(), [same]);
}

pub async fn the_sealer_follows_the_head_and_seals_at_its_stop(Fixture { store, .. }: Fixture) {
    let stream = order();
    fill(&*store, stream, 0, 4).await;
    let sealer = Sealer::spawn(Arc::clone(&store) as Arc<dyn Ledger>, Arc::new(Still));
    let sealed = async || store.sealed_frontier().await.unwrap().size();
    eventually("what was there is sealed", async || sealed().await == Position::new(4)).await;
    fill(&*store, stream, 4, 5).await;
    eventually("what came is sealed", async || sealed().await == Position::new(9)).await;
    fill(&*store, stream, 9, 2).await;
    sealer.stop().await;
    assert_eq!(sealed().await, Position::new(11));
}

/// The root over the stored rows.
async fn root_of_rows(store: &dyn Ledger) -> [u8; 32] {
    let mut frontier = MerkleFrontier::new();
    store.rows(Position::ZERO, 10_000).await.unwrap().iter().for_each(|row| frontier.push(row.leaf_hash()));
    frontier.root()
}

pub async fn what_is_sealed_from_memory_is_what_the_log_holds(Fixture { store, other }: Fixture) {
    let stream = order();
    for (page, count) in [(100, 7), (3, 10), (1, 4)] {
        let before = store.head().await.unwrap();
        fill(&*store, stream, before.get(), count).await;
        let fresh = store.fresh_leaf_hashes(before, 100);
        let read = store.leaf_hashes(before, 100).await.unwrap();
        assert!(fresh.is_empty() || fresh == read);
        assert_eq!(fresh.is_empty(), !matches!(store.engine(), "sqlite" | "postgres"), "{}", store.engine());
        let sealed = seal_in_pages(&*store, &Still, page).await.unwrap();
        assert_eq!((sealed.size(), sealed.root()), (before.plus(count), root_of_rows(&*store).await));
    }
    assert_eq!(verify_log(&*other, |_| {}).await.unwrap().flaws, []);
}

pub async fn what_another_handle_wrote_is_sealed_too(Fixture { store, other }: Fixture) {
    fill(&*store, order(), 0, 3).await;
    fill(&*other, order(), 0, 2).await;
    fill(&*store, order(), 0, 4).await;
    let in_order = |after| store.fresh_leaf_hashes(after, 100).len();
    if !store.exclusive() && store.engine() == "postgres" {
        assert_eq!(
            (in_order(Position::ZERO), in_order(Position::new(3)), in_order(Position::new(5))),
            (3, 0, 0),
            "there is a gap"
        );
    }
    let sealed = seal_to_head(&*store, &Still).await.unwrap();
    assert_eq!((sealed.size(), sealed.root()), (Position::new(9), root_of_rows(&*store).await));
    // A follower fills the gap.
    store.follow(Position::new(3), 100, &Default::default()).await.unwrap();
    fill(&*store, order(), 0, 1).await;
    fill(&*other, order(), 0, 1).await;
    let sealed = seal_in_pages(&*store, &Still, 2).await.unwrap();
    assert_eq!((sealed.size(), sealed.root()), (Position::new(11), root_of_rows(&*store).await));
    assert_eq!(verify_log(&*store, |_| {}).await.unwrap().flaws, []);
}
