//! A topic that is followed for as long as the process lives: what ends a tail is mended or waited for, and shows as
//! not standing at the end.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::watch, time::sleep};
use topics::{KafkaSettings, Record, Start, Tail, TailError, TailEvent, TailSettings, TailStatus, TopicPartition};

use crate::health::say;

/// Before a tail that ended is opened again.
const AGAIN: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 16 << 20;

pub(crate) struct Following {
    kafka: KafkaSettings,
    topic: &'static str,
    /// Where to begin when nothing has been read, or what was read last is gone.
    anew: Start,
    start: Start,
    open: Option<Open>,
    /// Ok: everything has been received that was committed when the tail was opened. Else: why not.
    standing: watch::Sender<Result<(), String>>,
}

/// What following a topic gives.
pub(crate) enum Followed {
    Record(Record),
    /// Everything has been received that was committed when the tail was opened.
    CaughtUp,
    /// Records were lost, or the topic was made anew: what comes now does not go on where the last one was.
    Anew,
}

/// An open tail, and what it says of itself.
struct Open {
    tail: Tail,
    status: watch::Receiver<TailStatus>,
}

impl Following {
    /// `topic` is without the prefix.
    pub fn new(kafka: &KafkaSettings, topic: &'static str, anew: Start) -> Self {
        let standing = watch::Sender::new(Err(format!("the tail of {topic} has not reached its end yet")));
        Self {
            kafka: kafka.clone(),
            topic,
            start: anew.clone(),
            anew,
            open: None,
            standing,
        }
    }

    pub fn standing(&self) -> watch::Receiver<Result<(), String>> {
        self.standing.subscribe()
    }

    /// The next event, whatever it takes. Not safe to cancel.
    pub async fn next(&mut self) -> Followed {
        loop {
            let Some(open) = &mut self.open else {
                self.open().await;
                continue;
            };
            match open.next(self.topic, &self.standing).await {
                Ok(TailEvent::Record(record)) => return Followed::Record(record),
                Ok(TailEvent::CaughtUp) => return Followed::CaughtUp,
                Err(error) => {
                    self.begin_again(&error).await;
                    if matches!(error, TailError::OutOfRange { .. }) {
                        return Followed::Anew;
                    }
                }
            }
        }
    }

    /// Where the reading of each partition began, since the last [`Followed::Anew`] or since a tail was opened again.
    pub fn begun(&self) -> Option<&BTreeMap<TopicPartition, i64>> {
        self.open.as_ref().map(|open| open.tail.begun())
    }

    async fn open(&mut self) {
        let settings = TailSettings {
            client_id: format!("api-{}", self.topic),
            topics: vec![self.kafka.topic(self.topic)],
            start: self.start.clone(),
            buffer_bytes: BUFFER_BYTES,
        };
        match Tail::open(&self.kafka, settings) {
            Ok(tail) => {
                let status = tail.status();
                self.open = Some(Open { tail, status });
            }
            Err(error) => self.begin_again(&error).await,
        }
    }

    async fn begin_again(&mut self, error: &TailError) {
        let reason = format!("the tail of {}: {error}", self.topic);
        tracing::warn!(
            topic = self.topic,
            error = error as &dyn std::error::Error,
            "a tail is opened again"
        );
        say(&self.standing, Err(reason));
        self.start = match (self.open.take(), error) {
            (Some(_), TailError::OutOfRange { .. }) => self.anew.clone(),
            (Some(open), TailError::Ended | TailError::Create(_) | TailError::Thread(_)) => {
                Start::Offsets(open.tail.positions().clone())
            }
            (None, _) => self.start.clone(),
        };
        sleep(AGAIN).await;
    }
}

impl Open {
    /// The next event; tells how the tail stands, before it gives that everything was received.
    async fn next(
        &mut self,
        topic: &str,
        standing: &watch::Sender<Result<(), String>>,
    ) -> Result<TailEvent, TailError> {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.status.changed() => {}
                event = self.tail.recv() => return event,
            }
            let status = self.status.borrow_and_update().clone();
            let state = match status.trouble {
                Some(trouble) => Err(format!("the tail of {topic}: {trouble}")),
                None if status.caught_up => Ok(()),
                None => Err(format!("the tail of {topic} has not reached its end yet")),
            };
            say(standing, state);
        }
    }
}
