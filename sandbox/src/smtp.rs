//! The mail server: takes every mail by SMTP (RFC 5321) and sends none on. `GET /sandbox/mails`
//! shows what it caught. No log-in is asked for, since it listens where its tester put it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::books::mails::{self, MailFault};
use crate::books::now_ms;
use crate::store::Store;

/// Conversations at once; further ones wait.
const AT_ONCE: usize = 256;
/// The longest time between two lines of a client.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line, in bytes (RFC 5321 allows 1,000 in a mail).
const LONGEST_LINE: u64 = 4_096;
/// The largest mail, in bytes.
const LARGEST_MAIL: usize = 1024 * 1024;
/// The most recipients of a mail.
const MOST_RECIPIENTS: usize = 100;

/// What a conversation needs.
#[derive(Clone)]
pub struct Post {
    pub store: Store,
    /// How long "the answer never comes" lasts.
    pub silence: Duration,
    pub tasks: TaskTracker,
    pub stopping: CancellationToken,
}

/// Takes connections until the sandbox stops.
pub async fn serve(listener: TcpListener, post: Post) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = post.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // No file is free: the next moment may have one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let of_one = post.clone();
        post.tasks.spawn(async move {
            let _place = place;
            let stopping = of_one.stopping.clone();
            // A client that goes away is no failure of the server.
            let _ended = stopping.run_until_cancelled(Conversation::of(stream, of_one).run()).await;
        });
    }
}

/// A mail whose recipients are being named.
#[derive(Default)]
struct Envelope {
    begun: bool,
    recipients: Vec<String>,
}

struct Conversation {
    lines: BufReader<OwnedReadHalf>,
    answers: OwnedWriteHalf,
    post: Post,
    envelope: Envelope,
}

/// Why a conversation ends.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Conversation {
    fn of(stream: TcpStream, post: Post) -> Self {
        let (lines, answers) = stream.into_split();
        Self { lines: BufReader::new(lines), answers, post, envelope: Envelope::default() }
    }

    async fn run(mut self) -> Result<(), Over> {
        if self.fault().await == MailFault::Hang {
            tokio::time::sleep(self.post.silence).await;
            return Err(Over);
        }
        self.say("220 sandbox ESMTP").await?;
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.say(&format!("250-sandbox\r\n250-SIZE {LARGEST_MAIL}\r\n250-8BITMIME\r\n250 SMTPUTF8")).await?
                }
                "HELO" | "NOOP" => self.say("250 fine").await?,
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.say("250 forgotten").await?;
                }
                "MAIL" => self.begin().await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => self.data().await?,
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(());
                }
                _ => self.say("502 not known here").await?,
            }
        }
    }

    /// What goes wrong now; nothing while the file cannot be read.
    async fn fault(&self) -> MailFault {
        self.post.store.call(mails::fault).await.unwrap_or_default()
    }

    async fn begin(&mut self) -> Result<(), Over> {
        if self.fault().await == MailFault::Refuse {
            return self.say("451 not now").await;
        }
        self.envelope = Envelope { begun: true, recipients: Vec::new() };
        self.say("250 from whom").await
    }

    async fn recipient(&mut self, rest: &str) -> Result<(), Over> {
        let address = rest.split_once('<').and_then(|(_, behind)| behind.split_once('>')).map(|(address, _)| address);
        match address {
            _ if !self.envelope.begun => self.say("503 MAIL comes first").await,
            _ if self.fault().await == MailFault::Unknown => self.say("550 nobody of this name").await,
            None | Some("") => self.say("501 an address in angle brackets is needed").await,
            Some(_) if self.envelope.recipients.len() >= MOST_RECIPIENTS => self.say("452 too many recipients").await,
            Some(address) => {
                self.envelope.recipients.push(address.to_owned());
                self.say("250 to whom").await
            }
        }
    }

    async fn data(&mut self) -> Result<(), Over> {
        if self.envelope.recipients.is_empty() {
            return self.say("503 RCPT comes first").await;
        }
        self.say("354 until a line with a dot").await?;
        let (mut mail, mut is_too_large) = (Vec::new(), false);
        loop {
            let line = self.line().await?;
            let text = match line.as_slice() {
                b".\r\n" | b".\n" => break,
                // A dot was put before a line that begins with one.
                [b'.', text @ ..] => text,
                text => text,
            };
            is_too_large |= mail.len().saturating_add(text.len()) > LARGEST_MAIL;
            if !is_too_large {
                mail.extend_from_slice(text);
            }
        }
        let Envelope { recipients, .. } = std::mem::take(&mut self.envelope);
        if is_too_large {
            return self.say("552 the mail is too large").await;
        }
        let fault = self.fault().await;
        let kept = self.post.store.call(move |db| mails::keep(db, &recipients, &mail, now_ms())).await;
        if fault == MailFault::Lose {
            tokio::time::sleep(self.post.silence).await;
            return Err(Over);
        }
        self.say(if kept.is_ok() { "250 caught" } else { "451 the sandbox cannot use its file" }).await
    }

    async fn say(&mut self, answer: &str) -> Result<(), Over> {
        let answer = format!("{answer}\r\n");
        Ok(tokio::time::timeout(PATIENCE, self.answers.write_all(answer.as_bytes())).await.map_err(|_| Over)??)
    }

    /// The next line with its end. A line that is too long, or does not come, ends the conversation.
    async fn line(&mut self) -> Result<Vec<u8>, Over> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.lines).take(LONGEST_LINE);
        tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await.map_err(|_| Over)??;
        if line.ends_with(b"\n") { Ok(line) } else { Err(Over) }
    }
}
