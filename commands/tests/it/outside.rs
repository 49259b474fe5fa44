//! A scripted gateway, a scripted carrier, and the timer queue read from the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::Notice;
use jangbu_aggregates::points::Points;
use jangbu_aggregates::processes::FulfilmentEvent;
use jangbu_kernel::gateway::{
    Carrier, CarrierNotice, ChargeOutcome, ChargeRequest, GatewayNotice, LabelCancelOutcome, LabelOutcome,
    LabelRequest, Observation, PaymentGateway, RefundOutcome, RefundRequest, WebhookError,
};
use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use jangbu_kernel::ports::{DueTimer, LapsedPoints, LapsedReturn, TimerQueue};
use jangbu_kernel::{AggregateKind, Decider as _, Money, NoticeId, Position, ShipmentId, StreamId, Timestamp, UserId};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A charge in the gateway's own books.
#[derive(Clone, Debug, PartialEq)]
pub enum Booked {
    Charged(Money),
    Declined,
    Challenge(Money),
    Voided,
}

/// Acts according to the card token: `ok`, `declined`, `challenge`, `lost` (charges, but the answer
/// is lost), `never` (does not get the request), `slow` (waits), `less` and `more` (takes another
/// amount).
pub struct ScriptedGateway {
    name: &'static str,
    /// A charge with the token `slow` waits for this.
    pub slow: Semaphore,
    pub books: Mutex<HashMap<Uuid, Booked>>,
    /// The number of calls by name.
    pub calls: Mutex<BTreeMap<&'static str, usize>>,
    pub refunds: Mutex<HashMap<Uuid, Money>>,
}

impl Default for ScriptedGateway {
    fn default() -> Self {
        Self::named("sandbox")
    }
}

impl ScriptedGateway {
    /// A gateway with this name and books of its own.
    pub fn named(name: &'static str) -> Self {
        let (slow, books) = (Semaphore::new(0), Mutex::default());
        Self { name, slow, books, calls: Mutex::default(), refunds: Mutex::default() }
    }

    /// Whether it was ever called.
    pub fn was_called(&self) -> bool {
        !self.calls.lock().unwrap().is_empty()
    }

    fn called(&self, name: &'static str) {
        *self.calls.lock().unwrap().entry(name).or_default() += 1;
    }

    pub fn count(&self, name: &str) -> usize {
        self.calls.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    /// The number of charges in its books.
    pub fn charged(&self) -> usize {
        self.books.lock().unwrap().values().filter(|booked| matches!(booked, Booked::Charged(_))).count()
    }

    fn told(key: Uuid, booked: Option<&Booked>) -> ChargeOutcome {
        let reference = format!("charge-{key}");
        match booked {
            None => ChargeOutcome::NotFound,
            Some(Booked::Charged(amount)) => ChargeOutcome::Captured { reference, amount: *amount },
            Some(Booked::Declined) => ChargeOutcome::Declined { code: "insufficient_funds".to_owned() },
            Some(Booked::Challenge(_)) => ChargeOutcome::ChallengeRequired { reference },
            Some(Booked::Voided) => ChargeOutcome::Voided,
        }
    }
}

#[async_trait]
impl PaymentGateway for ScriptedGateway {
    fn name(&self) -> &str {
        self.name
    }

    fn takes(&self, method: &str) -> bool {
        method == "card"
    }

    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome {
        self.called("charge");
        let card = request.details.get("card_token").unwrap();
        if card == "slow" {
            self.slow.acquire().await.unwrap().forget();
        }
        let lost = || ChargeOutcome::Unknown { detail: "timeout".to_owned() };
        let mut books = self.books.lock().unwrap();
        let booked = match card {
            "never" => return lost(),
            "declined" => Booked::Declined,
            "challenge" => Booked::Challenge(request.amount),
            "less" => Booked::Charged(request.amount.checked_sub(&Money::krw(500).unwrap()).unwrap()),
            "more" => Booked::Charged(request.amount.checked_add(&Money::krw(500).unwrap()).unwrap()),
            _ => Booked::Charged(request.amount),
        };
        let booked = books.entry(request.idempotency_key).or_insert(booked).clone();
        if card == "lost" { lost() } else { Self::told(request.idempotency_key, Some(&booked)) }
    }

