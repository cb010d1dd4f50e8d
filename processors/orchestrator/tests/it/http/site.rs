//! A server outside, which writes down what it was asked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use egress::HostSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};

use crate::resources::host;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET /path?query`
    pub line: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

pub enum Reply {
    /// Status, further headers, body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// A body that does not end.
    Endless,
    /// Nothing, while the caller waits.
    Never,
}

pub struct Site {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    pub async fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (reply, book) = (Arc::new(reply), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (reply, book) = (Arc::clone(&reply), Arc::clone(&book));
                tokio::spawn(async move {
                    let mut stream = BufStream::new(socket);
                    while let Some(asked) = read(&mut stream).await {
                        book.lock().unwrap().push(asked.clone());
                        if answer(&mut stream, reply(&asked)).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn url_by_name(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// How the list of hosts names it, with a secret.
    pub fn listed(&self, secret: &str) -> HostSettings {
        HostSettings {
            port: Some(self.address.port()),
            plain: true,
            private: true,
            bearer: Some(secret.to_owned()),
            ..host("127.0.0.1")
        }
    }

    /// By its name, which resolves to an address of this machine; as a host that must not lead here.
    pub fn listed_as_public(&self) -> HostSettings {
        HostSettings {
            port: Some(self.address.port()),
            plain: true,
            ..host("localhost")
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn found(value: &Value) -> Reply {
    Reply::Whole(200, vec![("etag", "\"7\"".to_owned())], value.to_string())
}

pub fn redirect(status: u16, to: String) -> Reply {
    Reply::Whole(status, vec![("location", to)], String::new())
}

async fn read(stream: &mut BufStream<TcpStream>) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    asked.line = line.trim().strip_suffix(" HTTP/1.1")?.to_owned();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        asked.headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = asked
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = serde_json::from_slice(&body).unwrap_or(json!(null));
    Some(asked)
}

async fn answer(stream: &mut BufStream<TcpStream>, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Whole(status, headers, body) => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let head = format!(
                "HTTP/1.1 {status} said\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await?;
            stream.flush().await
        }
        Reply::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            loop {
                stream.write_all(b"8\r\nabcdefgh\r\n").await?;
                stream.flush().await?;
            }
        }
        Reply::Never => {
            // Until the caller goes.
            stream.read_u8().await.map(drop)
        }
    }
}
