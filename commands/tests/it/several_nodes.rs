//! Two deciders on one store, as two nodes on one database.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use jangbu_aggregates::order::Order;
use jangbu_aggregates::stock::Stock;
use jangbu_commands::commands::{
    ActivateProduct, CancelOrder, ConfirmPayment, DeactivateProduct, DispatchShipment, ListAdministrators,
    ObserveLabel, ObservePayment, ReceiveStock, RefundPayment, RoleChange, SetRoles,
};
use jangbu_commands::{Answer, CancelledBy, Command, CommandError, Commands, Policy, Source, Worker, load_state};
use jangbu_kernel::gateway::{ChargeOutcome, LabelOutcome};
use jangbu_kernel::{Money, OrderId, PaymentId, ProductId, RefundId, RefusalCode, Role, StreamId, UserId, Version};
use jangbu_store::MemoryStore;

use crate::faulty::{Fault, FaultyLog};
use crate::support::Shop;

type Node = (Commands, Worker);

/// One store, the first node's log handle, and two nodes that expect each other's writes.
fn two_nodes(shop: &Shop) -> (Arc<MemoryStore>, Arc<FaultyLog>, Node, Node) {
    let store = Arc::new(MemoryStore::new());
    let log = FaultyLog::shared(store.clone());
    let (one, two) = (shop.decider(log.clone()), shop.decider(FaultyLog::shared(store.clone())));
    (store, log, one, two)
}

#[tokio::test]
async fn two_nodes_sell_a_hundred_units_to_five_hundred_buyers_once() {
    let shop = Shop::new();
    let (store, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let user = shop.user(&one).await;
    let product = shop.product(&two, 1_000, 100).await;

    let results = join_all((0..500).map(|n| {
        let (shop, commands) = (shop.clone(), if n % 2 == 0 { one.clone() } else { two.clone() });
        async move {
            loop {
                let order = shop.order(user, &[(product, 1)]);
                match shop.run(&commands, order).await {
                    Err(CommandError::Busy { .. }) => tokio::task::yield_now().await,
                    result => return result,
                }
            }
        }
    }))
    .await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
    let short = |error: &CommandError| matches!(error, CommandError::Refused(refusal) if refusal.code == RefusalCode::InsufficientStock);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(short));
    let (stock, _) = load_state::<Stock>(store.as_ref(), product).await.unwrap();
    assert_eq!(stock.reserved(), 100);
    task_one.stop().await;
    task_two.stop().await;
}

/// Runs a command at a node that may be busy for a moment.
async fn patiently<C: Command>(shop: &Shop, commands: &Commands, make: impl Fn() -> C) -> Result<Answer, CommandError> {
    loop {
        match shop.run(commands, make()).await {
            Err(CommandError::Busy { .. }) => tokio::task::yield_now().await,
            result => return result,
        }
    }
}

