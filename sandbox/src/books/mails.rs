//! The mails that were caught, and what the mail server does wrong.

use mail_parser::{Addr, MessageParser, PartType};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::rfc3339;

/// The mails that are kept; older ones are thrown away.
const MOST_MAILS: i64 = 10_000;

/// What the mail server does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum MailFault {
    /// Nothing.
    #[default]
    Off,
    /// It accepts connections and says nothing.
    Hang,
    /// It refuses every mail for now (451).
    Refuse,
    /// It refuses every recipient for good (550).
    Unknown,
    /// It takes every mail and does not say so.
    Lose,
}

jangbu_kernel::named!(MailFault);

/// What the mail server does wrong now.
pub fn fault(db: &Connection) -> rusqlite::Result<MailFault> {
    let mut statement = db.prepare_cached("SELECT fault FROM mail_fault")?;
    let mut rows = statement.query([])?;
    let name: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(name.and_then(|name| MailFault::from_name(&name)).unwrap_or_default())
}

/// Changes what the mail server does wrong.
pub fn set_fault(db: &Connection, fault: MailFault) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO mail_fault VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET fault = ?1")?
        .execute([fault.name()])?;
    Ok(())
}

/// Keeps a mail for each of its recipients.
pub fn keep(db: &Connection, recipients: &[String], raw: &[u8], now_ms: i64) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT INTO mails (recipient, raw, received_at) VALUES (?1, ?2, ?3)")?;
    for recipient in recipients {
        insert.execute((recipient.to_lowercase(), raw, now_ms))?;
    }
    db.prepare_cached("DELETE FROM mails WHERE seq <= (SELECT max(seq) FROM mails) - ?1")?.execute([MOST_MAILS])?;
    Ok(())
}

/// A mail as it came.
pub struct Caught {
    recipient: String,
    raw: Vec<u8>,
    received_at: i64,
}

/// The newest mails, to one address if it is given.
pub fn newest(db: &Connection, to: Option<&str>, limit: usize) -> rusqlite::Result<Vec<Caught>> {
    let filter = if to.is_some() { "recipient = ?1" } else { "?1 IS NULL" };
    let sql = format!("SELECT recipient, raw, received_at FROM mails WHERE {filter} ORDER BY seq DESC LIMIT ?2");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read =
        |row: &rusqlite::Row<'_>| Ok(Caught { recipient: row.get(0)?, raw: row.get(1)?, received_at: row.get(2)? });
    db.prepare_cached(&sql)?.query_map((to.map(str::to_lowercase), limit), read)?.collect()
}

impl Caught {
    /// What a reader of the mail sees.
    pub fn view(&self) -> Value {
        let mail = MessageParser::default().parse(&self.raw);
        let mail = mail.as_ref();
        let html = mail.and_then(|mail| {
            mail.parts
                .iter()
                .find_map(|part| if let PartType::Html(html) = &part.body { Some(html.as_ref()) } else { None })
        });
        json!({
            "to": self.recipient,
            "from": mail.and_then(|mail| mail.from()?.first()).map(address),
            "subject": mail.and_then(|mail| mail.subject()),
            "text": mail.and_then(|mail| mail.body_text(0)),
            "html": html,
            "message_id": mail.and_then(|mail| mail.message_id()),
            "received_at": rfc3339(self.received_at),
        })
    }
}

fn address(of: &Addr<'_>) -> String {
    let address = of.address.as_deref().unwrap_or_default();
    match &of.name {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}
