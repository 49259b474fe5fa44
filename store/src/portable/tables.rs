//! The tables of a copy, the same on every engine.

use super::Row;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number of 64 bits.
    Int,
    /// A number that Postgres stores in 32 bits.
    Int4,
    /// A number that Postgres stores in 16 bits.
    Int2,
    /// 16 bytes.
    Id,
    Text,
    Bytes,
    /// True or false; on SQLite 1 or 0.
    Flag,
}

/// What bounds the rows that belong to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moments {
    /// The column is a position of the log, at most the head.
    Head,
    /// The column is a number of events, at most that of the newest seal.
    Sealed,
    /// The column is the sequence of an inbox message, at most the newest.
    LastMessage,
    /// Every row.
    None,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    /// The unique columns, which also define the order of the pages.
    pub key: &'static [&'static str],
    /// The number of leading columns that only SQLite has.
    pub own: usize,
    /// The column that is bounded, and its bound.
    pub bounded: &'static str,
    pub moment: Moments,
}

impl Table {
    /// The columns' names, separated by commas.
    pub fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The kinds of the key's columns.
    pub fn key_kinds(&self) -> impl Iterator<Item = Kind> {
        self.key.iter().filter_map(|key| self.columns.iter().find(|(name, _)| name == key)).map(|(_, kind)| *kind)
    }

    /// The key of a row.
    pub fn key_of(&self, row: &Row) -> Row {
        let place = |key: &&str| self.columns.iter().position(|(name, _)| name == key);
        self.key.iter().filter_map(|key| row.get(place(key)?).cloned()).collect()
    }

    /// Selects a page. The first parameter is the limit, the second the bound; the key after which
    /// the page begins follows. `parameter` writes one parameter.
    pub fn page_statement(&self, behind: bool, parameter: impl Fn(usize, Kind) -> String) -> String {
        let mut conditions = Vec::new();
        // An unused bound is still a parameter, so that the numbers of the others do not change.
        let bound = parameter(2, Int);
        conditions.push(match self.moment {
            Moments::None => format!("{bound} > 0"),
            Moments::Head | Moments::Sealed | Moments::LastMessage => format!("{} <= {bound}", self.bounded),
        });
        if behind {
            let values: Vec<_> = (3..).zip(self.key_kinds()).map(|(place, kind)| parameter(place, kind)).collect();
            conditions.push(format!("({}) > ({})", self.key.join(", "), values.join(", ")));
        }
        format!(
            "select {} from {} where {} order by {} limit {}",
            self.names(),
            self.name,
            conditions.join(" and "),
            self.key.join(", "),
            parameter(1, Int)
        )
    }

    /// Selects the rows that meet a condition.
    pub fn waiting_statement(&self, condition: &str) -> String {
        format!("select {} from {} where {condition} order by {}", self.names(), self.name, self.key.join(", "))
    }
}

use Kind::{Bytes, Flag, Id, Int, Int2, Int4, Text};

const EVENTS: Table = Table {
    name: "events",
    columns: &[
        ("position", Int),
        ("stream_kind", Text),
        ("stream_id", Id),
        ("version", Int),
        ("event_id", Id),
        ("event_type", Text),
        ("schema_version", Int4),
        ("payload", Text),
        ("correlation_id", Id),
        ("causation_id", Id),
        ("command_id", Id),
        ("actor", Text),
        ("trace", Text),
        ("recorded_at", Int),
        ("hash", Bytes),
    ],
    key: &["position"],
    own: 0,
    bounded: "position",
    moment: Moments::Head,
};

/// The form on SQLite, in the order in which they were written.
const NUMBERED_RECEIPTS: Table = Table {
    name: "receipts",
    columns: &[
        ("number", Int),
        ("scope", Text),
        ("key_hash", Bytes),
        ("fingerprint", Bytes),
        ("stream_kind", Text),
        ("stream_id", Id),
        ("version", Int),
        ("position", Int),
        ("recorded_at", Int),
    ],
    key: &["number"],
    own: 1,
    bounded: "position",
    moment: Moments::Head,
};

/// The form on Postgres.
const RECEIPTS: Table = Table {
    columns: &[
        ("scope", Text),
        ("key_hash", Bytes),
        ("fingerprint", Bytes),
        ("stream_kind", Text),
        ("stream_id", Id),
        ("version", Int),
        ("position", Int),
        ("recorded_at", Int),
    ],
    key: &["scope", "key_hash"],
    own: 0,
    ..NUMBERED_RECEIPTS
};

