//! Creates the tables from the specs of the views.

use super::{Engine, Statement, sql};
use crate::view::{Kind, ViewSpec};

const fn type_name(engine: &Engine, kind: Kind) -> &'static str {
    match (engine, kind) {
        (Engine::Sqlite(_), Kind::Uuid) => "blob",
        (Engine::Sqlite(_), Kind::Int | Kind::Bool | Kind::Time) => "integer",
        (_, Kind::Text) | (Engine::Sqlite(_), Kind::Terms) => "text",
        (Engine::Postgres(_), Kind::Uuid) => "uuid",
        (Engine::Postgres(_), Kind::Int) => "bigint",
        (Engine::Postgres(_), Kind::Bool) => "boolean",
        (Engine::Postgres(_), Kind::Time) => "timestamptz",
        (Engine::Postgres(_), Kind::Terms) => "text[]",
    }
}

impl Engine {
    /// Creates the table of a view under this name, without secondary indexes.
    pub(super) fn create_table(&self, spec: &ViewSpec, name: &str) -> Vec<Statement> {
        let columns: String = spec
            .all_columns()
            .map(|column| {
                let is_key = spec.key.iter().any(|key| key.name == column.name);
                // Text is compared by its bytes, so that its order is the same in every database.
                let bytewise =
                    if column.kind == Kind::Text && matches!(self, Self::Postgres(_)) { " collate \"C\"" } else { "" };
                let required = if is_key { " not null" } else { "" };
                format!("{} {}{bytewise}{required}, ", column.name, type_name(self, column.kind))
            })
            .collect();
        // The document is text, not json: it stays as it was written, byte for byte, and Postgres
        // does not parse it again at every write. People who query it can cast it.
        let key: Vec<&str> = spec.key.iter().map(|column| column.name).collect();
        // Without this target, Postgres compresses every document above 2 kB at every write, which
        // costs more than anything else in a rebuild. The fill factor leaves room for the new
        // version of a changed row on the same page.
        let storage =
            if matches!(self, Self::Postgres(_)) { " with (toast_tuple_target = 8160, fillfactor = 85)" } else { "" };
        let mut made = vec![sql(
            format!(
                "create table if not exists {} ({columns}doc text not null, primary key ({})){storage}",
                self.table(name),
                key.join(", ")
            ),
            vec![],
        )];
        if self.has_terms_table(spec) {
            made.push(sql(
                format!("create table if not exists {name}_terms (term text not null, id blob not null, primary key (term, id)) without rowid"),
                vec![],
            ));
        }
        made
    }

    /// Creates the secondary indexes. Their names contain the generation, so that they differ from
    /// those of earlier and later tables with this name.
    pub(super) fn create_indexes(&self, spec: &ViewSpec, table: &str, generation: i64) -> Vec<Statement> {
        let name = |index: &str| format!("{}_{index}_g{generation}", spec.name);
        let mut made: Vec<Statement> = spec
            .indexes
            .iter()
            .map(|index| {
                let only = if index.only.is_empty() { String::new() } else { format!(" where {}", index.only) };
                sql(
                    format!(
                        "create index if not exists {} on {} ({}){only}",
                        name(index.name),
                        self.table(table),
                        index.columns
                    ),
                    vec![],
                )
            })
            .collect();
        if spec.has_terms() {
            made.push(if self.has_terms_table(spec) {
                sql(format!("create index if not exists {} on {table}_terms (id)", name("terms_of")), vec![])
            } else {
                let columns: Vec<&str> =
                    spec.columns.iter().filter(|column| column.kind == Kind::Terms).map(|column| column.name).collect();
                sql(
                    format!(
                        "create index if not exists {} on {} using gin ({})",
                        name("terms"),
                        self.table(table),
                        columns.join(", ")
                    ),
                    vec![],
                )
            });
        }
        made
    }

    /// Fills the terms table from the rows, in the order of its key.
    pub(super) fn fill_terms(&self, spec: &ViewSpec, table: &str) -> Vec<Statement> {
        if !self.has_terms_table(spec) {
            return Vec::new();
        }
        // Terms consist of letters and digits, so nothing in them has to be quoted.
        let columns = spec.columns.iter().filter(|column| column.kind == Kind::Terms);
        columns
            .map(|column| {
                let list = format!("'[\"' || replace(r.{}, ' ', '\",\"') || '\"]'", column.name);
                sql(
                    format!("insert into {table}_terms (term, id) select t.value, r.id from {table} r, json_each({list}) t where r.{} <> '' order by 1, 2", column.name),
                    vec![],
                )
            })
            .collect()
    }

    /// Drops a table of a view.
    pub(super) fn drop_table(&self, spec: &ViewSpec, name: &str) -> Vec<Statement> {
        let mut dropped = vec![sql(format!("drop table if exists {}", self.table(name)), vec![])];
        if self.has_terms_table(spec) {
            dropped.push(sql(format!("drop table if exists {name}_terms"), vec![]));
        }
        dropped
    }

    /// Renames a table of a view.
    pub(super) fn rename_table(&self, spec: &ViewSpec, from: &str, to: &str) -> Vec<Statement> {
        let mut renamed = vec![sql(format!("alter table {} rename to {to}", self.table(from)), vec![])];
        if self.has_terms_table(spec) {
            renamed.push(sql(format!("alter table {from}_terms rename to {to}_terms"), vec![]));
        }
        renamed
    }

    /// SQLite has no index over the elements of a list, so a separate table holds them.
    const fn has_terms_table_engine(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    fn has_terms_table(&self, spec: &ViewSpec) -> bool {
        self.has_terms_table_engine() && spec.has_terms()
    }
}
