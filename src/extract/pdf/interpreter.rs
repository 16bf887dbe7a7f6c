//! The content stream interpreter: from drawing operators to positioned glyphs.
//!
//! It keeps the state that decides where text stands and in which font (`q Q cm`, `BT ET`, the `T…` operators), draws form
//! XObjects in place, and notes how much of the page images cover. Everything else a page draws is skipped.

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::Limits;
use super::font::{Font, dict_entry, entry, number, resolve};
use super::lexer::{Lexer, Token};
use super::marked::Marks;
use super::page::{Matrix, inflate, inherited, page_content, page_space};
use crate::error::{Error, Result};

/// Operators that one page may execute, those of its forms included; a dense map has a few hundred thousand.
const MAX_OPERATORS: usize = 5_000_000;
/// Forms inside forms.
const MAX_FORM_DEPTH: usize = 12;
/// Turned glyphs from which on a page may be turned to read them.
const MIN_TURNED: usize = 20;
/// Saved graphics states.
const MAX_SAVED: usize = 256;

/// A glyph on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    /// Its text: mostly one character, more for ligatures, U+FFFD where the font does not say.
    pub(super) text: Rc<str>,
    /// Where its baseline starts, in points from the left edge of the page as displayed.
    pub(super) x: f64,
    /// Its baseline, in points from the bottom edge of the page as displayed.
    pub(super) y: f64,
    /// Its advance in points, with character spacing but without word spacing.
    pub(super) width: f64,
    /// Its font size in points, as displayed.
    pub(super) size: f64,
    /// Index into [`PageContent::fonts`].
    pub(super) font: usize,
}

/// What a page draws, as far as text goes.
#[derive(Debug, Default)]
pub(super) struct PageContent {
    /// Page width and height in points, as displayed.
    pub(super) width: f64,
    pub(super) height: f64,
    /// Upright glyphs inside the page, in drawing order.
    pub(super) glyphs: Vec<Glyph>,
    /// The fonts of the glyphs.
    pub(super) fonts: Vec<Rc<Font>>,
    /// Glyphs left out because their line is not upright.
    pub(super) rotated: usize,
    /// Of those, how many run up, upside down, and down the page.
    pub(super) turned: [usize; 3],
    /// Quarter turns, clockwise, by which the page was turned to read it, besides its own.
    pub(super) quarters: usize,
    /// Glyphs left out because they lie outside the page.
    pub(super) outside: usize,
    /// Share of the page that images cover, at most 1; overlaps count twice.
    pub(super) image_share: f64,
}

/// Fonts by the object that defines them, so that a book loads each once.
#[derive(Debug, Default)]
pub(super) struct FontCache(HashMap<usize, Rc<Font>>);

impl FontCache {
    fn get(&mut self, doc: &Document, dict: &Dictionary) -> Rc<Font> {
        // The document outlives the cache and is not changed, so a dictionary's address names it.
        let key = std::ptr::from_ref(dict) as usize;
        Rc::clone(self.0.entry(key).or_insert_with(|| Rc::new(Font::load(doc, dict))))
    }

    fn missing(&mut self) -> Rc<Font> {
        Rc::clone(self.0.entry(0).or_insert_with(|| Rc::new(Font::missing())))
    }
}

