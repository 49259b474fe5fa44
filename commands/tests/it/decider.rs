//! One decider on one log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use jangbu_aggregates::stock::Stock;
use jangbu_commands::commands::ReceiveStock;
use jangbu_commands::{CommandError, Commands, DeciderOptions, load_state};
use jangbu_kernel::log::EventLog as _;
use jangbu_kernel::{Actor, ProductId, RefusalCode, StreamId, Version};
use jangbu_store::sqlite::Options as SqliteOptions;
use jangbu_store::{MemoryStore, SqliteStore, Store as _};

use crate::faulty::{Fault, FaultyLog};
use crate::support::{Shop, eventually};

async fn reserved(log: &dyn jangbu_kernel::log::EventLog, product_id: ProductId) -> i64 {
    load_state::<Stock>(log, product_id).await.unwrap().0.reserved()
}

fn refused_with(result: &Result<jangbu_commands::Answer, CommandError>, code: RefusalCode) -> bool {
    matches!(result, Err(CommandError::Refused(refusal)) if refusal.code == code)
}

#[tokio::test]
async fn five_hundred_buyers_of_a_hundred_units_buy_a_hundred_in_few_commits() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let (commands, task) = shop.decider(log.clone());
    let user = shop.user(&commands).await;
    let product = shop.product(&commands, 1_000, 100).await;
    let before = log.batches.lock().unwrap().len();

    let orders: Vec<_> = (0..500).map(|_| shop.order(user, &[(product, 1)])).collect();
    let results = join_all(orders.into_iter().map(|order| shop.run(&commands, order))).await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
    assert_eq!(results.iter().filter(|result| refused_with(result, RefusalCode::InsufficientStock)).count(), 400);
    let batches = log.batches.lock().unwrap().len() - before;
    assert!(batches <= 10, "{batches} commits for a hundred orders that came together");
    assert_eq!(reserved(log.as_ref(), product).await, 100);
    task.stop().await;
}

#[tokio::test]
async fn one_short_line_among_three_reserves_nothing() {
    let shop = Shop::new();
    let log = Arc::new(MemoryStore::new());
    let (commands, task) = shop.decider(log.clone());
    let user = shop.user(&commands).await;
    let plenty = shop.product(&commands, 1_000, 10).await;
    let scarce = shop.product(&commands, 1_000, 1).await;
    let other = shop.product(&commands, 1_000, 10).await;
    let head = log.head().await.unwrap();

    let order = shop.order(user, &[(plenty, 2), (scarce, 2), (other, 2)]);
    let result = shop.run(&commands, order).await;

    assert!(refused_with(&result, RefusalCode::InsufficientStock), "{result:?}");
    assert_eq!(log.head().await.unwrap(), head, "something was written");
    for product in [plenty, scarce, other] {
        assert_eq!(reserved(log.as_ref(), product).await, 0);
    }
    // The states in memory are unchanged as well: all of it can still be bought.
    let order = shop.order(user, &[(plenty, 10), (scarce, 1), (other, 10)]);
    shop.run(&commands, order).await.unwrap();
    task.stop().await;
}

