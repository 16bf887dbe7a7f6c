//! Rows of tables: lines of several cells that begin where the cells of a neighbouring line begin.

use super::layout::Line;

/// A gap of this many ems parts cells; the word spaces of a justified line are narrower, or do not stand above one another.
const CELL_GAP: f64 = 1.2;
/// Cells that begin within this many ems of one another stand in one column.
const SAME_EDGE: f64 = 0.6;

/// Where the cells of a line begin, the first one left out.
fn inner_cells(line: &Line) -> Vec<f64> {
    let pairs = line.words.windows(2);
    pairs.filter(|pair| pair[1].x0 - pair[0].x1 > CELL_GAP * line.size).map(|pair| pair[1].x0).collect()
}

/// Which lines of a column are rows of a table: those of three cells or more that share two edges with the line above or below.
pub(super) fn rows(lines: &[Line]) -> Vec<bool> {
    let cells: Vec<Vec<f64>> = lines.iter().map(inner_cells).collect();
    let alike = |a: usize, b: usize| {
        let near = |x: &&f64| cells[b].iter().any(|other| (other - **x).abs() < SAME_EDGE * lines[a].size);
        cells[a].iter().filter(near).count() >= 2
    };
    (0..lines.len())
        .map(|at| at.checked_sub(1).is_some_and(|above| alike(at, above)) || at + 1 < lines.len() && alike(at, at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::layout::Word;
    use super::*;

    fn line(words: &[(f64, f64)]) -> Line {
        let words = words.iter().map(|&(x0, x1)| Word { text: "word".to_owned(), x0, x1, ..Word::default() }).collect();
        Line { words, y: 0.0, size: 10.0, ..Line::default() }
    }

    #[test]
    fn cells_above_one_another_make_rows_and_wide_spaces_do_not() {
        let lines = [
            line(&[(0.0, 30.0), (33.0, 60.0), (63.0, 90.0)]),
            line(&[(0.0, 30.0), (100.0, 120.0), (200.0, 220.0)]),
            line(&[(0.0, 60.0), (101.0, 110.0), (199.0, 220.0)]),
            line(&[(0.0, 30.0), (50.0, 70.0), (150.0, 170.0)]),
        ];
        assert_eq!(rows(&lines), [false, true, true, false]);
    }
}
