//! What a row is, and which command it becomes.

use jangbu_commands::commands::{CountStock, ImportProduct, MOST_CATEGORIES, ReceiveStock};
use jangbu_commands::identity::Change;
use jangbu_commands::{AnyCommand, ImportKind, ProductChange, TaxClass};
use jangbu_kernel::{CategoryId, ProductId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use uuid::Uuid;

use crate::http::fields::{At, Errors, Line, List, Read, Text, Whole, read_all, read_words, request_body};
use crate::http::money;
use crate::http::node::Node;
use crate::http::pairs::Pairs;
use crate::http::problem::FieldProblem;
use crate::routes::products::{Metadata, grams, texts, wanted};

/// The columns of a file of products.
pub(super) const PRODUCT_COLUMNS: &[&str] = &[
    "id",
    "name",
    "description",
    "price",
    "currency",
    "category_ids",
    "seller_id",
    "tax_class",
    "image_urls",
    "weight_grams",
    "metadata",
    "variant_of",
    "options",
    "active",
];

/// The columns of a file of stock.
pub(super) const STOCK_COLUMNS: &[&str] =
    &["product_id", "quantity", "mode", "reason", "name", "reserved", "allocated", "available"];

/// What the quantity of a row of stock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StockMode {
    /// Units that came in.
    Receive,
    /// Units that were counted.
    Count,
}

jangbu_kernel::named!(StockMode);
read_words!(StockMode, "receive or count");

/// A larger number is taken for a typing error.
const MOST_UNITS: i64 = 1_000_000_000;

/// A part of a row that is shown by an export and not taken in.
pub(crate) struct Shown;

impl Read for Shown {
    const REQUIRED: bool = false;
    fn read(_: Node, _: &At<'_>, _: &mut Errors) -> Option<Self> {
        Some(Self)
    }
    fn absent(_: &At<'_>, _: &mut Errors) -> Option<Self> {
        Some(Self)
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue).into()
    }
}

request_body! {
    /// A product in a file. What is left out stays as it is; a new product needs a name and a price.
    pub(crate) struct ProductRow {
        /// Which product: changed if it is there, made under this id if not. Left out, a new one is made.
        id: Option<ProductId>,
        /// What it is called.
        name: Option<Line<1, 200>>,
        /// What it is; null takes the description away.
        description: Change<Text<1, 5000>>,
        /// The unit price; in a CSV file in the columns `price` and `currency`.
        price: Option<money::Amount>,
        /// All the categories that it is filed in, the main one first.
        category_ids: Option<List<CategoryId, 0, MOST_CATEGORIES>>,
        /// Who sells it; null: nobody in particular.
        seller_id: Change<UserId>,
        /// Whether value added tax is contained in the price.
        tax_class: Option<TaxClass>,
        /// Where all its images are, the main one first.
        image_urls: Option<List<Line<1, 2000>, 0, 20>>,
        /// Grams of one, as it is shipped.
        weight_grams: Option<Whole<0, 1_000_000>>,
        /// All references of other systems, by name.
        metadata: Option<Metadata>,
        /// The product that it is a variant of, in the file before it or in the shop; null: of none.
        variant_of: Change<ProductId>,
        /// What tells it from the other variants.
        options: Option<Pairs<5, 40, 80>>,
        /// Whether it can be bought; a new one can when it is left out.
        active: Option<bool>,
    }
}

request_body! {
    /// The stock of a product in a file.
    pub(crate) struct StockRow {
        /// Which product.
        product_id: ProductId,
        /// Number of units: that came in, or that were counted, those included that are kept for orders.
        quantity: Whole<0, MOST_UNITS>,
        /// Whether they came in (`receive`) or were counted (`count`), if the import does not say it for all.
        mode: Option<StockMode>,
        /// Why there was a count, or what explains a difference; it is recorded.
        reason: Option<Text<1, 500>>,
        /// As an export shows it; not taken in.
        name: Shown,
        /// As an export shows it; not taken in.
        reserved: Shown,
        /// As an export shows it; not taken in.
        allocated: Shown,
        /// As an export shows it; not taken in.
        available: Shown,
    }
}

