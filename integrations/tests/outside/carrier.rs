//! The carrier's contract, tested against the sandbox.

use jangbu_kernel::gateway::{LabelCancelOutcome, LabelOutcome, LabelRequest, WebhookError};
use jangbu_kernel::ports::PostalAddress;
use jangbu_kernel::{OrderId, ShipmentId};
use serde_json::json;
use uuid::Uuid;

use super::{carrier_at, headers, policy, sandbox, sandbox_with_shop, told};

fn request() -> LabelRequest {
    LabelRequest {
        shipment_id: ShipmentId::new(Uuid::now_v7()),
        order_id: OrderId::new(Uuid::now_v7()),
        address: PostalAddress {
            recipient: "김하나".to_owned(),
            phone: "010-1234-5678".to_owned(),
            postal_code: "04524".to_owned(),
            line1: "세종대로 110".to_owned(),
            line2: None,
        },
    }
}

fn tracking_number(outcome: &LabelOutcome) -> String {
    match outcome {
        LabelOutcome::Ready { tracking_number } => tracking_number.clone(),
        other => panic!("{other:?} has no tracking number"),
    }
}

/// Sends a control request to the sandbox.
async fn turn(base_url: &str, path: &str, body: serde_json::Value) {
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let answer = client.post(format!("{base_url}{path}")).json(&body).send().await.unwrap();
    assert!(answer.status().is_success());
}

#[tokio::test]
async fn one_shipment_has_one_label_until_it_is_called_off() {
    let world = sandbox().await;
    let carrier = carrier_at(&world.base_url(), policy());
    let request = request();
    let ready = carrier.request_label(request.clone()).await;
    assert!(!tracking_number(&ready).is_empty());
    assert_eq!(carrier.request_label(request.clone()).await, ready);
    for _ in 0..2 {
        assert_eq!(carrier.cancel_label(request.shipment_id).await, LabelCancelOutcome::Cancelled);
    }
    let refused = carrier.request_label(request).await;
    assert_eq!(refused, LabelOutcome::Refused { code: "label_cancelled".to_owned() });
    assert_eq!(carrier.cancel_label(ShipmentId::new(Uuid::now_v7())).await, LabelCancelOutcome::Cancelled);
}

#[tokio::test]
async fn refusals_carry_their_code() {
    let world = sandbox().await;
    let carrier = carrier_at(&world.base_url(), policy());
    turn(&world.base_url(), "/sandbox/carrier/faults", json!({"refuse": 1})).await;
    let request = request();
    let refused = LabelOutcome::Refused { code: "refused_by_carrier".to_owned() };
    assert_eq!(carrier.request_label(request.clone()).await, refused);
    tracking_number(&carrier.request_label(request).await);
}

#[tokio::test]
async fn scans_are_read_and_a_moving_parcel_is_not_called_off() {
    let (world, shop) = sandbox_with_shop().await;
    let carrier = carrier_at(&world.base_url(), policy());
    let request = request();
    let number = tracking_number(&carrier.request_label(request.clone()).await);
    let statuses = ["in_transit", "out_for_delivery", "attempt_failed", "exception", "delivered", "returned", "lost"];
    for (count, status) in statuses.into_iter().enumerate() {
        let scan = json!({"tracking_number": number, "status": status, "place": "서울"});
        turn(&world.base_url(), "/sandbox/carrier/advance", scan).await;
        let told = told(&shop, count + 1).await;
        let message = &told[count];
        let notice = carrier.read_webhook(&headers(message), &message.body).unwrap();
        assert_eq!((notice.shipment_id, notice.tracking_number), (request.shipment_id, number.clone()));
        assert_eq!((notice.status.as_str(), notice.place.as_str()), (status, "서울"));
        let altered = [&message.body[..], b" "].concat();
        assert_eq!(carrier.read_webhook(&headers(message), &altered), Err(WebhookError::BadSignature));
    }
    assert_eq!(carrier.cancel_label(request.shipment_id).await, LabelCancelOutcome::AlreadyDispatched);
}

#[tokio::test]
async fn a_carrier_that_is_gone_is_unknown() {
    let world = sandbox().await;
    let carrier = carrier_at(&world.base_url(), policy());
    world.stop().await;
    assert!(matches!(carrier.request_label(request()).await, LabelOutcome::Unknown { .. }));
    let outcome = carrier.cancel_label(ShipmentId::new(Uuid::now_v7())).await;
    assert!(matches!(outcome, LabelCancelOutcome::Unknown { .. }));
}
