//! Tests of whole books: the thirteen traps and what the book makes of its pages.

use lopdf::{Dictionary, Object, dictionary};

use super::super::sample::{Sample, saved, set};
use super::*;

const TEXT: &str = "Туркменистан строит школы";

/// Codes from 65 on, in order of appearance, as subset fonts number their glyphs.
fn code(c: char) -> u8 {
    let mut letters: Vec<char> = Vec::new();
    TEXT.chars().filter(|c| *c != ' ').for_each(|c| {
        if !letters.contains(&c) {
            letters.push(c)
        }
    });
    letters.iter().position(|&letter| letter == c).map_or(32, |at| 65 + u8::try_from(at).unwrap())
}

fn map(digits: usize) -> String {
    let entries: String = TEXT.chars().map(|c| format!("<{:0digits$X}> <{:04X}>\n", code(c), u32::from(c))).collect();
    format!("/CMapName /X def 99 beginbfchar\n{entries}endbfchar endcmap end end")
}

fn shown() -> Vec<u8> {
    let string: String = TEXT.chars().map(|c| format!("{:02X}", code(c))).collect();
    format!("BT /F 12 Tf 50 700 Td <{string}> Tj ET").into_bytes()
}

fn widths() -> Object {
    vec![Object::Integer(500); 69].into()
}

fn lines(sample: Sample) -> String {
    text_layer(&sample.bytes(), &Limits::default()).unwrap().join("\u{C}")
}

fn page(content: &str) -> String {
    let mut sample = Sample::new();
    sample.page(content.as_bytes());
    lines(sample)
}

fn names(name: impl Fn(char) -> String) -> Object {
    let mut differences: Vec<Object> = Vec::new();
    for c in TEXT.chars().filter(|c| *c != ' ') {
        differences.extend([Object::Integer(code(c).into()), Object::Name(name(c).into_bytes())]);
    }
    dictionary! { "BaseEncoding" => "WinAnsiEncoding", "Differences" => differences }.into()
}

fn afii(c: char) -> String {
    let offset = u32::from(c) - if c < 'а' { u32::from('А') } else { u32::from('а') };
    format!("afii{}", if c < 'а' { 10017 } else { 10065 } + offset + u32::from(offset > 5))
}

// The traps a–j of PDF text extraction: each comes out wrong, without any error, in a common library.

#[test]
fn trap_a_to_unicode_wins_over_a_named_encoding() {
    let mut sample = Sample::new();
    let to_unicode = sample.stream(Dictionary::new(), map(2).as_bytes());
    let font = dictionary! {
        "Type" => "Font", "Subtype" => "TrueType", "BaseFont" => "AAAAAA+X", "Encoding" => "WinAnsiEncoding",
        "ToUnicode" => to_unicode, "FirstChar" => 32, "Widths" => widths(),
    };
    sample.font("F", font);
    sample.page(&shown());
    assert_eq!(lines(sample), TEXT);
}

#[test]
fn traps_b_and_c_glyph_names_by_code_point_and_by_afii_number() {
    for name in [&(|c: char| format!("uni{:04X}", u32::from(c))) as &dyn Fn(char) -> String, &afii] {
        let mut sample = Sample::new();
        let font = dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "AAAAAA+X", "Encoding" => names(name),
            "FirstChar" => 32, "Widths" => widths(),
        };
        sample.font("F", font);
        sample.page(&shown());
        assert_eq!(lines(sample), TEXT);
    }
}

#[test]
fn traps_d_and_e_two_byte_codes_with_a_bare_cmap_and_with_none() {
    for (mapped, expected) in [(true, TEXT.to_owned()), (false, "\u{FFFD}".repeat(25))] {
        let mut sample = Sample::new();
        let to_unicode = sample.stream(Dictionary::new(), map(4).as_bytes());
        let descendant =
            sample.doc.add_object(dictionary! { "Type" => "Font", "Subtype" => "CIDFontType2", "DW" => 500 });
        let mut font = dictionary! {
            "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "AAAAAA+X", "Encoding" => "Identity-H",
            "DescendantFonts" => vec![descendant.into()],
        };
        if mapped {
            font.set("ToUnicode", to_unicode);
        }
        sample.font("F", font);
        let string: String = TEXT.chars().map(|c| format!("{:04X}", code(c))).collect();
        sample.page(format!("BT /F 12 Tf 50 700 Td <{string}> Tj ET").as_bytes());
        let bytes = sample.bytes();
        assert_eq!(text_layer(&bytes, &Limits::default()).unwrap(), [expected]);
        let book = extract(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            book.pages[0].state,
            if mapped { PageState::Text } else { PageState::Garbled },
            "{}",
            book.pages[0].evidence
        );
        assert_eq!(book.blocks.len(), usize::from(mapped));
    }
}

