//! Messages that gateways and carriers send of their own accord.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jangbu_aggregates::payment::Payment;
use jangbu_commands::commands::RequestCapture;
use jangbu_commands::inbox::{HookError, Hooks, InboxDeps, InboxOptions};
use jangbu_commands::{Carriers, Commands, Gateways, Worker, load_state};
use jangbu_kernel::log::EventLog as _;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{Inbox, InboxMessage};
use jangbu_kernel::{Money, OrderId, PaymentId, StreamId};
use jangbu_store::MemoryStore;
use uuid::Uuid;

use crate::outside::{Booked, ScriptedCarrier, ScriptedGateway};
use crate::support::{Shop, eventually, lease};

const PRICE: i64 = 1_000;

fn hooks(shop: &Shop, commands: &Commands, store: &Arc<MemoryStore>) -> (Hooks, Worker) {
    hooks_over(shop, commands, store, store.clone())
}

fn hooks_over(shop: &Shop, commands: &Commands, store: &Arc<MemoryStore>, inbox: Arc<dyn Inbox>) -> (Hooks, Worker) {
    hooks_of(shop, commands, store, inbox, Arc::new(ScriptedGateway::named("sandbox")))
}

fn hooks_of(
    shop: &Shop,
    commands: &Commands,
    store: &Arc<MemoryStore>,
    inbox: Arc<dyn Inbox>,
    gateway: Arc<ScriptedGateway>,
) -> (Hooks, Worker) {
    Hooks::spawn(InboxDeps {
        commands: commands.clone(),
        inbox,
        lease: lease(store.clone(), 1),
        world: shop.world.clone(),
        gateways: Arc::new(Gateways::new(gateway).with(Arc::new(ScriptedGateway::named("other")))),
        carriers: Arc::new(Carriers::new(Arc::new(ScriptedCarrier::default()))),
        options: InboxOptions {
            max_attempts: 3,
            retry_first: Duration::from_millis(1),
            retry_longest: Duration::from_millis(2),
            poll: Duration::from_millis(20),
            ..InboxOptions::default()
        },
    })
}

fn signed() -> Vec<(String, String)> {
    vec![("signature".to_owned(), "good".to_owned())]
}

/// An order whose payment was requested at the gateway, and the key of the charge.
async fn asked_for(shop: &Shop, commands: &Commands) -> (OrderId, PaymentId, Uuid) {
    let user = shop.user(commands).await;
    let product = shop.product(commands, PRICE, 10).await;
    let order = shop.paid_order(user, product, PRICE, "ok");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    shop.run(commands, order).await.unwrap();
    shop.run(commands, RequestCapture { payment_id }).await.unwrap();
    let history = commands.history(StreamId::payment(payment_id), None).await.unwrap();
    let asked = history.iter().find(|event| event.event_type == "payment.capture_requested").unwrap();
    (order_id, payment_id, asked.event_id.uuid())
}

#[tokio::test]
async fn a_message_that_comes_ten_times_is_acknowledged_ten_times_and_acts_once() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let (hooks, worker) = hooks(&shop, &commands, &store);
    let (order_id, payment_id, key) = asked_for(&shop, &commands).await;
    let body = format!("m1 {payment_id} {order_id} {key} {PRICE}").into_bytes();
    let mut fresh = 0;
    for _ in 0..10 {
        fresh += usize::from(!hooks.receive_payment("sandbox", signed(), body.clone()).await.unwrap().duplicate);
    }
    assert_eq!(fresh, 1);
    eventually("the message is handled", || async { store.pending(10, 3).await.unwrap().is_empty() }).await;
    let (payment, version) = load_state::<Payment>(store.as_ref(), payment_id).await.unwrap();
    assert!(payment.is_captured());
    let last = commands.history(StreamId::payment(payment_id), None).await.unwrap().pop().unwrap();
    assert_eq!((last.version, last.meta.actor.to_string()), (version, "gateway:sandbox".to_owned()));
    worker.stop().await;
    decider.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_or_not_known_is_not_stored() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let (hooks, worker) = hooks(&shop, &commands, &store);
    let receive = |name, headers| hooks.receive_payment(name, headers, b"m a b c d e f".to_vec());
    assert_eq!(receive("nobody", signed()).await, Err(HookError::UnknownSource));
    assert_eq!(receive("sandbox", Vec::new()).await, Err(HookError::BadSignature));
    assert!(matches!(receive("sandbox", signed()).await, Err(HookError::Unreadable(_))));
    let body = format!("m {} T dancing 0", Uuid::nil()).into_bytes();
    assert!(matches!(hooks.receive_carrier("sandbox", signed(), "", body).await, Err(HookError::Unreadable(_))));
    assert!(store.pending(10, u32::MAX).await.unwrap().is_empty());
    worker.stop().await;
    decider.stop().await;
}

#[tokio::test]
async fn a_charge_that_is_not_the_payments_changes_nothing_and_stays_for_a_person() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let (hooks, worker) = hooks(&shop, &commands, &store);
    let (order_id, payment_id, _) = asked_for(&shop, &commands).await;
    let head = store.head().await.unwrap();
    let body = format!("m1 {payment_id} {order_id} {} {PRICE}", shop.id()).into_bytes();
    hooks.receive_payment("sandbox", signed(), body).await.unwrap();
    eventually("the worker has given up", || async { store.pending(10, 3).await.unwrap().is_empty() }).await;
    assert_eq!(store.pending(10, u32::MAX).await.unwrap()[0].attempts, 3);
    assert_eq!(store.head().await.unwrap(), head);
    worker.stop().await;
    decider.stop().await;
}

