//! Fills a [`Summary`] from the store and from what the run says of itself.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::metric::pairs::wilson;
use crate::pipeline::Pipeline;
use crate::pipeline::run::{RunReport, StageReport, StageTally};
use crate::record::{DropReason, PairId, Scope};
use crate::stage::evaluate::{Figures, figures};
use crate::stage::{agreement, calibrate, crawl, dataset, export};
use crate::store::Store;
use crate::store::extraction::Drift;
use crate::store::summary::PoolCounts;
use crate::store::text_pairs::JudgedPair;

use super::summary::{
    Alarm, CalibrationReport, Failure, GraphReport, Histogram, IndexReport, Metric, Outcome, SampleGroup, SamplePair,
    SiteRow, StageRow, Summary, WaterfallRow, WaterfallStep,
};

/// Bins of the score histograms.
const BINS: u32 = 20;

/// Conflicts of annotators that are shown.
const CONFLICTS: usize = 10;

/// Pairs in each group of samples.
const SAMPLES: usize = 12;

/// What the filter decided, counted, by scope.
type Pool = BTreeMap<String, PoolCounts>;

/// The summary of a run that has ended.
///
/// # Errors
/// Kind `Store`.
pub fn summary(pipeline: &Pipeline, store: &Store, report: &RunReport) -> Result<Summary> {
    let gate = report.gate.clone();
    let scopes = pipeline.scopes();
    let pool = store.pool_counts(BINS, SAMPLES)?;
    let mut evaluation = Vec::new();
    for scope in &scopes {
        let labelled = |metric: Metric| Metric { name: label(pipeline, *scope) + &metric.name, ..metric };
        evaluation.extend(measured(store, *scope, report)?.into_iter().map(labelled));
    }
    let outcome = match (&gate, report.failed() + report.given_up()) {
        (Some(_), _) => Outcome::GateFailed,
        (None, 0) if !report.alarms.is_empty() => Outcome::Alarmed,
        (None, 0) if !report.attention.is_empty() => Outcome::Attention,
        (None, 0) => Outcome::Done,
        (None, _) => Outcome::SomeFailed,
    };
    Ok(Summary {
        pipeline: pipeline.name.clone(),
        workspace: pipeline.workspace_folder().display().to_string(),
        run: u64::try_from(report.run).unwrap_or(0),
        started: report.started_at,
        finished: Some(report.finished_at),
        outcome,
        pairs: scopes.clone(),
        stages: stages(report),
        waterfall: waterfall(pipeline, store, &pool)?,
        histograms: histograms(pipeline, &pool),
        samples: samples(pipeline, store, &pool)?,
        sites: sites(store, &pool)?,
        books: store.book_counts()?,
        notes: report
            .notes
            .iter()
            .chain(report.stages.iter().flat_map(|report| &report.tally.notes))
            .cloned()
            .collect(),
        index: index(pipeline, store, &scopes)?,
        calibration: calibration(store, &scopes)?,
        evaluation,
        agreement: agreement::agreement(store, CONFLICTS)?.map(agreement::Agreement::without_hosts),
        attention: report.attention.clone(),
        alarms: report.alarms.iter().map(|drift| alarm(pipeline, drift)).collect(),
        failures: failures(store, gate, report.run)?,
        exports: exports(pipeline, store)?,
        report: None,
    })
}

/// An alarm, with the command to look at it.
pub fn alarm(pipeline: &Pipeline, drift: &Drift) -> Alarm {
    Alarm {
        site: drift.site.clone(),
        message: drift.alarm.clone().unwrap_or_default(),
        example: drift.example.clone(),
        command: pipeline.check_command(&drift.example),
    }
}

fn stages(report: &RunReport) -> Vec<StageRow> {
    let seconds = |tally: &StageTally| tally.time.as_secs_f64();
    let crawl = report.crawl.as_ref().map(|crawl: &crawl::Tally| StageRow {
        name: "crawl".into(),
        done: crawl.changed,
        failed: crawl.failed,
        skipped_unchanged: crawl.unchanged,
        seconds: crawl.seconds,
        note: format!(
            "{} requests, {} redirected, {} gone, {} forbidden by robots.txt{}",
            crawl.requests,
            crawl.redirected,
            crawl.gone,
            crawl.forbidden,
            crawl.notes.iter().map(|note| format!("; {note}")).collect::<String>()
        ),
    });
    let rest = report.stages.iter().map(|StageReport { label, tally, .. }| StageRow {
        name: label.clone(),
        done: tally.done,
        failed: tally.failed + tally.given_up,
        skipped_unchanged: tally.unchanged,
        seconds: seconds(tally),
        note: tally.note(),
    });
    crawl.into_iter().chain(rest).collect()
}

