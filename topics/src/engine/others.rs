//! The topics of others that outputs go to: whether they are there, and what they lately refused.
//!
//! Decision: what can be known of such a topic without a transaction is found out without one, because the transaction is
//! everybody's. A client that writes to a topic that is not there waits for two seconds for it to appear; so brokers are asked
//! first, every now and then, and only the results that go there wait. A topic that takes nothing from anybody refuses what
//! comes after, too, for some seconds, and what is as large as what was refused goes apart ([`super::core`]'s trials).
//! Topics of Millrace's own are not looked at: without them nothing can go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{error::RDKafkaErrorCode as Code, producer::Producer as _};

use super::{
    attempt::Transactions,
    blame,
    core::{Batch, Fault, Outcome, Refusal, Whose},
    failure::{NOT_AUTHORIZED, TOO_LARGE, TOPIC_UNKNOWN, class},
    producer::TransactionalProducer,
    watchdog::Hung,
};

/// What is there is asked for again after this time, and what is not before.
const THERE_FOR: Duration = Duration::from_secs(2);
const AWAY_FOR: Duration = Duration::from_secs(1);
const MISSING_FOR: Duration = Duration::from_millis(300);
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// A topic that was made just now is not known to every broker at once.
const PROPAGATED: Duration = Duration::from_secs(2);
const TOO_LARGE_FOR: Duration = Duration::from_secs(60);
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Others {
    own: Vec<String>,
    topics: BTreeMap<String, Standing>,
    /// Nothing is written there by a new producer before what the old one may have left is ended.
    unswept: BTreeSet<String>,
    /// The smallest output that was too large there, and when that was.
    too_large: BTreeMap<String, (usize, Instant)>,
    /// What was said last of what is held back.
    told: BTreeSet<String>,
}

struct Standing {
    state: State,
    look_at: Instant,
}

enum State {
    There,
    /// It may be about to appear: its outputs wait.
    Missing {
        since: Instant,
    },
    /// A partition has no leader, or it could not be swept: its outputs wait.
    Away,
    Refuses {
        class: &'static str,
        message: String,
    },
}

/// What brokers say of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    There,
    Leaderless,
    Missing,
    Forbidden,
    NoAnswer,
}

/// What is known of a batch before it is tried.
pub(super) enum Before {
    Goes,
    Refused(Vec<Refusal>),
    HeldBack,
}

