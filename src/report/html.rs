//! The report as one HTML file: no network, no script, light and dark, readable on a phone.
//!
//! A content security policy in the file forbids scripts and any request, so even a mistake in escaping could not act;
//! `escape` is there so that there is none.

use std::fmt::{self, Write as _};

use super::escape::{counted, escape, figure, location, number};
use super::format::{NONE, duration, instant, measure, percent};
use super::summary::{Alarm, Outcome, SampleGroup, SamplePair, Summary};
use super::tables::{self, absent, interval};
use super::{agreement, chart, diagram};
use crate::record::Language;
use crate::record::language::Script;

const STYLE: &str = include_str!("report.css");

/// Draws the whole report.
pub fn render(summary: &Summary) -> String {
    let mut out = String::with_capacity(1 << 16);
    page(&mut out, summary).expect("writing to a String cannot fail");
    out
}

fn page(out: &mut String, summary: &Summary) -> fmt::Result {
    let pipeline = escape(&summary.pipeline);
    let run = number(summary.run);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{pipeline}, run {run} – kopri</title>\n<style>\n{STYLE}</style>\n</head>\n<body>"
    )?;
    header(out, summary)?;
    out.push_str("<main>\n");
    alarms(out, summary)?;
    failure_notice(out, summary)?;
    section(out, "pairs", "From pages to pairs", |out| pairs(out, summary))?;
    section(out, "quality", "Quality", |out| {
        tables::quality(out, summary)?;
        diagram::calibration(out, summary)
    })?;
    section(out, "scores", "Scores", |out| scores(out, summary))?;
    section(out, "samples", "Samples", |out| samples(out, summary))?;
    if let Some(found) = &summary.agreement {
        section(out, "annotators", "Annotators", |out| agreement::annotators(out, summary, found))?;
    }
    section(out, "sites", "Sites", |out| {
        tables::sites(out, summary)?;
        tables::books(out, summary)
    })?;
    section(out, "stages", "Stages", |out| tables::stages(out, summary))?;
    section(out, "failures", "Failures", |out| tables::failures(out, summary))?;
    section(out, "exports", "Exports", |out| tables::exports(out, summary))?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "</main>\n<footer>Drawn by kopri {version}.</footer>\n</body>\n</html>")
}

fn section(out: &mut String, id: &str, title: &str, body: impl FnOnce(&mut String) -> fmt::Result) -> fmt::Result {
    writeln!(out, "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>")?;
    body(out)?;
    writeln!(out, "</section>")
}

fn header(out: &mut String, summary: &Summary) -> fmt::Result {
    let class = match summary.outcome {
        Outcome::Done => "good",
        Outcome::SomeFailed | Outcome::Alarmed | Outcome::Attention | Outcome::Interrupted | Outcome::Unfinished => {
            "warn"
        }
        Outcome::GateFailed | Outcome::Failed => "bad",
    };
    writeln!(
        out,
        "<header>\n<h1>{}</h1>\n<p class=\"outcome {class}\"><span aria-hidden=\"true\">{}</span> {}</p>\n\
         <p class=\"where\">Run {} · {} · {} · <code>{}</code></p>",
        escape(&summary.pipeline),
        summary.outcome.sign(),
        summary.outcome.words(),
        number(summary.run),
        escape(&summary.languages()),
        time(summary.started),
        escape(&summary.workspace)
    )?;
    key_figures(out, summary)?;
    out.push_str("<nav aria-label=\"Sections\">");
    for (id, title) in [
        ("pairs", "Pairs"),
        ("quality", "Quality"),
        ("scores", "Scores"),
        ("samples", "Samples"),
        ("annotators", "Annotators"),
        ("sites", "Sites"),
        ("stages", "Stages"),
        ("failures", "Failures"),
        ("exports", "Exports"),
    ] {
        if id != "annotators" || summary.agreement.is_some() {
            write!(out, "<a href=\"#{id}\">{title}</a> ")?;
        }
    }
    writeln!(out, "</nav>\n</header>")
}

fn time(at: jiff::Timestamp) -> String {
    format!("<time datetime=\"{at}\">{} UTC</time>", instant(at))
}

