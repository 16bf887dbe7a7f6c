//! `explain`: everything that is known of one pair, for a person to read.

use std::fmt::Write as _;

use clap::Args;

use super::{Common, DONE, print, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Adjudication, Annotation, Origin, PairId};
use crate::report::format::printable;
use crate::stage::explain::{self, Explanation, List, Place};
use crate::stage::filter::Rules;
use crate::stage::{Look, calibrate, export};
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Ids of pairs come from exports and reports. `kopri show` tells of URLs, documents and sentences."
)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    common: Common,
    /// A pair: p and 16 hexadecimal digits.
    #[arg(value_name = "PAIR")]
    id: String,
}

pub(super) fn explain(arguments: &ExplainArgs) -> Result<u8> {
    let id: PairId = arguments.id.parse().map_err(|error: Error| Error::new(ErrorKind::Usage, error.to_string()))?;
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let unknown = || Error::new(ErrorKind::Usage, format!("the workspace has no pair {id}"));
    let name = store.scope_of(id)?.ok_or_else(unknown)?;
    let scope = pipeline.scope_named(Some(&name))?;
    let settings = pipeline.settings(scope);
    let look = Look { store: &store, languages: scope, key: "" };
    let rules = Rules {
        params: settings.filter.clone(),
        languages: scope,
        candidates: pipeline.extract.languages.clone(),
        calibration: calibrate::stored(&store, scope)?,
    };
    let folder = export::folder(store.folder(), scope, pipeline.scopes().len());
    let known = explain::explain(&look, &rules, (&folder, &settings.export.files), id)?.ok_or_else(unknown)?;
    print(&if arguments.common.json { to_json(&known)? } else { told(&known) })?;
    Ok(DONE)
}

/// The whole explanation as text.
fn told(known: &Explanation) -> String {
    let mut out = format!("Pair {}\n{}\n", known.pair.id, verdict(known));
    texts(&mut out, known);
    occurrences(&mut out, known);
    scores(&mut out, known);
    rules(&mut out, known);
    duplicates(&mut out, known);
    people(&mut out, known);
    exports(&mut out, known);
    out
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{text}");
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<14}{}", printable(value));
}

fn verdict(known: &Explanation) -> String {
    match (&known.dropped, known.judged) {
        (_, false) => "Not judged yet: the filter has not seen it.".into(),
        (None, true) if known.people.as_ref().and_then(Adjudication::is_right) == Some(true) => {
            "Kept: annotators say that it is right.".into()
        }
        (None, true) => "Kept: no rule objects, and it repeats no better pair.".into(),
        (Some(drop), true) => format!("Dropped by the rule {}: {}.", drop.reason.name(), printable(&drop.detail)),
    }
}

fn texts(out: &mut String, known: &Explanation) {
    for (name, side, place) in
        [("Source", &known.pair.source, &known.source), ("Target", &known.pair.target, &known.target)]
    {
        heading(out, name);
        if let Some(Place { location, title, page, before, after }) = place {
            before.iter().for_each(|text| row(out, "before", text));
            row(out, "text", &side.text);
            after.iter().for_each(|text| row(out, "after", text));
            let page = page.map_or_else(String::new, |page| format!(", page {page}"));
            row(out, "stands in", &format!("{}{page}", location.as_deref().unwrap_or("a document that is gone")));
            if let Some(title) = title {
                row(out, "title", title);
            }
        } else {
            row(out, "text", &side.text);
            row(out, "stands in", "no document: it was brought in as text");
        }
        if let Some(document) = side.document {
            let sentences: Vec<_> = side.sentences.iter().map(ToString::to_string).collect();
            row(out, "ids", &format!("{document} {}", sentences.join(" ")));
        }
    }
}

fn occurrences(out: &mut String, known: &Explanation) {
    heading(out, "Occurrences");
    for occurrence in &known.occurrences {
        let place = |location: &Option<String>| location.clone().unwrap_or_else(|| "bare text".into());
        let (source, target) = (place(&occurrence.source_location), place(&occurrence.target_location));
        let places = if source == target { source } else { format!("{source} | {target}") };
        let (name, score) = (occurrence.origin.name(), occurrence.score);
        row(out, name, &format!("score {score:.4}, {} of {}: {places}", occurrence.stage, occurrence.unit));
    }
}