    async fn confirm(&self, reference: &str) -> ChargeOutcome {
        self.called("confirm");
        let key: Uuid = reference.strip_prefix("charge-").unwrap().parse().unwrap();
        let mut books = self.books.lock().unwrap();
        let booked = books.get_mut(&key).unwrap();
        if let Booked::Challenge(amount) = booked {
            *booked = Booked::Charged(*amount);
        }
        Self::told(key, Some(booked))
    }

    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome {
        self.called("inquire");
        Self::told(idempotency_key, self.books.lock().unwrap().get(&idempotency_key))
    }

    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome {
        self.called("net_cancel");
        self.books.lock().unwrap().insert(idempotency_key, Booked::Voided);
        ChargeOutcome::Voided
    }

    async fn refund(&self, request: RefundRequest) -> RefundOutcome {
        self.called("refund");
        self.refunds.lock().unwrap().insert(request.idempotency_key, request.amount);
        RefundOutcome::Settled { reference: format!("refund-{}", request.idempotency_key) }
    }

    /// The body is `<message id> <payment id> <order id> <key> <won>`, or unsigned
    /// `ask <message id> <payment id>..`.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        let text = std::str::from_utf8(body).unwrap();
        if let Some(asks) = text.strip_prefix("ask ") {
            let mut words = asks.split(' ');
            let message_id = words.next().unwrap();
            let notice = |(place, payment_id): (usize, &str)| GatewayNotice {
                message_id: format!("{message_id}-{place}"),
                payment_id: payment_id.parse().unwrap(),
                observation: Observation::Ask,
            };
            return Ok(words.enumerate().map(notice).collect());
        }
        if !headers.contains(&("signature".to_owned(), "good".to_owned())) {
            return Err(WebhookError::BadSignature);
        }
        let parts: Vec<&str> = text.split(' ').collect();
        let [message_id, payment_id, _, key, amount] = parts[..] else {
            return Err(WebhookError::Unreadable("five words".to_owned()));
        };
        let idempotency_key: Uuid = key.parse().unwrap();
        let outcome = ChargeOutcome::Captured {
            reference: format!("charge-{idempotency_key}"),
            amount: Money::krw(amount.parse().unwrap()).unwrap(),
        };
        Ok(vec![GatewayNotice {
            message_id: message_id.to_owned(),
            payment_id: payment_id.parse().unwrap(),
            observation: Observation::Told { idempotency_key, outcome },
        }])
    }
}

/// Issues a label, after refusing as often as `refuse` says.
#[derive(Default)]
pub struct ScriptedCarrier {
    pub refuse: Mutex<usize>,
    pub labels: Mutex<HashMap<ShipmentId, String>>,
}

#[async_trait]
impl Carrier for ScriptedCarrier {
    fn name(&self) -> &str {
        "sandbox"
    }

    async fn request_label(&self, request: LabelRequest) -> LabelOutcome {
        assert_eq!(request.address.recipient, "R");
        let mut refuse = self.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            return LabelOutcome::Refused { code: "full".to_owned() };
        }
        let number = format!("T-{}", request.shipment_id);
        self.labels.lock().unwrap().insert(request.shipment_id, number.clone());
        LabelOutcome::Ready { tracking_number: number }
    }

    async fn cancel_label(&self, shipment_id: ShipmentId) -> LabelCancelOutcome {
        self.labels.lock().unwrap().remove(&shipment_id);
        LabelCancelOutcome::Cancelled
    }

    /// The body is `<message id> <shipment id> <number> <status> <milliseconds>`.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<CarrierNotice, WebhookError> {
        if !headers.contains(&("signature".to_owned(), "good".to_owned())) {
            return Err(WebhookError::BadSignature);
        }
        let text = std::str::from_utf8(body).unwrap();
        let parts: Vec<&str> = text.split(' ').collect();
        Ok(CarrierNotice {
            message_id: parts[0].to_owned(),
            shipment_id: parts[1].parse().unwrap(),
            tracking_number: parts[2].to_owned(),
            status: parts[3].to_owned(),
            code: "C".to_owned(),
            place: "Busan".to_owned(),
            at: Timestamp::from_timestamp_millis(parts[4].parse().unwrap()).unwrap(),
        })
    }
}

/// The timer queue as a fold of the whole log: slow, but never behind.
pub struct LogTimers(pub Arc<dyn EventLog>);

