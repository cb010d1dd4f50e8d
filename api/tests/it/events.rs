//! A reader of server-sent events over a plain socket. HTTP/1.0, so that the body comes as it is.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{SOON, contract};

pub struct Events {
    stream: TcpStream,
    path: String,
    pub head: String,
    text: String,
    /// All bytes that came so far.
    pub bytes: usize,
    /// The id of the last event, as a browser keeps it.
    pub last_id: String,
}

#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Events {
    /// With a small window, so that whatever is not read stays with the sender.
    pub async fn open(address: SocketAddr, path: &str, last_id: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\nlast-event-id: {last_id}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            stream,
            path: path.to_owned(),
            head: String::new(),
            text: String::new(),
            bytes: 0,
            last_id: last_id.to_owned(),
        };
        events.head = events.until("\r\n\r\n").await.expect("no answer").to_ascii_lowercase();
        events
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.until("\n\n").await?;
            let (mut name, mut data) = (String::new(), None);
            for line in block.lines() {
                match line.split_once(": ").unwrap_or((line, "")) {
                    ("id", id) => self.last_id = id.to_owned(),
                    ("event", text) => name = text.to_owned(),
                    ("data", text) => data = Some(serde_json::from_str(text).unwrap()),
                    ("", _) | ("retry", _) => {}
                    other => panic!("no field of an event: {other:?}"),
                }
            }
            if let Some(data) = data {
                contract::check_event(&self.path, &name, &data);
                return Some(Event { name, data });
            }
        }
    }

    /// The data of the next event, which has this name. A `position` may come between any two others: it is sent after a
    /// while in which nothing passed the filters.
    pub async fn expect(&mut self, name: &str) -> Value {
        loop {
            let event = self
                .next()
                .await
                .unwrap_or_else(|| panic!("the stream ends instead of {name}"));
            if event.name == "position" && name != "position" {
                continue;
            }
            assert_eq!(event.name, name, "{}", event.data);
            return event.data;
        }
    }

    /// The ids of the next so many results, sorted: the order across partitions is nobody's promise.
    pub async fn results(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.expect("result").await["id"].as_str().unwrap().to_owned());
        }
        ids.sort();
        ids
    }

    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((found, rest)) = self.text.split_once(end) {
                let (found, rest) = (found.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(found);
            }
            let mut buffer = vec![0; 16 * 1024];
            let read = timeout(SOON, self.stream.read(&mut buffer))
                .await
                .expect("nothing came")
                .ok()?;
            if read == 0 {
                return None;
            }
            self.bytes += read;
            self.text
                .push_str(std::str::from_utf8(&buffer[..read]).expect("cut in a character"));
        }
    }
}
