//! The products, the buyers, and how an order is placed.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jangbu_commands::commands::{
    ActivateProduct, AdjustStock, ChangeProduct, CountStock, CreateProduct, DeactivateProduct, GrantPoints,
    LoseTransfer, OpenLocation, PlaceOrder, ReceiveStock, ReceiveTransfer, RegisterUser, RequestPayment, RotateSession,
    SendTransfer, SetBackOrder, SetStockThreshold, StartSession, WriteOffStock,
};
use jangbu_commands::{
    CARD, Caller, Leg, LocationCode, POINTS, ProductChange, Scope, WantedLine, WantedPayment, order_number, sealing,
};
use jangbu_kernel::gateway::Details;
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{Actor, OrderId, PaymentId, ProductId, RefusalCode, Role, SessionId, TransferId, UserId};

use crate::client::{Errand, Told, send};
use crate::gateway::{CARD_TOKEN, CARDS};
use crate::names::Point;
use crate::people::{People, won};
use crate::world::sealed;

/// Unit price and initial stock of the products; some are scarce.
const SHELF: [(i64, u32); 6] = [(1_500, 300), (7_000, 60), (12_000, 40), (30_000, 25), (52_000, 12), (400, 200)];
/// The product of the shelf that can be ordered before it is here.
const AHEAD: usize = 4;
/// The location beside the main one.
const STORE: &str = "store";
/// The buyers of a run, with the points that each is given.
const WALLETS: [i64; 6] = [0, 3_000, 20_000, 0, 100_000, 500];

/// A product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub id: ProductId,
    price: i64,
}

/// The shop at its opening.
pub(crate) struct Market {
    pub products: Vec<Product>,
    pub buyers: Vec<UserId>,
}

/// Creates users, products, stock and points.
pub(crate) async fn open(people: &People) -> Market {
    let ids = &people.town.ids;
    register(people, people.staff, Role::Staff).await;
    if let Some(code) = LocationCode::parse(STORE) {
        people.staff("store".to_owned(), &|| OpenLocation { code: code.clone(), name: "store".to_owned() }).await;
    }
    let mut market = Market { products: Vec::new(), buyers: Vec::new() };
    for (number, (price, quantity)) in SHELF.into_iter().enumerate() {
        let product_id = ProductId::new(ids.new_id());
        let create = || CreateProduct::plain(product_id, format!("product {number}"), won(price));
        people.staff(format!("create-{number}"), &create).await;
        people.staff(format!("activate-{number}"), &|| ActivateProduct { product_id }).await;
        people.staff(format!("stock-{number}"), &|| ReceiveStock { product_id, quantity, location: None }).await;
        if number % 2 == 0 {
            let low = quantity / 3;
            people.staff(format!("low-{number}"), &|| SetStockThreshold { product_id, low }).await;
        }
        if number == AHEAD {
            people.staff(format!("ahead-{number}"), &|| SetBackOrder { product_id, limit: 10 }).await;
        }
        market.products.push(Product { id: product_id, price });
    }
    for (number, points) in WALLETS.into_iter().enumerate() {
        let user_id = UserId::new(ids.new_id());
        register(people, user_id, Role::Customer).await;
        market.buyers.push(user_id);
        // Some points lapse before the last orders are placed.
        let expires_at = (number % 2 == 0).then(|| people.town.sim.now() + TimeDelta::seconds(150));
        let grant = |amount: i64, reference: &'static str, expires_at| {
            move || GrantPoints { user_id, amount: won(amount), reference: reference.into(), expires_at }
        };
        if points > 0 {
            people.staff(format!("points-{number}"), &grant(points, "welcome", expires_at)).await;
            people.staff(format!("more-points-{number}"), &grant(points / 2 + 1, "birthday", None)).await;
        }
    }
    market
}

async fn register(people: &People, user_id: UserId, role: Role) {
    let text = |at| sealed(user_id, at, "somebody");
    let make = || RegisterUser {
        user_id,
        email_claim: user_id.uuid(),
        other_claims: Vec::new(),
        email: text(sealing::user_email(user_id)),
        name: text(sealing::user_name(user_id)),
        phone: None,
        password_hash: text(sealing::user_password_hash(user_id)),
        roles: vec![role],
    };
    let caller = Caller { actor: Actor::Anonymous, scope: Scope::Any };
    send(&people.town, &people.answers, Errand { caller, key: format!("register-{user_id}"), make: &|| make().into() })
        .await;
}

