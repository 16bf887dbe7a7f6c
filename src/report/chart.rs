//! The report's two pictures: the waterfall as horizontal bars (HTML boxes), score histograms as SVG. Kept is solid and
//! dropped is hatched, so that neither depends on colour; every picture's figures also stand there as text.

use std::fmt::{self, Write as _};

use super::escape::{escape, figure, number};
use super::format::{count, measure, percent, plural};
use super::summary::{Histogram, Summary, WaterfallStep};
use crate::record::Scope;

/// Pages, documents and sentences as figures, then candidates, drops and kept as bars of one scale.
pub(super) fn waterfall(out: &mut String, summary: &Summary) -> fmt::Result {
    out.push_str("<ol class=\"volumes\">\n");
    for row in summary.volumes() {
        let note = note(&row.note);
        writeln!(out, "<li><b>{}</b> {}{note}</li>", number(row.count), escape(&row.label))?;
    }
    out.push_str("</ol>\n");
    for pair in &summary.pairs {
        if summary.pairs.len() > 1 {
            let (source, target) = (pair.source.name(), pair.target.name());
            writeln!(out, "<h3>{} – {}</h3>", escape(source), escape(target))?;
        }
        waterfall_of(out, summary, *pair)?;
    }
    Ok(())
}

/// The bars of one language pair.
fn waterfall_of(out: &mut String, summary: &Summary, pair: Scope) -> fmt::Result {
    out.push_str("<ol class=\"waterfall\">\n");
    let whole = summary.candidates_of(pair);
    for bar in summary.bars(pair) {
        let (class, sign) = match bar.step {
            WaterfallStep::Dropped => ("dropped", "− "),
            WaterfallStep::Kept => ("kept", "= "),
            WaterfallStep::Candidates | WaterfallStep::Volume => ("candidates", ""),
        };
        writeln!(
            out,
            "<li class=\"{class}\"><span class=\"label\">{sign}{}{}</span><span class=\"count\">{}</span>\
             <span class=\"share\">{}</span><span class=\"track\" aria-hidden=\"true\">\
             <span class=\"bar {class}\" style=\"left:min({:.3}%,100% - 2px);width:{:.3}%\"></span></span></li>",
            escape(bar.label),
            note(bar.note),
            number(bar.count),
            figure(&percent(bar.count, whole)),
            bar.start * 100.0,
            (bar.end - bar.start) * 100.0
        )?;
    }
    out.push_str("</ol>\n");
    if let Some(rest) = summary.unaccounted(pair) {
        writeln!(
            out,
            "<p class=\"notice\"><b>The rows do not add up:</b> candidates less drops less kept leave {rest}. \
             Either pairs are not judged yet, or some were counted twice.</p>"
        )?;
    }
    Ok(())
}

fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(text)) }
}

// The drawing area in SVG units. It is drawn between 300 and 560 pixels wide; the style sheet sets the letters' size.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 236.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;

/// One histogram with its heading; `place` counts them from 0 and makes the ids unique on the page.
pub(super) fn histogram(out: &mut String, histogram: &Histogram, place: usize) -> fmt::Result {
    let (kept, dropped) = (histogram.kept.iter().sum::<u64>(), histogram.dropped.iter().sum::<u64>());
    writeln!(out, "<figure class=\"chart\">\n<h3>{}</h3>", escape(&histogram.name))?;
    if let Some(reason) = cannot_draw(histogram) {
        return writeln!(out, "<p class=\"absent\">{reason}</p>\n</figure>");
    }
    let threshold = histogram.threshold.map_or_else(String::new, |score| format!(", threshold {}", measure(score)));
    let told = format!("{} kept and {} dropped by score{threshold}", count(kept), plural(dropped, "pair"));
    writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"chart-{place}\">\n\
         <title id=\"chart-{place}\">{}: {told}</title>\n\
         <defs><pattern id=\"hatch-{place}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect class=\"hatch-ground\" width=\"5\" height=\"5\"/><rect class=\"hatch-line\" width=\"2\" height=\"5\"/></pattern></defs>",
        escape(&histogram.name)
    )?;
    let scale = Scale::of(histogram);
    axes(out, &scale)?;
    bars(out, histogram, &scale, place)?;
    if let Some(score) = histogram.threshold {
        threshold_line(out, score, &scale)?;
    }
    out.push_str("</svg>\n");
    table(out, histogram)?;
    out.push_str("</figure>\n");
    Ok(())
}

