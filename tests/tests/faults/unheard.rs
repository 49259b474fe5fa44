//! The server's log output cannot be written.

use jangbu_tests::harness::{World, eventually};

/// Standard error on a full disk, and a pipe whose reader has gone: the lines are lost and counted,
/// and the shop works as before.
pub async fn log_lines_that_cannot_be_written_are_lost_and_nothing_else(world: &mut World) {
    world.put_around_the_shop("JANGBU_LOG", "debug");
    for error in ["2>/dev/full", "2> >(exec true)"] {
        assert!(world.terminate_shop().await.success());
        let script = format!("exec \"$0\" \"$@\" {error}");
        world.put_before_the_shop(vec!["bash".to_owned(), "-c".to_owned(), script]);
        world.start_shop().await;
        let admin = world.admin().await;
        let buyer = world.buyer(if error.contains("full") { "minji" } else { "jisoo" }).await.client;
        let tea = world.product(&admin, "보이차", 12_000, 2).await;
        buyer.buy(&[(&tea, 1)]).await;
        // Rejections are logged, too.
        admin.get("/v1/orders/nothing").send().await.expect_problem(400, "validation_failed");
        lost_lines(world).await;
        buyer.buy(&[(&tea, 1)]).await;
    }
}

async fn lost_lines(world: &World) {
    eventually("lost lines are counted", async || {
        let metrics = world.visitor().get("/metrics").send().await.text();
        let line = metrics.lines().find(|line| line.starts_with("jangbu_log_lines_lost_total "))?.to_owned();
        line.rsplit_once(' ')?.1.parse::<f64>().ok().filter(|lost| *lost > 0.0).map(|_| ())
    })
    .await;
}
