//! A shop in memory, and a client for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use jangbu_api::{ApiState, RateLimit, SigningKey};
use jangbu_commands::identity::{AddressBlock, Identity, PasswordSettings, Registration, RequestContext};
use jangbu_commands::inbox::{Hooks, InboxDeps, InboxOptions};
use jangbu_commands::{Carriers, Commands, DeciderOptions, Gateways, LeaseHolder, Policy, Worker};
use jangbu_kernel::gateway::{
    Carrier, CarrierNotice, ChargeOutcome, ChargeRequest, GatewayNotice, LabelCancelOutcome, LabelOutcome,
    LabelRequest, PaymentGateway, RefundOutcome, RefundRequest, WebhookError,
};
use jangbu_kernel::log::EventLog;
use jangbu_kernel::ports::{AddressFault, Clock, IdSource, PostalAddress, Vault, VaultError, World};
use jangbu_kernel::{Actor, CorrelationId, Role, Sealed, SealedAt, ShipmentId, Timestamp, UserId};
use jangbu_projections::{Projector, ProjectorHandle, ReadModels};
use jangbu_store::Store;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::counting::CountingLog;
use crate::places::Place;

pub const NOW_MS: i64 = 1_795_222_800_000;
pub const PASSWORD: &str = "correct horse battery";
pub const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[derive(Default)]
pub struct TestWorld {
    ms: AtomicI64,
    ids: AtomicU64,
    /// Sealed texts that were opened so far.
    pub opened: AtomicUsize,
}

impl TestWorld {
    pub fn pass(&self, seconds: i64) {
        self.pass_ms(seconds * 1_000);
    }

    pub fn pass_ms(&self, ms: i64) {
        self.ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestWorld {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_millis(NOW_MS + self.ms.load(Ordering::Relaxed)).unwrap()
    }
}

impl IdSource for TestWorld {
    fn new_id(&self) -> Uuid {
        let count = self.ids.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128((u128::from(NOW_MS.unsigned_abs()) << 80) | u128::from(count))
    }
}

/// Sealed texts are only encoded; the contexts under which they are sealed are real.
#[async_trait]
impl Vault for TestWorld {
    async fn create_key(&self, _: UserId) -> Result<(), VaultError> {
        Ok(())
    }
    async fn seal(&self, owner: UserId, at: SealedAt<'_>, plain: &str) -> Result<Sealed, VaultError> {
        let text = sealed_text(&format!("{} {}\n{plain}", at.field, at.stream));
        Ok(Sealed::from_ciphertext(format!("v1.{owner}.{text}")))
    }
    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let text = sealed.ciphertext().rsplit('.').next().unwrap();
        let opened = unsealed_text(text);
        let (place, plain) = opened.split_once('\n').unwrap();
        if place == format!("{} {}", at.field, at.stream) { Ok(plain.to_owned()) } else { Err(VaultError::DoesNotOpen) }
    }
    fn keyed_hash(&self, _: &str, text: &str) -> Uuid {
        let mut bytes = [0; 16];
        for (index, byte) in text.bytes().enumerate() {
            bytes[index % 16] ^= byte.rotate_left(u32::try_from(index / 16).unwrap());
        }
        Uuid::from_bytes(bytes)
    }
}

pub fn sealed_text(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

pub fn unsealed_text(text: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// No external systems: every call is lost, every message is unsigned.
struct Nobody;

#[async_trait]
impl PaymentGateway for Nobody {
    fn name(&self) -> &'static str {
        "sandbox"
    }
    fn takes(&self, _: &str) -> bool {
        true
    }
    async fn charge(&self, _: ChargeRequest) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: String::new() }
    }
    async fn confirm(&self, _: &str) -> ChargeOutcome {
        ChargeOutcome::Unknown { detail: String::new() }
    }
    async fn inquire(&self, _: Uuid) -> ChargeOutcome {
        ChargeOutcome::NotFound
    }
    async fn net_cancel(&self, _: Uuid) -> ChargeOutcome {
        ChargeOutcome::Voided
    }
    async fn refund(&self, _: RefundRequest) -> RefundOutcome {
        RefundOutcome::Unknown { detail: String::new() }
    }
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        Err(WebhookError::BadSignature)
    }
}

