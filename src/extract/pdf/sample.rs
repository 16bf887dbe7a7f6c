//! Small PDFs for the tests, made with lopdf.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream, dictionary};

/// A PDF in the making.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) doc: Document,
    tree: ObjectId,
    pages: Vec<Object>,
    fonts: Dictionary,
    objects: Dictionary,
}

/// Size of the pages in points.
pub(super) const WIDTH: i64 = 600;
pub(super) const HEIGHT: i64 = 800;

impl Sample {
    /// A document with the fonts `H` (Helvetica, WinAnsi), `U` and `B` (any character, every width half an em; `B` is bold).
    pub(super) fn new() -> Self {
        let mut doc = Document::with_version("1.5");
        let tree = doc.new_object_id();
        let mut sample = Self { doc, tree, pages: Vec::new(), fonts: Dictionary::new(), objects: Dictionary::new() };
        sample.font("H", dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding" });
        let map = sample.stream(Dictionary::new(), b"1 beginbfrange <0000> <FFFF> <0000> endbfrange");
        for (key, name) in [("U", "ABCDEF+Book"), ("B", "ABCDEF+Book-Bold")] {
            let descendant = sample.doc.add_object(
                dictionary! { "Type" => "Font", "Subtype" => "CIDFontType2", "BaseFont" => name, "DW" => 500 },
            );
            let font = dictionary! {
                "Type" => "Font", "Subtype" => "Type0", "BaseFont" => name, "Encoding" => "Identity-H",
                "DescendantFonts" => vec![descendant.into()], "ToUnicode" => map,
            };
            sample.font(key, font);
        }
        sample
    }

    /// Adds a font under a resource name.
    pub(super) fn font(&mut self, key: &str, font: Dictionary) {
        let id = self.doc.add_object(font);
        self.fonts.set(key, id);
    }

    /// Adds a stream object.
    pub(super) fn stream(&mut self, dict: Dictionary, content: &[u8]) -> ObjectId {
        self.doc.add_object(Stream::new(dict, content.to_vec()))
    }

    /// Adds an XObject under a resource name.
    pub(super) fn object(&mut self, key: &str, id: ObjectId) {
        self.objects.set(key, id);
    }

    /// Adds a page.
    pub(super) fn page(&mut self, content: &[u8]) {
        self.page_with(content, Dictionary::new());
    }

    /// Adds a page with entries of its own.
    pub(super) fn page_with(&mut self, content: &[u8], entries: Dictionary) {
        let content = self.stream(Dictionary::new(), content);
        let mut page = dictionary! {
            "Type" => "Page", "Parent" => self.tree, "Contents" => content,
            "MediaBox" => vec![0.into(), 0.into(), WIDTH.into(), HEIGHT.into()],
        };
        page.extend(&entries);
        let id = self.doc.add_object(page);
        self.pages.push(id.into());
    }

    /// Links everything up.
    pub(super) fn finish(mut self) -> Document {
        let count = i64::try_from(self.pages.len()).unwrap();
        let resources = dictionary! { "Font" => self.fonts, "XObject" => self.objects };
        let tree = dictionary! { "Type" => "Pages", "Kids" => self.pages, "Count" => count, "Resources" => resources };
        self.doc.objects.insert(self.tree, tree.into());
        let catalog = self.doc.add_object(dictionary! { "Type" => "Catalog", "Pages" => self.tree });
        self.doc.trailer.set("Root", catalog);
        self.doc
    }

    /// The file.
    pub(super) fn bytes(self) -> Vec<u8> {
        saved(self.finish())
    }
}

/// The bytes of a document.
pub(super) fn saved(mut doc: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    doc.save_to(&mut bytes).unwrap();
    bytes
}

/// Operators that set a text in font `U` or `B`.
pub(super) fn set(font: &str, size: f64, x: f64, y: f64, text: &str) -> String {
    let hex: String = text.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
    format!("BT /{font} {size} Tf {x} {y} Td <{hex}> Tj ET\n")
}
