//! The payment gateway: its books, and a node's adapter to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jangbu_audit::gateway_books::GatewayCharge;
use jangbu_kernel::gateway::{
    ChargeOutcome, ChargeRequest, GatewayNotice, Observation, PaymentGateway, RefundOutcome, RefundRequest,
    WebhookError,
};
use jangbu_kernel::{Money, OrderId, PaymentId};
use uuid::Uuid;

use crate::life::Life;
use crate::names::{Fault, Point};
use crate::outside::{Letter, Post, Route, call};
use crate::sim::{AtWork, Sim, lock};

/// The names of the gateways, as used by the adapters and in the webhooks' paths.
pub(crate) const NAMES: [&str; 2] = ["simulated", "other"];
/// The header that stands for a signature.
pub(crate) const SIGNATURE: (&str, &str) = ("signature", "good");

/// The detail of the method that has the card's token.
pub(crate) const CARD_TOKEN: &str = "card_token";

/// The page at which a buyer pays.
const PAGE: &str = "https://bank.example";

/// The behaviours of cards, with their weights.
pub(crate) const CARDS: [(u64, &str); 12] = [
    (560, "ok"),
    (80, "declined"),
    (90, "challenge"),
    (30, "bank"),
    (10, "bank_left"),
    (60, "slow"),
    (40, "lost"),
    (40, "never"),
    (25, "errs"),
    (25, "other_amount"),
    (20, "declined_then_taken"),
    (20, "told_five_times"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Processing,
    Challenge,
    /// The buyer has to pay at a page.
    AtPage,
    /// The buyer has paid at the page, and the money has not arrived.
    Deposit,
    Captured,
    Declined,
    Voided,
}

#[derive(Clone, Debug)]
struct Charge {
    key: Uuid,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: i64,
    refunded: i64,
    standing: Standing,
}

#[derive(Default)]
struct Books {
    charges: BTreeMap<Uuid, Charge>,
    /// Keys that were voided before any charge.
    void: BTreeSet<Uuid>,
    refunds: BTreeMap<Uuid, RefundOutcome>,
    messages: u64,
}

/// The gateway itself. It outlives every node.
pub(crate) struct Gateway {
    name: &'static str,
    sim: Arc<Sim>,
    books: Mutex<Books>,
    post: Post,
}

fn won(units: i64) -> Money {
    // Amounts of the simulation are far below the limit.
    Money::krw(units).unwrap_or_else(|_| Money::zero(jangbu_kernel::Currency::KRW))
}

fn card_of(request: &ChargeRequest) -> &str {
    request.details.get(CARD_TOKEN).unwrap_or_default()
}

impl Charge {
    fn outcome(&self) -> ChargeOutcome {
        let reference = format!("ch-{}", self.key);
        match self.standing {
            Standing::Processing => ChargeOutcome::Pending { reference },
            Standing::Challenge => ChargeOutcome::ChallengeRequired { reference },
            Standing::AtPage => ChargeOutcome::RedirectRequired { reference, url: PAGE.to_owned() },
            Standing::Deposit => ChargeOutcome::DepositAwaited { reference },
            Standing::Captured => ChargeOutcome::Captured { reference, amount: won(self.amount) },
            Standing::Declined => ChargeOutcome::Declined { code: "card_declined".to_owned() },
            Standing::Voided => ChargeOutcome::Voided,
        }
    }

    const fn word(&self) -> &'static str {
        match self.standing {
            Standing::Processing => "pending",
            Standing::Challenge => "challenge",
            Standing::AtPage => "page",
            Standing::Deposit => "deposit",
            Standing::Captured => "captured",
            Standing::Declined => "declined",
            Standing::Voided => "voided",
        }
    }
}

impl Gateway {
    pub fn new(name: &'static str, sim: &Arc<Sim>, post: Post) -> Arc<Self> {
        Arc::new(Self { name, sim: Arc::clone(sim), books: Mutex::default(), post })
    }

    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The captured charges, as in the gateway's list.
    pub fn list(&self) -> Vec<GatewayCharge> {
        let books = lock(&self.books);
        let captured = books.charges.values().filter(|charge| charge.standing == Standing::Captured);
        captured
            .map(|charge| {
                GatewayCharge::captured(charge.order_id, &charge.amount.to_string(), &charge.refunded.to_string())
            })
            .collect()
    }

    /// The payments that were captured here, one entry for each charge.
    pub fn captured_payments(&self) -> Vec<PaymentId> {
        let books = lock(&self.books);
        let captured = books.charges.values().filter(|charge| charge.standing == Standing::Captured);
        captured.map(|charge| charge.payment_id).collect()
    }

    fn note(&self, charge: &Charge) {
        let (key, word, amount) = (charge.key, charge.word(), charge.amount);
        let refunded = charge.refunded;
        self.sim.tell("books", refunded.unsigned_abs() ^ key.as_u64_pair().1, || {
            format!("gateway {}: {} {word}, {amount} taken, {refunded} given back", self.name, charge.payment_id)
        });
    }