/// A row as a command.
pub(super) struct Planned {
    pub(super) product_id: ProductId,
    /// The products that it looks at or writes: two rows with one in common are carried out in order.
    pub(super) touches: Vec<Uuid>,
    pub(super) command: AnyCommand,
}

/// Reads a row; says everything that is wrong with it.
pub(super) fn plan(
    kind: ImportKind,
    mode: Option<StockMode>,
    node: Node,
    new_id: ProductId,
) -> Result<Planned, Vec<FieldProblem>> {
    match kind {
        ImportKind::Products => product(read_all(node, "")?, new_id),
        ImportKind::Stock => stock(read_all(node, "")?, mode),
    }
}

fn product(row: ProductRow, new_id: ProductId) -> Result<Planned, Vec<FieldProblem>> {
    let mut errors = Errors::default();
    let root = At::Root("");
    let price = row.price.and_then(|price| price.or_won(&At::Name(&root, "price"), &mut errors));
    let options = row.options.map(|options| options.0).unwrap_or_default();
    let variant = match row.variant_of {
        Change::Set(of) => Some(Some((of, options))),
        Change::Clear | Change::Keep if !options.is_empty() => {
            errors.push(&At::Name(&root, "variant_of"), "required", "only a variant has options");
            None
        }
        Change::Clear => Some(None),
        Change::Keep => None,
    };
    let errors = errors.into_vec();
    if !errors.is_empty() {
        return Err(errors);
    }
    let product_id = row.id.unwrap_or(new_id);
    let of = variant.as_ref().and_then(|variant| variant.as_ref()).map(|(of, _)| of.uuid());
    let change = ProductChange {
        name: row.name.map(|name| name.0),
        description: wanted(row.description).map(|text| text.map(|text| text.0)),
        price,
        category_ids: row.category_ids.map(|ids| ids.0),
        seller_id: wanted(row.seller_id),
        tax_class: row.tax_class,
        image_urls: row.image_urls.map(texts),
        weight_grams: row.weight_grams.map(grams),
        metadata: row.metadata.map(|pairs| pairs.0),
        // A slug is claimed by a change of one product.
        slug: None,
    };
    let command = ImportProduct { product_id, change, variant, active: row.active }.into();
    Ok(Planned { product_id, touches: std::iter::once(product_id.uuid()).chain(of).collect(), command })
}

fn stock(row: StockRow, for_all: Option<StockMode>) -> Result<Planned, Vec<FieldProblem>> {
    let StockRow { product_id, quantity, mode, reason, name, reserved, allocated, available } = row;
    // They are there for people who read an export.
    let (Shown, Shown, Shown, Shown) = (name, reserved, allocated, available);
    // Bounded by its type.
    let quantity = u32::try_from(quantity.0).unwrap_or(u32::MAX);
    let reason = reason.map(|reason| reason.0);
    let command = match mode.or(for_all) {
        Some(StockMode::Receive) => ReceiveStock { product_id, quantity, location: None }.into(),
        Some(StockMode::Count) => CountStock { product_id, counted: quantity, reason, location: None }.into(),
        None => {
            let mut errors = Errors::default();
            let detail = "say receive or count, here or for the whole import";
            errors.push(&At::Name(&At::Root(""), "mode"), "required", detail);
            return Err(errors.into_vec());
        }
    };
    Ok(Planned { product_id, touches: vec![product_id.uuid()], command })
}

/// The place in the row that is meant by a pointer into the command that it became, or into the
/// amount that two cells of a CSV file are.
pub(super) fn in_the_row(kind: ImportKind, is_csv: bool, pointer: &str) -> String {
    let place = match (kind, pointer) {
        (ImportKind::Products, "/of") => "/variant_of",
        (ImportKind::Products, "/price/amount") if is_csv => "/price",
        (ImportKind::Products, "/price/currency") if is_csv => "/currency",
        (ImportKind::Stock, "/counted") => "/quantity",
        (ImportKind::Products | ImportKind::Stock, pointer) => pointer,
    };
    place.to_owned()
}
