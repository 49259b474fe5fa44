//! How the stock of a product was at every so many changes: whoever asks for an earlier
//! time reads one mark and the few events behind it, however long the stream is.

use jangbu_kernel::AggregateKind;

use super::stock::{StockRow, StockView};
use crate::view::{Fact, FoldError, Key, Kind, Shows, Value, View, ViewSpec, column};

/// Changes between two marks.
const EVERY: u64 = 256;

/// The view "stock_marks". Mark n is the stock after the first n * 256 changes; the newest is
/// on its way there.
pub struct StockMarksView;

impl StockMarksView {
    /// The newest mark that a version does not come before; none where the stream itself is
    /// as short.
    pub(crate) const fn before(version: u64) -> Option<u64> {
        match version / EVERY {
            0 => None,
            number => Some(number),
        }
    }
}

impl View for StockMarksView {
    type Row = StockRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "stock_marks",
        version: 1,
        key: &[column("product_id", Kind::Uuid), column("number", Kind::Int)],
        columns: &[column("version", Kind::Int)],
        indexes: &[],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Stock);
    const HOT_ROWS: usize = StockView::HOT_ROWS;

    fn key(fact: &Fact) -> Key {
        Key::number(fact.stream.id, fact.version.div_ceil(EVERY))
    }

    fn builds_on_row(fact: &Fact) -> bool {
        fact.version % EVERY != 1
    }

    fn basis(fact: &Fact) -> Option<Key> {
        let begins = fact.version > 1 && !Self::builds_on_row(fact);
        begins.then(|| Key::number(fact.stream.id, fact.version / EVERY))
    }

    fn fold(row: &mut Option<StockRow>, fact: &Fact) -> Result<(), FoldError> {
        StockView::fold(row, fact)
    }

    fn columns(row: &StockRow) -> Vec<Value> {
        vec![Value::count(row.version)]
    }
}
