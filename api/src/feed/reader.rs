//! One reader of the feed.

use std::{fmt::Write, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Filter, Row};
use crate::{
    bridge::Bridge,
    ring::{Ahead, Arrived, Place, Positions},
    sse::{self, Closed, KEEP_ALIVE, Out, PING},
};

/// Between two pieces, so that a busy feed goes out in pieces of many results.
const PACE: Duration = Duration::from_millis(50);
/// Results that are looked at in one go.
const LOOK: usize = 256;
/// A piece is sent when it is as large as this.
const PIECE: usize = 32 * 1024;
/// An instance may be this far behind the one that gave out an id.
const CATCH_UP: Duration = Duration::from_secs(2);
const DECODE_AGAIN: Duration = Duration::from_millis(500);

/// Where a reader begins.
pub(crate) enum From {
    /// With this many results that went by already.
    Recent(u64),
    /// After what it has seen; `None`: its id says nothing here.
    Seen(Option<Positions>),
}

pub(crate) struct Reader {
    bridge: Arc<Bridge>,
    filter: Filter,
    out: Out,
    place: Place,
    /// What was told last as an id.
    told: Positions,
    piece: String,
}

#[derive(Serialize)]
struct Ready {
    resumed: bool,
}

#[derive(Serialize)]
struct Position {}

#[derive(Serialize)]
struct Gap {
    missed: Option<u64>,
    reason: &'static str,
}

impl Reader {
    /// Until nobody reads any more or the process stops.
    pub async fn run(bridge: Arc<Bridge>, filter: Filter, from: From, out: Out) {
        let (place, resumed) = begin(&bridge, &from).await;
        let mut reader = Self {
            told: place.positions.clone(),
            bridge,
            filter,
            out,
            place,
            piece: String::new(),
        };
        let id = reader.place.positions.encode();
        reader.piece = sse::event(&id, "ready", &Ready { resumed }, true);
        if matches!(from, From::Seen(_)) && !resumed {
            reader.gap(None, "old");
        }
        // It ends in no other way than by `Closed`.
        let _ = reader.read().await;
    }

    async fn read(&mut self) -> Result<(), Closed> {
        let mut arrivals = self.bridge.ring.arrivals();
        loop {
            match self.bridge.ring.after(&self.place, LOOK) {
                Ahead::Results(results) => {
                    for arrived in results {
                        self.take(&arrived).await?;
                    }
                }
                Ahead::Gap { missed, end } => {
                    metrics::counter!("millrace_feed_missed_total").increment(missed);
                    self.place = end;
                    self.gap(Some(missed), "slow");
                }
                Ahead::Nothing => self.rest(&mut arrivals).await?,
            }
        }
    }

    async fn take(&mut self, arrived: &Arrived) -> Result<(), Closed> {
        self.place.next += 1;
        let (partition, offset) = (arrived.record.partition, arrived.record.offset);
        if !self.place.positions.advance(partition, offset) || !self.filter.may_take(arrived) {
            return Ok(());
        }
        let row = tokio::select! {
            row = arrived.row.get_or_init(|| row(&self.bridge, arrived)) => row,
            () = self.out.closed() => return Err(Closed),
        };
        match row {
            Some(row) if self.filter.takes(row) => {
                let _ = writeln!(self.piece, "id: {}", self.place.positions.encode());
                self.piece.push_str(&row.event);
                self.told.clone_from(&self.place.positions);
            }
            Some(_) => {}
            None => self.gap(Some(1), "unreadable"),
        }
        if self.piece.len() >= PIECE {
            self.send().await
        } else {
            Ok(())
        }
    }

    /// Sends what there is, and waits for more.
    async fn rest(&mut self, arrivals: &mut watch::Receiver<u64>) -> Result<(), Closed> {
        let paced = Instant::now() + PACE;
        if !self.piece.is_empty() {
            self.send().await?;
            tokio::select! {
                () = sleep_until(paced) => {}
                () = self.out.closed() => return Err(Closed),
            }
        }
        let next = self.place.next;
        let arrival = async { arrivals.wait_for(|arrived| *arrived > next).await.map(drop) };
        tokio::select! {
            arrived = arrival => return arrived.map_err(|_| Closed),
            () = self.out.closed() => return Err(Closed),
            () = sleep(KEEP_ALIVE) => {}
        }
        self.piece.push_str(PING);
        if self.told != self.place.positions {
            // Nothing that went by was wanted; who comes back shall not begin before it.
            self.told.clone_from(&self.place.positions);
            let position = sse::event(&self.told.encode(), "position", &Position {}, false);
            self.piece.push_str(&position);
        }
        self.send().await
    }

    fn gap(&mut self, missed: Option<u64>, reason: &'static str) {
        self.told.clone_from(&self.place.positions);
        self.piece
            .push_str(&sse::event(&self.told.encode(), "gap", &Gap { missed, reason }, false));
    }

    async fn send(&mut self) -> Result<(), Closed> {
        self.out.send(std::mem::take(&mut self.piece)).await
    }
}

/// Where to begin, and whether nothing is missing there.
async fn begin(bridge: &Bridge, from: &From) -> (Place, bool) {
    match from {
        From::Recent(results) => (bridge.ring.end(*results), false),
        From::Seen(Some(seen)) => {
            // Whoever is further than this instance for longer has its id from another cluster.
            let is_there = timeout(CATCH_UP, reach(bridge, seen)).await.is_ok();
            let place = is_there.then(|| bridge.ring.resume(seen)).flatten();
            (place.clone().unwrap_or_else(|| bridge.ring.end(0)), place.is_some())
        }
        From::Seen(None) => (bridge.ring.end(0), false),
    }
}

async fn reach(bridge: &Bridge, seen: &Positions) {
    let mut arrivals = bridge.ring.arrivals();
    while !bridge.ring.has_reached(seen) {
        if arrivals.changed().await.is_err() {
            return;
        }
    }
}

/// Decodes a result for all readers. While the registry is away, tries on: nobody is shown a feed with holes.
async fn row(bridge: &Bridge, arrived: &Arrived) -> Option<Row> {
    let record = &arrived.record;
    loop {
        let error = match bridge.decoder.decode(record.value.as_deref().unwrap_or_default()).await {
            Ok(result) => return Row::of(record, result).ok(),
            Err(error) => error,
        };
        if !error.is_transient() {
            tracing::error!(
                src = record.src(),
                error = &error as &dyn std::error::Error,
                "a result cannot be read"
            );
            return None;
        }
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the feed waits for the schema of a result"
        );
        sleep(DECODE_AGAIN).await;
    }
}
