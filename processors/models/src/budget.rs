use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::Money;
use yaml::{Fields, count};

use crate::config::nano_dollars;

/// What calls may cost together.
///
/// Each attempt reserves what it may cost at most before it leaves, and gives back what it did not need: calls that run at
/// the same time cannot spend the same money twice. One without limits is the default.
#[derive(Debug, Clone, Default)]
pub struct Budget(Option<Arc<Shared>>);

/// At most; none where the file does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    pub cost: Option<Money>,
    /// Of prompts and answers together.
    pub tokens: Option<i64>,
    /// Attempts, those that fail included.
    pub calls: Option<u32>,
}

#[derive(Debug)]
struct Shared {
    limit: Limit,
    spent: Mutex<Spent>,
    around: Budget,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    cost: Money,
    tokens: i64,
    calls: u32,
}

/// What one attempt may cost, until it is known what it did.
#[derive(Debug)]
pub(crate) struct Reservation<'b> {
    budget: &'b Budget,
    cost: Money,
    tokens: i64,
}

impl Limit {
    /// What a mapping with them among its keys says.
    pub const KEYS: [&str; 3] = ["usd", "tokens", "calls"];

    /// [`Self::KEYS`] of a mapping.
    #[must_use]
    pub fn read(fields: &Fields<'_>) -> Self {
        Self {
            cost: fields.scalar("usd", dollars).map(|cost| cost.value),
            tokens: fields
                .scalar("tokens", count::<u32>)
                .map(|tokens| i64::from(tokens.value)),
            calls: fields.scalar("calls", count).map(|calls| calls.value),
        }
    }
}

fn dollars(text: &str) -> Result<Money, String> {
    nano_dollars(text)
        .map(Money)
        .ok_or_else(|| format!("must be dollars with at most nine decimals, such as `0.05`, not `{text}`"))
}

impl Budget {
    /// A part of this one: what is spent there is spent here too.
    #[must_use]
    pub fn part(&self, limit: Limit) -> Self {
        if limit == Limit::default() {
            return self.clone();
        }
        Self(Some(Arc::new(Shared {
            limit,
            spent: Mutex::default(),
            around: self.clone(),
        })))
    }

    /// One of which this much is gone already.
    #[must_use]
    pub fn after(cost: Money, tokens: i64, calls: u32, limit: Limit) -> Self {
        let budget = Self::default().part(limit);
        if let Some(shared) = &budget.0 {
            *shared.spent() = Spent { cost, tokens, calls };
        }
        budget
    }

    /// # Errors
    /// What there is too little of.
    pub(crate) fn reserve(&self, cost: Money, tokens: i64) -> Result<Reservation<'_>, String> {
        self.take(cost, tokens)?;
        let budget = self;
        Ok(Reservation { budget, cost, tokens })
    }

    fn take(&self, cost: Money, tokens: i64) -> Result<(), String> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let mut spent = shared.spent();
        let after = Spent {
            cost: spent.cost + cost,
            tokens: spent.tokens.saturating_add(tokens),
            calls: spent.calls.saturating_add(1),
        };
        let Limit {
            cost: most_cost,
            tokens: most_tokens,
            calls: most_calls,
        } = shared.limit;
        if let Some(most) = most_cost.filter(|most| after.cost > *most) {
            return Err(format!(
                "the next call may cost {cost}, {} of {most} are spent or reserved",
                spent.cost
            ));
        }
        if let Some(most) = most_tokens.filter(|most| after.tokens > *most) {
            return Err(format!(
                "the next call may take {tokens} tokens, {} of {most} are spent or reserved",
                spent.tokens
            ));
        }
        if let Some(most) = most_calls.filter(|most| after.calls > *most) {
            return Err(format!("all of its {most} calls are made"));
        }
        // Locks are taken from the part to the whole, never the other way.
        shared.around.take(cost, tokens)?;
        *spent = after;
        Ok(())
    }

    fn give_back(&self, cost: Money, tokens: i64) {
        if let Some(shared) = &self.0 {
            let mut spent = shared.spent();
            spent.cost = spent.cost.saturating_sub(cost);
            spent.tokens = spent.tokens.saturating_sub(tokens);
            drop(spent);
            shared.around.give_back(cost, tokens);
        }
    }
}

impl Shared {
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation<'_> {
    /// It did cost this much. One that is never settled counts with all that it may have cost.
    pub(crate) fn settle(self, cost: Money, tokens: i64) {
        self.budget
            .give_back(self.cost.saturating_sub(cost), self.tokens.saturating_sub(tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(cost: i64, tokens: i64, calls: u32) -> Limit {
        Limit {
            cost: Some(Money(cost)),
            tokens: Some(tokens),
            calls: Some(calls),
        }
    }

    #[test]
    fn what_runs_at_once_cannot_spend_the_same_money() {
        let budget = Budget::default().part(limit(100, 1_000, 9));

        let first = budget.reserve(Money(60), 10).unwrap();
        let refused = budget.reserve(Money(60), 10).unwrap_err();
        assert!(refused.starts_with("the next call may cost"), "{refused}");
        first.settle(Money(20), 5);
        let second = budget.reserve(Money(60), 990).unwrap();
        second.settle(Money(60), 990);
        budget.reserve(Money(1), 6).unwrap_err();
        budget.reserve(Money(20), 5).unwrap();
    }

    #[test]
    fn a_part_spends_from_the_whole_and_has_its_own_bounds() {
        let whole = Budget::default().part(limit(100, 1_000, 3));
        let part = whole.part(limit(50, 1_000, 1));

        part.reserve(Money(40), 1).unwrap().settle(Money(40), 1);
        assert_eq!(part.reserve(Money(1), 1).unwrap_err(), "all of its 1 calls are made");
        whole.reserve(Money(61), 1).unwrap_err();
        whole.reserve(Money(60), 1).unwrap();
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let budget = Budget::default();
        budget.reserve(Money(i64::MAX), i64::MAX).unwrap();
        budget
            .part(Limit::default())
            .reserve(Money(i64::MAX), i64::MAX)
            .unwrap();
    }
}