fn waterfall(pipeline: &Pipeline, store: &Store, pool: &Pool) -> Result<Vec<WaterfallRow>> {
    let row = |pair, step, label: &str, count, note| WaterfallRow { pair, step, label: label.to_owned(), count, note };
    let mut rows = Vec::new();
    for (label, count) in store.volumes()? {
        rows.push(row(None, WaterfallStep::Volume, label, count, String::new()));
    }
    let none = PoolCounts::default();
    for scope in pipeline.scopes() {
        let counts = pool.get(&scope.name()).unwrap_or(&none);
        let mut origins: BTreeMap<&str, u64> = BTreeMap::new();
        for ((origin, _), (kept, dropped)) in &counts.bins {
            *origins.entry(origin).or_default() += kept + dropped;
        }
        for (origin, count) in origins {
            rows.push(row(Some(scope), WaterfallStep::Candidates, &format!("{origin} pairs"), count, String::new()));
        }
        let verdicts = &counts.verdicts;
        for reason in DropReason::ALL {
            if let Some(count) = verdicts.get(&Some(reason.name().to_owned())) {
                let rule = rule(pipeline.settings(scope), reason);
                rows.push(row(Some(scope), WaterfallStep::Dropped, reason.name(), *count, rule));
            }
        }
        let kept = verdicts.get(&None).copied().unwrap_or(0);
        rows.push(row(Some(scope), WaterfallStep::Kept, "kept", kept, String::new()));
    }
    Ok(rows)
}

/// What a rule of the filter holds.
fn rule(pipeline: &Pipeline, reason: DropReason) -> String {
    let filter = &pipeline.filter;
    match reason {
        DropReason::Score => format!("aligned < {}, mined < {}", filter.min_aligned_score, filter.min_mined_score),
        DropReason::Length => format!("outside {} to {} characters", filter.min_chars, filter.max_chars),
        DropReason::LengthRatio => format!("one side over {} times longer", filter.max_length_ratio),
        DropReason::Identical => "the same text on both sides".into(),
        DropReason::Language => format!("another language, surer than {}", filter.language_confidence),
        DropReason::Numbers => format!("more than {} numbers on one side only", filter.max_number_mismatches),
        DropReason::Script => format!("under {} of the letters of the language's script", filter.min_script_share),
        DropReason::Punctuation => format!(
            "under {} letters{}",
            filter.min_letters,
            if filter.same_questions { ", or a question on one side only" } else { "" }
        ),
        DropReason::LongWord => format!("a word over {} characters", filter.max_word_chars),
        DropReason::Repetition => format!("a phrase over {} times in a row", filter.max_repetitions),
        DropReason::Copied => format!("over {} untranslated", filter.max_copied),
        DropReason::Names => format!("over {} of the names on one side only", filter.max_missing_names),
        DropReason::Probability if filter.min_precision > 0.0 => {
            format!("probability too low for a precision of {}", filter.min_precision)
        }
        DropReason::Probability => format!("probability < {}", filter.min_probability),
        DropReason::NearDuplicate => format!("at least {} of the n-grams shared", pipeline.dedup.near),
        DropReason::Annotator => "annotators say no".into(),
    }
}

fn histograms(pipeline: &Pipeline, pool: &Pool) -> Vec<Histogram> {
    let mut histograms: Vec<Histogram> = Vec::new();
    for scope in pipeline.scopes() {
        let filter = &pipeline.settings(scope).filter;
        for ((origin, bin), (kept, dropped)) in pool.get(&scope.name()).iter().flat_map(|counts| &counts.bins) {
            let threshold = match origin.as_str() {
                "aligned" => Some(f64::from(filter.min_aligned_score)),
                "mined" => Some(f64::from(filter.min_mined_score)),
                _ => None,
            };
            let name = label(pipeline, scope) + origin;
            if histograms.last().is_none_or(|last| last.name != name) {
                histograms.push(Histogram::new(name, 0.0, 1.0, BINS as usize, threshold));
            }
            if let Some(histogram) = histograms.last_mut() {
                histogram.kept[*bin as usize] = *kept;
                histogram.dropped[*bin as usize] = *dropped;
            }
        }
    }
    histograms
}

