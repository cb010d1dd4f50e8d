//! The query of a URL: read by name, with every mistake at once.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use crate::problem::{Mistake, Problem};

/// The parameters that are not looked at yet, and the mistakes found in the others.
pub(crate) struct Query {
    left: Vec<(String, String)>,
    mistakes: Vec<Mistake>,
}

impl Query {
    pub fn of(raw: &str) -> Self {
        Self {
            left: url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect(),
            mistakes: Vec::new(),
        }
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut found: Vec<String> = self
            .left
            .extract_if(.., |(it, _)| it == name)
            .map(|(_, value)| value)
            .collect();
        if found.len() > 1 {
            self.mistake(name, "given more than once", "value_error");
        }
        if found.iter().any(|value| value.contains('\0')) {
            self.mistake(name, "contains a NUL, which no text here does", "value_error");
        }
        found.pop()
    }

    /// `wait=30`, `30s`, `500ms`, `2m`.
    pub fn duration(&mut self, name: &str, longest: Duration) -> Option<Duration> {
        let text = self.text(name)?;
        match duration(&text) {
            Some(duration) if duration <= longest => Some(duration),
            Some(_) => {
                self.mistake(name, &format!("at most {} s", longest.as_secs()), "less_than_equal");
                None
            }
            None => {
                self.mistake(name, "not a duration like 500ms, 30s or 2m", "time_delta_parsing");
                None
            }
        }
    }

    pub fn number<N: FromStr + PartialOrd + Display>(&mut self, name: &str, range: RangeInclusive<N>) -> Option<N> {
        let number = self.text(name)?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.mistake(
                name,
                &format!("not a number from {} to {}", range.start(), range.end()),
                "int_parsing",
            );
        }
        number
    }

    pub fn one_of(&mut self, name: &str, allowed: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if !allowed.contains(&text.as_str()) {
            self.mistake(name, &format!("not one of {}", allowed.join(", ")), "literal_error");
        }
        Some(text)
    }

    pub fn mistake(&mut self, name: &str, msg: &str, kind: &'static str) {
        self.mistakes.push(Mistake {
            loc: vec!["query".to_owned(), name.to_owned()],
            msg: msg.to_owned(),
            kind: kind.into(),
        });
    }

    /// # Errors
    /// 422 with every mistake; a parameter that nobody asked for is one.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.left) {
            self.mistake(&name, "there is no such parameter", "extra_forbidden");
        }
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.mistakes))
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let parsed = [
            "30",
            "30s",
            "500ms",
            "2m",
            "",
            "s",
            "1.5s",
            "-1s",
            "99999999999999999999",
        ]
        .map(duration);
        let [s, ms] = [Duration::from_secs, Duration::from_millis];
        assert_eq!(
            parsed,
            [
                Some(s(30)),
                Some(s(30)),
                Some(ms(500)),
                Some(s(120)),
                None,
                None,
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut query = Query::of("wait=2h&limit=0&status=done&chain=a%20b&chain=c&x");
        query.duration("wait", Duration::from_secs(600));
        query.number("limit", 1..=200);
        query.one_of("status", &["failed"]);
        assert_eq!(query.text("chain").as_deref(), Some("c"));
        let problem = query.finish().unwrap_err();
        let found: Vec<String> = problem.mistakes().iter().map(|it| it.loc.join(".")).collect();
        assert_eq!(
            found,
            ["query.wait", "query.limit", "query.status", "query.chain", "query.x"]
        );
    }
}
