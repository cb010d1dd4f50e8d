use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

/// An amount in nano-dollars (10⁻⁹ USD). Never a float: a cost is rounded up once, where it is computed, and sums are
/// exact from there on. Addition saturates: a book that is full says the largest amount instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with at least two and at most nine decimals, none of them rounded: `$0.000123`, `-$1.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let decimals = format!("{:09}", nanos % 1_000_000_000);
        let significant = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}${}.{}", nanos / 1_000_000_000, &decimals[..significant])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_without_rounding() {
        let shown = [0, 1, 123_000, 1_500_000_000, -1_500_000_000, i64::MIN].map(|nanos| Money(nanos).to_string());
        let expected = [
            "$0.00",
            "$0.000000001",
            "$0.000123",
            "$1.50",
            "-$1.50",
            "-$9223372036.854775808",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_full_book_does_not_wrap() {
        assert_eq!([Money(i64::MAX), Money(1)].into_iter().sum::<Money>(), Money(i64::MAX));
        assert_eq!(Money(i64::MAX).checked_add(Money(1)), None);
    }
}
