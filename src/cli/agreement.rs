//! `agreement`: who annotated, how careful they are, how far they agree, and where they do not.

use std::fmt::Write as _;

use clap::Args;

use super::{Common, DONE, print, say, to_json};
use crate::error::Result;
use crate::pipeline::Pipeline;
use crate::record::Interface;
use crate::report::format::{NONE, columns, count, duration, left, measure, plural, printable, right, shorten, wrap};
use crate::stage::agreement::{self, Agreement, Conflict, Controls, MIN_SHARED, Person};
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `agreement`.
#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
pub(super) struct AgreementArgs {
    #[command(flatten)]
    common: Common,
    /// How many conflicts to list, worst first; with --json all of them unless it is said.
    #[arg(long, value_name = "N")]
    conflicts: Option<usize>,
}

const EXPLANATION: &str = "\
Only the newest answer of each person to each question counts; questions passed by do not.

  control items   questions whose answer is known: a gold answer of somebody else, or three
                  people of one mind; a similarity is right within one point
  Dawid-Skene     how often a person's verdicts are right, as all answers together show
  alpha           Krippendorff's, nominal, for similarity interval: 1 perfect, 0 chance; with
                  its 95 % interval (bootstrap over items)
  kappa           Cohen's, of two people; for similarity with quadratic weights

Examples:
  kopri agreement pipelines/demo.toml
  kopri agreement pipelines/demo.toml --conflicts 100
  kopri agreement pipelines/demo.toml --json | jq '.conflicts[].pair'";

/// Conflicts that are listed unless it is said how many.
const CONFLICTS: usize = 20;
/// Columns that lines are made for.
const WIDTH: usize = 80;
/// Columns of a person's name.
const NAME: usize = 26;

pub(super) fn agreement(arguments: &AgreementArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let listed = if arguments.common.json { usize::MAX } else { CONFLICTS };
    let found = agreement::agreement(&store, arguments.conflicts.unwrap_or(listed))?;
    if arguments.common.json {
        print(&to_json(&found)?)?;
        return Ok(DONE);
    }
    match found {
        Some(found) => print(&told(&pipeline, &found))?,
        None => say(
            "there are no annotations yet: `kopri labelstudio pull` and `kopri import … label-studio FILE` bring them in",
        ),
    }
    Ok(DONE)
}

/// All of it as text.
fn told(pipeline: &Pipeline, found: &Agreement) -> String {
    let mut out = String::new();
    people(&mut out, &found.people);
    rights(&mut out, &found.people);
    questions(&mut out, found);
    couples(&mut out, found);
    conflicts(&mut out, pipeline, found);
    out
}

fn name(name: &str) -> String {
    left(&printable(name), NAME)
}

fn people(out: &mut String, people: &[Person]) {
    let _ = writeln!(
        out,
        "{} {:>8} {:>8} {:>11} {:>11} {:>8}",
        left("People", NAME),
        "answers",
        "skipped",
        "median",
        "mean",
        "untimed"
    );
    let seconds = |seconds: Option<f64>| right(&seconds.map_or_else(|| NONE.to_owned(), duration), 11);
    for person in people {
        let _ = writeln!(
            out,
            "{} {} {} {} {} {}",
            name(&person.name),
            right(&count(person.answers as u64), 8),
            right(&count(person.skipped as u64), 8),
            seconds(person.median_seconds),
            seconds(person.mean_seconds),
            right(&count(person.untimed as u64), 8)
        );
    }
}

fn rights(out: &mut String, people: &[Person]) {
    if people.iter().all(|person| person.controls.is_none() && person.estimated.is_none()) {
        return;
    }
    let _ =
        writeln!(out, "\n{} {:<38} {:>12}", left("How often they are right", NAME), "on control items", "Dawid-Skene");
    for person in people {
        let controls = person.controls.map_or_else(|| NONE.to_owned(), share);
        let estimated = person.estimated.map_or_else(|| NONE.to_owned(), measure);
        let _ = writeln!(out, "{} {} {}", name(&person.name), left(&controls, 38), right(&estimated, 12));
    }
}

/// `0.950 [0.835, 0.986], 38 of 40`.
fn share(controls: Controls) -> String {
    let Controls { right, of, low, high } = controls;
    format!("{} [{}, {}], {right} of {of}", measure(right as f64 / of as f64), measure(low), measure(high))
}

