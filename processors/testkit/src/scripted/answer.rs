use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What comes back, written `echo`, `text:WORDS`, `calls:ARGUMENTS`, `STATUS`, `429:SECONDS`, `late:STATUS`, `hang`, `cut`,
/// `stall` or `malformed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Answer {
    /// The last user message; for embeddings, a vector of the text.
    #[default]
    Echo,
    Text(String),
    /// The first tool is called with these arguments, again and again, while tools may be called; then like `Text`.
    Calls(String),
    /// 429 with `Retry-After`.
    RateLimited {
        retry_after_s: u64,
    },
    /// Any other status of 400 and above, with an error body.
    Status(u16),
    /// An error as an event, when half of a stream is out; like `Status` where the answer is not streamed.
    Late(u16),
    /// Accepted and never answered.
    Hang,
    /// The connection breaks in the middle of the body.
    Cut,
    /// Nothing comes after the first half of the body, and the connection stays.
    Stall,
    /// 200, and a body that is not JSON.
    Malformed,
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no answer: echo, text:WORDS, calls:ARGUMENTS, a status of 400 to 599, 429:SECONDS, late:STATUS, \
                 hang, cut, stall or malformed"
            )
        };
        match text.split_once(':') {
            Some(("text", words)) => Ok(Self::Text(words.to_owned())),
            Some(("calls", arguments)) => Ok(Self::Calls(arguments.to_owned())),
            Some(("429", seconds)) => Ok(Self::RateLimited {
                retry_after_s: seconds.parse().map_err(|_| wrong())?,
            }),
            Some(("late", status)) => match status.parse() {
                Ok(status @ 400..600) => Ok(Self::Late(status)),
                Ok(_) | Err(_) => Err(wrong()),
            },
            Some(_) => Err(wrong()),
            None => match text {
                "echo" => Ok(Self::Echo),
                "hang" => Ok(Self::Hang),
                "cut" => Ok(Self::Cut),
                "stall" => Ok(Self::Stall),
                "malformed" => Ok(Self::Malformed),
                status => match status.parse() {
                    Ok(status @ 400..600) => Ok(Self::Status(status)),
                    Ok(_) | Err(_) => Err(wrong()),
                },
            },
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
            Self::Text(words) => write!(f, "text:{words}"),
            Self::Calls(arguments) => write!(f, "calls:{arguments}"),
            Self::RateLimited { retry_after_s } => write!(f, "429:{retry_after_s}"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Hang => f.write_str("hang"),
            Self::Late(status) => write!(f, "late:{status}"),
            Self::Cut => f.write_str("cut"),
            Self::Stall => f.write_str("stall"),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}

impl TryFrom<String> for Answer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Answer> for String {
    fn from(answer: Answer) -> Self {
        answer.to_string()
    }
}