    /// Sends the shop a webhook about a charge.
    fn message(&self, books: &mut Books, charge: &Charge, may_be_lost: bool, times: u32) {
        self.note(charge);
        for _ in 0..times {
            books.messages += 1;
            let body = format!(
                "m{} {} {} {} {} {}",
                books.messages,
                charge.payment_id,
                charge.order_id,
                charge.key,
                charge.word(),
                charge.amount
            );
            // After the end of the run there is no receiver.
            let _over = self.post.send(Letter { from_gateway: Some(self.name), body, may_be_lost });
        }
    }

    fn charge(self: &Arc<Self>, request: &ChargeRequest) -> ChargeOutcome {
        let mut books = lock(&self.books);
        let key = request.idempotency_key;
        if let Some(known) = books.charges.get(&key) {
            return known.outcome();
        }
        let card = card_of(request);
        let standing = match card {
            _ if books.void.contains(&key) => Standing::Voided,
            "declined" | "declined_then_taken" => Standing::Declined,
            "challenge" => Standing::Challenge,
            "bank" | "bank_left" => Standing::AtPage,
            "slow" => Standing::Processing,
            _ => Standing::Captured,
        };
        let amount = request.amount.minor_units() - i64::from(card == "other_amount");
        let (order_id, payment_id) = (request.order_id, request.payment_id);
        let charge = Charge { key, order_id, payment_id, amount, refunded: 0, standing };
        books.charges.insert(key, charge.clone());
        self.message(&mut books, &charge, true, if card == "told_five_times" { 5 } else { 1 });
        if matches!((card, standing), ("slow", Standing::Processing) | ("declined_then_taken", Standing::Declined)) {
            self.takes_later(key, standing);
        }
        if (card, standing) == ("bank", Standing::AtPage) {
            self.buyer_goes_to_the_bank(key);
        }
        charge.outcome()
    }

    /// The buyer pays at the page after a while, and the money arrives some time later. The
    /// webhooks about both may be lost, and the shop has to inquire then.
    fn buyer_goes_to_the_bank(self: &Arc<Self>, key: Uuid) {
        let gateway = Arc::clone(self);
        let at_work = AtWork::begin(&self.sim);
        let waits = self.sim.dice(|dice| [dice.millis(2_000, 60_000), dice.millis(500, 40_000)]);
        tokio::spawn(async move {
            let steps = [(Standing::AtPage, Standing::Deposit), (Standing::Deposit, Standing::Captured)];
            for (wait, (from, to)) in waits.into_iter().zip(steps) {
                tokio::time::sleep(wait).await;
                let mut books = lock(&gateway.books);
                gateway.change(&mut books, key, true, |charge| {
                    if charge.standing == from {
                        charge.standing = to;
                    }
                });
            }
            drop(at_work);
        });
    }

    fn takes_later(self: &Arc<Self>, key: Uuid, from: Standing) {
        let gateway = Arc::clone(self);
        let (at_work, wait) = (AtWork::begin(&self.sim), self.sim.dice(|dice| dice.millis(2_000, 60_000)));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let mut books = lock(&gateway.books);
            // The shop never inquires about a declined charge, so the webhook about its late
            // capture is not lost.
            let may_be_lost = from == Standing::Processing;
            gateway.change(&mut books, key, may_be_lost, |charge| {
                if charge.standing == from {
                    charge.standing = Standing::Captured;
                }
            });
            drop(at_work);
        });
    }

    fn change(&self, books: &mut Books, key: Uuid, may_be_lost: bool, how: impl FnOnce(&mut Charge)) -> Option<Charge> {
        let charge = books.charges.get_mut(&key)?;
        let before = (charge.standing, charge.refunded);
        how(charge);
        let charge = charge.clone();
        if before != (charge.standing, charge.refunded) {
            self.message(books, &charge, may_be_lost, 1);
        }
        Some(charge)
    }

    fn confirm(&self, key: Uuid) -> ChargeOutcome {
        let mut books = lock(&self.books);
        let confirmed = self.change(&mut books, key, true, |charge| {
            if charge.standing == Standing::Challenge {
                charge.standing = Standing::Captured;
            }
        });
        confirmed.map_or(ChargeOutcome::NotFound, |charge| charge.outcome())
    }

    fn inquire(&self, key: Uuid) -> ChargeOutcome {
        let books = lock(&self.books);
        match books.charges.get(&key) {
            Some(charge) => charge.outcome(),
            None if books.void.contains(&key) => ChargeOutcome::Voided,
            None => ChargeOutcome::NotFound,
        }
    }

    fn net_cancel(&self, key: Uuid) -> ChargeOutcome {
        let mut books = lock(&self.books);
        let voided = self.change(&mut books, key, true, |charge| {
            if charge.standing != Standing::Declined {
                charge.standing = Standing::Voided;
                charge.refunded = 0;
            }
        });
        match voided {
            Some(charge) => charge.outcome(),
            None => {
                books.void.insert(key);
                ChargeOutcome::Voided
            }
        }
    }

    fn refund(&self, request: &RefundRequest) -> RefundOutcome {
        let mut books = lock(&self.books);
        if let Some(known) = books.refunds.get(&request.idempotency_key) {
            return known.clone();
        }
        let amount = request.amount.minor_units();
        let key: Option<Uuid> = request.reference.strip_prefix("ch-").and_then(|key| key.parse().ok());
        let charge = key.and_then(|key| books.charges.get(&key).cloned());
        let refused = |code: &str| RefundOutcome::Refused { code: code.to_owned() };
        let outcome = match (charge, key) {
            (Some(charge), Some(key)) if charge.standing == Standing::Captured => {
                if charge.refunded + amount > charge.amount {
                    refused("refund_exceeds_captured")
                } else if self.sim.strikes(Fault::RefundRefused) {
                    refused("not_now")
                } else {
                    self.change(&mut books, key, true, |charge| charge.refunded += amount);
                    RefundOutcome::Settled { reference: format!("re-{}", request.idempotency_key) }
                }
            }
            (Some(_), _) => refused("charge_not_captured"),
            (None, _) => refused("charge_not_found"),
        };
        books.refunds.insert(request.idempotency_key, outcome.clone());
        outcome
    }
}

