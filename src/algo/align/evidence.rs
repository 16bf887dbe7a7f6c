//! What speaks for a bead beside the similarity of its runs: lengths, numbers, layout, labels.

use super::{Label, Line};

/// Translations have about the same length, up to the pair's ratio; short ones vary more.
pub(super) fn length_weight(source: &[Line], target: &[Line], ratio: f64) -> f64 {
    let chars = |lines: &[Line]| lines.iter().map(|line| line.chars).sum::<usize>().max(1) as f64;
    let (expected, found) = (chars(source) * ratio, chars(target));
    let spread = 0.25 + 1.5 / expected.sqrt();
    let deviations = (found / expected).ln() / spread;
    // The constant is what an agreement tells on average: lengths inside a text differ about three times as much.
    1.0 - deviations * deviations / 2.0
}

/// Numbers survive translation.
pub(super) fn number_weight(source: &[Line], target: &[Line]) -> f64 {
    let numbers = |lines: &'_ [Line]| lines.iter().map(|line| line.numbers.len()).sum::<usize>();
    let (in_source, in_target) = (numbers(source), numbers(target));
    if in_source + in_target == 0 {
        return 0.0;
    }
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
pub(super) fn layout_weight(source: &[Line], target: &[Line], starts: (bool, bool)) -> f64 {
    let crosses = |lines: &[Line]| lines.windows(2).any(|pair| pair[0].block != pair[1].block);
    let mut weight = match starts {
        (true, true) => 0.7,
        (false, false) => 0.1,
        _ => -0.5,
    };
    if crosses(source) || crosses(target) {
        weight -= 3.0;
    }
    match (source[0].kind, target[0].kind) {
        (0, 0) => {}
        (a, b) if a == b => weight += 1.5,
        _ => weight -= 2.5,
    }
    weight
}

/// A numbered part of a book goes with the part of the same number. A number alone is a weaker sign than `§ 5`, since
/// lists use it too; and what one edition numbers the other may leave without.
pub(super) fn label_weight(source: &Line, target: &Line) -> f64 {
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
