//! What becomes of a run, as it becomes known: queued, each paid call begun and ended, and the result.
//!
//! Decision: the calls are read from Postgres, where the recorder puts them from `attempts` and `audit`, twice a second
//! and later more rarely, not from tails of these topics. So a run can be followed from any instance, from its begin, and
//! through restarts; and an instance does not decode the books of all runs for the few that are looked at. The result
//! comes from the ring, at once. Without Postgres there are `queued` and `result`.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use crate::{
    api::Api,
    history::Step,
    ring::RunKey,
    run::{QUEUED, Run},
    sse::{self, Closed, KEEP_ALIVE, Out, PING},
    waiters::Waiter,
};

const LOOK: Duration = Duration::from_millis(500);
/// A run that takes long is looked at less often.
const LONG: Duration = Duration::from_secs(30);
const LOOK_RARELY: Duration = Duration::from_secs(2);
/// The result is there; its audit, of the same transaction, is given this long to be recorded, so that it comes first.
const AUDIT: Duration = Duration::from_secs(2);
const LOOK_FOR_AUDIT: Duration = Duration::from_millis(50);
/// A Postgres that says nothing may not keep the stream silent.
const ANSWER: Duration = Duration::from_secs(5);

/// How much somebody was told: the id of an event. Calls begin in the order of their write-ahead and end in the order of
/// the books, wherever one looks, so numbers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub started: usize,
    pub ended: usize,
    /// The result: nothing comes after it.
    pub result: bool,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.result {
            true => f.write_str("result"),
            false => write!(f, "{}.{}", self.started, self.ended),
        }
    }
}

impl FromStr for Told {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "result" {
            return Ok(Self {
                result: true,
                ..Self::default()
            });
        }
        let (started, ended) = text.split_once('.').ok_or(())?;
        Ok(Self {
            started: started.parse().map_err(|_| ())?,
            ended: ended.parse().map_err(|_| ())?,
            result: false,
        })
    }
}

/// One who follows a run.
pub(crate) struct Follower {
    pub api: Arc<Api>,
    pub run: RunKey,
    pub waiter: Waiter,
    pub turn: i32,
    pub told: Told,
    pub out: Out,
}

impl Follower {
    /// Tells everything that is not told yet, until the result. `known`: how the run stands; `is_new`: nothing was told yet.
    pub async fn run(mut self, known: Run, is_new: bool) {
        // It ends early in no other way than by `Closed`.
        let _ = self.follow(known, is_new).await;
    }

    async fn follow(&mut self, known: Run, is_new: bool) -> Result<(), Closed> {
        if is_new {
            let begun = Run {
                status: QUEUED.to_owned(),
                end: None,
                ..known.clone()
            };
            let event = sse::event(&self.told.to_string(), "queued", &begun, true);
            self.out.send(event).await?;
        }
        let ended = match known.end {
            Some(_) => known,
            None => self.wait(known).await?,
        };
        let calls = ended
            .end
            .as_ref()
            .map_or(0, |end| usize::try_from(end.attempts).unwrap_or(0));
        let until = Instant::now() + AUDIT;
        while self.tell_steps().await? && self.told.ended < calls && Instant::now() < until {
            tokio::time::sleep(LOOK_FOR_AUDIT).await;
        }
        self.told.result = true;
        let event = sse::event(&self.told.to_string(), "result", &ended, false);
        self.out.send(event).await
    }

    /// The run with its result; tells of its calls meanwhile.
    async fn wait(&mut self, known: Run) -> Result<Run, Closed> {
        let src = known.awaited();
        let began = Instant::now();
        let mut alive = began;
        loop {
            self.tell_steps().await?;
            if alive.elapsed() >= KEEP_ALIVE {
                self.out.send(PING).await?;
                alive = Instant::now();
            }
            let pause = if began.elapsed() < LONG { LOOK } else { LOOK_RARELY };
            let until = Instant::now() + pause;
            let result = tokio::select! {
                result = self.api.bridge.result(&mut self.waiter, src.as_deref(), until) => result,
                () = self.out.closed() => return Err(Closed),
            };
            if let Some(record) = result {
                // While the registry is away, the stream stays silent until it is back.
                match self.api.bridge.decode(&record, until).await {
                    Ok(result) => return Ok(self.recorded().await.unwrap_or(known).ended_by(result)),
                    Err(_) => tokio::time::sleep(pause).await,
                }
            } else if let Some(recorded) = self.recorded().await.filter(|run| run.end.is_some()) {
                return Ok(recorded);
            }
        }
    }

    /// The run as Postgres knows it, if it can be asked.
    async fn recorded(&self) -> Option<Run> {
        let asked = timeout(ANSWER, self.api.history.run(&self.run, Some(self.turn))).await;
        asked.ok()?.ok().flatten()
    }

    /// What is new about the calls; false when Postgres cannot be asked.
    async fn tell_steps(&mut self) -> Result<bool, Closed> {
        let Ok(Ok(mut steps)) = timeout(ANSWER, self.api.history.steps(&self.run, false)).await else {
            return Ok(false);
        };
        steps.retain(|step| step.turn == self.turn);
        let mut piece = String::new();
        for step in steps.iter().skip(self.told.started) {
            self.told.started += 1;
            piece.push_str(&sse::event(&self.told.to_string(), "step.started", step, false));
        }
        for step in in_order_of_their_end(&steps).skip(self.told.ended) {
            self.told.ended += 1;
            piece.push_str(&sse::event(&self.told.to_string(), "step.ended", step, false));
        }
        if !piece.is_empty() {
            self.out.send(piece).await?;
        }
        Ok(true)
    }
}

/// First what was settled or abandoned before the result, then what its audit tells, in the order of the topic.
fn in_order_of_their_end(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let mut ended: Vec<&Step> = steps.iter().filter(|step| step.has_ended()).collect();
    ended.sort_by_key(|step| {
        let audited = step.audited.as_ref().map(|audited| audited.record.offset);
        (audited, step.ended_at)
    });
    ended.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_was_given_out_and_nothing_else() {
        for told in [
            Told::default(),
            Told {
                started: 3,
                ended: 1,
                result: false,
            },
            Told {
                result: true,
                ..Told::default()
            },
        ] {
            assert_eq!(told.to_string().parse(), Ok(told));
        }
        assert!(
            ["", "3", "3.", "-1.0", "end"]
                .iter()
                .all(|text| text.parse::<Told>().is_err())
        );
    }
}
