//! The payment gateway's contract, tested against the sandbox.

use jangbu_integrations::gateways::GATEWAYS;
use jangbu_integrations::{SetupError, gateways};
use jangbu_kernel::gateway::{ChargeOutcome, GatewayNotice, Observation, RefundOutcome, RefundRequest, WebhookError};
use uuid::Uuid;

use super::{
    charge, gateway_at, gateway_named, headers, impatient, policy, sandbox, sandbox_with_shop, settings, told, won,
};

/// The contract of every gateway, one line for each gateway.
macro_rules! contract {
    ($($gateway:ident),+ => $cases:tt) => {
        $(contract! { @of $gateway $cases })+
    };
    (@of $gateway:ident [$($case:ident,)+]) => {
        mod $gateway {
            $(#[tokio::test]
            async fn $case() {
                super::$case(stringify!($gateway)).await;
            })+
        }
    };
}

contract! {
    sandbox, hostpay => [
        captured_and_found_again,
        declined_with_its_code,
        a_page_is_paid_or_left,
        a_lost_answer_is_unknown_and_an_inquiry_tells,
        a_slow_charge_that_is_cancelled_meanwhile_takes_nothing,
        refunds_settle_once_and_within_bounds,
        a_key_used_for_another_charge_is_no_answer,
        a_wrong_api_key_is_no_answer,
        a_gateway_that_is_gone_is_unknown_not_declined,
    ]
}

#[test]
fn every_gateway_is_held_to_the_contract() {
    let held: Vec<&str> = GATEWAYS.iter().map(|(name, _)| *name).collect();
    assert_eq!(held, ["sandbox", "hostpay"], "a line of the contract above for each gateway");
}

fn reference(outcome: &ChargeOutcome) -> String {
    match outcome {
        ChargeOutcome::Captured { reference, .. }
        | ChargeOutcome::ChallengeRequired { reference }
        | ChargeOutcome::RedirectRequired { reference, .. }
        | ChargeOutcome::Pending { reference } => reference.clone(),
        other => panic!("{other:?} has no reference"),
    }
}

fn is_captured(outcome: &ChargeOutcome) -> bool {
    matches!(outcome, ChargeOutcome::Captured { amount, .. } if *amount == won(53_000))
}

async fn captured_and_found_again(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), policy());
    for token in ["tok_ok", "tok_ok_42", "tok_duplicate_webhook", "tok_error_then_ok"] {
        let request = charge(token);
        let outcome = gateway.charge(request.clone()).await;
        assert!(is_captured(&outcome), "{token}: {outcome:?}");
        assert_eq!(gateway.charge(request.clone()).await, outcome, "{token}");
        assert_eq!(gateway.inquire(request.idempotency_key).await, outcome, "{token}");
    }
}

async fn declined_with_its_code(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), policy());
    for (token, code) in [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("4111111111111111", "invalid_card_token"),
    ] {
        let outcome = gateway.charge(charge(token)).await;
        assert_eq!(outcome, ChargeOutcome::Declined { code: code.to_owned() }, "{token}");
    }
}

#[tokio::test]
async fn a_challenge_is_confirmed() {
    let world = sandbox().await;
    let gateway = gateway_at(&world.base_url(), policy());
    let asked = gateway.charge(charge("tok_challenge")).await;
    assert!(matches!(asked, ChargeOutcome::ChallengeRequired { .. }), "{asked:?}");
    for _ in 0..2 {
        assert!(is_captured(&gateway.confirm(&reference(&asked)).await));
    }
    for nobody in ["ch_none", "", "../refunds", "ch/1", "ch?x"] {
        assert_eq!(gateway.confirm(nobody).await, ChargeOutcome::NotFound, "{nobody:?}");
    }
}

/// The buyer's action at the page of a charge.
async fn at_page(outcome: &ChargeOutcome, act: &str) {
    let ChargeOutcome::RedirectRequired { url, .. } = outcome else { panic!("{outcome:?}") };
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let done = client.post(format!("{url}/{act}")).send().await.unwrap();
    assert_eq!(done.status(), 200);
}

