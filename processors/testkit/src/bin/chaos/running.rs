//! A process of Millrace.

use std::{fs, time::Duration};

use anyhow::Context;
use testkit::{Launch, Process, Signal, parts, until};

use crate::{death::crash, world::World};

const READY_WITHIN: Duration = Duration::from_secs(240);
/// More than the grace period for runs.
const STOPPED_WITHIN: Duration = Duration::from_secs(40);

pub struct Running {
    /// Without the number of its start: `w1`.
    base: String,
    /// `w1-3`: of its files, and the door through which it calls the model.
    pub name: String,
    roles: &'static str,
    url: String,
    pub process: Process,
}

impl Running {
    pub fn start(world: &World, base: &str, roles: &'static str, crash_point: Option<&str>) -> anyhow::Result<Self> {
        let name = world.starts.next(base);
        let folder = world.folder.path();
        let models = folder.join(format!("models-{name}.yaml"));
        fs::write(&models, models_file(world, &name)).with_context(|| format!("cannot write {}", models.display()))?;
        let mut launch = Launch::new(&name, world.program_of(base), folder.join(format!("{name}.log")))
            .args(["run", "--roles", roles])
            .env("MILLRACE_MODELS", models);
        for (setting, value) in &world.environment {
            launch = launch.env(setting, value);
        }
        let address = if roles == "api" {
            launch = launch.env("MILLRACE_API__LISTEN", &world.api_address);
            world.api_address.clone()
        } else {
            let address = format!("127.0.0.1:{}", parts::free_port()?);
            launch = launch.env("MILLRACE_ADMIN", &address);
            address
        };
        if roles == "orchestrator" {
            launch = launch.env("MILLRACE_HISTORY", world.folder.worker(&name));
        }
        if let Some(point) = crash_point {
            launch = launch.env("CRASH_POINT", point);
        }
        Ok(Self {
            base: base.to_owned(),
            name,
            roles,
            url: format!("http://{address}"),
            process: launch.start()?,
        })
    }

    pub async fn ready(&mut self, http: &reqwest::Client) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.url);
        let process = &mut self.process;
        let ready = until(READY_WITHIN, async || match process.running() {
            Ok(()) => {
                let answer = http.get(&url).send().await;
                answer
                    .is_ok_and(|answer| answer.status().is_success())
                    .then_some(Ok(()))
            }
            Err(ended) => Some(Err(ended)),
        });
        match ready.await {
            Ok(ready) => Ok(ready?),
            Err(_) => Err(self.process.late("readiness", READY_WITHIN).into()),
        }
    }

    /// Whether it is there; one that ended by itself is written down and replaced.
    pub fn mind(&mut self, world: &World) -> anyhow::Result<()> {
        if let Some(status) = self.process.exit()? {
            world.log.ended_by_itself(&self.name, &status.to_string())?;
            *self = Self::start(world, &self.base, self.roles, None)?;
        }
        Ok(())
    }

    /// `kill -9`, and after a while another one.
    pub async fn kill(mut self, world: &World, kind: &str, pause: Duration) -> anyhow::Result<Self> {
        self.mind(world)?;
        if self.roles == "orchestrator" {
            let map = world.maps.not_empty(Duration::from_secs(5)).await;
            let death = crash(world, &self.name, None, map);
            self.process.kill()?;
            world.log.death(kind, &self.name, "SIGKILL", death)?;
        } else {
            self.process.kill()?;
            world.log.note(crate::world::now(), kind, &self.name, "SIGKILL")?;
        }
        tokio::time::sleep(pause).await;
        Self::start(world, &self.base, self.roles, None)
    }

    /// `kill -9`, for good.
    pub async fn abandon(mut self, world: &World) -> anyhow::Result<()> {
        if self.process.exit()?.is_none() {
            let death = crash(world, &self.name, None, world.maps.latest());
            self.process.kill()?;
            world.log.death("kill_worker", &self.name, "SIGKILL", death)?;
        }
        Ok(())
    }

    /// SIGTERM; it must end in order.
    pub async fn stop(mut self, world: &World) -> anyhow::Result<()> {
        if let Some(status) = self.process.exit()? {
            return world.log.ended_by_itself(&self.name, &status.to_string());
        }
        let status = self.process.stop(STOPPED_WITHIN).await?;
        if !status.success() {
            world
                .log
                .ended_by_itself(&self.name, &format!("after SIGTERM: {status}"))?;
        }
        Ok(())
    }

    /// SIGTERM, and another one.
    pub async fn replace(self, world: &World, pause: Duration) -> anyhow::Result<Self> {
        let (base, roles) = (self.base.clone(), self.roles);
        world
            .log
            .note(crate::world::now(), "stop_worker", &self.name, "SIGTERM")?;
        self.stop(world).await?;
        tokio::time::sleep(pause).await;
        Self::start(world, &base, roles, None)
    }

    pub async fn pause(&mut self, world: &World, lasts: Duration) -> anyhow::Result<()> {
        self.mind(world)?;
        let detail = format!("SIGSTOP for {lasts:?}");
        world
            .log
            .note(crate::world::now(), "pause_worker", &self.name, detail)?;
        self.process.signal(Signal::STOP)?;
        tokio::time::sleep(lasts).await;
        self.process.signal(Signal::CONT)?;
        Ok(())
    }
}

fn models_file(world: &World, door: &str) -> String {
    let url = world.model.url.replace("/v1", &format!("/{door}/v1"));
    let timeout = world.tail.as_secs() + 5;
    format!(
        "providers:
  scripted: {{dialect: openai, base_url: {url}}}
models:
  paid:
    provider: scripted
    model: scripted
    max_tokens: 100
    context: 8000
    price: {{input: 1, output: 2}}
    timeout: {timeout}s
    retry: {{max_attempts: 6, initial: 200ms, factor: 2, max: 2s}}
"
    )
}
