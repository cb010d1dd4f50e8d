use schemas::Money;

/// What tokens cost, in nano-dollars per million of them: the providers' price lists hold in it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    pub input: i64,
    pub output: i64,
}

impl Price {
    pub const FREE: Self = Self { input: 0, output: 0 };

    /// Free models write nothing ahead: there is no bill to account for.
    pub fn is_free(self) -> bool {
        self == Self::FREE
    }

    /// The cost of one attempt, rounded up once to a whole nano-dollar.
    pub fn cost(self, input_tokens: i64, output_tokens: i64) -> Money {
        let per_million = i128::from(input_tokens.max(0)) * i128::from(self.input)
            + i128::from(output_tokens.max(0)) * i128::from(self.output);
        let nanos = (per_million + 999_999) / 1_000_000;
        Money(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// Dollars as written in a price list, as nano-dollars.
///
/// # Errors
/// What it must be.
pub(super) fn dollars(text: &str) -> Result<i64, String> {
    nano_dollars(text).ok_or_else(|| {
        format!(
            "must be dollars per million tokens as in the price list, with at most nine decimals, such as `0.15`, not \
             `{text}`"
        )
    })
}

/// Without passing through a float.
pub(crate) fn nano_dollars(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        assert_eq!(nano_dollars("0.15"), Some(150_000_000));
        assert_eq!(nano_dollars("0.1"), Some(100_000_000), "0.1 has no exact binary float");
        assert_eq!(nano_dollars("12"), Some(12_000_000_000));
        assert_eq!(nano_dollars("0.000000001"), Some(1));
        for wrong in [
            "",
            ".5",
            "5.",
            "1e3",
            "-1",
            "0.0000000001",
            "99999999999999",
            "0,15",
            "$1",
        ] {
            assert_eq!(nano_dollars(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cost_is_rounded_up_once() {
        let price = Price {
            input: 150_000_000,
            output: 600_000_000,
        };
        assert_eq!(price.cost(1_000_000, 0), Money(150_000_000));
        assert_eq!(price.cost(7, 3), Money(7 * 150 + 3 * 600));
        let odd = Price { input: 1, output: 1 };
        assert_eq!(odd.cost(1, 1), Money(1), "two fractions round up together, not each");
        assert_eq!(odd.cost(0, 0), Money(0));
        assert_eq!(
            Price {
                input: i64::MAX,
                output: i64::MAX
            }
            .cost(i64::MAX, i64::MAX),
            Money(i64::MAX)
        );
    }
}
