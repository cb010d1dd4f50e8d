//! What a request says about its own answer: `<<script latency=fixed:300 answer=429:1 attempts=2>>`. No quotes and no
//! braces, so that it passes through templates and JSON untouched.

use super::{Rule, When};

const OPEN: &str = "<<script";
const CLOSE: &str = ">>";

/// In the last of the texts that has one.
pub fn find(texts: &[String]) -> Option<Result<Rule, String>> {
    texts.iter().rev().find_map(|text| {
        let (_, rest) = text.split_once(OPEN)?;
        let (words, _) = rest.split_once(CLOSE)?;
        Some(parse(words))
    })
}

/// The words between the brackets, or the header `x-script`.
pub fn parse(words: &str) -> Result<Rule, String> {
    let mut rule = Rule::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("latency", latency)) => rule.latency = Some(latency.parse()?),
            Some(("answer", answer)) => rule.answer = Some(answer.parse()?),
            Some(("attempts", attempts)) => {
                let attempts = attempts.parse().map_err(|_| format!("`{word}`: a number is needed"))?;
                rule.when = When {
                    attempts: Some(attempts),
                    ..When::default()
                };
            }
            Some(_) | None => return Err(format!("`{word}` is no directive: latency=, answer= or attempts=")),
        }
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Answer, Latency};

    #[test]
    fn the_last_message_that_has_one_decides() {
        let texts = [
            "<<script answer=500>>",
            "before <<script latency=fixed:5 answer=hang attempts=2>> after",
            "no",
        ];
        let rule = find(&texts.map(str::to_owned)).unwrap().unwrap();
        assert_eq!(rule.latency, Some(Latency::Fixed { ms: 5 }));
        assert_eq!(rule.answer, Some(Answer::Hang));
        assert_eq!(rule.when.attempts, Some(2));
    }

    #[test]
    fn a_misspelt_directive_is_an_error_and_not_ignored() {
        assert!(find(&["<<script anwser=500>>".to_owned()]).unwrap().is_err());
    }
}