impl Others {
    pub(super) fn new(own: Vec<String>) -> Self {
        Self {
            own,
            topics: BTreeMap::new(),
            unswept: BTreeSet::new(),
            too_large: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// There is a new producer.
    pub(super) fn renewed(&mut self, topics: Vec<String>) {
        let known = std::mem::take(&mut self.topics).into_keys();
        self.unswept.extend(topics.into_iter().chain(known));
    }

    pub(super) fn check(&mut self, batch: &Batch, producer: &TransactionalProducer) -> Result<Before, Hung> {
        let outputs = batch.entries().flat_map(|entry| entry.outputs.iter());
        let topics = outputs
            .map(|output| &output.topic)
            .filter(|topic| !self.own.contains(topic));
        let topics: BTreeSet<&String> = topics.collect();
        let (mut refusals, mut waits) = (Vec::new(), false);
        for topic in topics {
            self.look(topic, producer)?;
            match self.topics.get(topic).map(|standing| &standing.state) {
                Some(State::Refuses { class, message }) => refusals.push(Refusal {
                    class: (*class).to_owned(),
                    message: message.clone(),
                    topic: Some(topic.clone()),
                    whose: Whose::All,
                }),
                Some(State::Missing { .. } | State::Away) => waits = true,
                Some(State::There) | None => {}
            }
        }
        if !refusals.is_empty() {
            return Ok(Before::Refused(refusals));
        }
        if waits {
            return Ok(Before::HeldBack);
        }
        Ok(self
            .risky(batch)
            .map_or(Before::Goes, |refusal| Before::Refused(vec![refusal])))
    }

    /// Outputs as large as one that was refused go apart from the others.
    fn risky(&mut self, batch: &Batch) -> Option<Refusal> {
        self.too_large.retain(|_, (_, since)| since.elapsed() < TOO_LARGE_FOR);
        if batch.trial || self.too_large.is_empty() {
            return None;
        }
        let risky = blame::places(batch, |entry| {
            let is_as_large = |output: &crate::Output| {
                let limit = self.too_large.get(&output.topic);
                limit.is_some_and(|(size, _)| output.size() >= *size)
            };
            entry.outputs.iter().any(is_as_large)
        });
        let risky: Vec<usize> = risky.collect();
        (!risky.is_empty()).then(|| Refusal {
            class: TOO_LARGE.to_owned(),
            message: String::new(),
            topic: None,
            whose: Whose::OneOf(risky),
        })
    }

    /// What a transaction taught.
    pub(super) fn learn(&mut self, batch: &Batch, outcome: &Outcome) {
        let Outcome::Aborted(Fault::Outputs(refusals)) = outcome else {
            return;
        };
        for refusal in refusals {
            let Some(topic) = &refusal.topic else { continue };
            match &refusal.whose {
                Whose::All => {
                    let class = if refusal.class == NOT_AUTHORIZED {
                        NOT_AUTHORIZED
                    } else {
                        TOPIC_UNKNOWN
                    };
                    self.refuses(topic, class, refusal.message.clone());
                }
                Whose::Result(place) if refusal.class == TOO_LARGE => {
                    let outputs = batch
                        .entries()
                        .nth(*place)
                        .into_iter()
                        .flat_map(|entry| entry.outputs.iter());
                    let outputs = outputs.filter(|output| output.topic == *topic);
                    if let Some(size) = outputs.map(crate::Output::size).max() {
                        let known = self.too_large.get(topic).map_or(size, |(known, _)| (*known).min(size));
                        self.too_large.insert(topic.clone(), (known, Instant::now()));
                    }
                }
                Whose::Result(_) | Whose::OneOf(_) => {}
            }
        }
    }

    /// Looks for what outputs wait for. To be called between transactions.
    pub(super) fn look_again(&mut self, producer: &TransactionalProducer) -> Result<(), Hung> {
        let waits = |standing: &Standing| matches!(standing.state, State::Missing { .. } | State::Away);
        let waited: Vec<String> = self
            .topics
            .iter()
            .filter(|(_, standing)| waits(standing))
            .map(|(topic, _)| topic.clone())
            .collect();
        waited.iter().try_for_each(|topic| self.look(topic, producer))
    }

    /// The topics whose outputs wait, if that is news.
    pub(super) fn held_back(&mut self) -> Option<BTreeSet<String>> {
        let waits = |(topic, standing): (&String, &Standing)| {
            matches!(standing.state, State::Missing { .. } | State::Away).then(|| topic.clone())
        };
        let held_back: BTreeSet<String> = self.topics.iter().filter_map(waits).collect();
        if held_back == self.told {
            return None;
        }
        for topic in held_back.difference(&self.told) {
            tracing::warn!(
                topic,
                "results wait: a topic that they emit to is not there, or has a partition without a leader"
            );
        }
        self.told.clone_from(&held_back);
        Some(held_back)
    }

    fn look(&mut self, topic: &String, producer: &TransactionalProducer) -> Result<(), Hung> {
        let now = Instant::now();
        if self.topics.get(topic).is_some_and(|standing| standing.look_at > now) {
            return Ok(());
        }
        let before = self.topics.remove(topic).map(|standing| standing.state);
        let (state, lasts) = match producer.look(topic)? {
            Look::There if self.unswept.contains(topic) => self.sweep(topic, producer)?,
            Look::There => (State::There, THERE_FOR),
            Look::Leaderless => (State::Away, AWAY_FOR),
            Look::Forbidden => (refused(topic, Code::TopicAuthorizationFailed), REFUSED_FOR),
            Look::NoAnswer if self.unswept.contains(topic) => (State::Away, AWAY_FOR),
            Look::NoAnswer => (before.unwrap_or(State::There), AWAY_FOR),
            Look::Missing => {
                // Nothing can be open in a log that is gone.
                self.unswept.remove(topic);
                match before {
                    Some(State::Refuses { class, message }) => (State::Refuses { class, message }, REFUSED_FOR),
                    Some(State::Missing { since }) if since.elapsed() >= PROPAGATED => {
                        (refused(topic, Code::UnknownTopicOrPartition), REFUSED_FOR)
                    }
                    Some(State::Missing { since }) => (State::Missing { since }, MISSING_FOR),
                    Some(State::There | State::Away) | None => (State::Missing { since: now }, MISSING_FOR),
                }
            }
        };
        let look_at = Instant::now() + lasts;
        self.topics.insert(topic.clone(), Standing { state, look_at });
        Ok(())
    }

    fn sweep(&mut self, topic: &String, producer: &TransactionalProducer) -> Result<(State, Duration), Hung> {
        Ok(match producer.sweep_of_others(topic)? {
            Ok(()) => {
                self.unswept.remove(topic);
                (State::There, THERE_FOR)
            }
            Err(error) => match error.rdkafka_error_code() {
                Some(code @ Code::TopicAuthorizationFailed) => (refused(topic, code), REFUSED_FOR),
                _ => (State::Away, REFUSED_FOR),
            },
        })
    }

    fn refuses(&mut self, topic: &str, class: &'static str, message: String) {
        let standing = Standing {
            state: State::Refuses { class, message },
            look_at: Instant::now() + REFUSED_FOR,
        };
        self.topics.insert(topic.to_owned(), standing);
    }
}

fn refused(topic: &str, code: Code) -> State {
    State::Refuses {
        class: class(code).unwrap_or(TOPIC_UNKNOWN),
        message: format!("{topic} does not take the output: {code:?}"),
    }
}

impl Transactions {
    pub(super) fn look(&self, topic: &str) -> Look {
        let Ok(metadata) = self.producer.client().fetch_metadata(Some(topic), ANSWERED_WITHIN) else {
            return Look::NoAnswer;
        };
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Look::Missing;
        };
        match found.error().map(Code::from) {
            Some(Code::TopicAuthorizationFailed) => Look::Forbidden,
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => Look::Missing,
            Some(_) => Look::Leaderless,
            None if found.partitions().iter().any(|partition| partition.leader() < 0) => Look::Leaderless,
            None => Look::There,
        }
    }
}
