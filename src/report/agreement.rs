//! Who annotated, how careful they are, how far they agree and where they do not, for the HTML report.

use std::fmt::{self, Write as _};

use super::escape::{counted, escape, figure, number};
use super::format::{NONE, duration, measure};
use super::html::side;
use super::summary::Summary;
use super::tables::{absent, table, table_end};
use crate::record::{Interface, Scope};
use crate::stage::agreement::{Agreement, Conflict, Person, question};

/// Draws the annotators, their agreement and the worst conflicts.
pub(super) fn annotators(out: &mut String, summary: &Summary, found: &Agreement) -> fmt::Result {
    people(out, &found.people)?;
    questions(out, found)?;
    if found.conflicts.is_empty() {
        return Ok(());
    }
    out.push_str("<h3>Conflicts</h3>\n");
    let (told, all) = (found.conflicts.len(), found.all_conflicts);
    let which = if told < all { format!("The worst {told} are shown") } else { "All are shown".to_owned() };
    let items = counted(all as u64, "item");
    writeln!(out, "<p>People differ on {items}. {which}; <code>kopri agreement</code> lists more.</p>")?;
    out.push_str("<ol class=\"pairs\">\n");
    found.conflicts.iter().try_for_each(|found| conflict(out, summary, found))?;
    out.push_str("</ol>\n");
    Ok(())
}

fn people(out: &mut String, people: &[Person]) -> fmt::Result {
    let columns = [
        "annotator",
        "#answers",
        "#skipped",
        "#median time",
        "#mean time",
        "#untimed",
        "#right on control items",
        "#95 % interval",
        "#right, estimated",
    ];
    table(out, "Annotators", &columns)?;
    let none = || NONE.to_owned();
    for person in people {
        let controls = person.controls;
        let share = controls.map(|of| format!("{} of {}", of.right, of.of));
        let interval = controls.map(|of| format!("{} to {}", measure(of.low), measure(of.high)));
        write!(out, "<tr><th scope=\"row\" class=\"unit\">{}</th>", escape(&person.name))?;
        for cell in [
            number(person.answers as u64),
            number(person.skipped as u64),
            figure(&person.median_seconds.map_or_else(none, duration)),
            figure(&person.mean_seconds.map_or_else(none, duration)),
            number(person.untimed as u64),
            figure(&share.unwrap_or_else(none)),
            figure(&interval.unwrap_or_else(none)),
            figure(&person.estimated.map_or_else(none, measure)),
        ] {
            write!(out, "<td class=\"n\">{cell}</td>")?;
        }
        out.push_str("</tr>\n");
    }
    table_end(out);
    out.push_str(
        "<p>Control items are questions whose answer is known. The estimate (Dawid and Skene 1979) is how often a \
         person’s verdicts are right as all answers together show.</p>\n",
    );
    Ok(())
}

fn questions(out: &mut String, found: &Agreement) -> fmt::Result {
    if found.questions.is_empty() {
        return absent(out, "Nothing was judged by two people.");
    }
    let columns = ["question", "#Krippendorff’s alpha", "#95 % interval", "#equal answers", "#items", "#ratings"];
    table(out, "Agreement", &columns)?;
    let none = || NONE.to_owned();
    for row in &found.questions {
        let interval = row.low.zip(row.high).map(|(low, high)| format!("{} to {}", measure(low), measure(high)));
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\"><b>{}</b></td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(question(row.interface)),
            figure(&row.alpha.map_or_else(none, measure)),
            figure(&interval.unwrap_or_else(none)),
            figure(&row.equal.map_or_else(none, measure)),
            number(row.items as u64),
            number(row.ratings as u64)
        )?;
    }
    table_end(out);
    out.push_str("<p>Alpha is 1 where people agree perfectly and 0 where they agree no more than by chance.</p>\n");
    Ok(())
}

fn conflict(out: &mut String, summary: &Summary, found: &Conflict) -> fmt::Result {
    out.push_str("<li>\n<div class=\"texts\">\n");
    let own = summary.pairs.iter().find(|pair| found.scope.as_deref() == Some(pair.name().as_str()));
    let Some(Scope { source, target }) = own.or(summary.pairs.first()).copied() else { return Ok(()) };
    match (&found.source, &found.target) {
        (Some(own), Some(translation)) => {
            side(out, own, source, None)?;
            let is_choice = found.interface == Interface::Pairwise;
            side(out, translation, target, is_choice.then_some("first"))?;
            if is_choice {
                out.push_str("<div></div>\n");
                match &found.other {
                    Some(other) => side(out, other, target, Some("second"))?,
                    None => absent(out, "The second is not kept: this question was not asked by the workspace.")?,
                }
            }
        }
        _ => absent(out, "The workspace does not have this pair any more.")?,
    }
    out.push_str("</div>\n<ul class=\"chips\">");
    for answers in found.answers.chunk_by(|one, other| one.answer == other.answer) {
        write!(out, "<li><b>{}</b> ", escape(&answers[0].answer))?;
        for (place, said) in answers.iter().enumerate() {
            let gap = if place > 0 { ", " } else { "" };
            let gold = if said.gold { " (gold)" } else { "" };
            write!(out, "{gap}{}{gold}", escape(&said.who))?;
        }
        out.push_str("</li>");
    }
    let question = escape(question(found.interface));
    writeln!(out, "<li class=\"id\">{question} · <code>{}</code></li></ul>\n</li>", found.pair)
}
