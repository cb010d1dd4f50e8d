//! What decides in a schedule, recorded so that it can be decided again with parts left out.

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// One list of choices per decision. A decision that is taken out of it takes its choices along, and the others keep theirs.
pub type Script = Vec<Vec<u16>>;

pub struct Chance {
    rng: SmallRng,
    script: Script,
    /// The decision and the choice in it that come next; `None` while the script is being written.
    at: Option<(usize, usize)>,
}

impl Chance {
    pub fn of_seed(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            script: Script::new(),
            at: None,
        }
    }

    pub fn of_script(seed: u64, script: Script) -> Self {
        Self {
            script,
            at: Some((0, 0)),
            ..Self::of_seed(seed)
        }
    }

    /// The script is over: what follows depends on the seed alone.
    pub fn calm_down(&mut self, seed: u64) -> Script {
        self.rng = SmallRng::seed_from_u64(!seed);
        self.at = None;
        std::mem::take(&mut self.script)
    }

    pub fn next_decision(&mut self) {
        match &mut self.at {
            Some((decision, choice)) => (*decision, *choice) = (*decision + 1, 0),
            None => self.script.push(Vec::new()),
        }
    }

    /// A number below `count`. Where the script says nothing, 0: the choice that does no harm.
    pub fn below(&mut self, count: usize) -> usize {
        let count = count.max(1);
        if let Some((decision, choice)) = &mut self.at {
            let written = self
                .script
                .get(decision.wrapping_sub(1))
                .and_then(|choices| choices.get(*choice));
            *choice += 1;
            return usize::from(written.copied().unwrap_or_default()) % count;
        }
        let chosen = self.rng.random_range(0..count);
        if let Some(choices) = self.script.last_mut() {
            choices.push(chosen as u16);
        }
        chosen
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 1
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let which = self.below(all.len());
        all.get(which)
    }
}
