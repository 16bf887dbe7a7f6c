//! Kept pairs against a reference that knows only a part of the corpus.

use std::collections::{BTreeSet, HashMap};

/// The texts of a pair, source first.
pub type Texts = (String, String);

/// How kept pairs compare with a reference. Precision is `right` of `covered`, recall `found` of `reference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Pairs of the reference.
    pub reference: usize,
    /// Kept pairs of which the reference can tell whether they are right.
    pub covered: usize,
    /// Covered pairs that the reference has.
    pub right: usize,
    /// Pairs of the reference that are kept, wherever.
    pub found: usize,
    /// Covered pairs that overlap one of the reference: on both sides, one text is inside the other.
    pub lax_right: usize,
    /// Pairs of the reference that overlap a covered one.
    pub lax_found: usize,
}

/// Compares. `kept` are pairs of the reference that are kept outside what it covers, such as the one copy of a text that
/// deduplication left. Time: linear in the pairs and in the overlaps of their source sides.
pub fn coverage(reference: &BTreeSet<Texts>, covered: &BTreeSet<Texts>, kept: &BTreeSet<Texts>) -> Coverage {
    let (rows, pairs): (Vec<Folded>, Vec<Folded>) =
        (reference.iter().map(Folded::new).collect(), covered.iter().map(Folded::new).collect());
    let index = Index::new(&rows);
    let (mut lax_right, mut rows_found) = (0, BTreeSet::new());
    for (pair, texts) in pairs.iter().zip(covered) {
        let overlaps: Vec<usize> = index.inside_or_around(pair).filter(|row| rows[*row].overlaps(pair)).collect();
        lax_right += usize::from(!overlaps.is_empty() || reference.contains(texts));
        rows_found.extend(overlaps);
    }
    let is_found = |texts: &Texts| covered.contains(texts) || kept.contains(texts);
    Coverage {
        reference: reference.len(),
        covered: covered.len(),
        right: covered.intersection(reference).count(),
        found: reference.iter().filter(|texts| is_found(texts)).count(),
        lax_right,
        lax_found: reference
            .iter()
            .enumerate()
            .filter(|(row, texts)| rows_found.contains(row) || is_found(texts))
            .count(),
    }
}

/// Words without case and punctuation, with a space around each, so that one text is inside another word by word.
struct Folded {
    source: String,
    target: String,
}

fn folded(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |line, word| line + &word.to_lowercase() + " ")
}

impl Folded {
    fn new(texts: &Texts) -> Self {
        Self { source: folded(&texts.0), target: folded(&texts.1) }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.source.split_whitespace()
    }

    fn overlaps(&self, other: &Self) -> bool {
        let inside = |a: &str, b: &str| a.len() > 1 && b.len() > 1 && (a.contains(b) || b.contains(a));
        inside(&self.source, &other.source) && inside(&self.target, &other.target)
    }
}

/// Rows by the words of their source side. A text inside another has its rarest word in common with it, so only lists of
/// rare words are read, whatever both have of `the` and `of`.
struct Index<'a> {
    /// Rows that hold a word.
    by_word: HashMap<&'a str, Vec<usize>>,
    /// Rows whose rarest word it is.
    by_rarest: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(rows: &'a [Folded]) -> Self {
        let mut by_word: HashMap<&str, Vec<usize>> = HashMap::new();
        for (row, folded) in rows.iter().enumerate() {
            for word in folded.words().collect::<BTreeSet<_>>() {
                by_word.entry(word).or_default().push(row);
            }
        }
        let mut by_rarest: HashMap<&str, Vec<usize>> = HashMap::new();
        for (row, folded) in rows.iter().enumerate() {
            if let Some(rarest) = folded.words().min_by_key(|word| by_word.get(word).map_or(0, Vec::len)) {
                by_rarest.entry(rarest).or_default().push(row);
            }
        }
        Self { by_word, by_rarest }
    }

    /// Rows whose source side may be inside a pair's, or around it; each once.
    fn inside_or_around(&self, pair: &Folded) -> impl Iterator<Item = usize> {
        let inside = pair.words().filter_map(|word| self.by_rarest.get(word)).flatten();
        let rarest = pair.words().map(|word| self.by_word.get(word)).min_by_key(|rows| rows.map_or(0, Vec::len));
        let rows: BTreeSet<usize> = inside.chain(rarest.flatten().into_iter().flatten()).copied().collect();
        rows.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> BTreeSet<Texts> {
        pairs.iter().map(|(source, target)| ((*source).to_owned(), (*target).to_owned())).collect()
    }

    #[test]
    fn strict_and_lax_by_hand() {
        let reference = set(&[("Один.", "Bir."), ("Два. Три.", "Iki we üç."), ("Пять.", "Bäş."), ("Семь.", "Ýedi.")]);
        let covered = set(&[("Один.", "Bir."), ("Два.", "Iki we üç."), ("Шесть.", "Bäş.")]);
        // Kept, in a document that the reference does not name.
        let kept = set(&[("Семь.", "Ýedi.")]);
        let expected = Coverage { reference: 4, covered: 3, right: 1, found: 2, lax_right: 2, lax_found: 3 };
        assert_eq!(coverage(&reference, &covered, &kept), expected);
    }

    #[test]
    fn a_text_is_inside_another_by_whole_words() {
        let one = |text: &str| Folded::new(&(text.to_owned(), text.to_owned()));
        assert!(one("Дом стоит.").overlaps(&one("Старый дом стоит у реки.")));
        assert!(!one("дом").overlaps(&one("домовой")));
        assert!(!one("…").overlaps(&one("дом")), "a text without words is inside nothing");
    }

    #[test]
    fn frequent_words_alone_make_no_candidates() {
        let rows: Vec<Folded> =
            (0..100).map(|n| (format!("слово и слово{n}"), "x".to_owned())).map(|t| Folded::new(&t)).collect();
        let index = Index::new(&rows);
        let pair = Folded::new(&("и слово нигде".to_owned(), "x".to_owned()));
        assert_eq!(index.inside_or_around(&pair).count(), 0);
        let pair = Folded::new(&("и слово слово7 да".to_owned(), "x".to_owned()));
        assert_eq!(index.inside_or_around(&pair).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn nothing_against_nothing() {
        assert_eq!(coverage(&set(&[]), &set(&[]), &set(&[])), Coverage::default());
    }
}
