//! The process that owns a shared set. A lease is a connection to its port: it reads the addresses from it once the set
//! is ready, and gives the lease back by ending, in whatever way.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::lease::Slot;
use super::own::OwnParts;
use super::{Parts, PartsConfig, PartsError, describe, failed};

/// How long a set stays up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    UntilDown,
    /// Until there was no lease for so long. It bridges the gap between two test binaries.
    WhileLeased(Duration),
}

/// What a running supervisor leaves in its slot, so that others find it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    pub pid: u32,
    pub port: u16,
}

/// Second line on a lease; the first one is [`hello`].
pub(super) type Greeting = Result<Parts, String>;

/// Tells a supervisor from a stranger that got the port of one that died.
pub(super) fn hello(pid: u32) -> String {
    format!("millrace parts {pid}")
}

const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The word that ends a set.
pub(super) const DOWN: &str = "down";

#[derive(Clone)]
struct Leases {
    greeting: watch::Receiver<Option<Greeting>>,
    count: watch::Sender<usize>,
    down: CancellationToken,
}

/// Owns a set until its stay is over, a signal asks for its end, or someone says [`DOWN`].
pub async fn supervise(slot: Slot, stay: Stay, config: PartsConfig) -> Result<(), PartsError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed("listen for", slot.state()))?;
    let port = listener
        .local_addr()
        .map_err(failed("listen for", slot.state()))?
        .port();
    let (greet, greeting) = watch::channel(None);
    let leases = Leases {
        greeting,
        count: watch::Sender::new(0),
        down: CancellationToken::new(),
    };
    let door = tokio::spawn(accept(listener, leases.clone()));
    let announced = Announced::write(
        slot,
        &Found {
            pid: std::process::id(),
            port,
        },
    )?;

    // boxed, so that the set is ended last: a lease must not be given on one that goes down
    let mut serving = Box::pin(serve(config, greet));
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            () = over(stay, leases.count.subscribe()) => {}
            () = leases.down.cancelled() => break Ok(()),
            asked = asked_to_end() => break asked,
        }
        // whoever takes a lease holds the lock until it is counted
        let lock = slot.lock().await?;
        if *leases.count.borrow() == 0 {
            drop(announced);
            door.abort();
            drop(lock);
            drop(serving);
            return Ok(());
        }
    };
    if served.is_err() {
        // whoever started this process is about to ask how it went
        let mut count = leases.count.subscribe();
        let told = async {
            let _ = count.wait_for(|count| *count > 0).await;
            let _ = count.wait_for(|count| *count == 0).await;
        };
        let _ = tokio::time::timeout(TOLD_WITHIN, told).await;
    }
    drop(announced);
    door.abort();
    drop(serving);
    served
}

/// Starts the set, tells everyone, and keeps it until the future is dropped.
async fn serve(config: PartsConfig, greet: watch::Sender<Option<Greeting>>) -> Result<(), PartsError> {
    match OwnParts::start(config).await {
        Ok(set) => {
            tracing::info!(
                bootstrap = set.parts.bootstrap,
                registry = set.parts.registry_url,
                "parts are up"
            );
            greet.send_replace(Some(Ok(set.parts.clone())));
            std::future::pending().await
        }
        Err(error) => {
            greet.send_replace(Some(Err(describe(&error))));
            Err(error)
        }
    }
}

async fn accept(listener: TcpListener, leases: Leases) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(lease(socket, leases.clone()));
    }
}

async fn lease(socket: TcpStream, mut leases: Leases) {
    leases.count.send_modify(|count| *count += 1);
    let (read, mut write) = socket.into_split();
    let greet = async {
        write
            .write_all(format!("{}\n", hello(std::process::id())).as_bytes())
            .await?;
        let greeting = leases
            .greeting
            .wait_for(Option::is_some)
            .await
            .map_err(std::io::Error::other)?
            .clone();
        write
            .write_all(format!("{}\n", serde_json::to_string(&greeting)?).as_bytes())
            .await?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let listen = async {
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line == DOWN {
                leases.down.cancel();
            }
        }
    };
    tokio::select! {
        _ = greet => {}
        () = listen => {}
    }
    leases.count.send_modify(|count| *count -= 1);
}

async fn over(stay: Stay, mut count: watch::Receiver<usize>) {
    let Stay::WhileLeased(grace) = stay else {
        return std::future::pending().await;
    };
    loop {
        if count.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        let unclaimed = tokio::time::timeout(grace, count.wait_for(|count| *count > 0))
            .await
            .is_err();
        if unclaimed {
            return;
        }
    }
}

async fn asked_to_end() -> Result<(), PartsError> {
    let listen = |kind| signal(kind).map_err(failed("listen for signals of", PathBuf::from("this process")));
    let (mut term, mut int, mut hup) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
        listen(SignalKind::hangup())?,
    );
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
    Ok(())
}

/// The state file, for as long as this is held.
struct Announced(PathBuf);

impl Announced {
    fn write(slot: Slot, found: &Found) -> Result<Self, PartsError> {
        let path = slot.state();
        let draft = path.with_extension(format!("{}.draft", found.pid));
        let text = serde_json::to_string(found).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(&draft, text))
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(failed("write", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let ours = Slot::read(&self.0).is_some_and(|found| found.pid == std::process::id());
        if ours {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
