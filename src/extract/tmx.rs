//! Translation memories: TMX 1.4b (`<tu>` units of `<tuv xml:lang>` variants, each with one `<seg>`).

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::error::{Context as _, ErrorKind, Result};
use crate::record::Language;

/// What a memory holds for two languages.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Source and target texts.
    pub pairs: Vec<(String, String)>,
    /// Units that were left out, and why.
    pub problems: Vec<String>,
}

/// Reads the units that hold both languages. Markup inside a segment is dropped, its text kept.
///
/// # Errors
/// Kind `Input` when the XML is broken, naming the byte.
pub fn read(bytes: &[u8], source: Language, target: Language) -> Result<Memory> {
    let mut reader = Reader::from_reader(bytes);
    let mut memory = Memory::default();
    let mut unit: Vec<(Option<Language>, String)> = Vec::new();
    let (mut language, mut segment, mut units) = (None, None::<String>, 0_usize);
    let mut buffer = Vec::new();
    loop {
        let at = reader.buffer_position();
        let event = reader
            .read_event_into(&mut buffer)
            .context(ErrorKind::Input, || format!("the TMX is broken near byte {at}"))?;
        match event {
            Event::Start(element) => match element.local_name().as_ref() {
                "tu" => {
                    unit.clear();
                    units += 1;
                }
                "tuv" => {
                    language = element
                        .attributes()
                        .flatten()
                        .find(|attribute| matches!(attribute.key.as_ref(), "xml:lang" | "lang"))
                        .and_then(|attribute| Language::guess_from_tag(&attribute.value));
                }
                "seg" => segment = Some(String::new()),
                _ => {}
            },
            Event::Text(text) => {
                if let Some(segment) = &mut segment {
                    segment.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(segment) = &mut segment {
                    segment.push_str(&entity(&reference));
                }
            }
            Event::CData(text) => {
                if let Some(segment) = &mut segment {
                    segment.push_str(&text);
                }
            }
            Event::End(element) => match element.local_name().as_ref() {
                "seg" => unit.extend(segment.take().map(|text| (language, text.trim().to_owned()))),
                "tu" => close(&mut memory, &unit, units, source, target),
                _ => {}
            },
            Event::Eof => return Ok(memory),
            _ => {}
        }
        buffer.clear();
    }
}

/// The five entities of XML, and character references. Others stay as written: TMX declares none.
fn entity(name: &str) -> String {
    let number = name
        .strip_prefix("#x")
        .map(|digits| u32::from_str_radix(digits, 16))
        .or_else(|| name.strip_prefix('#').map(str::parse))
        .and_then(Result::ok)
        .and_then(char::from_u32);
    match (name, number) {
        ("amp", _) => "&".into(),
        ("lt", _) => "<".into(),
        ("gt", _) => ">".into(),
        ("quot", _) => "\"".into(),
        ("apos", _) => "'".into(),
        (_, Some(character)) => character.into(),
        _ => format!("&{name};"),
    }
}

fn close(memory: &mut Memory, unit: &[(Option<Language>, String)], number: usize, source: Language, target: Language) {
    let of = |wanted: Language| unit.iter().find(|(language, text)| *language == Some(wanted) && !text.is_empty());
    match (of(source), of(target)) {
        (Some((_, source)), Some((_, target))) => memory.pairs.push((source.clone(), target.clone())),
        (None, _) => memory.problems.push(format!("unit {number} has no text in {source}")),
        (_, None) => memory.problems.push(format!("unit {number} has no text in {target}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_with_both_languages_are_pairs() {
        let tmx = r#"<?xml version="1.0"?><tmx version="1.4"><header/><body>
            <tu><tuv xml:lang="ru"><prop type="x-url">http://a.test/?a=1&amp;b</prop><seg>Мир &lt;и&gt; &amp; труд</seg></tuv>
                <tuv xml:lang="TK-TM"><seg>Dünýä <bpt i="1">b</bpt>we zähmet&#33;</seg></tuv></tu>
            <tu><tuv xml:lang="ru"><seg>Один</seg></tuv></tu></body></tmx>"#;
        let memory = read(tmx.as_bytes(), Language::RUSSIAN, Language::TURKMEN).unwrap();
        assert_eq!(memory.pairs, [("Мир <и> & труд".to_owned(), "Dünýä bwe zähmet!".to_owned())]);
        assert_eq!(memory.problems, ["unit 2 has no text in tk"]);
    }

    #[test]
    fn broken_xml_names_the_place() {
        let error = read(b"<tmx><tu></tuv></tmx>", Language::RUSSIAN, Language::TURKMEN).unwrap_err();
        assert!(error.to_string().contains("near byte"), "{error}");
    }
}
