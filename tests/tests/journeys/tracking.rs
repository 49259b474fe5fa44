//! A parcel that staff gave to a Korean carrier, followed by a tracker that speaks its published schema.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::harness::{World, eventually};

/// What the tracker knows of parcels, and the callbacks that were registered.
#[derive(Clone, Default)]
struct Tracker {
    events: Arc<Mutex<Vec<Value>>>,
    callbacks: Arc<Mutex<Vec<Value>>>,
}

impl Tracker {
    fn happens(&self, code: &str, name: &str, minutes_ago: i64) {
        let time = (chrono::Utc::now() - chrono::TimeDelta::minutes(minutes_ago)).to_rfc3339();
        let status = json!({"code": code, "name": name});
        let node = json!({"time": time, "status": status, "location": {"name": "옥천HUB"}});
        self.events.lock().unwrap().push(json!({"node": node}));
    }

    fn registered(&self) -> Option<Value> {
        self.callbacks.lock().unwrap().last().cloned()
    }
}

impl Respond for Tracker {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = request.body_json().unwrap();
        let answer = if asked["query"].as_str().unwrap().contains("registerTrackWebhook") {
            self.callbacks.lock().unwrap().push(asked["variables"]["input"].clone());
            json!({"data": {"registerTrackWebhook": true}})
        } else {
            json!({"data": {"track": {"events": {"edges": *self.events.lock().unwrap()}}}})
        };
        ResponseTemplate::new(200).set_body_json(answer)
    }
}

pub async fn a_korean_carriers_parcel_is_followed_to_the_door(world: &mut World) {
    let (server, tracker) = (MockServer::start().await, Tracker::default());
    Mock::given(any()).respond_with(tracker.clone()).mount(&server).await;
    assert!(world.terminate_shop().await.success());
    let address = format!("http://{}", world.shop_address());
    world.put_around_the_shop("JANGBU_CARRIER", "manual");
    world.put_around_the_shop("JANGBU_TRACKER_URL", format!("{}/graphql", server.uri()));
    world.put_around_the_shop("JANGBU_TRACKER_API_KEY", "shop:very-secret");
    world.put_around_the_shop("JANGBU_TRACKER_CALLBACK_URL", &address);
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let path = format!("/v1/shipments/{}", parcel["id"].as_str().unwrap());
    let sent = json!({"carrier": "CJ대한통운", "tracking_number": "6812-0001-7777"});
    admin.post(&format!("{path}/dispatch"), &sent).send().await.expect(200);

    // It is registered by itself, and what the carrier knew by then is read.
    tracker.happens("AT_PICKUP", "집화처리", 3);
    let callback = eventually("the parcel is followed", async || tracker.registered()).await;
    assert_eq!(callback["carrierId"], "kr.cjlogistics");
    assert_eq!(callback["trackingNumber"], "6812-0001-7777");
    let callback = callback["callbackUrl"].as_str().unwrap().strip_prefix(&address).unwrap().to_owned();
    tracker.happens("OUT_FOR_DELIVERY", "배달출발", 2);
    let news = json!({"carrierId": "kr.cjlogistics", "trackingNumber": "6812-0001-7777"});
    let visitor = world.visitor();
    visitor.post(&callback, &news).send().await.expect(200);
    admin.parcel_of(&order, "out_for_delivery").await;

    // Somebody else's word is not taken.
    let (address, _) = callback.split_once("&proof=").unwrap();
    visitor.post(&format!("{address}&proof=00"), &news).send().await.expect_problem(401, "unauthenticated");
    visitor.post("/v1/hooks/carriers/delivery_tracker", &news).send().await.expect_problem(401, "unauthenticated");

    tracker.happens("DELIVERED", "배달완료", 1);
    // Twice, as callbacks come: the scan is recorded once.
    for _ in 0..2 {
        visitor.post(&callback, &news).send().await.expect(200);
    }
    buyer.order_reaches(&order, "delivered").await;
    let shown = buyer.read(&path).await;
    let scans: Vec<_> = shown["scans"].as_array().unwrap().iter().map(|scan| scan["code"].clone()).collect();
    assert_eq!(scans, ["집화처리", "배달출발", "배달완료"], "{shown}");
}
