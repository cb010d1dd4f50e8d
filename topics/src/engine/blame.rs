//! From what a producer heard to whose fault it was.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    core::{Batch, Entry, Refusal, Whose},
    events::Refused,
    failure::{Failure, TOO_LARGE, class, is_of_topic},
};

/// None if no output is to blame.
///
/// Decision: a topic of others that takes nothing condemns all that is for it. For one of Millrace's own that would be no
/// help: what stands in place of a result goes there, too, so it is one result that is found, and its partition stops.
pub(super) fn refusals(batch: &Batch, refused: &[Refused], own: &[String], failure: &Failure) -> Vec<Refusal> {
    let mut condemned = BTreeMap::new();
    // A broker takes or refuses what a partition is sent at once, unless it says which record it was.
    let mut sent: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for Refused {
        code,
        topic,
        partition,
        result,
    } in refused
    {
        let Some(class) = class(*code) else { continue };
        if is_of_topic(*code) && !own.contains(topic) {
            condemned.insert((topic, class), format!("{code:?}"));
            continue;
        }
        let results = sent.entry((topic, class, format!("{code:?}"), *partition)).or_default();
        match result {
            Some(result) => results.extend([*result]),
            None => results.extend(places(batch, |entry| is_for(entry, topic))),
        }
    }
    let refusal = |topic: &String, class: &str, code: String, whose| Refusal {
        class: class.to_owned(),
        message: format!("{topic} does not take the output: {code}"),
        topic: Some(topic.clone()),
        whose,
    };
    let condemned = condemned
        .into_iter()
        .map(|((topic, class), code)| refusal(topic, class, code, Whose::All));
    let sent = sent
        .into_iter()
        .filter_map(|((topic, class, code, _), results)| Some(refusal(topic, class, code, whose(results)?)));
    let refusals: Vec<Refusal> = condemned.chain(sent).collect();
    if !refusals.is_empty() || class(failure.code) != Some(TOO_LARGE) {
        return refusals;
    }
    let anyone = whose(places(batch, |_| true).collect());
    let of = |whose| Refusal {
        class: TOO_LARGE.to_owned(),
        message: format!("a topic does not take the output: {}", failure.message),
        topic: None,
        whose,
    };
    anyone.map(of).into_iter().collect()
}

fn whose(results: BTreeSet<usize>) -> Option<Whose> {
    match results.len() {
        0 => None,
        1 => results.first().map(|result| Whose::Result(*result)),
        _ => Some(Whose::OneOf(results.into_iter().collect())),
    }
}

pub(super) fn places(batch: &Batch, is: impl Fn(&Entry) -> bool) -> impl Iterator<Item = usize> {
    batch
        .entries()
        .enumerate()
        .filter(move |(_, entry)| is(entry))
        .map(|(place, _)| place)
}

pub(super) fn is_for(entry: &Entry, topic: &str) -> bool {
    entry.outputs.iter().any(|output| output.topic == topic)
}
