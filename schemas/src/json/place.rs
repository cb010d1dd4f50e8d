//! Where in a JSON text something stands. It is asked for mistakes only, so it takes its time.

use super::number::after_string;

/// Characters of a path that are told: names may be as long as a text.
pub const MAX_PATH: usize = 200;

/// What is open at one point of a text.
enum Open {
    /// With the name whose value is there, or is to come.
    Object(String),
    /// With how many items stand before.
    List(usize),
}

/// The line and column, from 1, in bytes as `serde_json` counts them.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line + 1, at - start + 1)
}

/// The byte behind a position that `serde_json` names.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (start + column).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The JSON pointer to what is under way where this text ends.
pub(super) fn path(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    // The next string is a name.
    let mut named = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = if *byte == b'"' { after_string(bytes, at) } else { at + 1 };
        match (byte, open.last_mut()) {
            (b'"', Some(Open::Object(name))) if named => *name = unescaped(&text[at..end]),
            (b'{', _) => open.push(Open::Object(String::new())),
            (b'[', _) => open.push(Open::List(0)),
            (b'}' | b']', _) => drop(open.pop()),
            (b',', Some(Open::List(before))) => *before += 1,
            _ => {}
        }
        named = match byte {
            b'{' => true,
            b',' => matches!(open.last(), Some(Open::Object(_))),
            b':' | b'[' => false,
            _ => named,
        };
        at = end;
    }
    let mut path = String::new();
    for place in open {
        match place {
            Open::Object(name) => path.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
            Open::List(before) => path.push_str(&format!("/{before}")),
        }
    }
    match path.char_indices().nth(MAX_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    }
}

fn unescaped(string: &str) -> String {
    serde_json::from_str(string).unwrap_or_default()
}