#[test]
fn trap_f_spaces_made_by_kerning_in_integers_and_reals() {
    assert_eq!(page("BT /H 12 Tf 50 700 Td [(Hello)-333(big)-333(world)] TJ ET"), "Hello big world");
    assert_eq!(page("BT /H 12 Tf 50 700 Td [(Hel)20.5(lo)-333.1(big)-333.1(world)] TJ ET"), "Hello big world");
}

#[test]
fn trap_g_lines_and_words_placed_by_text_operators() {
    let lines = "BT /H 12 Tf 50 700 Td (First line) Tj 0 -14 Td (second) Tj 0 -14 TD (third) Tj T* (fourth) Tj (fifth) ' 1 2 (sixth) \" ET";
    assert_eq!(page(lines), "First line\nsecond\nthird\nfourth\nfifth\nsixth");
    assert_eq!(
        page("BT /H 12 Tf 50 700 Td (Each) Tj 40 0 Td (word) Tj 1 0 0 1 130 700 Tm (placed) Tj ET"),
        "Each word placed"
    );
}

#[test]
fn trap_h_text_in_forms_and_forms_that_draw_themselves() {
    let mut sample = Sample::new();
    let dict = dictionary! { "Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(), 0.into(), 600.into(), 800.into()],
    "Matrix" => vec![1.into(), 0.into(), 0.into(), 1.into(), 0.into(), Object::Integer(-14)] };
    let form = sample.stream(dict, b"BT /H 12 Tf 50 700 Td (inside) Tj ET /X Do");
    sample.object("X", form);
    sample.page(b"q /X Do Q BT /H 12 Tf 50 710 Td (before) Tj ET");
    let text = lines(sample);
    assert!(text.starts_with("before\ninside\ninside"), "{text}");
    assert_eq!(text.lines().count(), 13, "twelve levels of the form that draws itself");
}

#[test]
fn trap_i_columns_drawn_row_by_row() {
    let mut content = String::new();
    for row in 0..4 {
        let y = 700 - 14 * row;
        content += &format!(
            "BT /H 12 Tf 1 0 0 1 50 {y} Tm (left col line {row}) Tj ET BT /H 12 Tf 1 0 0 1 320 {y} Tm (right col line {row}) Tj ET "
        );
    }
    let expected: Vec<String> =
        ["left", "right"].iter().flat_map(|side| (0..4).map(move |row| format!("{side} col line {row}"))).collect();
    assert_eq!(page(&content), expected.join("\n"));
}

#[test]
fn trap_j_the_font_comes_back_with_the_graphics_state() {
    let content =
        "BT /H 12 Tf 50 700 Td (before) Tj ET q BT /U 10 Tf 50 680 Td <0041> Tj ET Q BT 50 660 Td (after Q) Tj ET";
    assert_eq!(page(content), "before\nA\nafter Q");
}

#[test]
fn turned_pages_are_read_as_displayed_and_turned_text_is_left_out_and_counted() {
    let mut sample = Sample::new();
    sample.page_with(b"BT /H 12 Tf 0 1 -1 0 100 50 Tm (up the page) Tj ET", dictionary! { "Rotate" => 90 });
    sample.page(b"BT /H 12 Tf 50 700 Td (level) Tj ET BT /H 12 Tf 0 1 -1 0 100 50 Tm (tilted) Tj ET");
    let bytes = sample.bytes();
    assert_eq!(text_layer(&bytes, &Limits::default()).unwrap(), ["up the page", "level"]);
    let book = extract(&bytes, &Limits::default()).unwrap();
    assert!(book.pages[1].evidence.contains("6 turned glyphs left out"), "{}", book.pages[1].evidence);
}

