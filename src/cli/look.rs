//! `plan`, `status`, `show`, `report`: look at a workspace; they never write to its store.

use std::fmt::Write as _;

use clap::Args;

use super::{Common, DONE, print, say, to_json};
use crate::engine::job;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::run::RunReport;
use crate::record::{DocumentId, PageId, PairId, SentenceId};
use crate::report::format::printable;
use crate::report::summary::pages_in_words;
use crate::report::{collect, terminal};
use crate::stage::{drift, evaluate};
use crate::store::Store;
use crate::store::open::{Access, is_being_written};
use crate::store::text_pairs::JudgedPair;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    common: Common,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    common: Common,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Ids come from exports and reports. A URL, or a book's place on its shelf, may be given as it is."
)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    common: Common,
    /// u…, d…, s… or p… and 16 hexadecimal digits, a URL, or a book as `shelf/file.pdf`.
    id: String,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) fn plan(arguments: &PlanArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = match Store::open(&pipeline.workspace_folder(), Access::Read) {
        Err(error) if error.kind() == ErrorKind::Usage => {
            say("there is no workspace yet: a run will begin with the crawl, and everything is to do");
            return Ok(DONE);
        }
        other => other?,
    };
    let plans = pipeline.plan(&store)?;
    if arguments.common.json {
        print(&to_json(&plans)?)?;
        return Ok(DONE);
    }
    let mut text = format!("{:<12}{:>10}{:>10}{:>8}   {}\n", "stage", "done", "pending", "gone", "counted in");
    for plan in plans {
        let _ = writeln!(
            text,
            "{:<12}{:>10}{:>10}{:>8}   {}",
            plan.stage, plan.done, plan.pending, plan.retracted, plan.unit_noun
        );
        for reason in plan.because {
            let _ = writeln!(text, "{:<12}stale because {reason}", "");
        }
    }
    let _ = writeln!(
        text,
        "\nPending counts what is there now: stages above may add to those below. {} URLs wait for the crawl.",
        store.due_count()?
    );
    print(&text)?;
    Ok(DONE)
}

/// Why the quality gates of the pipeline's language pairs are not passed.
fn gates(pipeline: &crate::pipeline::Pipeline, store: &Store) -> Result<Option<String>> {
    let mut failures = Vec::new();
    for scope in pipeline.scopes() {
        failures.extend(evaluate::gate(store, &scope.name(), &pipeline.settings(scope).evaluate)?);
    }
    Ok((!failures.is_empty()).then(|| failures.join("; ")))
}

pub(super) fn status(arguments: &StatusArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let running = is_being_written(store.folder())?;
    let (runs, volumes, units) = (store.runs(5)?, store.volumes()?, store.unit_counts()?);
    let (failed_units, failed_urls) = (store.failed_units()?, store.failed_urls()?);
    let mut kept = 0;
    for scope in pipeline.scopes() {
        kept += store.verdict_counts(&scope.name())?.get(&None).copied().unwrap_or(0);
    }
    let books = store.book_counts()?;
    let mut people = store.people_counts()?;
    for scope in pipeline.scopes() {
        let questions = &pipeline.settings(scope).annotate;
        people.waiting +=
            store.open_tasks(Some(&scope.name()), questions.interface, questions.annotators)?.len() as u64;
    }
    let alarms: Vec<_> =
        drift::standing(&store, &pipeline.site)?.iter().map(|drift| collect::alarm(&pipeline, drift)).collect();
    let jobs = job::jobs(&store.jobs_folder())?;
    if arguments.common.json {
        let volumes: serde_json::Map<_, _> =
            volumes.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
        print(&to_json(&serde_json::json!({
            "runs": runs, "running": running, "volumes": volumes, "failed_units": failed_units, "failed_urls": failed_urls,
            "pairs_kept": kept, "alarms": alarms, "books": books, "people": people, "jobs": jobs,
        }))?)?;
        return Ok(DONE);
    }
    let mut text = String::new();
    for (number, run) in runs.iter().enumerate() {
        let outcome = match &run.outcome {
            Some(outcome) => outcome,
            // The newest comes first, and one process writes at a time.
            None if number == 0 && running => "running",
            None => "not finished: it was killed; the next run goes on where it ended",
        };
        let _ = writeln!(text, "run {:<4} {}  {outcome}", run.id, run.started_at.strftime("%Y-%m-%d %H:%M"));
    }
    text.push('\n');
    for (name, count) in volumes {
        let _ = writeln!(text, "{name:<18}{count:>10}");
    }
    let _ = writeln!(text, "{:<18}{:>10}", "pairs kept", kept);
    if people.asked + people.annotations > 0 {
        text.push('\n');
        for (name, count) in [
            ("questions asked", people.asked),
            ("waiting", people.waiting),
            ("annotations", people.annotations),
            ("of pairs gone", people.unknown),
            ("pairs corrected", people.corrected),
        ] {
            let _ = writeln!(text, "{name:<18}{count:>10}");
        }
    }
    text.push('\n');
    for (stage, (done, failed)) in units {
        let _ = writeln!(
            text,
            "{stage:<12}{done:>8} units done{}",
            if failed > 0 { format!(", {failed} failed") } else { String::new() }
        );
    }
    // Without a process that writes, what was begun waits for the next run.
    for one in &jobs {
        let state = if running { "running" } else { "interrupted; the next run goes on with it" };
        let _ = writeln!(text, "job: {}: {state}{}", job_name(&one.about), how_far(one.heartbeat.as_ref()));
    }
    for book in books.iter().filter(|book| book.left_out() + book.repaired > 0) {
        let _ = writeln!(text, "\n{}\n  {}", book.location, pages_in_words(book));
    }
    for alarm in &alarms {
        let _ = writeln!(text, "\n{}", terminal::alarm(alarm));
    }
    for (url, error) in &failed_urls {
        let _ = writeln!(text, "\nfailed: {url}\n  {error}");
    }
    for unit in &failed_units {
        let again = if unit.given_up { ", not tried again until the file, the limits or kopri change" } else { "" };
        let scope = if unit.scope.is_empty() || pipeline.scopes().len() == 1 { "" } else { &unit.scope };
        let stage = format!("{} {scope}", unit.stage).trim_end().to_owned();
        let (name, tries) = (&unit.unit, unit.attempts);
        let _ = writeln!(text, "\nfailed: {stage} of {name} ({tries} tries{again})\n  {}", unit.message);
    }
    print(&text)?;
    Ok(DONE)
}

