//! A connection between the store and the server that can be cut at a chosen moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::fixture::server_url;

/// Where the connection is cut, once the marked message has come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server has done the work and answered; the answer is not passed on.
    AfterTheAnswerCame,
    /// The same, and no connection is let through afterwards.
    ForGoodAfterTheAnswerCame,
    /// The server never gets the message.
    BeforeItIsSent,
    /// The server has the message and may still be working on it.
    AtOnceAfterSending,
}

#[derive(Default)]
struct Control {
    armed: Mutex<Option<(Vec<u8>, Cut)>>,
    has_cut: AtomicBool,
    refusing: watch::Sender<bool>,
}

pub struct Proxy {
    pub url: String,
    control: Arc<Control>,
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Proxy {
    /// Starts a proxy for the server; `url` names the database.
    pub async fn start(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let control = Arc::new(Control::default());
        let passing = Arc::clone(&control);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (control, mut refused) = (Arc::clone(&passing), passing.refusing.subscribe());
                tokio::spawn(async move {
                    let pass = async { pass(client, connect().await, &control).await };
                    tokio::select! {
                        () = pass => {}
                        _ = refused.wait_for(|refused| *refused) => {}
                    }
                });
            }
        });
        Self { url: through(url, port), control }
    }

    /// Cuts the connection at the next message that contains the marker.
    pub fn cut_at(&self, marker: &str, cut: Cut) {
        self.control.has_cut.store(false, Ordering::Release);
        *self.control.armed.lock().unwrap() = Some((marker.as_bytes().to_vec(), cut));
    }

    pub fn has_cut(&self) -> bool {
        self.control.has_cut.load(Ordering::Acquire)
    }

    /// Cuts all connections and refuses new ones, until called with false.
    pub fn refuse(&self, refusing: bool) {
        self.control.refusing.send_replace(refusing);
    }
}

/// The same database through another port.
fn through(url: &str, port: u16) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let path = path.split('?').next().unwrap();
    let user = match authority.rsplit_once('@') {
        Some((user, _)) => user.to_owned(),
        None => server_url().parse::<PgConnectOptions>().unwrap().get_username().to_owned(),
    };
    format!("{scheme}://{user}@127.0.0.1:{port}/{path}?sslmode=disable")
}

async fn connect() -> Box<dyn Wire> {
    let options: PgConnectOptions = server_url().parse().unwrap();
    match options.get_socket() {
        Some(folder) => {
            Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{}", options.get_port()))).await.unwrap())
        }
        None => Box::new(TcpStream::connect((options.get_host(), options.get_port())).await.unwrap()),
    }
}

/// Passes bytes both ways until one side ends or the connection is cut.
async fn pass(mut client: TcpStream, mut server: Box<dyn Wire>, control: &Control) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let message = &asked[..count];
                let cut = control.take_if_met(message);
                if cut == Some(Cut::BeforeItIsSent) || server.write_all(message).await.is_err() {
                    return;
                }
                match cut {
                    Some(Cut::AfterTheAnswerCame | Cut::ForGoodAfterTheAnswerCame) => {
                        // The server is ready again ('Z', idle or in a transaction) only after it
                        // has carried out the request.
                        let mut last = Vec::new();
                        while !(last.len() >= 6 && last[last.len() - 6] == b'Z') {
                            let Ok(count @ 1..) = server.read(&mut answered).await else { return };
                            last.extend_from_slice(&answered[..count]);
                        }
                        if cut == Some(Cut::ForGoodAfterTheAnswerCame) {
                            control.refusing.send_replace(true);
                        }
                        return;
                    }
                    Some(Cut::AtOnceAfterSending | Cut::BeforeItIsSent) => return,
                    None => {}
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Control {
    fn take_if_met(&self, message: &[u8]) -> Option<Cut> {
        let mut armed = self.armed.lock().unwrap();
        let (marker, cut) = armed.as_ref()?;
        let cut = message.windows(marker.len()).any(|window| window == marker).then_some(*cut)?;
        *armed = None;
        self.has_cut.store(true, Ordering::Release);
        Some(cut)
    }
}