#[test]
fn a_page_whose_text_runs_up_or_down_is_read_turned_and_vertical_fonts_may_set_level_lines() {
    for matrix in ["0 1 -1 0 300 50", "0 -1 1 0 300 750", "-1 0 0 -1 500 400"] {
        let content = format!("BT /H 12 Tf {matrix} Tm (this page lies on its side) Tj ET");
        assert_eq!(page(&content), "this page lies on its side", "{matrix}");
    }
    let vertical = |content: &[u8]| {
        let mut sample = Sample::new();
        let map = sample.stream(Dictionary::new(), b"beginbfrange <0020> <007E> <0020> endbfrange");
        let descendant =
            sample.doc.add_object(dictionary! { "Type" => "Font", "Subtype" => "CIDFontType2", "DW" => 500 });
        let font = dictionary! {
            "Type" => "Font", "Subtype" => "Type0", "Encoding" => "Identity-V",
            "DescendantFonts" => vec![descendant.into()], "ToUnicode" => map,
        };
        sample.font("V", font);
        sample.page(content);
        sample.bytes()
    };
    let level = vertical(b"BT /V 10 Tf 50 700 Td <0061> Tj 5 0 Td <0062> Tj 5 0 Td <0063> Tj ET");
    assert_eq!(text_layer(&level, &Limits::default()).unwrap(), ["abc"]);
    let down = extract(&vertical(b"BT /V 10 Tf 50 700 Td <006100620063> Tj ET"), &Limits::default()).unwrap();
    assert_eq!(down.pages[0].state, PageState::Garbled, "{}", down.pages[0].evidence);
}

#[test]
fn spacing_scaling_and_rise_place_the_glyphs() {
    // At 10 points each letter is 5 wide; 10 of word spacing make a gap, 3 of letter spacing do not.
    assert_eq!(
        page("BT /U 10 Tf 3 Tc 50 700 Td <00410042> Tj ET BT 0 Tc 0 Ts 50 680 Td <0043> Tj 4 Ts <0044> Tj ET"),
        "AB\nCD"
    );
    assert_eq!(page("BT /H 10 Tf 200 Tz 50 700 Td (ab) Tj 100 Tz (c) Tj ET"), "abc");
}

/// A book of three text pages with everything that schoolbooks do to paragraphs.
fn book() -> Vec<u8> {
    let mut sample = Sample::new();
    let lines = |page: u32, lines: &[(&str, f64, f64, &str)]| {
        let mut content = set("U", 8.0, 50.0, 770.0, "Природа, 4 класс")
            + &set("U", 8.0, 400.0, 770.0, ["Вода", "Вода", "Лес"][page as usize - 1]);
        content += &set("U", 8.0, 300.0, 30.0, &page.to_string());
        let mut y = 730.0;
        for &(font, size, x, text) in lines {
            y -= if size > 12.0 { 30.0 } else { 12.0 };
            content += &set(font, size, x, y, text);
        }
        content.into_bytes()
    };
    // The column reaches from 50 to 250 points: 40 characters of 5 points.
    sample.page(&lines(
        1,
        &[
            ("B", 16.0, 50.0, "Вода в природе"),
            ("U", 10.0, 60.0, "Вода встречается в природе всюду: в мо-"),
            ("U", 10.0, 50.0, "рях, реках и облаках. Она бывает жидкой,"),
            ("U", 10.0, 50.0, "твёрдой и газообразной."),
            ("U", 10.0, 60.0, "Мы говорим по-русски и помним, что во 2-"),
            ("U", 10.0, 50.0, "м классе уже писали по-"),
            ("U", 10.0, 50.0, "русски о дожде, снеге и граде, которые"),
        ],
    ));
    sample.page(&lines(
        2,
        &[
            ("U", 10.0, 50.0, "идут из облаков."),
            ("U", 10.0, 55.0, "1. Назови три состояния воды и приведи"),
            ("U", 10.0, 70.0, "пример каждого."),
            ("U", 10.0, 55.0, "2. Когда вода кипит?"),
            ("B", 10.0, 50.0, "Береги природу"),
            ("U", 10.0, 60.0, "Запомни правила:"),
            ("U", 10.0, 55.0, "• Не лей воду зря."),
            ("U", 10.0, 55.0, "• Сажай деревья и ухаживай за ними, ко-"),
            ("U", 10.0, 65.0, "гда сухо."),
        ],
    ));
    sample.page(&lines(
        3,
        &[("U", 10.0, 60.0, "Упражнение 3. Нарисуй реку."), ("U", 10.0, 60.0, "Лес стоит у реки. Это oﬃce.")],
    ));
    sample.page(b"");
    let image =
        sample.stream(dictionary! { "Type" => "XObject", "Subtype" => "Image", "Width" => 1, "Height" => 1 }, b"\0");
    sample.object("I", image);
    sample.page(b"q 600 0 0 800 0 0 cm /I Do Q");
    let mut doc = sample.finish();
    let info = doc.add_object(dictionary! { "Title" => lopdf::text_string("Природа,  4 класс") });
    doc.trailer.set("Info", info);
    saved(doc)
}

