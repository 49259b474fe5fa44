//! Files come in and go out: by route, by command, interrupted and sent again.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, eventually};

const CSV: &str = "text/csv";
const NO_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The lines of an answer: the rows and the summary.
fn told(lines: &str) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().expect("a summary")["summary"].clone();
    assert!(summary["state"].is_string(), "the last line is the summary: {summary}");
    (lines, summary)
}

async fn import(client: &Client, path: &str, key: &str, content_type: &str, body: &str) -> (Vec<Value>, Value) {
    let reply = client.call(Method::POST, path).body(content_type, body).key(key).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    told(&reply.text())
}

fn outcomes(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect()
}

fn write(world: &World, name: &str, content: &str) -> PathBuf {
    let path = world.folder().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn shown(client: &Client, id: &str) -> Value {
    let path = format!("/v1/products/{id}");
    eventually("the product is shown", async || {
        let reply = client.get(&path).send().await;
        (reply.status == 200).then(|| reply.json())
    })
    .await
}

/// The file that the catalogue is, when it has so many rows.
async fn catalogue(client: &Client, query: &str, rows: usize) -> String {
    eventually("the catalogue is whole", async || {
        let reply = client.get(&format!("/v1/exports/products{query}")).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let file = reply.text();
        // A row of these tests is a line, behind the head of a CSV file.
        let head = usize::from(!query.contains("jsonl"));
        (file.lines().count() == rows + head).then_some(file)
    })
    .await
}

pub async fn a_catalogue_comes_in_with_an_outcome_for_each_row(world: &mut World) {
    let admin = world.admin().await;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let file = format!(
        "\u{feff}id,name,price,currency,active,metadata\n\
         {tea},보이차 100g,13000,KRW,,\n\
         ,\"감귤, 5kg\",25000,KRW,,\"{{\"\"sku\"\":\"\"G-5\"\"}}\"\n\
         {tea},,,,,\n\
         ,,1000,KRW,,\n\
         ,mug,12.505,USD,maybe,\n\
         {tea},,9.50,USD,,\n\
         ,찻잔,30000,,false,\n"
    );
    let dry = import(&admin, "/v1/imports/products?dry_run=true", "catalogue-1", CSV, &file).await;
    let expected = ["changed", "created", "unchanged", "invalid", "invalid", "invalid", "created"];
    assert_eq!(outcomes(&dry.0), expected, "{:?}", dry.0);
    assert_eq!((&dry.1["import_id"], &dry.1["dry_run"]), (&Value::Null, &json!(true)));
    assert_eq!(admin.read(&format!("/v1/products/{tea}")).await["name"], "보이차", "nothing was written");

    let (rows, summary) = import(&admin, "/v1/imports/products", "catalogue-1", CSV, &file).await;
    assert_eq!(outcomes(&rows), expected, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row["row"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((&rows[3]["pointer"], &rows[3]["code"]), (&json!("/name"), &json!("validation_failed")));
    assert_eq!((&rows[4]["pointer"], &rows[4]["code"]), (&json!("/price"), &json!("invalid_amount")), "{rows:?}");
    assert_eq!(rows[4]["errors"].as_array().map(Vec::len), Some(2), "{rows:?}");
    assert_eq!((&rows[5]["pointer"], &rows[5]["code"]), (&json!("/price"), &json!("validation_failed")));
    for (count, expected) in [("rows", 7), ("created", 2), ("changed", 1), ("unchanged", 1), ("invalid", 3)] {
        assert_eq!(summary[count], expected, "{count}: {summary}");
    }
    let made = shown(&admin, rows[1]["product_id"].as_str().unwrap()).await;
    assert_eq!((&made["name"], &made["metadata"]["sku"]), (&json!("감귤, 5kg"), &json!("G-5")));
    let cup = shown(&admin, rows[6]["product_id"].as_str().unwrap()).await;
    assert_eq!(cup["active"], false);

    // Where it is found again, also after a restart.
    let import_id = summary["import_id"].as_str().unwrap();
    world.kill_shop().await;
    world.start_shop().await;
    let admin = world.admin().await;
    let found = admin.read(&format!("/v1/imports/{import_id}")).await;
    assert_eq!((&found["state"], &found["rows"], &found["run"]), (&json!("done"), &json!(7), &json!(1)), "{found}");
    assert_eq!((&found["kind"], &found["created"]), (&json!("products"), &json!(2)), "{found}");
    admin.get(&format!("/v1/imports/{NO_ID}")).send().await.expect_problem(404, "not_found");

    // The same file again does nothing twice; a mended one carries out what was mended.
    let again = import(&admin, "/v1/imports/products", "catalogue-1", CSV, &file).await;
    let expected = ["replayed", "replayed", "unchanged", "invalid", "invalid", "invalid", "replayed"];
    assert_eq!(outcomes(&again.0), expected, "{:?}", again.0);
    assert_eq!(again.0[1]["product_id"], rows[1]["product_id"]);
    let mended = file.replace("12.505,USD,maybe", "12.50,USD,true").replace("감귤", "귤");
    let (rows, _) = import(&admin, "/v1/imports/products", "catalogue-1", CSV, &mended).await;
    assert_eq!(outcomes(&rows)[..5], ["replayed", "refused", "unchanged", "invalid", "created"], "{rows:?}");
    assert_eq!(rows[1]["code"], "idempotency_key_reused");
    assert_eq!(admin.read(&format!("/v1/imports/{import_id}")).await["run"], 3);
    what_is_no_file_is_refused(world, &admin).await;
}

async fn what_is_no_file_is_refused(world: &World, admin: &Client) {
    let send = |content_type: &str, body: &[u8]| {
        admin.call(Method::POST, "/v1/imports/products").body(content_type, body).send()
    };
    let problem = send(CSV, b"id,color\n").await.expect_problem(400, "validation_failed");
    assert_eq!(problem["errors"][0]["code"], "unknown_column", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("color"), "{problem}");
    send(CSV, b"name\n\xba\xb8\n").await.expect_problem(400, "validation_failed");
    send("application/json", b"[]").await.expect_problem(415, "unsupported_media_type");
    send("text/csv; charset=euc-kr", b"name\n").await.expect_problem(415, "unsupported_media_type");
    let buyer = world.buyer("minji").await.client;
    for path in ["/v1/imports/products", "/v1/imports/stock"] {
        let refused = buyer.call(Method::POST, path).body(CSV, "name\n").send().await;
        refused.expect_problem(403, "forbidden");
    }
    for path in ["products", "stock", "orders"] {
        buyer.get(&format!("/v1/exports/{path}")).send().await.expect_problem(403, "forbidden");
    }
}

pub async fn goods_come_in_once_and_are_counted(world: &mut World) {
    let admin = world.admin().await;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let cup = world.product(&admin, "찻잔", 30_000, 0).await;
    let file = format!("product_id,quantity\n{tea},10\n{cup},4\n{NO_ID},4\n{tea},0\n{tea},1\n");
    let path = "/v1/imports/stock?mode=receive";
    let (rows, summary) = import(&admin, path, "delivery-1", CSV, &file).await;
    assert_eq!(outcomes(&rows), ["changed", "changed", "refused", "invalid", "changed"], "{rows:?}");
    assert_eq!((&rows[2]["code"], &rows[2]["pointer"]), (&json!("not_found"), &json!("/product_id")));
    assert_eq!(rows[3]["pointer"], "/quantity");
    assert_eq!(summary["changed"], 3);
    let (rows, _) = import(&admin, path, "delivery-1", CSV, &file).await;
    assert_eq!(outcomes(&rows), ["replayed", "replayed", "refused", "invalid", "replayed"], "{rows:?}");
    let on_hand = async |expected: i64| {
        eventually("the stock is shown", async || {
            let stock = admin.read(&format!("/v1/stock/{tea}")).await;
            (stock["on_hand"] == expected).then_some(())
        })
        .await;
    };
    on_hand(16).await;
    let lines =
        format!("{{\"product_id\":\"{tea}\",\"quantity\":7,\"mode\":\"count\",\"reason\":\"the yearly count\"}}\n");
    let (rows, _) = import(&admin, "/v1/imports/stock", "counted-1", "application/x-ndjson", &lines).await;
    assert_eq!(outcomes(&rows), ["changed"]);
    on_hand(7).await;

    // What is exported is a count that can be filled in.
    let row = format!("{tea},7,count,,보이차,0,0,7");
    let exported = eventually("the stock of both products is exported", async || {
        let exported = admin.get("/v1/exports/stock").send().await.text();
        (exported.contains(&row) && exported.lines().count() == 3).then_some(exported)
    })
    .await;
    let head = "product_id,quantity,mode,reason,name,reserved,allocated,available";
    assert_eq!(exported.lines().next(), Some(head));
    let counted = exported.replace(",7,count,", ",6,count,");
    let (rows, _) = import(&admin, "/v1/imports/stock", "counted-2", CSV, &counted).await;
    assert_eq!(outcomes(&rows), ["changed", "changed"], "that somebody counted is a fact");
    on_hand(6).await;
    an_export_of_orders_names_nobody(world, &tea).await;
}

async fn an_export_of_orders_names_nobody(world: &World, tea: &str) {
    let admin = world.admin().await;
    let buyer = world.buyer("hana").await.client;
    let order = buyer.place(&[(tea, 2)]).await;
    let number = order["number"].as_str().unwrap();
    for format in ["csv", "jsonl"] {
        let path = format!("/v1/exports/orders?format={format}");
        let file = eventually("the order is shown", async || {
            let file = admin.get(&path).send().await.text();
            file.contains(number).then_some(file)
        })
        .await;
        assert!(file.contains("24000") && file.contains("보이차"), "{file}");
        let address = &crate::harness::basket(&[])["shipping_address"];
        for personal in ["recipient", "phone", "line1"] {
            assert!(!file.contains(address[personal].as_str().unwrap()), "{personal}: {file}");
        }
    }
    let printed = world.run_well(&["export", "orders", "--json"]).await;
    assert!(printed.contains(number), "{printed}");
}

pub async fn a_file_that_was_interrupted_goes_on_where_it_was_left(world: &mut World) {
    const ROWS: usize = 3_000;
    let admin = world.admin().await;
    let mut file = "name,price\n".to_owned();
    for row in 1..=ROWS {
        file.push_str(&format!("product {row},{}\n", row * 10));
    }
    let call = admin.call(Method::POST, "/v1/imports/products").body(CSV, file.as_str()).key("a-large-file");
    let mut response = call.open().await.unwrap();
    assert_eq!(response.headers()["jangbu-rows"].to_str().unwrap(), ROWS.to_string());
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let left = eventually("the import is over", async || {
        Some(admin.read(&location).await).filter(|import| import["state"] != "running")
    })
    .await;
    let made = left["created"].as_u64().unwrap();
    if left["state"] == "interrupted" {
        assert_eq!(left["reason"], "client_gone", "{left}");
        assert!(made < ROWS as u64, "{left}");
    }

    // Killed in the middle, it is found on, and goes on all the same.
    let call = admin.call(Method::POST, "/v1/imports/products").body(CSV, file.as_str()).key("a-large-file");
    let mut response = call.open().await.unwrap();
    let _ = response.chunk().await;
    world.kill_shop().await;
    world.start_shop().await;
    let admin = world.admin().await;
    assert_eq!(admin.read(&location).await["run"], 2);

    let (rows, summary) = import(&admin, "/v1/imports/products", "a-large-file", CSV, &file).await;
    assert_eq!(rows.len(), ROWS);
    assert_eq!(summary["state"], "done", "{summary}");
    let counted = ["created", "replayed"].map(|count| summary[count].as_u64().unwrap());
    assert_eq!(counted.iter().sum::<u64>(), ROWS as u64, "{summary}");
    assert!(counted[1] >= made, "{summary}: {made} were made before");
    let exported = catalogue(&admin, "", ROWS).await;
    let names: Vec<_> = exported.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=ROWS).map(|row| format!("product {row}")).collect();
    assert_eq!(names, expected, "each row made one product, in the order of the file");
}

const CATALOGUE: &str = "\
name,price,currency,description,weight_grams,tax_class,image_urls,metadata,active
\"보이차, 100g\",12000,KRW,\"첫째 줄
둘째 \"\"줄\"\"\",100,taxable,https://x.example/1;https://x.example/2,\"{\"\"sku\"\":\"\"T-1\"\"}\",
mug,12.50,USD,,0,exempt,,,false
";

pub async fn what_is_exported_is_imported_elsewhere_and_exported_again_the_same(world: &mut World) {
    let admin = world.admin().await;
    import(&admin, "/v1/imports/products", "the-catalogue", CSV, CATALOGUE).await;
    let shirt = world.product(&admin, "모시 셔츠", 45_000, 0).await;
    let small = world.product(&admin, "모시 셔츠 S", 45_000, 3).await;
    let variant = json!({"of": shirt, "options": {"크기": "S"}});
    admin.call(Method::PUT, &format!("/v1/products/{small}/variant")).json(&variant).send().await.expect(200);
    let lines = eventually("the variant is shown", async || {
        let file = catalogue(&admin, "?format=jsonl", 4).await;
        file.contains("\"variant_of\":\"").then_some(file)
    })
    .await;
    let csv = admin.get("/v1/exports/products").send().await.text();
    assert_eq!(csv, admin.get("/v1/exports/products?bom=true").send().await.text().trim_start_matches('\u{feff}'));
    for (content_type, file) in [(CSV, &csv), ("application/x-ndjson", &lines)] {
        let (rows, _) =
            import(&admin, "/v1/imports/products", &format!("again-{content_type}"), content_type, file).await;
        assert_eq!(outcomes(&rows), ["unchanged"; 4], "{rows:?}");
    }
    let (csv_file, lines_file) = (write(world, "out.csv", &csv), write(world, "out.jsonl", &lines));
    assert_eq!(world.run_well(&["export", "products"]).await, csv, "by route and by command");
    let to = world.folder().join("written.jsonl");
    world.run_well(&["export", "products", "--format", "jsonl", "--output", text(&to)]).await;
    assert_eq!(std::fs::read_to_string(&to).unwrap(), lines);

    for file in [csv_file, lines_file] {
        let other = World::start(world.engine()).await;
        let said = other.run_well(&["import", "products", text(&file), "--json"]).await;
        let (rows, _) = told(&said);
        assert_eq!(outcomes(&rows), ["created"; 4], "{said}");
        let there = other.admin().await;
        assert_eq!(catalogue(&there, "?format=jsonl", 4).await, lines);
        assert_eq!(there.get("/v1/exports/products").send().await.text(), csv);
        other.everything_holds().await;
        other.remove().await;
    }
}

pub async fn an_import_by_command_works_with_and_without_the_server(world: &mut World) {
    let file = write(world, "catalogue.csv", "name,price\ntea,12000\n,5\ncup,x\n");
    let rejected = world.folder().join("rejected.csv");
    let import = ["import", "products", text(&file)];
    let dry = world.run(&[&import[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.status.code(), Some(1));
    let done = world.run(&[&import[..], &["--rejected", text(&rejected)]].concat()).await;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("row 2: invalid at /name") && said.contains("row 3: invalid at /price"), "{said}");
    assert_eq!(std::fs::read_to_string(&rejected).unwrap(), "name,price\n,5\ncup,x\n");

    // Without a server the command does the work itself, and knows what was done before.
    assert!(world.terminate_shop().await.success());
    let again = world.run(&[&import[..], &["--json"]].concat()).await;
    let (rows, summary) = told(&String::from_utf8_lossy(&again.stdout));
    assert_eq!(outcomes(&rows), ["replayed", "invalid", "invalid"], "{summary}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--again"));
    let mended = write(world, "mended.csv", "name,price\ncup,3000\n");
    world.run_well(&["import", "products", text(&mended)]).await;
    world.run_well(&["import", "products", text(&mended), "--again"]).await;
    let unreadable = write(world, "unreadable.csv", "name,colour\n");
    let refused = world.run(&["import", "products", text(&unreadable)]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("colour") && refused.status.code() == Some(1), "{said}");
    let unnamed = write(world, "catalogue.txt", "name\n");
    assert!(!world.run(&["import", "products", text(&unnamed)]).await.status.success());

    world.start_shop().await;
    let admin = world.admin().await;
    let listed = catalogue(&admin, "", 3).await;
    assert_eq!(listed.matches("cup,,3000,").count(), 2, "{listed}");
    let id = listed.lines().nth(1).unwrap().split(',').next().unwrap();
    let stock = write(world, "stock.csv", &format!("product_id,quantity\n{id},3\n"));
    world.run_well(&["import", "stock", text(&stock), "--mode", "receive"]).await;
    world.run_well(&["import", "stock", text(&stock), "--mode", "receive"]).await;
    eventually("the goods came in once", async || {
        (admin.read(&format!("/v1/stock/{id}")).await["on_hand"] == 3).then_some(())
    })
    .await;
}