fn job_name(about: &job::About) -> String {
    let scope = if about.scope.is_empty() { String::new() } else { format!(" {}", about.scope) };
    format!("{}{scope} of {}", about.stage, about.unit)
}

fn how_far(heartbeat: Option<&job::Heartbeat>) -> String {
    heartbeat.map_or_else(String::new, |beat| {
        let total = beat.total.map_or_else(String::new, |total| format!(" of {total}"));
        format!(", {}{total} done at {}", beat.done, beat.updated_at.strftime("%Y-%m-%d %H:%M:%S"))
    })
}

pub(super) fn show(arguments: &ShowArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let id = arguments.id.as_str();
    let text = if id.starts_with("http://") || id.starts_with("https://") {
        let url = url::Url::parse(id)
            .map_err(|error| Error::with_source(ErrorKind::Usage, format!("reading {id:?}"), error))?;
        let mut text = show_url(&store, PageId::of(&[url.as_str().as_bytes()]))?;
        let document = DocumentId::of(&[url.as_str().as_bytes()]);
        if store.document(document)?.is_some() {
            text += &format!("\n{}", show_document(&store, document)?);
        }
        text
    } else if !store.book_pages(id)?.is_empty() {
        let document = DocumentId::of(&[id.as_bytes()]);
        match store.document(document)? {
            Some(_) => show_document(&store, document)?,
            None => format!("location       {id}\ndocument       none: too little text\n{}", show_pages(&store, id)?),
        }
    } else if id.contains('/') {
        return Err(unknown("book", id));
    } else {
        match id.chars().next() {
            Some(PageId::LETTER) => show_url(&store, read_id(id)?)?,
            Some(DocumentId::LETTER) => show_document(&store, read_id(id)?)?,
            Some(SentenceId::LETTER) => show_sentence(&store, read_id(id)?)?,
            Some(PairId::LETTER) => show_pair(&store, read_id(id)?)?,
            _ => {
                return Err(Error::new(ErrorKind::Usage, format!("{id:?} is no id: ids begin with u, d, s or p")));
            }
        }
    };
    print(&text)?;
    Ok(DONE)
}

/// An id of the command line: a wrong one is a mistake of usage, not of data.
fn read_id<T: std::str::FromStr<Err = Error>>(id: &str) -> Result<T> {
    id.parse().map_err(|error: Error| Error::new(ErrorKind::Usage, error.to_string()))
}

fn unknown(what: &str, id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Usage, format!("the workspace has no {what} {id}"))
}

fn show_url(store: &Store, id: PageId) -> Result<String> {
    let details = store.url_details(id)?.ok_or_else(|| unknown("URL", id))?;
    Ok(details
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<16}{value}\n"))
        .collect())
}

fn show_document(store: &Store, id: DocumentId) -> Result<String> {
    let document = store.document(id)?.ok_or_else(|| unknown("document", id))?;
    let optional = |value: Option<String>| value.unwrap_or_else(|| "unknown".into());
    let mut text = format!(
        "document       {id}\nlocation       {}\nsite           {}\nlanguage       {} ({:.2})\ndeclared       {}\ntitle          {}\ndate           {}\nauthor         {}\ntags           {}\nagreement      {}\n",
        document.location,
        document.site,
        optional(document.language.map(|language| language.to_string())),
        document.language_confidence,
        optional(document.declared_language.map(|language| language.to_string())),
        optional(document.title.clone()),
        optional(document.date.map(|date| date.to_string())),
        optional(document.author.clone()),
        document.tags.join(", "),
        // Of the profile and the generic extractor.
        document.agreement.map_or_else(|| "not known: no profile".into(), |agreement| format!("{agreement:.2}")),
    );
    for pair in store.pairs_with(id)? {
        let other = if pair.source == id { pair.target } else { pair.source };
        let _ = writeln!(text, "twin           {other} {} (score {:.2})", optional(store.location(other)?), pair.score);
        for evidence in &pair.evidence {
            let _ = writeln!(text, "               {}: {}", evidence.kind.name(), evidence.detail);
        }
    }
    text += &show_pages(store, &document.location)?;
    text.push('\n');
    for sentence in store.sentences(id)? {
        let language = sentence.language.map_or("?", crate::record::Language::code);
        let _ =
            writeln!(text, "{} {language:<3} [{}..{}] {}", sentence.id, sentence.start, sentence.end, sentence.text);
    }
    Ok(text)
}

