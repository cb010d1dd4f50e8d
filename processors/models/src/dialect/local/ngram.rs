//! Embedding by hashed n-grams ("feature hashing", Weinberger et al. 2009): each word and each three letters of a word
//! add to, or take from, one number of the vector that their hash names.
//!
//! Texts that share words come near each other; it knows spelling, not meaning. Deterministic across versions and
//! machines: vectors are stored, so neither the hash nor the weights may change.

use super::words::words;
use std::collections::HashMap;

/// Three letters of a word weigh less than the whole of it: they find its relatives.
const TRIGRAM_WEIGHT: f32 = 0.35;

/// A vector of length 1. A text without a word is the first axis.
pub(crate) fn embed(text: &str, dimension: u32) -> Vec<f32> {
    let mut counts: HashMap<u64, (u32, f32)> = HashMap::new();
    let mut add = |feature: u64, weight: f32| counts.entry(feature).or_insert((0, weight)).0 += 1;
    for word in words(text) {
        add(hash(b'w', &word), 1.0);
        let bounded: Vec<char> = std::iter::once('^')
            .chain(word.chars())
            .chain(std::iter::once('$'))
            .collect();
        for letters in bounded.windows(3) {
            add(hash(b't', &String::from_iter(letters)), TRIGRAM_WEIGHT);
        }
    }
    let mut features: Vec<(u64, (u32, f32))> = counts.into_iter().collect();
    // Float addition depends on the order, and a map's order is random.
    features.sort_by_key(|(feature, _)| *feature);

    let dimension = u64::from(dimension.max(1));
    let mut vector = vec![0.0_f32; usize::try_from(dimension).unwrap_or(1)];
    for (feature, (count, weight)) in features {
        // A word said ten times is not ten times as important.
        let value = weight * (1.0 + (count as f32).ln());
        let sign = if feature >> 63 == 0 { 1.0 } else { -1.0 };
        if let Some(place) = usize::try_from(feature % dimension)
            .ok()
            .and_then(|i| vector.get_mut(i))
        {
            *place += sign * value;
        }
    }
    normalise(&mut vector);
    vector
}

fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
}

/// FNV-1a, 64 bits, finished so that all its bits are mixed: the standard library's hash may change.
fn hash(kind: u8, text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = std::iter::once(kind)
        .chain(text.bytes())
        .fold(0xcbf2_9ce4_8422_2325, step);
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn similarity(a: &str, b: &str) -> f32 {
        embed(a, 384).iter().zip(embed(b, 384)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_nearer() {
        let question = "How are transactions committed?";
        let near = similarity(question, "A transaction is committed when its results are ready.");
        let far = similarity(question, "The web page shows each run as it arrives.");
        assert!(near > 0.3 && near > far + 0.2, "{near} {far}");
    }

    #[test]
    fn the_vectors_stay_the_same() {
        let vector = embed("exactly once", 64);
        let seen: Vec<usize> = (0..64).filter(|&i| vector[i] != 0.0).collect();
        assert_eq!(seen, GOLDEN, "stored vectors would no longer be found");
    }

    const GOLDEN: [usize; 13] = [11, 18, 20, 21, 31, 32, 41, 43, 46, 48, 49, 50, 51];

    proptest! {
        #[test]
        fn every_text_has_a_vector_of_length_one(text in ".{0,200}", dimension in 64u32..512) {
            let vector = embed(&text, dimension);
            prop_assert_eq!(vector.len(), dimension as usize);
            let length: f32 = vector.iter().map(|x| x * x).sum();
            prop_assert!((length - 1.0).abs() < 1e-3, "{}", length);
        }
    }
}
