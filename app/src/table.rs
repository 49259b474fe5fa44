//! Tables that fit the terminal: a narrow one gets fewer columns and shorter times and ids, never
//! an id over several lines.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use uuid::Uuid;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Always shown.
    Key,
    /// Left out if there is no room, the last one first.
    Extra,
    /// Always shown, over several lines if there is no room.
    Text,
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        Self { name, kind: Kind::Key }
    }
}

/// A column that is always shown.
pub const fn key(name: &'static str) -> Column {
    Column { name, kind: Kind::Key }
}

/// A column that is left out if there is no room for it.
pub const fn extra(name: &'static str) -> Column {
    Column { name, kind: Kind::Extra }
}

/// A column of free text, which may take several lines.
pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

/// Characters between two columns.
const GAP: u16 = 2;
/// The least width of a table, in characters.
const NARROWEST: u16 = 20;

/// The width in characters: `COLUMNS`, else the terminal's; none if lines are not limited.
pub fn room() -> Option<u16> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<u16>().ok());
    let terminal = || io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    asked.or_else(|| terminal().map(|(width, _)| width.0)).map(|width| width.max(NARROWEST))
}

/// The least width of a broken text on a line.
const TEXT_LEAST: u16 = 20;

/// The table as text, no wider than there is room.
pub fn render(columns: &[Column], rows: &[Vec<String>], room: Option<u16>) -> String {
    let whole = Layout { left_out: 0, short_times: false, short_ids: false };
    let Some(room) = room else { return whole.table(columns, rows).trim_fmt() };
    for layout in layouts(columns, rows) {
        let mut table = layout.table(columns, rows);
        let (width, least) = layout.widths(columns, &table);
        if least <= room || layout.is_the_last(columns) {
            if width > room {
                layout.wrap(columns, &mut table, room);
            }
            return layout.finish(columns, rows, &table);
        }
    }
    whole.table(columns, rows).trim_fmt()
}

/// The layouts of a table, from the widest to the narrowest. If ids are needed for the next
/// command, columns are left out first, else ids are shortened first.
fn layouts(columns: &[Column], rows: &[Vec<String>]) -> Vec<Layout> {
    let extras = columns.iter().filter(|column| column.kind == Kind::Extra).count();
    let mut layouts = Vec::new();
    for left_out in 0..=extras {
        for (short_ids, short_times) in [(false, false), (false, true), (true, true)] {
            layouts.push(Layout { left_out, short_times, short_ids });
        }
    }
    let keys_are_ids =
        columns.iter().enumerate().any(|(place, column)| column.kind == Kind::Key && has_id(rows, place));
    if keys_are_ids {
        layouts.sort_by_key(|layout| layout.short_ids);
    }
    layouts
}

fn has_id(rows: &[Vec<String>], place: usize) -> bool {
    rows.iter().filter_map(|row| row.get(place)).any(|cell| matches!(shorten_ids(cell), Cow::Owned(_)))
}

/// A layout: what of a table is shown, and how.
#[derive(Clone, Copy)]
struct Layout {
    /// The number of extra columns that are not shown.
    left_out: usize,
    short_times: bool,
    short_ids: bool,
}

impl Layout {
    /// The columns shown, by their place.
    fn shown(self, columns: &[Column]) -> impl Iterator<Item = (usize, Column)> {
        let extras = columns.iter().filter(|column| column.kind == Kind::Extra).count();
        let mut kept = extras.saturating_sub(self.left_out);
        columns.iter().copied().enumerate().filter(move |(_, column)| match column.kind {
            Kind::Key | Kind::Text => true,
            Kind::Extra if kept == 0 => false,
            Kind::Extra => {
                kept -= 1;
                true
            }
        })
    }

    fn is_the_last(self, columns: &[Column]) -> bool {
        self.short_ids && self.shown(columns).all(|(_, column)| column.kind != Kind::Extra)
    }

    fn table(self, columns: &[Column], rows: &[Vec<String>]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.shown(columns).map(|(_, column)| column.name));
        for row in rows {
            let cells = self.shown(columns).map(|(place, _)| self.cell(row.get(place).map_or("", String::as_str)));
            table.add_row(cells.collect::<Vec<_>>());
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        table
    }

