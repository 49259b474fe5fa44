//! Server-sent events.

use std::time::Duration;

use crate::harness::{LIMIT, World};

/// A stream of events that is read as it arrives.
struct Stream {
    answer: reqwest::Response,
    seen: String,
}

impl Stream {
    /// Reads until the stream has sent this text.
    async fn until(&mut self, text: &str) {
        let reading = async {
            while !self.seen.contains(text) {
                let piece =
                    self.answer.chunk().await.unwrap().unwrap_or_else(|| panic!("ended before {text}: {}", self.seen));
                self.seen.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        tokio::time::timeout(LIMIT, reading).await.unwrap_or_else(|_| panic!("never said {text}"));
    }

    /// Reads to the end, which has to be a regular one.
    async fn read_out(mut self) -> String {
        let reading = async {
            while let Some(piece) = self.answer.chunk().await.expect("the stream ends properly") {
                self.seen.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("the stream ends");
        self.seen
    }
}

pub async fn an_orders_events_are_followed(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let order = buyer.place(&[(&tea, 1)]).await;
    let other = buyer.place(&[(&tea, 1)]).await;
    let path = format!("/v1/orders/{}/events", order["id"].as_str().unwrap());
    let open = async |last_event_id: Option<&str>| {
        let mut call = buyer.get(&path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            call = call.header("last-event-id", id);
        }
        let answer = tokio::time::timeout(Duration::from_secs(30), call.open()).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Stream { answer, seen: String::new() }
    };
    let mut stream = open(None).await;
    stream.until("order.placed").await;
    buyer.pay(&order, "tok_ok").send().await;
    stream.until("order.paid").await;
    stream.until("order.preparation_started").await;
    assert!(!stream.seen.contains(other["id"].as_str().unwrap()), "only its own: {}", stream.seen);

    // A client that connects again continues after the last event it saw.
    let paid = stream.seen.split("\n\n").find(|block| block.contains("order.paid")).unwrap();
    let id = paid.lines().find_map(|line| line.strip_prefix("id:")).expect("an event has an id").trim();
    let mut later = open(Some(id)).await;
    later.until("order.preparation_started").await;
    assert!(!later.seen.contains("order.placed"), "{}", later.seen);

    // A server that shuts down ends its streams regularly.
    let (ended, status) = tokio::join!(stream.read_out(), world.terminate_shop());
    assert!(status.success(), "the shop ended with {status}");
    assert!(ended.ends_with("\n\n"), "no event is cut off: {ended}");
}