async fn a_page_is_paid_or_left(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), policy());
    let (paid, left) = (charge("tok_redirect"), charge("tok_redirect"));
    let sent = gateway.charge(paid.clone()).await;
    assert_eq!(gateway.inquire(paid.idempotency_key).await, sent, "nobody was there");
    assert_eq!(gateway.confirm(&reference(&sent)).await, sent, "it is not confirmed by the shop");
    for _ in 0..2 {
        at_page(&sent, "pay").await;
        assert!(is_captured(&gateway.inquire(paid.idempotency_key).await));
    }
    at_page(&gateway.charge(left.clone()).await, "cancel").await;
    let cancelled = ChargeOutcome::Declined { code: "cancelled_by_buyer".to_owned() };
    assert_eq!(gateway.inquire(left.idempotency_key).await, cancelled);
}

async fn a_lost_answer_is_unknown_and_an_inquiry_tells(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), impatient());
    let patient = gateway_named(name, &world.base_url(), policy());
    let (charged, not_charged) = (charge("tok_timeout_charged"), charge("tok_timeout_not_charged"));
    for request in [&charged, &not_charged] {
        let outcome = gateway.charge(request.clone()).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
    }
    assert!(is_captured(&patient.inquire(charged.idempotency_key).await));
    assert_eq!(patient.inquire(not_charged.idempotency_key).await, ChargeOutcome::NotFound);
    // A cancelled key stays cancelled: the same request, arriving late, takes no money.
    assert_eq!(patient.net_cancel(not_charged.idempotency_key).await, ChargeOutcome::Voided);
    let late = charge("tok_ok");
    let late = jangbu_kernel::gateway::ChargeRequest { idempotency_key: not_charged.idempotency_key, ..late };
    assert_eq!(patient.charge(late).await, ChargeOutcome::Voided);
    assert_eq!(patient.net_cancel(charged.idempotency_key).await, ChargeOutcome::Voided);
    assert_eq!(patient.inquire(charged.idempotency_key).await, ChargeOutcome::Voided);
}

async fn a_slow_charge_that_is_cancelled_meanwhile_takes_nothing(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), impatient());
    let patient = gateway_named(name, &world.base_url(), policy());
    let request = charge("tok_slow");
    assert!(matches!(gateway.charge(request.clone()).await, ChargeOutcome::Unknown { .. }));
    assert!(matches!(patient.inquire(request.idempotency_key).await, ChargeOutcome::Pending { .. }));
    assert_eq!(patient.net_cancel(request.idempotency_key).await, ChargeOutcome::Voided);
    assert_eq!(patient.charge(request).await, ChargeOutcome::Voided);
}

async fn refunds_settle_once_and_within_bounds(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), policy());
    let reference = reference(&gateway.charge(charge("tok_ok")).await);
    let refund =
        |units| RefundRequest { idempotency_key: Uuid::now_v7(), reference: reference.clone(), amount: won(units) };
    let request = refund(50_000);
    let settled = gateway.refund(request.clone()).await;
    assert!(matches!(settled, RefundOutcome::Settled { .. }), "{settled:?}");
    assert_eq!(gateway.refund(request.clone()).await, settled);
    // The key belongs to another refund: that is a defect of the shop, and not an answer about this
    // one.
    let reused = RefundRequest { amount: won(1), ..request };
    assert!(matches!(gateway.refund(reused).await, RefundOutcome::Unknown { .. }));
    let too_much = gateway.refund(refund(3_001)).await;
    assert_eq!(too_much, RefundOutcome::Refused { code: "refund_exceeds_captured".to_owned() });
    for nobody in ["ch_none", "../x"] {
        let nobody = RefundRequest { reference: nobody.to_owned(), ..refund(1) };
        let refused = RefundOutcome::Refused { code: "charge_not_found".to_owned() };
        assert_eq!(gateway.refund(nobody).await, refused);
    }
}

async fn a_key_used_for_another_charge_is_no_answer(name: &str) {
    let world = sandbox().await;
    let gateway = gateway_named(name, &world.base_url(), policy());
    let request = charge("tok_ok");
    gateway.charge(request.clone()).await;
    let other = jangbu_kernel::gateway::ChargeRequest { amount: won(1), ..request };
    assert!(matches!(gateway.charge(other).await, ChargeOutcome::Unknown { .. }));
}

async fn a_wrong_api_key_is_no_answer(name: &str) {
    let world = sandbox().await;
    let stranger = jangbu_integrations::ServiceSettings {
        api_key: "somebody else's".into(),
        ..settings(&world.base_url(), policy())
    };
    let gateway = gateways::connect(name, &stranger).unwrap();
    let request = charge("tok_ok");
    assert!(matches!(gateway.charge(request.clone()).await, ChargeOutcome::Unknown { .. }));
    assert!(matches!(gateway.inquire(request.idempotency_key).await, ChargeOutcome::Unknown { .. }));
}

