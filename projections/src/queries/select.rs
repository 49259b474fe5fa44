//! One list, one query: conditions, keyset, order, limit.

use jangbu_kernel::Timestamp;
use serde::de::DeserializeOwned;

use super::cursor::{self, Like};
use super::{Page, PageRequest, Queries, QueryError};
use crate::engine::sql;
use crate::view::{Kind, Value};

/// A list's order: columns that together are unique, all in one direction.
pub(super) struct Order {
    /// The list's name, part of its cursors.
    pub name: &'static str,
    pub columns: &'static [(&'static str, Like)],
    pub descending: bool,
}

impl Order {
    /// The sort key where a page begins; none for the first page.
    fn begin(&self, request: &PageRequest) -> Result<Option<Vec<Value>>, QueryError> {
        let Some(text) = &request.cursor else { return Ok(None) };
        let like: Vec<Like> = self.columns.iter().map(|(_, like)| *like).collect();
        cursor::read(self.name, text, &like).map(Some)
    }

    /// What remains of an upper time bound, for a list that starts with the newest: none, if the
    /// page begins before it. With two upper bounds an engine would start at one and walk to the
    /// other, which takes as long as reading all pages before this one.
    pub fn bound(&self, request: &PageRequest, to: Option<Timestamp>) -> Result<Option<Timestamp>, QueryError> {
        let begin = self.begin(request)?;
        let begin = if let Some(Some(Value::Time(at))) = begin.as_ref().map(|keys| keys.first()) { *at } else { None };
        Ok(to.filter(|to| begin.is_none_or(|begin| begin >= *to)))
    }
}

impl Order {
    /// The same of a lower bound of a list by time, the oldest first.
    pub fn lower_bound(&self, request: &PageRequest, from: Option<Timestamp>) -> Result<Option<Timestamp>, QueryError> {
        let begin = self.begin(request)?;
        let begin = if let Some(Some(Value::Time(at))) = begin.as_ref().map(|keys| keys.first()) { *at } else { None };
        Ok(from.filter(|from| begin.is_none_or(|begin| begin < *from)))
    }
}

/// A query over one table, under construction.
pub(super) struct Select {
    from: String,
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Select {
    pub fn from(from: impl Into<String>) -> Self {
        Self { from: from.into(), conditions: Vec::new(), params: Vec::new() }
    }

    /// Adds a parameter and returns its name in SQL.
    pub fn param(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    /// Adds a condition on a column.
    pub fn with(mut self, column: &str, operator: &str, value: Value) -> Self {
        let param = self.param(value);
        self.conditions.push(format!("{column} {operator} {param}"));
        self
    }

    /// Adds a condition if there is a value for it.
    pub fn with_some(self, column: &str, operator: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(column, operator, value),
            None => self,
        }
    }

    /// Adds a condition in SQL.
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(condition.into());
        self
    }

    /// What follows `from`, and the parameters.
    pub fn into_parts(self) -> (String, Vec<Value>) {
        (format!("{}{}", self.from, self.filter()), self.params)
    }

    fn filter(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!(" where {}", self.conditions.join(" and ")) }
    }
}

/// Reads a document.
pub(super) fn row<Row: DeserializeOwned>(value: Option<&Value>) -> Result<Row, QueryError> {
    let Some(Value::Text(Some(doc))) = value else {
        return Err(QueryError::Corrupt("a row has no document".to_owned()));
    };
    serde_json::from_str(doc).map_err(|error| QueryError::Corrupt(error.to_string()))
}

impl Queries {
    /// Notes the damage if a row cannot be read.
    fn noted<T>(&self, outcome: Result<T, QueryError>) -> Result<T, QueryError> {
        if let Err(QueryError::Corrupt(what)) = &outcome {
            self.models.engine.note_damage(what);
        }
        outcome
    }

    /// The only row, or the first in an order.
    pub(super) async fn first<Row: DeserializeOwned>(
        &self,
        select: Select,
        order: &str,
    ) -> Result<Option<Row>, QueryError> {
        let engine = &self.models.engine;
        let text = format!("select doc from {}{}{order} limit 1", select.from, select.filter());
        let rows = engine.select(sql(text, select.params), &[Kind::Text]).await?;
        self.noted(rows.first().map(|found| row(found.first())).transpose())
    }

    /// All rows up to a limit, in an order.
    pub(super) async fn all<Row: DeserializeOwned>(
        &self,
        mut select: Select,
        order: &str,
        limit: i64,
    ) -> Result<Vec<Row>, QueryError> {
        let engine = &self.models.engine;
        let limit = select.param(Value::int(limit));
        let text = format!("select doc from {}{} order by {order} limit {limit}", select.from, select.filter());
        let rows = engine.select(sql(text, select.params), &[Kind::Text]).await?;
        self.noted(rows.iter().map(|found| row(found.first())).collect())
    }

    /// A page. `keys` returns the sort key of a row.
    pub(super) async fn page<Row: DeserializeOwned>(
        &self,
        select: Select,
        order: &Order,
        request: &PageRequest,
        keys: impl Fn(&Row) -> Vec<Value>,
    ) -> Result<Page<Row>, QueryError> {
        self.page_of("doc", &[Kind::Text], select, order, request, |found| row(found.first()), keys).await
    }

    /// A page of rows that are read from other columns than the document alone.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is read, how it is sorted and how it becomes a row are one thing each"
    )]
    pub(super) async fn page_of<Row>(
        &self,
        chosen: &str,
        kinds: &'static [Kind],
        mut select: Select,
        order: &Order,
        request: &PageRequest,
        read: impl Fn(&[Value]) -> Result<Row, QueryError>,
        keys: impl Fn(&Row) -> Vec<Value>,
    ) -> Result<Page<Row>, QueryError> {
        let names: Vec<&str> = order.columns.iter().map(|(name, _)| *name).collect();
        if let Some(begin) = order.begin(request)? {
            let params: Vec<String> = begin.into_iter().map(|value| select.param(value)).collect();
            let operator = if order.descending { "<" } else { ">" };
            select = select.when(format!("({}) {operator} ({})", names.join(", "), params.join(", ")));
        }
        let limit = request.clamped();
        // One row more than asked for shows whether there is a next page.
        let limit_param = select.param(Value::int(i64::from(limit) + 1));
        let direction = if order.descending { " desc" } else { "" };
        let sorted: Vec<String> = names.iter().map(|name| format!("{name}{direction}")).collect();
        let text = format!(
            "select {chosen} from {}{} order by {} limit {limit_param}",
            select.from,
            select.filter(),
            sorted.join(", ")
        );
        let mut rows = self.models.engine.select(sql(text, select.params), kinds).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let items: Vec<Row> = self.noted(rows.iter().map(|found| read(found)).collect::<Result<_, _>>())?;
        let next_cursor =
            if more { items.last().and_then(|last| cursor::write(order.name, &keys(last))) } else { None };
        Ok(Page { items, next_cursor })
    }
}
