//! HTTP/1.1 over a plain socket: what goes over the wire is what the test says.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Call {
    pub method: &'static str,
    pub path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    chunked: bool,
}

impl Call {
    pub fn get(path: &str) -> Self {
        Self::of("GET", path)
    }

    /// With any target, such as `*` or `host:80`.
    pub fn of(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
            chunked: false,
        }
    }

    pub fn post(path: &str, body: &Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::of("POST", path)
        }
        .header("content-type", "application/json")
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Does not say how long the body is.
    pub fn chunked(self) -> Self {
        Self { chunked: true, ..self }.header("transfer-encoding", "chunked")
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.chunked {
            text.push_str(&format!("\r\n{:x}\r\n{}\r\n0\r\n\r\n", self.body.len(), self.body));
        } else {
            text.push_str(&format!("content-length: {}\r\n\r\n{}", self.body.len(), self.body));
        }
        text
    }
}

/// A call whose answer is not there yet. Dropping it hangs up.
pub struct Open {
    stream: TcpStream,
}

pub struct Answer {
    pub status: u16,
    head: String,
    /// Null when it is not JSON.
    pub body: Value,
}

impl Open {
    pub async fn call(address: SocketAddr, call: &Call) -> Self {
        Self::raw(address, call.text().as_bytes()).await
    }

    /// Sends these very bytes.
    pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that refuses a body may close before it has read all of it.
        let _ = stream.write_all(bytes).await;
        Self { stream }
    }

    pub async fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer but {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
