//! What is there of the products, and what moved it.

use jangbu_aggregates::stock::StockLevel;
use jangbu_kernel::{ProductId, Version};

use super::cursor::Like;
use super::select::{Order, Select, row};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::{Kind, Value};
use crate::views::{MovementRow, StockMarksView, StockRow};

/// Which stock. What is absent does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockFilter {
    /// At this level.
    pub level: Option<StockLevel>,
}

/// The stock of a product in the catalogue, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedStock {
    /// The product's name.
    pub name: String,
    /// Its stock.
    pub stock: StockRow,
}

/// Stock by the age of its product.
const BY_PRODUCT: Order = Order { name: "stock", columns: &[("s.product_id", Like::Uuid)], descending: false };
/// Movements of a product's stock, the newest first.
const MOVEMENTS: Order = Order { name: "stock_movements", columns: &[("number", Like::Int)], descending: true };

impl Queries {
    /// Stock of the products in the catalogue, the oldest product first. A product that never had
    /// any is not among it.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn stocks(&self, filter: StockFilter, page: &PageRequest) -> Result<Page<NamedStock>, QueryError> {
        let engine = &self.models.engine;
        let mut select = Select::from(format!(
            "{} s join {} p on p.id = s.product_id",
            engine.table("stock"),
            engine.table("products")
        ))
        .with_some("s.level", "=", filter.level.map(|level| Value::name(level.name())));
        if filter.level.is_some_and(|level| level != StockLevel::Enough) {
            // The index of what is scarce holds just these.
            select = select.when("s.level <> 'enough'");
        }
        let read = |found: &[Value]| {
            let Some(Value::Text(Some(name))) = found.get(1) else {
                return Err(QueryError::Corrupt("a product has no name".to_owned()));
            };
            Ok(NamedStock { name: name.clone(), stock: row(found.first())? })
        };
        let keys = |item: &NamedStock| vec![Value::id(item.stock.product_id)];
        self.page_of("s.doc, p.name", &[Kind::Text, Kind::Text], select, &BY_PRODUCT, page, read, keys).await
    }

    /// The stock of a product.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn stock(&self, product_id: ProductId) -> Result<Option<StockRow>, QueryError> {
        let select = Select::from(self.models.engine.table("stock")).with("product_id", "=", Value::id(product_id));
        self.first(select, "").await
    }

    /// What moved the stock of a product, the newest first. The sum of all movements is what is on
    /// hand.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn stock_movements(
        &self,
        product_id: ProductId,
        page: &PageRequest,
    ) -> Result<Page<MovementRow>, QueryError> {
        let table = self.models.engine.table("stock_movements");
        let select = Select::from(table).with("product_id", "=", Value::id(product_id));
        self.page(select, &MOVEMENTS, page, |row: &MovementRow| vec![Value::count(row.number)]).await
    }

    /// The stock of a product at or shortly before a version, to fold on from; none if the stream
    /// is short.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn stock_before(&self, product_id: ProductId, version: Version) -> Result<Option<StockRow>, QueryError> {
        let Some(number) = StockMarksView::before(version) else { return Ok(None) };
        let select = Select::from(self.models.engine.table("stock_marks"))
            .with("product_id", "=", Value::id(product_id))
            // A read model that lags behind has an earlier one.
            .with("number", "<=", Value::count(number));
        self.first(select, " order by number desc").await
    }
}
