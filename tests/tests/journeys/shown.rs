//! Output for people: a server's log, its metrics, its tables.

use std::collections::BTreeSet;
use std::time::Instant;

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Client, World, basket, eventually};

pub async fn a_trace_id_leads_to_its_line_in_the_log(world: &mut World) {
    let said = world.shop().said();
    assert!(said.contains("starting jangbu") && said.contains("ready at http://"), "{said}");
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 1).await;
    let visitor = world.visitor();
    let refused = [
        buyer.post("/v1/orders", &basket(&[(&tea, 5)])).send().await.expect_problem(409, "insufficient_stock"),
        buyer.get("/v1/users").send().await.expect_problem(403, "forbidden"),
        visitor.get("/v1/orders").send().await.expect_problem(401, "unauthenticated"),
        visitor.get("/nowhere").send().await.expect_problem(404, "not_found"),
        visitor.get("/v1/orders").header("host", "two hosts").send().await.problem(),
    ];
    for problem in refused {
        let (trace_id, code) = (problem["trace_id"].as_str().unwrap(), problem["code"].as_str().unwrap());
        let line = eventually(&format!("the log has {trace_id}"), async || {
            world.shop().said().lines().find(|line| line.contains(trace_id)).map(str::to_owned)
        })
        .await;
        assert!(line.contains(code), "{line}");
    }
    // Ten thousand rejections do not cause ten thousand lines.
    let before = refusals(world);
    let begun = Instant::now();
    for _ in 0..50 {
        let calls = (0..20).map(|_| visitor.get("/v1/orders").send());
        for reply in futures::future::join_all(calls).await {
            reply.expect_problem(401, "unauthenticated");
        }
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    let written = refusals(world) - before;
    assert!(written >= 1 && written <= 20 * seconds, "{written} lines in {seconds} s");
}

fn refusals(world: &World) -> usize {
    world.shop().said().lines().filter(|line| line.contains("a request was refused")).count()
}

pub async fn every_figure_says_what_it_counts(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    buyer.buy(&[(&tea, 1)]).await;
    let text = world.visitor().get("/metrics").send().await.text();
    let named = |what: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let (typed, helped) = (named("# TYPE "), named("# HELP "));
    assert!(typed.len() >= 8 && typed.contains("http_request_duration_seconds"), "{text}");
    assert_eq!(typed.difference(&helped).collect::<Vec<_>>(), Vec::<&String>::new(), "a figure without its sentence");
}

pub async fn the_root_leads_to_the_docs(world: &mut World) {
    let root = world.visitor().get("/").send().await;
    assert_eq!((root.status, root.header("location")), (307, Some("/docs")));
    assert_eq!(world.visitor().get("/docs").send().await.status, 200);
}

pub async fn a_changed_product_has_another_tag(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let path = format!("/v1/products/{tea}");
    let tag = shows(&admin, &path, 5).await;
    let unchanged = admin.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(tag.as_str())));

    buyer.place(&[(&tea, 2)]).await;
    let after = shows(&admin, &path, 3).await;
    assert_ne!(after, tag, "another answer has another tag");
    let changed = admin.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!(changed.expect(200)["available"], 3);

    // A condition on a write compares the product's version, not the stock that is shown with it.
    let deactivate = format!("{path}/deactivate");
    let done = admin.call(Method::POST, &deactivate).header("if-match", &tag).send().await;
    assert_eq!(done.expect(200)["active"], false);
    let late = admin.call(Method::POST, &format!("{path}/activate")).header("if-match", &tag).send().await;
    late.expect_problem(412, "version_conflict");
}

/// Waits until this many are available; returns the tag of that answer.
async fn shows(client: &Client, path: &str, available: u64) -> String {
    eventually(&format!("{path} has {available}"), async || {
        let reply = client.get(path).send().await;
        (reply.expect(200)["available"] == available).then(|| reply.header("etag").unwrap().to_owned())
    })
    .await
}

/// A table or a line of text, as shown on a terminal of this width.
async fn on_a_terminal(world: &World, columns: u16, arguments: &[&str]) -> (String, String) {
    let mut command = world.command(arguments);
    command.env("COLUMNS", columns.to_string());
    let output = crate::harness::run_to_end(command).await;
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?}: {out}\n{err}");
    (out, err)
}