fn samples(pipeline: &Pipeline, store: &Store, pool: &Pool) -> Result<Vec<SampleGroup>> {
    let mut sampled = Vec::new();
    for scope in pipeline.scopes() {
        let counts = pool.get(&scope.name());
        let ids = |which: fn(&PoolCounts) -> &Vec<PairId>| counts.map_or(&[][..], |counts| which(counts));
        let groups = [
            (ids(|counts| &counts.best), "Best", "The kept pairs with the highest scores: these should all be right."),
            (
                ids(|counts| &counts.borderline),
                "Borderline",
                "The kept pairs with the lowest scores: if many are wrong, raise the threshold.",
            ),
            (
                ids(|counts| &counts.dropped),
                "Dropped",
                "The best pairs that each rule dropped: if many are right, the rule is too strict.",
            ),
        ];
        for (ids, title, explanation) in groups {
            let mut pairs = Vec::new();
            for id in ids {
                pairs.extend(store.judged_pair(*id)?.map(sample));
            }
            let title = label(pipeline, scope) + title;
            sampled.push(SampleGroup { title, explanation: explanation.into(), languages: scope, pairs });
        }
    }
    Ok(sampled)
}

fn sample(judged: JudgedPair) -> SamplePair {
    let JudgedPair { pair, drop, source_location, target_location } = judged;
    let (similarity, margin) = (pair.similarity().map(f64::from), pair.margin().map(f64::from));
    SamplePair {
        id: pair.id,
        source: pair.source.text,
        target: pair.target.text,
        source_url: source_location,
        target_url: target_location,
        score: f64::from(pair.score),
        similarity,
        margin,
        origin: pair.origin,
        reason: drop.map(|drop| format!("{}: {}", drop.reason.name(), drop.detail)),
    }
}

fn sites(store: &Store, pool: &Pool) -> Result<Vec<SiteRow>> {
    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
    for (source, count) in pool.values().flat_map(|counts| &counts.kept_by_source) {
        *kept.entry(source.clone()).or_default() += count;
    }
    Ok(store
        .site_counts(&kept)?
        .into_iter()
        .map(|counts| SiteRow {
            site: counts.site,
            languages: counts.languages,
            pages: counts.urls,
            articles: counts.articles,
            not_modified: counts.not_modified,
            errors: counts.errors,
            documents: counts.documents,
            document_pairs: counts.document_pairs,
            sentences: counts.sentences,
            pairs_kept: counts.pairs_kept,
        })
        .collect())
}

/// The newest measurement of each language pair's index, which may be of an earlier run.
fn index(pipeline: &Pipeline, store: &Store, scopes: &[Scope]) -> Result<Vec<IndexReport>> {
    let mut found = Vec::new();
    for scope in scopes {
        if let Some(seconds) = store.latest_figure(&scope.name(), "neighbours", "seconds")? {
            found.push(index_of(pipeline.settings(*scope).neighbours.k, store, *scope, seconds)?);
        }
    }
    Ok(found)
}

fn index_of(k: usize, store: &Store, pair: Scope, seconds: f64) -> Result<IndexReport> {
    let figure = |name: &str| store.latest_figure(&pair.name(), "neighbours", name);
    let sample = figure("recall sample")?.unwrap_or(0.0);
    let graph = figure("searched in a graph")?.unwrap_or(0.0) > 0.0;
    let measured = graph && sample > 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let nodes = |what: &str| -> Result<u64> { Ok(figure(&format!("graph nodes {what}"))?.unwrap_or(0.0) as u64) };
    let grown = GraphReport { kept: nodes("kept")?, inserted: nodes("inserted")?, gone: nodes("gone")? };
    Ok(IndexReport {
        pair,
        kind: if graph { "hnsw".into() } else { "exact".into() },
        recall_at_k: if measured { figure("recall sum")?.map(|sum| sum / sample) } else { None },
        k,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        sample: sample as usize,
        seconds,
        graph: graph.then_some(grown),
    })
}

/// The calibration of each language pair that has one.
fn calibration(store: &Store, scopes: &[Scope]) -> Result<Vec<CalibrationReport>> {
    let mut calibrations = Vec::new();
    for scope in scopes {
        if let Some(found) = calibrate::stored(store, *scope)? {
            calibrations.push(calibration_of(store, *scope, found)?);
        }
    }
    Ok(calibrations)
}