const SEALED_ROOTS: Table = Table {
    name: "sealed_roots",
    columns: &[("size", Int), ("root", Bytes), ("sealed_at", Int)],
    key: &["size"],
    own: 0,
    bounded: "size",
    moment: Moments::Sealed,
};

const USER_KEYS: Table = Table {
    name: "user_keys",
    columns: &[("owner", Id), ("wrapped", Bytes)],
    key: &["owner"],
    own: 0,
    bounded: "",
    moment: Moments::None,
};

const SHOP_SECRETS: Table =
    Table { name: "secrets", columns: &[("name", Text), ("wrapped", Bytes)], key: &["name"], ..USER_KEYS };

const INBOX: Table = Table {
    name: "inbox",
    columns: &[
        ("sequence", Int),
        ("source", Text),
        ("message_id", Text),
        ("headers", Text),
        ("body", Bytes),
        ("received_at", Int),
        ("attempts", Int4),
        ("last_error", Text),
        ("handled", Flag),
    ],
    key: &["sequence"],
    own: 0,
    bounded: "sequence",
    moment: Moments::LastMessage,
};

/// The tables that are copied page by page from SQLite, and read back from a copy.
pub(crate) static SQLITE_PAGES: [Table; 4] = [EVENTS, NUMBERED_RECEIPTS, SEALED_ROOTS, INBOX];
/// The tables that are copied page by page from Postgres.
pub(crate) static POSTGRES_PAGES: [Table; 4] = [EVENTS, RECEIPTS, SEALED_ROOTS, INBOX];
/// The tables of the file of keys.
pub(crate) static KEY_PAGES: [Table; 2] = [SHOP_SECRETS, USER_KEYS];

/// The tables that are read at one moment. The waiting inbox messages are read with them, because
/// the events of a message that is handled a moment later are after the head.
pub(crate) static IN_ONE_MOMENT: [Table; 3] = [
    Table {
        name: "sealed_frontier",
        columns: &[("id", Int2), ("size", Int), ("peaks", Bytes)],
        key: &["id"],
        ..USER_KEYS
    },
    Table { name: "checkpoints", columns: &[("reader", Text), ("position", Int)], key: &["reader"], ..USER_KEYS },
    // The checkpoints have passed the events of parked processes, so both have to be of one moment.
    Table {
        name: "parked_processes",
        columns: &[("order_id", Id), ("stream_kind", Text), ("stream_id", Id), ("reason", Text), ("parked_at", Int)],
        key: &["order_id"],
        ..USER_KEYS
    },
];
pub(crate) static WAITING: Table = INBOX;

/// Tables that a copy leaves out, because they are made again or belong to the running node.
#[cfg(test)]
pub(crate) const LEFT_OUT: [&str; 9] = [
    "snapshots",
    "receipts_by_digest",
    "receipts_indexed",
    "events_in_streams",
    "events_indexed",
    "log_head",
    "leases",
    "store_migrations",
    "log_identity",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    /// A new table has to be in one of the two lists. A table that was forgotten would be missing
    /// in every backup.
    #[test]
    fn every_table_is_copied_or_left_out_on_purpose() {
        let copied =
            SQLITE_PAGES.iter().chain(&POSTGRES_PAGES).chain(&IN_ONE_MOMENT).chain(&KEY_PAGES).map(|table| table.name);
        let decided: BTreeSet<String> = copied.chain(LEFT_OUT).map(str::to_owned).collect();
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        crate::sqlite::migrate(&mut connection).unwrap();
        let mut tables = connection.prepare("select name from sqlite_schema where type = 'table'").unwrap();
        let on_sqlite = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let on_postgres = crate::postgres::scripts().flat_map(|script| {
            let behind = script.split("create table ").skip(1);
            behind.map(|text| text.split([' ', '(']).next().unwrap().to_owned()).collect::<Vec<_>>()
        });
        for name in on_sqlite.chain(on_postgres).filter(|name| !name.starts_with("sqlite_")) {
            assert!(decided.contains(&name), "{name} is neither copied nor left out");
        }
        // A column that a migration adds is copied as well.
        let mut keys = rusqlite::Connection::open_in_memory().unwrap();
        crate::sqlite::make_tables(&mut keys).unwrap();
        let of_the_log = SQLITE_PAGES.iter().chain(&IN_ONE_MOMENT).map(|table| (table, &connection));
        for (table, place) in of_the_log.chain(KEY_PAGES.iter().map(|table| (table, &keys))) {
            let mut columns = place.prepare("select name from pragma_table_info(?1)").unwrap();
            let there = columns.query_map([table.name], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
            let named: BTreeSet<_> = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(there.collect::<BTreeSet<_>>(), named, "{}", table.name);
        }
    }
}
