//! Writes what the read models show into a file, page by page.

use axum::body::Bytes;
use futures::Stream;
use jangbu_kernel::Money;
use jangbu_projections::{
    NamedStock, OrderLineRow, OrderRow, PageRequest, ProductRow, Queries, QueryError, StockFilter,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::rows::{PRODUCT_COLUMNS, STOCK_COLUMNS, StockMode};
use super::sheet::Format;
use crate::http::view::{Amount, Moment};

/// Rows of a page.
const PAGE: u32 = 200;

/// The columns of a file of orders. Nothing of it says who bought or where it goes, but for the
/// buyer's id.
const ORDER_COLUMNS: &[&str] = &[
    "id",
    "number",
    "user_id",
    "status",
    "placed_at",
    "paid_at",
    "currency",
    "subtotal",
    "discount",
    "shipping_fee",
    "total",
    "payment_id",
    "lines",
];

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ExportKind {
    /// The catalogue, on sale or not, as an import takes it.
    Products,
    /// What is there of it, as an import takes a count.
    Stock,
    /// The orders, without names and addresses.
    Orders,
}

jangbu_kernel::named!(ExportKind);

/// A file that is to be written.
#[derive(Clone)]
pub struct Export {
    /// The read models.
    pub queries: Queries,
    /// What is written.
    pub kind: ExportKind,
    /// How.
    pub format: Format,
    /// Whether it begins with a byte order mark, by which spreadsheets know UTF-8.
    pub bom: bool,
}

/// Which part of the file comes next.
enum Next {
    /// The head, then the first page.
    Head,
    /// Products that are no variants, or everything of another kind.
    Page(Option<String>),
    /// Variants, behind what they are variants of.
    Variants(Option<String>),
    End,
}

/// A row, ready to be written either way.
struct Written {
    object: Value,
    cells: Vec<String>,
}

impl Export {
    /// The file in pieces, each with the number of its rows.
    pub fn pieces(self) -> impl Stream<Item = Result<(Bytes, u64), QueryError>> + Send + 'static {
        futures::stream::try_unfold((self, Next::Head), async |(export, next)| {
            let (rows, next) = match next {
                Next::End => return Ok(None),
                Next::Head => return Ok(Some(((export.head(), 0), (export, Next::Page(None))))),
                Next::Page(cursor) => {
                    let (rows, cursor) = export.page(cursor, false).await?;
                    let behind = if export.kind == ExportKind::Products { Next::Variants(None) } else { Next::End };
                    (rows, cursor.map_or(behind, |cursor| Next::Page(Some(cursor))))
                }
                Next::Variants(cursor) => {
                    let (rows, cursor) = export.page(cursor, true).await?;
                    (rows, cursor.map_or(Next::End, |cursor| Next::Variants(Some(cursor))))
                }
            };
            let count = rows.len() as u64;
            Ok(Some(((export.written(rows)?, count), (export, next))))
        })
    }

    fn head(&self) -> Bytes {
        let bom = if self.bom { "\u{feff}" } else { "" };
        match self.format {
            Format::Csv => {
                let columns = match self.kind {
                    ExportKind::Products => PRODUCT_COLUMNS,
                    ExportKind::Stock => STOCK_COLUMNS,
                    ExportKind::Orders => ORDER_COLUMNS,
                };
                format!("{bom}{}\n", columns.join(",")).into()
            }
            Format::Jsonl => Bytes::new(),
        }
    }

    async fn page(&self, cursor: Option<String>, variants: bool) -> Result<(Vec<Written>, Option<String>), QueryError> {
        let request = PageRequest { cursor, limit: PAGE };
        Ok(match self.kind {
            ExportKind::Products => {
                let page = self.queries.products_by_id(variants, &request).await?;
                (page.items.into_iter().map(product).collect(), page.next_cursor)
            }
            ExportKind::Stock => {
                let page = self.queries.stocks(StockFilter::default(), &request).await?;
                (page.items.iter().map(stock).collect(), page.next_cursor)
            }
            ExportKind::Orders => {
                let page = self.queries.orders_by_id(&request).await?;
                (page.items.iter().map(order).collect(), page.next_cursor)
            }
        })
    }

    fn written(&self, rows: Vec<Written>) -> Result<Bytes, QueryError> {
        let failed = |error: String| QueryError::Corrupt(format!("a row cannot be written: {error}"));
        let mut bytes = Vec::new();
        match self.format {
            Format::Jsonl => {
                for row in rows {
                    serde_json::to_writer(&mut bytes, &row.object).map_err(|error| failed(error.to_string()))?;
                    bytes.push(b'\n');
                }
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut bytes);
                for row in rows {
                    writer.write_record(&row.cells).map_err(|error| failed(error.to_string()))?;
                }
                writer.flush().map_err(|error| failed(error.to_string()))?;
                drop(writer);
            }
        }
        Ok(bytes.into())
    }
}

