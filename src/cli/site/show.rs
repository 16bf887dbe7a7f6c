//! The comparison as text for a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::check::{Mark, PageCheck, SiteCheck};
use crate::extract::examine::Found;
use crate::report::format::{NONE, columns, left, plural, printable, right, shorten, wrap};

/// Lines of a block that only one side has; more are cut.
const MOST_LINES: usize = 6;

/// Whether standard output takes colours.
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour && !text.trim().is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Rounded down: only the same text is 1.00.
fn share(agreement: Option<f64>) -> String {
    agreement.map_or_else(|| NONE.to_owned(), |value| format!("{:.2}", (value * 100.0).floor() / 100.0))
}

/// One page: its fields, its selectors, its two bodies side by side.
pub(super) fn page(check: &PageCheck, width: usize, colour: bool) -> String {
    let width = width.max(60);
    let mut out = String::new();
    let bold = |text: &str| paint(colour, "1", text);
    let _ = writeln!(out, "{}", bold(&printable(&check.page)));
    let from = match check.from {
        "archive" => "from the page archive",
        "web" => "from the web",
        _ => "from a file",
    };
    let _ = writeln!(out, "site {}, {from}; agreement {}", check.site, bold(&share(check.agreement)));
    if !check.by_profile {
        let warning = "the profile's body selects nothing here: a run takes the generic text";
        let _ = writeln!(out, "{}", paint(colour, "31", warning));
    }
    for field in &check.fields {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| NONE.to_owned(), printable);
        let (ours, theirs) = (value(&field.profile), value(&field.generic));
        let room = width.saturating_sub(10);
        if ours == theirs {
            let _ = writeln!(out, "\n{} = {}", left(field.name, 7), shorten(&ours, room));
        } else {
            let _ = writeln!(out, "\n{} {} {}", left(field.name, 7), paint(colour, "33", "<"), shorten(&ours, room));
            let _ = writeln!(out, "{:7} {} {}", "", paint(colour, "36", ">"), shorten(&theirs, room));
        }
        let name = if field.name == "twins" { "language-switch" } else { field.name };
        selectors(&mut out, &check.selectors, name, colour);
    }
    let blocks = |mark| check.blocks.iter().filter(|row| row.mark == mark).count() as u64;
    let _ = writeln!(
        out,
        "\n{} = {}, < {}, > {}",
        left("body", 7),
        plural(blocks(Mark::Both), "block"),
        blocks(Mark::Profile),
        blocks(Mark::Generic)
    );
    selectors(&mut out, &check.selectors, "body", colour);
    selectors(&mut out, &check.selectors, "drop", colour);
    let column = (width - 3) / 2;
    let _ = writeln!(out, "\n{}   {}", bold(&left("profile", column)), bold("generic"));
    for row in &check.blocks {
        let text = printable(&row.text);
        match row.mark {
            Mark::Both => {
                let text = shorten(&text, column);
                let line = format!("{} = {text}", left(&text, column));
                let _ = writeln!(out, "{}", paint(colour, "2", &line));
            }
            Mark::Profile => {
                lines(&mut out, &text, column, |line| paint(colour, "33", &format!("{} <", left(line, column))))
            }
            Mark::Generic => {
                lines(&mut out, &text, column, |line| paint(colour, "36", &format!("{} > {line}", left("", column))))
            }
        }
    }
    out
}

/// A block's lines, without its end if it is long.
fn lines(out: &mut String, text: &str, column: usize, draw: impl Fn(&str) -> String) {
    let all = wrap(text, column);
    let cut = all.len() > MOST_LINES;
    for (number, line) in all.iter().take(MOST_LINES).enumerate() {
        let last = cut && number + 1 == MOST_LINES;
        let line = if last {
            format!("{}…", shorten(line, column.saturating_sub(1)).trim_end_matches('…'))
        } else {
            line.clone()
        };
        let _ = writeln!(out, "{}", draw(&line));
    }
}

/// The selectors of a field, each with what it finds.
fn selectors(out: &mut String, found: &[Found], field: &str, colour: bool) {
    for found in found.iter().filter(|found| found.field == field) {
        let (sign, code) = match (found.taken, found.elements) {
            (true, _) => ("✓", "32"),
            (false, 0) => ("✗", "31"),
            (false, _) => ("·", "2"),
        };
        let what = match found.elements {
            0 => "nothing".to_owned(),
            elements => plural(elements as u64, "element"),
        };
        let name = if field == "drop" { "drop " } else { "" };
        let _ = writeln!(out, "          {} {name}{}  {what}", paint(colour, code, sign), printable(&found.selector));
    }
}

/// A site: its pages, and the selectors that never match.
pub(super) fn site(check: &SiteCheck, width: usize, colour: bool) -> String {
    let width = width.max(60);
    let mut out = String::new();
    let pages = check.pages.len();
    let title = format!("{}: {}", check.site, plural(pages as u64, "archived page"));
    let _ = writeln!(out, "{}, median agreement {}", paint(colour, "1", &title), share(check.median));
    if pages == 0 {
        return out;
    }
    let _ = writeln!(out, "\nagreement    = blocks  < profile  > generic  page");
    for page in &check.pages {
        let [both, profile, generic] = page.blocks.map(|count| count.to_string());
        let agreement = right(&share(page.agreement), 9);
        let agreement = match page.agreement {
            Some(value) if value < 0.5 => paint(colour, "31", &agreement),
            Some(value) if value < 0.8 => paint(colour, "33", &agreement),
            _ => agreement,
        };
        let note = if page.by_profile { "" } else { "  (body selects nothing)" };
        let _ = writeln!(
            out,
            "{agreement} {} {} {}  {}{}",
            right(&both, 11),
            right(&profile, 10),
            right(&generic, 10),
            // Never cut: it is there to be copied.
            printable(&page.page),
            paint(colour, "31", note)
        );
    }
    if check.without_body > 0 {
        let _ = writeln!(out, "\nThe body selects nothing on {} of {pages} pages.", check.without_body);
    }
    let (never, some): (Vec<_>, Vec<_>) = check.selectors.iter().partition(|row| row.matched == 0);
    let _ = writeln!(out, "\nselectors: matched, taken");
    let name_width = check.selectors.iter().map(|row| columns(row.field)).max().unwrap_or(0);
    for row in some {
        let counts = format!("{} {}", right(&row.matched.to_string(), 6), right(&row.taken.to_string(), 6));
        let room = width.saturating_sub(name_width + 18);
        let _ = writeln!(out, "{counts}  {} {}", left(row.field, name_width), shorten(&printable(&row.selector), room));
    }
    for row in never {
        let line = format!("{} {}", left(row.field, name_width), printable(&row.selector));
        let _ = writeln!(out, "{}  {line}", paint(colour, "31", "        never"));
    }
    out
}
