//! The stock of a product at regular intervals of changes. To get the stock at an earlier time, a
//! query reads one mark and the few events after it, however long the stream is.

use jangbu_kernel::{AggregateKind, Version};

use super::stock::{StockRow, StockView};
use crate::view::{Fact, FoldError, Key, Kind, Shows, Value, View, ViewSpec, column};

/// Changes between two marks.
const EVERY: u64 = 256;

/// The view "stock_marks". Mark n is the stock after the first n * 256 changes; the newest mark has
/// not reached its number of changes yet.
pub struct StockMarksView;

impl StockMarksView {
    /// The number of the newest complete mark at or before a version; none if the stream has no
    /// complete mark there.
    pub(crate) const fn before(version: Version) -> Option<u64> {
        match version.get() / EVERY {
            0 => None,
            number => Some(number),
        }
    }
}

impl View for StockMarksView {
    type Row = StockRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "stock_marks",
        version: 5,
        key: &[column("product_id", Kind::Uuid), column("number", Kind::Int)],
        columns: &[column("version", Kind::Int)],
        indexes: &[],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Stock);
    const HOT_ROWS: usize = StockView::HOT_ROWS;

    fn key(fact: &Fact) -> Key {
        Key::number(fact.stream.id, fact.version.get().div_ceil(EVERY))
    }

    fn builds_on_row(fact: &Fact) -> bool {
        fact.version.get() % EVERY != 1
    }

    fn basis(fact: &Fact) -> Option<Key> {
        let begins = fact.version > Version::FIRST && !Self::builds_on_row(fact);
        begins.then(|| Key::number(fact.stream.id, fact.version.get() / EVERY))
    }

    fn fold(row: &mut Option<StockRow>, fact: &Fact) -> Result<(), FoldError> {
        StockView::fold(row, fact)
    }

    fn columns(row: &StockRow) -> Vec<Value> {
        vec![Value::count(row.version)]
    }
}
