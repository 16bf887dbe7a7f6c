//! Text from elsewhere (pages, servers, names) as a terminal may show it.

/// One line that a terminal shows as it stands: titles, URLs and errors come from the web and may hold escape sequences
/// or bidirectional overrides.
pub fn printable(text: &str) -> String {
    let shown = text.chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => Some('\u{fffd}'),
        c => Some(c),
    });
    shown.collect::<String>().trim_end().to_owned()
}

/// [`printable`] line by line, for messages of several lines.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mred\nb\u{202e}c\u{9b}"), "a\u{fffd}[31mred bc\u{fffd}");
        assert_eq!(printable_lines("a\r\n\u{1b}b\n"), "a\n\u{fffd}b\n");
    }
}