fn calibration_of(store: &Store, scope: Scope, found: calibrate::Calibration) -> Result<CalibrationReport> {
    Ok(CalibrationReport {
        pair: scope,
        fitted: store.unit_finished_at(&scope.name(), "calibrate", calibrate::ARTEFACT)?,
        method: match found.method {
            calibrate::Method::Logistic => "logistic".into(),
            calibrate::Method::Isotonic => "isotonic".into(),
        },
        annotated: found.annotated,
        sure: found.sure,
        spoiled: found.spoiled.iter().map(|(damage, count)| (damage.words().to_owned(), *count)).collect(),
        weights: found.weights().map(|(name, weight)| (name.to_owned(), weight)).collect(),
        auc: found.auc,
        model: found.model,
        reliability: found.reliability,
    })
}

/// A prefix that tells the language pairs apart; empty where there is one.
fn label(pipeline: &Pipeline, scope: Scope) -> String {
    if pipeline.scopes().len() > 1 { format!("{scope}: ") } else { String::new() }
}

/// The figures of a language pair's evaluation, if it is up to date. Those of an earlier run, whose reference and pairs are
/// the same, say so.
fn measured(store: &Store, scope: Scope, report: &RunReport) -> Result<Vec<Metric>> {
    let Some(counted) = Figures::current(store, &scope.name())? else { return Ok(Vec::new()) };
    let checked = report.stage_of("evaluate", scope).is_some();
    let since = if counted.run == report.run || checked { String::new() } else { format!("; of run {}", counted.run) };
    let rows = [
        (
            "precision against gold, strict",
            figures::RIGHT,
            figures::COVERED,
            "covered pairs; the same sentences on both sides",
        ),
        ("recall against gold, strict", figures::FOUND, figures::REFERENCE, "the same sentences on both sides"),
        (
            "precision against gold, lax",
            figures::LAX_RIGHT,
            figures::COVERED,
            "covered pairs; some sentence shared on both sides",
        ),
        ("recall against gold, lax", figures::LAX_FOUND, figures::REFERENCE, "some sentence shared on both sides"),
        ("document pairs, precision", figures::DOCUMENTS_RIGHT, figures::DOCUMENTS_COVERED, ""),
        ("document pairs, recall", figures::DOCUMENTS_RIGHT, figures::DOCUMENTS_REFERENCE, ""),
    ];
    let mut metrics = Vec::new();
    for (name, right, of, meaning) in rows {
        let (Some(right), Some(of)) = (counted.count(right), counted.count(of)) else { continue };
        let Some((low, high)) = wilson(right, of) else { continue };
        let note = format!("{right} of {of}{}{meaning}{since}", if meaning.is_empty() { "" } else { "; " });
        metrics.push(Metric {
            name: name.into(),
            value: right as f64 / of as f64,
            low: Some(low),
            high: Some(high),
            note,
        });
    }
    Ok(metrics)
}

fn failures(store: &Store, gate: Option<String>, run: i64) -> Result<Vec<Failure>> {
    let gate =
        gate.map(|message| Failure { stage: "evaluate".into(), unit: "gold".into(), kind: "gate".into(), message });
    let crawl = store.failed_urls()?.into_iter().map(|(url, message)| Failure {
        stage: "crawl".into(),
        unit: url,
        kind: "network".into(),
        message,
    });
    let units = store.failed_units()?.into_iter().map(|unit| Failure {
        stage: unit.stage,
        unit: unit.unit,
        kind: unit.kind,
        message: if unit.given_up && unit.run < run {
            format!("{} (known since run {})", unit.message, unit.run)
        } else {
            unit.message
        },
    });
    Ok(gate.into_iter().chain(crawl).chain(units).collect())
}

/// Files that are there, with the rows they hold: an export's fingerprint says how many.
fn exports(pipeline: &Pipeline, store: &Store) -> Result<Vec<(String, u64)>> {
    let (scopes, mut exports) = (pipeline.scopes(), Vec::new());
    for scope in &scopes {
        let folder = export::folder(store.folder(), *scope, scopes.len());
        for file in &pipeline.settings(*scope).export.files {
            let output = store.unit_output(&scope.name(), "export", &file.path)?;
            if let Some(rows) = output.as_deref().and_then(export::rows_of) {
                exports.push((folder.join(&file.path).display().to_string(), rows));
            }
        }
        // The dataset is a folder; its rows are its examples.
        let folder = dataset::folder(store.folder(), *scope, scopes.len());
        let version = store.unit_output(&scope.name(), "dataset", dataset::UNIT)?.map(|version| folder.join(version));
        if let Some(path) = version.filter(|path| path.is_dir()) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let examples = store.latest_figure(&scope.name(), "dataset", "examples")?.unwrap_or(0.0) as u64;
            exports.push((path.display().to_string(), examples));
        }
    }
    Ok(exports)
}
