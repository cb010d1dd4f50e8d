//! Requests from several producers: two in Rust, one in Python with a stranger's client and serializer, one that
//! sends what nobody should, callers over HTTP, and people who decide
//! where a run waits. Each writes down what it handed out and what was acknowledged.

mod deciders;
mod feed;
mod hostile;
mod http;
mod producer;
mod request;
mod third_party;

use std::{sync::Arc, time::Duration};

use testkit::{Rule, Script, When};
use tokio_util::sync::CancellationToken;

use crate::world::World;

use deciders::Deciders;
pub use feed::FeedReader;
use hostile::Hostile;
use http::Callers;
use producer::RequestProducer;
use third_party::ThirdParty;

/// In the questions of requests that a model fault hits.
pub const SHAKY: &str = "shaky";
/// In the questions of requests whose model answers late.
pub const TAIL: &str = "tail";

/// The chain that waits for a person.
pub const ASKING: &str = "asking";
/// A chain that emits to a topic of an owner's, and one to a topic that its owner deletes now and then.
pub const KEPT: &str = "kept";
pub const FICKLE: &str = "fickle";

/// Most answers take 20 to 200 ms, those of the tail a hundred times as long.
pub fn script(seed: u64, tail: Duration) -> Script {
    let late = Rule {
        when: When {
            contains: Some(TAIL.to_owned()),
            ..When::default()
        },
        latency: Some(testkit::Latency::Fixed {
            ms: tail.as_millis().try_into().unwrap_or(u64::MAX),
        }),
        answer: None,
    };
    Script {
        seed,
        rules: vec![late],
        ..Script::after(testkit::Latency::LogNormal {
            median_ms: 60,
            sigma: 0.6,
        })
    }
}

pub struct Load {
    end: CancellationToken,
    producers: Vec<RequestProducer>,
    third_party: ThirdParty,
    hostile: Hostile,
    callers: Callers,
    deciders: Deciders,
}

impl Load {
    pub async fn start(world: &Arc<World>, seed: u64, rate: u64) -> anyhow::Result<Self> {
        let end = CancellationToken::new();
        let share = |percent: u64| (rate * percent / 100).max(1);
        let third_party = ThirdParty::start(world, seed, share(20)).await?;
        let producers = vec![
            RequestProducer::start(world, "first", seed, share(45), end.clone()).await?,
            RequestProducer::start(world, "second", seed.wrapping_add(1), share(30), end.clone()).await?,
        ];
        let hostile = Hostile::start(world, seed, share(5).min(20), end.clone()).await?;
        let end_of_load = end.clone();
        let callers = Callers::start(world, share(5).min(10), end.clone());
        Ok(Self {
            end,
            producers,
            third_party,
            hostile,
            callers,
            deciders: Deciders::start(world, end_of_load).await?,
        })
    }

    /// Returns when what was handed out is acknowledged, and callers have their answers.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.end.cancel();
        for producer in self.producers {
            producer.stop().await?;
        }
        self.third_party.stop().await?;
        self.hostile.stop().await?;
        self.callers.stop().await?;
        self.deciders.stop().await
    }
}
