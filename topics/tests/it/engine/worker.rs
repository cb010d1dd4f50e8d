//! A member in a process of its own, so that it can be killed: this very test binary, started again with one test.

use std::{env, path::PathBuf, time::Duration};

use testkit::{Launch, Process, Signal};
use topics::engine::EngineSettings;

use super::story::{Copy, Story};
use crate::space::SOON;

const STORY: &str = "ENGINE_WORKER";

pub struct Worker(Process);

impl Worker {
    /// Copies; one record of twenty takes `slow`, the others 5 ms.
    pub fn start(story: &Story, slow: Duration) -> Self {
        Self::start_to_die(story, slow, "")
    }

    /// Dies by itself at this point of the engine, such as `produced:3`.
    pub fn start_to_die(story: &Story, slow: Duration, crash_point: &str) -> Self {
        Self::start_with(story, slow, PATIENT, ("CRASH_POINT", crash_point))
    }

    /// Its call at this point of the engine never returns.
    pub fn start_to_hang(story: &Story, transaction_timeout: Duration, hang_point: &str) -> Self {
        let slow = Duration::from_millis(20);
        Self::start_with(story, slow, transaction_timeout, ("HANG_POINT", hang_point))
    }

    fn start_with(story: &Story, slow: Duration, transaction_timeout: Duration, (name, point): (&str, &str)) -> Self {
        let (slow, timeout) = (slow.as_millis(), transaction_timeout.as_millis());
        let story_told = format!("{} {} {}", story.space.prefix, story.requests, story.results);
        let told = format!("{story_told} {slow} {timeout}");
        let log = env::temp_dir().join(format!("{}worker.log", story.space.prefix));
        let launch = Launch::new("worker", env::current_exe().unwrap(), log)
            .args(["--exact", "engine::worker::a_worker", "--nocapture"])
            .env(STORY, told)
            .env(name, point);
        Self(launch.start().unwrap())
    }

    /// Waits until it died at its crash point.
    pub async fn dies(&mut self) {
        self.0.line("crash point: ", SOON).await.unwrap();
        self.0.ended(SOON).await.unwrap();
    }

    pub async fn hangs(&mut self) {
        self.0.line("hang point: ", SOON).await.unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal).unwrap();
    }
}

/// What a dead writer left open stays open for a minute, unless somebody ends it.
const PATIENT: Duration = Duration::from_secs(60);

pub fn patient(story: &Story) -> EngineSettings {
    with_timeout(story, PATIENT)
}

fn with_timeout(story: &Story, transaction_timeout: Duration) -> EngineSettings {
    let mut settings = story.settings();
    settings.tuning.transaction_timeout_ms = transaction_timeout.as_millis() as u64;
    settings
}

/// Not a test but a worker, when another test has started it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker() {
    let Ok(told) = env::var(STORY) else { return };
    let mut told = told.split(' ').map(str::to_owned);
    let mut next = || told.next().unwrap();
    let story = Story::again(next(), next(), next()).await;
    let slow = Duration::from_millis(next().parse().unwrap());
    let timeout = Duration::from_millis(next().parse().unwrap());
    let copy = Copy::taking(move |record| {
        if record.offset % 20 == 3 {
            slow
        } else {
            Duration::from_millis(5)
        }
    });
    let settings = with_timeout(&story, timeout);
    story.start_with(copy, settings).ended_ever().await.unwrap();
}

/// A file whose existence stands for something that is down.
pub fn switch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("{name}down"))
}
