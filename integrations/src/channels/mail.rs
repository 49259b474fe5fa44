//! Mail by SMTP (RFC 5321).
//!
//! `smtps://` speaks TLS from the start. `smtp://` asks for STARTTLS and sends nothing without it,
//! except to this machine itself, and where `?tls=off` says so for a server in a private network.

use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::channel::{Channel, Delivery, Message, Reaches};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use reqwest::Url;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};
use tower_resilience::circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};

use super::POLICY;
use crate::SetupError;

/// Its name. Storage format.
const NAME: &str = "mail";
/// The limit of one step of the conversation with the server; that of all of them is the policy's.
const STEP: Duration = Duration::from_secs(8);
/// Answers by which a server refuses the shop, not the recipient: they may be mended.
const REFUSES_THE_SHOP: [u16; 4] = [530, 534, 535, 538];

type Transport = AsyncSmtpTransport<Tokio1Executor>;
type Sending = BoxCloneSyncService<lettre::Message, Result<(), String>, CircuitBreakerError<String>>;

/// Sends mails through a server.
pub struct Mail {
    sending: Sending,
    from: Mailbox,
}

impl Mail {
    /// Mail through the server at an address, from a sender: `ADDRESS` or `NAME <ADDRESS>`.
    ///
    /// # Errors
    /// When the address or the sender is not understood.
    pub fn new(url: &str, from: &str) -> Result<Self, SetupError> {
        let from: Mailbox = from.parse().map_err(|_| SetupError::MailFrom(from.to_owned()))?;
        let transport = transport(url)?;
        let breaker = CircuitBreakerLayer::builder()
            .name(NAME)
            .sliding_window_size(POLICY.breaker.window)
            .minimum_number_of_calls(POLICY.breaker.minimum)
            .failure_rate_threshold(POLICY.breaker.failure_rate)
            .wait_duration_in_open(POLICY.breaker.open_for)
            .permitted_calls_in_half_open(POLICY.breaker.probes)
            .on_state_transition(|from, to| {
                tracing::warn!(?from, ?to, "the circuit breaker of the mail server changed");
            })
            .build()
            .map_err(|error| SetupError::Breaker(error.to_string()))?;
        let sending = breaker.layer(tower::service_fn(move |mail| hand_over(transport.clone(), mail)));
        Ok(Self { sending: BoxCloneSyncService::new(sending), from })
    }

    /// The mail. Its id is made of the message's key, so that a server which gets it twice can tell.
    fn written(&self, message: Message) -> Option<lettre::Message> {
        let to = Mailbox::new(None, message.to.parse().ok()?);
        let id = format!("<{}@{}>", message.key, self.from.email.domain());
        lettre::Message::builder()
            .message_id(Some(id))
            .from(self.from.clone())
            .to(to)
            .subject(message.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(message.text)
            .ok()
    }
}

/// The connection settings in an address.
fn transport(url: &str) -> Result<Transport, SetupError> {
    let parsed = Url::parse(url).map_err(|_| SetupError::MailServer)?;
    let host = parsed.host_str().ok_or(SetupError::MailServer)?.to_owned();
    let tls: Option<String> = parsed.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    let mut address = parsed.clone();
    address.set_query(None);
    match (parsed.scheme(), tls.as_deref()) {
        ("smtps", None) | ("smtp", Some("off")) => {}
        ("smtp", None) if is_this_machine(&host) => {}
        ("smtp", None | Some("required")) => address.set_query(Some("tls=required")),
        (_, _) => return Err(SetupError::MailServer),
    }
    let builder = Transport::from_url(address.as_str()).map_err(|_| SetupError::MailServer)?;
    Ok(builder.timeout(Some(STEP)).build())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Hands a mail over. The inner error is an answer for good about this mail, which says nothing
/// against the server.
async fn hand_over(transport: Transport, mail: lettre::Message) -> Result<Result<(), String>, String> {
    match tokio::time::timeout(POLICY.timeout, transport.send(mail)).await {
        Err(_) => Err("timed_out".to_owned()),
        Ok(Ok(_)) => Ok(Ok(())),
        Ok(Err(error)) => match code(&error) {
            (code, true) => Ok(Err(code)),
            (code, false) => Err(code),
        },
    }
}

/// What went wrong, as a code, and whether the server will never take this mail. What the server
/// said is not kept: it may repeat the address.
fn code(error: &smtp::Error) -> (String, bool) {
    if let Some(status) = error.status() {
        let status = u16::from(status);
        let is_final = error.is_permanent() && !REFUSES_THE_SHOP.contains(&status);
        return (format!("smtp_{status}"), is_final);
    }
    let code = if error.is_timeout() {
        "timed_out"
    } else if error.is_tls() {
        "no_tls"
    } else if error.is_response() || error.is_client() {
        "not_understood"
    } else {
        "no_connection"
    };
    (code.to_owned(), false)
}

#[async_trait]
impl Channel for Mail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reaches(&self) -> Reaches {
        Reaches::Email
    }

    async fn send(&self, message: Message) -> Delivery {
        let Some(mail) = self.written(message) else {
            return Delivery::Rejected("not_an_address".to_owned());
        };
        match self.sending.clone().oneshot(mail).await {
            Ok(Ok(())) => Delivery::Accepted,
            Ok(Err(code)) => Delivery::Rejected(code),
            Err(CircuitBreakerError::Inner(code)) => Delivery::Failed(code),
            Err(CircuitBreakerError::OpenCircuit) => Delivery::Failed("server_down".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use jangbu_kernel::NoticeId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_address_says_how_the_server_is_spoken_to() {
        for url in [
            "smtp://127.0.0.1:2525",
            "smtp://localhost",
            "smtp://kim:secret@mail.example.com:587",
            "smtps://kim:se%40cret@mail.example.com",
            "smtp://mail:25?tls=off",
            "smtp://mail.example.com?tls=required",
        ] {
            assert!(Mail::new(url, "no-reply@example.com").is_ok(), "{url}");
        }
        for url in ["", "mail.example.com", "http://mail.example.com", "smtps://mail?tls=off", "smtp://mail?tls=maybe"]
        {
            assert!(matches!(Mail::new(url, "no-reply@example.com"), Err(SetupError::MailServer)), "{url}");
        }
        assert!(matches!(Mail::new("smtp://localhost", "nobody"), Err(SetupError::MailFrom(_))));
    }

    #[test]
    fn a_mail_has_the_id_of_its_key_and_nothing_in_its_head_that_a_value_brought() {
        let mail = Mail::new("smtp://localhost", "한지 가게 <no-reply@shop.example>").unwrap();
        let message = Message {
            key: NoticeId::new(Uuid::from_u128(7)),
            template: "order_placed",
            to: "minji@example.com".to_owned(),
            subject: "주문\r\nBcc: x@example.com".to_owned(),
            text: "고맙습니다.\n.\nBcc: x".to_owned(),
        };
        let written = String::from_utf8(mail.written(message.clone()).unwrap().formatted()).unwrap();
        let head = written.split("\r\n\r\n").next().unwrap();
        assert!(head.contains("Message-ID: <00000000-0000-0000-0000-000000000007@shop.example>"), "{head}");
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(mail.written(Message { to: "a@b\r\nBcc: c@d".to_owned(), ..message }).is_none());
    }
}