/// The graphics state, as far as it moves text.
#[derive(Debug, Clone)]
struct State {
    ctm: Matrix,
    font: Option<usize>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

/// An operand; dictionaries are only marked, since no text operator takes one.
#[derive(Debug)]
enum Operand<'a> {
    Number(f64),
    Name(std::borrow::Cow<'a, [u8]>),
    String(Vec<u8>),
    Array(Vec<Operand<'a>>),
}

impl Operand<'_> {
    fn number(&self) -> f64 {
        if let Self::Number(value) = self { *value } else { 0.0 }
    }
}

/// Interprets a page: as displayed, or turned where nearly all of its text runs up, down, or upside down.
///
/// # Errors
/// Kind `Input`, when the page exceeds a limit.
pub(super) fn interpret(
    doc: &Document,
    page_id: ObjectId,
    number: u32,
    fonts: &mut FontCache,
    limits: &Limits,
) -> Result<PageContent> {
    if let Some(watch) = limits.watch {
        watch(number);
    }
    let empty = Dictionary::new();
    let page = doc.get_dictionary(page_id).unwrap_or(&empty);
    let (to_page, width, height) = page_space(doc, page);
    let level = interpret_turned(doc, page, number, fonts, limits, (to_page, width, height))?;
    let found =
        level.turned.iter().enumerate().find(|&(_, &count)| count >= MIN_TURNED && count > 2 * level.glyphs.len());
    let Some((at, _)) = found else { return Ok(level) };
    let space = match at {
        0 => (to_page.then(Matrix([0.0, -1.0, 1.0, 0.0, 0.0, width])), height, width),
        1 => (to_page.then(Matrix([-1.0, 0.0, 0.0, -1.0, width, height])), width, height),
        _ => (to_page.then(Matrix([0.0, 1.0, -1.0, 0.0, height, 0.0])), height, width),
    };
    let turned = interpret_turned(doc, page, number, fonts, limits, space)?;
    Ok(PageContent { quarters: at + 1, ..turned })
}

/// Interprets a page in a space of this width and height.
fn interpret_turned(
    doc: &Document,
    page: &Dictionary,
    number: u32,
    fonts: &mut FontCache,
    limits: &Limits,
    (to_page, width, height): (Matrix, f64, f64),
) -> Result<PageContent> {
    let empty = Dictionary::new();
    let mut interpreter = Interpreter {
        doc,
        fonts,
        limits,
        number,
        operators: 0,
        glyph_count: 0,
        marks: Marks::default(),
        output: PageContent { width, height, ..PageContent::default() },
    };
    let state = State {
        ctm: to_page,
        font: None,
        size: 0.0,
        char_space: 0.0,
        word_space: 0.0,
        scale: 1.0,
        leading: 0.0,
        rise: 0.0,
    };
    let content = page_content(doc, page, number)?;
    let resources = inherited(doc, page, b"Resources").and_then(|object| object.as_dict().ok()).unwrap_or(&empty);
    interpreter.run(&content, resources, state, 0)?;
    interpreter.marks.close_all(&mut interpreter.output.glyphs);
    let mut output = interpreter.output;
    output.image_share = output.image_share.min(1.0);
    Ok(output)
}

struct Interpreter<'a> {
    doc: &'a Document,
    fonts: &'a mut FontCache,
    limits: &'a Limits,
    number: u32,
    operators: usize,
    glyph_count: usize,
    marks: Marks,
    output: PageContent,
}

/// What one content stream changes and the next does not inherit.
struct Frame<'a> {
    resources: &'a Dictionary,
    depth: usize,
    state: State,
    saved: Vec<State>,
    /// States beyond [`MAX_SAVED`], counted so that each `Q` still meets its `q`.
    unsaved: usize,
    text: Matrix,
    line: Matrix,
}

