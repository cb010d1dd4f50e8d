use std::borrow::Cow;

/// Of texts that quote somebody: names in a record may be as long as the record.
const MOST: usize = 1_000;

/// What a message says, cut where it would only be long.
#[must_use]
pub fn brief(message: &str) -> Cow<'_, str> {
    match message.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &message[..end], message.len()).into(),
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_long_is_cut() {
        assert_eq!(brief("short"), "short");
        let long = brief(&"ä".repeat(MOST + 1)).into_owned();
        assert!(long.ends_with("ä… (2002 bytes in all)"), "{long}");
    }
}