pub async fn tables_fit_and_say_what_they_leave_out(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 50).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let (id, number) = (order["id"].as_str().unwrap(), order["number"].as_str().unwrap());
    let streams = [format!("order-{id}"), id.to_owned(), number.to_owned()];
    admin.list_of(1, "/v1/sagas").await;

    for columns in [80, 100, 150] {
        for arguments in [
            &["events", "list"][..],
            &["audit", "show", number],
            &["sagas", "list"],
            &["sagas", "show", number],
            &["projections"],
            &["events", "show", "3"],
        ] {
            let (out, _) = on_a_terminal(world, columns, arguments).await;
            let widest = out.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(columns), "{arguments:?} in {columns} columns is {widest} wide:\n{out}");
        }
        // One event, one line.
        let (out, _) = on_a_terminal(world, columns, &["events", "list", "--limit", "10"]).await;
        assert_eq!(out.lines().filter(|line| line.contains(':')).count(), 10, "{out}");
    }

    // Every command accepts each name of a thing.
    for command in [&["audit", "show"][..], &["sagas", "show"], &["events", "list", "--stream"]] {
        let mut shown = Vec::new();
        for name in &streams {
            shown.push(world.run_well(&[command, &[name.as_str(), "--json"]].concat()).await);
        }
        assert!(shown.iter().all(|text| *text == shown[0] && !text.is_empty()), "{command:?}: {shown:?}");
    }

    let (out, err) = on_a_terminal(world, 100, &["events", "list", "--limit", "3"]).await;
    assert!(err.contains("3 shown, there are more: --from 4"), "{out}{err}");
    let (_, err) = on_a_terminal(world, 100, &["events", "list", "--limit", "100000"]).await;
    assert!(!err.contains("there are more"), "nothing is left out: {err}");
    let (_, err) = on_a_terminal(world, 100, &["sagas", "list", "--limit", "0"]).await;
    assert!(err.contains("there are more"), "{err}");
}

fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    let lines: Vec<Value> = lines.collect();
    assert!(lines.iter().all(Value::is_object), "one object a line: {text}");
    lines
}

pub async fn programs_get_objects_and_the_newest_events(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 50).await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let number = order["number"].as_str().unwrap();
    for arguments in [
        &["events", "list"][..],
        &["events", "count"],
        &["events", "show", "1"],
        &["audit", "show", number],
        &["audit", "verify"],
        &["sagas", "list"],
        &["sagas", "show", number],
        &["projections"],
        &["health"],
        &["schemas", "export", "--folder", world.folder().join("schemas").to_str().unwrap()],
        &["replay", "--verify-only"],
    ] {
        let text = world.run_well(&[arguments, &["--json"]].concat()).await;
        assert!(!objects(&text).is_empty(), "{arguments:?} says something");
    }

    let all = objects(&world.run_well(&["events", "list", "--limit", "10000", "--json"]).await);
    for filter in [&[][..], &["--type", "order.placed"], &["--stream", number]] {
        let list = [&["events", "list", "--json"], filter].concat();
        let whole = objects(&world.run_well(&[&list[..], &["--limit", "10000"]].concat()).await);
        let last = objects(&world.run_well(&[&list[..], &["--last", "2"]].concat()).await);
        assert_eq!(last, whole[whole.len().saturating_sub(2)..], "{filter:?}");
    }
    assert!(all.len() > 2);

    for (wrong, hint) in [
        (&["events", "list", "--type", "order.plced"][..], "order.placed"),
        (&["events", "count", "--type", "parrot"], "no such type of event"),
        (&["events", "list", "--stream", "ordr-01890a5d-ac96-774b-bcce-b302099a8057"], "did you mean order?"),
        (&["events", "tail", "--stream", "parrot"], "expected a stream"),
        (&["audit", "show", "paymnt-01890a5d-ac96-774b-bcce-b302099a8057"], "did you mean payment?"),
        (&["sagas", "show", "parrot"], "expected a stream"),
        (&["events", "list", "--last", "3", "--from", "4"], "cannot be used with"),
    ] {
        let output = world.run(wrong).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(hint), "{wrong:?}: {said}");
    }
    let mut misspelt = world.command(&["serve"]);
    misspelt.env("JANGBU_LOG", "inof");
    let output = crate::harness::run_to_end(misspelt).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("JANGBU_LOG") && said.contains("did you mean info?"), "{said}");
}
