//! How far the recorder is: whether Postgres knows of everything that was on the stream at a moment.
//!
//! Decision: that there is no such run is said by offsets, never by a clock. The ends of the request topics are asked for
//! after the question came, and compared with the positions that the recorder moves in the transaction of its rows: once
//! they have passed these ends, a run without a row was not accepted before the question. As long as they have not, its
//! request may lie among what is not recorded, however old its id is, and whoever made the id: a producer's says nothing
//! about time. A recorder that keeps up is there within its next batch, which is waited for.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use topics::{Catalog, Ends, EndsError, KafkaSettings, TopicPartition};

use crate::{
    history::History,
    problem::{Kind, Problem},
    ring::{Positions, Ring},
};

/// How long a recorder that keeps up may need.
const KEEPS_UP: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);
/// `Retry-After`, in seconds.
const COME_BACK: u32 = 2;

pub(crate) struct Recorder {
    history: History,
    ends: Ends,
    /// Full names of the topics that requests come on.
    requests: HashSet<String>,
    results: String,
    /// The last answer of the brokers, and when they were asked: who came before that shares it.
    asked: Mutex<Option<(Instant, Option<Logs>)>>,
}

type Logs = Arc<BTreeMap<TopicPartition, Range<i64>>>;

impl Recorder {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings, catalog: &Catalog, history: History) -> Result<Self, EndsError> {
        let inputs = catalog
            .group("orchestrator")
            .into_iter()
            .flat_map(|group| &group.inputs);
        let requests: HashSet<String> = inputs.map(|input| input.full_topic(kafka)).collect();
        let results = kafka.topic("results");
        let topics = requests.iter().cloned().chain([results.clone()]);
        Ok(Self {
            ends: Ends::new(kafka, topics)?,
            history,
            requests,
            results,
            asked: Mutex::default(),
        })
    }

    /// Whether Postgres has every request that was on the stream when this was asked; false also when the brokers cannot
    /// say what was.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn has_passed_requests(&self) -> Result<bool, Problem> {
        let came = Instant::now();
        let Some(logs) = self.logs(came).await else {
            return Ok(false);
        };
        loop {
            let recorded = self.history.positions().await?;
            let mut requests = logs
                .iter()
                .filter(|(partition, _)| self.requests.contains(&*partition.topic));
            if requests.all(|(partition, log)| next(&recorded, partition, log) >= log.end) {
                return Ok(true);
            }
            if came.elapsed() >= KEEPS_UP {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
    }

    /// Whether a run that has no result in this ring, nor in a row that is read after this, has none that anybody was told
    /// of here: what has left the ring, or was never in it, is recorded.
    ///
    /// # Errors
    /// 503 when it is not, or Postgres cannot be read.
    pub async fn has_what_left(&self, ring: &Ring) -> Result<(), Problem> {
        let Some(from) = ring.begins() else {
            let detail = "how the run stands is not known yet: the results have not been read to their end";
            return Err(Problem::new(Kind::NotReady, detail).retry_after(COME_BACK));
        };
        let recorded = self.history.positions().await?;
        let position = |partition| {
            recorded
                .get(&TopicPartition::new(self.results.as_str(), partition))
                .copied()
        };
        let behind: Vec<i32> = from
            .iter()
            .filter(|(partition, from)| position(*partition).unwrap_or(0) < *from)
            .map(|(partition, _)| partition)
            .collect();
        if behind.is_empty() || self.nothing_was_there(&behind, &from, position).await {
            return Ok(());
        }
        let detail = "how the run stands is not known at the moment: the recorder is behind, and results that this api does \
                      not hold any more are not recorded yet";
        Err(Problem::new(Kind::HistoryUnavailable, detail).retry_after(COME_BACK))
    }

    /// A partition of which nothing was ever recorded may begin late: what lay before was deleted.
    async fn nothing_was_there(
        &self,
        partitions: &[i32],
        from: &Positions,
        position: impl Fn(i32) -> Option<i64>,
    ) -> bool {
        if partitions.iter().any(|partition| position(*partition).is_some()) {
            return false;
        }
        let Some(logs) = self.logs(Instant::now()).await else {
            return false;
        };
        partitions.iter().all(|partition| {
            let log = logs.get(&TopicPartition::new(self.results.as_str(), *partition));
            log.is_some_and(|log| from.get(*partition).is_some_and(|from| from <= log.start))
        })
    }

    /// Where the logs begin and end, asked of the brokers after `came`.
    async fn logs(&self, came: Instant) -> Option<Logs> {
        let mut asked = self.asked.lock().await;
        if let Some((at, logs)) = &*asked
            && *at >= came
        {
            return logs.clone();
        }
        let at = Instant::now();
        let logs = match self.ends.look().await {
            Ok(logs) => Some(Arc::new(logs)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "whether a run is unknown cannot be told");
                None
            }
        };
        *asked = Some((at, logs.clone()));
        logs
    }
}

/// What is recorded next of a partition.
fn next(recorded: &BTreeMap<TopicPartition, i64>, partition: &TopicPartition, log: &Range<i64>) -> i64 {
    recorded.get(partition).copied().unwrap_or(log.start)
}
