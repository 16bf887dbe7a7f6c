//! What speaks for a bead beside the similarity of its runs: lengths, numbers, layout, labels.

use super::{Label, Line};

/// What the lattice asks of the runs of one side, counted once.
pub(super) struct Features<'a> {
    lines: &'a [Line],
    /// Numbers named before each line.
    numbers: Vec<usize>,
    /// Whether the line begins a block.
    starts: Vec<bool>,
    /// For runs of one, two, … lines, by their first line: the logarithm of the length that their translation should have,
    /// and one over a standard deviation of it.
    lengths: Vec<Vec<(f64, f64)>>,
}

impl<'a> Features<'a> {
    /// `ratio`: characters of the other side for one of this.
    pub(super) fn new(lines: &'a [Line], longest: usize, ratio: f64) -> Self {
        let before = |count: &dyn Fn(&Line) -> usize| {
            let mut sums = Vec::with_capacity(lines.len() + 1);
            sums.push(0);
            sums.extend(lines.iter().scan(0, |sum, line| {
                *sum += count(line);
                Some(*sum)
            }));
            sums
        };
        let chars = before(&|line| line.chars);
        let length = |chars: usize| {
            let expected = chars.max(1) as f64 * ratio;
            (expected.ln(), 1.0 / (0.2 + 0.9 / expected.sqrt()))
        };
        let lengths =
            (1..=longest).map(|run| chars.windows(run + 1).map(|ends| length(ends[run] - ends[0])).collect()).collect();
        Self {
            lines,
            numbers: before(&|line| line.numbers.len()),
            starts: (0..lines.len()).map(|at| at == 0 || lines[at - 1].block != lines[at].block).collect(),
            lengths,
        }
    }

    fn has_numbers(&self, from: usize, run: usize) -> bool {
        self.numbers[from + run] > self.numbers[from]
    }

    fn crosses(&self, from: usize, run: usize) -> bool {
        self.starts[from + 1..from + run].contains(&true)
    }
}

/// Mean length of a line in characters.
pub(super) fn mean_length(lines: &[Line]) -> f64 {
    lines.iter().map(|line| line.chars).sum::<usize>().max(1) as f64 / lines.len().max(1) as f64
}

/// All that speaks for the bead of `shape` lines from `from` on, its similarity apart.
pub(super) fn weight(
    (source, target): (&Features<'_>, &Features<'_>),
    from: (usize, usize),
    shape: (usize, usize),
) -> f64 {
    let mut weight = length_weight(source.lengths[shape.0 - 1][from.0], target.lengths[shape.1 - 1][from.1].0);
    if source.has_numbers(from.0, shape.0) || target.has_numbers(from.1, shape.1) {
        weight += number_weight(&source.lines[from.0..from.0 + shape.0], &target.lines[from.1..from.1 + shape.1]);
    }
    let crosses = source.crosses(from.0, shape.0) || target.crosses(from.1, shape.1);
    let (first, other) = (&source.lines[from.0], &target.lines[from.1]);
    weight += layout_weight((source.starts[from.0], target.starts[from.1]), crosses, (first.kind, other.kind));
    weight + label_weight(first, other)
}

/// Translations have about the same length, up to the pair's ratio; short ones vary more. Lengths are logarithms.
fn length_weight((expected, per_deviation): (f64, f64), found: f64) -> f64 {
    let deviations = (found - expected) * per_deviation;
    // The constant is what an agreement tells on average: lengths inside a text differ about three times as much.
    1.0 - deviations * deviations / 2.0
}

/// Numbers survive translation.
fn number_weight(source: &[Line], target: &[Line]) -> f64 {
    let numbers = |lines: &'_ [Line]| lines.iter().map(|line| line.numbers.len()).sum::<usize>();
    let (in_source, in_target) = (numbers(source), numbers(target));
    let mut rest: Vec<&String> = target.iter().flat_map(|line| &line.numbers).collect();
    let mut shared = 0;
    for number in source.iter().flat_map(|line| &line.numbers) {
        if let Some(at) = rest.iter().position(|other| *other == number) {
            rest.swap_remove(at);
            shared += 1;
        }
    }
    let missing = in_source + in_target - 2 * shared;
    (1.2 * shared as f64 - 0.8 * missing as f64).clamp(-3.0, 5.0)
}

/// Blocks begin at the same places, hold the same kinds of text, and a sentence does not run over their ends.
fn layout_weight(starts: (bool, bool), crosses: bool, kinds: (u8, u8)) -> f64 {
    let mut weight = match starts {
        (true, true) => 0.7,
        (false, false) => 0.1,
        _ => -0.5,
    };
    if crosses {
        weight -= 3.0;
    }
    match kinds {
        (0, 0) => {}
        (a, b) if a == b => weight += 1.5,
        _ => weight -= 2.5,
    }
    weight
}

/// A numbered part of a book goes with the part of the same number. A number alone is a weaker sign than `§ 5`, since
/// lists use it too; and what one edition numbers the other may leave without.
fn label_weight(source: &Line, target: &Line) -> f64 {
    let sure = |label: &Label| label.kind != Label::PLAIN;
    match (&source.label, &target.label) {
        (None, None) => 0.0,
        (Some(a), Some(b)) if a == b => {
            if sure(a) {
                3.0
            } else {
                1.0
            }
        }
        (Some(a), Some(b)) => {
            if sure(a) && sure(b) {
                -5.0
            } else {
                -1.5
            }
        }
        (Some(one), None) | (None, Some(one)) => {
            if sure(one) {
                -1.0
            } else {
                -0.25
            }
        }
    }
}