fn key_figures(out: &mut String, summary: &Summary) -> fmt::Result {
    let mut figures: Vec<(&str, String, String)> = Vec::new();
    let pairs = summary.kept().zip(summary.candidates());
    figures.push(match pairs {
        Some((kept, candidates)) => {
            let share = format!("{} of {}\u{a0}candidates", figure(&percent(kept, candidates)), number(candidates));
            ("pairs kept", number(kept), share)
        }
        None => ("pairs kept", NONE.to_owned(), "none were judged".to_owned()),
    });
    let measured = summary.evaluation.iter().take(2);
    figures.extend(measured.map(|metric| (metric.name.as_str(), figure(&measure(metric.value)), interval(metric))));
    let failed = summary.failures.len() as u64;
    let done = summary.stages.iter().map(|stage| stage.done).sum();
    figures.push(("units failed", number(failed), format!("{} done", number(done))));
    let ended = summary.finished.map_or_else(|| "not finished".to_owned(), |end| format!("until {}", time(end)));
    let took = summary.seconds().map_or_else(|| NONE.to_owned(), duration);
    figures.push(("duration", figure(&took), ended));
    out.push_str("<dl class=\"figures\">\n");
    for (name, value, more) in figures {
        writeln!(out, "<div><dt>{}</dt><dd>{value}</dd><dd class=\"more\">{more}</dd></div>", escape(name))?;
    }
    out.push_str("</dl>\n");
    Ok(())
}

/// Before all figures: they may be wrong for it.
fn alarms(out: &mut String, summary: &Summary) -> fmt::Result {
    for alarm in &summary.alarms {
        writeln!(
            out,
            "<p class=\"notice\"><b>Alarm: {}.</b> {}, worst on <span class=\"unit\">{}</span>. {} <code>{}</code></p>",
            escape(&alarm.site),
            escape(&alarm.message),
            location(&alarm.example),
            Alarm::ADVICE,
            escape(&alarm.command)
        )?;
    }
    for text in &summary.attention {
        writeln!(out, "<p class=\"notice\"><b>Attention.</b> {}.</p>", escape(text))?;
    }
    Ok(())
}

/// The first thing to see, if there is anything to do.
fn failure_notice(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.failures.is_empty() {
        return Ok(());
    }
    let failed = counted(summary.failures.len() as u64, "unit");
    writeln!(out, "<p class=\"notice\"><b>{failed} failed.</b> <a href=\"#failures\">Which, and what to do</a></p>")
}

fn pairs(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.waterfall.is_empty() {
        return absent(out, "This run judged no pairs.");
    }
    out.push_str(
        "<p>Shares are of all candidates of the language pair. A dropped pair counts once, for the first rule that drops it.</p>\n",
    );
    chart::waterfall(out, summary)
}

fn scores(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.histograms.is_empty() {
        return absent(out, "This run scored no pairs.");
    }
    out.push_str(
        "<p class=\"legend\"><span class=\"swatch kept\"></span> kept \
         <span class=\"swatch dropped\"></span> dropped, whatever the reason \
         <span class=\"swatch threshold\"></span> threshold</p>\n<div class=\"charts\">\n",
    );
    for (place, histogram) in summary.histograms.iter().enumerate() {
        chart::histogram(out, histogram, place)?;
    }
    out.push_str("</div>\n");
    Ok(())
}

fn samples(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.samples.iter().all(|group| group.pairs.is_empty()) {
        return absent(out, "There are no pairs to show.");
    }
    for SampleGroup { title, explanation, languages, pairs } in &summary.samples {
        writeln!(out, "<h3>{}</h3>\n<p>{}</p>", escape(title), escape(explanation))?;
        if pairs.is_empty() {
            absent(out, "None.")?;
            continue;
        }
        out.push_str("<ol class=\"pairs\">\n");
        for pair in pairs {
            sample(out, pair, languages.source, languages.target)?;
        }
        out.push_str("</ol>\n");
    }
    Ok(())
}

