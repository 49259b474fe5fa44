use axum::body::Body;
use jangbu_commands::commands::{EndImport, RecordImportProgress, StartImport};
use jangbu_commands::{ImportCounts, ImportEnd, ImportInterruption, ImportKind};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{ImportId, Role};
use serde_json::{Value, json};

use crate::house::{Answer, House, request};
use crate::owners::carry_out;

/// Seconds of silence after which nobody is taken to carry the rows out.
const SILENCE_S: i64 = 61;

#[tokio::test]
async fn an_import_that_has_fallen_silent_is_interrupted() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let import_id = ImportId::new(house.world.new_id());
    let path = format!("/v1/imports/{import_id}");
    house.get(&staff, &path).await.problem(404, "not_found");
    carry_out(&house, StartImport { import_id, kind: ImportKind::Stock, rows: 9 }).await;
    let shown = house.get(&staff, &path).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["kind"], &shown["rows"]), (&json!("running"), &json!("stock"), &json!(9)));
    house.world.pass(SILENCE_S);
    let shown = house.get(&staff, &path).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("interrupted"), &Value::Null));

    let counts = ImportCounts { changed: 4, ..ImportCounts::default() };
    carry_out(&house, RecordImportProgress { import_id, run: 1, counts }).await;
    let shown = house.get(&staff, &path).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["changed"]), (&json!("running"), &json!(4)));
    let end = ImportEnd::Interrupted(ImportInterruption::ServerStopping);
    carry_out(&house, EndImport { import_id, run: 1, counts, end }).await;
    let shown = house.get(&staff, &path).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("interrupted"), &json!("server_stopping")));
    carry_out(&house, StartImport { import_id, kind: ImportKind::Stock, rows: 9 }).await;
    let shown = house.get(&staff, &path).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["run"], &shown["changed"]), (&json!("running"), &json!(2), &json!(0)));
}

async fn send(house: &House, token: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = request("POST", "/v1/imports/products", token, headers);
    house.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_it_comes() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let csv = ("content-type", "text/csv");
    send(&house, &staff, &[csv, ("content-length", "268435457")], "").await.problem(413, "payload_too_large");
    send(&house, &staff, &[csv, ("content-encoding", "gzip")], "x").await.problem(415, "unsupported_media_type");
    send(&house, &staff, &[], "name\n").await.problem(415, "unsupported_media_type");
    send(&house, &staff, &[csv, ("idempotency-key", "short")], "name\n").await.problem(400, "validation_failed");
    let auditor = house.somebody(&[Role::Auditor]).await;
    send(&house, &auditor, &[csv], "name\n").await.problem(403, "forbidden");
    let answer = send(&house, &staff, &[csv], "name\n").await.expect(200);
    assert_eq!((answer.header("jangbu-rows"), answer.body["summary"]["rows"].as_u64()), ("0", Some(0)));
    house.get(&auditor, answer.header("location")).await.expect(200);
}

#[tokio::test]
async fn one_user_runs_two_imports_at_once() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let slow = || {
        // A body that never comes.
        let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = request("POST", "/v1/imports/products", &staff, &[("content-type", "text/csv")]);
        Box::pin(house.send(request.body(body).unwrap()))
    };
    let both = futures::future::join(slow(), slow());
    let third = async {
        // The other two are polled first and wait for their bodies.
        tokio::task::yield_now().await;
        loop {
            let answer = send(&house, &staff, &[("content-type", "text/csv")], "name\n").await;
            if answer.status == 429 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = both => panic!("their bodies never come"),
        answer = third => assert!(answer.problem(429, "rate_limited").headers.contains_key("retry-after")),
    }
}
