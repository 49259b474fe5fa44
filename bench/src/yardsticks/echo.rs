//! The typed echo: the HTTP stack of the API, and the body of placing an order parsed into its type
//! and written back, without a shop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::{Request, StatusCode};
use axum::{Json, Router, routing::post};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jangbu_app::signals::StopSignals;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::process::Child;
use tower::ServiceExt as _;

use crate::load::{Gun, Plan, Tally, fire};
use crate::machine;
use crate::orders::OrderPlan;
use crate::server::{announced, stop, this_program};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Order {
    lines: Vec<Line>,
    shipping_address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Payment>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    product_id: uuid::Uuid,
    quantity: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Address {
    recipient: String,
    phone: String,
    postal_code: String,
    line1: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    legs: Vec<Leg>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Leg {
    method: String,
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_token: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: String,
    currency: String,
}

async fn echo(Json(order): Json<Order>) -> (StatusCode, Json<Order>) {
    (StatusCode::CREATED, Json(order))
}

/// Serves until the process is ended.
///
/// # Errors
/// When no port is free.
pub async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("echo listening on http://{}", listener.local_addr()?);
    let router = Router::new().route("/v1/orders", post(echo));
    let mut signals = StopSignals::listen().context("signals cannot be listened to")?;
    tokio::select! {
        ended = accept(listener, router) => ended,
        signal = signals.next() => signal.map(|_| ()).context("signals cannot be listened to"),
    }
}

async fn accept(listener: TcpListener, router: Router) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        // An error is a client that disconnects; the bench notices that on its own side.
        tokio::spawn(connection);
    }
}

/// A running echo.
pub struct Echo {
    child: Child,
    address: SocketAddr,
}

impl Echo {
    /// Starts it as a process of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let mut command = this_program()?;
        command.arg("echo-server");
        let (child, address) = announced(command, "echo listening on http://").await?;
        Ok(Self { child, address: address.parse()? })
    }

    /// Sends it orders as a shop would receive them.
    ///
    /// # Errors
    /// When an answer is not that of an echo.
    pub async fn measure(&self, orders: &OrderPlan, connections: usize, plan: Plan) -> anyhow::Result<Tally> {
        let guns = (0..connections).map(|number| Gun { address: self.address, ammunition: orders.orders(number) });
        let tally = fire(guns.collect(), plan).await?;
        anyhow::ensure!(tally.only(201), "the echo answered {:?}", tally.statuses);
        Ok(tally)
    }

    /// Processor time that it has used since it started.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        machine::processor_time(self.child.id().context("the echo has ended")?)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(stop(&mut self.child).await?, "the echo did not end well");
        Ok(())
    }
}