#[async_trait]
impl Carrier for Nobody {
    fn name(&self) -> &'static str {
        "sandbox"
    }
    fn address_faults(&self, address: &PostalAddress) -> Vec<AddressFault> {
        let mut faults = address.faults();
        if address.postal_code == "00000" {
            faults.push(AddressFault { field: "postal_code", detail: "nobody lives there".to_owned() });
        }
        faults
    }
    async fn request_label(&self, _: LabelRequest) -> LabelOutcome {
        LabelOutcome::Unknown { detail: String::new() }
    }
    async fn cancel_label(&self, _: ShipmentId) -> LabelCancelOutcome {
        LabelCancelOutcome::Cancelled
    }
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<CarrierNotice, WebhookError> {
        Err(WebhookError::BadSignature)
    }
}

/// Limits on unpaid orders are high here; other tests check them.
fn generous() -> Policy {
    Policy { max_open_unpaid_orders: None, max_unpaid_units: None, ..Policy::default() }
}

pub struct House {
    pub router: axum::Router,
    pub state: ApiState,
    pub world: Arc<TestWorld>,
    pub projector: ProjectorHandle,
    pub models: ReadModels,
    pub store: Arc<dyn Store>,
    /// Events read so far, except by the projector.
    pub reads: Arc<AtomicUsize>,
    decider: Worker,
    inbox: Worker,
}

/// Every shop of a test signs with the same key, so a token is valid in the shop that is opened
/// next.
static SIGNING_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let random = aws_lc_rs::rand::SystemRandom::new();
    aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref().to_vec()
});

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_else(|| panic!("no code in {self:?}"))
    }
    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
    /// Fails unless it is a complete problem body with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.code(), code, "{answer:?}");
        for member in ["type", "title", "detail", "instance", "trace_id"] {
            let text = answer.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {answer:?}"));
            assert!(!text.is_empty(), "{member} is empty");
        }
        assert_eq!(answer.body["status"], status);
        assert_eq!(answer.body["trace_id"].as_str().unwrap().len(), 32);
        answer
    }
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
    }
}

impl House {
    pub async fn new() -> Self {
        Self::with_limits(None, None).await
    }

    /// With a rate limit per caller, and one per block of addresses for the login routes.
    pub async fn with_limits(rate_limit: Option<RateLimit>, auth_rate_limit: Option<RateLimit>) -> Self {
        Self::with(rate_limit, auth_rate_limit, generous()).await
    }

    pub async fn with(rate_limit: Option<RateLimit>, auth_rate_limit: Option<RateLimit>, policy: Policy) -> Self {
        Self::over(&Place::Memory, Arc::default(), rate_limit, auth_rate_limit, policy).await
    }

    /// On a place, which may hold the history of an earlier shop.
    pub async fn on(place: &Place, world: Arc<TestWorld>) -> Self {
        Self::over(place, world, None, None, generous()).await
    }