#[tokio::test]
async fn twenty_equal_requests_under_one_key_act_once_and_get_one_answer() {
    let shop = Shop::new();
    let log = Arc::new(MemoryStore::new());
    let (commands, task) = shop.decider(log.clone());
    let user = shop.user(&commands).await;
    let product = shop.product(&commands, 1_000, 100).await;
    let head = log.head().await.unwrap();

    // Each request has its own order id, as twenty repeated requests would.
    let orders: Vec<_> = (0..20).map(|_| shop.order(user, &[(product, 1)])).collect();
    let requests: Vec<_> = orders.into_iter().map(|order| shop.keyed(order, "key-1", 1)).collect();
    let answers: Vec<_> = join_all(requests.iter().cloned().map(|request| commands.execute(request)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    for answer in &answers {
        assert_eq!(
            (answer.stream, answer.version, answer.position),
            (answers[0].stream, answers[0].version, answers[0].position)
        );
    }
    assert_eq!(reserved(log.as_ref(), product).await, 1);
    let after = log.head().await.unwrap();
    assert!(after > head);

    // Another request with the same key is refused, now and after a restart; the same request is
    // answered again.
    let other = shop.keyed(shop.order(user, &[(product, 2)]), "key-1", 2);
    assert!(matches!(commands.execute(other.clone()).await, Err(CommandError::KeyReused)));
    task.stop().await;
    let (commands, task) = shop.decider(log.clone());
    assert!(matches!(commands.execute(other).await, Err(CommandError::KeyReused)));
    let again = commands.execute(requests[7].clone()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(
        (again.stream, again.version, again.position),
        (answers[0].stream, answers[0].version, answers[0].position)
    );
    assert_eq!(log.head().await.unwrap(), after);
    // The first answer can be built again from the stream up to the receipt's version.
    let history = commands.history(again.stream, Some(again.version)).await.unwrap();
    assert_eq!(history.len() as u64, again.version.get());
    task.stop().await;
}

/// A key belongs to its caller. Another caller who happens to use the same one, even for the same
/// request, neither gets the first one's order nor is refused, whether they come in one batch,
/// later, or after a restart.
#[tokio::test]
async fn equal_keys_of_two_callers_have_nothing_to_do_with_each_other() {
    let shop = Shop::new();
    let log = Arc::new(MemoryStore::new());
    let (commands, task) = shop.decider(log.clone());
    let callers = [shop.user(&commands).await, shop.user(&commands).await, shop.user(&commands).await];
    let product = shop.product(&commands, 1_000, 100).await;
    let by = |user| {
        let mut request = shop.keyed(shop.order(user, &[(product, 1)]), "key-1", 1);
        request.caller.actor = Actor::User(user);
        request
    };
    let [one, two, late] = callers.map(by);
    let answers = join_all([one.clone(), two.clone()].map(|request| commands.execute(request))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| !answer.replayed) && answers[0].stream != answers[1].stream);
    task.stop().await;
    let (commands, task) = shop.decider(log.clone());
    assert!(!commands.execute(late).await.unwrap().replayed);
    for (request, first) in [one, two].into_iter().zip(answers) {
        let again = commands.execute(request).await.unwrap();
        assert!(again.replayed && again.stream == first.stream);
    }
    assert_eq!(reserved(log.as_ref(), product).await, 3);
    task.stop().await;
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let shop = Shop::new();
    let (commands, task) = shop.decider(Arc::new(MemoryStore::new()));
    let user = shop.user(&commands).await;
    let product = shop.product(&commands, 1_000, 1).await;
    let two = shop.keyed(shop.order(user, &[(product, 2)]), "key", 1);
    let one = shop.keyed(shop.order(user, &[(product, 1)]), "key", 2);
    assert!(refused_with(&commands.execute(two).await, RefusalCode::InsufficientStock));
    assert!(!commands.execute(one).await.unwrap().replayed);
    task.stop().await;
}

#[tokio::test]
async fn if_match_names_the_version_of_the_primary_stream() {
    let shop = Shop::new();
    let (commands, task) = shop.decider(Arc::new(MemoryStore::new()));
    let product_id = shop.product(&commands, 1_000, 5).await;
    let mut request = shop.request(ReceiveStock { product_id, quantity: 5, location: None });
    request.if_match = Some(vec![Version::new(7)]);
    assert!(matches!(
        commands.execute(request.clone()).await,
        Err(CommandError::VersionConflict { actual: Version::FIRST })
    ));
    request.if_match = Some(vec![Version::FIRST]);
    assert_eq!(commands.execute(request).await.unwrap().version, Version::new(2));
    task.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_changes_nothing() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let (commands, task) = shop.decider(log.clone());
    let product_id = shop.product(&commands, 1_000, 5).await;
    log.hold();
    let leaving = commands.execute(shop.request(ReceiveStock { product_id, quantity: 3, location: None }));
    let reached = log.reached.load(Ordering::SeqCst);
    tokio::select! {
        _ = leaving => panic!("answered before the commit"),
        () = eventually("the append is under way", || async { log.reached.load(Ordering::SeqCst) > reached }) => {}
    }
    log.let_go();
    let answer = shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
    assert_eq!(answer.version, Version::new(3), "what the caller left behind was carried out");
    task.stop().await;
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit_and_the_next_is_decided_on_it() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let (commands, task) = shop.decider(log.clone());
    let product_id = shop.product(&commands, 1_000, 1).await;
    let user = shop.user(&commands).await;
    let reached = log.reached.load(Ordering::SeqCst);
    log.hold();
    let first = tokio::spawn({
        let (shop, commands) = (shop.clone(), commands.clone());
        let order = shop.order(user, &[(product_id, 1)]);
        async move { shop.run(&commands, order).await }
    });
    eventually("the first append is under way", || async { log.reached.load(Ordering::SeqCst) > reached }).await;
    // The second is decided on the result of the first, once that is in the log.
    let second = tokio::spawn({
        let (shop, commands) = (shop.clone(), commands.clone());
        let order = shop.order(user, &[(product_id, 1)]);
        async move { shop.run(&commands, order).await }
    });
    eventually("the second waits", || async { commands.queued() == 1 }).await;
    assert!(!first.is_finished() && !second.is_finished());
    log.let_one_go();
    assert!(first.await.unwrap().is_ok());
    assert!(refused_with(&second.await.unwrap(), RefusalCode::InsufficientStock));
    log.let_go();
    task.stop().await;
}

#[tokio::test]
async fn a_failed_commit_throws_away_what_was_decided() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let (commands, task) = shop.decider(log.clone());
    let product_id = shop.product(&commands, 1_000, 1).await;
    let user = shop.user(&commands).await;
    let reached = log.reached.load(Ordering::SeqCst);
    log.hold();
    log.will(Fault::Fails);
    let place = |order| {
        let (shop, commands) = (shop.clone(), commands.clone());
        tokio::spawn(async move { shop.run(&commands, order).await })
    };
    let first = place(shop.order(user, &[(product_id, 1)]));
    eventually("the first append is under way", || async { log.reached.load(Ordering::SeqCst) > reached }).await;
    let second = place(shop.order(user, &[(product_id, 1)]));
    eventually("the second waits", || async { commands.queued() == 1 }).await;
    log.let_go();
    assert!(matches!(first.await.unwrap(), Err(CommandError::Unavailable(_))));
    // The only unit was not sold to the first buyer, so the second one gets it.
    assert!(second.await.unwrap().is_ok());
    assert_eq!(reserved(log.as_ref(), product_id).await, 1);
    task.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_told_as_unknown_and_the_key_finds_out() {
    for (fault, acted) in [(Fault::AnswerLost, true), (Fault::RequestLost, false)] {
        let shop = Shop::new();
        let log = FaultyLog::over(Arc::new(MemoryStore::new()));
        let (commands, task) = shop.decider(log.clone());
        let product_id = shop.product(&commands, 1_000, 5).await;
        log.will(fault);
        let request = shop.keyed(ReceiveStock { product_id, quantity: 3, location: None }, "key", 1);
        assert!(matches!(commands.execute(request.clone()).await, Err(CommandError::OutcomeUnknown(_))));
        let answer = commands.execute(request).await.unwrap();
        assert_eq!((answer.replayed, answer.version), (acted, Version::new(2)));
        task.stop().await;
    }
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_a_stopped_decider_finishes_what_waits() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let options = DeciderOptions { queue_capacity: 4, max_batch_events: 1, ..DeciderOptions::default() };
    let (commands, task) = shop.decider_with(log.clone(), options);
    let product_id = shop.product(&commands, 1_000, 5).await;
    log.hold();
    let mut waiting = Vec::new();
    let busy = loop {
        let before = waiting.len();
        assert!(before < 2_000, "the queue takes no end of requests");
        let (shop, commands) = (shop.clone(), commands.clone());
        if commands.queued() == 4 {
            break shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await;
        }
        waiting.push(tokio::spawn(async move {
            shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await
        }));
        tokio::task::yield_now().await;
    };
    assert!(matches!(busy, Err(CommandError::Busy { .. })), "{busy:?}");
    let stopping = tokio::spawn(task.stop());
    eventually("no more is taken", || {
        let (shop, commands) = (shop.clone(), commands.clone());
        async move {
            matches!(
                shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await,
                Err(CommandError::ShuttingDown)
            )
        }
    })
    .await;
    log.let_go();
    for result in join_all(waiting).await {
        assert!(matches!(result.unwrap(), Ok(_) | Err(CommandError::Busy { .. })));
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn long_streams_are_loaded_from_a_snapshot() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let options = DeciderOptions { snapshot_every: 10, ..DeciderOptions::default() };
    let (commands, task) = shop.decider_with(log.clone(), options);
    let product_id = shop.product(&commands, 1_000, 5).await;
    for _ in 0..24 {
        shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
    }
    let stream = StreamId::stock(product_id);
    let version = jangbu_aggregates::AnyState::state_version(stream.kind);
    eventually("a snapshot is kept", || async {
        log.load(vec![(stream, version)]).await.unwrap()[0]
            .snapshot
            .as_ref()
            .is_some_and(|kept| kept.version >= Version::new(20))
    })
    .await;
    task.stop().await;
    log.loads.lock().unwrap().clear();
    let (commands, task) = shop.decider(log.clone());
    let answer = shop.run(&commands, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
    assert_eq!(answer.version, Version::new(26));
    let loads = log.loads.lock().unwrap().clone();
    let (_, from_snapshot, events) = loads.iter().find(|(loaded, ..)| *loaded == stream).unwrap();
    assert!(*from_snapshot && *events <= 6, "{loads:?}");
    let (stock, _) = load_state::<Stock>(log.as_ref(), product_id).await.unwrap();
    assert_eq!(stock.on_hand(), 30);
    task.stop().await;
}

#[tokio::test]
async fn a_small_cache_is_slower_and_never_wrong() {
    let shop = Shop::new();
    let log = FaultyLog::over(Arc::new(MemoryStore::new()));
    let options = DeciderOptions { cache_capacity: 2, max_batch_events: 3, ..DeciderOptions::default() };
    let (commands, task) = shop.decider_with(log.clone(), options);
    let user = shop.user(&commands).await;
    let products: Vec<ProductId> = join_all((0..6).map(|_| shop.product(&commands, 1_000, 10))).await;
    let orders: Vec<_> =
        (0..40).map(|n: usize| shop.order(user, &[(products[n % 6], 1), (products[(n + 1) % 6], 1)])).collect();
    let results = join_all(orders.into_iter().map(|order| shop.run(&commands, order))).await;
    // Six products of ten units, two units per order: at most thirty orders.
    assert!(results.iter().filter(|result| result.is_ok()).count() <= 30);
    let mut sold = 0;
    for product in products {
        let units = reserved(log.as_ref(), product).await;
        assert!(units <= 10);
        sold += units;
    }
    assert_eq!(sold, 2 * i64::try_from(results.iter().filter(|result| result.is_ok()).count()).unwrap());
    task.stop().await;
}

#[tokio::test]
async fn a_decider_without_handles_ends() {
    let shop = Shop::new();
    let (commands, task): (Commands, _) = shop.decider(Arc::new(MemoryStore::new()));
    drop(commands);
    tokio::time::timeout(crate::support::PATIENCE, task.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_gives_the_same_answers_after_a_restart() {
    let shop = Shop::new();
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
    let options = || DeciderOptions { snapshot_every: 20, ..DeciderOptions::default() };
    let store = open();
    store.migrate().await.unwrap();
    let (commands, task) = shop.decider_with(Arc::new(store.clone()), options());
    let user = shop.user(&commands).await;
    let product = shop.product(&commands, 1_000, 50).await;
    let requests: Vec<_> =
        (0..120).map(|n| shop.keyed(shop.order(user, &[(product, 1)]), &format!("key-{n}"), 1)).collect();
    let first = join_all(requests.iter().cloned().map(|request| commands.execute(request))).await;
    assert_eq!(first.iter().filter(|result| result.is_ok()).count(), 50);
    task.stop().await;
    drop(commands);
    store.close().await;
    drop(store);

    let store = open();
    let (commands, task) = shop.decider_with(Arc::new(store.clone()), options());
    let again = join_all(requests.iter().cloned().map(|request| commands.execute(request))).await;
    for (first, again) in first.iter().zip(&again) {
        match (first, again) {
            (Ok(first), Ok(again)) => {
                assert!(again.replayed);
                assert_eq!(
                    (first.stream, first.version, first.position),
                    (again.stream, again.version, again.position)
                );
            }
            (Err(_), again) => assert!(refused_with(again, RefusalCode::InsufficientStock)),
            (first, again) => panic!("{first:?} became {again:?}"),
        }
    }
    assert_eq!(reserved(&store, product).await, 50);
    task.stop().await;
    store.close().await;
}
