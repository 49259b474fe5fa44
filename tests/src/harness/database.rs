//! A Postgres database of a scenario's own.

use sqlx::{Connection as _, PgConnection};

/// A database that exists until [`Database::drop_it`].
pub struct Database {
    server: String,
    name: String,
    pub url: String,
}

impl Database {
    /// On the server that the tests share.
    pub async fn make() -> Self {
        let server = std::env::var("JANGBU_TEST_DATABASE_URL")
            .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a database server and sets it");
        Self::make_on(&server).await
    }

    /// On a server of the scenario's own.
    pub async fn make_on(server: &str) -> Self {
        let started = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let name = format!("jangbu_journey_{}_{}", std::process::id(), started.as_nanos());
        let made = Self { url: with_name(server, &name), server: server.to_owned(), name };
        made.on_server(&format!("create database {}", made.name)).await;
        made
    }

    pub async fn drop_it(self) {
        self.on_server(&format!("drop database {} with (force)", self.name)).await;
    }

    /// Cuts every connection to the database; returns how many there were.
    pub async fn cut_connections(&self) -> i64 {
        let mut server = PgConnection::connect(&self.server).await.unwrap();
        let cut = sqlx::query_scalar(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity where datname = $1",
        )
        .bind(&self.name)
        .fetch_one(&mut server)
        .await
        .unwrap();
        server.close().await.unwrap();
        cut
    }

    async fn on_server(&self, statement: &str) {
        let mut server = PgConnection::connect(&self.server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut server).await.unwrap();
        server.close().await.unwrap();
    }
}

/// The server's URL with another database.
fn with_name(server: &str, name: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, String::new()), |(a, p)| (a, format!("?{p}")));
    let (scheme, rest) = address.split_once("://").expect("a URL has a scheme");
    let authority = rest.split('/').next().unwrap();
    format!("{scheme}://{authority}/{name}{parameters}")
}
