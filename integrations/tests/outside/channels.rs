//! Mail through the sandbox's mail server, and messages through a service.

use jangbu_integrations::channels::mail::Mail;
use jangbu_integrations::channels::message::Messages;
use jangbu_kernel::NoticeId;
use jangbu_kernel::channel::{Channel, Delivery, Message};
use jangbu_sandbox::RunningSandbox;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::sandbox;

fn message(to: &str) -> Message {
    Message {
        key: NoticeId::new(Uuid::from_u128(7)),
        template: "order_placed",
        to: to.to_owned(),
        subject: "[한지 가게] 주문을 접수했습니다".to_owned(),
        text: "고맙습니다.\n.\n- 한지 × 2: 24,000원\n".to_owned(),
    }
}

fn mail(url: &str) -> Mail {
    Mail::new(url, "한지 가게 <no-reply@shop.example>").unwrap()
}

async fn fault(sandbox: &RunningSandbox, mail: &str) {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let request = client.post(format!("{}/sandbox/faults", sandbox.base_url())).json(&json!({"mail": mail}));
    assert!(request.send().await.unwrap().status().is_success());
}

async fn mails(sandbox: &RunningSandbox) -> Vec<Value> {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let answer = client.get(format!("{}/sandbox/mails", sandbox.base_url())).send().await.unwrap();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let sandbox = sandbox().await;
    let mail = mail(&sandbox.smtp_url());
    assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Accepted);
    let caught = mails(&sandbox).await.remove(0);
    assert_eq!(caught["to"], "minji@example.com");
    assert_eq!(caught["from"], "한지 가게 <no-reply@shop.example>");
    assert_eq!(caught["subject"], "[한지 가게] 주문을 접수했습니다");
    let text = caught["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), "고맙습니다.\n.\n- 한지 × 2: 24,000원");
    assert_eq!(caught["message_id"], "00000000-0000-0000-0000-000000000007@shop.example");
    sandbox.stop().await;
}

#[tokio::test]
async fn what_a_server_says_is_a_code() {
    let sandbox = sandbox().await;
    let mail = mail(&sandbox.smtp_url());
    fault(&sandbox, "refuse").await;
    assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Failed("smtp_451".to_owned()));
    fault(&sandbox, "unknown").await;
    assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Rejected("smtp_550".to_owned()));
    fault(&sandbox, "off").await;
    assert_eq!(mail.send(message("no address")).await, Delivery::Rejected("not_an_address".to_owned()));
    assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Accepted);
    assert_eq!(mails(&sandbox).await.len(), 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_left_alone_for_a_while() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", unused.local_addr().unwrap());
    drop(unused);
    let mail = mail(&url);
    for _ in 0..8 {
        assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Failed("no_connection".to_owned()));
    }
    assert_eq!(mail.send(message("minji@example.com")).await, Delivery::Failed("server_down".to_owned()));
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_that_was_to_be_kept() {
    let sandbox = sandbox().await;
    let url = format!("{}?tls=required", sandbox.smtp_url());
    let failed = mail(&url).send(message("minji@example.com")).await;
    assert!(matches!(failed, Delivery::Failed(_)), "{failed:?}");
    assert!(mails(&sandbox).await.is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_goes_out_with_its_key_and_the_secret() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    let messages = Messages::new(&format!("{}/send", server.uri()), &"secret".into()).unwrap();
    assert_eq!(messages.send(message("010-1234-5678")).await, Delivery::Accepted);
    let asked = server.received_requests().await.unwrap().remove(0);
    assert_eq!(asked.url.path(), "/send");
    let header = |name: &str| asked.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("authorization"), "Bearer secret");
    assert_eq!(header("idempotency-key"), "00000000-0000-0000-0000-000000000007");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&body["to"], &body["template"]), (&json!("010-1234-5678"), &json!("order_placed")));
    assert_eq!(body["key"], "00000000-0000-0000-0000-000000000007");
    assert!(body["text"].as_str().unwrap().starts_with("고맙습니다."), "{body}");
}

#[tokio::test]
async fn what_a_service_answers_says_whether_it_is_tried_again() {
    for (status, wanted) in [
        (429, Delivery::Failed("http_429".to_owned())),
        (503, Delivery::Failed("http_503".to_owned())),
        (404, Delivery::Rejected("http_404".to_owned())),
        (302, Delivery::Failed("not_understood".to_owned())),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let messages = Messages::new(&server.uri(), &"secret".into()).unwrap();
        assert_eq!(messages.send(message("010-1234-5678")).await, wanted, "{status}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{status}: one attempt");
    }
}