fn questions(out: &mut String, found: &Agreement) {
    if found.questions.is_empty() {
        let _ = writeln!(out, "\nNothing was judged by two people, so there is no agreement to tell of.");
        return;
    }
    let _ =
        writeln!(out, "\n{} {:<24} {:>8} {:>8} {:>8}", left("Agreement", NAME), "alpha", "equal", "items", "ratings");
    for question in &found.questions {
        let alpha = match (question.alpha, question.low, question.high) {
            (Some(alpha), Some(low), Some(high)) => {
                format!("{} [{}, {}]", measure(alpha), measure(low), measure(high))
            }
            (Some(alpha), ..) => measure(alpha),
            (None, ..) => format!("{NONE} no variation"),
        };
        let _ = writeln!(
            out,
            "{} {} {} {} {}",
            left(agreement::question(question.interface), NAME),
            left(&alpha, 24),
            right(&question.equal.map_or_else(|| NONE.to_owned(), measure), 8),
            right(&count(question.items as u64), 8),
            right(&count(question.ratings as u64), 8)
        );
    }
}

fn couples(out: &mut String, found: &Agreement) {
    if found.couples.is_empty() {
        if !found.questions.is_empty() {
            let _ = writeln!(out, "\nNo two people share {MIN_SHARED} items, so there is no kappa.");
        }
        return;
    }
    let _ = writeln!(out, "\n{:<53} {:>8} {:>8} {:>8}", "Two by two", "kappa", "equal", "items");
    for question in &found.questions {
        let mut of = found.couples.iter().filter(|couple| couple.interface == question.interface).peekable();
        if of.peek().is_some() {
            let _ = writeln!(out, "{}", agreement::question(question.interface));
        }
        for couple in of {
            let (one, other) = (printable(&couple.one), printable(&couple.other));
            let _ = writeln!(
                out,
                "  {} {} {} {}",
                left(&format!("{} – {}", shorten(&one, 24), shorten(&other, 24)), 51),
                right(&couple.kappa.map_or_else(|| NONE.to_owned(), measure), 8),
                right(&measure(couple.equal), 8),
                right(&count(couple.items as u64), 8)
            );
        }
    }
}

fn conflicts(out: &mut String, pipeline: &Pipeline, found: &Agreement) {
    let (told, all) = (found.conflicts.len(), found.all_conflicts);
    let _ = match (told, all) {
        (_, 0) => writeln!(out, "\nNo answers differ."),
        (told, all) if told < all => {
            writeln!(out, "\n{}; the {told} worst (--conflicts {all} lists all)", plural(all as u64, "conflict"))
        }
        _ => writeln!(out, "\n{}, worst first", plural(all as u64, "conflict")),
    };
    let Some(scope) = pipeline.scopes().first().copied() else { return };
    let (source, target) = (scope.source.code(), scope.target.code());
    for conflict in &found.conflicts {
        let _ = writeln!(out, "\n{}  {}", conflict.pair, agreement::question(conflict.interface));
        texts(out, conflict, source, target);
        for answers in conflict.answers.chunk_by(|one, other| one.answer == other.answer) {
            let who = |said: &agreement::Said| printable(&said.who) + if said.gold { " (gold)" } else { "" };
            let who: Vec<String> = answers.iter().map(who).collect();
            paragraph(out, &answers[0].answer, &who.join(", "));
        }
    }
}

fn texts(out: &mut String, conflict: &Conflict, source: &str, target: &str) {
    let (Some(own), Some(translation)) = (&conflict.source, &conflict.target) else {
        paragraph(out, "", "the workspace does not have this pair any more");
        return;
    };
    paragraph(out, source, own);
    if conflict.interface != Interface::Pairwise {
        return paragraph(out, target, translation);
    }
    let other = conflict.other.as_deref().unwrap_or("(not kept: this question was not asked by the workspace)");
    paragraph(out, &format!("{target} first"), translation);
    paragraph(out, &format!("{target} second"), other);
}

/// A text behind its name, in lines of the page's width.
fn paragraph(out: &mut String, name: &str, text: &str) {
    const INDENT: usize = 2;
    let label = left(name, columns(name).max(10));
    for (place, line) in wrap(&printable(text), WIDTH - INDENT - columns(&label) - 1).iter().enumerate() {
        let label = if place == 0 { label.clone() } else { " ".repeat(columns(&label)) };
        let _ = writeln!(out, "  {label} {line}");
    }
}
