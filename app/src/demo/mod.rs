//! `jangbu demo`: fills a running server, through its HTTP API alone, with a
//! believable shop and orders in every state.

mod catalogue;
mod people;
mod returns;
mod stories;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use self::catalogue::Catalogue;
use self::people::People;
use crate::client::Shopper;
use crate::output::Progress;

/// What `jangbu demo` can be told.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  jangbu demo                                  fill the server of ./data
  JANGBU_ADMIN_PASSWORD=... jangbu demo --server 10.0.0.5:8080
                                               fill another server, with a login of it
  jangbu demo --seed 42 --orders 300           another shop, more orders")]
pub struct DemoArgs {
    /// Address of the running server; found through the data folder when absent.
    #[arg(long)]
    pub server: Option<String>,
    /// Address of its sandbox gateway; found through the data folder when absent.
    #[arg(long)]
    pub sandbox: Option<String>,
    /// Products to create.
    #[arg(long, default_value_t = 200)]
    pub products: usize,
    /// Buyers to sign up.
    #[arg(long, default_value_t = 12)]
    pub buyers: usize,
    /// Orders to tell the story of.
    #[arg(long, default_value_t = 60)]
    pub orders: usize,
    /// The same seed gives the same shop.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// How the demo logs in and finds the external systems.
pub struct DemoAccess {
    /// Address of the server.
    pub server: String,
    /// E-mail address of an account that may run the shop.
    pub email: String,
    /// Their password.
    pub password: String,
    /// Address of the sandbox, if there is one.
    pub sandbox: Option<String>,
}

/// Fills the shop and prints what is in it.
///
/// # Errors
/// When the server cannot be reached or refuses something that it should not.
pub async fn run(args: &DemoArgs, access: &DemoAccess) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(args.seed);
    let mut admin = Shopper::login(&access.server, &access.email, &access.password)
        .await
        .context("the demo needs the login of somebody who may run the shop")?;
    let mut steps = Steps::begin("creating products with stock", args.products, "products");
    let catalogue = Catalogue::create(&mut admin, args.products, &mut random, &mut steps).await?;
    steps.next("signing buyers up", args.buyers, "buyers");
    let mut people = People::sign_up(&access.server, args.buyers, args.seed, &mut random, &mut steps).await?;
    for buyer in people.buyers() {
        let grant = json!({
            "amount": {"amount": "30000", "currency": "KRW"},
            "reference": "가입 축하 포인트",
        });
        admin.post(&format!("/v1/users/{}/points/grant", buyer.id), &grant).await?;
    }
    steps.next("placing orders and telling their stories", args.orders, "orders");
    let mut teller = stories::Teller::new(&mut admin, access, &catalogue);
    let told = teller.tell_all(&mut people, args.orders, &mut random, &mut steps).await?;
    steps.end();
    print_summary(args, access, &people, &told);
    if let Some(number) = &told.last_number {
        println!("one of them, with its refund: jangbu audit show {number}");
    }
    Ok(())
}

/// The steps of the demo, each with its progress.
pub struct Steps {
    progress: Progress,
    done: u64,
    total: u64,
}

impl Steps {
    fn begin(what: &str, total: usize, unit: &'static str) -> Self {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        println!("{what}: {total} {unit} ...");
        Self { progress: Progress::of(what, total, unit), done: 0, total }
    }

    /// The next step.
    pub fn next(&mut self, what: &str, total: usize, unit: &'static str) {
        std::mem::replace(self, Self::begin(what, total, unit)).end();
    }

    /// Counts one item as done.
    pub fn one(&mut self) {
        self.done += 1;
        self.progress.at(self.done, self.total);
    }

    fn end(self) {
        self.progress.end();
    }
}

fn print_summary(args: &DemoArgs, access: &DemoAccess, people: &People, told: &stories::Told) {
    println!("\nthe shop is open: {} products, {} buyers, {} orders", args.products, args.buyers, told.total());
    for (status, count) in &told.by_status {
        println!("  {count:>5}  {status}");
    }
    for note in &told.notes {
        println!("  {note}");
    }
    if let Some(buyer) = people.buyers().next() {
        println!("a buyer {}  password {}  (all buyers have it)", buyer.email, people::PASSWORD);
    }
    println!("API     http://{}/v1/orders", access.server);
    println!("docs    http://{}/docs", access.server);
}