fn sample(out: &mut String, pair: &SamplePair, source: Language, target: Language) -> fmt::Result {
    out.push_str("<li>\n<div class=\"texts\">\n");
    side(out, &pair.source, source, pair.source_url.as_deref())?;
    side(out, &pair.target, target, pair.target_url.as_deref())?;
    out.push_str("</div>\n<ul class=\"chips\">");
    let filled = if pair.score.is_finite() { pair.score.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    write!(out, "<li class=\"score\" style=\"--filled:{filled:.0}%\">score {}</li>", figure(&measure(pair.score)))?;
    for (name, value) in [("similarity", pair.similarity), ("margin", pair.margin)] {
        if let Some(value) = value {
            write!(out, "<li>{name} {}</li>", figure(&measure(value)))?;
        }
    }
    write!(out, "<li>{}</li>", pair.origin.name())?;
    if let Some(reason) = &pair.reason {
        write!(out, "<li class=\"reason\">✗ dropped, {}</li>", escape(reason))?;
    }
    writeln!(out, "<li class=\"id\"><code>{}</code></li></ul>\n</li>", pair.id)
}

pub(super) fn side(out: &mut String, text: &str, language: Language, url: Option<&str>) -> fmt::Result {
    let direction = if language.script() == Script::Arabic { "rtl" } else { "ltr" };
    let from = url.map_or_else(String::new, |url| format!("<p class=\"from\">{}</p>", location(url)));
    writeln!(
        out,
        "<div><span class=\"language\">{}</span><p class=\"text\" lang=\"{}\" dir=\"{direction}\">{}</p>{from}</div>",
        language.name(),
        language.code(),
        escape(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::summary::{Failure, Histogram, WaterfallStep};

    /// Every opened element is closed in order. Enough of a parser for what this module writes.
    fn assert_balanced(html: &str) {
        let mut open: Vec<&str> = Vec::new();
        let body = &html[html.find("<body>").unwrap()..html.find("</html>").unwrap()];
        for tag in body.split('<').skip(1).map(|piece| &piece[..piece.find('>').expect("an unclosed tag")]) {
            let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "</{name}> closes something else");
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, ["body"; 0], "left open");
    }

    /// The sample with every text replaced.
    fn with_every_text(text: &str) -> Summary {
        let mut summary = sample::summary();
        let set = |field: &mut String| text.clone_into(field);
        set(&mut summary.pipeline);
        set(&mut summary.workspace);
        for stage in &mut summary.stages {
            set(&mut stage.name);
            set(&mut stage.note);
        }
        for row in &mut summary.waterfall {
            set(&mut row.label);
            set(&mut row.note);
        }
        summary.histograms.iter_mut().for_each(|histogram| set(&mut histogram.name));
        for group in &mut summary.samples {
            set(&mut group.title);
            set(&mut group.explanation);
            for pair in &mut group.pairs {
                set(&mut pair.source);
                set(&mut pair.target);
                pair.source_url = Some(text.to_owned());
                pair.target_url = Some(format!("https://{text}"));
                pair.reason = Some(text.to_owned());
            }
        }
        summary.sites.iter_mut().for_each(|site| set(&mut site.site));
        summary.index.iter_mut().for_each(|index| set(&mut index.kind));
        if let Some(found) = &mut summary.agreement {
            found.people.iter_mut().for_each(|person| set(&mut person.name));
            for conflict in &mut found.conflicts {
                [&mut conflict.source, &mut conflict.target].into_iter().flatten().for_each(set);
                for said in &mut conflict.answers {
                    set(&mut said.who);
                    set(&mut said.answer);
                }
            }
        }
        for metric in &mut summary.evaluation {
            set(&mut metric.name);
            set(&mut metric.note);
        }
        for Alarm { site, message, example, command } in &mut summary.alarms {
            [site, message, example, command].into_iter().for_each(set);
        }
        for Failure { stage, unit, kind, message } in &mut summary.failures {
            [stage, unit, kind, message].into_iter().for_each(set);
        }
        summary.exports.iter_mut().for_each(|(path, _)| set(path));
        summary
    }

    #[test]
    fn no_text_becomes_markup() {
        let plain = render(&with_every_text("x"));
        for hostile in [
            "</style><script>alert(1)</script>",
            "\"onload=alert(1)\"",
            "'><img/src=x/onerror=alert(1)>",
            "&lt;script&gt;",
        ] {
            let html = render(&with_every_text(hostile));
            // Exactly the tags of a harmless report: all that was added is text.
            assert_eq!(html.matches('<').count(), plain.matches('<').count(), "{hostile}");
            assert_eq!(html.matches('"').count(), plain.matches('"').count(), "{hostile}");
            assert!(!html.contains(hostile), "{hostile}");
            assert_balanced(&html);
        }
    }

    #[test]
    fn only_pages_are_linked() {
        let mut summary = sample::summary();
        summary.samples[0].pairs[0].source_url = Some("javascript:alert(1)".into());
        let html = render(&summary);
        assert!(html.contains("<span>javascript:alert(1)</span>"));
        assert!(html.contains(r#"<a href="https://habar.example/tm/habar/most?id=5047" rel="noopener noreferrer">"#));
        for link in html.split("href=\"").skip(1) {
            assert!(link.starts_with('#') || link.starts_with("https://"), "{}", &link[..40]);
        }
    }

    #[test]
    fn the_file_stands_alone() {
        let html = render(&sample::summary());
        for foreign in ["<script", "<link", "<img", "src=", "@import", "url(http", "@font-face"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        assert_balanced(&html);
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
    }

    #[test]
    fn headings_come_in_order_and_ids_once() {
        let html = render(&sample::summary());
        let levels: Vec<u32> =
            html.match_indices("<h").filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10)).collect();
        assert_eq!(levels[0], 1);
        assert!(levels.windows(2).all(|pair| pair[1] > 1 && pair[1] <= pair[0] + 1), "{levels:?}");
        let mut ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        for target in html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(ids.contains(&target), "#{target} leads nowhere");
        }
    }

    #[test]
    fn texts_name_their_language_and_direction() {
        let mut summary = sample::summary();
        let html = render(&summary);
        assert!(html.contains(r#"<p class="text" lang="ru" dir="ltr">Длина нового моста — 1236 метров.</p>"#));
        assert!(
            html.contains(r#"<p class="text" lang="tk" dir="ltr">Täze köpriniň uzynlygy 1236 metre barabardyr.</p>"#)
        );
        assert!(html.contains("выпустило &lt;новый&gt; словарь"));
        assert!(html.contains("12\u{202f}480"));
        for group in &mut summary.samples {
            group.languages.target = "fa".parse().unwrap();
        }
        assert!(render(&summary).contains(r#"lang="fa" dir="rtl""#));
    }

    #[test]
    fn what_did_not_take_place_is_not_shown_as_zero() {
        let mut summary = sample::summary();
        summary.finished = None;
        summary.outcome = Outcome::Unfinished;
        summary.index.clear();
        summary.stages.clear();
        summary.waterfall.retain(|row| row.step == WaterfallStep::Volume);
        summary.histograms.clear();
        summary.samples.clear();
        summary.sites.clear();
        summary.evaluation.clear();
        summary.agreement = None;
        summary.alarms.clear();
        summary.failures.clear();
        summary.exports.clear();
        let html = render(&summary);
        assert_balanced(&html);
        for told in [
            "none were judged",
            "Nothing was measured",
            "scored no pairs",
            "no pairs to show",
            "visited no sites",
            "No stage ran",
            "No unit failed",
            "exported nothing",
            "not finished",
        ] {
            assert!(html.contains(told), "{told}");
        }
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn wrong_figures_stay_figures() {
        let mut summary = sample::summary();
        summary.samples[0].pairs[0].score = f64::NAN;
        summary.samples[0].pairs[1].score = 7.0;
        summary.evaluation[0].value = f64::INFINITY;
        summary
            .histograms
            .push(Histogram { edges: vec![f64::NAN], ..Histogram::new("odd", 0.0, 1.0, 2, Some(f64::NAN)) });
        let html = render(&summary);
        assert!(!html.contains("NaN") && !html.contains("inf%"), "a number that is none reached the page");
    }
}
