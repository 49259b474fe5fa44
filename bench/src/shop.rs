//! The shop that is measured: products with stock, buyers with points and tokens.

use std::net::SocketAddr;

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jangbu_app::client::{Shopper, text};
use serde_json::{Value, json};

use super::server::{ADMIN_EMAIL, ServerUnderTest};

/// What every product costs, in won; high enough to ship free of charge anywhere.
pub const PRICE: u64 = 60_000;
/// Stock of every product: more than any run can sell.
pub const PLENTY: u32 = 4_000_000;
/// Points of a buyer: enough to pay a few orders with points alone.
const POINTS: u64 = 10_000_000;
/// Connections that create the shop in parallel.
const HANDS: usize = 8;
const PASSWORD: &str = "jangbu-bench-buyer";

/// The size of a shop.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Products.
    pub products: usize,
    /// Units of each.
    pub units: u32,
    /// Buyers.
    pub buyers: usize,
    /// Whether the buyers have points.
    pub with_points: bool,
}

/// A shop that is ready for a load.
pub struct Shop {
    /// Ids of the products.
    pub products: Vec<String>,
    /// The buyers' `Authorization` headers.
    pub buyers: Vec<String>,
    address: SocketAddr,
}

impl Shop {
    /// Creates it through the API.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create(server: &ServerUnderTest, size: Size) -> anyhow::Result<Self> {
        let Size { products, units, buyers, with_points } = size;
        eprintln!("creating {products} products and {buyers} buyers ...");
        let created = stream::iter(0..HANDS)
            .map(|hand| create_products(server, (hand..products).step_by(HANDS).count(), units))
            .buffer_unordered(HANDS)
            .try_collect::<Vec<_>>()
            .await?;
        stream::iter(0..buyers)
            .map(|number| sign_up(server, number, with_points))
            .buffer_unordered(HANDS)
            .try_collect::<Vec<_>>()
            .await?;
        let products = created.into_iter().flatten().collect();
        let mut shop = Self { products, buyers: vec![String::new(); buyers], address: server.address()? };
        shop.log_in().await?;
        Ok(shop)
    }

    /// The same buyers with one new product instead of the others.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn with_new_product(&self, server: &ServerUnderTest, units: u32) -> anyhow::Result<Self> {
        let products = create_products(server, 1, units).await?;
        Ok(Self { products, buyers: self.buyers.clone(), address: self.address })
    }

    /// Fetches new tokens for the buyers, because a token expires after five minutes.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn log_in(&mut self) -> anyhow::Result<()> {
        let address = self.address.to_string();
        self.buyers = stream::iter(0..self.buyers.len())
            .map(|number| {
                let address = address.clone();
                async move {
                    let shopper = Shopper::login(&address, &email(number), PASSWORD).await?;
                    anyhow::Ok(shopper.authorization().to_owned())
                }
            })
            .buffer_unordered(HANDS)
            .try_collect()
            .await?;
        Ok(())
    }
}

/// Logs the administrator in.
///
/// # Errors
/// When the server refuses.
pub async fn admin(server: &ServerUnderTest) -> anyhow::Result<Shopper> {
    Shopper::login(&server.address()?.to_string(), ADMIN_EMAIL, &server.place.admin_password).await
}

/// A product's body.
#[must_use]
pub fn product(number: usize) -> Value {
    json!({
        "name": format!("측정용 상품 {number}"),
        "price": {"amount": PRICE.to_string(), "currency": "KRW"},
    })
}

async fn create_products(server: &ServerUnderTest, count: usize, units: u32) -> anyhow::Result<Vec<String>> {
    let mut admin = admin(server).await?;
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        let created = admin.post("/v1/products", &product(number)).await?;
        let id = text(&created, "id")?.to_owned();
        admin.post(&format!("/v1/stock/{id}/receive"), &json!({"quantity": units})).await?;
        ids.push(id);
    }
    Ok(ids)
}

fn email(number: usize) -> String {
    format!("buyer{number}@example.com")
}

async fn sign_up(server: &ServerUnderTest, number: usize, with_points: bool) -> anyhow::Result<()> {
    let mut anonymous = Shopper::anonymous(&server.address()?.to_string()).await?;
    let person = json!({"email": email(number), "password": PASSWORD, "name": "측정 구매자"});
    let user = anonymous.post("/v1/auth/register", &person).await?;
    let id = text(&user, "id")?;
    if with_points {
        let grant = json!({
            "amount": {"amount": POINTS.to_string(), "currency": "KRW"},
            "reference": "bench",
        });
        let mut admin = admin(server).await?;
        admin.post(&format!("/v1/users/{id}/points/grant"), &grant).await.context("no points for a buyer")?;
    }
    Ok(())
}
