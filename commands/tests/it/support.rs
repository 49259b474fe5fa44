//! A small shop: clock, ids, vault, requests.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use jangbu_commands::commands::{CreateProduct, PlaceOrder, ReceiveStock, RegisterUser};
use jangbu_commands::{
    Answer, AnyCommand, CARD, Caller, CommandError, Commands, DeciderOptions, Idempotency, LeaseHolder, Leg, Policy,
    Request, Scope, WantedLine, WantedPayment, Worker, sealing,
};
use jangbu_kernel::gateway::Details;
use jangbu_kernel::log::EventLog;
use jangbu_kernel::ports::{Clock, IdSource, Leases, Vault, VaultError, World};
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, Money, OrderId, PaymentId, ProductId, Role, Sealed, SealedAt, Timestamp, UserId,
};
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_millis(self.0.load(Ordering::SeqCst).try_into().unwrap()).unwrap()
    }
}

/// Ids that count up, in the form of version 7.
pub struct CountingIds(AtomicU64);

static NEXT_SOURCE: AtomicU64 = AtomicU64::new(1);

impl IdSource for CountingIds {
    fn new_id(&self) -> Uuid {
        let number = u128::from(self.0.fetch_add(1, Ordering::SeqCst));
        Uuid::from_u128((number << 80) | 0x7000_8000_0000_0000_0000 | number)
    }
}

/// Seals by adding owner, field and stream to the text; opens only in the same field and stream.
#[derive(Default)]
pub struct TestVault {
    pub destroyed: Mutex<HashSet<UserId>>,
    /// The users who have a key.
    pub keys: Mutex<HashSet<UserId>>,
}

#[async_trait]
impl Vault for TestVault {
    async fn create_key(&self, owner: UserId) -> Result<(), VaultError> {
        self.keys.lock().unwrap().insert(owner);
        Ok(())
    }
    async fn discard_key(&self, owner: UserId) -> Result<(), VaultError> {
        self.keys.lock().unwrap().remove(&owner);
        Ok(())
    }
    async fn seal(&self, owner: UserId, at: SealedAt<'_>, plain: &str) -> Result<Sealed, VaultError> {
        Ok(sealed(owner, at, plain))
    }
    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError> {
        let mut parts = sealed.ciphertext().splitn(3, '|');
        let (owner, place, plain) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        if self.destroyed.lock().unwrap().contains(&owner.parse().unwrap()) {
            return Err(VaultError::KeyDestroyed);
        }
        if place == place_of(at) { Ok(plain.to_owned()) } else { Err(VaultError::DoesNotOpen) }
    }
    fn keyed_hash(&self, _: &str, text: &str) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }
}

fn place_of(at: SealedAt<'_>) -> String {
    format!("{} {}", at.field, at.stream)
}

pub fn sealed(owner: UserId, at: SealedAt<'_>, plain: &str) -> Sealed {
    Sealed::from_ciphertext(format!("{owner}|{}|{plain}", place_of(at)))
}

/// The data that the tests of one shop share.
#[derive(Clone)]
pub struct Shop {
    pub clock: Arc<TestClock>,
    pub vault: Arc<TestVault>,
    pub world: World,
    pub policy: Arc<Policy>,
    next: Arc<AtomicU64>,
}

impl Shop {
    pub fn new() -> Self {
        // Separate cases test the limits of unpaid orders.
        Self::with(Policy { max_open_unpaid_orders: None, max_unpaid_units: None, ..Policy::default() })
    }

    pub fn with(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        let source = NEXT_SOURCE.fetch_add(1, Ordering::SeqCst) << 32;
        let clock = Arc::new(TestClock(AtomicU64::new(1_795_222_800_000)));
        let vault = Arc::new(TestVault::default());
        let ids = Arc::new(CountingIds(AtomicU64::new(source + 1)));
        let world = World { clock: clock.clone(), ids, vault: vault.clone() };
        Self { clock, vault, world, policy, next: Arc::new(AtomicU64::new(source)) }
    }

