//! Pages that lie on their side: they are read turned, and what is told about places is as the reader's eye has them.
//!
//! A page whose text runs up, down or upside down although it is displayed otherwise is read after a turn. The boxes of its
//! blocks are turned back, so that they fit the page as any viewer displays it (its `/Rotate` applied, and nothing else).

use super::book::Area;
use super::interpreter::PageContent;

/// A page as it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Frame {
    /// Quarter turns, clockwise, by which it was turned to be read.
    quarters: usize,
    /// Its size as it was read, in points.
    width: f64,
    height: f64,
}

impl Frame {
    pub(super) fn of(content: &PageContent) -> Self {
        Self { quarters: content.quarters % 4, width: content.width, height: content.height }
    }

    /// Width and height of the page as displayed.
    pub(super) fn displayed_size(&self) -> (f64, f64) {
        if self.quarters % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// A box of the page as it was read, on the page as displayed.
    pub(super) fn displayed(&self, area: Area) -> Area {
        let Area { page, x0, y0, x1, y1 } = area;
        let (width, height) = self.displayed_size();
        match self.quarters {
            1 => Area { page, x0: y0, y0: height - x1, x1: y1, y1: height - x0 },
            2 => Area { page, x0: width - x1, y0: height - y1, x1: width - x0, y1: height - y0 },
            3 => Area { page, x0: width - y1, y0: x0, x1: width - y0, y1: x1 },
            _ => area,
        }
    }

    /// The same for an SVG drawing: its transformation of what is drawn as it was read.
    pub(super) fn transform(&self) -> String {
        let (width, height) = self.displayed_size();
        match self.quarters {
            1 => format!("matrix(0 -1 1 0 0 {height:.1})"),
            2 => format!("matrix(-1 0 0 -1 {width:.1} {height:.1})"),
            3 => format!("matrix(0 1 -1 0 {width:.1} 0)"),
            _ => "matrix(1 0 0 1 0 0)".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, set};
    use super::super::{Limits, debug_svg, extract};

    /// The page is 600 by 800. Its 24 letters of 10 points are 120 points long, and reach from 7.5 above the baseline to 2.5
    /// below it. The baseline begins 300 from the left and 300 from the bottom, so 500 from the top.
    #[test]
    fn boxes_lie_where_the_page_displays_them() {
        let text = "this page lies sidelong.";
        for (matrix, expected) in [
            ("1 0 0 1", [300.0, 492.5, 420.0, 502.5]),
            // Upwards: letters stand left of the baseline.
            ("0 1 -1 0", [292.5, 380.0, 302.5, 500.0]),
            // Upside down: to the left, letters hang below.
            ("-1 0 0 -1", [180.0, 497.5, 300.0, 507.5]),
            // Downwards: letters stand right of the baseline.
            ("0 -1 1 0", [297.5, 500.0, 307.5, 620.0]),
        ] {
            let mut sample = Sample::new();
            let level = set("U", 10.0, 0.0, 0.0, text);
            sample.page(level.replace("0 0 Td", &format!("{matrix} 300 300 Tm")).as_bytes());
            let bytes = sample.bytes();
            let book = extract(&bytes, &Limits::default()).unwrap();
            let area = book.blocks[0].boxes[0];
            assert_eq!([area.x0, area.y0, area.x1, area.y1], expected, "{matrix}");
            let svg = debug_svg(&bytes, 1, &Limits::default()).unwrap();
            assert!(svg.contains("viewBox=\"0 0 600.0 800.0\""), "{svg}");
        }
    }
}
