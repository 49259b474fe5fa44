//! Who is told of what, and how often.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use jangbu_aggregates::notice::Notice;
use jangbu_commands::commands::{ChooseNotices, ReceiveStock, SendNotice, SetStockThreshold};
use jangbu_commands::inbox::InboxOptions;
use jangbu_commands::notices::NoticeOptions;
use jangbu_commands::process::ProcessOptions;
use jangbu_commands::workers::{self, WorkerDeps, Workers};
use jangbu_commands::{Carriers, Commands, Gateways, Locale, NoticeState, NoticeTopic, Worker, load_state};
use jangbu_kernel::channel::{Channel, Delivery, Message, Reaches};
use jangbu_kernel::log::ReadFilter;
use jangbu_kernel::part::Parts;
use jangbu_kernel::ports::Checkpoints;
use jangbu_kernel::{NoticeId, Position, UserId};
use jangbu_store::{MemoryStore, Store};

use crate::engines::Engine;
use crate::outside::{LogTimers, ScriptedCarrier, ScriptedGateway};
use crate::support::{Shop, eventually, lease};

const PRICE: i64 = 53_000;
const BUYER: &str = "somebody@example.com";
const SHOP: &str = "shop@example.com";

/// A channel that keeps what it takes; what is queued is what becomes of the next messages.
#[derive(Default)]
struct Letters {
    taken: Mutex<Vec<Message>>,
    next: Mutex<VecDeque<Delivery>>,
}

impl Letters {
    fn names(&self) -> Vec<(&'static str, String)> {
        let mut names: Vec<_> =
            self.taken.lock().unwrap().iter().map(|message| (message.template, message.to.clone())).collect();
        names.sort();
        names
    }

    async fn are(&self, wanted: &[(&'static str, &str)]) {
        let wanted: Vec<_> = wanted.iter().map(|(name, to)| (*name, (*to).to_owned())).collect();
        eventually(&format!("{wanted:?} and not {:?}", self.names()), || async { self.names() == wanted }).await;
    }
}

#[async_trait]
impl Channel for Letters {
    fn name(&self) -> &'static str {
        "mail"
    }
    fn reaches(&self) -> Reaches {
        Reaches::Email
    }
    async fn send(&self, message: Message) -> Delivery {
        let delivery = self.next.lock().unwrap().pop_front().unwrap_or(Delivery::Accepted);
        if delivery == Delivery::Accepted {
            self.taken.lock().unwrap().push(message);
        }
        delivery
    }
}

/// A shop that tells people.
struct House {
    shop: Shop,
    store: Arc<dyn Store>,
    letters: Arc<Letters>,
    commands: Commands,
    decider: Worker,
    /// Parts are not to be shared between threads.
    parts: Mutex<Parts>,
}

impl House {
    async fn open(engine: &Engine) -> Self {
        let house = Self::on(Shop::new(), engine.store.clone(), engine.store.clone(), Arc::default());
        // A log begins to be followed at its head.
        house.shop.user(&house.commands).await;
        house.follows().await;
        house
    }

    fn on(shop: Shop, store: Arc<dyn Store>, checkpoints: Arc<dyn Checkpoints>, letters: Arc<Letters>) -> Self {
        let (commands, decider) = shop.decider(store.clone());
        let mut notices = NoticeOptions::new(vec![letters.clone()], "한지 가게".to_owned());
        notices.shop_email = Some(SHOP.to_owned());
        notices.poll = Duration::from_millis(5);
        let Workers { parts, .. } = workers::start(&WorkerDeps {
            commands: commands.clone(),
            inbox: store.clone(),
            checkpoints,
            parked: store.clone(),
            timers: Arc::new(LogTimers(store.clone())),
            lease: lease(store.clone(), 1),
            world: shop.world.clone(),
            gateways: Arc::new(Gateways::new(Arc::new(ScriptedGateway::default()))),
            carriers: Arc::new(Carriers::new(Arc::new(ScriptedCarrier::default()))),
            receiving: InboxOptions::default(),
            processing: Some(ProcessOptions {
                timer_poll: Duration::from_secs(60),
                checkpoint_every: Duration::ZERO,
                retry_first: Duration::from_millis(1),
                ..ProcessOptions::default()
            }),
            notices: Some(notices),
        });
        Self { shop, store, letters, commands, decider, parts: Mutex::new(parts) }
    }

    /// Waits until the notices have a place of their own.
    async fn follows(&self) {
        eventually("the log is followed", || async {
            self.store.checkpoint("notices").await.unwrap() > Position::ZERO
        })
        .await;
    }

    /// Ends the shop as a crash would, and starts it again with its notices at this position.
    async fn crash(self, at: Position) -> Self {
        self.crash_for(TimeDelta::zero(), at).await
    }

