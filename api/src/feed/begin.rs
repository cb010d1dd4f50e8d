//! Where a reader of the feed begins, so that one who comes back misses nothing and gets nothing twice.

use std::time::Duration;

use tokio::time::timeout;

use super::Filter;
use crate::{
    api::Api,
    bridge::Bridge,
    history::Replayed,
    ring::{Place, Positions},
};

/// An instance may be this far behind the one that gave out an id.
const CATCH_UP: Duration = Duration::from_secs(2);
/// A Postgres that says nothing may not keep the stream silent.
const ANSWER: Duration = Duration::from_secs(5);
/// While Postgres is read, more may leave the ring.
const REPLAYS: usize = 3;

/// What it asks for.
pub(crate) enum From {
    /// With this many results that went by already.
    Recent(u64),
    /// After what it has seen; `None`: its id says nothing here.
    Seen(Option<Positions>),
}

/// The answer.
pub(super) struct Begin {
    pub place: Place,
    /// What it has seen, if what follows goes on exactly there.
    pub seen: Option<Positions>,
    /// What it has missed and the ring does not have any more.
    pub before: Vec<Replayed>,
}

impl Begin {
    /// In the ring if it reaches so far back, else from Postgres, else at the end.
    pub async fn of(api: &Api, filter: &Filter, from: &From) -> Self {
        let ring = &api.bridge.ring;
        let at = |place| Self {
            place,
            seen: None,
            before: Vec::new(),
        };
        let seen = match from {
            From::Recent(results) => return at(ring.end(*results)),
            From::Seen(None) => return at(ring.end(0)),
            From::Seen(Some(seen)) => seen,
        };
        // Whoever is further than this instance for longer has its id from another cluster.
        if timeout(CATCH_UP, reach(&api.bridge, seen)).await.is_err() {
            return at(ring.end(0));
        }
        let (mut positions, mut before) = (seen.clone(), Vec::new());
        for _ in 0..REPLAYS {
            if let Some(place) = ring.resume(&positions) {
                return Self {
                    place,
                    seen: Some(seen.clone()),
                    before,
                };
            }
            let stretches = ring.lacks(&positions);
            // Postgres does not know the keys of results.
            if filter.key.is_some() {
                break;
            }
            let replayed = timeout(ANSWER, api.history.replay(&filter.tenant, &stretches)).await;
            let Ok(Ok(Some(replayed))) = replayed else { break };
            before.extend(replayed);
            for stretch in stretches {
                positions.set(stretch.partition, stretch.to);
            }
        }
        at(ring.end(0))
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
