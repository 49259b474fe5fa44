//! The tracker of parcels, against a server that speaks its published schema.

use std::sync::Arc;

use jangbu_integrations::carriers::delivery_tracker::{TrackerSettings, connect};
use jangbu_kernel::gateway::{Carrier, CarrierNews, Following, ParcelUnderWay, WebhookError};
use jangbu_kernel::{ShipmentId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{eventually, policy};

fn tracker(server: &MockServer) -> Arc<dyn Carrier> {
    connect(&TrackerSettings {
        url: format!("{}/graphql", server.uri()),
        api_key: "shop:very-secret".into(),
        shop_url: "https://shop.example/".to_owned(),
        policy: policy(),
    })
    .unwrap()
}

fn parcel(carrier: &str) -> ParcelUnderWay {
    let shipment_id = ShipmentId::new(Uuid::from_u128(7));
    ParcelUnderWay { shipment_id, carrier: carrier.to_owned(), tracking_number: "6812-0001".to_owned() }
}

fn until() -> Timestamp {
    Timestamp::from_timestamp(1_800_172_800, 0).unwrap()
}

/// A tracker that answers questions which contain this.
async fn answering(question: &str, answer: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/graphql"))
        .and(header("authorization", "TRACKQL-API-KEY shop:very-secret"))
        .and(body_string_contains(question))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    server
}

fn event(code: &str, name: &str, time: &str) -> Value {
    json!({"node": {"time": time, "status": {"code": code, "name": name}, "location": {"name": "옥천HUB"}}})
}

#[tokio::test]
async fn a_parcel_is_followed_by_the_id_of_its_carrier() {
    let server = answering("registerTrackWebhook", json!({"data": {"registerTrackWebhook": true}})).await;
    let tracker = tracker(&server);
    assert!(tracker.tracks() && tracker.follows("CJ대한통운") && !tracker.follows("pigeon"));
    assert_eq!(tracker.follow(&parcel("CJ대한통운"), until()).await, Following::Until(until()));
    let asked = eventually(async || server.received_requests().await.filter(|asked| !asked.is_empty())).await;
    let input = asked[0].body_json::<Value>().unwrap()["variables"]["input"].clone();
    assert_eq!((&input["carrierId"], &input["trackingNumber"]), (&json!("kr.cjlogistics"), &json!("6812-0001")));
    assert_eq!(input["expirationTime"], jangbu_kernel::time::rfc3339(until()));
    // What comes to that address is the shop's own question, and nothing else is.
    let callback = input["callbackUrl"].as_str().unwrap();
    let (address, query) = callback.split_once('?').unwrap();
    assert_eq!(address, "https://shop.example/v1/hooks/carriers/delivery_tracker");
    let news = tracker.read_news(&[], query, b"{}").unwrap();
    assert!(matches!(news, CarrierNews::Ask { shipment_id, .. } if shipment_id == parcel("").shipment_id));
    let other = query.replace("000000000007", "000000000008");
    for wrong in ["", "parcel=7", &other, &query[..query.len() - 1], "parcel=00000000-0000-0000-0000-000000000007"] {
        assert_eq!(tracker.read_news(&[], wrong, b"{}"), Err(WebhookError::BadSignature), "{wrong}");
    }
    assert!(tracker.read_webhook(&[], b"{}").is_err());
    assert_eq!(tracker.follow(&parcel("pigeon"), until()).await, Following::NotHere);
}

#[tokio::test]
async fn what_happened_is_read_in_the_words_of_the_shop() {
    let edges = json!([
        event("INFORMATION_RECEIVED", "접수", "2026-11-21T08:00:00.000+09:00"),
        event("DELIVERED", "배달완료", "2026-11-22T15:00:00.000+09:00"),
        event("AT_PICKUP", "집화처리", "2026-11-21T18:00:00.000+09:00"),
        event("OUT_FOR_DELIVERY", "배달출발", "2026-11-22T09:00:00.000+09:00"),
        {"node": {"time": null, "status": {"code": "IN_TRANSIT", "name": null}, "location": null}},
        {"node": {"time": "2026-11-22T01:00:00.000+09:00", "status": {"code": "IN_TRANSIT", "name": null}, "location": null}},
        null,
    ]);
    let server = answering("track(", json!({"data": {"track": {"events": {"edges": edges}}}})).await;
    let scans = tracker(&server).scans(&parcel("kr.cjlogistics")).await.unwrap();
    let told: Vec<_> =
        scans.iter().map(|scan| (scan.status.as_str(), scan.code.as_str(), scan.place.as_str())).collect();
    assert_eq!(
        told,
        [
            ("in_transit", "집화처리", "옥천HUB"),
            ("in_transit", "IN_TRANSIT", ""),
            ("out_for_delivery", "배달출발", "옥천HUB"),
            ("delivered", "배달완료", "옥천HUB"),
        ]
    );
    assert!(scans.iter().all(|scan| scan.tracking_number == "6812-0001" && scan.shipment_id == parcel("").shipment_id));
}

#[tokio::test]
async fn a_number_that_nobody_knows_yet_has_no_scans_and_odd_answers_are_no_answer() {
    let fault =
        |code: &str| json!({"data": {"track": null}, "errors": [{"message": "x", "extensions": {"code": code}}]});
    let unknown = answering("track(", fault("NOT_FOUND")).await;
    assert_eq!(tracker(&unknown).scans(&parcel("kr.epost")).await, Ok(Vec::new()));
    for odd in [fault("INTERNAL"), json!({}), json!([]), json!({"data": {"track": {"events": 7}}})] {
        let server = answering("track(", odd.clone()).await;
        assert!(tracker(&server).scans(&parcel("kr.epost")).await.is_err(), "{odd}");
    }
    let refusing = answering("registerTrackWebhook", json!({"data": {"registerTrackWebhook": false}})).await;
    assert_eq!(tracker(&refusing).follow(&parcel("kr.epost"), until()).await, Following::NotHere);
    let silent = MockServer::start().await;
    assert!(matches!(tracker(&silent).follow(&parcel("kr.epost"), until()).await, Following::Unknown { .. }));
}

#[test]
fn unusable_addresses_are_refused() {
    for (url, shop_url) in
        [("ftp://x", "https://shop.example"), ("https://x", "shop.example"), ("x", "https://shop.example")]
    {
        let (url, shop_url) = (url.to_owned(), shop_url.to_owned());
        assert!(connect(&TrackerSettings { url, shop_url, api_key: "a:b".into(), policy: policy() }).is_err());
    }
}