    fn cell(self, cell: &str) -> Cow<'_, str> {
        if let Some(time) = short_time(cell).filter(|_| self.short_times) {
            return Cow::Owned(time);
        }
        if self.short_ids { shorten_ids(cell) } else { Cow::Borrowed(cell) }
    }

    /// The table's width, and its least width if its texts are broken.
    fn widths(self, columns: &[Column], table: &Table) -> (u16, u16) {
        let (mut width, mut least) = (0_u16, 0_u16);
        for ((_, column), content) in self.shown(columns).zip(table.column_max_content_widths()) {
            width = width.saturating_add(content).saturating_add(GAP);
            let needed = if column.kind == Kind::Text { content.min(TEXT_LEAST) } else { content };
            least = least.saturating_add(needed).saturating_add(GAP);
        }
        (width.saturating_sub(GAP), least.saturating_sub(GAP))
    }

    /// Breaks long lines: in text columns, or if there are none in any.
    fn wrap(self, columns: &[Column], table: &mut Table, room: u16) {
        let any_text = self.shown(columns).any(|(_, column)| column.kind == Kind::Text);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(room.saturating_add(GAP));
        for ((_, column), shown) in self.shown(columns).zip(table.column_iter_mut()) {
            if any_text && column.kind != Kind::Text {
                shown.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }

    fn finish(self, columns: &[Column], rows: &[Vec<String>], table: &Table) -> String {
        let mut text = table.trim_fmt();
        if self.short_ids && self.shown(columns).any(|(place, _)| has_id(rows, place)) {
            text.push_str("\n(ids are shortened to fit; a wider terminal or --json shows them whole)");
        }
        text
    }
}

/// `11-21 01:07:00` of `2026-11-21T01:07:00.000Z`; none if it is not such a time.
pub fn short_time(cell: &str) -> Option<String> {
    const LENGTH: usize = 24;
    if cell.len() != LENGTH {
        return None;
    }
    let time = chrono::DateTime::parse_from_rfc3339(cell).ok()?;
    Some(time.format("%m-%d %H:%M:%S").to_string())
}

/// Each UUID as its last eight digits after `…`, because the first ones are the time, which is
/// alike in neighbouring rows.
pub fn shorten_ids(cell: &str) -> Cow<'_, str> {
    const LENGTH: usize = 36;
    const KEPT: usize = 8;
    let mut short = String::new();
    let mut rest = cell;
    while let Some(start) = rest.char_indices().map(|(at, _)| at).find(|at| is_id(rest.get(*at..at + LENGTH))) {
        let (before, tail) = rest.split_at(start);
        let (id, behind) = tail.split_at(LENGTH);
        short.push_str(before);
        short.push('…');
        short.push_str(id.get(LENGTH - KEPT..).unwrap_or(id));
        rest = behind;
    }
    if short.is_empty() {
        return Cow::Borrowed(cell);
    }
    short.push_str(rest);
    Cow::Owned(short)
}

fn is_id(text: Option<&str>) -> bool {
    text.is_some_and(|text| Uuid::try_parse(text).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const TIME: &str = "2026-11-21T01:07:00.000Z";
    const COLUMNS: [Column; 6] =
        [key("position"), key("time"), key("type"), key("stream"), extra("version"), extra("actor")];

    fn rows() -> Vec<Vec<String>> {
        let row = |stream: &str| {
            let actor = format!("user:{ID}");
            vec![
                "12345".into(),
                TIME.into(),
                "fulfilment.command_issued".into(),
                format!("{stream}-{ID}"),
                "12".into(),
                actor,
            ]
        };
        vec![row("fulfilment"), row("order")]
    }

    fn longest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap()
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal_and_breaks_no_line() {
        for room in [80, 100, 120, 140, 200] {
            let text = render(&COLUMNS, &rows(), Some(room));
            assert!(longest(&text) <= usize::from(room), "{room}:\n{text}");
            let of_rows = text.lines().filter(|line| line.contains("fulfilment.command_issued")).count();
            assert_eq!(of_rows, rows().len(), "{room}:\n{text}");
        }
    }

    #[test]
    fn a_wider_terminal_gets_more() {
        let (narrow, wide) = (render(&COLUMNS, &rows(), Some(80)), render(&COLUMNS, &rows(), Some(200)));
        assert!(narrow.contains("fulfilment-…099a8057") && narrow.contains("11-21 01:07:00"), "{narrow}");
        assert!(narrow.contains("--json shows them whole") && !narrow.contains("actor"), "{narrow}");
        assert!(wide.contains(&format!("fulfilment-{ID}")) && wide.contains(TIME) && wide.contains("actor"), "{wide}");
        assert_eq!(render(&COLUMNS, &rows(), None).lines().count(), 3, "a pipe gets lines as they are");
    }

    #[test]
    fn only_free_text_takes_several_lines() {
        let columns = [key("order"), text("why")];
        let why = "the carrier refused the label three times because the postal code is not one of its own";
        let text = render(&columns, &[vec![ID.to_owned(), why.to_owned()]], Some(60));
        assert!(longest(&text) <= 60 && text.contains(ID), "{text}");
        assert!(text.lines().count() > 3, "{text}");
    }

    #[test]
    fn ids_are_found_anywhere_in_a_text() {
        assert_eq!(shorten_ids(&format!("한 {ID}, user:{ID}.")), "한 …099a8057, user:…099a8057.");
        assert!(matches!(shorten_ids("no id here"), Cow::Borrowed(_)));
        assert!(matches!(shorten_ids("한국어"), Cow::Borrowed(_)));
    }
}
