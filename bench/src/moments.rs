//! Where the time of an answer goes, by the server's own figures: a command is taken in,
//! decided, sent to the log, durable there, settled, and its answer written.

use anyhow::Context as _;
use http::Method;
use jangbu_app::client::Connection;
use serde_json::{Value, json};

use crate::server::ServerUnderTest;

/// The stages between the moments, as `jangbu_command_stage_seconds` names them.
const STAGES: [&str; 4] = ["queued", "batched", "committed", "settled"];

/// Microseconds that were spent so far, and how often.
#[derive(Clone, Copy, Default)]
struct Spent {
    micros: u64,
    times: u64,
}

impl Spent {
    /// Microseconds each time since then.
    fn each_us(self, before: Self) -> u64 {
        let micros = self.micros.saturating_sub(before.micros);
        micros.checked_div(self.times.saturating_sub(before.times)).unwrap_or_default()
    }
}

/// What the first node's figures said at a moment.
pub struct Moments {
    stages: [Spent; 4],
    /// Placing an order, from its request's head to the answer.
    answers: Spent,
}

impl Moments {
    /// Reads them.
    ///
    /// # Errors
    /// When the server does not tell.
    pub async fn read(server: &ServerUnderTest) -> anyhow::Result<Self> {
        let mut connection = Connection::open(&server.address()?.to_string()).await?;
        let reply = connection.send(Method::GET, "/metrics", &[], Vec::new()).await?;
        let text = std::str::from_utf8(&reply.body).context("the figures are no text")?;
        let spent = |name: &str, label: &str| Spent {
            micros: sum_millionths(text, &format!("{name}_sum"), label),
            times: sum_millionths(text, &format!("{name}_count"), label) / 1_000_000,
        };
        Ok(Self {
            stages: STAGES.map(|stage| spent("jangbu_command_stage_seconds", &format!("stage=\"{stage}\""))),
            answers: spent("http_request_duration_seconds", "route=\"/v1/orders\",status=\"201\""),
        })
    }

    /// Microseconds of each stage since these were read, on average, and of what is around
    /// them: reading and checking the request, writing the answer. They stand for now then.
    ///
    /// # Errors
    /// When the server does not tell.
    pub async fn since(&mut self, server: &ServerUnderTest) -> anyhow::Result<Value> {
        let now = Self::read(server).await?;
        let mut told = serde_json::Map::new();
        let mut inside = 0_u64;
        for ((stage, after), before) in STAGES.iter().zip(now.stages).zip(self.stages) {
            let each = after.each_us(before);
            inside = inside.saturating_add(each);
            told.insert((*stage).to_owned(), json!(each));
        }
        let whole = now.answers.each_us(self.answers);
        told.insert("read_and_written".to_owned(), json!(whole.saturating_sub(inside)));
        *self = now;
        Ok(Value::Object(told))
    }
}

/// The sum over all lines of a figure that carry a label, in millionths.
fn sum_millionths(text: &str, name: &str, label: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| millionths(line.rsplit_once(' ')?.1)).sum()
}

/// A decimal number as it stands in the figures: digits, and perhaps a point and more of them.
fn millionths(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_the_lines_with_a_label() {
        let text =
            "a_sum{stage=\"queued\",x=\"1\"} 1.5\na_sum{stage=\"queued\"} 0.0000012\na_sum{stage=\"settled\"} 7\n";
        assert_eq!(sum_millionths(text, "a_sum", "stage=\"queued\""), 1_500_001);
        assert_eq!(millionths("12"), Some(12_000_000));
        assert_eq!(millionths("-1"), None);
    }
}