/// A node's adapter to the gateway.
pub(crate) struct NodeGateway {
    pub gateway: Arc<Gateway>,
    pub life: Arc<Life>,
    /// Whether the node sends its new charges there.
    pub chosen: bool,
}

impl NodeGateway {
    async fn ask(&self, route: Route, act: impl Fn(&Arc<Gateway>) -> ChargeOutcome + Send + 'static) -> ChargeOutcome {
        if !self.chosen {
            self.life.sim.reach(Point::FormerGateway);
        }
        let gateway = Arc::clone(&self.gateway);
        let answer = call(&self.life, route, move || act(&gateway)).await;
        answer.unwrap_or_else(|| ChargeOutcome::Unknown { detail: "no answer".to_owned() })
    }

    fn route(&self) -> Route {
        Route::choose(&self.life.sim)
    }
}

#[async_trait]
impl PaymentGateway for NodeGateway {
    fn name(&self) -> &str {
        self.gateway.name()
    }

    fn takes(&self, _: &str) -> bool {
        true
    }

    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome {
        let route = match card_of(&request) {
            "lost" => Route::AnswerLost,
            "never" => Route::Lost,
            "errs" => Route::Errs,
            _ => self.route(),
        };
        let outcome = self.ask(route, move |gateway| gateway.charge(&request)).await;
        // As in the real adapters: "there is no such charge" is not an answer to a request to make
        // one.
        if outcome == ChargeOutcome::NotFound {
            return ChargeOutcome::Unknown { detail: "no such charge, said to a new one".to_owned() };
        }
        outcome
    }

    async fn confirm(&self, reference: &str) -> ChargeOutcome {
        let Some(key) = reference.strip_prefix("ch-").and_then(|key| key.parse().ok()) else {
            return ChargeOutcome::NotFound;
        };
        self.ask(self.route(), move |gateway| gateway.confirm(key)).await
    }

    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome {
        self.ask(self.route(), move |gateway| gateway.inquire(idempotency_key)).await
    }

    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome {
        self.ask(self.route(), move |gateway| gateway.net_cancel(idempotency_key)).await
    }

    async fn refund(&self, request: RefundRequest) -> RefundOutcome {
        let gateway = Arc::clone(&self.gateway);
        let answer = call(&self.life, self.route(), move || gateway.refund(&request)).await;
        answer.unwrap_or_else(|| RefundOutcome::Unknown { detail: "no answer".to_owned() })
    }

    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        let words = read_words(headers, body)?;
        let unreadable = || WebhookError::Unreadable("six words".to_owned());
        let [message_id, payment_id, _, key, word, amount] = words.as_slice() else { return Err(unreadable()) };
        let reference = format!("ch-{key}");
        let outcome = match *word {
            "captured" => ChargeOutcome::Captured { reference, amount: won(amount.parse().map_err(|_| unreadable())?) },
            "declined" => ChargeOutcome::Declined { code: "card_declined".to_owned() },
            "challenge" => ChargeOutcome::ChallengeRequired { reference },
            "page" => ChargeOutcome::RedirectRequired { reference, url: PAGE.to_owned() },
            "deposit" => ChargeOutcome::DepositAwaited { reference },
            "pending" => ChargeOutcome::Pending { reference },
            "voided" => ChargeOutcome::Voided,
            _ => return Err(unreadable()),
        };
        let idempotency_key = key.parse().map_err(|_| unreadable())?;
        Ok(vec![GatewayNotice {
            message_id: (*message_id).to_owned(),
            payment_id: payment_id.parse().map_err(|_| unreadable())?,
            observation: Observation::Told { idempotency_key, outcome },
        }])
    }
}

/// The content of a message with a valid signature.
pub(crate) fn read_words<'a>(headers: &[(String, String)], body: &'a [u8]) -> Result<Vec<&'a str>, WebhookError> {
    if !headers.iter().any(|(name, value)| (name.as_str(), value.as_str()) == SIGNATURE) {
        return Err(WebhookError::BadSignature);
    }
    let text = std::str::from_utf8(body).map_err(|_| WebhookError::Unreadable("not UTF-8".to_owned()))?;
    Ok(text.split(' ').collect())
}