#[test]
fn a_book_comes_back_as_its_blocks() {
    let book = extract(&book(), &Limits::default()).unwrap();
    let states: Vec<PageState> = book.pages.iter().map(|page| page.state).collect();
    assert_eq!(states, [PageState::Text, PageState::Text, PageState::Text, PageState::Empty, PageState::Scanned]);
    assert_eq!(book.title.as_deref(), Some("Природа, 4 класс"));
    let blocks: Vec<(BlockKind, &str, u32)> =
        book.blocks.iter().map(|block| (block.kind, block.text.as_str(), block.page)).collect();
    let expected = [
        (BlockKind::Heading, "Вода в природе", 1),
        (
            BlockKind::Paragraph,
            "Вода встречается в природе всюду: в морях, реках и облаках. Она бывает жидкой, твёрдой и газообразной.",
            1,
        ),
        (
            BlockKind::Paragraph,
            "Мы говорим по-русски и помним, что во 2-м классе уже писали по-русски о дожде, снеге и граде, которые идут из облаков.",
            1,
        ),
        (BlockKind::Exercise, "1. Назови три состояния воды и приведи пример каждого.", 2),
        (BlockKind::Exercise, "2. Когда вода кипит?", 2),
        (BlockKind::Heading, "Береги природу", 2),
        (BlockKind::Paragraph, "Запомни правила:", 2),
        (BlockKind::Item, "Не лей воду зря.", 2),
        (BlockKind::Item, "Сажай деревья и ухаживай за ними, когда сухо.", 2),
        (BlockKind::Exercise, "Упражнение 3. Нарисуй реку.", 3),
        (BlockKind::Paragraph, "Лес стоит у реки. Это office.", 3),
    ];
    assert_eq!(blocks, expected);
}

#[test]
fn limits_are_errors_that_name_them() {
    let bytes = book();
    for (limits, word) in [
        (Limits { max_pages: 2, ..Limits::default() }, "max_pages"),
        (Limits { max_glyphs_per_page: 50, ..Limits::default() }, "page 1: more than 50 glyphs"),
        (Limits { max_bytes: 100, ..Limits::default() }, "max_bytes"),
    ] {
        let error = extract(&bytes, &limits).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_empty_password_opens_and_another_is_asked_for() {
    for (user, opens) in [("", true), ("secret", false)] {
        let mut sample = Sample::new();
        sample.page(b"BT /H 12 Tf 50 700 Td (Locked text) Tj ET");
        let mut doc = sample.finish();
        doc.trailer.set("ID", vec![lopdf::text_string("0123456789abcdef"), lopdf::text_string("0123456789abcdef")]);
        let permissions = lopdf::Permissions::default();
        let version = lopdf::EncryptionVersion::V2 {
            document: &doc,
            owner_password: "owner",
            user_password: user,
            key_length: 128,
            permissions,
        };
        let state = lopdf::EncryptionState::try_from(version).unwrap();
        doc.encrypt(&state).unwrap();
        let result = text_layer(&saved(doc), &Limits::default());
        match result {
            Ok(pages) => assert_eq!((pages.join(""), opens), ("Locked text".to_owned(), true)),
            Err(error) => assert!(!opens && error.to_string().contains("encrypted"), "{error}"),
        }
    }
}

#[test]
fn a_block_that_is_not_known_is_left_out_and_a_bullet_is_no_reason() {
    assert_eq!(known_text("\u{FFFD} birinji bap").as_deref(), Some("birinji bap"));
    assert_eq!(known_text("\u{FFFD}").as_deref(), Some(""));
    assert_eq!(known_text("ki\u{FFFD}ap"), None);
    assert_eq!(known_text("\u{FFFD}\u{FFFD}\u{FFFD} \u{FFFD}\u{FFFD}"), None);
}
