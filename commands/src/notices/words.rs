//! What a notice says: the values of its fact, put into its text.
//!
//! There are the members of the fact's payload; for facts that concern an order those of its
//! `order.placed` behind them, and `order_id`; `product` for facts of a stock; and `shop` and `buyer`.

use std::fmt::Write as _;

use chrono::FixedOffset;
use jangbu_aggregates::notice::Locale;
use jangbu_kernel::{Money, Timestamp};
use serde_json::{Map, Value};

/// The values by name.
pub(super) type Values = Map<String, Value>;

/// A text with its values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Korean time, in seconds east of UTC.
const KOREA: i32 = 9 * 3_600;

/// Writes a text. A value that is not there is left out.
#[must_use]
pub fn write(template: &str, values: &Values, locale: Locale) -> Written {
    let (subject, text) = template.split_once("\n\n").unwrap_or((template, ""));
    let subject = filled(subject, values, locale);
    Written {
        // A value with a line break must not begin another line of a message's head.
        subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
        text: filled(text, values, locale),
    }
}

/// The text with each `{name}` replaced. What a value has in braces is not replaced.
fn filled(template: &str, values: &Values, locale: Locale) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&values.get(name).map(|value| shown(value, locale)).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// A value as people read it.
fn shown(value: &Value, locale: Locale) -> String {
    match value {
        Value::String(text) => text.parse::<Timestamp>().map_or_else(|_| text.clone(), moment),
        Value::Number(number) => number.to_string(),
        Value::Array(lines) => lines.iter().map(|line| order_line(line, locale)).collect::<Vec<_>>().join("\n"),
        Value::Object(_) => money(value, locale).unwrap_or_default(),
        Value::Bool(_) | Value::Null => String::new(),
    }
}

/// A line of an order.
fn order_line(line: &Value, locale: Locale) -> String {
    let name = line.get("name").and_then(Value::as_str).unwrap_or_default();
    let quantity = line.get("quantity").and_then(Value::as_u64).unwrap_or_default();
    let total = line.get("line_total").and_then(|total| money(total, locale)).unwrap_or_default();
    format!("- {name} × {quantity}: {total}")
}

fn money(value: &Value, locale: Locale) -> Option<String> {
    let money: Money = serde_json::from_value(value.clone()).ok()?;
    let (amount, currency) = (grouped(&money.shown().to_string()), money.currency().code());
    Some(match (locale, currency) {
        (Locale::Ko, "KRW") => format!("{amount}원"),
        (Locale::Ko | Locale::En, _) => format!("{currency} {amount}"),
    })
}

/// A decimal with a comma before every three digits of its whole part.
fn grouped(decimal: &str) -> String {
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let mut grouped = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        // Writing to a String cannot fail.
        let _ = write!(grouped, ".{fraction}");
    }
    grouped
}

/// A moment in Korean time.
fn moment(at: Timestamp) -> String {
    match FixedOffset::east_opt(KOREA) {
        Some(korea) => at.with_timezone(&korea).format("%Y-%m-%d %H:%M (KST)").to_string(),
        None => at.format("%Y-%m-%d %H:%M (UTC)").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: Value) -> Values {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn amounts_and_times_are_written_as_people_read_them() {
        let values = values(json!({
            "won": {"amount": "1234567", "currency": "KRW"},
            "dollars": {"amount": "-1234.5", "currency": "USD"},
            "small": {"amount": "999", "currency": "KRW"},
            "until": "2026-11-21T15:30:00.000Z",
            "left": 3,
            "lines": [
                {"name": "한지", "quantity": 2, "line_total": {"amount": "24000", "currency": "KRW"}},
                {"name": "먹", "quantity": 1, "line_total": {"amount": "500", "currency": "KRW"}},
            ],
        }));
        let template = "x\n\n{won} {small} {dollars} {until} {left} {nothing}\n{lines}";
        let ko = "1,234,567원 999원 USD -1,234.50 2026-11-22 00:30 (KST) 3 \n- 한지 × 2: 24,000원\n- 먹 × 1: 500원";
        assert_eq!(write(template, &values, Locale::Ko).text, ko);
        let en =
            "KRW 1,234,567 KRW 999 USD -1,234.50 2026-11-22 00:30 (KST) 3 \n- 한지 × 2: KRW 24,000\n- 먹 × 1: KRW 500";
        assert_eq!(write(template, &values, Locale::En).text, en);
    }

    #[test]
    fn a_value_is_text_and_nothing_more() {
        let values = values(json!({"buyer": "{shop}\r\nBcc: x@example.com", "shop": "가게"}));
        let written = write("[{shop}] {buyer}\n\n{buyer}", &values, Locale::Ko);
        assert_eq!(written.subject, "[가게] {shop} Bcc: x@example.com", "one line");
        assert_eq!(written.text, "{shop}\r\nBcc: x@example.com");
    }
}
