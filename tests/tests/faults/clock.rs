//! The wall clock of the shop's machine jumps. (libfaketime stands between the shop and the clock;
//! the sandbox and the database have the right time throughout.)

use std::path::{Path, PathBuf};

use futures::future::join_all;
use jangbu_tests::harness::{World, basket, by_card, eventually, times};
use serde_json::Value;

/// Orders at each time.
const ORDERS: usize = 6;

/// The errors of the clock, in turn: an hour behind and right again, ahead by more than the time to
/// pay, and back to before the last events.
const STEPS: [&str; 6] = ["-3600", "+0", "+1200", "-600", "+7200", "+0"];

pub async fn the_wall_clock_is_stepped(world: &mut World) {
    let told = world.folder().join("clock");
    std::fs::write(&told, "+0\n").unwrap();
    assert!(world.terminate_shop().await.success());
    for (name, value) in [
        ("LD_PRELOAD", library().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", told.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        // A step of the wall clock does not touch the clock that timeouts run on.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ] {
        world.put_around_the_shop(name, value);
    }
    world.start_shop().await;
    let admin = world.admin().await;
    let tea = world.product(&admin, "보이차", 12_000, 10_000).await;
    world.buyer("minji").await;
    let mut orders = Vec::new();
    for _ in 0..times(1, 5) {
        for step in STEPS {
            orders.extend(some_are_placed(world, &tea).await);
            step_to(&told, step);
            the_shop_has_it(world, step).await;
            orders.extend(some_are_placed(world, &tea).await);
        }
    }
    let admin = world.admin().await;
    for order in &orders {
        admin.saga_rests(order["id"].as_str().unwrap()).await;
    }
    // Orders that were not paid in time by the clock of that moment have expired; the rest is under
    // way.
    let listed = admin.list_of(orders.len(), "/v1/orders?limit=200").await;
    for order in listed {
        let status = order["status"].as_str().unwrap();
        assert!(
            matches!(status, "preparing" | "placed" | "awaiting_payment" | "expired" | "cancelled" | "failed"),
            "{order}"
        );
        let live = world.books().live_charges(&order).await;
        assert_eq!(live, usize::from(status == "preparing"), "{order}");
    }
    println!("{} orders over {} steps", orders.len(), STEPS.len());
}

/// Sets the clock in one write, because a half-written file counts as the right time.
fn step_to(told: &Path, step: &str) {
    let new = told.with_extension("new");
    std::fs::write(&new, format!("{step}\n")).unwrap();
    std::fs::rename(new, told).unwrap();
}

/// Places some orders; every second one is paid at once, and the payment is not awaited.
async fn some_are_placed(world: &World, product: &str) -> Vec<Value> {
    let login = serde_json::json!({"email": "minji@example.com", "password": "a long enough password"});
    // A token from before the step may not be valid now.
    let answer = world.visitor().post("/v1/auth/login", &login).send().await.expect(200);
    let buyer = world.visitor().with_token(answer["access_token"].as_str().unwrap());
    join_all((0..ORDERS).map(async |number| {
        let order = buyer.post("/v1/orders", &basket(&[(product, 1)])).send().await.expect(201);
        if number % 2 == 0 {
            buyer.post("/v1/payments", &by_card(&order, "tok_ok")).send().await.expect(201);
        }
        order
    }))
    .await
}

/// Events that are recorded now have the stepped time. (Their ids do not: ids keep rising when the
/// clock goes back.)
async fn the_shop_has_it(world: &World, step: &str) {
    let offset: i64 = step.parse().unwrap();
    eventually("the shop has the stepped time", async || {
        // A token from before the step may have expired.
        let admin = world.admin().await;
        let id = world.product(&admin, "보이차", 1_000, 0).await;
        let events = world.run_well(&["events", "list", "--stream", &format!("product-{id}"), "--json"]).await;
        let first: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
        let seen = second_of_day(first["recorded_at"].as_str().unwrap());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let expected = (i64::try_from(now).unwrap() + offset).rem_euclid(DAY);
        let apart = (seen - expected).rem_euclid(DAY);
        (apart.min(DAY - apart) < 60).then_some(())
    })
    .await;
}

const DAY: i64 = 86_400;

/// The second of the day of a time such as `2026-11-21T01:07:00.000Z`.
fn second_of_day(time: &str) -> i64 {
    let clock = &time[time.find('T').unwrap() + 1..];
    let part = |at: usize| clock[at..at + 2].parse::<i64>().unwrap();
    part(0) * 3_600 + part(3) * 60 + part(6)
}

/// The variant for programs with threads: the other one gives the right time now and then.
fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = found.map(|entry| entry.path().join("faketime")).collect();
    folders.push(Path::new("/usr/lib/faketime").to_owned());
    let library = folders.into_iter().map(|folder| folder.join("libfaketimeMT.so.1")).find(|library| library.exists());
    library.expect("libfaketime is not installed: ./test installs it")
}