#[tokio::test]
async fn two_nodes_let_a_buyer_keep_no_more_orders_waiting_than_one() {
    let shop = Shop::with(Policy::default());
    let (_, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let user = shop.user(&one).await;
    let product = shop.product(&two, 1_000, 100).await;
    let node = |n: usize| if n.is_multiple_of(2) { one.clone() } else { two.clone() };
    let (mut open, mut refused) = (Vec::new(), 0);
    for round in 0..6 {
        let results = join_all((0..20).map(|n| {
            let (shop, commands) = (shop.clone(), node(n));
            async move {
                let place = || shop.order(user, &[(product, 1)]);
                patiently(&shop, &commands, place).await
            }
        }))
        .await;
        for result in results {
            match result {
                Ok(answer) => open.push(OrderId::new(answer.stream.id)),
                Err(CommandError::Refused(refusal)) => {
                    assert_eq!(refusal.code, RefusalCode::TooManyOpenOrders);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(open.len(), 3, "round {round}");
        // Cancelled at the node that did not place it, or at the one that did.
        let order_id = open.remove(0);
        let cancel = || CancelOrder { order_id, by: CancelledBy::Owner, reason: None };
        patiently(&shop, &node(round), cancel).await.unwrap();
    }
    assert_eq!(refused, 6 * 20 - 3 - 5);
    task_one.stop().await;
    task_two.stop().await;
}

/// A full refund at one node and the hand-over at the other: never both.
#[tokio::test]
async fn of_a_whole_refund_and_the_hand_over_at_two_nodes_one_comes_first() {
    let (mut left, mut stayed) = (0, 0);
    for round in 0..12_usize {
        let shop = Shop::new();
        let (_, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
        let user = shop.user(&one).await;
        let product = shop.product(&one, 1_000, 5).await;
        let (order_id, payment_id) = paid_order(&shop, &one, user, product).await;
        let (order, _) = load_state::<Order>(one.log().as_ref(), order_id).await.unwrap();
        let shipment_id = order.shipment_id().expect("the process has opened it");
        let label = LabelOutcome::Ready { tracking_number: "T1".into() };
        let ready = ObserveLabel { shipment_id, carrier: "swift".into(), observation: label };
        shop.run(&one, ready).await.unwrap();
        // The second node has the payment's earlier state in memory.
        shop.run(&two, ConfirmPayment { payment_id }).await.unwrap_err();
        let (refund_id, amount) = (RefundId::new(shop.id()), Money::krw(1_000).unwrap());
        let refund = || RefundPayment { payment_id, refund_id, amount, reason: "goodwill".into() };
        let dispatch = || DispatchShipment { shipment_id, carrier: None, tracking_number: None };
        let (refund, dispatch) = if round.is_multiple_of(2) {
            tokio::join!(patiently(&shop, &one, refund), patiently(&shop, &two, dispatch))
        } else {
            let (dispatch, refund) = tokio::join!(patiently(&shop, &two, dispatch), patiently(&shop, &one, refund));
            (refund, dispatch)
        };
        let (refunded_at, dispatched) = (refund.unwrap().position, dispatch);
        match dispatched {
            Ok(answer) => {
                left += 1;
                assert!(answer.position < refunded_at, "it left after all of its money had gone back");
            }
            Err(CommandError::Refused(refusal)) => {
                stayed += 1;
                assert_eq!(refusal.code, RefusalCode::OrderStateConflict);
            }
            Err(other) => panic!("{other}"),
        }
        task_one.stop().await;
        task_two.stop().await;
    }
    assert_eq!(left + stayed, 12);
}

/// An order of one unit with captured money; the consequences are decided with the capture.
async fn paid_order(shop: &Shop, commands: &Commands, user: UserId, product: ProductId) -> (OrderId, PaymentId) {
    let order = shop.paid_order(user, product, 1_000, "tok_ok");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    shop.run(commands, order).await.unwrap();
    let observation = ChargeOutcome::Captured { reference: "ch_1".into(), amount: Money::krw(1_000).unwrap() };
    let observe = ObservePayment { payment_id, observation, source: Source::Answer };
    shop.run(commands, observe).await.unwrap();
    (order_id, payment_id)
}

#[tokio::test]
async fn a_conflict_is_decided_anew_on_what_the_other_node_wrote() {
    let shop = Shop::new();
    let (_, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let product_id = shop.product(&one, 1_000, 1).await;
    for version in 2..20 {
        let commands = if version % 2 == 0 { &two } else { &one };
        let answer = shop.run(commands, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
        assert_eq!(answer.version, Version::new(version));
    }
    task_one.stop().await;
    task_two.stop().await;
}

/// Lets every task run that can. Nothing here waits for a clock.
async fn everybody_goes_on() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_another_node_wrote_is_known_without_loading_it_again() {
    let shop = Shop::new();
    let (_, log, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let user = shop.user(&one).await;
    let product_id = shop.product(&one, 1_000, 1).await;
    log.loads.lock().unwrap().clear();
    for units in 2..20_u32 {
        shop.run(&two, ReceiveStock { product_id, quantity: units, location: None }).await.unwrap();
        everybody_goes_on().await;
        let order = shop.order(user, &[(product_id, units)]);
        shop.run(&one, order).await.unwrap();
        everybody_goes_on().await;
    }
    assert!(!log.has_loaded(StreamId::stock(product_id)));
    assert_eq!(log.reached.load(Ordering::SeqCst), 3 + 18, "an append met what it had not heard of");
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn what_was_decided_on_an_older_state_is_decided_anew_before_it_is_sent() {
    let shop = Shop::new();
    let (_, log, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let (other, product_id) = (shop.product(&one, 1_000, 1).await, shop.product(&one, 1_000, 1).await);
    log.batches.lock().unwrap().clear();
    log.hold();
    // While the first batch is being committed the second is decided, and another node is faster.
    let first = shop.run(&one, ReceiveStock { product_id: other, quantity: 1, location: None });
    let second = shop.run(&one, ReceiveStock { product_id, quantity: 1, location: None });
    let faster = async {
        everybody_goes_on().await;
        shop.run(&two, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
        everybody_goes_on().await;
        log.let_go();
    };
    let (first, second, ()) = tokio::join!(
        first,
        async {
            everybody_goes_on().await;
            second.await
        },
        faster
    );
    assert_eq!((first.unwrap().version, second.unwrap().version), (Version::new(2), Version::new(3)));
    assert_eq!(*log.batches.lock().unwrap(), [1, 1], "it was sent to be refused");
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn what_does_not_rest_on_a_refused_append_stands() {
    let shop = Shop::new();
    let (store, log, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let (contested, calm) = (shop.product(&one, 1_000, 1).await, shop.product(&one, 1_000, 1).await);
    log.loads.lock().unwrap().clear();
    log.hold();
    let receive = |product_id, quantity| shop.run(&one, ReceiveStock { product_id, quantity, location: None });
    let work = async {
        let refused = receive(contested, 10);
        let above = async {
            everybody_goes_on().await;
            tokio::join!(receive(contested, 100), receive(calm, 100))
        };
        tokio::join!(refused, above)
    };
    let faster = async {
        for _ in 0..3 {
            everybody_goes_on().await;
        }
        shop.run(&two, ReceiveStock { product_id: contested, quantity: 1_000, location: None }).await.unwrap();
        log.let_go();
    };
    let ((refused, (contested_again, stood)), ()) = tokio::join!(work, faster);
    assert_eq!(
        (refused.unwrap().version, contested_again.unwrap().version, stood.unwrap().version),
        (Version::new(3), Version::new(4), Version::new(2))
    );
    assert!(!log.has_loaded(StreamId::stock(calm)), "what stood was thrown away as well");
    let (stock, _) = load_state::<Stock>(store.as_ref(), contested).await.unwrap();
    assert_eq!(stock.on_hand(), 1_111);
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn nothing_rests_on_an_append_whose_key_turns_out_to_be_used() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, task) = shop.decider(FaultyLog::over(store.clone()));
    let user = shop.user(&commands).await;
    let product_id = shop.product(&commands, 1_000, 5).await;
    shop.run(&commands, DeactivateProduct { product_id }).await.unwrap();
    let receive = ReceiveStock { product_id, quantity: 1, location: None };
    commands.execute(shop.keyed(receive, "key", 1)).await.unwrap();
    task.stop().await;
    // A decider that does not remember the key finds out by its append. A request that arrives at
    // the same time and depends on the effect of that append must not be accepted.
    let (commands, task) = shop.decider(FaultyLog::over(store.clone()));
    let activate = commands.execute(shop.keyed(ActivateProduct { product_id }, "key", 2));
    let order = shop.run(&commands, shop.order(user, &[(product_id, 1)]));
    let (activated, ordered) = tokio::join!(activate, order);
    assert!(matches!(activated, Err(CommandError::KeyReused)), "{activated:?}");
    assert!(matches!(ordered, Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::ProductNotActive));
    task.stop().await;
}

#[tokio::test]
async fn a_refusal_is_never_given_on_an_old_state() {
    let shop = Shop::new();
    let (_, log, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let user = shop.user(&one).await;
    let product_id = shop.product(&one, 1_000, 1).await;
    for round in 2..30_u32 {
        // The first node knows the stock and would refuse; the other node adds units.
        let order = shop.order(user, &[(product_id, round)]);
        assert!(matches!(shop.run(&one, order).await, Err(CommandError::Refused(_))));
        shop.run(&two, ReceiveStock { product_id, quantity: round, location: None }).await.unwrap();
        let order = shop.order(user, &[(product_id, round)]);
        shop.run(&one, order).await.unwrap();
    }
    assert!(log.version_checks.load(Ordering::SeqCst) >= 28, "no refusal was checked");
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn if_match_is_judged_on_the_log_and_not_on_an_old_state() {
    let shop = Shop::new();
    let (_, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let product_id = shop.product(&one, 1_000, 1).await;
    shop.run(&two, ReceiveStock { product_id, quantity: 1, location: None }).await.unwrap();
    let mut request = shop.request(ReceiveStock { product_id, quantity: 1, location: None });
    request.if_match = Some(vec![Version::new(2)]);
    assert_eq!(one.execute(request.clone()).await.unwrap().version, Version::new(3));
    assert!(
        matches!(two.execute(request).await, Err(CommandError::VersionConflict { actual }) if actual == Version::new(3))
    );
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn two_administrators_who_remove_each_other_on_two_nodes_leave_one() {
    let shop = Shop::new();
    let (_, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let role = Role::Admin;
    let last = |error: &CommandError| matches!(error, CommandError::Refused(refusal) if refusal.code == RefusalCode::LastAdministrator);
    let mut stays = shop.user(&one).await;
    shop.run(&one, ListAdministrators { user_ids: Vec::new() }).await.unwrap();
    shop.run(&one, SetRoles { user_id: stays, change: RoleChange::Grant(role) }).await.unwrap();
    for _ in 0..20 {
        let other = shop.user(&two).await;
        shop.run(&two, SetRoles { user_id: other, change: RoleChange::Grant(role) }).await.unwrap();
        let (of_other, of_first) = tokio::join!(
            shop.run(&one, SetRoles { user_id: other, change: RoleChange::Set(vec![Role::Customer]) }),
            shop.run(&two, SetRoles { user_id: stays, change: RoleChange::Revoke(role) }),
        );
        assert_ne!(of_other.is_ok(), of_first.is_ok(), "{of_other:?} {of_first:?}");
        assert!([&of_other, &of_first].into_iter().filter_map(|result| result.as_ref().err()).all(last));
        if of_first.is_ok() {
            stays = other;
        }
    }
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn a_key_acts_once_over_all_nodes() {
    let shop = Shop::new();
    let (store, _, (one, task_one), (two, task_two)) = two_nodes(&shop);
    let user = shop.user(&one).await;
    let product_id = shop.product(&one, 1_000, 50).await;
    let answers = join_all((0..20).map(|n| {
        let commands = if n % 2 == 0 { one.clone() } else { two.clone() };
        let request = shop.keyed(shop.order(user, &[(product_id, 1)]), "key", 1);
        async move { commands.execute(request).await.unwrap() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.stream == answers[0].stream && answer.position == answers[0].position));
    let (stock, _) = load_state::<Stock>(store.as_ref(), product_id).await.unwrap();
    assert_eq!(stock.reserved(), 1);
    task_one.stop().await;
    task_two.stop().await;
}

#[tokio::test]
async fn what_reads_an_uncommitted_write_of_its_own_batch_waits_for_it() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let log = FaultyLog::shared(store.clone());
    let (commands, task) = shop.decider(log.clone());
    let user = shop.user(&commands).await;
    let product_id = shop.product(&commands, 1_000, 5).await;
    // Both arrive together: the order reads the product that the other command takes off sale.
    let order = shop.order(user, &[(product_id, 1)]);
    log.batches.lock().unwrap().clear();
    let (off, order) = tokio::join!(shop.run(&commands, DeactivateProduct { product_id }), shop.run(&commands, order),);
    assert!(off.is_ok());
    assert!(matches!(order, Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::ProductNotActive));
    let order = shop.order(user, &[(product_id, 1)]);
    log.batches.lock().unwrap().clear();
    let (on, order) = tokio::join!(shop.run(&commands, ActivateProduct { product_id }), shop.run(&commands, order),);
    assert!(on.is_ok() && order.is_ok());
    assert_eq!(*log.batches.lock().unwrap(), [1, 1], "the order must not share a batch with what it rests on");
    task.stop().await;
}

#[tokio::test]
async fn under_failing_commits_and_lost_answers_every_key_acts_exactly_once() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let logs = [FaultyLog::shared(store.clone()), FaultyLog::shared(store.clone()), FaultyLog::over(store.clone())];
    let nodes: Vec<_> = logs.iter().map(|log| shop.decider(log.clone())).collect();
    let product_id = shop.product(&nodes[0].0, 1_000, 1).await;
    // Every third append of each node fails, in each way in turn.
    for log in &logs {
        let faults = [Fault::Fails, Fault::AnswerLost, Fault::RequestLost];
        log.fail_every(3, faults.into_iter().cycle().take(60).collect());
    }
    let work = (0..240_u32).map(|n| {
        // The third node believes that it is alone, so it has to recover from a conflict as well.
        let commands = nodes[usize::try_from(n).unwrap() % nodes.len()].0.clone();
        let request = shop.keyed(ReceiveStock { product_id, quantity: n + 1, location: None }, &format!("key-{n}"), 1);
        async move {
            for _ in 0..1_000 {
                match commands.execute(request.clone()).await {
                    Ok(answer) => return answer.position,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
                tokio::task::yield_now().await;
            }
            panic!("no end of failures");
        }
    });
    let mut positions = join_all(work).await;
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), 240, "two keys share an event");
    let (stock, version) = load_state::<Stock>(store.as_ref(), product_id).await.unwrap();
    assert_eq!((stock.on_hand(), version), (1 + 240 * 241 / 2, Version::new(241)));
    for (_, task) in nodes {
        task.stop().await;
    }
}
