//! Where this recorder believes each partition to be.
//!
//! The store decides: a position is loaded when a partition is assigned or reloaded, and every batch moves it from the
//! value that the last one left. A tenure (the epoch of a batch) begins with what was loaded for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use sqlx::PgPool;
use tokio::time::sleep;
use topics::{Batch, TopicPartition};

use crate::{
    entry::Part,
    patience::{FIRST_PAUSE, LONGEST_PAUSE},
    tables::{
        gaps::Gap,
        positions::{self, Move},
    },
};

type Loaded = Arc<Mutex<BTreeMap<TopicPartition, Option<i64>>>>;

#[derive(Default)]
pub(crate) struct Positions {
    /// What the follower asked for last.
    loaded: Loaded,
    held: HashMap<TopicPartition, Held>,
}

struct Held {
    epoch: u64,
    /// None: nothing was ever recorded.
    next: Option<i64>,
}

impl Positions {
    /// What the follower asks when partitions are assigned or reloaded. Postgres is waited for, as long as it takes.
    pub fn loader(&self, pool: PgPool) -> topics::Positions {
        let loaded = Arc::clone(&self.loaded);
        Box::new(move |partitions| load(pool.clone(), Arc::clone(&loaded), partitions).boxed())
    }

    /// Whether the batch goes on where the position is. Otherwise the position has to be loaded again.
    pub fn admit(&mut self, batch: &Batch) -> bool {
        let first = batch.records.first().map_or(i64::MAX, |record| record.offset);
        self.held(&batch.partition, batch.epoch)
            .is_some_and(|held| held.is_none_or(|next| next <= first))
    }

    /// Past a gap that a tenure came upon. None: the position has to be loaded again.
    pub fn past(&mut self, gap: &Gap, epoch: u64) -> Option<Move> {
        let from = self.held(&gap.partition, epoch)?;
        from.is_none_or(|next| next <= gap.from).then(|| Move {
            partition: gap.partition.clone(),
            from,
            to: gap.to,
        })
    }

    /// Where the partition is within a tenure, which begins here if it is new. The outer None: nobody knows.
    fn held(&mut self, partition: &TopicPartition, epoch: u64) -> Option<Option<i64>> {
        if let Some(held) = self.held.get(partition).filter(|held| held.epoch == epoch) {
            return Some(held.next);
        }
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let next = loaded.get(partition).copied()?;
        drop(loaded);
        self.held.insert(partition.clone(), Held { epoch, next });
        Some(next)
    }

    /// From where each partition is to behind its last entry, or to its end. Entries are in order within their partition.
    pub fn moves(&self, part: &Part) -> Vec<Move> {
        let mut last: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for entry in &part.entries {
            last.insert(entry.partition(), entry.record.offset + 1);
        }
        for (partition, end) in &part.ends {
            let last = last.entry(partition.clone()).or_insert(*end);
            *last = (*last).max(*end);
        }
        last.into_iter()
            .map(|(partition, to)| Move {
                from: self.held.get(&partition).and_then(|held| held.next),
                partition,
                to,
            })
            // Of an empty partition, or of an end that was recorded already.
            .filter(|step| step.from.unwrap_or_default() < step.to)
            .collect()
    }

    /// The moves are committed.
    pub fn moved(&mut self, moves: Vec<Move>) {
        for Move { partition, to, .. } in moves {
            if let Some(held) = self.held.get_mut(&partition) {
                held.next = Some(to);
            }
        }
    }
}

async fn load(pool: PgPool, loaded: Loaded, partitions: Vec<TopicPartition>) -> BTreeMap<TopicPartition, i64> {
    let mut pause = FIRST_PAUSE;
    let found = loop {
        match positions::load(&pool, &partitions).await {
            Ok(found) => break found,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the positions cannot be read yet"
                );
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    };
    let next = partitions
        .into_iter()
        .map(|partition| (partition.clone(), found.get(&partition).copied()));
    loaded.lock().unwrap_or_else(PoisonError::into_inner).extend(next);
    found
}
