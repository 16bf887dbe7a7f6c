//! The reliability diagram: what the probabilities say against what turned out right, as SVG with its figures as text.

use std::fmt::{self, Write as _};

use super::escape::{counted, escape, figure, number};
use super::format::{count, measure};
use super::summary::{CalibrationReport, Summary};
use super::tables::absent;

const SIDE: f64 = 300.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 44.0;
const WIDTH: f64 = LEFT + SIDE + RIGHT;
const HEIGHT: f64 = TOP + SIDE + BOTTOM;

fn x(probability: f64) -> f64 {
    LEFT + probability.clamp(0.0, 1.0) * SIDE
}

fn y(share: f64) -> f64 {
    TOP + (1.0 - share.clamp(0.0, 1.0)) * SIDE
}

/// The calibration of each language pair in words, its diagram and its table; says so where there is none.
pub(super) fn calibration(out: &mut String, summary: &Summary) -> fmt::Result {
    for pair in &summary.pairs {
        writeln!(out, "<h3>{}Calibration</h3>", escape(&summary.prefix(*pair)))?;
        match summary.calibration.iter().find(|found| found.pair == *pair) {
            Some(found) => calibration_of(out, found)?,
            None => absent(out, "There were too few examples for a calibration.")?,
        }
    }
    Ok(())
}

fn calibration_of(out: &mut String, told: &CalibrationReport) -> fmt::Result {
    let found = &told.reliability;
    let damages: Vec<String> =
        told.spoiled.iter().map(|(what, count)| format!("{} by {}", number(*count as u64), escape(what))).collect();
    writeln!(
        out,
        "<p>The probability that a pair is a translation, by <code>{}</code>, {} curve: fitted {} to {}, {} taken for \
         right because alignment or mining is sure of them, and {} made wrong ({}). Below, on examples held out of the \
         fit: expected calibration error <b>{}</b>, Brier score <b>{}</b> (<b>{}</b> if all were told the mean), area \
         under the ROC curve <b>{}</b>.</p>",
        escape(&told.model),
        escape(&told.method),
        told.fitted.map_or_else(String::new, |at| format!("on {}", escape(&super::format::instant(at)))),
        counted(told.annotated as u64, "annotated pair"),
        number(told.sure as u64),
        number(told.spoiled.iter().map(|(_, count)| *count as u64).sum()),
        damages.join(", "),
        figure(&measure(found.ece)),
        figure(&measure(found.brier)),
        figure(&measure(found.brier_of_mean)),
        figure(&measure(told.auc)),
    )?;
    diagram(out, told)?;
    table(out, told)
}

fn diagram(out: &mut String, told: &CalibrationReport) -> fmt::Result {
    let found = &told.reliability;
    writeln!(
        out,
        "<figure class=\"chart reliability\">\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"reliability\">\n\
         <title id=\"reliability\">Reliability: {} examples, expected calibration error {}</title>",
        count(found.count as u64),
        measure(found.ece)
    )?;
    let (right, base) = (LEFT + SIDE, y(0.0));
    for mark in 0..=5 {
        let share = f64::from(mark) / 5.0;
        let (across, up) = (x(share), y(share));
        writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{up:.1}\" y2=\"{up:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{share:.1}</text>\
             <text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{share:.1}</text>",
            LEFT - 6.0,
            up + 4.0,
            base + 17.0,
        )?;
    }
    writeln!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{base:.1}\" y2=\"{base:.1}\"/>\
         <line class=\"threshold\" x1=\"{LEFT}\" y1=\"{base:.1}\" x2=\"{right:.1}\" y2=\"{TOP}\"/>\
         <text x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">probability →</text><text x=\"0\" y=\"12\">right ↑</text>",
        HEIGHT - 8.0
    )?;
    let most = found.bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    for bin in &found.bins {
        // The area of a dot says how many examples it stands for.
        let radius = 3.0 + 7.0 * (bin.count as f64 / most as f64).sqrt();
        let (across, low, high, middle) = (x(bin.told), y(bin.low), y(bin.high), y(bin.right));
        writeln!(
            out,
            "<g><title>told {}, right {} ({} to {}), {} examples</title>\
             <line class=\"interval\" x1=\"{across:.1}\" x2=\"{across:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>\
             <circle class=\"dot\" cx=\"{across:.1}\" cy=\"{middle:.1}\" r=\"{radius:.1}\"/></g>",
            measure(bin.told),
            measure(bin.right),
            measure(bin.low),
            measure(bin.high),
            bin.count,
        )?;
    }
    out.push_str(
        "</svg>\n<figcaption><small>Dots on the dashed line are right as often as they say. Bars: Wilson's 95 % \
                  interval; the area of a dot: how many examples.</small></figcaption>\n</figure>\n",
    );
    Ok(())
}

/// The same figures for those who cannot see the picture, and the weights.
fn table(out: &mut String, told: &CalibrationReport) -> fmt::Result {
    out.push_str(
        "<details><summary>Figures</summary><table><thead><tr><th scope=\"col\">told</th><th scope=\"col\" class=\"n\">right\
         </th><th scope=\"col\" class=\"n\">interval</th><th scope=\"col\" class=\"n\">examples</th></tr></thead><tbody>\n",
    );
    for bin in &told.reliability.bins {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{} to {}</td><td class=\"n\">{}</td></tr>",
            measure(bin.told),
            measure(bin.right),
            measure(bin.low),
            measure(bin.high),
            number(bin.count as u64)
        )?;
    }
    out.push_str("</tbody></table>\n<p>What a standard deviation of each figure adds to the log-odds: ");
    let weights: Vec<String> =
        told.weights.iter().map(|(name, weight)| format!("{} {weight:+.2}", escape(name))).collect();
    writeln!(out, "{}.</p></details>", weights.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn dots_stand_where_their_bins_say() {
        let mut out = String::new();
        calibration(&mut out, &sample::summary()).unwrap();
        // Told .9 and right .92: x = 46 + .9 · 300, y = 24 + .08 · 300; the fullest bin has the greatest dot.
        assert!(out.contains("cx=\"316.0\" cy=\"48.0\" r=\"10.0\""), "{out}");
        assert!(out.contains("another number") && out.contains("1\u{a0}annotated pair"), "{out}");
    }

    #[test]
    fn no_calibration_is_said() {
        let mut out = String::new();
        calibration(&mut out, &Summary { calibration: Vec::new(), ..sample::summary() }).unwrap();
        assert!(out.contains("too few examples"));
    }
}