fn scores(out: &mut String, known: &Explanation) {
    let number = |number: Option<f32>| number.map_or_else(|| "none".to_owned(), |number| format!("{number:.4}"));
    let pair = &known.pair;
    heading(out, "Score");
    let (origin, meaning) = match pair.origin {
        Origin::Aligned => ("aligned in order inside a pair of documents", "posterior of its bead"),
        Origin::Mined => ("mined by nearest neighbours among all sentences", "probability from the margin"),
        Origin::Imported => ("brought in from a file", "none was computed"),
        Origin::Corrected => ("another pair as people corrected it", "none was computed"),
        Origin::Translated => ("one side was made from the other by a translator", "none was computed"),
    };
    row(out, "origin", origin);
    if let Some(parent) = pair.parent {
        row(out, "corrects", &parent.to_string());
    }
    row(out, "score", &format!("{:.4}, {meaning}, 0 to 1", pair.score));
    row(out, "similarity", &format!("{}, cosine of the two sides", number(pair.similarity())));
    row(out, "margin", &format!("{}, against the neighbours; 1 is no better than they", number(pair.margin())));
    let Some(neighbours) = &known.neighbours else {
        row(out, "neighbours", "no lists: a side is several sentences, or none of the pools");
        return;
    };
    list(out, "of the source", &neighbours.of_source);
    list(out, "of the target", &neighbours.of_target);
    if let (Some(cosine), Some(margins)) = (neighbours.cosine, neighbours.margins) {
        let how = if pair.origin == Origin::Aligned {
            "; the alignment took the neighbours of its own two documents"
        } else {
            ""
        };
        let told = format!(
            "cosine {cosine:.4} against the mean of both means: ratio {}, distance {}{how}",
            number(margins.ratio),
            number(margins.distance)
        );
        row(out, "so", &told);
    }
}

fn list(out: &mut String, name: &str, list: &List) {
    let mean = list.mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.4}"));
    row(out, name, &format!("nearest {}, mean cosine {mean}", list.entries.len()));
    for entry in &list.entries {
        let sign = if entry.own { '→' } else { ' ' };
        let text = entry.text.as_deref().unwrap_or("(gone)");
        let _ = writeln!(out, "    {sign} {:.4}  {}", entry.cosine, printable(text));
    }
}

fn rules(out: &mut String, known: &Explanation) {
    let made = if known.features_stored { "" } else { " (measured now)" };
    heading(out, &format!("Rules{made}"));
    for check in &known.checks {
        let sign = if check.objection.is_some() { "✗" } else { "✓" };
        let told = format!("{}; allowed: {}", check.value, check.limit);
        let _ = writeln!(out, "  {sign} {:<13}{}", check.rule.name(), printable(&told));
    }
}

fn duplicates(out: &mut String, known: &Explanation) {
    heading(out, "Duplicates");
    let share = |jaccard: f64| format!("{jaccard:.3} of the n-grams shared");
    match &known.duplicate_of {
        Some(better) => row(out, "repeats", &format!("{}, which scores better: {}", better.of, share(better.jaccard))),
        None => row(out, "repeats", "nothing"),
    }
    for duplicate in &known.duplicates {
        row(out, "repeated by", &format!("{}: {}", duplicate.pair, share(duplicate.jaccard)));
    }
}

fn people(out: &mut String, known: &Explanation) {
    heading(out, "Annotations");
    if known.annotations.is_empty() {
        row(out, "none", "");
    }
    for annotation in &known.annotations {
        let mut told = said(annotation);
        if !annotation.problems.is_empty() {
            let _ = write!(told, " ({})", annotation.problems.join(", "));
        }
        for (side, fix) in [("source", &annotation.source_fix), ("target", &annotation.target_fix)] {
            if let Some(fix) = fix {
                let _ = write!(told, "; {side} corrected: {fix}");
            }
        }
        if let Some(at) = annotation.updated_at {
            let _ = write!(told, ", {}", at.strftime("%Y-%m-%d"));
        }
        row(out, &annotation.annotator, &told);
    }
    if let Some(word) = &known.people {
        let verdict = word.verdict.as_deref().unwrap_or("undecided");
        let [yes, partly, no] = word.votes;
        let gold = if word.gold { ", by a gold answer" } else { "" };
        row(out, "together", &format!("{verdict} ({yes} yes, {partly} partly, {no} no{gold})"));
        if let Some(corrected) = word.corrected {
            row(out, "corrected", &format!("as {corrected}"));
        }
    }
}

/// An answer in words.
fn said(annotation: &Annotation) -> String {
    if annotation.skipped {
        return "nothing (skipped)".into();
    }
    let similarity = annotation.sts.map(|sts| format!("similarity {sts} of 5"));
    let preferred = annotation.preferred.map(|pair| format!("{pair} is the better of two"));
    let parts: Vec<String> = annotation.verdict.clone().into_iter().chain(similarity).chain(preferred).collect();
    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
}

fn exports(out: &mut String, known: &Explanation) {
    heading(out, "Exports");
    if known.files.is_empty() {
        row(out, "none", "the pipeline names no files");
    }
    for file in &known.files {
        let holds = match file.holds {
            Some(true) => "holds it",
            Some(false) => "does not hold it",
            None => "is not written yet",
        };
        row(out, &file.path, &format!("{holds}; it is for {}", file.pairs.words()));
    }
}
