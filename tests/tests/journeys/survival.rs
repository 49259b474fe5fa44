//! The external systems stop in the middle of something, and start again. What breaks around the
//! shop itself is in `tests/faults`.

use serde_json::{Value, json};

use crate::harness::{World, by_card, eventually, number};

/// The state of gateway and carrier in `/readyz`.
fn outside_is(ready: &Value) -> Option<&str> {
    let checks = ready["checks"].as_array().unwrap();
    let outside = checks.iter().find(|check| check["required"] == false)?;
    outside["state"].as_str()
}

pub async fn the_outside_world_goes_away_and_comes_back(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let before = buyer.buy(&[(&tea, 1)]).await;
    world.kill_sandbox().await;

    let order = buyer.place(&[(&tea, 1)]).await;
    let asked = buyer.post("/v1/payments", &by_card(&order, "tok_ok")).header("prefer", "wait=1");
    let payment = asked.header("jangbu-wait-for", "settled").send().await;
    assert!(matches!(payment.status, 201 | 202), "{} {}", payment.status, payment.text());
    let path = format!("/v1/payments/{}", payment.json()["id"].as_str().unwrap());
    let undecided = admin.read(&path).await;
    assert!(matches!(undecided["status"].as_str(), Some("requested" | "processing" | "unknown")), "{undecided}");
    // The shop itself continues.
    buyer.place(&[(&tea, 1)]).await;
    // It is ready without them, and reports that they are down.
    let ready = world.visitor().read("/readyz").await;
    assert_eq!((&ready["status"], outside_is(&ready)), (&json!("ready"), Some("down")), "{ready}");

    world.start_sandbox().await;
    assert_eq!(outside_is(&world.visitor().read("/readyz").await), Some("up"));
    let decided = eventually("the payment is decided", async || {
        let payment = admin.read(&path).await;
        matches!(payment["status"].as_str(), Some("captured" | "failed" | "voided")).then_some(payment)
    })
    .await;
    if decided["status"] == "captured" {
        buyer.order_reaches(&order, "preparing").await;
    } else {
        assert_eq!(world.books().net(&order).await, 0);
        eventually("the order can be paid again", async || {
            (buyer.pay(&order, "tok_ok").send().await.status == 201).then_some(())
        })
        .await;
        buyer.order_reaches(&order, "preparing").await;
    }
    assert_eq!(world.books().net(&order).await, number(&order["total"]));
    assert_eq!(world.books().net(&before).await, number(&before["total"]), "a killed gateway forgets nothing");
}
