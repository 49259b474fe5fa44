//! A Postgres database of a scenario's own.

use sqlx::{Connection as _, PgConnection};

/// A database that is there until [`Database::drop_it`].
pub struct Database {
    name: String,
    pub url: String,
}

impl Database {
    pub async fn make() -> Self {
        let started = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let name = format!("jangbu_journey_{}_{}", std::process::id(), started.as_nanos());
        on_server(&format!("create database {name}")).await;
        Self { url: with_name(&server_url(), &name), name }
    }

    pub async fn drop_it(self) {
        on_server(&format!("drop database {} with (force)", self.name)).await;
    }
}

fn server_url() -> String {
    std::env::var("JANGBU_TEST_DATABASE_URL")
        .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a database server and sets it")
}

async fn on_server(statement: &str) {
    let mut server = PgConnection::connect(&server_url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
}

/// The server's URL with another database.
fn with_name(server: &str, name: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, String::new()), |(a, p)| (a, format!("?{p}")));
    let (scheme, rest) = address.split_once("://").expect("a URL has a scheme");
    let authority = rest.split('/').next().unwrap();
    format!("{scheme}://{authority}/{name}{parameters}")
}
