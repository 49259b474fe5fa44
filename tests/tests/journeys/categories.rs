//! Categories: a tree that staff keep, and the products in it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, eventually, krw};

/// Makes a category; returns its id.
async fn made(admin: &Client, name: &str, parent: Option<&str>) -> String {
    let answer = admin.post("/v1/categories", &json!({"name": name, "parent_id": parent})).send().await.expect(201);
    answer["id"].as_str().unwrap().to_owned()
}

pub async fn products_are_found_by_category_on_every_level(world: &mut World) {
    let admin = world.admin().await;
    let visitor = world.visitor();
    let food = made(&admin, "식품", None).await;
    let fruit = made(&admin, "과일", Some(&food)).await;
    let gifts = made(&admin, "선물", None).await;
    let tea = json!({"name": "보이차", "price": krw(12_000), "category_ids": [food, gifts]});
    let tea = admin.post("/v1/products", &tea).send().await.expect(201);
    assert_eq!((&tea["category_id"], &tea["category_ids"]), (&json!(food), &json!([food, gifts])));
    let orange = json!({"name": "한라봉", "price": krw(25_000), "category_id": fruit, "tax_class": "exempt",
        "image_urls": ["https://shop.example/1.jpg"], "metadata": {"erp": "F-1"}});
    let orange = admin.post("/v1/products", &orange).send().await.expect(201);
    assert_eq!((&orange["tax_class"], &orange["metadata"]), (&json!("exempt"), &json!({"erp": "F-1"})));
    assert_eq!(orange["image_urls"], json!(["https://shop.example/1.jpg"]));

    let names = async |category: &str| {
        let listed = visitor.read_all(&format!("/v1/products?limit=1&sort=name&category={category}")).await;
        listed.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("the lists have both", async || (names(&food).await.len() == 2).then_some(())).await;
    assert_eq!(names(&food).await, ["보이차", "한라봉"], "what is below counts");
    assert_eq!((names(&fruit).await, names(&gifts).await), (vec!["한라봉".to_owned()], vec!["보이차".to_owned()]));

    let path = format!("/v1/products/{}", tea["id"].as_str().unwrap());
    let refiled = admin.call(Method::PUT, &path).json(&json!({"category_ids": [fruit]})).send().await.expect(200);
    assert_eq!(refiled["category_ids"], json!([fruit]));
    eventually("it is found there", async || (names(&fruit).await.len() == 2).then_some(())).await;
    assert_eq!(names(&gifts).await, Vec::<String>::new());
    // A category moves with all that is in it.
    let moved =
        admin.call(Method::PUT, &format!("/v1/categories/{fruit}")).json(&json!({"parent_id": gifts})).send().await;
    assert_eq!(moved.expect(200)["parent_id"], json!(gifts));
    eventually("it moved", async || (names(&gifts).await.len() == 2).then_some(())).await;
    assert_eq!(names(&food).await, Vec::<String>::new());
    world.run_well(&["replay", "--verify-only"]).await;
}

pub async fn the_tree_is_kept_in_order(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let food = made(&admin, "식품", None).await;
    let fruit = made(&admin, "과일", Some(&food)).await;
    let path = |id: &str| format!("/v1/categories/{id}");
    let change = |id: &str, body: Value| admin.call(Method::PUT, &path(id)).json(&body).send();

    assert_eq!(change(&food, json!({"name": "먹거리"})).await.expect(200)["name"], "먹거리");
    change(&food, json!({"parent_id": fruit})).await.expect_problem(409, "category_cycle");
    change(&food, json!({"parent_id": food})).await.expect_problem(409, "category_cycle");
    let nobody = "01890a5d-ac96-774b-bcce-000000000009";
    let problem = change(&food, json!({"parent_id": nobody})).await.expect_problem(404, "not_found");
    assert!(problem.to_string().contains("/parent_id"), "{problem}");
    let product = json!({"name": "x", "price": krw(1), "category_id": nobody});
    let problem = admin.post("/v1/products", &product).send().await.expect_problem(404, "not_found");
    assert!(problem.to_string().contains("/category_ids/0"), "{problem}");
    let both = json!({"name": "x", "price": krw(1), "category_id": food, "category_ids": [fruit, food]});
    let both = admin.post("/v1/products", &both).send().await.expect(201);
    assert_eq!(both["category_ids"], json!([food, fruit]), "the main one is the first");
    buyer.call(Method::DELETE, &path(&fruit)).send().await.expect_problem(403, "forbidden");
    buyer.post("/v1/categories", &json!({"name": "x"})).send().await.expect_problem(403, "forbidden");

    let listed = async |query: &str| {
        let items = world.visitor().read_all(&format!("/v1/categories?limit=1{query}")).await;
        items.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("both are listed", async || (listed("").await == ["과일", "먹거리"]).then_some(())).await;
    assert_eq!(listed("&top=true").await, ["먹거리"]);
    assert_eq!(listed(&format!("&parent={food}")).await, ["과일"]);

    admin.call(Method::DELETE, &path(&food)).send().await.expect_problem(409, "category_not_empty");
    for id in [&fruit, &fruit, &food] {
        assert_eq!(admin.call(Method::DELETE, &path(id)).send().await.status, 204, "a repeat changes nothing");
    }
    change(&food, json!({"name": "x"})).await.expect_problem(404, "not_found");
    eventually("they are gone", async || listed("").await.is_empty().then_some(())).await;
    world.run_well(&["audit", "verify"]).await;
}