/// Why there is no picture: wrong bins must not look like an empty run.
fn cannot_draw(histogram: &Histogram) -> Option<&'static str> {
    let Histogram { edges, kept, dropped, .. } = histogram;
    let fit = kept.len() == dropped.len() && edges.len() == kept.len() + 1 && !kept.is_empty();
    let rising = edges.iter().all(|edge| edge.is_finite()) && edges.windows(2).all(|pair| pair[0] < pair[1]);
    if !fit || !rising {
        return Some("The bins do not fit together, so nothing is drawn.");
    }
    kept.iter().chain(dropped).all(|pairs| *pairs == 0).then_some("No pairs.")
}

/// From scores and counts to SVG units.
struct Scale {
    lowest: f64,
    highest: f64,
    most: f64,
    /// Distance of the marks on the axis of counts.
    step: f64,
}

impl Scale {
    fn of(histogram: &Histogram) -> Self {
        let tallest = histogram.kept.iter().zip(&histogram.dropped).map(|(kept, dropped)| kept + dropped).max();
        let tallest = as_f64(tallest.unwrap_or(0));
        // Counts are whole, and so are their marks.
        let step = round_step(tallest / 4.0).max(1.0);
        let (lowest, highest) = (histogram.edges[0], histogram.edges[histogram.edges.len() - 1]);
        Self { lowest, highest, most: (tallest / step).ceil() * step, step }
    }

    fn x(&self, score: f64) -> f64 {
        LEFT + (score - self.lowest) / (self.highest - self.lowest) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, count: f64) -> f64 {
        HEIGHT - BOTTOM - count / self.most * (HEIGHT - BOTTOM - TOP)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for drawing")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The least of 1, 2, 5 times a power of ten that is not under `step`.
fn round_step(step: f64) -> f64 {
    if step <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    power * factors.into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9)).unwrap_or(10.0)
}