fn product(row: ProductRow) -> Written {
    let category_ids: Vec<String> = row.category_ids.iter().map(ToString::to_string).collect();
    let cells = vec![
        row.id.to_string(),
        row.name.clone(),
        row.description.clone().unwrap_or_default(),
        amount(row.price),
        row.price.currency().code().to_owned(),
        list(&category_ids),
        optional(row.seller_id),
        row.tax_class.name().to_owned(),
        list(&row.image_urls),
        row.weight_grams.to_string(),
        some(&row.metadata, row.metadata.is_empty()),
        optional(row.variant_of),
        some(&row.options, row.options.is_empty()),
        row.active.to_string(),
    ];
    let object = json!({
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "price": Amount::from(row.price),
        "category_ids": category_ids,
        "seller_id": row.seller_id,
        "tax_class": row.tax_class.name(),
        "image_urls": row.image_urls,
        "weight_grams": row.weight_grams,
        "metadata": row.metadata,
        "variant_of": row.variant_of,
        "options": row.options,
        "active": row.active,
    });
    Written { object, cells }
}

fn stock(named: &NamedStock) -> Written {
    let NamedStock { name, stock } = named;
    let mode = StockMode::Count.name();
    let numbers = [stock.reserved, stock.allocated, stock.available];
    let mut cells = vec![stock.product_id.to_string(), stock.on_hand.to_string(), mode.to_owned(), String::new()];
    cells.push(name.clone());
    cells.extend(numbers.map(|number| number.to_string()));
    let object = json!({
        "product_id": stock.product_id,
        "quantity": stock.on_hand,
        "mode": mode,
        "name": name,
        "reserved": stock.reserved,
        "allocated": stock.allocated,
        "available": stock.available,
    });
    Written { object, cells }
}

fn order(row: &OrderRow) -> Written {
    let lines: Vec<Value> = row.lines.iter().map(order_line).collect();
    let moment = |at| serde_json::to_value(Moment::from(at)).unwrap_or_default();
    let (placed_at, paid_at) = (moment(row.placed_at), row.paid_at.map(moment).unwrap_or_default());
    let cells = vec![
        row.id.to_string(),
        row.number.clone(),
        row.user_id.to_string(),
        row.status.name().to_owned(),
        placed_at.as_str().unwrap_or_default().to_owned(),
        paid_at.as_str().unwrap_or_default().to_owned(),
        row.total.currency().code().to_owned(),
        amount(row.subtotal),
        amount(row.discount),
        amount(row.shipping_fee),
        amount(row.total),
        optional(row.payment_id),
        some(&lines, false),
    ];
    let object = json!({
        "id": row.id,
        "number": row.number,
        "user_id": row.user_id,
        "status": row.status.name(),
        "placed_at": placed_at,
        "paid_at": paid_at,
        "subtotal": Amount::from(row.subtotal),
        "discount": Amount::from(row.discount),
        "shipping_fee": Amount::from(row.shipping_fee),
        "total": Amount::from(row.total),
        "payment_id": row.payment_id,
        "lines": lines,
    });
    Written { object, cells }
}

fn order_line(line: &OrderLineRow) -> Value {
    json!({
        "product_id": line.product_id,
        "name": line.name,
        "unit_price": Amount::from(line.unit_price),
        "quantity": line.quantity,
        "line_total": Amount::from(line.line_total),
    })
}

fn amount(money: Money) -> String {
    money.shown().to_string()
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Texts between semicolons, or a JSON list where that would be read as something else.
fn list(items: &[String]) -> String {
    let plain = |item: &String| !item.contains(';') && item.trim() == item && !item.starts_with('[');
    if items.iter().all(plain) { items.join(";") } else { some(items, false) }
}

/// As JSON; nothing for what is empty.
fn some(value: &(impl Serialize + ?Sized), empty: bool) -> String {
    if empty { String::new() } else { serde_json::to_string(value).unwrap_or_default() }
}
