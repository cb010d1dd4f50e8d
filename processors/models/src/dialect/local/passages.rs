//! What a prompt holds for an answerer that cannot read: documents in `<doc id="…">…</doc>` blocks, and the rest.

/// A stretch of a message.
pub(super) enum Part<'a> {
    Document {
        id: &'a str,
        text: &'a str,
    },
    /// Outside of all documents.
    Prose(&'a str),
}

pub(super) struct Sentence<'a> {
    /// The id of its document.
    pub(super) document: &'a str,
    /// What it stands under.
    pub(super) heading: &'a str,
    pub(super) text: String,
}

pub(super) fn parts(message: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = message;
    while let Some((inside, after)) = rest.split_once("</doc>") {
        // The nearest opening: a prompt may speak of "<doc> blocks" before it has one.
        let document = inside.rsplit_once("<doc").and_then(|(before, tagged)| {
            let (tag, text) = tagged.split_once('>')?;
            Some((before, Part::Document { id: id(tag), text }))
        });
        match document {
            Some((before, document)) => parts.extend([Part::Prose(before), document]),
            None => parts.push(Part::Prose(inside)),
        }
        rest = after;
    }
    parts.push(Part::Prose(rest));
    parts
}

fn id(tag: &str) -> &str {
    let value = tag.split_once("id=").map_or("", |(_, value)| value);
    let id = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or(""),
        Some(_) | None => value.split_whitespace().next().unwrap_or(""),
    };
    if id.is_empty() { "document" } else { id }
}

/// The sentences of a document, which may be Markdown: paragraphs and list items are, headings, tables and code are not.
pub(super) fn sentences<'a>(document: &'a str, text: &'a str) -> Vec<Sentence<'a>> {
    let mut sentences = Vec::new();
    let (mut heading, mut paragraph, mut in_code) = ("", String::new(), false);
    for line in text.lines().map(str::trim).chain(std::iter::once("")) {
        let fence = line.starts_with("```");
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
        if line.is_empty() || line.starts_with(['#', '|']) || item.is_some() || fence {
            let ended = std::mem::take(&mut paragraph);
            sentences.extend(cut(&ended).map(|text| Sentence {
                document,
                heading,
                text: text.to_owned(),
            }));
        }
        in_code ^= fence;
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        } else if !(in_code || fence || line.starts_with('|')) {
            paragraph.push(' ');
            paragraph.push_str(item.unwrap_or(line));
        }
    }
    sentences
}

/// A full stop or a question mark before a space ends a sentence.
fn cut(paragraph: &str) -> impl Iterator<Item = &str> {
    let cut = paragraph
        .split_inclusive(". ")
        .flat_map(|sentence| sentence.split_inclusive("? "));
    cut.map(str::trim)
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_cut_into_documents_and_the_rest() {
        let prompt =
            "Use the <doc> blocks.\n<doc id='a#1'>One.</doc><doc id=b>Two.</doc><doc>Three.</doc> Which?</doc>";
        let seen: Vec<String> = parts(prompt)
            .iter()
            .map(|part| match part {
                Part::Document { id, text } => format!("{id}={text}"),
                Part::Prose(text) => text.trim().to_owned(),
            })
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(
            seen,
            [
                "Use the <doc> blocks.",
                "a#1=One.",
                "b=Two.",
                "document=Three.",
                "Which?"
            ]
        );
    }

    #[test]
    fn sentences_run_over_line_ends_and_know_their_heading() {
        let text = "# Order\nFirst one,\nthen two. Is it?\nYes.\n\n- An item\n- Another\n## Code\n```\nlet x = 1;\n```\n| a |\nEnd";
        let seen: Vec<String> = sentences("d", text)
            .iter()
            .map(|s| format!("{}: {}", s.heading, s.text))
            .collect();
        assert_eq!(
            seen,
            [
                "Order: First one, then two.",
                "Order: Is it?",
                "Order: Yes.",
                "Order: An item",
                "Order: Another",
                "Code: End",
            ]
        );
    }
}
