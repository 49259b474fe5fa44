//! Throwing rows away: a view that does not fit, or everything.

use super::meta::{Building, steps};
use super::{Engine, EngineError, Statement, sql};
use crate::registry::VIEWS;
use crate::view::{Value, ViewSpec};

impl Engine {
    /// Empties the table of a view, so that it is filled again from the log's beginning.
    pub async fn reset(&self, epoch: i64, spec: &ViewSpec, generation: i64) -> Result<(), EngineError> {
        let mut all = self.drop_table(spec, spec.name);
        all.extend(self.create_table(spec, spec.name));
        all.extend(self.create_indexes(spec, spec.name, generation));
        all.push(sql(
            format!(
                "update {} set version = $1, position = 0, generation = $2, rebuilding = $3, log = null, hash = null where name = $4",
                self.table("projections")
            ),
            vec![
                Value::int(i64::from(spec.version)),
                Value::int(generation),
                Value::int(Building::Anew.number()),
                Value::text(spec.name),
            ],
        ));
        all.push(sql(
            format!("delete from {} where view = $1", self.table("parked_streams")),
            vec![Value::text(spec.name)],
        ));
        self.transaction(Some(epoch), steps(all)).await
    }

    /// Replaces everything by empty tables, without reading what is stored. The epoch is kept, so
    /// that every projector with an older one stays fenced.
    pub async fn begin_anew(&self, epoch: i64) -> Result<(), EngineError> {
        let replaced = match self {
            Self::Sqlite(engine) => engine.replace_file().await?,
            Self::Postgres(_) => false,
        };
        if !replaced {
            self.transaction(None, steps(self.drop_everything())).await?;
        }
        self.prepare().await?;
        let fence =
            sql(format!("update {} set epoch = $1 where id = 1", self.table("lease")), vec![Value::int(epoch.max(0))]);
        self.transaction(None, steps(vec![fence])).await?;
        self.health().whole_again();
        Ok(())
    }

    fn drop_everything(&self) -> Vec<Statement> {
        let mut all = Vec::new();
        for view in &VIEWS {
            for suffix in ["", "_shadow", "_previous"] {
                all.extend(self.drop_table(view.spec, &format!("{}{suffix}", view.spec.name)));
            }
        }
        for name in ["lease", "projections", "parked_streams"] {
            all.push(sql(format!("drop table if exists {}", self.table(name)), vec![]));
        }
        all
    }
}
