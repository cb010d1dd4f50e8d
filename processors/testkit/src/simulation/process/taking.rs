//! A takeover, a request at a time: what the brokers answer, and what becomes of a request without an answer.

use std::collections::{BTreeMap, BTreeSet};

use topics::{
    TopicPartition,
    engine::core::{Answer, Claim, Committed, Step, Takeover, Unfenced, Verdict, Whole},
};

use super::{
    super::{Mutation, broker::Broker, chance::Chance, group::Group},
    GROUP, Poll, Process,
};

pub(super) struct Taking {
    takeover: Box<Takeover>,
    step: Step,
    unfenced: BTreeSet<String>,
    /// It is the answer to a rebalance event; else the group may move on meanwhile.
    pub(super) in_event: bool,
}

impl Taking {
    pub(super) fn begin(writer: &str, partitions: Vec<TopicPartition>, in_event: bool) -> Self {
        let mut takeover = Box::new(Takeover::new(writer, GROUP, partitions));
        Self {
            step: takeover.start(),
            takeover,
            unfenced: BTreeSet::new(),
            in_event,
        }
    }
}

impl Process {
    pub(super) fn take_over(
        &mut self,
        chance: &mut Chance,
        broker: &mut Broker,
        group: &mut Group,
        taking: Taking,
        reaches: bool,
    ) {
        let Taking {
            mut takeover,
            step,
            mut unfenced,
            in_event,
        } = taking;
        let fails = !self.committer.calm && chance.one_in(60);
        if !matches!(step, Step::Done(_)) && (!reaches || fails) {
            let step = if fails || chance.one_in(4) {
                takeover.next(self.failure(broker, group, &step, fails && reaches))
            } else {
                step
            };
            self.poll = Poll::Taking(Taking {
                takeover,
                step,
                unfenced,
                in_event,
            });
            return;
        }
        let careless = self.mutation == Some(Mutation::ClaimFirst);
        let answer = match &step {
            Step::ReadStable { partitions, .. } if careless => Some(Answer::Read(broker.read_unstable(partitions))),
            Step::ReadStable { partitions, patient } => match broker.read_stable(partitions) {
                Some(found) => Some(Answer::Read(found)),
                None if *patient || chance.one_in(2) => None,
                None => Some(Answer::Pending),
            },
            Step::ReadUnstable { partitions } => Some(Answer::Read(broker.read_unstable(partitions))),
            Step::Fence { writers } if careless => {
                unfenced.extend(writers.iter().cloned());
                Some(Answer::Fenced {
                    failed: BTreeMap::new(),
                })
            }
            Step::Fence { .. } if self.mutation == Some(Mutation::SkipFence) => Some(Answer::Fenced {
                failed: BTreeMap::new(),
            }),
            Step::Fence { writers } => {
                if unfenced.is_empty() {
                    unfenced.extend(writers.iter().cloned());
                }
                unfenced.retain(|writer| !fence(broker, writer, self.mutation));
                unfenced.is_empty().then(|| Answer::Fenced {
                    failed: BTreeMap::new(),
                })
            }
            Step::Inspect { partitions } => Some(Answer::Inspected {
                log_starts: partitions
                    .iter()
                    .filter_map(|partition| Some((partition.clone(), broker.inputs.get(partition)?.start)))
                    .collect(),
                topics: topics(broker, self.mutation),
            }),
            Step::Claim { claims } => Some(self.claim(broker, group, claims)),
            Step::Done(verdicts) => {
                for writer in &unfenced {
                    // Only the careless one has any left; what matters is that it is too late.
                    fence(broker, writer, self.mutation);
                }
                self.adopt(verdicts.clone(), in_event);
                return;
            }
        };
        let step = match answer {
            Some(answer) => takeover.next(answer),
            None => step,
        };
        self.poll = Poll::Taking(Taking {
            takeover,
            step,
            unfenced,
            in_event,
        });
    }

    /// The step had no answer; its request may have arrived all the same.
    fn failure(&self, broker: &mut Broker, group: &Group, step: &Step, arrives: bool) -> Answer {
        match step {
            Step::ReadStable { patient: false, .. } => Answer::Pending,
            Step::Fence { writers } => {
                let unfenced = Unfenced {
                    reason: "no answer".to_owned(),
                    is_final: false,
                };
                Answer::Fenced {
                    failed: writers
                        .iter()
                        .map(|writer| (writer.clone(), unfenced.clone()))
                        .collect(),
                }
            }
            Step::Claim { claims } => {
                if arrives {
                    let _ = self.claim(broker, group, claims);
                }
                let failed = |claim: &Claim| (claim.partition.clone(), "no answer".to_owned());
                Answer::Claimed {
                    failed: claims.iter().map(failed).collect(),
                }
            }
            _ => Answer::Failed("no answer".to_owned()),
        }
    }

    fn claim(&self, broker: &mut Broker, group: &Group, claims: &[Claim]) -> Answer {
        let offsets = claims
            .iter()
            .map(|claim| (claim.partition.clone(), claim.offset, claim.metadata.clone()))
            .collect();
        let failed = match broker.commit_plainly(group, &self.membership(), offsets) {
            Ok(()) => BTreeMap::new(),
            Err(refusal) => claims
                .iter()
                .map(|claim| (claim.partition.clone(), format!("{refusal:?}")))
                .collect(),
        };
        Answer::Claimed { failed }
    }

    fn adopt(&mut self, verdicts: BTreeMap<TopicPartition, Verdict>, in_event: bool) {
        if in_event {
            self.core.refresh(Some(self.membership()));
        }
        for (partition, verdict) in verdicts {
            match verdict {
                Verdict::Claimed(state) => {
                    self.positions.insert(partition.clone(), state.progress.watermark());
                    self.core.claimed(partition, state);
                }
                Verdict::Refused(message) => self.core.refused(partition, message),
                Verdict::Later(_) => self.committer.must_claim = true,
            }
        }
    }
}

/// How each topic stands in the group.
fn topics(broker: &Broker, mutation: Option<Mutation>) -> BTreeMap<String, Whole> {
    let mut topics = BTreeMap::<String, Whole>::new();
    let found = broker.read_unstable(&broker.inputs.keys().cloned().collect::<Vec<_>>());
    for (partition, commit) in found {
        let whole = topics.entry(partition.topic.to_string()).or_default();
        whole.partitions += 1;
        whole.commits.extend(commit.map(|commit| (partition.partition, commit)));
    }
    if mutation == Some(Mutation::GuessAdded) {
        for whole in topics.values_mut() {
            let seen = whole.commits.len() as u32;
            for (offset, metadata) in whole.commits.values_mut() {
                if let Ok(state) = Committed::decode(*offset, metadata) {
                    *metadata = Committed {
                        partitions: seen,
                        ..state
                    }
                    .encode();
                }
            }
        }
    }
    topics
}

/// A producer with the writer's id ends whatever it left open, and sweeps up what brokers left of it. True when it is done.
fn fence(broker: &mut Broker, writer: &str, mutation: Option<Mutation>) -> bool {
    let Ok(epoch) = broker.init(writer) else { return false };
    broker.tell(|| format!("{writer} is fenced"));
    if mutation != Some(Mutation::SkipSweep) {
        // Whoever is fenced in between has nothing to sweep up.
        let _ = broker
            .sweep(writer, epoch, true)
            .and_then(|()| broker.end(writer, epoch, false));
    }
    true
}
