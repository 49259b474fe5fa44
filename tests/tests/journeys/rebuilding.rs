//! Read models are rebuilt from the log while the shop serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{World, eventually};

pub async fn read_models_are_rebuilt_under_load(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 100_000).await;
    for _ in 0..5 {
        buyer.buy(&[(&tea, 1)]).await;
    }
    buyer.list_of(5, "/v1/orders?status=preparing").await;
    let stop = Arc::new(AtomicBool::new(false));
    let shopper = tokio::spawn({
        let (stop, buyer, tea) = (Arc::clone(&stop), buyer.clone(), tea.clone());
        async move {
            let mut placed = 0;
            while !stop.load(Ordering::Relaxed) {
                let order = buyer.place(&[(&tea, 1)]).await;
                // Reads are answered all the time, and always with the existing rows.
                assert_eq!(
                    buyer.read(&format!("/v1/orders/{}", order["id"].as_str().unwrap())).await["id"],
                    order["id"]
                );
                assert!(buyer.read("/v1/orders?status=preparing").await["items"].as_array().unwrap().len() >= 5);
                placed += 1;
            }
            placed
        }
    });
    world.run_well(&["replay"]).await;
    world.run_well(&["replay", "orders", "--from-scratch"]).await;
    world.run_well(&["replay", "--dry-run"]).await;
    stop.store(true, Ordering::Relaxed);
    let placed = shopper.await.unwrap();
    assert!(placed > 0);
    world.run_well(&["replay", "--verify-only"]).await;
    buyer.list_of(placed + 5, "/v1/orders").await;
    admin.stock_becomes(&tea, 100_000, i64::try_from(placed).unwrap(), 5).await;
    eventually("every read model is live again", async || {
        let projections = admin.read_all("/v1/projections").await;
        projections.iter().all(|projection| projection["state"] == "live" && projection["lag"] == 0).then_some(())
    })
    .await;
}