/// What became of a book's pages, with the reason for those that are left out or were recognised; nothing for a web page.
fn show_pages(store: &Store, location: &str) -> Result<String> {
    let mut text = String::new();
    if let Some(counts) = store.book_counts()?.iter().find(|counts| counts.location == location) {
        let _ = writeln!(text, "pages          {}", pages_in_words(counts));
    }
    for repair in store.book_repairs(location)? {
        let _ = writeln!(text, "repaired       {}", printable(&repair.words()));
    }
    for page in store.book_pages(location)? {
        let word = match (page.is_left_out(), page.by_ocr()) {
            (true, _) => "left out, ",
            (_, true) => "recognised, ",
            _ => continue,
        };
        let _ = writeln!(text, "page {:<10}{word}{}: {}", page.number, page.state.name(), page.reason());
    }
    Ok(text)
}

fn show_sentence(store: &Store, id: SentenceId) -> Result<String> {
    let sentence = store.sentence(id)?.ok_or_else(|| unknown("sentence", id))?;
    let location = store.location(sentence.document)?.unwrap_or_default();
    let page = store
        .document(sentence.document)?
        .and_then(|document| document.blocks.get(sentence.block as usize)?.page)
        .map(|page| format!("\npage           {page}"))
        .unwrap_or_default();
    Ok(format!(
        "sentence       {id}\ntext           {}\nlanguage       {} ({:.2})\ndocument       {} {location}{page}\nplace          sentence {} of the document, block {}, bytes {}..{}\n",
        sentence.text,
        sentence.language.map_or("unknown", crate::record::Language::code),
        sentence.language_confidence,
        sentence.document,
        sentence.ordinal + 1,
        sentence.block + 1,
        sentence.start,
        sentence.end
    ))
}

fn show_pair(store: &Store, id: PairId) -> Result<String> {
    let JudgedPair { pair, drop, source_location, target_location } =
        store.judged_pair(id)?.ok_or_else(|| unknown("pair", id))?;
    let number = |number: Option<f32>| number.map_or_else(|| "none".to_owned(), |number| format!("{number:.4}"));
    let ids = |ids: &[SentenceId]| ids.iter().map(SentenceId::to_string).collect::<Vec<_>>().join(" ");
    let mut text = format!(
        "pair           {id}\nsource         {}\ntarget         {}\norigin         {}\nscore          {:.4}\nsimilarity     {}\nmargin         {}\nverdict        {}\n",
        pair.source.text,
        pair.target.text,
        pair.origin.name(),
        pair.score,
        number(pair.similarity()),
        number(pair.margin()),
        drop.map_or_else(|| "kept".to_owned(), |drop| format!("dropped, {}: {}", drop.reason.name(), drop.detail)),
    );
    for (name, side, location) in [("source", &pair.source, source_location), ("target", &pair.target, target_location)]
    {
        if let Some(document) = side.document {
            let _ = writeln!(text, "{name:<15}{document} {} {}", location.unwrap_or_default(), ids(&side.sentences));
        }
    }
    for annotation in store.annotations(id)? {
        let _ = writeln!(
            text,
            "annotation     {} said {}{}",
            annotation.annotator,
            annotation.verdict.as_deref().unwrap_or(if annotation.skipped {
                "nothing (skipped)"
            } else {
                "no verdict"
            }),
            if annotation.problems.is_empty() {
                String::new()
            } else {
                format!(" ({})", annotation.problems.join(", "))
            }
        );
    }
    let _ = writeln!(text, "more           kopri explain PIPELINE.toml {id}");
    Ok(text)
}

pub(super) fn report(arguments: &ReportArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let run = store
        .runs(1)?
        .into_iter()
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Usage, "no run has been made in this workspace yet"))?;
    let past = RunReport {
        run: run.id,
        started_at: run.started_at,
        finished_at: run.finished_at.unwrap_or(run.started_at),
        crawl: None,
        stages: Vec::new(),
        alarms: drift::standing(&store, &pipeline.site)?,
        notes: Vec::new(),
        attention: Vec::new(),
        gate: gates(&pipeline, &store)?,
        violations: Vec::new(),
    };
    let mut summary = collect::summary(&pipeline, &store, &past)?;
    if arguments.common.json {
        print(&to_json(&summary)?)?;
        return Ok(DONE);
    }
    print(&format!("{}\n", super::run::write_report(&store, &mut summary)?))?;
    Ok(DONE)
}
