//! Tokens of the PostScript-like syntax that content streams and CMaps share.
//!
//! The lexer never fails: real files hold stray bytes, unclosed strings and numbers like `--5` or `1.2.3`, and a page
//! of text must not be lost to one of them. What it cannot read it skips.

use std::borrow::Cow;

/// One token. Arrays and dictionaries come as their brackets, since unbalanced ones occur.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// An integer or a real; finite.
    Number(f64),
    /// A name without its slash, `#xx` resolved.
    Name(Cow<'a, [u8]>),
    /// The bytes of a literal or hexadecimal string.
    String(Vec<u8>),
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `<<`
    DictStart,
    /// `>>`
    DictEnd,
    /// An operator or keyword: `Tj`, `beginbfchar`, `true`.
    Word(&'a [u8]),
}

/// Reads tokens from bytes, one after another.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\0' | b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !is_delimiter(byte)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take_while(&mut self, mut keep: impl FnMut(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&mut keep) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    /// Skips the data of an inline image, after its `ID`, up to and past its `EI`.
    ///
    /// The data are binary and their length is not written, so `EI` counts as the end only between white space and
    /// when what follows looks like text again.
    pub(super) fn skip_inline_image(&mut self) {
        self.at = (self.at + 1).min(self.bytes.len());
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            let starts = self.at == 0 || is_space(self.bytes[self.at - 1]);
            if starts && rest.starts_with(b"EI") && rest.get(2).is_none_or(|&byte| is_space(byte)) {
                let after = &rest[2..rest.len().min(14)];
                if after.iter().all(|&byte| is_space(byte) && byte != 0 || (0x20..0x7F).contains(&byte)) {
                    self.at += 2;
                    return;
                }
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        let mut negative = false;
        while let Some(sign @ (b'+' | b'-')) = self.peek() {
            negative |= sign == b'-';
            self.at += 1;
        }
        let (mut value, mut scale, mut digits) = (0.0_f64, 1.0_f64, 0_usize);
        let mut fraction = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'0'..=b'9' => {
                    value = value * 10.0 + f64::from(byte - b'0');
                    digits += 1;
                    if fraction {
                        scale *= 10.0;
                    }
                }
                b'.' if !fraction => fraction = true,
                // The tail of `1.2.3` or `12-5` belongs to no number that a reader could agree on: it is dropped.
                b'.' | b'-' => {
                    self.take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
                    break;
                }
                _ => break,
            }
            self.at += 1;
        }
        if digits == 0 && !fraction {
            self.at = start;
            return None;
        }
        let value = value / scale;
        value.is_finite().then_some(if negative { -value } else { value }).or(Some(0.0))
    }

    fn name(&mut self) -> Cow<'a, [u8]> {
        let raw = self.take_while(is_regular);
        if !raw.contains(&b'#') {
            return Cow::Borrowed(raw);
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut at = 0;
        while at < raw.len() {
            let pair = raw.get(at + 1).copied().and_then(hex_digit).zip(raw.get(at + 2).copied().and_then(hex_digit));
            match (raw[at], pair) {
                (b'#', Some((high, low))) => {
                    name.push(high << 4 | low);
                    at += 3;
                }
                (byte, _) => {
                    name.push(byte);
                    at += 1;
                }
            }
        }
        Cow::Owned(name)
    }

    fn literal_string(&mut self) -> Vec<u8> {
        let (mut text, mut depth) = (Vec::new(), 1_usize);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    self.escape(&mut text);
                    continue;
                }
                // Every end of line inside a string reads as one line feed.
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.at += 1;
                    }
                    text.push(b'\n');
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                text.push(code.to_le_bytes()[0]);
            }
            other => text.push(other),
        }
    }

    fn hex_string(&mut self) -> Vec<u8> {
        let (mut text, mut high) = (Vec::new(), None);
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == b'>' {
                break;
            }
            let Some(digit) = hex_digit(byte) else { continue };
            high = match high {
                None => Some(digit),
                Some(high) => {
                    text.push(high << 4 | digit);
                    None
                }
            };
        }
        text.extend(high.map(|high| high << 4));
        text
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.take_while(is_space);
            let byte = self.peek()?;
            let doubled = self.bytes.get(self.at + 1) == Some(&byte);
            match byte {
                b'%' => {
                    self.take_while(|byte| byte != b'\n' && byte != b'\r');
                }
                b'(' => {
                    self.at += 1;
                    return Some(Token::String(self.literal_string()));
                }
                b'<' if doubled => {
                    self.at += 2;
                    return Some(Token::DictStart);
                }
                b'>' if doubled => {
                    self.at += 2;
                    return Some(Token::DictEnd);
                }
                b'<' => {
                    self.at += 1;
                    return Some(Token::String(self.hex_string()));
                }
                b'[' | b']' => {
                    self.at += 1;
                    return Some(if byte == b'[' { Token::ArrayStart } else { Token::ArrayEnd });
                }
                b'/' => {
                    self.at += 1;
                    return Some(Token::Name(self.name()));
                }
                b')' | b'>' | b'{' | b'}' => self.at += 1,
                b'0'..=b'9' | b'+' | b'-' | b'.' => {
                    if let Some(number) = self.number() {
                        return Some(Token::Number(number));
                    }
                    return Some(Token::Word(self.take_while(is_regular)));
                }
                _ => return Some(Token::Word(self.take_while(is_regular))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &[u8]) -> Vec<Token<'_>> {
        Lexer::new(text).collect()
    }

    #[test]
    fn ordinary_operators_and_operands() {
        assert_eq!(
            tokens(b"/F1 12 Tf [(A)-333.5<4142>] TJ % comment\nET"),
            vec![
                Token::Name(Cow::Borrowed(b"F1")),
                Token::Number(12.0),
                Token::Word(b"Tf"),
                Token::ArrayStart,
                Token::String(b"A".to_vec()),
                Token::Number(-333.5),
                Token::String(b"AB".to_vec()),
                Token::ArrayEnd,
                Token::Word(b"TJ"),
                Token::Word(b"ET"),
            ]
        );
    }

    #[test]
    fn strings_with_escapes_nesting_and_line_ends() {
        assert_eq!(tokens(b"(a(b)\\)\\101\\n\\\nc\r\nd)"), vec![Token::String(b"a(b))A\nc\nd".to_vec())]);
        assert_eq!(tokens(b"<48 6>"), vec![Token::String(vec![0x48, 0x60])]);
        assert_eq!(tokens(b"/a#20b#"), vec![Token::Name(Cow::Owned(b"a b#".to_vec()))]);
    }

    #[test]
    fn odd_numbers_are_read_as_other_readers_do() {
        assert_eq!(
            tokens(b"--5 -.5 5. 1.2.3 0 1rg"),
            vec![
                Token::Number(-5.0),
                Token::Number(-0.5),
                Token::Number(5.0),
                Token::Number(1.2),
                Token::Number(0.0),
                Token::Number(1.0),
                Token::Word(b"rg"),
            ]
        );
    }

    #[test]
    fn an_inline_image_ends_at_an_ei_that_text_follows() {
        let content = b"BI /W 2 ID \x00\x01 EI \x80\x81 \x02 EI\nBT";
        let mut lexer = Lexer::new(content);
        while lexer.next() != Some(Token::Word(b"ID")) {}
        lexer.skip_inline_image();
        assert_eq!(lexer.next(), Some(Token::Word(b"BT")));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut lexer = Lexer::new(&bytes);
            prop_assert!(lexer.by_ref().count() <= bytes.len());
            lexer.skip_inline_image();
        }
    }
}
