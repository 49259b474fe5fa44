//! The shop that is measured: products with stock, buyers with points and tokens.

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::server::{ADMIN_EMAIL, ServerUnderTest};
use crate::client::{Shopper, text};

/// What every product costs, in won; high enough to ship free of charge anywhere.
pub const PRICE: u64 = 60_000;
/// Connections that create the shop side by side.
const HANDS: usize = 8;
const PASSWORD: &str = "jangbu-bench-buyer";

/// A shop ready to be measured.
pub struct Shop {
    /// Ids of the products.
    pub products: Vec<String>,
    /// The buyers' `Authorization` headers.
    pub buyers: Vec<String>,
}

/// Creates the shop through the API.
pub async fn create(
    server: &ServerUnderTest,
    products: usize,
    buyers: usize,
    units: u32,
    points: u64,
) -> anyhow::Result<Shop> {
    eprintln!("creating {products} products and {buyers} buyers ...");
    let created = stream::iter(0..HANDS)
        .map(|hand| create_products(server, (hand..products).step_by(HANDS).count(), units))
        .buffer_unordered(HANDS)
        .try_collect::<Vec<_>>()
        .await?;
    let signed_up = stream::iter(0..buyers)
        .map(|number| sign_up(server, number, points))
        .buffer_unordered(HANDS)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(Shop { products: created.into_iter().flatten().collect(), buyers: signed_up })
}

async fn create_products(server: &ServerUnderTest, count: usize, units: u32) -> anyhow::Result<Vec<String>> {
    let mut admin = Shopper::login(&server.address, ADMIN_EMAIL, &server.admin_password).await?;
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        let product = json!({
            "name": format!("측정용 상품 {number}"),
            "price": {"amount": PRICE.to_string(), "currency": "KRW"},
        });
        let created = admin.post("/v1/products", &product).await?;
        let id = text(&created, "id")?.to_owned();
        admin.post(&format!("/v1/stock/{id}/receive"), &json!({"quantity": units})).await?;
        ids.push(id);
    }
    Ok(ids)
}

async fn sign_up(server: &ServerUnderTest, number: usize, points: u64) -> anyhow::Result<String> {
    let mut anonymous = Shopper::anonymous(&server.address).await?;
    let email = format!("buyer{number}@example.com");
    let person = json!({"email": email, "password": PASSWORD, "name": "측정 구매자"});
    let user = anonymous.post("/v1/auth/register", &person).await?;
    let id = text(&user, "id")?;
    if points > 0 {
        let mut admin = Shopper::login(&server.address, ADMIN_EMAIL, &server.admin_password).await?;
        let grant = json!({
            "amount": {"amount": points.to_string(), "currency": "KRW"},
            "reference": "bench",
        });
        admin.post(&format!("/v1/users/{id}/points/grant"), &grant).await.context("no points for a buyer")?;
    }
    let shopper = Shopper::login(&server.address, &email, PASSWORD).await?;
    Ok(shopper.authorization().to_owned())
}
