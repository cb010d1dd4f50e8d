//! One connection through the proxy.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};

use super::{
    Rule,
    frames::{Asked, Frames},
};

const BUFFER: usize = 64 * 1024;

/// What all connections of a proxy look at.
#[derive(Debug, Clone)]
pub struct Orders {
    pub rule: watch::Receiver<Rule>,
    pub dropped: Arc<AtomicU64>,
    /// Frames are looked into; without it they are bytes, for whatever is not Kafka.
    pub is_kafka: bool,
}

/// Until one side closes it or a rule breaks it.
pub async fn run(mut client: TcpStream, mut server: TcpStream, orders: Orders) -> io::Result<()> {
    let asked = Mutex::new(Asked::default());
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        ended = questions(from_client, to_server, &orders, &asked) => ended,
        ended = answers(from_server, to_client, &orders, &asked) => ended,
        () = broken(orders.rule.clone()) => Ok(()),
    }
}

async fn questions(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    orders: &Orders,
    asked: &Mutex<Asked>,
) -> io::Result<()> {
    let (mut buffer, mut frames) = (vec![0; BUFFER], Frames::default());
    while let Some(bytes) = read(&mut from, &mut buffer).await? {
        hold_back(orders).await;
        if orders.is_kafka {
            // before it is sent: its answer may come at once
            frames.push(bytes);
            while let Some(frame) = frames.next() {
                asked.lock().unwrap_or_else(PoisonError::into_inner).request(&frame);
            }
        }
        to.write_all(bytes).await?;
    }
    Ok(())
}

async fn answers(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    orders: &Orders,
    asked: &Mutex<Asked>,
) -> io::Result<()> {
    let (mut buffer, mut frames) = (vec![0; BUFFER], Frames::default());
    while let Some(bytes) = read(&mut from, &mut buffer).await? {
        hold_back(orders).await;
        if !orders.is_kafka {
            to.write_all(bytes).await?;
            continue;
        }
        frames.push(bytes);
        while let Some(frame) = frames.next() {
            let key = asked.lock().unwrap_or_else(PoisonError::into_inner).answer(&frame);
            if is_dropped(orders, key) {
                return Ok(());
            }
            to.write_all(&frame).await?;
        }
    }
    Ok(())
}

/// `None` at the end.
async fn read<'b>(from: &mut ReadHalf<'_>, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    let count = from.read(buffer).await?;
    Ok(buffer.get(..count).filter(|bytes| !bytes.is_empty()))
}

async fn hold_back(orders: &Orders) {
    let rule = *orders.rule.borrow();
    match rule {
        Rule::Delay(by) => sleep(by).await,
        // the connection ends with the rule
        Rule::BlackHole | Rule::Cut => std::future::pending().await,
        Rule::Pass | Rule::DropAnswer { .. } => {}
    }
}

fn is_dropped(orders: &Orders, key: Option<i16>) -> bool {
    let Rule::DropAnswer { of, times } = *orders.rule.borrow() else {
        return false;
    };
    let count = |dropped| (dropped < times).then_some(dropped + 1);
    let (read, write) = (Ordering::Relaxed, Ordering::Relaxed);
    key == Some(of.api_key()) && orders.dropped.fetch_update(write, read, count).is_ok()
}

async fn broken(mut rule: watch::Receiver<Rule>) {
    let breaks = |rule: &Rule| matches!(rule, Rule::Cut | Rule::BlackHole);
    let is_black_hole = rule.wait_for(breaks).await.is_ok_and(|rule| *rule == Rule::BlackHole);
    if is_black_hole {
        // what a caller sent into it must not arrive after the caller gave up on it
        let _ = rule.wait_for(|rule| *rule != Rule::BlackHole).await;
    }
}
