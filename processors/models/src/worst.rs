use std::{
    ops::{Add, Mul},
    time::Duration,
};

use schemas::Money;

use crate::{Kind, Limit, Models};

/// The most that something can cost and take, by what the files say: every retry, every fallback, every answer at its cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    pub calls: u64,
    /// Of prompts and answers; `None` where a model's `context` is not known and so a prompt has no bound.
    pub tokens: Option<u64>,
    /// `None` like that, of a model that costs something.
    pub cost: Option<Money>,
    /// Each attempt at its time limit, with the longest pauses between; `None` where something has no limit. What a provider
    /// asks to wait, and the wait for a place among its calls, come on top.
    pub time: Option<Duration>,
}

impl Worst {
    pub const NOTHING: Self = Self {
        calls: 0,
        tokens: Some(0),
        cost: Some(Money::ZERO),
        time: Some(Duration::ZERO),
    };

    /// What costs nothing, and takes this long.
    #[must_use]
    pub fn taking(time: Option<Duration>) -> Self {
        Self { time, ..Self::NOTHING }
    }

    /// Where the one or the other happens.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            calls: self.calls.max(other.calls),
            tokens: self.tokens.zip(other.tokens).map(|(one, other)| one.max(other)),
            cost: self.cost.zip(other.cost).map(|(one, other)| one.max(other)),
            time: self.time.zip(other.time).map(|(one, other)| one.max(other)),
        }
    }

    /// Where both happen at the same time.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            time: self.or(other).time,
            ..self + other
        }
    }

    /// Where it happens so many times, `width` of them at once.
    #[must_use]
    pub fn at_once(self, times: u64, width: u64) -> Self {
        Self {
            time: (self * times.div_ceil(width.max(1))).time,
            ..self * times
        }
    }

    /// Where a budget ends it.
    #[must_use]
    pub fn within(self, limit: Limit) -> Self {
        let Limit { cost, tokens, calls } = limit;
        let tokens = tokens.and_then(|tokens| u64::try_from(tokens).ok());
        Self {
            calls: calls.map_or(self.calls, |most| self.calls.min(u64::from(most))),
            tokens: least(self.tokens, tokens),
            cost: least(self.cost, cost),
            time: self.time,
        }
    }

    /// Where it is ended after that time, if there is one.
    #[must_use]
    pub fn until(self, timeout: Option<Duration>) -> Self {
        Self {
            time: least(self.time, timeout),
            ..self
        }
    }
}

/// The lesser of two bounds, of which one may be none.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The one after the other.
impl Add for Worst {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self
                .tokens
                .zip(other.tokens)
                .map(|(one, other)| one.saturating_add(other)),
            cost: self.cost.zip(other.cost).map(|(one, other)| one + other),
            time: self.time.zip(other.time).map(|(one, other)| one.saturating_add(other)),
        }
    }
}

/// One time after the other.
impl Mul<u64> for Worst {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        let money = |cost: Money| Money(cost.0.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX)));
        match times {
            // Nothing, also of what has no bound.
            0 => Self::NOTHING,
            times => Self {
                calls: self.calls.saturating_mul(times),
                tokens: self.tokens.map(|tokens| tokens.saturating_mul(times)),
                cost: self.cost.map(money),
                time: self
                    .time
                    .map(|time| time.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))),
            },
        }
    }
}

impl Models {
    /// Of one call: each of `aliases` in turn, with the attempts of the models file, or with one where the caller tries
    /// again by itself (`once`). `texts` is how many there are in it, if that is known, and `max_tokens` the cap that is asked
    /// for. Aliases that are not there cost nothing.
    #[must_use]
    pub fn worst_call(&self, aliases: &[String], texts: Option<u32>, max_tokens: Option<u32>, once: bool) -> Worst {
        let models = aliases.iter().filter_map(|alias| self.get(alias));
        let each = models.map(|model| {
            let output = match model.kind {
                Kind::Chat { max_tokens: cap } => i64::from(max_tokens.map_or(cap, |asked| asked.min(cap))),
                Kind::Embed { .. } => 0,
            };
            let input = texts
                .zip(model.context)
                .map(|(texts, context)| i64::from(texts) * i64::from(context));
            let free = model.price.is_free().then_some(Money::ZERO);
            let attempt = Worst {
                calls: 1,
                tokens: input.and_then(|input| u64::try_from(input + output).ok()),
                cost: free.or_else(|| input.map(|input| model.price.cost(input, output))),
                time: Some(model.timeout),
            };
            if once { attempt } else { model.retry.worst(attempt) }
        });
        each.fold(Worst::NOTHING, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Models {
        let file = "
providers: {p: {dialect: openai}}
models:
  dear: {provider: p, model: m, max_tokens: 100, context: 1000, price: {input: 1, output: 2}, retry: {max_attempts: 2}}
  free: {provider: p, model: m, price: free}
  unbounded: {provider: p, model: m, price: {input: 1, output: 2}}
";
        Models::load(file, "models.yaml").unwrap()
    }

    fn worst(alias: &str, max_tokens: Option<u32>, once: bool) -> Worst {
        models().worst_call(&[alias.to_owned()], Some(1), max_tokens, once)
    }

    #[test]
    fn each_attempt_fills_the_context_and_answers_to_the_cap() {
        // 1,000 tokens in at $1 and 100 out at $2 a million.
        let attempt = Money(1_000_000 + 200_000);
        assert_eq!(worst("dear", None, true).cost, Some(attempt));
        assert_eq!(worst("dear", Some(50), true).cost, Some(Money(1_000_000 + 100_000)));
        assert_eq!(worst("dear", None, false).calls, 2);
        assert_eq!(worst("dear", None, false).tokens, Some(2_200));
    }

    #[test]
    fn what_has_no_bound_is_not_made_up() {
        assert_eq!(worst("free", None, true).cost, Some(Money::ZERO));
        assert_eq!(worst("free", None, true).tokens, None);
        assert_eq!(worst("unbounded", None, true).cost, None);
        let limit = Limit {
            cost: Some(Money(5)),
            tokens: Some(7),
            calls: Some(1),
        };
        let bounded = (worst("unbounded", None, false) * 9).within(limit);
        assert_eq!(
            (bounded.calls, bounded.tokens, bounded.cost),
            (1, Some(7), Some(Money(5)))
        );
    }
}