impl<'a> Interpreter<'a> {
    fn run(&mut self, content: &[u8], resources: &'a Dictionary, state: State, depth: usize) -> Result<()> {
        let mut frame = Frame {
            resources,
            depth,
            state,
            saved: Vec::new(),
            unsaved: 0,
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
        };
        let mut lexer = Lexer::new(content);
        let mut operands: Vec<Operand<'_>> = Vec::new();
        let mut array: Option<Vec<Operand<'_>>> = None;
        // Of dictionaries only the actual text counts that `BDC` may bring.
        let (mut dict_depth, mut in_actual_text, mut actual_text) = (0_usize, false, None);
        while let Some(token) = lexer.next() {
            let operand = match token {
                Token::DictStart => {
                    dict_depth += 1;
                    in_actual_text = false;
                    continue;
                }
                Token::DictEnd => {
                    dict_depth = dict_depth.saturating_sub(1);
                    continue;
                }
                Token::Word(b"true" | b"false" | b"null") => continue,
                Token::Word(word) => {
                    // An operator also ends the array or dictionary that a damaged stream leaves open.
                    dict_depth = 0;
                    operands.extend(array.take().map(Operand::Array));
                    self.count_operator()?;
                    match word {
                        b"ID" => {
                            lexer.skip_inline_image();
                            self.output.image_share += self.image_share(&frame.state);
                        }
                        b"Do" => self.draw(&frame, &operands)?,
                        b"BMC" => self.marks.open(None, self.output.glyphs.len()),
                        b"BDC" => self.open_mark(resources, actual_text.take(), operands.last()),
                        b"EMC" => self.marks.close(&mut self.output.glyphs),
                        _ => self.operator(&mut frame, word, &operands)?,
                    }
                    operands.clear();
                    (in_actual_text, actual_text) = (false, None);
                    continue;
                }
                Token::String(bytes) if dict_depth == 1 && in_actual_text => {
                    actual_text = Some(bytes);
                    continue;
                }
                Token::Name(name) if dict_depth > 0 => {
                    in_actual_text = name.as_ref() == b"ActualText";
                    continue;
                }
                _ if dict_depth > 0 => continue,
                Token::ArrayStart => {
                    array.get_or_insert_default();
                    continue;
                }
                Token::ArrayEnd => {
                    operands.extend(array.take().map(Operand::Array));
                    continue;
                }
                Token::Number(value) => Operand::Number(value),
                Token::Name(name) => Operand::Name(name),
                Token::String(bytes) => Operand::String(bytes),
            };
            match &mut array {
                Some(array) => array.push(operand),
                None => operands.push(operand),
            }
        }
        Ok(())
    }

    /// `BDC`: the properties stand in the content or, by name, in the resources.
    fn open_mark(&mut self, resources: &'a Dictionary, inline: Option<Vec<u8>>, operand: Option<&Operand<'_>>) {
        let named = match operand {
            Some(Operand::Name(name)) => self.resource(resources, b"Properties", name),
            _ => None,
        };
        let named =
            named.and_then(|properties| entry(self.doc, properties.as_dict().ok()?, b"ActualText")?.as_str().ok());
        self.marks.open(inline.as_deref().or(named), self.output.glyphs.len());
    }