/// A basket with its price.
struct Basket {
    lines: Vec<WantedLine>,
    total: i64,
}

/// How it is paid: a card with its amount, and points.
#[derive(Clone, Copy)]
struct Purse {
    card: Option<(&'static str, i64)>,
    points: i64,
}

impl Purse {
    /// A payment from it, with the card's token sealed for this payment.
    fn payment(self, user: UserId, payment_id: PaymentId) -> WantedPayment {
        let card = self.card.map(|(card, amount)| {
            let details = Details::from_iter([(CARD_TOKEN.to_owned(), card.to_owned())]).to_json();
            let instrument = Some(sealed(user, sealing::instrument(payment_id), &details).into());
            Leg { method: CARD, amount: won(amount), instrument }
        });
        let points = (self.points > 0).then(|| Leg { method: POINTS, amount: won(self.points), instrument: None });
        WantedPayment { payment_id, legs: card.into_iter().chain(points).collect() }
    }
}

impl People {
    fn basket(&self, market: &Market) -> Basket {
        let mut lines: Vec<WantedLine> = Vec::new();
        let mut subtotal = 0;
        for _ in 0..self.throw(|dice| dice.between(1, 3)) {
            let Some(product) = self.throw(|dice| dice.pick(&market.products)) else { break };
            if lines.iter().any(|line| line.product_id == product.id) {
                continue;
            }
            let quantity = self.throw(|dice| dice.between(1, 3));
            subtotal += product.price * i64::try_from(quantity).unwrap_or(1);
            lines.push(WantedLine { product_id: product.id, quantity: u32::try_from(quantity).unwrap_or(1) });
        }
        let fee = if subtotal < 50_000 { 3_000 } else { 0 };
        Basket { lines, total: subtotal + fee }
    }

    /// Splits a total: a card, points, or both.
    fn purse(&self, total: i64) -> Purse {
        let card = self.throw(|dice| dice.weighted(&CARDS)).unwrap_or("ok");
        match self.throw(|dice| dice.below(10)) {
            0 => Purse { card: None, points: total },
            1 | 2 if total > 2_000 => Purse { card: Some((card, total - 1_000)), points: 1_000 },
            _ => Purse { card: Some((card, total)), points: 0 },
        }
    }

