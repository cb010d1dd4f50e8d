//! What people write that should not travel: found by its form, in text of any language.
//!
//! The kinds and strategies have the names of LangChain's PII middleware. A form is not a meaning: a name or an address has
//! none, and an order number may look like a phone number. Where a form has a check digit, it is checked.

use std::{collections::BTreeMap, net::IpAddr, ops::Range, sync::LazyLock};

use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sensitive {
    Url,
    Email,
    ApiKey,
    Iban,
    CreditCard,
    MacAddress,
    Ip,
    Phone,
}

impl Sensitive {
    /// What has the narrower form comes first: where two fit, it is the one.
    pub(crate) const ALL: [Self; 8] = [
        Self::Url,
        Self::Email,
        Self::ApiKey,
        Self::Iban,
        Self::CreditCard,
        Self::MacAddress,
        Self::Ip,
        Self::Phone,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Email => "email",
            Self::ApiKey => "api_key",
            Self::Iban => "iban",
            Self::CreditCard => "credit_card",
            Self::MacAddress => "mac_address",
            Self::Ip => "ip",
            Self::Phone => "phone",
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            // What ends a sentence is no part of it.
            Self::Url => r#"(?i)\bhttps?://[^\s<>"']*[^\s<>"'.,;:!?)\]]"#,
            Self::Email => r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b",
            // Those of OpenAI, Anthropic, Stripe, GitHub, Slack, AWS, Google and Pinecone.
            Self::ApiKey => concat!(
                r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}",
                r"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{35}|\bpcsk_[A-Za-z0-9_]{16,}"
            ),
            Self::Iban => r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            Self::CreditCard => r"\b[3-6][0-9](?:[ -]?[0-9]){11,17}\b",
            Self::MacAddress => r"(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b",
            Self::Ip => r"(?i)\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}",
            Self::Phone => {
                r"(?:\+|\b00)[0-9]{1,3}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,6}\b|\(?\b[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b"
            }
        }
    }

    /// Whether what has the form is one.
    fn is_one(self, found: &str) -> bool {
        match self {
            // ISO/IEC 7812-1 allows for other lengths, which nobody issues.
            Self::CreditCard => {
                let digits = found.chars().filter(char::is_ascii_digit).count();
                matches!(digits, 13..=16 | 19) && luhn(found)
            }
            Self::Iban => mod_97(found) == Some(1),
            Self::Ip => found.parse::<IpAddr>().is_ok(),
            Self::Url | Self::Email | Self::ApiKey | Self::MacAddress | Self::Phone => true,
        }
    }

    /// A pattern that does not compile is a mistake of this file; its tests find it.
    fn compiled(self) -> Option<&'static Regex> {
        static PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
            Sensitive::ALL
                .iter()
                .map(|kind| Regex::new(kind.pattern()).ok())
                .collect()
        });
        PATTERNS[Self::ALL.iter().position(|kind| *kind == self)?].as_ref()
    }
}

/// Where something of these kinds stands in a text, in its order, without overlaps.
pub(crate) fn find(text: &str, kinds: &[Sensitive]) -> Vec<(Sensitive, Range<usize>)> {
    let mut found: BTreeMap<usize, (Sensitive, Range<usize>)> = BTreeMap::new();
    for kind in Sensitive::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        for place in kind.compiled().into_iter().flat_map(|pattern| pattern.find_iter(text)) {
            let range = place.range();
            let before = found.range(..range.end).next_back();
            let apart = before.is_none_or(|(_, (_, other))| other.end <= range.start);
            if apart && kind.is_one(place.as_str()) {
                found.insert(range.start, (kind, range));
            }
        }
    }
    found.into_values().collect()
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(number: &str) -> bool {
    let digits = number.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The remainder that ISO 13616 checks an IBAN by: 1 where it is right.
fn mod_97(iban: &str) -> Option<u32> {
    let characters: Vec<char> = iban.chars().filter(|c| *c != ' ').collect();
    let (country_and_check, account) = characters.split_at_checked(4)?;
    account.iter().chain(country_and_check).try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &str)> {
        let found = find(text, &Sensitive::ALL);
        found
            .into_iter()
            .map(|(kind, range)| (kind.name(), &text[range]))
            .collect()
    }

    #[test]
    fn every_pattern_compiles() {
        for kind in Sensitive::ALL {
            assert!(kind.compiled().is_some(), "{}", kind.name());
        }
    }

    #[test]
    fn each_kind_is_found_by_its_form() {
        for (kind, text) in [
            ("url", "https://example.com/a?b=c"),
            ("email", "ada.l+x@mail.example.co.uk"),
            ("api_key", "sk-proj-0123456789abcdefXYZ"),
            ("api_key", "AKIAIOSFODNN7EXAMPLE"),
            ("iban", "DE89 3704 0044 0532 0130 00"),
            ("iban", "GB82WEST12345698765432"),
            ("credit_card", "4111 1111 1111 1111"),
            ("mac_address", "00:1B:44:11:3a:b7"),
            ("ip", "192.168.0.255"),
            ("ip", "2001:db8::8a2e:370:7334"),
            ("phone", "+49 30 1234567"),
            ("phone", "(212) 555-0123"),
        ] {
            assert_eq!(found(&format!("It is {text}, they say.")), [(kind, text)]);
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for text in [
            "4111 1111 1111 1112",
            "GB82WEST12345698765433",
            "999.1.1.1",
            "at 12:30:45 on 2026-11-26",
            "version 1.2.3, chapter 4.5",
            "ada at example dot com",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn places_do_not_overlap() {
        let text = "https://ada@example.com/ and ada@example.com";
        assert_eq!(
            found(text),
            [("url", "https://ada@example.com/"), ("email", "ada@example.com")]
        );
    }
}
