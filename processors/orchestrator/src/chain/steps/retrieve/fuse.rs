//! One ranking of several.

use std::collections::HashMap;

use retrieval::Match;

/// What [Cormack, Clarke and Büttcher, SIGIR 2009](https://doi.org/10.1145/1571941.1572114) found best, and LangChain's
/// `EnsembleRetriever` takes.
pub(super) const DEFAULT_C: f64 = 60.0;

/// Reciprocal rank fusion: a passage's score is the sum of `weight / (rank + c)` over the rankings that have it, ranks from 1.
/// A passage is there once, by its id.
#[expect(
    clippy::cast_possible_truncation,
    reason = "scores are single precision, as Pinecone's are"
)]
pub(super) fn reciprocal_ranks(rankings: Vec<Vec<Match>>, weights: &[f64], c: f64) -> Vec<Match> {
    let mut fused: Vec<(Match, f64)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (ranking, number) in rankings.into_iter().zip(0..) {
        let weight = weights.get(number).copied().unwrap_or(1.0);
        for (found, rank) in ranking.into_iter().zip(1_u32..) {
            let score = weight / (f64::from(rank) + c);
            match places.get(&found.id) {
                Some(place) => fused[*place].1 += score,
                None => {
                    places.insert(found.id.clone(), fused.len());
                    fused.push((found, score));
                }
            }
        }
    }
    // Stable: of equals the one that was found first stays first.
    fused.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    fused
        .into_iter()
        .map(|(found, score)| Match {
            score: score as f32,
            ..found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(ids: &[&str]) -> Vec<Match> {
        let found = |id: &&str| Match {
            id: (*id).to_owned(),
            ..Match::default()
        };
        ids.iter().map(found).collect()
    }

    fn ids(found: &[Match]) -> Vec<&str> {
        found.iter().map(|found| found.id.as_str()).collect()
    }

    #[test]
    fn what_several_rankings_have_comes_first() {
        let fused = reciprocal_ranks(vec![ranking(&["a", "b", "c"]), ranking(&["d", "c"])], &[], DEFAULT_C);

        assert_eq!(ids(&fused), ["c", "a", "d", "b"]);
        let expected = 1.0 / 63.0 + 1.0 / 62.0;
        assert!(
            (f64::from(fused[0].score) - expected).abs() < 1e-6,
            "{}",
            fused[0].score
        );
    }

    #[test]
    fn a_ranking_counts_by_its_weight() {
        let fused = reciprocal_ranks(vec![ranking(&["a", "b"]), ranking(&["b", "a"])], &[1.0, 3.0], DEFAULT_C);

        assert_eq!(ids(&fused), ["b", "a"]);
    }
}
