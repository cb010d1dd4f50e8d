//! Passages that are near to the question and not near to each other.

use retrieval::Match;

/// Maximal marginal relevance ([Carbonell and Goldstein, SIGIR 1998](https://doi.org/10.1145/290941.291025)), as LangChain
/// computes it: of those that are left, the next is the one with the most of
/// `lambda · similarity to the question - (1 - lambda) · greatest similarity to one that is taken`, by cosine.
///
/// `found` must come with their values. The scores stay those of the index.
pub(super) fn select(question: &[f32], mut found: Vec<Match>, take: usize, lambda: f64) -> Vec<Match> {
    let mut relevance: Vec<f64> = found.iter().map(|found| cosine(question, &found.values)).collect();
    let mut nearest_taken = vec![f64::NEG_INFINITY; found.len()];
    let mut taken: Vec<Match> = Vec::new();
    while taken.len() < take && !found.is_empty() {
        let gain = |place: usize| match taken.is_empty() {
            true => relevance[place],
            false => lambda * relevance[place] - (1.0 - lambda) * nearest_taken[place],
        };
        // Of equals the nearest: `max_by` would take the last.
        let mut next = 0;
        for place in 1..found.len() {
            if gain(place) > gain(next) {
                next = place;
            }
        }
        relevance.remove(next);
        nearest_taken.remove(next);
        let next = found.remove(next);
        for (nearest, left) in nearest_taken.iter_mut().zip(&found) {
            *nearest = nearest.max(cosine(&next.values, &left.values));
        }
        taken.push(next);
    }
    taken
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot =
        |one: &[f32], other: &[f32]| -> f64 { one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    if lengths == 0.0 { 0.0 } else { dot(one, other) / lengths }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, values: [f32; 2]) -> Match {
        Match {
            id: id.to_owned(),
            values: values.into(),
            ..Match::default()
        }
    }

    fn selected(lambda: f64) -> Vec<String> {
        let near = vec![
            found("a", [1.0, 0.1]),
            found("twin", [1.0, 0.11]),
            found("other", [0.3, -1.0]),
        ];
        select(&[1.0, 0.0], near, 2, lambda)
            .into_iter()
            .map(|found| found.id)
            .collect()
    }

    #[test]
    fn a_twin_of_what_is_taken_comes_later() {
        assert_eq!(selected(1.0), ["a", "twin"], "only relevance");
        assert_eq!(selected(0.5), ["a", "other"]);
    }

    #[test]
    fn there_may_be_fewer_than_asked_for() {
        assert_eq!(select(&[1.0], vec![found("a", [1.0, 0.0])], 9, 0.5).len(), 1);
        assert!(select(&[1.0], Vec::new(), 9, 0.5).is_empty());
    }
}
