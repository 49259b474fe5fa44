//! A proxy between the shop and its database that cuts the connection at a chosen message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where the connection is cut, once the marked message has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never receives the message.
    BeforeItIsSent,
    /// The server has received the message and may still be processing it.
    AtOnceAfterSending,
    /// The server has done the work and answered; the answer is dropped.
    AfterTheAnswerCame,
    /// The same, and every connection is refused until [`Wire::mend`].
    ForGoodAfterTheAnswerCame,
}

#[derive(Default)]
struct Control {
    armed: Mutex<Option<(Vec<Vec<u8>>, Cut)>>,
    has_cut: AtomicBool,
    refusing: watch::Sender<bool>,
}

/// The proxy.
pub struct Wire {
    /// The database's address through the proxy.
    pub url: String,
    control: Arc<Control>,
}

trait End: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> End for T {}

impl Wire {
    /// A proxy to the database that the URL names.
    pub async fn to(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let database = server.get_database().expect("the URL names a database").to_owned();
        let over = format!("postgres://{}@127.0.0.1:{port}/{database}?sslmode=disable", server.get_username());
        let control = Arc::new(Control::default());
        let passing = Arc::clone(&control);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (control, mut refused) = (Arc::clone(&passing), passing.refusing.subscribe());
                let server = server.clone();
                tokio::spawn(async move {
                    let passing = async {
                        // If the server is down, the connection is closed at once.
                        if let Ok(server) = connect(&server).await {
                            pass(client, server, &control).await;
                        }
                    };
                    tokio::select! {
                        () = passing => {}
                        _ = refused.wait_for(|refused| *refused) => {}
                    }
                });
            }
        });
        Self { url: over, control }
    }

    /// Cuts the connection at the next message that contains all of these marks.
    pub fn cut_at(&self, marks: &[&str], cut: Cut) {
        self.control.has_cut.store(false, Ordering::Release);
        let marks = marks.iter().map(|mark| mark.as_bytes().to_vec()).collect();
        *self.control.armed.lock().unwrap() = Some((marks, cut));
    }

    pub fn has_cut(&self) -> bool {
        self.control.has_cut.load(Ordering::Acquire)
    }

    /// Passes everything on again.
    pub fn mend(&self) {
        self.control.refusing.send_replace(false);
    }
}

async fn connect(server: &PgConnectOptions) -> std::io::Result<Box<dyn End>> {
    Ok(match server.get_socket() {
        Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{}", server.get_port()))).await?),
        None => Box::new(TcpStream::connect((server.get_host(), server.get_port())).await?),
    })
}

/// Passes bytes both ways until one side ends or the connection is cut.
async fn pass(mut client: TcpStream, mut server: Box<dyn End>, control: &Control) {
    let (mut asked, mut answered) = (vec![0; 262_144], vec![0; 65_536]);
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
                        // The server reports that it is ready ('Z', idle or in a transaction) only
                        // after it has executed the request.
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
        let (marks, cut) = armed.as_ref()?;
        let holds = |mark: &Vec<u8>| message.windows(mark.len()).any(|window| window == mark.as_slice());
        let cut = marks.iter().all(holds).then_some(*cut)?;
        *armed = None;
        self.has_cut.store(true, Ordering::Release);
        Some(cut)
    }
}
