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
        let slow = slow.as_millis();
        let told = format!("{} {} {} {slow}", story.space.prefix, story.requests, story.results);
        let log = env::temp_dir().join(format!("{}worker.log", story.space.prefix));
        let launch = Launch::new("worker", env::current_exe().unwrap(), log)
            .args(["--exact", "engine::worker::a_worker", "--nocapture"])
            .env(STORY, told)
            .env("CRASH_POINT", crash_point);
        Self(launch.start().unwrap())
    }

    /// Waits until it died at its crash point.
    pub async fn dies(&mut self) {
        self.0.line("crash point: ", SOON).await.unwrap();
        self.0.ended(SOON).await.unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal).unwrap();
    }
}

/// What a dead writer left open stays open for a minute, unless somebody ends it.
pub fn patient(story: &Story) -> EngineSettings {
    let mut settings = story.settings();
    settings.tuning.transaction_timeout_ms = 60_000;
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
    let copy = Copy::taking(move |record| {
        if record.offset % 20 == 3 {
            slow
        } else {
            Duration::from_millis(5)
        }
    });
    story.start_with(copy, patient(&story)).ended_ever().await.unwrap();
}

/// A file whose existence stands for something that is down.
pub fn switch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("{name}down"))
}
