//! The ways to the steps of a chain, as its audit and the mocks of its tests write them: `reply.default.answer`,
//! `pages[3].summary`; `pages[].summary` is that of every item.

use super::block::Block;

/// What there is at the place where a way ends in nothing; none if it leads to a step, or may lead to one that cannot be
/// read.
pub(super) fn astray(block: &Block, way: &str) -> Option<Vec<String>> {
    astray_in(block, "", way)
}

/// Whether it counts the items in one place, and means all of them in another.
pub(super) fn is_mixed(way: &str) -> bool {
    let counts = |(at, _)| way[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    way.contains("[]") && way.match_indices('[').any(counts)
}

/// `around` leads to the block.
fn astray_in(block: &Block, around: &str, way: &str) -> Option<Vec<String>> {
    if block.is_open() {
        return None;
    }
    for id in block.ids() {
        let here = format!("{around}{id}");
        let Some(more) = rest(way, &here) else { continue };
        if more.is_empty() {
            return None;
        }
        if !more.starts_with(['.', '[']) {
            continue;
        }
        let rooms = block.step(id)?.rooms()?;
        let inner = |(room, inside): &(String, &Block)| {
            let lead = format!("{here}{room}");
            rest(way, &lead).map(|_| astray_in(inside, &lead, way))
        };
        let found: Vec<Option<Vec<String>>> = rooms.iter().filter_map(inner).collect();
        return match found.into_iter().reduce(|one, other| one.and(other)) {
            Some(found) => found,
            None => {
                let inside = rooms
                    .iter()
                    .flat_map(|(room, inside)| inside.ids().map(|id| format!("{here}{room}{id}")).collect::<Vec<_>>());
                Some([here.clone()].into_iter().chain(inside).collect())
            }
        };
    }
    Some(block.ids().map(|id| format!("{around}{id}")).collect())
}

/// What is left of a way behind `lead`, in which `[]` stands for any item.
fn rest<'w>(way: &'w str, lead: &str) -> Option<&'w str> {
    let mut parts = lead.split("[]");
    let first = way.strip_prefix(parts.next()?)?;
    parts.try_fold(first, |rest, part| {
        let number = rest.strip_prefix('[')?.trim_start_matches(|c: char| c.is_ascii_digit());
        number.strip_prefix(']')?.strip_prefix(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_counted_or_stands_for_all() {
        for way in ["pages[].summary", "pages[3].summary"] {
            assert_eq!(rest(way, "pages"), way.strip_prefix("pages"));
            assert_eq!(rest(way, "pages[].summary"), Some(""));
        }
        for way in ["pages.summary", "pages[x].summary", "pages[3.summary", "pages", ""] {
            assert_eq!(rest(way, "pages[].summary"), None);
        }
        assert!(is_mixed("pages[].lines[2].said"));
        assert!(!is_mixed("pages[].lines[].said"));
        assert!(!is_mixed("pages[1].lines[2].said"));
    }
}
