//! The mail server, as a client of it speaks.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::World;

/// A conversation with the mail server.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn of(world: &World) -> Self {
        let url = world.sandbox.smtp_url();
        Self(BufReader::new(TcpStream::connect(url.strip_prefix("smtp://").unwrap()).await.unwrap()))
    }

    /// The next answer; empty when the server has hung up.
    async fn hears(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap_or_default();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }

    async fn says(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.hears().await
    }
}

async fn mails(world: &World, query: &str) -> Vec<Value> {
    world.get(&format!("/sandbox/mails{query}")).await.body["items"].as_array().unwrap().clone()
}

const MAIL: &str = "From: Shop <shop@example.com>\r\nTo: minji@example.com\r\nSubject: =?utf-8?b?7KO866y4?=\r\n\
    Message-ID: <7@example.com>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nline\r\n..a dot\r\n.";

#[tokio::test]
async fn a_mail_is_caught_for_each_of_its_recipients() {
    let world = World::new().await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.hears().await, "220");
    for (line, answer) in [
        ("RCPT TO:<minji@example.com>", "503"),
        ("DATA", "503"),
        ("EHLO shop", "250"),
        ("what is this", "502"),
        ("MAIL FROM:<shop@example.com> BODY=8BITMIME", "250"),
        ("RCPT TO:nobody", "501"),
        ("RCPT TO:<Minji@Example.com>", "250"),
        ("RCPT TO:<jisoo@example.com>", "250"),
        ("NOOP", "250"),
        ("DATA", "354"),
        (MAIL, "250"),
        ("MAIL FROM:<shop@example.com>", "250"),
        ("RSET", "250"),
        ("DATA", "503"),
        ("QUIT", "221"),
    ] {
        assert_eq!(client.says(line).await, answer, "{line}");
    }
    assert_eq!(mails(&world, "").await.len(), 2);
    let caught = mails(&world, "?to=minji@example.com").await.remove(0);
    assert_eq!(caught["subject"], "주문");
    assert_eq!(caught["from"], "Shop <shop@example.com>");
    assert_eq!(caught["text"].as_str().unwrap().trim_end(), "line\r\n.a dot");
    assert_eq!((&caught["message_id"], &caught["html"]), (&json!("7@example.com"), &Value::Null));
    assert_eq!(mails(&world, "?to=nobody@example.com").await.len(), 0);
}

#[tokio::test]
async fn it_does_wrong_what_its_tester_wants() {
    let world = World::new().await;
    let fault = async |mail: &str| world.post("/sandbox/faults", json!({"mail": mail})).await;
    assert_eq!(fault("what").await.status, 400);
    assert_eq!(fault("hang").await.body["mail"], "hang");
    assert_eq!(Client::of(&world).await.hears().await, "", "nothing, until it hangs up");
    fault("refuse").await;
    let mut client = Client::of(&world).await;
    client.hears().await;
    assert_eq!(client.says("MAIL FROM:<shop@example.com>").await, "451");
    fault("unknown").await;
    assert_eq!(client.says("MAIL FROM:<shop@example.com>").await, "250");
    assert_eq!(client.says("RCPT TO:<minji@example.com>").await, "550");
    fault("lose").await;
    assert_eq!(client.says("RCPT TO:<minji@example.com>").await, "250");
    assert_eq!(client.says("DATA").await, "354");
    assert_eq!(client.says(MAIL).await, "", "it is taken, and nobody says so");
    assert_eq!(mails(&world, "").await.len(), 1);
    // What is not named is as usual again.
    assert_eq!(world.post("/sandbox/faults", json!({})).await.body["mail"], "off");
}

#[tokio::test]
async fn what_is_too_long_is_not_kept() {
    let world = World::new().await;
    let mut client = Client::of(&world).await;
    client.hears().await;
    client.says("MAIL FROM:<shop@example.com>").await;
    client.says("RCPT TO:<minji@example.com>").await;
    client.says("DATA").await;
    let line = "x".repeat(998);
    let large = vec![line.as_str(); 1_100].join("\r\n");
    assert_eq!(client.says(&format!("{large}\r\n.")).await, "552");
    assert_eq!(client.says(&"x".repeat(10_000)).await, "", "a line without an end ends the conversation");
    assert_eq!(mails(&world, "").await.len(), 0);
}
