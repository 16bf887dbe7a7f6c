//! The report's tables: measures, sites, stages, failed units, files.

use std::fmt::{self, Write as _};

use super::escape::{counted, escape, figure, location, number};
use super::format::{NONE, duration, measure, rate};
use super::summary::{IndexReport, Metric, Summary, advice};

/// Failed units that a group names; the store has them all.
const NAMED_FAILURES: usize = 100;

/// Says that a part of the run did not take place, which is not the same as a zero.
pub(super) fn absent(out: &mut String, text: &str) -> fmt::Result {
    writeln!(out, "<p class=\"absent\">{text}</p>")
}

/// `0.921 to 0.961`, or nothing.
pub(super) fn interval(metric: &Metric) -> String {
    let end = |value: Option<f64>| figure(&value.map_or_else(|| NONE.to_owned(), measure));
    match (metric.low, metric.high) {
        (None, None) => String::new(),
        (low, high) => format!("{} to {}", end(low), end(high)),
    }
}

pub(super) fn quality(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.evaluation.is_empty() {
        absent(out, "Nothing was measured in this run.")?;
    } else {
        table(out, "Measures", &["measure", "#value", "#interval", "note"])?;
        for metric in &summary.evaluation {
            writeln!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"n\"><b>{}</b></td><td class=\"n\">{}</td><td class=\"note\">{}</td></tr>",
                escape(&metric.name),
                figure(&measure(metric.value)),
                interval(metric),
                escape(&metric.note)
            )?;
        }
        table_end(out);
    }
    summary.index.iter().try_for_each(|found| index(out, summary, found))
}

/// The index of a language pair.
fn index(out: &mut String, summary: &Summary, index: &IndexReport) -> fmt::Result {
    let recall = match index.recall_at_k {
        Some(recall) => format!(
            "finds <b>{}</b> of the true {} nearest neighbours (recall, measured on {})",
            figure(&measure(recall)),
            index.k,
            counted(index.sample as u64, "query")
        ),
        None if index.kind == "exact" => {
            "every text is compared with every other, so no neighbour is missed".to_owned()
        }
        None => "its recall was not measured".to_owned(),
    };
    let took = figure(&duration(index.seconds));
    let graph = index.graph.map_or_else(String::new, |graph| format!("; {}", graph.told()));
    writeln!(
        out,
        "<p>{}Index <code>{}</code>: {recall}; built or updated in {took}{graph}.</p>",
        escape(&summary.prefix(index.pair)),
        escape(&index.kind)
    )
}

pub(super) fn sites(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.sites.is_empty() {
        return absent(out, "This run visited no sites.");
    }
    let columns = [
        "site",
        "documents by language",
        "#pages",
        "#articles",
        "#unchanged",
        "#errors",
        "#documents",
        "#document pairs",
        "#sentences",
        "#pairs kept",
    ];
    table(out, "Sites and book shelves", &columns)?;
    for site in &summary.sites {
        write!(out, "<tr><th scope=\"row\">{}</th><td>", escape(&site.site))?;
        let languages = site.languages.iter();
        let languages: Vec<_> =
            languages.map(|(language, documents)| format!("{}\u{a0}{}", language.code(), number(*documents))).collect();
        write!(out, "{}</td>", languages.join(", "))?;
        for count in [site.pages, site.articles, site.not_modified] {
            write!(out, "<td class=\"n\">{}</td>", number(count))?;
        }
        write!(out, "<td class=\"n\">{}</td>", failed(site.errors))?;
        for count in [site.documents, site.document_pairs, site.sentences, site.pairs_kept] {
            write!(out, "<td class=\"n\">{}</td>", number(count))?;
        }
        out.push_str("</tr>\n");
    }
    table_end(out);
    Ok(())
}