    pub fn id(&self) -> Uuid {
        self.world.ids.new_id()
    }

    pub fn decider(&self, log: Arc<dyn EventLog>) -> (Commands, Worker) {
        self.decider_with(log, DeciderOptions::default())
    }

    pub fn decider_with(&self, log: Arc<dyn EventLog>, options: DeciderOptions) -> (Commands, Worker) {
        Commands::spawn(log, &self.world, Arc::clone(&self.policy), options)
    }

    pub fn request(&self, command: impl Into<AnyCommand>) -> Request {
        let caller = Caller { actor: Actor::System("system"), scope: Scope::Any };
        Request::new(command, caller, CommandId::new(self.id()), CorrelationId::new(self.id()))
    }

    pub fn keyed(&self, command: impl Into<AnyCommand>, key: &str, fingerprint: u8) -> Request {
        let mut request = self.request(command);
        request.idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32] });
        request
    }

    pub async fn run(&self, commands: &Commands, command: impl Into<AnyCommand>) -> Result<Answer, CommandError> {
        commands.execute(self.request(command)).await
    }

    pub async fn user(&self, commands: &Commands) -> UserId {
        let user_id = UserId::new(self.id());
        let seal = |at, text: &str| sealed(user_id, at, text);
        let command = RegisterUser {
            user_id,
            email_claim: self.id(),
            other_claims: Vec::new(),
            email: seal(sealing::user_email(user_id), "somebody@example.com"),
            name: seal(sealing::user_name(user_id), "Somebody"),
            phone: None,
            password_hash: seal(sealing::user_password_hash(user_id), "hash"),
            roles: vec![Role::Customer],
        };
        self.run(commands, command).await.unwrap();
        user_id
    }

    pub async fn product(&self, commands: &Commands, price: i64, units: u32) -> ProductId {
        let product_id = ProductId::new(self.id());
        let command = CreateProduct::plain(product_id, "thing", Money::krw(price).unwrap());
        self.run(commands, command).await.unwrap();
        self.run(commands, ReceiveStock { product_id, quantity: units, location: None }).await.unwrap();
        product_id
    }

    pub fn order(&self, user_id: UserId, lines: &[(ProductId, u32)]) -> PlaceOrder {
        let address = r#"{"recipient":"R","phone":"1","postal_code":"2","line1":"L"}"#;
        let order_id = OrderId::new(self.id());
        PlaceOrder {
            order_id,
            number: self.next.fetch_add(1, Ordering::SeqCst).to_string(),
            user_id,
            lines: lines
                .iter()
                .map(|(product_id, quantity)| WantedLine { product_id: *product_id, quantity: *quantity })
                .collect(),
            shipping_address: sealed(user_id, sealing::shipping_address(order_id), address),
            postal_code: None,
            expected_total: None,
            pay_within: None,
            payment: None,
        }
    }

    pub fn paid_order(&self, user_id: UserId, product_id: ProductId, price: i64, token: &str) -> PlaceOrder {
        PlaceOrder { payment: Some(self.card(user_id, price, token)), ..self.order(user_id, &[(product_id, 1)]) }
    }

    pub fn card(&self, user_id: UserId, amount: i64, token: &str) -> WantedPayment {
        let payment_id = PaymentId::new(self.id());
        let details = Details::from_iter([("card_token".to_owned(), token.to_owned())]);
        let instrument = Some(sealed(user_id, sealing::instrument(payment_id), &details.to_json()).into());
        let leg = Leg { method: CARD, amount: Money::krw(amount).unwrap(), instrument };
        WantedPayment { payment_id, legs: vec![leg] }
    }
}

/// The lease holder of a node. The same number is the same node, so that a restart after a crash
/// need not wait.
pub fn lease(leases: Arc<dyn Leases>, node: u128) -> LeaseHolder {
    LeaseHolder { leases, node: Uuid::from_u128(node), length: Duration::from_millis(500) }
}

/// Waits for a condition, within a limit.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {PATIENCE:?}: {what}");
}
