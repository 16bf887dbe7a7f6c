//! Simple fonts: the text of each of their 256 codes, as encoding, program and name say it.

use lopdf::{Dictionary, Document, Object};

use super::encodings::BaseEncoding;
use super::font::{as_dict, entry, number, resolve, stream_entry};
use super::glyphs;
use super::lexer::{Lexer, Token};
use super::program::Program;

/// The text of each of the 256 codes of a simple font, as its encoding says.
pub(super) fn texts(
    doc: &Document,
    dict: &Dictionary,
    subtype: &[u8],
    descriptor: Option<&Dictionary>,
    program: Option<&Program>,
    name: &str,
) -> Vec<Option<String>> {
    let encoding = entry(doc, dict, b"Encoding");
    let named = |object: &Object| object.as_name().ok().and_then(BaseEncoding::from_name);
    let base = match encoding {
        Some(object @ Object::Name(_)) => named(object),
        Some(Object::Dictionary(encoding)) => entry(doc, encoding, b"BaseEncoding").and_then(named),
        _ => None,
    };
    let mut texts: Vec<Option<String>> = match base {
        Some(base) => (0..=255).map(|code| base.text(code)).collect(),
        // A bitmap or drawn font has the glyphs that its differences name, and no others.
        None if subtype == b"Type3" => vec![None; 256],
        None => built_in_texts(doc, descriptor, program, name),
    };
    let differences = encoding
        .and_then(as_dict)
        .and_then(|encoding| entry(doc, encoding, b"Differences"))
        .and_then(|array| array.as_array().ok())
        .map_or(&[][..], Vec::as_slice);
    let mut code = 0_usize;
    for item in differences {
        match resolve(doc, item) {
            Some(Object::Name(name)) => {
                // A name that says nothing also takes back what the base encoding would have said.
                if let Some(slot) = texts.get_mut(code) {
                    *slot = glyphs::text_of_name(name).or_else(|| program?.named(name).cloned());
                }
                code = code.saturating_add(1);
            }
            Some(object) => code = number(object).map_or(code, |start| start.clamp(0.0, 256.0) as usize),
            None => {}
        }
    }
    texts
}

/// What the codes mean when no base encoding is named.
fn built_in_texts(
    doc: &Document,
    descriptor: Option<&Dictionary>,
    program: Option<&Program>,
    name: &str,
) -> Vec<Option<String>> {
    const SYMBOLIC: i64 = 1 << 2;
    if let Some(texts) = program.and_then(own_texts) {
        return texts;
    }
    let lower = name.to_lowercase();
    if let Some(encoding) = BaseEncoding::of_font(name) {
        return (0..=255).map(|code| encoding.text(code)).collect();
    }
    if ["dingbats", "wingdings", "webdings"].iter().any(|family| lower.contains(family)) {
        // Pictures; only the bullets that lists start with are text.
        let bullets: &[u8] = &[0x6C, 0x9F, 0xA7];
        return (0..=255)
            .map(|code| {
                (code == 32).then(|| " ".to_owned()).or_else(|| bullets.contains(&code).then(|| "•".to_owned()))
            })
            .collect();
    }
    let standard = || (0..=255).map(|code| BaseEncoding::Standard.text(code)).collect();
    let Some(descriptor) = descriptor else { return standard() };
    if let Some(program) = stream_entry(doc, descriptor, b"FontFile") {
        return type1_texts(&program).unwrap_or_else(standard);
    }
    let embedded = descriptor.has(b"FontFile2") || descriptor.has(b"FontFile3");
    let symbolic = entry(doc, descriptor, b"Flags").and_then(|flags| flags.as_i64().ok()).unwrap_or(0) & SYMBOLIC != 0;
    if embedded && symbolic { vec![None; 256] } else { standard() }
}

/// The codes as the embedded program encodes them; `None` where it has text for none.
fn own_texts(program: &Program) -> Option<Vec<Option<String>>> {
    let texts: Vec<Option<String>> = (0..=255).map(|code| program.code(code)).collect();
    texts.iter().any(Option::is_some).then_some(texts)
}

/// The `dup 65 /A put` lines of a Type 1 font program; `None` where it says that its encoding is the standard one.
fn type1_texts(program: &[u8]) -> Option<Vec<Option<String>>> {
    let clear = program.windows(5).position(|window| window == b"eexec").unwrap_or(program.len());
    let mut texts = vec![None; 256];
    let (mut found, mut in_encoding, mut code) = (false, false, None);
    for token in Lexer::new(&program[..clear]) {
        match token {
            Token::Name(name) if name.as_ref() == b"Encoding" => in_encoding = true,
            Token::Name(name) if in_encoding => {
                if let Some(slot) = code.and_then(|code: usize| texts.get_mut(code)) {
                    *slot = glyphs::text_of_name(&name);
                    found = true;
                }
            }
            Token::Number(number) => {
                code = Some(number.clamp(0.0, 256.0) as usize);
                continue;
            }
            Token::Word(b"readonly" | b"def") if in_encoding && found => break,
            _ => {}
        }
        code = None;
    }
    found.then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_encoding_of_a_type_1_program() {
        let program = b"%!PS\n/Encoding 256 array\n0 1 255 {1 index exch /.notdef put} for\ndup 65 /afii10017 put\ndup 66 /beta put\nreadonly def\ncurrentfile eexec \x80";
        let texts = type1_texts(program).unwrap();
        assert_eq!((texts[65].as_deref(), texts[66].as_deref(), texts[67].as_deref()), (Some("А"), Some("β"), None));
        assert!(type1_texts(b"/Encoding StandardEncoding def").is_none());
    }
}
