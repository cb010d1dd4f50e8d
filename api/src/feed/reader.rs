//! One reader of the feed.

use std::{fmt::Write, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Filter, Row,
    begin::{Begin, From},
};
use crate::{
    api::Api,
    bridge::Bridge,
    history::Replayed,
    ring::{Ahead, Arrived, Place, Positions},
    sse::{self, Closed, KEEP_ALIVE, Out, PING},
};

/// Between two pieces, so that a busy feed goes out in pieces of many results.
const PACE: Duration = Duration::from_millis(50);
/// Results that are looked at in one go.
const LOOK: usize = 256;
/// A piece is sent when it is as large as this.
const PIECE: usize = 32 * 1024;
const DECODE_AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Reader {
    api: Arc<Api>,
    filter: Filter,
    out: Out,
    place: Place,
    /// What was told last as an id.
    told: Positions,
    piece: String,
    /// When something was sent last.
    alive: Instant,
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
    pub async fn run(api: Arc<Api>, filter: Filter, from: From, out: Out) {
        if stands(&api, &from, &out).await.is_err() {
            return;
        }
        let Begin { place, seen, before } = Begin::of(&api, &filter, &from).await;
        let resumed = seen.is_some();
        let mut reader = Self {
            told: seen.unwrap_or_else(|| place.positions.clone()),
            api,
            filter,
            out,
            place,
            piece: String::new(),
            alive: Instant::now(),
        };
        reader.piece = sse::event(&reader.told.encode(), "ready", &Ready { resumed }, true);
        if !resumed && matches!(from, From::Seen(_)) {
            reader.gap(None, "old");
        }
        reader.replay(&before);
        // It ends in no other way than by `Closed`.
        let _ = reader.read().await;
    }

    /// What had left the ring: at most a few hundred.
    fn replay(&mut self, before: &[Replayed]) {
        for Replayed { partition, offset, row } in before {
            self.told.advance(*partition, *offset);
            if self.filter.takes(row) {
                let _ = writeln!(self.piece, "id: {}", self.told.encode());
                self.piece.push_str(&row.event);
            }
        }
    }

    async fn read(&mut self) -> Result<(), Closed> {
        let mut arrivals = self.api.bridge.ring.arrivals();
        loop {
            if self.alive.elapsed() >= KEEP_ALIVE {
                self.live().await?;
            }
            match self.api.bridge.ring.after(&self.place, LOOK) {
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
            row = arrived.row.get_or_init(|| row(&self.api.bridge, arrived)) => row,
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
            arrived = arrival => arrived.map_err(|_| Closed),
            () = self.out.closed() => Err(Closed),
            // Counted from what was sent, not from what arrived: that may all be for others.
            () = sleep_until(self.alive + KEEP_ALIVE) => Ok(()),
        }
    }

    /// A sign of life, and how far it has come.
    async fn live(&mut self) -> Result<(), Closed> {
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
        self.out.send(std::mem::take(&mut self.piece)).await?;
        self.alive = Instant::now();
        Ok(())
    }
}

/// An instance that has just begun has not read to the end of `results`, and knows nothing of who comes back to it: that is no
/// gap yet, however long the brokers are away.
async fn stands(api: &Api, from: &From, out: &Out) -> Result<(), Closed> {
    let From::Seen(Some(seen)) = from else { return Ok(()) };
    let (mut results, mut arrivals) = (api.results.clone(), api.bridge.ring.arrivals());
    while !api.bridge.ring.has_reached(seen) && results.borrow_and_update().is_err() {
        tokio::select! {
            Ok(()) = results.changed() => {}
            Ok(()) = arrivals.changed() => {}
            () = sleep(KEEP_ALIVE) => out.send(PING).await?,
            () = out.closed() => return Err(Closed),
        }
    }
    Ok(())
}

/// Decodes a result for all readers. While the registry is away, tries on: nobody is shown a feed with holes.
async fn row(bridge: &Bridge, arrived: &Arrived) -> Option<Row> {
    let record = &arrived.record;
    let mut is_told = false;
    loop {
        let error = match bridge.decoder.decode(record.value.as_deref().unwrap_or_default()).await {
            Ok(result) => return Row::of((record.partition, record.offset), record.key.as_deref(), result).ok(),
            Err(error) => error,
        };
        if !error.may_pass(record.appended_ms().map(schemas::Timestamp::from_millis)) {
            tracing::error!(
                src = record.src(),
                error = &error as &dyn std::error::Error,
                "a result cannot be read"
            );
            return None;
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(
                src = record.src(),
                error = &error as &dyn std::error::Error,
                "the feed waits for the schema of a result"
            );
        }
        sleep(DECODE_AGAIN).await;
    }
}
