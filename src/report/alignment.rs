//! An alignment as one HTML page, side by side: for a person to read and to check. It needs no network and runs no script.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::escape::{escape, figure, number};
use super::format::{fraction, measure, percent};

/// One side's text and its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// The number of each line in its file, from 1.
    pub numbers: Vec<usize>,
    /// The lines' texts.
    pub texts: Vec<String>,
}

/// A bead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Lines of the source; none in an insertion.
    pub source: Lines,
    /// Lines of the target; none in a deletion.
    pub target: Lines,
    /// Posterior probability, 0 to 1.
    pub probability: f64,
    /// Cosine of the two sides; `None` where one is empty.
    pub similarity: Option<f32>,
}

/// All that the page tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sheet {
    /// Names of the source and the target, and their BCP 47 codes where known.
    pub names: [String; 2],
    /// BCP 47 codes.
    pub languages: [Option<String>; 2],
    /// What made the vectors.
    pub model: String,
    /// The beads in order.
    pub rows: Vec<Row>,
}

/// Beads under this probability are listed above all others.
const DOUBTFUL: f64 = 0.5;
/// The most of them.
const LISTED: usize = 60;

impl Sheet {
    /// The page.
    pub fn html(&self) -> String {
        let mut out = String::with_capacity(self.rows.len() * 400 + 8_192);
        // Writing into a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let [source, target] = &self.names;
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{source} – {target}, aligned by kopri</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>{source} <span>–</span> {target}</h1>\n",
            source = escape(source),
            target = escape(target)
        )?;
        self.summary(out)?;
        self.doubtful(out)?;
        out.push_str("<table class=\"beads\">\n<thead><tr><th class=\"p\" title=\"probability of the bead\">p</th>");
        for side in 0..2 {
            write!(out, "<th class=\"n\">line</th><th>{}</th>", escape(&self.names[side]))?;
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for (at, row) in self.rows.iter().enumerate() {
            self.row(out, at, row)?;
        }
        out.push_str("</tbody>\n</table>\n</body>\n</html>\n");
        Ok(())
    }

    fn summary(&self, out: &mut String) -> fmt::Result {
        let mut shapes: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for row in &self.rows {
            *shapes.entry((row.source.texts.len(), row.target.texts.len())).or_default() += 1;
        }
        let lines = |side: fn(&Row) -> &Lines| self.rows.iter().map(|row| side(row).texts.len() as u64).sum::<u64>();
        let (alone, left) = (shapes.get(&(1, 0)).copied().unwrap_or(0), shapes.get(&(0, 1)).copied().unwrap_or(0));
        let paired = self.rows.len() as u64 - alone - left;
        let mean = self.rows.iter().map(|row| row.probability).sum::<f64>() / (self.rows.len().max(1) as f64);
        let sources = lines(|row| &row.source);
        let targets = lines(|row| &row.target);
        writeln!(
            out,
            "<dl class=\"figures\">\
             <div><dt>beads</dt><dd>{}</dd><dd class=\"more\">with text on both sides</dd></div>\
             <div><dt>source lines left alone</dt><dd>{}</dd><dd class=\"more\">of {}</dd></div>\
             <div><dt>target lines left alone</dt><dd>{}</dd><dd class=\"more\">of {}</dd></div>\
             <div><dt>mean probability</dt><dd>{}</dd><dd class=\"more\">vectors: {}</dd></div></dl>",
            number(paired),
            number(alone),
            number(sources),
            number(left),
            number(targets),
            figure(&measure(mean)),
            escape(&self.model)
        )?;
        let mut shapes: Vec<_> = shapes.into_iter().collect();
        shapes.sort_by_key(|(shape, count)| (std::cmp::Reverse(*count), *shape));
        let all = self.rows.len() as u64;
        out.push_str("<table class=\"shapes\">\n<caption>Beads by shape: source lines to target lines</caption>\n");
        for ((p, q), count) in shapes {
            writeln!(
                out,
                "<tr><th>{p}:{q}</th><td>{}</td><td>{}</td><td class=\"bar\"><span style=\"width:{:.1}%\"></span></td></tr>",
                number(count),
                figure(&percent(count, all)),
                fraction(count, all) * 100.0
            )?;
        }
        out.push_str("</table>\n");
        Ok(())
    }

    fn doubtful(&self, out: &mut String) -> fmt::Result {
        let mut rows: Vec<(usize, f64)> =
            self.rows.iter().map(|row| row.probability).enumerate().filter(|(_, p)| *p < DOUBTFUL).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let all = rows.len();
        rows.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        rows.truncate(LISTED);
        write!(out, "<p class=\"doubtful\"><b>{} of a probability under {DOUBTFUL}</b>", number(all as u64))?;
        if all > rows.len() {
            write!(out, ", the lowest {}", rows.len())?;
        }
        out.push(':');
        for (at, probability) in rows {
            write!(out, " <a href=\"#b{}\">{}\u{a0}({})</a>", at + 1, at + 1, figure(&measure(probability)))?;
        }
        out.push_str("</p>\n");
        Ok(())
    }

