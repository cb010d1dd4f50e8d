use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How long an answer takes, written `fixed:MS`, `bimodal:FAST_MS,SLOW_MS,SHARE_OF_SLOW` or
/// `lognormal:MEDIAN_MS,SIGMA`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Latency {
    Fixed {
        ms: u64,
    },
    Bimodal {
        fast_ms: u64,
        slow_ms: u64,
        slow_share: f64,
    },
    /// `sigma` of the logarithm: 0.5 puts the 99th percentile at 3.2 medians.
    LogNormal {
        median_ms: u64,
        sigma: f64,
    },
}

impl Latency {
    pub(super) fn draw(self, seed: u64, request_id: &str, attempt: u32) -> Duration {
        let mut hasher = DefaultHasher::new();
        (seed, request_id, attempt).hash(&mut hasher);
        let mut random = StdRng::seed_from_u64(hasher.finish());
        match self {
            Self::Fixed { ms } => Duration::from_millis(ms),
            Self::Bimodal {
                fast_ms,
                slow_ms,
                slow_share,
            } => Duration::from_millis(if random.random::<f64>() < slow_share {
                slow_ms
            } else {
                fast_ms
            }),
            Self::LogNormal { median_ms, sigma } => {
                // Box and Muller; 1 - u because u may be 0
                let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.random::<f64>()).cos();
                let factor = (sigma * normal).exp().min(1000.0);
                Duration::from_millis(median_ms).mul_f64(factor)
            }
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed { ms: 0 }
    }
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no latency: fixed:MS, bimodal:FAST_MS,SLOW_MS,SHARE_OF_SLOW or lognormal:MEDIAN_MS,SIGMA"
            )
        };
        let (kind, numbers) = text.split_once(':').ok_or_else(wrong)?;
        let numbers: Vec<&str> = numbers.split(',').collect();
        let ms = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let real = |text: &str| match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            Ok(_) | Err(_) => Err(wrong()),
        };
        match (kind, numbers.as_slice()) {
            ("fixed", [only]) => Ok(Self::Fixed { ms: ms(only)? }),
            ("bimodal", [fast, slow, share]) => Ok(Self::Bimodal {
                fast_ms: ms(fast)?,
                slow_ms: ms(slow)?,
                slow_share: real(share)?,
            }),
            ("lognormal", [median, sigma]) => Ok(Self::LogNormal {
                median_ms: ms(median)?,
                sigma: real(sigma)?,
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { ms } => write!(f, "fixed:{ms}"),
            Self::Bimodal {
                fast_ms,
                slow_ms,
                slow_share,
            } => write!(f, "bimodal:{fast_ms},{slow_ms},{slow_share}"),
            Self::LogNormal { median_ms, sigma } => write!(f, "lognormal:{median_ms},{sigma}"),
        }
    }
}

impl TryFrom<String> for Latency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Latency> for String {
    fn from(latency: Latency) -> Self {
        latency.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(latency: &str) -> Vec<u64> {
        let latency: Latency = latency.parse().unwrap();
        (0..10_000)
            .map(|n| latency.draw(7, &format!("r-{n}"), 1).as_millis().try_into().unwrap())
            .collect()
    }

    #[test]
    fn the_same_request_waits_the_same_time_in_every_run() {
        assert_eq!(drawn("lognormal:300,0.5"), drawn("lognormal:300,0.5"));
    }

    #[test]
    fn distributions_have_the_shape_they_name() {
        let slow = drawn("bimodal:5,3000,0.1").into_iter().filter(|ms| *ms == 3000).count();
        assert!((900..1100).contains(&slow), "{slow} of 10,000");

        let mut drawn = drawn("lognormal:300,0.5");
        drawn.sort_unstable();
        assert!((285..315).contains(&drawn[5_000]), "median {}", drawn[5_000]);
        assert!((880..1050).contains(&drawn[9_900]), "99th percentile {}", drawn[9_900]);
    }

    #[test]
    fn what_is_written_can_be_read() {
        for text in ["fixed:5", "bimodal:5,3000,0.5", "lognormal:300,0.5"] {
            assert_eq!(text.parse::<Latency>().unwrap().to_string(), text);
        }
        for text in ["", "fixed", "fixed:-1", "bimodal:1,2", "lognormal:1,NaN"] {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }
}
