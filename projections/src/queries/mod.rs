//! Queries on the read models. Each is answered by one indexed database query.

mod catalogue;
mod categories;
mod cursor;
mod facets;
mod fulfilments;
mod notices;
mod people;
mod returns;
mod sales;
mod select;
mod status;
mod stock;

use std::time::Duration;

use jangbu_kernel::Position;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::EngineError;
use crate::models::ReadModels;

pub use catalogue::{MOST_SEARCH_LETTERS, MOST_SEARCH_WORDS, ProductFilter, ProductSort, ProductWithStock};
pub use categories::{CategoryPlace, MOST_BELOW};
pub use facets::{MOST_LOOKED_AT, PriceBand, ProductFacets};
pub use fulfilments::{FulfilmentFilter, FulfilmentState};
pub use notices::NoticeFilter;
pub use people::UserFilter;
pub use returns::ReturnFilter;
pub use sales::{OrderFilter, PaymentFilter, ShipmentFilter};
pub(crate) use status::statuses;
pub use status::{ParkedStream, ProjectionState, ProjectionStatus};
pub use stock::{NamedStock, StockFilter};

/// How often the checkpoints are polled while another process projects.
const POLL: Duration = Duration::from_millis(20);
/// The longest page, whatever is asked for.
const LONGEST_PAGE: u32 = 200;

/// Why a query failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The cursor was not made by this list.
    #[error("the cursor is not one of this list")]
    BadCursor,
    /// The search has more words than one may have.
    #[error("a search takes at most {MOST_SEARCH_WORDS} different words of {MOST_SEARCH_LETTERS} letters together")]
    SearchTooLong,
    /// More products have the words than orders are looked for with.
    #[error("more than {LONGEST_PAGE} products have these words, name them closer")]
    SearchTooBroad,
    /// The read models cannot be reached; trying again later may help.
    #[error("the read models are unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: rebuild the view.
    #[error("the read models are damaged: {0}")]
    Corrupt(String),
}

impl From<EngineError> for QueryError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Corrupt(text) => Self::Corrupt(text),
            EngineError::Fenced => Self::Unavailable(error.to_string()),
            EngineError::Unavailable(text) | EngineError::Full(text) => Self::Unavailable(text),
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<String>,
}

/// Which page of a list to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Where it begins: the `next_cursor` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// How many items at most, 1-200.
    pub limit: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { cursor: None, limit: 50 }
    }
}

impl PageRequest {
    fn clamped(&self) -> u32 {
        self.limit.clamp(1, LONGEST_PAGE)
    }
}

/// The queries on the read models. Clones share one handle.
#[derive(Clone)]
pub struct Queries {
    pub(crate) models: ReadModels,
}

impl Queries {
    pub(crate) fn new(models: ReadModels) -> Self {
        Self { models }
    }

    /// Waits until every view shows the log up to a position; false if the deadline passes first.
    /// It listens to this process's projector, or polls the checkpoints when another process
    /// projects.
    pub async fn wait_for(&self, position: Position, deadline: Instant) -> bool {
        let mut published = self.models.published.subscribe();
        loop {
            let here = *published.borrow_and_update();
            if let Some(reached) = here {
                if reached >= position {
                    return true;
                }
                let _waiting = Waiting::among(&self.models.waiting);
                if !matches!(tokio::time::timeout_at(deadline, published.changed()).await, Ok(Ok(()))) {
                    return false;
                }
                continue;
            }
            if self.models.engine.reached().await.is_ok_and(|reached| reached >= position) {
                return true;
            }
            let next = Instant::now() + POLL;
            if next > deadline {
                return false;
            }
            tokio::time::sleep_until(next).await;
        }
    }
}

/// A caller who waits, counted until the wait is over, however it ends.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn among(all: &'a watch::Sender<usize>) -> Self {
        all.send_modify(|count| *count = count.saturating_add(1));
        Self(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
