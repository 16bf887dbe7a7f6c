//! Near duplicates by MinHash and banded locality-sensitive hashing (Broder 1997, "On the resemblance and containment
//! of documents"; Leskovec, Rajaraman & Ullman, "Mining of massive datasets", chapter 3).
//!
//! Two sets agree in a min-hash with a probability that equals their Jaccard similarity. Hashes go by `rows` into
//! `bands`; sets that agree in a whole band become candidates, whom the caller verifies by [`jaccard`]. Time is linear
//! in the sets but for the sorting of the bands; memory is 4 bytes a band and set, and 8 bytes a set while one band is
//! sorted.

/// Hashes of a set.
const HASHES: usize = 96;
/// A pair of sets whose similarity is the threshold is missed with at most this probability.
const MOST_MISSED: f64 = 0.005;
/// Sets of one bucket with which each is compared, from either end of what comes before it: a bucket of a million
/// boilerplate sentences costs as little as others.
const MATES: usize = 8;

/// How the hashes of a set are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// Bands.
    pub bands: usize,
    /// Hashes in a band.
    pub rows: usize,
}

impl Bands {
    /// The longest bands, which give the fewest wrong candidates, that find a similarity of `threshold` (0 to 1) all but
    /// surely.
    pub fn of(threshold: f64) -> Self {
        (1..=HASHES)
            .rev()
            .map(|rows| Self { bands: HASHES / rows, rows })
            .find(|bands| 1.0 - bands.found(threshold) <= MOST_MISSED)
            .unwrap_or(Self { bands: HASHES, rows: 1 })
    }

    /// The probability that two sets of a similarity become candidates: 1 − (1 − sʳ)ᵇ.
    pub fn found(self, similarity: f64) -> f64 {
        let (bands, rows) = (self.bands as f64, self.rows as f64);
        1.0 - (1.0 - similarity.powf(rows)).powf(bands)
    }
}

/// The set of the character n-grams of several texts, as sorted hashes. The same n-gram of two texts is two elements. A
/// text shorter than `n` is one n-gram by itself.
pub fn grams(texts: &[&str], n: usize) -> Vec<u64> {
    let mut grams = Vec::new();
    let mut chars: Vec<char> = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        chars.clear();
        chars.extend(text.chars());
        let hash = |gram: &[char]| gram.iter().fold(place as u64 + 1, |hash, c| mix(hash ^ u64::from(u32::from(*c))));
        if chars.len() < n.max(1) {
            grams.push(hash(&chars));
        } else {
            grams.extend(chars.windows(n.max(1)).map(hash));
        }
    }
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// The Jaccard similarity of two sorted sets: what both have among what either has, 0 to 1. Of two empty sets: 1.
pub fn jaccard(one: &[u64], other: &[u64]) -> f64 {
    let (mut a, mut b, mut both) = (0, 0, 0_usize);
    while a < one.len() && b < other.len() {
        match one[a].cmp(&other[b]) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => (a, b, both) = (a + 1, b + 1, both + 1),
        }
    }
    let either = one.len() + other.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Sets, by their bands. The same sets give the same candidates on every machine.
#[derive(Debug, Clone)]
pub struct Lsh {
    bands: Bands,
    /// A key for each band of each set.
    keys: Vec<u32>,
    /// The multipliers of the hashes, all odd.
    factors: Vec<u64>,
}

impl Lsh {
    /// No sets yet; those to come are sought from a similarity of `threshold` (0 to 1) on.
    pub fn new(threshold: f64) -> Self {
        let bands = Bands::of(threshold);
        let factors = (1..=(bands.bands * bands.rows) as u64).map(|seed| mix(seed) | 1).collect();
        Self { bands, keys: Vec::new(), factors }
    }

    /// How hashes go by bands: signatures made with others do not fit.
    pub fn bands(&self) -> Bands {
        self.bands
    }

    /// The band keys of a set of hashes, which must be spread over all 64 bits, as those of [`grams`] are.
    pub fn signature(&self, set: &[u64]) -> Vec<u32> {
        let mut least = vec![u32::MAX; self.factors.len()];
        for element in set {
            // Multiply-shift: the upper half of the product is a hash of its own for every factor.
            for (least, factor) in least.iter_mut().zip(&self.factors) {
                let hash = (element.wrapping_mul(*factor) >> 32) as u32;
                *least = (*least).min(hash);
            }
        }
        let key = |band: &[u32]| (band.iter().fold(0, |key, hash| mix(key ^ u64::from(*hash))) >> 32) as u32;
        least.chunks_exact(self.bands.rows).map(key).collect()
    }

    /// Adds a set by its [`signature`](Self::signature).
    pub fn add_signature(&mut self, signature: &[u32]) {
        debug_assert_eq!(signature.len(), self.bands.bands);
        self.keys.extend_from_slice(signature);
    }

    /// Adds a set of hashes.
    pub fn add(&mut self, set: &[u64]) {
        let signature = self.signature(set);
        self.keys.extend(signature);
    }