    async fn over(
        place: &Place,
        test_world: Arc<TestWorld>,
        rate_limit: Option<RateLimit>,
        auth_rate_limit: Option<RateLimit>,
        policy: Policy,
    ) -> Self {
        let world = World { clock: test_world.clone(), ids: test_world.clone(), vault: test_world.clone() };
        let (store, models) = place.open().await;
        let reads = Arc::new(AtomicUsize::new(0));
        let log: Arc<dyn EventLog> = Arc::new(CountingLog { inner: store.clone(), reads: Arc::clone(&reads) });
        let policy = Arc::new(policy);
        let (commands, decider) =
            Commands::spawn(Arc::clone(&log), &world, Arc::clone(&policy), DeciderOptions::default());
        let quick = PasswordSettings { memory_kib: 8, passes: 1, at_once: 4, waiting: 100 };
        let identity = Identity::new(commands.clone(), Arc::clone(&log), world.clone(), Arc::clone(&policy), quick);
        let projector = Projector::spawn(log, models.clone(), test_world.clone());
        let (hooks, inbox) = Hooks::spawn(InboxDeps {
            commands: commands.clone(),
            inbox: store.clone(),
            lease: LeaseHolder { leases: store.clone(), node: Uuid::from_u128(1), length: Duration::from_secs(5) },
            world: world.clone(),
            gateways: Arc::new(Gateways::new(Arc::new(Nobody))),
            carriers: Arc::new(Carriers::new(Arc::new(Nobody))),
            options: InboxOptions::default(),
        });
        let state = ApiState {
            parked: store.clone(),
            commands,
            identity,
            queries: models.queries(),
            processes: None,
            gateways: Arc::new(Gateways::new(Arc::new(Nobody))),
            carriers: Arc::new(Carriers::new(Arc::new(Nobody))),
            hooks,
            world,
            policy,
            signing_key: SigningKey::from_pkcs8("test", &SIGNING_KEY).unwrap(),
            rate_limit,
            trusted_proxies: vec![jangbu_api::Network::parse("10.0.0.0/8").unwrap()],
            auth_rate_limit,
            cors_origins: vec!["https://shop.example.com".parse().unwrap()],
            readiness: vec![
                ("store", Arc::new(|| Box::pin(async { Ok(()) }))),
                ("read models", Arc::new(|| Box::pin(async { Err("they are on holiday".to_owned()) }))),
            ],
            outside: Vec::new(),
            spool: std::env::temp_dir(),
            render_metrics: Arc::new(|| "# nothing\n".to_owned()),
            rebuild: Arc::new(|_| Box::pin(async { Ok(()) })),
        };
        let router = jangbu_api::router(state.clone());
        Self { router, state, world: test_world, projector, models, store, reads, decider, inbox }
    }

    /// Closes the shop and keeps its place.
    pub async fn close(self) {
        self.inbox.stop().await;
        self.decider.stop().await;
        self.projector.stop().await;
        self.models.close().await;
        self.store.close().await;
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from([127, 0, 0, 1].into(), request).await
    }

    pub async fn send_from(&self, address: IpAddr, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 1)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body, text }
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(request("GET", path, token, &[]).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, token: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send_json("POST", token, path, headers, &body.to_string()).await
    }

    pub async fn send_json(
        &self,
        method: &str,
        token: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let request = request(method, path, token, headers).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Posts JSON from an address.
    pub async fn post_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        let request = request("POST", path, "", &[]).header("content-type", "application/json");
        self.send_from(address.parse().unwrap(), request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Signs up a user with these roles; returns the access token.
    pub async fn somebody(&self, roles: &[Role]) -> String {
        let name = format!("somebody{}@example.com", self.world.new_id().simple());
        let registration =
            Registration {
                email: name.clone(), password: PASSWORD.to_owned(), name: "김민지".to_owned(), phone: None
            };
        let correlation_id = CorrelationId::new(self.world.new_id());
        let context = RequestContext { correlation_id, trace: None, idempotency: None, from: AddressBlock::own() };
        self.state.identity.create_user(registration, roles.to_vec(), Actor::Anonymous, context).await.unwrap();
        let login =
            self.post("", "/v1/auth/login", &[], &json!({"email": name, "password": PASSWORD})).await.expect(200);
        login.body["access_token"].as_str().unwrap().to_owned()
    }

    /// A product with this much stock; returns its id.
    pub async fn product(&self, staff: &str, price: &str, quantity: u32) -> String {
        let made =
            self.post(staff, "/v1/products", &[], &json!({"name": "제주 감귤", "price": price})).await.expect(201);
        let id = made.body["id"].as_str().unwrap().to_owned();
        if quantity > 0 {
            let path = format!("/v1/stock/{id}/receive");
            let key = format!("receive-{id}");
            self.post(staff, &path, &[("idempotency-key", &key)], &json!({"quantity": quantity})).await.expect(200);
        }
        id
    }
}

pub fn request(method: &str, path: &str, token: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

pub fn order_body(product: &str, quantity: u32) -> Value {
    json!({
        "lines": [{"product_id": product, "quantity": quantity}],
        "shipping_address": {
            "recipient": "김민지", "phone": "010-0000-0000", "postal_code": "04524", "line1": "서울특별시 중구 세종대로 110"
        }
    })
}
