//! The read models on both engines, by the same tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod coverage;
mod facets;
mod fitting;
mod fixture;
mod following;
mod lists;
mod power_cut;
mod rebuilding;

/// Runs each test on SQLite and on Postgres, in a database of its own.
macro_rules! on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fixture = $crate::fixture::Fixture::sqlite().await;
                super::$name(&fixture).await;
                fixture.end().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fixture = $crate::fixture::Fixture::postgres().await;
                super::$name(&fixture).await;
                fixture.end().await;
            })+
        }
    };
}
pub(crate) use on_both_engines;