    /// Sets added.
    pub fn len(&self) -> usize {
        self.keys.len() / self.bands.bands
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Pairs of sets that agree in a band, as (later, earlier) by the order in which they were added; sorted, each once.
    /// Bands are sorted on all cores: 8 bytes a set for each core.
    pub fn candidates(&self) -> Vec<(u32, u32)> {
        use rayon::prelude::*;
        let merged = |mut all: Vec<(u32, u32)>, mut more: Vec<(u32, u32)>| {
            all.append(&mut more);
            // What several bands say is kept once, so that near-identical sets do not cost a multiple.
            all.sort_unstable();
            all.dedup();
            all
        };
        (0..self.bands.bands).into_par_iter().map(|band| self.candidates_of(band)).reduce(Vec::new, merged)
    }

    fn candidates_of(&self, band: usize) -> Vec<(u32, u32)> {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let mut candidates = Vec::new();
        let key = |set: u32| self.keys[set as usize * self.bands.bands + band];
        let mut order: Vec<(u32, u32)> = (0..count).map(|set| (key(set), set)).collect();
        order.sort_unstable();
        for bucket in order.chunk_by(|a, b| a.0 == b.0) {
            for (place, (_, later)) in bucket.iter().enumerate().skip(1) {
                let first = &bucket[..place.min(MATES)];
                let last = &bucket[place.saturating_sub(MATES).max(first.len())..place];
                candidates.extend(first.iter().chain(last).map(|(_, earlier)| (*later, *earlier)));
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn jaccard_by_hand() {
        // abcd: abc, bcd. abce: abc, bce. One of three.
        assert!((jaccard(&grams(&["abcd"], 3), &grams(&["abce"], 3)) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(grams(&["ababab"], 2).len(), 2);
        assert_eq!(grams(&["ab", "ab"], 2).len(), 2, "the sides are told apart");
        assert!((jaccard(&[], &[]) - 1.0).abs() < 1e-12);
        assert_eq!(grams(&["a"], 4).len(), 1);
    }

    #[test]
    fn bands_find_what_they_promise() {
        for threshold in [0.5, 0.7, 0.8, 0.9, 0.95] {
            let bands = Bands::of(threshold);
            assert!(bands.bands * bands.rows <= HASHES);
            assert!(1.0 - bands.found(threshold) <= MOST_MISSED, "{threshold}: {bands:?}");
        }
        // By hand: 1 − (1 − .9⁸)¹² = 1 − .5695¹² = .9988.
        assert!((Bands { bands: 12, rows: 8 }.found(0.9) - 0.998_8).abs() < 1e-4);
    }

    /// Made texts: families of a text and its edits, among unrelated ones.
    fn made() -> Vec<Vec<u64>> {
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = mix(state);
            state % below
        };
        let mut sets = Vec::new();
        for _ in 0..150 {
            let original: Vec<char> = (0..60 + next(60)).map(|_| (b'a' + next(26) as u8) as char).collect();
            for edits in 0..6 {
                let mut text = original.clone();
                for _ in 0..edits {
                    let place = next(text.len() as u64) as usize;
                    text[place] = (b'a' + next(26) as u8) as char;
                }
                sets.push(grams(&[&text.iter().collect::<String>()], 4));
            }
        }
        sets
    }

    /// 900 texts, of which every six are edits of one: at .7, .8 and .9 all of the 909, 380 and 118 pairs that brute
    /// force finds are candidates, and .43, .20 and .12 of the candidates are such pairs, so few enough to verify.
    #[test]
    fn it_finds_what_brute_force_finds() {
        let sets = made();
        for threshold in [0.7, 0.8, 0.9] {
            let truth: BTreeSet<(usize, usize)> = (0..sets.len())
                .flat_map(|later| (0..later).map(move |earlier| (later, earlier)))
                .filter(|(later, earlier)| jaccard(&sets[*later], &sets[*earlier]) >= threshold)
                .collect();
            let mut lsh = Lsh::new(threshold);
            sets.iter().for_each(|set| lsh.add(set));
            let candidates: BTreeSet<(usize, usize)> =
                lsh.candidates().into_iter().map(|(later, earlier)| (later as usize, earlier as usize)).collect();
            let found = truth.intersection(&candidates).count();
            let (recall, precision) = (found as f64 / truth.len() as f64, found as f64 / candidates.len() as f64);
            assert!(truth.len() > 100 && recall >= 0.99 && precision >= 0.1, "{threshold}: {recall} {precision}");
        }
    }

    #[test]
    fn a_flood_of_equal_texts_costs_little() {
        let mut lsh = Lsh::new(0.9);
        let set = grams(&["Подпишитесь на наш канал, чтобы не пропустить новости."], 4);
        (0..2_000).for_each(|_| lsh.add(&set));
        let candidates = lsh.candidates();
        assert!(candidates.len() <= 2_000 * 2 * MATES);
        // Everyone still meets the first.
        assert_eq!(candidates.iter().filter(|(_, earlier)| *earlier == 0).count(), 1_999);
    }

    proptest::proptest! {
        #[test]
        fn equal_sets_are_always_candidates(text in "[a-zа-я ]{0,80}", other in "[a-zа-я ]{0,80}", threshold in 0.3_f64..1.0) {
            let mut lsh = Lsh::new(threshold);
            for text in [&text, &other, &text] {
                lsh.add(&grams(&[text], 4));
            }
            proptest::prop_assert!(lsh.candidates().contains(&(2, 0)));
        }
    }
}
