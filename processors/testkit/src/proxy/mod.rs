//! A TCP proxy that hurts: it delays, cuts, swallows, or drops just the answer to one kind of Kafka request.
//!
//! The rule is switched at runtime and holds for connections that are open as well. Of Kafka it knows what it needs to
//! find an answer's question: the length in front of each frame, and the API key and correlation id of a request.

mod connection;
mod frames;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use connection::Orders;

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Pass,
    /// Each piece, in both directions, later by this time.
    Delay(Duration),
    /// Open connections are closed, new ones as soon as they are accepted.
    Cut,
    /// Connections stay open, and nothing passes, nor ever will what was sent meanwhile: they are closed when the rule ends.
    BlackHole,
    /// The first answers to this kind of request, so many of them, are swallowed and their connections closed: what was
    /// asked for is done, and nobody is told.
    DropAnswer {
        of: Answered,
        times: u64,
    },
}

/// Kinds of requests whose answers can be dropped, by the API keys of Kafka's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Produce,
    AddOffsetsToTxn,
    EndTxn,
    TxnOffsetCommit,
}

impl Answered {
    pub const ALL: [Self; 4] = [
        Self::Produce,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
    ];

    const fn api_key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::AddOffsetsToTxn => 25,
            Self::EndTxn => 26,
            Self::TxnOffsetCommit => 28,
        }
    }
}

/// A running proxy. Dropping it closes it and every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    rule: watch::Sender<Rule>,
    dropped: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// From any free port of loopback to a Kafka broker, which need not be there yet.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn of_kafka(upstream: SocketAddr) -> io::Result<Self> {
        Self::start(upstream, true).await
    }

    /// The same for any other server; no answers can be dropped.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn of_anything(upstream: SocketAddr) -> io::Result<Self> {
        Self::start(upstream, false).await
    }

    async fn start(upstream: SocketAddr, is_kafka: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let rule = watch::Sender::new(Rule::Pass);
        let dropped = Arc::default();
        let orders = Orders {
            rule: rule.subscribe(),
            dropped: Arc::clone(&dropped),
            is_kafka,
        };
        let serving = tokio::spawn(serve(listener, upstream, orders));
        Ok(Self {
            port,
            rule,
            dropped,
            serving,
        })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, rule: Rule) {
        self.dropped.store(0, Ordering::Relaxed);
        self.rule.send_replace(rule);
    }

    /// Answers that were swallowed since the rule was set.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, orders: Orders) {
    // dropped with this future, and all connections with it
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // how a connection ends is what this is about
                Ok((client, _)) => drop(connections.spawn(pass(client, upstream, orders.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(client: TcpStream, upstream: SocketAddr, orders: Orders) -> io::Result<()> {
    if *orders.rule.borrow() == Rule::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    connection::run(client, server, orders).await
}

#[cfg(test)]
mod tests;
