//! The write side in this process, without HTTP: for logs of millions of events, and for
//! differences that can only be measured below the API.
//!
//! The commands are those of the API, decided by the real aggregates and appended by the
//! real store, so that such a log passes the audit as any other does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jangbu_app::node::WriteSide;
use jangbu_commands::commands::{CancelOrder, CreateProduct, PlaceOrder, ReceiveStock, RegisterUser};
use jangbu_commands::{Caller, CancelledBy, Command, Idempotency, Request, Scope, WantedLine, order_number, sealing};
use jangbu_kernel::ports::{PostalAddress, World};
use jangbu_kernel::{Actor, CommandId, CorrelationId, Money, OrderId, Position, ProductId, Role, Sealed, UserId};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::place::Place;
use super::report::per_second;
use super::shop::{PLENTY, PRICE};

/// Commands under way at once; the decider's queue has room for many more.
const UNDER_WAY: u64 = 1_024;
/// The checkpoints of the process manager's two readers of the log.
const PROCESS_READERS: [&str; 2] = ["process-manager", "process-dispatcher"];

/// An open write side with a small shop in it.
pub struct Offline {
    side: WriteSide,
    shop: Arc<SmallShop>,
}

struct SmallShop {
    products: Vec<ProductId>,
    buyers: Vec<UserId>,
    /// The delivery address of every order, as JSON.
    address: String,
}

/// When a series of commands ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this many.
    Count(u64),
    /// After this time.
    Time(Duration),
}

impl Offline {
    /// Opens the place's store and makes products and buyers there.
    ///
    /// # Errors
    /// When the store cannot be opened or a command is refused.
    pub async fn open(place: &Place, products: usize, buyers: usize) -> anyhow::Result<Self> {
        let side = WriteSide::begin(&place.settings()?).await?;
        let mut shop = SmallShop { products: Vec::new(), buyers: Vec::new(), address: address()? };
        for number in 0..products {
            let product_id = ProductId::new(side.world.ids.new_id());
            side.commands.execute(making(&side.world, product_id, number)?).await?;
            let receive = ReceiveStock { product_id, quantity: PLENTY, location: None };
            side.commands.execute(request(&side.world, system(), receive)).await?;
            shop.products.push(product_id);
        }
        for _ in 0..buyers {
            shop.buyers.push(register(&side).await?);
        }
        Ok(Self { side, shop: Arc::new(shop) })
    }

    /// The first product.
    #[must_use]
    pub fn product(&self) -> Option<ProductId> {
        self.shop.products.first().copied()
    }