/// Multiples of `step` from `lowest` to `highest`. Each is a product, so that errors do not add up.
#[expect(clippy::cast_possible_truncation, reason = "a handful of marks")]
fn marks(lowest: f64, highest: f64, step: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((lowest / step - 1e-9).ceil() as i32, (highest / step + 1e-9).floor() as i32);
    (first..=last).map(move |place| f64::from(place) * step)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "marks of counts are whole and not negative"
)]
fn axes(out: &mut String, scale: &Scale) -> fmt::Result {
    let (right, base) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for mark in marks(0.0, scale.most, scale.step) {
        let y = scale.y(mark);
        writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 5.0,
            y + 4.0,
            number(mark as u64)
        )?;
    }
    let step = round_step((scale.highest - scale.lowest) / 6.0);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    for mark in marks(scale.lowest, scale.highest, step) {
        let x = scale.x(mark);
        writeln!(out, "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{base}\" y2=\"{}\"/>", base + 4.0)?;
        writeln!(out, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{mark:.digits$}</text>", base + 17.0)?;
    }
    writeln!(out, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{base}\" y2=\"{base}\"/>")?;
    writeln!(out, "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">score →</text>", HEIGHT - 8.0)?;
    writeln!(out, "<text x=\"0\" y=\"12\">pairs ↑</text>")
}

fn bars(out: &mut String, histogram: &Histogram, scale: &Scale, place: usize) -> fmt::Result {
    for (bin, edges) in histogram.edges.windows(2).enumerate() {
        let (kept, dropped) = (histogram.kept[bin], histogram.dropped[bin]);
        if kept + dropped == 0 {
            continue;
        }
        let (left, right) = (scale.x(edges[0]), scale.x(edges[1]));
        // A gap between the bars, as long as there is room for one.
        let gap = ((right - left) * 0.12).min(1.5);
        let (x, width) = (left + gap / 2.0, right - left - gap);
        let (base, seam, top) = (scale.y(0.0), scale.y(as_f64(kept)), scale.y(as_f64(kept + dropped)));
        writeln!(
            out,
            "<g><title>{}–{}: {} kept, {} dropped</title>\
             <rect class=\"kept\" x=\"{x:.2}\" y=\"{seam:.2}\" width=\"{width:.2}\" height=\"{:.2}\"/>\
             <rect class=\"dropped\" fill=\"url(#hatch-{place})\" x=\"{x:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{:.2}\"/></g>",
            measure(edges[0]),
            measure(edges[1]),
            number(kept),
            number(dropped),
            base - seam,
            seam - top
        )?;
    }
    Ok(())
}

fn threshold_line(out: &mut String, score: f64, scale: &Scale) -> fmt::Result {
    // A threshold outside the bins would be drawn across the labels.
    if !(scale.lowest..=scale.highest).contains(&score) {
        return Ok(());
    }
    let (x, base) = (scale.x(score), HEIGHT - BOTTOM);
    let (anchor, shift) = if x > WIDTH / 2.0 { ("end", -4.0) } else { ("start", 4.0) };
    writeln!(out, "<line class=\"threshold\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{base}\"/>")?;
    writeln!(
        out,
        "<text class=\"threshold-label\" x=\"{:.1}\" y=\"14\" text-anchor=\"{anchor}\">threshold {}</text>",
        x + shift,
        measure(score)
    )
}

/// The same figures for those who cannot see the picture, or want to copy them.
fn table(out: &mut String, histogram: &Histogram) -> fmt::Result {
    out.push_str(
        "<details><summary>Figures</summary><table><thead><tr><th scope=\"col\">score</th>\
         <th scope=\"col\" class=\"n\">kept</th><th scope=\"col\" class=\"n\">dropped</th></tr></thead><tbody>\n",
    );
    for (bin, edges) in histogram.edges.windows(2).enumerate() {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}–{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            measure(edges[0]),
            measure(edges[1]),
            number(histogram.kept[bin]),
            number(histogram.dropped[bin])
        )?;
    }
    out.push_str("</tbody></table></details>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn drawn(given: &Histogram) -> String {
        let mut out = String::new();
        histogram(&mut out, given, 0).unwrap();
        out
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(round_step(0.166), 0.2);
        assert_eq!(round_step(23.0), 50.0);
        assert_eq!(round_step(100.0), 100.0);
        assert_eq!(
            marks(0.0, 1.0, 0.2).map(|mark| format!("{mark:.1}")).collect::<Vec<_>>().join(" "),
            "0.0 0.2 0.4 0.6 0.8 1.0"
        );
        assert_eq!(marks(-0.3, 0.5, 0.25).collect::<Vec<_>>(), [-0.25, 0.0, 0.25, 0.5]);
    }

    #[test]
    fn bars_stand_on_the_base_and_drops_on_the_kept() {
        let mut two = Histogram::new("mined", 0.0, 1.0, 2, Some(0.25));
        (two.kept[1], two.dropped[1], two.dropped[0]) = (30, 10, 20);
        let svg = drawn(&two);
        // 40 pairs at the tallest: marks every 10, and the drawing area is 166 units high above y = 192.
        assert!(svg.contains(r#"class="kept" x="231.75" y="67.50" width="177.50" height="124.50""#), "{svg}");
        assert!(svg.contains(r#"x="231.75" y="26.00" width="177.50" height="41.50""#), "{svg}");
        assert!(svg.contains(r#"<line class="threshold" x1="141.5""#), "{svg}");
        assert!(svg.contains("30 kept and 30 pairs dropped by score, threshold 0.250"), "{svg}");
    }

    #[test]
    fn wrong_bins_are_told_apart_from_empty_ones() {
        assert!(drawn(&Histogram::new("aligned", 0.0, 1.0, 4, None)).contains("No pairs."));
        let good = Histogram { kept: vec![1, 1], dropped: vec![0, 0], ..Histogram::new("aligned", 0.0, 1.0, 2, None) };
        for wrong in [
            Histogram { kept: vec![1], ..good.clone() },
            Histogram { edges: vec![0.0, 1.0, 0.5], ..good.clone() },
            Histogram { edges: vec![0.0, f64::NAN, 1.0], ..good.clone() },
            Histogram { edges: vec![], kept: vec![], dropped: vec![], ..good.clone() },
        ] {
            assert!(drawn(&wrong).contains("do not fit"), "{wrong:?}");
        }
        assert!(drawn(&good).contains("<svg"));
    }

    #[test]
    fn the_waterfall_says_when_rows_do_not_add_up() {
        let mut out = String::new();
        let mut summary = sample::summary();
        waterfall(&mut out, &summary).unwrap();
        assert!(!out.contains("do not add up"));
        summary.waterfall.last_mut().unwrap().count += 1;
        waterfall(&mut out, &summary).unwrap();
        assert!(out.contains("kept leave -1."), "{out}");
    }
}