    /// Places an order, with its payment or without, and then pays it.
    pub async fn buys(self: Arc<Self>, market: Arc<Market>, number: usize) {
        let Some(user) = self.throw(|dice| dice.pick(&market.buyers)) else { return };
        let basket = self.basket(&market);
        let (at_once, remote, hasty) = self.throw(|dice| (dice.permille(750), dice.permille(60), dice.permille(100)));
        let purse = at_once.then(|| self.purse(basket.total));
        let postal_code = if remote { "00000" } else { "06236" };
        let address = format!(r#"{{"recipient":"R","phone":"1","postal_code":"{postal_code}","line1":"L"}}"#);
        let ids = &self.town.ids;
        let make = || {
            let order_id = OrderId::new(ids.new_id());
            PlaceOrder {
                order_id,
                number: order_number(self.town.sim.now(), order_id),
                user_id: user,
                lines: basket.lines.clone(),
                shipping_address: sealed(user, sealing::shipping_address(order_id), &address),
                postal_code: Some(postal_code.to_owned()),
                expected_total: Some(won(basket.total)),
                pay_within: hasty.then(|| TimeDelta::seconds(20)),
                payment: purse.map(|purse| purse.payment(user, PaymentId::new(ids.new_id()))),
            }
        };
        match self.buyer(user, format!("place-{number}"), &make).await {
            Told::Refused(refusal) if refusal.code == RefusalCode::InsufficientStock => {
                self.town.sim.reach(Point::SoldOut);
            }
            Told::Done(answer) if !at_once && self.throw(|dice| dice.permille(800)) => {
                tokio::time::sleep(self.throw(|dice| dice.millis(100, 60_000))).await;
                self.pay(OrderId::new(answer.stream.id)).await;
            }
            Told::Done(_) | Told::Refused(_) | Told::Nothing => {}
        }
    }

    /// Opens a payment of an order.
    pub async fn pay(&self, order_id: OrderId) {
        let known = self.known(order_id);
        let Some(user) = known.user else { return };
        let purse = self.purse(known.total);
        let ids = &self.town.ids;
        let make = || RequestPayment { order_id, payment: purse.payment(user, PaymentId::new(ids.new_id())) };
        self.buyer(user, format!("pay-{}", ids.new_id()), &make).await;
    }

    /// Logs in and refreshes the login, sometimes with a token that was used before.
    pub async fn logs_in(self: Arc<Self>, user: UserId) {
        let session_id = SessionId::new(self.town.ids.new_id());
        let start = || StartSession { session_id, user_id: user, token_hash: format!("{session_id}-0") };
        self.buyer(user, format!("login-{session_id}"), &start).await;
        for round in 1..4_u32 {
            tokio::time::sleep(self.throw(|dice| dice.millis(1_000, 40_000))).await;
            let shown = if self.throw(|dice| dice.permille(200)) { 0 } else { round - 1 };
            let rotate = || RotateSession {
                session_id,
                presented_hash: format!("{session_id}-{shown}"),
                presented_generation: Some(shown.into()),
                next_hash: format!("{session_id}-{round}"),
            };
            self.buyer(user, format!("refresh-{session_id}-{round}"), &rotate).await;
        }
    }

    /// Staff send some of a product to the store; most of it arrives.
    async fn moves_goods(&self, product_id: ProductId, round: u32) {
        let Some(store) = LocationCode::parse(STORE) else { return };
        let transfer_id = TransferId::new(self.town.ids.new_id());
        let (from, to) = (LocationCode::main(), store);
        let send = || SendTransfer { product_id, transfer_id, from: from.clone(), to: to.clone(), quantity: 4 };
        self.staff(format!("send-{round}"), &send).await;
        tokio::time::sleep(self.throw(|dice| dice.millis(1_000, 10_000))).await;
        let receive = || ReceiveTransfer { product_id, transfer_id, quantity: 3 };
        self.staff(format!("arrive-{round}"), &receive).await;
        if self.throw(|dice| dice.permille(500)) {
            let lose = || LoseTransfer { product_id, transfer_id, reason: "fell off".to_owned() };
            self.staff(format!("lose-{round}"), &lose).await;
        }
    }

    /// Staff fill the shelf up, move things to the store, make them dearer, and take them off sale, each for a while.
    pub async fn keeps_shop(self: Arc<Self>, market: Arc<Market>) {
        for round in 0..6_u32 {
            tokio::time::sleep(self.throw(|dice| dice.millis(5_000, 30_000))).await;
            let Some(product) = self.throw(|dice| dice.pick(&market.products)) else { return };
            let product_id = product.id;
            match self.throw(|dice| dice.below(7)) {
                0 => {
                    let make = || ReceiveStock { product_id, quantity: 3, location: None };
                    self.staff(format!("receive-{round}"), &make).await;
                }
                1 => {
                    let make = || AdjustStock { product_id, delta: -1, reason: "broken".to_owned(), location: None };
                    self.staff(format!("adjust-{round}"), &make).await;
                }
                2 => {
                    // Refused when more are promised to orders than were counted.
                    let counted = self.throw(|dice| dice.pick(&[5, 20, 50])).unwrap_or(50);
                    let make = || CountStock { product_id, counted, reason: None, location: None };
                    self.staff(format!("count-{round}"), &make).await;
                }
                3 => {
                    let make = || WriteOffStock { product_id, quantity: 2, reason: "mould".to_owned(), location: None };
                    self.staff(format!("write-off-{round}"), &make).await;
                }
                4 => {
                    let priced = |price: i64| ChangeProduct {
                        product_id,
                        change: ProductChange { price: Some(won(price)), ..ProductChange::default() },
                    };
                    self.staff(format!("dearer-{round}"), &|| priced(product.price * 2)).await;
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    self.staff(format!("again-{round}"), &|| priced(product.price)).await;
                }
                5 => self.moves_goods(product_id, round).await,
                _ => {
                    self.staff(format!("off-{round}"), &|| DeactivateProduct { product_id }).await;
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    self.staff(format!("on-{round}"), &|| ActivateProduct { product_id }).await;
                }
            }
        }
    }
}
