//! The transactional producer: its calls under a watchdog, and when it must not be used again.

use std::{sync::Arc, thread, time::Duration};

use rdkafka::{TopicPartitionList, error::KafkaError};

use super::{
    EngineError, EngineSettings,
    attempt::{Ended, Transactions},
    core::{Batch, Outcome},
    events::{Heard, Written},
    others::Look,
    watchdog::{Hung, Watched},
};

const INITIALISED: Duration = Duration::from_secs(10);

/// Its end is nobody's wait: the thread it lives on does that.
pub(super) struct TransactionalProducer {
    transactions: Watched<Transactions>,
    heard: Arc<Heard>,
    deadline: Duration,
}

impl TransactionalProducer {
    /// Initialises `transactional_id`: whoever used it before is fenced, and what it left open is aborted.
    ///
    /// librdkafka tells the same failure of a connection once in 30 s. One that came during the initialisation would hide the
    /// next one, which would be about a transaction: so there is a second start, and rarely more trouble in that. (To start
    /// until there was none would be never while one broker of several is down.)
    pub(super) fn open(settings: &EngineSettings, transactional_id: &str) -> Result<Self, EngineError> {
        let opened = Self::open_once(settings, transactional_id)?;
        let opened = if opened.is_spent() {
            Self::open_once(settings, transactional_id)?
        } else {
            opened
        };
        opened.heard.forget_trouble();
        Ok(opened)
    }

    fn open_once(settings: &EngineSettings, transactional_id: &str) -> Result<Self, EngineError> {
        let heard = Arc::new(Heard::default());
        let within = settings.tuning.transaction_timeout().max(INITIALISED);
        let (owned, id, hears) = (settings.clone(), transactional_id.to_owned(), Arc::clone(&heard));
        let transactions = Watched::start("init_transactions", within * 2, move || {
            Transactions::open(&owned, &id, hears, within)
        })??;
        Ok(Self {
            transactions,
            heard,
            deadline: settings.tuning.call_deadline(),
        })
    }

    /// Ends what earlier transactions of this id left open without a marker; see [`super::sweep`].
    pub(super) fn sweep(&self, topics: &[String]) -> Result<(), EngineError> {
        let owned = topics.to_vec();
        let swept: Result<(), KafkaError> = self
            .transactions
            .call("sweep", self.deadline, move |transactions| transactions.sweep(&owned))?;
        swept.map_err(|source| EngineError::Sweep { source })
    }

    /// The same for topics of others, one after another, while nobody waits for it. The producer is of no other use then.
    pub(super) fn sweep_meanwhile(self, topics: Vec<String>) {
        if topics.is_empty() {
            return;
        }
        let sweep = move || {
            let swept = |topic: &String| self.sweep_of_others(topic);
            // The reason is in the log where it happened.
            let _ended: Vec<Result<_, Hung>> = topics.iter().map(swept).take_while(Result::is_ok).collect();
        };
        if let Err(error) = thread::Builder::new().name("sweep".to_owned()).spawn(sweep) {
            tracing::error!(%error, "cannot start a thread: topics of others are not swept");
        }
    }

    pub(super) fn sweep_of_others(&self, topic: &str) -> Result<Result<(), KafkaError>, Hung> {
        let owned = topic.to_owned();
        self.transactions.call("sweep", self.deadline, move |transactions| {
            transactions.sweep_of_others(&owned)
        })
    }

    /// What brokers say of a topic of others.
    pub(super) fn look(&self, topic: &str) -> Result<Look, Hung> {
        let owned = topic.to_owned();
        self.transactions
            .call("metadata", self.deadline, move |transactions| transactions.look(&owned))
    }

    /// begin → produce all → send offsets → commit. A call that hangs is abandoned: what came of it is not known.
    pub(super) fn transact(&self, batch: &Arc<Batch>) -> Ended {
        let carried = Arc::clone(batch);
        let ended = self
            .transactions
            .call("transaction", self.deadline, move |transactions| {
                transactions.transact(&carried)
            });
        ended.unwrap_or_else(|hung| Ended {
            outcome: Outcome::Unknown,
            reason: Some(hung.to_string()),
        })
    }

    /// A transaction that carries nothing but these offsets of a group without members.
    pub(super) fn transact_canary(&self, group: &str, offsets: TopicPartitionList) -> Result<(), EngineError> {
        let owned = group.to_owned();
        let sung: Result<(), KafkaError> = self.transactions.call("canary", self.deadline, move |transactions| {
            transactions.transact_canary(&owned, &offsets)
        })?;
        sung.map_err(|source| EngineError::Canary {
            group: group.to_owned(),
            source,
        })
    }

    /// A connection failed or a request got no answer in time. A commit that librdkafka then repeats by itself may meet a
    /// later transaction of the same producer (there is no KIP-890 part 2 in it): such a producer is not used again.
    pub(super) fn is_spent(&self) -> bool {
        self.heard.had_trouble()
    }

    /// Where the outputs of the last transaction were written.
    pub(super) fn take_written(&self) -> Vec<Written> {
        self.heard.take_written()
    }

    /// Requests that had to be repeated so far; up to a second old.
    pub(super) fn retries(&self) -> u64 {
        self.heard.retries()
    }
}