    fn row(&self, out: &mut String, at: usize, row: &Row) -> fmt::Result {
        let class = if row.source.texts.is_empty() {
            "inserted"
        } else if row.target.texts.is_empty() {
            "deleted"
        } else {
            "both"
        };
        let similarity =
            row.similarity.map(|cosine| format!(", cosine {}", measure(f64::from(cosine)))).unwrap_or_default();
        write!(
            out,
            "<tr id=\"b{}\" class=\"{class}\" style=\"--p:{:.3}\"><td class=\"p\" title=\"bead {}, {}:{}{}\">{}</td>",
            at + 1,
            row.probability,
            at + 1,
            row.source.texts.len(),
            row.target.texts.len(),
            escape(&similarity),
            figure(&measure(row.probability))
        )?;
        for (side, lines) in [&row.source, &row.target].into_iter().enumerate() {
            let numbers: Vec<String> = lines.numbers.iter().map(usize::to_string).collect();
            write!(out, "<td class=\"n\">{}</td><td", numbers.join("<br>"))?;
            if let Some(language) = &self.languages[side] {
                write!(out, " lang=\"{}\"", escape(language))?;
            }
            out.push_str(" dir=\"auto\">");
            for text in &lines.texts {
                write!(out, "<p>{}</p>", escape(text))?;
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
        Ok(())
    }
}

/// Rows grow paler red with their doubt; what stands alone is striped and grey.
const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c1f24; --faint: #6b7280; --paper: #fff; --rule: #dfe3e8; --alone: #eef0f3; --doubt: #d9480f; --sure: #2b8a3e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #9aa3ae; --paper: #15181c; --rule: #2d333b; --alone: #22272e; --doubt: #ff922b; --sure: #51cf66; }
}
body { margin: 1.5rem auto; max-width: 90rem; padding: 0 1.25rem; color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; font-weight: 600; overflow-wrap: anywhere; } h1 span { color: var(--faint); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem 2.5rem; margin: 1rem 0; }
.figures dt, .more { color: var(--faint); font-size: .85rem; } .figures dd { margin: 0; font-size: 1.4rem; } .figures .more { font-size: .85rem; }
table { border-collapse: collapse; } td, th { vertical-align: top; text-align: left; }
.shapes { margin: 1rem 0; font-variant-numeric: tabular-nums; } .shapes caption { text-align: left; color: var(--faint); font-size: .85rem; padding-bottom: .25rem; }
.shapes td, .shapes th { padding: 0 1rem 0 0; font-weight: 400; } .shapes td { text-align: right; } .shapes td.bar { width: 14rem; text-align: left; }
.bar span { display: inline-block; min-width: 2px; height: .6rem; background: var(--faint); border-radius: 2px; }
.doubtful { border-left: 3px solid var(--doubt); padding: .25rem .75rem; } .doubtful a { color: inherit; margin-right: .35rem; }
.beads { width: 100%; table-layout: fixed; } .beads thead th { position: sticky; top: 0; background: var(--paper); border-bottom: 2px solid var(--rule); padding: .35rem .5rem; overflow-wrap: anywhere; font-size: .85rem; }
.beads td { border-bottom: 1px solid var(--rule); padding: .3rem .5rem; overflow-wrap: anywhere; } .beads p { margin: 0; } .beads p + p { margin-top: .3rem; }
.beads .p { width: 3.6rem; font-variant-numeric: tabular-nums; font-size: .85rem; } .beads .n { width: 3.4rem; color: var(--faint); font-size: .8rem; text-align: right; font-variant-numeric: tabular-nums; padding-top: .45rem; }
.beads td.p { border-left: .4rem solid color-mix(in oklab, var(--sure) calc(var(--p) * 100%), var(--doubt)); color: var(--faint); padding-top: .4rem; }
.beads tr.both { background: color-mix(in oklab, var(--doubt) calc((1 - var(--p)) * 22%), transparent); }
.beads tr.inserted, .beads tr.deleted { background: repeating-linear-gradient(-45deg, var(--alone) 0 10px, transparent 10px 20px); }
.beads tr:target { outline: 2px solid var(--doubt); }
@media print { .beads thead th { position: static; } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_and_escaped() {
        let lines = |numbers: &[usize], texts: &[&str]| Lines {
            numbers: numbers.to_vec(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        };
        let sheet = Sheet {
            names: ["<a>.txt".into(), "b&c.txt".into()],
            languages: [Some("ru".into()), None],
            model: "lexical".into(),
            rows: vec![
                Row {
                    source: lines(&[1, 3], &["<script>alert(1)</script>", "Два"]),
                    target: lines(&[7], &["Bir \"iki\""]),
                    probability: 0.25,
                    similarity: Some(0.5),
                },
                Row { source: lines(&[4], &["Один"]), probability: 1.0, ..Row::default() },
            ],
        };
        let html = sheet.html();
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !html.contains("<script"), "{html}");
        assert!(html.contains("Bir &quot;iki&quot;") && html.contains("b&amp;c.txt"), "{html}");
        assert!(html.contains("<td class=\"n\">1<br>3</td><td lang=\"ru\""), "{html}");
        assert!(html.contains("<th>2:1</th><td>1</td>") && html.contains("<th>1:0</th>"), "{html}");
        assert!(html.contains("href=\"#b1\"") && !html.contains("href=\"#b2\""), "{html}");
        assert!(html.contains("class=\"deleted\""), "{html}");
    }
}
