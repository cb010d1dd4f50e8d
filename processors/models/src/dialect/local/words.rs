/// English words that say nothing about what a text is about.
const STOP_WORDS: [&str; 60] = [
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "my", "no", "not", "of",
    "on", "or", "so", "than", "that", "the", "their", "then", "there", "they", "this", "to", "was", "we", "were",
    "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// The words of a text that carry meaning, lower-cased, without the endings that English puts on them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| STOP_WORDS.binary_search(&word.as_str()).is_err())
        .map(stem)
}

fn stem(mut word: String) -> String {
    for ending in ["ing", "es", "ed", "s"] {
        if word.len() >= ending.len() + 3 && word.ends_with(ending) && !word.ends_with("ss") {
            word.truncate(word.len() - ending.len());
            break;
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_no_meaning_is_left_out() {
        assert!(STOP_WORDS.is_sorted(), "it is searched by halves");
        let words: Vec<String> = words("How does the broker commit its TRANSACTIONS? Übung, 4.1").collect();
        assert_eq!(words, ["broker", "commit", "transaction", "übung", "4", "1"]);
    }
}