    /// The same, with this time until it is started.
    async fn crash_for(self, time: TimeDelta, at: Position) -> Self {
        self.parts.into_inner().unwrap().abort().await;
        self.decider.abort().await;
        self.shop.clock.advance(time);
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(MemoryStore::new());
        checkpoints.advance("notices", at).await.unwrap();
        let house = Self::on(self.shop, self.store, Arc::clone(&checkpoints), self.letters);
        // What happens before it has begun would be told by nobody.
        let has_begun = || async { checkpoints.checkpoint("notices").await.unwrap() > Position::ZERO };
        eventually("it has begun", has_begun).await;
        house
    }

    async fn close(self) {
        self.parts.into_inner().unwrap().stop().await;
        self.decider.stop().await;
    }

    /// Places an order that is paid at once.
    async fn buy(&self) -> UserId {
        let user_id = self.shop.user(&self.commands).await;
        self.buy_as(user_id).await;
        user_id
    }

    async fn buy_as(&self, user_id: UserId) {
        let product_id = self.shop.product(&self.commands, PRICE, 10).await;
        let order = self.shop.paid_order(user_id, product_id, PRICE, "ok");
        self.shop.run(&self.commands, order).await.unwrap();
    }

    /// All notices, in the order of their first attempts.
    async fn notices(&self) -> Vec<(NoticeId, Notice)> {
        let types = ["notice.sent", "notice.failed", "notice.given_up"].map(str::to_owned).to_vec();
        let filter = ReadFilter { event_types: types, correlation_id: None };
        let (events, _) = self.store.read_all(Position::ZERO, 1_000, &filter).await.unwrap();
        let mut seen = BTreeSet::new();
        let mut notices = Vec::new();
        for event in events {
            let id = NoticeId::new(event.stream.id);
            if seen.insert(id) {
                notices.push((id, load_state::<Notice>(self.store.as_ref(), id).await.unwrap().0));
            }
        }
        notices
    }