    fn count_operator(&mut self) -> Result<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(Error::input(format!(
                "page {}: more than {MAX_OPERATORS} drawing operators; the file is damaged or hostile",
                self.number
            )));
        }
        Ok(())
    }

    fn operator(&mut self, frame: &mut Frame<'a>, word: &[u8], operands: &[Operand<'_>]) -> Result<()> {
        // Operands stand before the operator: the last ones count, whatever damaged ones come first.
        let last = |from_end: usize| operands.len().checked_sub(from_end).and_then(|at| operands.get(at));
        let value = |from_end: usize| last(from_end).map_or(0.0, Operand::number);
        let matrix = || Matrix([value(6), value(5), value(4), value(3), value(2), value(1)]);
        let state = &mut frame.state;
        match word {
            b"q" if frame.saved.len() < MAX_SAVED => frame.saved.push(frame.state.clone()),
            b"q" => frame.unsaved += 1,
            b"Q" if frame.unsaved > 0 => frame.unsaved -= 1,
            b"Q" => frame.state = frame.saved.pop().unwrap_or_else(|| frame.state.clone()),
            b"cm" => state.ctm = matrix().then(state.ctm),
            b"BT" => (frame.text, frame.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            b"Tf" => {
                if let Some(Operand::Name(name)) = last(2) {
                    state.size = value(1);
                    state.font = Some(self.font(frame.resources, name));
                }
            }
            b"Tc" => state.char_space = value(1),
            b"Tw" => state.word_space = value(1),
            b"Tz" => state.scale = value(1) / 100.0,
            b"TL" => state.leading = value(1),
            b"Ts" => state.rise = value(1),
            b"Tm" => (frame.text, frame.line) = (matrix(), matrix()),
            b"Td" => next_line(frame, value(2), value(1)),
            b"TD" => {
                state.leading = -value(1);
                next_line(frame, value(2), value(1));
            }
            b"T*" => next_line(frame, 0.0, -frame.state.leading),
            b"Tj" => self.show_operand(frame, last(1))?,
            b"'" => {
                next_line(frame, 0.0, -frame.state.leading);
                self.show_operand(frame, last(1))?;
            }
            b"\"" => {
                (state.word_space, state.char_space) = (value(3), value(2));
                next_line(frame, 0.0, -frame.state.leading);
                self.show_operand(frame, last(1))?;
            }
            b"TJ" => {
                if let Some(Operand::Array(items)) = last(1) {
                    for item in items {
                        if let Operand::Number(adjustment) = item {
                            let by = -adjustment / 1000.0 * frame.state.size * frame.state.scale;
                            frame.text = Matrix::shift(by, 0.0).then(frame.text);
                        } else {
                            self.show_operand(frame, Some(item))?;
                        }
                    }
                }
            }
            b"gs" => {
                if let Some(Operand::Name(name)) = last(1) {
                    self.graphics_state(frame, name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A named object of the resources.
    fn resource(&self, resources: &'a Dictionary, category: &[u8], name: &[u8]) -> Option<&'a Object> {
        dict_entry(self.doc, resources, category).and_then(|named| entry(self.doc, named, name))
    }

    fn font(&mut self, resources: &'a Dictionary, name: &[u8]) -> usize {
        let dict = self.resource(resources, b"Font", name).and_then(|font| font.as_dict().ok());
        let font = match dict {
            Some(dict) => self.fonts.get(self.doc, dict),
            None => self.fonts.missing(),
        };
        self.font_index(font)
    }

    fn font_index(&mut self, font: Rc<Font>) -> usize {
        let fonts = &mut self.output.fonts;
        fonts.iter().position(|known| Rc::ptr_eq(known, &font)).unwrap_or_else(|| {
            fonts.push(font);
            fonts.len() - 1
        })
    }

    /// A graphics state dictionary may set the font too.
    fn graphics_state(&mut self, frame: &mut Frame<'a>, name: &[u8]) {
        let font = self
            .resource(frame.resources, b"ExtGState", name)
            .and_then(|state| state.as_dict().ok())
            .and_then(|state| entry(self.doc, state, b"Font")?.as_array().ok());
        if let Some([font, size]) = font.map(Vec::as_slice)
            && let Some(dict) = resolve(self.doc, font).and_then(|font| font.as_dict().ok())
        {
            let font = self.fonts.get(self.doc, dict);
            frame.state.font = Some(self.font_index(font));
            frame.state.size = resolve(self.doc, size).and_then(number).unwrap_or(frame.state.size);
        }
    }

    fn image_share(&self, state: &State) -> f64 {
        let share = state.ctm.area() / (self.output.width * self.output.height);
        if share.is_finite() { share.min(1.0) } else { 0.0 }
    }

    /// `Do`: a form is drawn in place, an image is measured.
    fn draw(&mut self, frame: &Frame<'a>, operands: &[Operand<'_>]) -> Result<()> {
        let Some(Operand::Name(name)) = operands.last() else { return Ok(()) };
        let Some(Object::Stream(stream)) = self.resource(frame.resources, b"XObject", name) else { return Ok(()) };
        let subtype = entry(self.doc, &stream.dict, b"Subtype").and_then(|name| name.as_name().ok());
        if subtype == Some(b"Image") {
            self.output.image_share += self.image_share(&frame.state);
            return Ok(());
        }
        if subtype != Some(b"Form") || frame.depth >= MAX_FORM_DEPTH {
            return Ok(());
        }
        let mut state = frame.state.clone();
        let matrix = entry(self.doc, &stream.dict, b"Matrix").and_then(|matrix| matrix.as_array().ok());
        let numbers: Vec<f64> =
            matrix.into_iter().flatten().filter_map(|item| resolve(self.doc, item).and_then(number)).collect();
        if let Ok(matrix) = <[f64; 6]>::try_from(numbers) {
            state.ctm = Matrix(matrix).then(state.ctm);
        }
        let resources = dict_entry(self.doc, &stream.dict, b"Resources").unwrap_or(frame.resources);
        let content = inflate(stream, self.number)?;
        self.run(&content, resources, state, frame.depth + 1)
    }

    fn show_operand(&mut self, frame: &mut Frame<'a>, operand: Option<&Operand<'_>>) -> Result<()> {
        if let Some(Operand::String(bytes)) = operand {
            let index = match frame.state.font {
                Some(index) => index,
                None => {
                    let font = self.fonts.missing();
                    self.font_index(font)
                }
            };
            frame.state.font = Some(index);
            self.show(frame, bytes, index)?;
        }
        Ok(())
    }

    /// Shows a string: each code becomes a glyph, and the text matrix moves on.
    fn show(&mut self, frame: &mut Frame<'a>, mut bytes: &[u8], font_index: usize) -> Result<()> {
        let font = Rc::clone(&self.output.fonts[font_index]);
        let state = &frame.state;
        // A string of a vertical font runs down the page, but one glyph has no direction: programs set level lines so.
        let single = font.vertical && font.decode(bytes).length >= bytes.len();
        while !bytes.is_empty() {
            let char = font.decode(bytes);
            bytes = &bytes[char.length.min(bytes.len())..];
            let glyph_space = Matrix([state.size * state.scale, 0.0, 0.0, state.size, 0.0, state.rise]);
            let to_page = frame.text.then(state.ctm);
            // The origin of a vertical glyph is the middle of its top.
            let origin = if single { Matrix::shift(-0.5 * char.width, -0.88) } else { Matrix::IDENTITY };
            let placed = origin.then(glyph_space).then(to_page).0;
            let spacing = state.char_space + if char.is_space_code { state.word_space } else { 0.0 };
            let advance = (char.width * state.size + spacing) * state.scale;
            // Letter-spaced words must not fall apart, but wider steps than half an em set things apart.
            let kept_spacing = if state.char_space.abs() <= 0.5 * state.size.abs() { state.char_space } else { 0.0 };
            let width = (char.width * state.size + kept_spacing) * state.scale * to_page.0[0];
            self.place(&char.text, placed, width, font_index, font.vertical && !single)?;
            let (right, down) = if font.vertical { (0.0, -state.size - spacing) } else { (advance, 0.0) };
            frame.text = Matrix::shift(right, down).then(frame.text);
        }
        Ok(())
    }

    fn place(
        &mut self,
        text: &Option<Rc<str>>,
        placed: [f64; 6],
        width: f64,
        font: usize,
        vertical: bool,
    ) -> Result<()> {
        self.glyph_count += 1;
        if self.glyph_count > self.limits.max_glyphs_per_page {
            return Err(Error::input(format!(
                "page {}: more than {} glyphs (max_glyphs_per_page); raise the limit if the page really holds that much text",
                self.number, self.limits.max_glyphs_per_page
            )));
        }
        let [a, b, c, d, x, y] = placed;
        let size = c.hypot(d);
        if ![a, b, x, y, size, width].iter().all(|value| value.is_finite()) || size < 0.01 {
            return Ok(());
        }
        let page = &mut self.output;
        if vertical || a <= 0.0 || b.abs() > 0.1 * a {
            page.rotated += 1;
            let quarter = match (a, b) {
                _ if vertical => None,
                (a, b) if a.abs() <= 0.1 * b.abs() => Some(if b > 0.0 { 0 } else { 2 }),
                (a, b) if b.abs() <= 0.1 * a.abs() => Some(1),
                _ => None,
            };
            if let Some(at) = quarter {
                page.turned[at] += 1;
            }
        } else if x + width < -1.0 || x > page.width + 1.0 || y + size < -1.0 || y > page.height + 1.0 {
            page.outside += 1;
        } else {
            let text = text.clone().unwrap_or_else(|| Rc::from("\u{FFFD}"));
            page.glyphs.push(Glyph { text, x, y, width, size, font });
        }
        Ok(())
    }
}

fn next_line(frame: &mut Frame<'_>, x: f64, y: f64) {
    frame.line = Matrix::shift(x, y).then(frame.line);
    frame.text = frame.line;
}
