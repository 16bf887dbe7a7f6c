//! The card of a dataset: what it holds, where it is from and under which licences, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Example, Kind, Params, Part};
use crate::error::{Context as _, ErrorKind, Result};
use crate::stage::Languages;

/// What a dataset holds, counted while it is written.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub version: String,
    /// By part and kind.
    pub counts: BTreeMap<(Part, Kind), u64>,
    /// By site, shelf or file.
    pub sources: BTreeMap<String, u64>,
    pub preferences: u64,
    /// Answers on pairs that are gone.
    pub gone: u64,
}

impl Told {
    pub(super) fn count(&mut self, part: Part, example: &Example) {
        *self.counts.entry((part, example.kind)).or_default() += 1;
        *self.sources.entry(example.from.clone()).or_default() += 1;
    }

    pub(super) fn totals(&self) -> Vec<(Part, u64)> {
        let total = |part: Part| self.counts.iter().filter(|((own, _), _)| *own == part).map(|(_, count)| count).sum();
        Part::ALL.map(|part| (part, total(part))).to_vec()
    }

    fn of(&self, part: Part, kind: Kind) -> u64 {
        self.counts.get(&(part, kind)).copied().unwrap_or(0)
    }
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Right, "right, by people"),
    (Kind::Corrected, "corrected by people"),
    (Kind::Wrong, "wrong, by people"),
    (Kind::HardNegative, "hard negatives"),
    (Kind::Rated, "with a similarity only"),
    (Kind::Silver, "kept by the filter, judged by nobody"),
];

fn licence<'a>(params: &'a Params, source: &str) -> &'a str {
    params.licences.get(source).map_or("not stated", String::as_str)
}

/// A name in a table of Markdown, which pages of others may have chosen.
fn cell(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "'")
}

/// The card.
pub(super) fn markdown(told: &Told, params: &Params, languages: Languages) -> String {
    let (source, target) = (languages.source.name(), languages.target.name());
    let mut out = format!(
        "# {source}–{target} pairs judged by people, version {}\n\n\
         Made by kopri {}. A version is named after the hash of all that it holds: the same answers make the same\n\
         version. No document and no text stands in two parts.\n\n\
         ## What it holds\n\n| | train | dev | test |\n|---|---:|---:|---:|\n",
        told.version,
        env!("CARGO_PKG_VERSION"),
    );
    for (kind, words) in KINDS {
        let row = Part::ALL.map(|part| told.of(part, kind));
        if row.iter().any(|count| *count > 0) {
            let _ = writeln!(out, "| {words} | {} | {} | {} |", row[0], row[1], row[2]);
        }
    }
    let totals = told.totals();
    let _ = writeln!(out, "| **all** | {} | {} | {} |\n", totals[0].1, totals[1].1, totals[2].1);
    let _ = writeln!(
        out,
        "Choices between two candidates: {}, in `preferences.jsonl`. Answers on pairs that the corpus no longer has: {},\n\
         which are left out. Pairs that people found partly right, or could not agree on, are left out too.\n",
        told.preferences, told.gone
    );
    out.push_str("## Sources and licences\n\n| source | examples | licence |\n|---|---:|---|\n");
    for (name, count) in &told.sources {
        let _ = writeln!(out, "| {} | {count} | {} |", cell(name), cell(licence(params, name)));
    }
    let _ = write!(
        out,
        "\n## How to read it\n\n\
         One JSON object a line: `source`, `target`, `label` (1 a translation, 0 none), `similarity` (0 to 5, where people\n\
         gave one), `kind`, `confidence` (0 to 1), `people` (how many judged it), `id`, `parent`, where it is from.\n\
         Shares asked for: {} of the documents for dev, {} for test; seed {}. Hard negatives a right pair: {}.\n",
        params.dev, params.test, params.seed, params.hard_negatives
    );
    out
}

/// The same for programs.
pub(super) fn json(told: &Told, params: &Params, languages: Languages) -> Result<String> {
    #[derive(Serialize)]
    struct Source<'a> {
        name: &'a str,
        examples: u64,
        licence: &'a str,
    }
    let parts: BTreeMap<&str, BTreeMap<String, u64>> = Part::ALL
        .into_iter()
        .map(|part| {
            let kinds = KINDS.iter().map(|(kind, _)| (kind_name(*kind), told.of(part, *kind))).collect();
            (part.name(), kinds)
        })
        .collect();
    let sources: Vec<Source<'_>> = told
        .sources
        .iter()
        .map(|(name, count)| Source { name, examples: *count, licence: licence(params, name) })
        .collect();
    let value = serde_json::json!({
        "version": told.version,
        "kopri": env!("CARGO_PKG_VERSION"),
        "source": languages.source.code(),
        "target": languages.target.code(),
        "parts": parts,
        "preferences": told.preferences,
        "answers_on_pairs_that_are_gone": told.gone,
        "sources": sources,
        "settings": params,
    });
    serde_json::to_string_pretty(&value).map(|text| text + "\n").context(ErrorKind::Bug, || "writing the card".into())
}

fn kind_name(kind: Kind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Language, PairId};

    fn told() -> (Told, Params) {
        let mut told = Told { version: "abc".into(), preferences: 2, ..Told::default() };
        let example = |kind: Kind, from: &str| Example {
            id: PairId(1),
            source: "a".into(),
            target: "b".into(),
            label: Some(1),
            similarity: None,
            kind,
            confidence: None,
            people: 1,
            parent: None,
            source_location: None,
            target_location: None,
            from: from.into(),
        };
        told.count(Part::Train, &example(Kind::Right, "tds"));
        told.count(Part::Train, &example(Kind::HardNegative, "tds"));
        told.count(Part::Test, &example(Kind::Corrected, "a|b<c"));
        let licences = BTreeMap::from([("tds".to_owned(), "official text".to_owned())]);
        (told, Params { licences, ..Params::default() })
    }

    #[test]
    fn the_card_counts_and_names_licences() {
        let (told, params) = told();
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        let card = markdown(&told, &params, languages);
        assert!(
            card.contains("| right, by people | 1 | 0 | 0 |") && card.contains("| **all** | 2 | 0 | 1 |"),
            "{card}"
        );
        assert!(card.contains("| tds | 2 | official text |"), "{card}");
        assert!(card.contains("| a\\|b&lt;c | 1 | not stated |"), "{card}");
        let read: serde_json::Value = serde_json::from_str(&json(&told, &params, languages).unwrap()).unwrap();
        assert_eq!(read["parts"]["train"]["hard-negative"], 1);
        assert_eq!(read["sources"][1]["licence"], "official text");
    }
}