impl LogTimers {
    async fn set(&self) -> Result<BTreeMap<(StreamId, String), Timestamp>, LogError> {
        let types =
            ["fulfilment.started", "fulfilment.timer_set", "fulfilment.timer_cancelled", "fulfilment.timer_reached"];
        let filter = ReadFilter { event_types: types.map(str::to_owned).to_vec(), correlation_id: None };
        let (mut after, mut set) = (Position::ZERO, BTreeMap::new());
        loop {
            let (events, read_to) = self.0.read_all(after, 1_000, &filter).await?;
            if read_to == after {
                return Ok(set);
            }
            after = read_to;
            for recorded in events.iter().filter(|recorded| recorded.stream.kind == AggregateKind::Fulfilment) {
                let name = |timer| {
                    serde_json::to_value::<jangbu_commands::TimerName>(timer).unwrap().as_str().unwrap().to_owned()
                };
                match DomainEvent::try_from(recorded).unwrap() {
                    DomainEvent::Fulfilment(FulfilmentEvent::Started(started)) => {
                        let (timer, due_at) = started.timer();
                        set.insert((recorded.stream, name(timer)), due_at);
                    }
                    DomainEvent::Fulfilment(FulfilmentEvent::TimerSet(timer)) => {
                        set.insert((recorded.stream, name(timer.timer)), timer.due_at);
                    }
                    DomainEvent::Fulfilment(FulfilmentEvent::TimerCancelled(timer)) => {
                        set.remove(&(recorded.stream, name(timer.timer)));
                    }
                    DomainEvent::Fulfilment(FulfilmentEvent::TimerReached(timer)) => {
                        set.remove(&(recorded.stream, name(timer.timer)));
                    }
                    other => panic!("{}", other.event_type()),
                }
            }
        }
    }
}

#[async_trait]
impl TimerQueue for LogTimers {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, LogError> {
        let set = self.set().await?.into_iter().filter(|(_, due_at)| *due_at <= now);
        let mut due: Vec<DueTimer> = set.map(|((stream, timer), due_at)| DueTimer { stream, timer, due_at }).collect();
        due.sort_by_key(|timer| timer.due_at);
        due.truncate(limit);
        Ok(due)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, LogError> {
        Ok(self.set().await?.into_values().min())
    }

    async fn lapsed_points(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedPoints>, LogError> {
        let mut ledgers: BTreeMap<UserId, Points> = BTreeMap::new();
        let (mut after, filter) = (Position::ZERO, ReadFilter::default());
        loop {
            let (events, read_to) = self.0.read_all(after, 1_000, &filter).await?;
            if read_to == after {
                break;
            }
            after = read_to;
            for recorded in events.iter().filter(|recorded| recorded.stream.kind == AggregateKind::Points) {
                // One that cannot be read keeps its state, as in the read model, whose stream is
                // parked.
                if let Ok(DomainEvent::Points(event)) = DomainEvent::try_from(recorded) {
                    ledgers.entry(UserId::new(recorded.stream.id)).or_default().evolve(&event);
                }
            }
        }
        let lapsing = ledgers.into_iter().filter_map(|(user_id, points)| Some((user_id, points.lapses_at()?)));
        let mut lapsed: Vec<LapsedPoints> = lapsing
            .filter(|(_, lapsed_at)| *lapsed_at <= now)
            .map(|(user_id, lapsed_at)| LapsedPoints { user_id, lapsed_at })
            .collect();
        lapsed.sort_by_key(|ledger| (ledger.lapsed_at, ledger.user_id));
        lapsed.truncate(limit);
        Ok(lapsed)
    }

    // Nothing is returned in these tests.
    async fn lapsed_returns(&self, _: Timestamp, _: usize) -> Result<Vec<LapsedReturn>, LogError> {
        Ok(Vec::new())
    }

    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, LogError> {
        let mut notices: BTreeMap<NoticeId, Notice> = BTreeMap::new();
        let (mut after, filter) = (Position::ZERO, ReadFilter::default());
        loop {
            let (events, read_to) = self.0.read_all(after, 1_000, &filter).await?;
            if read_to == after {
                break;
            }
            after = read_to;
            for recorded in &events {
                if let Ok(DomainEvent::Notice(event)) = DomainEvent::try_from(recorded) {
                    notices.entry(NoticeId::new(recorded.stream.id)).or_default().evolve(&event);
                }
            }
        }
        let due = notices.into_iter().filter(|(_, notice)| notice.retry_at().is_some_and(|at| at <= now));
        Ok(due.map(|(id, _)| id).take(limit).collect())
    }
}