/// What became of the pages of books, and which files are none.
pub(super) fn books(out: &mut String, summary: &Summary) -> fmt::Result {
    if !summary.books.is_empty() {
        let columns = [
            "book",
            "#pages",
            "#text",
            "#recognised",
            "#empty",
            "#scanned, left out",
            "#garbled, left out",
            "#letters repaired",
        ];
        table(out, "Pages of books", &columns)?;
        for book in &summary.books {
            write!(out, "<tr><th scope=\"row\">{}</th>", escape(&book.location))?;
            for count in [book.pages, book.text, book.ocr, book.empty] {
                write!(out, "<td class=\"n\">{}</td>", number(count))?;
            }
            for count in [book.scanned, book.garbled] {
                write!(out, "<td class=\"n\">{}</td>", failed(count))?;
            }
            write!(out, "<td class=\"n\">{}</td>", number(book.repaired))?;
            out.push_str("</tr>\n");
        }
        table_end(out);
    }
    for note in &summary.notes {
        writeln!(out, "<p>{}</p>", escape(note))?;
    }
    Ok(())
}

pub(super) fn stages(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.stages.is_empty() {
        return absent(out, "No stage ran.");
    }
    table(out, "Stages of this run", &["stage", "#done", "#failed", "#unchanged", "#time", "#rate", "note"])?;
    for stage in &summary.stages {
        let rate = rate(stage.done, stage.seconds, "unit").unwrap_or_else(|| NONE.to_owned());
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"note\">{}</td></tr>",
            escape(&stage.name),
            number(stage.done),
            failed(stage.failed),
            number(stage.skipped_unchanged),
            figure(&duration(stage.seconds)),
            figure(&rate),
            escape(&stage.note)
        )?;
    }
    table_end(out);
    Ok(())
}

/// A count that is a reason to look when it is not zero: bold, not only red.
fn failed(count: u64) -> String {
    if count == 0 { number(count) } else { format!("<b class=\"bad\">{}</b>", number(count)) }
}

pub(super) fn failures(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.failures.is_empty() {
        return absent(out, "No unit failed.");
    }
    for group in summary.failure_groups() {
        let number_failed = group.failures.len();
        let errors = counted(number_failed as u64, "unit");
        let (stage, kind) = (escape(group.stage), escape(group.kind));
        writeln!(out, "<h3>{stage}: {errors}, {kind}</h3>\n<p>{}</p>", commands(advice(group.kind)))?;
        table(out, "Failed units", &["unit", "error"])?;
        for failure in group.failures.iter().take(NAMED_FAILURES) {
            let message = escape(&failure.message);
            writeln!(out, "<tr><td class=\"unit\">{}</td><td>{message}</td></tr>", location(&failure.unit))?;
        }
        table_end(out);
        if number_failed > NAMED_FAILURES {
            let more = number((number_failed - NAMED_FAILURES) as u64);
            writeln!(out, "<p>And {more} more: <code>kopri status</code> lists them.</p>")?;
        }
    }
    Ok(())
}

/// Our own words, in which backticks set off commands.
fn commands(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(
            |(place, part)| {
                if place % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part).to_string() }
            },
        )
        .collect()
}

pub(super) fn exports(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.exports.is_empty() {
        return absent(out, "This run exported nothing.");
    }
    table(out, "Files written", &["file", "#rows"])?;
    for (path, rows) in &summary.exports {
        writeln!(
            out,
            "<tr><td class=\"unit\"><code>{}</code></td><td class=\"n\">{}</td></tr>",
            escape(path),
            number(*rows)
        )?;
    }
    table_end(out);
    Ok(())
}

/// Opens a table that scrolls by itself on a narrow screen (and so takes the keyboard's focus). A column of figures is
/// marked by `#`.
pub(super) fn table(out: &mut String, name: &str, columns: &[&str]) -> fmt::Result {
    write!(out, "<div class=\"scroll\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\"><table><thead><tr>")?;
    for column in columns {
        match column.strip_prefix('#') {
            Some(column) => write!(out, "<th scope=\"col\" class=\"n\">{column}</th>")?,
            None => write!(out, "<th scope=\"col\">{column}</th>")?,
        }
    }
    writeln!(out, "</tr></thead><tbody>")
}

pub(super) fn table_end(out: &mut String) {
    out.push_str("</tbody></table></div>\n");
}