    /// The last position of the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn head(&self) -> anyhow::Result<Position> {
        Ok(self.side.store.head().await?)
    }

    /// Places orders of 1-3 lines, many at once; returns how many a second.
    ///
    /// # Errors
    /// When one is not placed.
    pub async fn orders(&self, until: Until, with_key: bool) -> anyhow::Result<u64> {
        self.many(until, move |world, shop, random| {
            let lines = random.usize(1..=3.min(shop.products.len().max(1)));
            let mut placing = placing(world, shop, random, lines)?;
            if with_key {
                let mut fingerprint = [0; 32];
                random.fill(&mut fingerprint);
                let key = Uuid::from_u128(random.u128(..)).simple().to_string();
                placing.idempotency = Some(Idempotency { key, fingerprint });
            }
            Ok(vec![Errand::Placing(placing)])
        })
        .await
    }

    /// Makes products, many at once: one event each, on a stream that it begins. Returns how many a
    /// second.
    ///
    /// # Errors
    /// When one is not made.
    pub async fn products_made(&self, until: Until) -> anyhow::Result<u64> {
        self.many(until, |world, _, random| {
            Ok(vec![Errand::Other(making(world, ProductId::new(world.ids.new_id()), random.usize(..))?)])
        })
        .await
    }

    /// Receives goods for the existing products, many at once: one event each, on a stream that has
    /// a history. Returns how many a second.
    ///
    /// # Errors
    /// When a command is refused.
    pub async fn goods_received(&self, until: Until) -> anyhow::Result<u64> {
        self.many(until, |world, shop, random| {
            let product_id = *random.choice(&shop.products).context("a shop without products")?;
            Ok(vec![Errand::Other(request(world, system(), ReceiveStock { product_id, quantity: 1, location: None }))])
        })
        .await
    }

    /// Places and cancels orders, repeatedly: two facts of a stock each time.
    ///
    /// # Errors
    /// When a command is refused.
    pub async fn stock_facts(&self, facts: u64) -> anyhow::Result<u64> {
        self.many(Until::Count(facts / 2), |world, shop, random| {
            let placing = placing(world, shop, random, 1)?;
            let cancel = CancelOrder { order_id: placing.order.order_id, by: CancelledBy::Owner, reason: None };
            let cancel = request(world, buyer(placing.order.user_id), cancel);
            Ok(vec![Errand::Placing(placing), Errand::Other(cancel)])
        })
        .await
    }

    /// Runs series of commands, many at once; returns how many series a second.
    async fn many<F>(&self, until: Until, make: F) -> anyhow::Result<u64>
    where
        F: Fn(&World, &SmallShop, &mut fastrand::Rng) -> anyhow::Result<Vec<Errand>> + Clone + Send + 'static,
    {
        let begun = Instant::now();
        let (count, time) = match until {
            Until::Count(count) => (count, Duration::MAX),
            Until::Time(time) => (u64::MAX, time),
        };
        let (started, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut hands = JoinSet::new();
        for number in 0..UNDER_WAY {
            let (commands, world) = (self.side.commands.clone(), self.side.world.clone());
            let (shop, make) = (Arc::clone(&self.shop), make.clone());
            let (started, done) = (Arc::clone(&started), Arc::clone(&done));
            hands.spawn(async move {
                let mut random = fastrand::Rng::with_seed(fastrand::u64(..) ^ number);
                while begun.elapsed() < time && started.fetch_add(1, Ordering::Relaxed) < count {
                    for errand in make(&world, &shop, &mut random)? {
                        commands.execute(errand.ready(&world, &shop).await?).await?;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = hands.join_next().await {
            ended??;
        }
        Ok(per_second(done.load(Ordering::Relaxed), begun.elapsed()))
    }

    /// Sets the process manager's checkpoints to the end of the log, so that it does not process
    /// the orders of a large log: that would take longer than the measurement.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn close_as_scenery(self) -> anyhow::Result<()> {
        let head = self.head().await?;
        for reader in PROCESS_READERS {
            self.side.store.advance(reader, head).await?;
        }
        self.close().await;
        Ok(())
    }

    /// Seals the log and closes the store.
    pub async fn close(self) {
        self.side.close().await;
    }
}

const fn system() -> Caller {
    Caller { actor: Actor::System("system"), scope: Scope::Any }
}

fn request(world: &World, caller: Caller, command: impl Command) -> Request {
    let (command_id, correlation_id) = (CommandId::new(world.ids.new_id()), CorrelationId::new(world.ids.new_id()));
    Request::new(command, caller, command_id, correlation_id)
}

fn making(world: &World, product_id: ProductId, number: usize) -> anyhow::Result<Request> {
    let price = Money::krw(i64::try_from(PRICE)?)?;
    let create = CreateProduct::plain(product_id, format!("측정용 상품 {number}"), price);
    Ok(request(world, system(), create))
}

/// An order whose address is not sealed yet; it is sealed as the API does for each order.
struct Placing {
    order: PlaceOrder,
    idempotency: Option<Idempotency>,
}

/// One series of commands.
enum Errand {
    Placing(Placing),
    Other(Request),
}

impl Errand {
    async fn ready(self, world: &World, shop: &SmallShop) -> anyhow::Result<Request> {
        match self {
            Self::Placing(Placing { mut order, idempotency }) => {
                let at = sealing::shipping_address(order.order_id);
                order.shipping_address = world.vault.seal(order.user_id, at, &shop.address).await?;
                Ok(Request { idempotency, ..request(world, buyer(order.user_id), order) })
            }
            Self::Other(request) => Ok(request),
        }
    }
}

const fn buyer(user_id: UserId) -> Caller {
    Caller { actor: Actor::User(user_id), scope: Scope::Own(user_id) }
}

/// An order of this many lines by one of the buyers.
fn placing(world: &World, shop: &SmallShop, random: &mut fastrand::Rng, lines: usize) -> anyhow::Result<Placing> {
    let order_id = OrderId::new(world.ids.new_id());
    let user_id = *random.choice(&shop.buyers).context("a shop without buyers")?;
    let (count, first) = (shop.products.len().max(1), random.usize(0..shop.products.len().max(1)));
    let products =
        (0..lines).filter_map(|line| shop.products.get((first + line * (count / lines.max(1)).max(1)) % count));
    let order = PlaceOrder {
        order_id,
        number: order_number(world.clock.now(), order_id),
        user_id,
        lines: products.map(|id| WantedLine { product_id: *id, quantity: 1 }).collect(),
        shipping_address: Sealed::from_ciphertext(String::new()),
        postal_code: None,
        expected_total: None,
        pay_within: None,
        payment: None,
    };
    Ok(Placing { order, idempotency: None })
}

fn address() -> anyhow::Result<String> {
    let address = PostalAddress {
        recipient: "김민준".to_owned(),
        phone: "010-1234-5678".to_owned(),
        postal_code: "06236".to_owned(),
        line1: "서울특별시 강남구 테헤란로 152".to_owned(),
        line2: None,
    };
    Ok(serde_json::to_string(&address)?)
}

/// A buyer who never logs in.
async fn register(side: &WriteSide) -> anyhow::Result<UserId> {
    let (world, user_id) = (&side.world, UserId::new(side.world.ids.new_id()));
    world.vault.create_key(user_id).await?;
    let register = RegisterUser {
        user_id,
        email_claim: Uuid::new_v4(),
        other_claims: Vec::new(),
        email: world.vault.seal(user_id, sealing::user_email(user_id), &format!("{user_id}@example.com")).await?,
        name: world.vault.seal(user_id, sealing::user_name(user_id), "측정 구매자").await?,
        phone: None,
        password_hash: world.vault.seal(user_id, sealing::user_password_hash(user_id), "none").await?,
        roles: vec![Role::Customer],
    };
    side.commands.execute(request(world, system(), register)).await?;
    Ok(user_id)
}