/// Another gateway of the shop signs its messages as well, but cannot report on this charge.
#[tokio::test]
async fn a_charge_is_told_of_by_the_gateway_that_was_asked_and_by_no_other() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let (hooks, worker) = hooks(&shop, &commands, &store);
    let (order_id, payment_id, key) = asked_for(&shop, &commands).await;
    let body = |message| format!("{message} {payment_id} {order_id} {key} {PRICE}").into_bytes();
    hooks.receive_payment("other", signed(), body("m1")).await.unwrap();
    eventually("the worker has given up", || async { store.pending(10, 3).await.unwrap().is_empty() }).await;
    assert!(!load_state::<Payment>(store.as_ref(), payment_id).await.unwrap().0.is_captured());
    hooks.receive_payment("sandbox", signed(), body("m2")).await.unwrap();
    eventually("the payment is captured", || async {
        load_state::<Payment>(store.as_ref(), payment_id).await.unwrap().0.is_captured()
    })
    .await;
    worker.stop().await;
    decider.stop().await;
}

/// A gateway that does not sign may report anything: it is asked.
#[tokio::test]
async fn a_message_that_proves_nothing_makes_the_worker_ask() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let gateway = Arc::new(ScriptedGateway::named("sandbox"));
    let (hooks, worker) = hooks_of(&shop, &commands, &store, store.clone(), gateway.clone());
    let (_, first, key) = asked_for(&shop, &commands).await;
    let (_, second, _) = asked_for(&shop, &commands).await;
    gateway.books.lock().unwrap().insert(key, Booked::Charged(Money::krw(PRICE).unwrap()));
    let body = format!("ask m1 {first} {second}").into_bytes();
    assert!(!hooks.receive_payment("sandbox", Vec::new(), body.clone()).await.unwrap().duplicate);
    assert!(hooks.receive_payment("sandbox", Vec::new(), body).await.unwrap().duplicate, "both are known");
    eventually("both are asked about", || async { store.pending(10, 3).await.unwrap().is_empty() }).await;
    assert!(load_state::<Payment>(store.as_ref(), first).await.unwrap().0.is_captured());
    assert!(!load_state::<Payment>(store.as_ref(), second).await.unwrap().0.is_captured());
    assert_eq!(gateway.count("inquire"), 2);
    // If this gateway was not asked for a charge, nothing is stored and nobody is asked.
    let unpaid = PaymentId::new(shop.id());
    for (name, payment_id) in [("other", first), ("sandbox", unpaid)] {
        let refused = hooks.receive_payment(name, Vec::new(), format!("ask m2 {payment_id}").into_bytes()).await;
        assert!(matches!(refused, Err(HookError::Unreadable(_))), "{refused:?}");
    }
    assert!(store.pending(10, u32::MAX).await.unwrap().is_empty());
    assert_eq!(gateway.count("inquire"), 2);
    worker.stop().await;
    decider.stop().await;
}

#[tokio::test]
async fn a_message_survives_a_crash_of_the_worker() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let (hooks_before, worker) = hooks(&shop, &commands, &store);
    let (order_id, payment_id, key) = asked_for(&shop, &commands).await;
    worker.abort().await;
    let body = format!("m1 {payment_id} {order_id} {key} {PRICE}").into_bytes();
    hooks_before.receive_payment("sandbox", signed(), body).await.unwrap();
    let (_hooks, worker) = hooks(&shop, &commands, &store);
    eventually("the payment is captured", || async {
        load_state::<Payment>(store.as_ref(), payment_id).await.unwrap().0.is_captured()
    })
    .await;
    worker.stop().await;
    decider.stop().await;
}

/// An inbox that is killed before its first marks are written, so that the messages are pending
/// again.
struct Forgetful {
    inner: Arc<MemoryStore>,
    marks: AtomicU32,
}

/// The number of marks that are lost.
const LOST: u32 = 3;

#[async_trait]
impl Inbox for Forgetful {
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError> {
        self.inner.store(message).await
    }
    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError> {
        self.inner.pending(limit, max_attempts).await
    }
    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError> {
        if self.marks.fetch_add(1, Ordering::Relaxed) < LOST {
            return Ok(());
        }
        self.inner.mark_handled(sequence).await
    }
    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError> {
        self.inner.mark_failed(sequence, reason).await
    }
}

#[tokio::test]
async fn a_message_whose_mark_was_lost_is_handled_again_and_changes_nothing() {
    let shop = Shop::new();
    let store = Arc::new(MemoryStore::new());
    let (commands, decider) = shop.decider(store.clone());
    let inbox = Arc::new(Forgetful { inner: store.clone(), marks: AtomicU32::new(0) });
    let (hooks, worker) = hooks_over(&shop, &commands, &store, inbox.clone());
    let (order_id, payment_id, key) = asked_for(&shop, &commands).await;
    let body = format!("m1 {payment_id} {order_id} {key} {PRICE}").into_bytes();
    hooks.receive_payment("sandbox", signed(), body).await.unwrap();
    eventually("the message is marked in the end", || async { store.pending(10, 3).await.unwrap().is_empty() }).await;
    assert_eq!(inbox.marks.load(Ordering::Relaxed), LOST + 1, "it was handled each time");
    let history = commands.history(StreamId::payment(payment_id), None).await.unwrap();
    let captured = history.iter().filter(|event| event.event_type == "payment.captured").count();
    assert_eq!(captured, 1);
    assert_eq!(history.iter().filter(|event| event.meta.actor.to_string() == "gateway:sandbox").count(), 1);
    worker.stop().await;
    decider.stop().await;
}