async fn a_gateway_that_is_gone_is_unknown_not_declined(name: &str) {
    let world = sandbox().await;
    let base_url = world.base_url();
    let gateway = gateway_named(name, &base_url, policy());
    world.stop().await;
    assert!(matches!(gateway.charge(charge("tok_ok")).await, ChargeOutcome::Unknown { .. }));
    assert!(matches!(gateway.net_cancel(Uuid::now_v7()).await, ChargeOutcome::Unknown { .. }));
}

#[tokio::test]
async fn webhooks_are_read_and_altered_ones_are_not() {
    let (world, shop) = sandbox_with_shop().await;
    let gateway = gateway_at(&world.base_url(), policy());
    let request = charge("tok_challenge");
    let asked = gateway.charge(request.clone()).await;
    told(&shop, 1).await;
    let captured = gateway.confirm(&reference(&asked)).await;
    told(&shop, 2).await;
    gateway.net_cancel(request.idempotency_key).await;
    let told = told(&shop, 3).await;
    for (message, outcome) in told.iter().zip([asked, captured, ChargeOutcome::Voided]) {
        let notices = gateway.read_webhook(&headers(message), &message.body).unwrap();
        let idempotency_key = request.idempotency_key;
        let message_id = message.headers["webhook-id"].to_str().unwrap().to_owned();
        let observation = Observation::Told { idempotency_key, outcome };
        assert_eq!(notices, [GatewayNotice { message_id, payment_id: request.payment_id, observation }]);

        let text = String::from_utf8(message.body.clone()).unwrap();
        let altered = text.replace("53000", "53001");
        assert_ne!(altered, text);
        let refused = gateway.read_webhook(&headers(message), altered.as_bytes());
        assert_eq!(refused, Err(WebhookError::BadSignature));
    }
    let declined = charge("tok_declined");
    gateway.charge(declined).await;
    let told = super::told(&shop, 4).await;
    let notices = gateway.read_webhook(&headers(&told[3]), &told[3].body).unwrap();
    let declined = ChargeOutcome::Declined { code: "card_declined".to_owned() };
    assert!(
        matches!(&notices[..], [GatewayNotice { observation: Observation::Told { outcome, .. }, .. }] if *outcome == declined)
    );
}

#[tokio::test]
async fn messages_that_nobody_signed_make_the_shop_ask() {
    let (world, shop) = sandbox_with_shop().await;
    let gateway = gateway_named("hostpay", &world.base_url(), policy());
    let request = charge("tok_redirect");
    let sent = gateway.charge(request.clone()).await;
    told(&shop, 1).await;
    at_page(&sent, "pay").await;
    for (message, state) in told(&shop, 2).await.iter().zip(["Ready", "Paid"]) {
        assert_eq!(message.url.path(), "/v1/hooks/payments/hostpay");
        assert!(!message.headers.contains_key("webhook-signature"));
        let notices = gateway.read_webhook(&headers(message), &message.body).unwrap();
        let (payment_id, observation) = (request.payment_id, Observation::Ask);
        assert_eq!(notices, [GatewayNotice { message_id: format!("{payment_id}-{state}"), payment_id, observation }]);
    }
}

#[test]
fn unusable_settings_are_refused_at_setup() {
    let good = || settings("http://127.0.0.1:1", policy());
    assert!(matches!(gateways::connect("nobody", &good()), Err(SetupError::UnknownName(_))));
    for base_url in ["", "127.0.0.1:1", "ftp://127.0.0.1", "file:///etc"] {
        let settings = settings(base_url, policy());
        assert!(matches!(gateways::connect("sandbox", &settings), Err(SetupError::BaseUrl(_))), "{base_url}");
    }
    let mut broken = good();
    broken.api_key = "line\nbreak".into();
    assert!(matches!(gateways::connect("sandbox", &broken), Err(SetupError::ApiKey)));
    let mut broken = good();
    broken.webhook_secrets.clear();
    assert!(matches!(gateways::connect("sandbox", &broken), Err(SetupError::WebhookSecret)));
    let mut broken = good();
    broken.policy.breaker.failure_rate = 0.0;
    assert!(matches!(gateways::connect("sandbox", &broken), Err(SetupError::Breaker(_))));
}
