//! A page as it was understood, drawn: for the eye of someone who wonders why a book reads as it does.

use std::fmt::Write as _;

use super::book::{Area, BookBlock, BookPage};
use super::frame::Frame;
use super::layout::Line;
use crate::record::BlockKind;

/// A page to draw.
#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) frame: Frame,
    /// Height of the page as it was read.
    pub(super) height: f64,
    pub(super) lines: Vec<Line>,
}

/// Colours of the blocks by kind.
fn colour(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Title | BlockKind::Heading => "#c0392b",
        BlockKind::Paragraph => "#2471a3",
        BlockKind::Item => "#1e8449",
        BlockKind::Exercise => "#b9770e",
        BlockKind::Table => "#7d3c98",
        BlockKind::Quote => "#117a65",
        BlockKind::Footnote => "#616a6b",
        BlockKind::Formula => "#a04000",
    }
}

/// Text as XML character data; characters that XML forbids become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

fn rectangle(svg: &mut String, area: &Area, style: &str, title: &str) {
    let Area { x0, y0, x1, y1, .. } = area;
    let _ = writeln!(
        svg,
        "<rect x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" {style}><title>{}</title></rect>",
        (x1 - x0).max(0.1),
        (y1 - y0).max(0.1),
        escaped(title)
    );
}

impl Sketch {
    /// The drawing: columns grey, lines dotted, words in thin boxes, blocks in colour with their numbers in reading order.
    pub(super) fn draw(&self, page: &BookPage, blocks: &[BookBlock]) -> String {
        let (width, height) = self.frame.displayed_size();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" font-family=\"sans-serif\">\n<title>Page {}: {:?}</title>\n<desc>{}</desc>\n<rect width=\"{width:.1}\" height=\"{height:.1}\" fill=\"white\" stroke=\"black\"/>\n",
            page.number,
            page.state,
            escaped(&page.evidence)
        );
        // Lines and words are drawn as they were read, and turned as a whole; blocks have their places on the page.
        let _ = writeln!(svg, "<g transform=\"{}\">", self.frame.transform());
        let area = |line: &Line| line.area(page.number, self.height);
        for region in self.lines.chunk_by(|a, b| a.region == b.region) {
            if let Some(around) = region.iter().map(area).reduce(Area::around) {
                let title = format!("column or region {}", region[0].region + 1);
                rectangle(&mut svg, &around, "fill=\"#f4f6f7\" stroke=\"#aeb6bf\" stroke-width=\"0.7\"", &title);
            }
        }
        for (at, line) in self.lines.iter().enumerate() {
            let title = format!("line {}: {}", at + 1, line.text());
            let style = "fill=\"none\" stroke=\"#5d6d7e\" stroke-width=\"0.4\" stroke-dasharray=\"2 1\"";
            rectangle(&mut svg, &area(line), style, &title);
            for word in &line.words {
                let around = Area { x0: word.x0, x1: word.x1, ..area(line) };
                rectangle(&mut svg, &around, "fill=\"none\" stroke=\"#d5dbdb\" stroke-width=\"0.4\"", &word.text);
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    word.x0,
                    self.height - line.y,
                    0.9 * line.size,
                    (word.x1 - word.x0).max(0.1),
                    escaped(&word.text)
                );
            }
        }
        svg.push_str("</g>\n");
        for (at, block) in blocks.iter().enumerate() {
            for around in block.boxes.iter().filter(|area| area.page == page.number) {
                let colour = colour(block.kind);
                let style = format!("fill=\"{colour}\" fill-opacity=\"0.08\" stroke=\"{colour}\"");
                rectangle(&mut svg, around, &style, &format!("block {}, {:?}: {}", at + 1, block.kind, block.text));
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"7\" fill=\"{colour}\">{} {:?}</text>",
                    around.x0,
                    around.y0 - 1.0,
                    at + 1,
                    block.kind
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, set};
    use super::super::{Limits, debug_svg};

    #[test]
    fn a_drawing_is_xml_that_holds_every_word_block_and_number() {
        let mut sample = Sample::new();
        let content = set("B", 16.0, 50.0, 700.0, "A <b>&\"longer title")
            + &set("U", 10.0, 50.0, 660.0, "Some words of a paragraph.");
        sample.page(content.as_bytes());
        let bytes = sample.bytes();
        let svg = debug_svg(&bytes, 1, &Limits::default()).unwrap();
        let mut reader = quick_xml::Reader::from_str(&svg);
        let (mut words, mut boxes) = (0, 0);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "text" => words += 1,
                quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "rect" => boxes += 1,
                _ => {}
            }
        }
        // Eight words and two labels; a region, two lines, eight words, two blocks, besides the empty frame.
        assert_eq!((words, boxes), (10, 13), "{svg}");
        assert!(
            svg.contains("&lt;b&gt;&amp;&quot;longer") && svg.contains(">1 Heading<") && svg.contains(">2 Paragraph<")
        );
        let error = debug_svg(&bytes, 2, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("page 2"), "{error}");
    }
}