    async fn only_notice_is(&self, name: &str, state: NoticeState, attempts: u32) -> NoticeId {
        let mut found = None;
        for (id, notice) in self.notices().await {
            if notice.about().unwrap().name == name {
                assert!(found.is_none(), "{name} is told once");
                found = Some(id);
            }
        }
        let id = found.unwrap_or_else(|| panic!("{name} was tried"));
        eventually(&format!("{name} is {state:?} after {attempts}"), || async {
            let (notice, _) = load_state::<Notice>(self.store.as_ref(), id).await.unwrap();
            (notice.state(), notice.attempts()) == (Some(state), attempts)
        })
        .await;
        id
    }
}

const PAID: [(&str, &str); 3] = [("order_paid", BUYER), ("order_placed", BUYER), ("shop_order_placed", SHOP)];

pub async fn a_fact_is_told_once_whatever_the_checkpoint_says(engine: Engine) {
    let house = House::open(&engine).await;
    let before = house.store.head().await.unwrap();
    house.buy().await;
    house.letters.are(&PAID).await;
    {
        let taken = house.letters.taken.lock().unwrap();
        let placed = taken.iter().find(|message| message.template == "order_placed").unwrap();
        assert!(placed.subject.starts_with("[한지 가게] 주문 "), "{}", placed.subject);
        assert!(placed.text.contains("- thing × 1: 53,000원") && placed.text.contains("Somebody님"), "{}", placed.text);
        let keys: BTreeSet<_> = taken.iter().map(|message| message.key).collect();
        assert_eq!(keys.len(), 3, "each has a key of its own");
    }
    eventually("what was sent is recorded", || async { house.notices().await.len() == 3 }).await;
    // Everything is read once more after a crash, and nobody is told again.
    let house = house.crash(before).await;
    house.buy().await;
    eventually("the next order is told", || async { house.letters.names().len() >= 6 }).await;
    eventually("what was sent is recorded", || async { house.notices().await.len() == 6 }).await;
    assert_eq!(house.letters.names().len(), 6);
    house.close().await;
}

pub async fn what_fails_is_tried_again_and_what_is_rejected_waits_for_staff(engine: Engine) {
    let house = House::open(&engine).await;
    let user_id = house.shop.user(&house.commands).await;
    let product_id = house.shop.product(&house.commands, PRICE, 10).await;
    house.letters.next.lock().unwrap().push_back(Delivery::Failed("smtp_451".to_owned()));
    let order = house.shop.order(user_id, &[(product_id, 1)]);
    house.shop.run(&house.commands, order).await.unwrap();
    // The shop's notice of the same fact is not held up.
    house.letters.are(&[("shop_order_placed", SHOP)]).await;
    house.only_notice_is("order_placed", NoticeState::Waiting, 1).await;
    house.shop.clock.advance(TimeDelta::seconds(59));
    house.letters.next.lock().unwrap().push_back(Delivery::Rejected("smtp_550".to_owned()));
    assert_eq!(house.letters.names().len(), 1, "its time has not come");
    house.shop.clock.advance(TimeDelta::seconds(2));
    let id = house.only_notice_is("order_placed", NoticeState::GivenUp, 2).await;
    house.shop.clock.advance(TimeDelta::days(2));
    house.shop.run(&house.commands, SendNotice { notice_id: id }).await.unwrap();
    house.letters.are(&[("order_placed", BUYER), ("shop_order_placed", SHOP)]).await;
    house.only_notice_is("order_placed", NoticeState::Sent, 3).await;
    let again = house.shop.run(&house.commands, SendNotice { notice_id: id }).await;
    assert!(again.is_err(), "{again:?}");
    house.close().await;
}

pub async fn nobody_is_told_what_they_do_not_want_or_what_is_old(engine: Engine) {
    let house = House::open(&engine).await;
    let user_id = house.shop.user(&house.commands).await;
    let muted = Some(BTreeSet::from([NoticeTopic::Payment]));
    let choice = ChooseNotices { user_id, locale: Some(Locale::En), muted };
    house.shop.run(&house.commands, choice).await.unwrap();
    let product_id = house.shop.product(&house.commands, PRICE, 10).await;
    let declined = house.shop.paid_order(user_id, product_id, PRICE, "declined");
    house.shop.run(&house.commands, declined).await.unwrap();
    // That the payment failed would be told; that the order stands always is, in their language.
    house.letters.are(&[("order_placed", BUYER), ("shop_order_placed", SHOP)]).await;
    house.buy_as(user_id).await;
    let more = [PAID[0], PAID[1], PAID[1], PAID[2], PAID[2]];
    house.letters.are(&more).await;
    let english = |message: &Message| message.to != BUYER || message.text.starts_with("Dear Somebody,");
    assert!(house.letters.taken.lock().unwrap().iter().all(english));
    eventually("what was sent is recorded", || async { house.notices().await.len() == 5 }).await;

    // Whoever has left is told nothing more, and what is older than a day nobody is.
    house.shop.vault.destroyed.lock().unwrap().insert(user_id);
    house.buy_as(user_id).await;
    house.letters.are(&[PAID[0], PAID[1], PAID[1], PAID[2], PAID[2], PAID[2]]).await;
    house.letters.taken.lock().unwrap().clear();
    house.buy().await;
    house.letters.are(&PAID).await;
    eventually("what was sent is recorded", || async { house.notices().await.len() == 9 }).await;
    house.close().await;
}

pub async fn an_existing_log_begins_at_its_head_and_a_day_is_the_oldest(engine: Engine) {
    let house = House::open(&engine).await;
    let before = house.store.head().await.unwrap();
    house.letters.next.lock().unwrap().extend((0..3).map(|_| Delivery::Failed("smtp_451".to_owned())));
    house.buy().await;
    eventually("all three failed", || async { house.notices().await.len() == 3 }).await;
    // No checkpoint: what is in the log is not told.
    let house = house.crash(Position::ZERO).await;
    house.shop.clock.advance(TimeDelta::seconds(30));
    house.buy().await;
    eventually("only what is new is told", || async { house.letters.names().len() >= 3 }).await;
    house.letters.are(&PAID).await;
    eventually("what was sent is recorded", || async { house.notices().await.len() == 6 }).await;
    // What is older than a day is not told either, wherever the checkpoint stands.
    house.letters.taken.lock().unwrap().clear();
    let house = house.crash_for(TimeDelta::hours(25), before).await;
    // The three that failed are due; they are tried again and not begun anew.
    house.letters.are(&PAID).await;
    assert_eq!(house.notices().await.len(), 6);
    house.close().await;
}

pub async fn the_shop_is_told_what_runs_low(engine: Engine) {
    let house = House::open(&engine).await;
    let product_id = house.shop.product(&house.commands, PRICE, 2).await;
    house.shop.run(&house.commands, SetStockThreshold { product_id, low: 1 }).await.unwrap();
    let user_id = house.shop.user(&house.commands).await;
    for _ in 0..2 {
        let order = house.shop.order(user_id, &[(product_id, 1)]);
        house.shop.run(&house.commands, order).await.unwrap();
    }
    let told = [
        ("order_placed", BUYER),
        ("order_placed", BUYER),
        ("shop_order_placed", SHOP),
        ("shop_order_placed", SHOP),
        ("shop_stock_depleted", SHOP),
        ("shop_stock_low", SHOP),
    ];
    house.letters.are(&told).await;
    house.shop.run(&house.commands, ReceiveStock { product_id, quantity: 5, location: None }).await.unwrap();
    let subject = |name| {
        let taken = house.letters.taken.lock().unwrap();
        taken.iter().find(|message| message.template == name).unwrap().subject.clone()
    };
    assert_eq!(subject("shop_stock_low"), "[한지 가게] 재고가 적습니다: thing");
    house.close().await;
}
