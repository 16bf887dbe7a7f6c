//! Extraction: the bytes of a page or a book become a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::books::{self, Ocr, Reader, Shelf, Shelves};
use super::site::Site;
use super::{Commit, Ctx, Finish, Grain, Inputs, Listing, Progress, Settings, Shared, Stage, Unit, table};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::agreement::agreement as agreement_of;
use crate::extract::{charset, html};
use crate::record::document::TextBuilder;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, Language, Page};
use crate::store::extraction::PageNote;
use crate::store::table::Table;
use crate::store::visit::FEED_COPY;
use crate::store::{Writer, warc};
use crate::text::language;

/// Raised when the same bytes give another document.
pub const VERSION: u32 = 4;

/// The stage.
#[derive(Debug)]
pub struct Extract;

/// What changes a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Pages with less text than this many characters make no document.
    pub min_chars: usize,
    /// The languages that a text may be taken for. More candidates than the pipeline's two, so that a neighbour is
    /// recognised and not mistaken for one of them.
    pub languages: Vec<Language>,
    /// Whether an article that has vanished from its site keeps its place in the corpus.
    pub keep_vanished: bool,
    /// Pages of a book that are read.
    pub max_book_pages: u32,
    /// Whether the pages of books that are pictures are recognised.
    pub ocr: Ocr,
    /// The recogniser's program.
    pub ocr_program: String,
    /// The recogniser's names for languages. Turkmen has none: no pack knows its letters.
    pub ocr_languages: BTreeMap<Language, String>,
    /// Paragraphs of less confidence, 0 to 100, are left out.
    pub ocr_min_confidence: f32,
    /// What a book may cost.
    pub limits: books::Limits,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_chars: 120,
            languages: ["ru", "tk", "tk-Cyrl", "tr", "az", "uz", "kk", "en"]
                .iter()
                .filter_map(|code| Language::guess_from_tag(code))
                .collect(),
            keep_vanished: true,
            max_book_pages: 2_000,
            ocr: Ocr::Off,
            ocr_program: "tesseract".into(),
            ocr_languages: BTreeMap::from([(Language::RUSSIAN, "rus".into())]),
            ocr_min_confidence: 80.0,
            limits: books::Limits::default(),
        }
    }
}

/// Where documents come from, as the pipeline hands it over.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Sites.
    pub sites: Vec<Site>,
    /// Shelves of books, their folders relative to where the program runs.
    pub shelves: Vec<Shelf>,
    /// Who reads books.
    pub reader: Reader,
}

/// The version of the program that recognises pages, once asked for.
struct Recogniser(String);

impl Stage for Extract {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "page"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Url]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Document, Table::Block, Table::BookPage, Table::BookRepair, Table::Extraction, Table::Drift]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "extract": table(settings.get::<Params>()?)? }))
    }

    /// Every archived article, and every book of the shelves.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let (params, sources) = (ctx.settings::<Params>()?, ctx.settings::<Sources>()?);
        let mut units = Vec::new();
        let mut profiles = BTreeMap::new();
        for site in &sources.sites {
            profiles.insert(site.name.as_str(), super::fingerprint(&(&site.extract, &site.articles, site.same_id))?);
        }
        for article in ctx.store()?.archived_articles(params.keep_vanished)? {
            let Some(profile) = profiles.get(article.site.as_str()) else { continue };
            // The content type may name the character encoding.
            let row = super::fingerprint(&(&article.body_hash, &article.content_type))?;
            units.push(Unit::new(article.url, Inputs::new().table(Table::Url, &row).value("profile", profile)));
        }
        let recogniser = match params.ocr {
            Ocr::Tesseract if !sources.shelves.is_empty() => {
                Some(ctx.shared().get("", || Ok(Recogniser(books::ocr::version(&params.ocr_program))))?)
            }
            _ => None,
        };
        let recogniser = recogniser.as_ref().map(|recogniser| recogniser.0.as_str());
        units.extend(books::units(ctx, &*shelves(ctx)?, params, recogniser)?);
        Ok(Listing::All(units))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, _progress: &Progress<'_>) -> Result<Commit> {
        let (params, sources) = (ctx.settings::<Params>()?, ctx.settings::<Sources>()?);
        if let Some(book) = shelves(ctx)?.books.get(&unit.name) {
            return books::read(&unit.name, book, params, &sources.reader);
        }
        let page = ctx.store()?.page(&unit.name)?;
        let page = page.ok_or_else(|| Error::bug(format!("{} is neither a page nor a book", unit.name)))?;
        let site = site_of(&sources.sites, &page)
            .ok_or_else(|| Error::bug(format!("the page {} belongs to no site", page.url)))?;
        let archived = warc::read(&ctx.folder().join("pages"), &page.warc)?;
        page_document(&page, &archived.body, site, params)
            .map_err(|error| error.while_doing(format!("extracting {}", page.url)))
    }

    fn retract(&self, writer: &Writer<'_>, _scope: &str, unit: &str) -> Result<()> {
        writer.delete_document(unit)?;
        writer.delete_book(unit)
    }

    fn invalidate(&self, shared: &Shared, _scope: &str) {
        // Sentences hang on documents.
        shared.forget_all::<std::sync::Mutex<super::neighbours::Pools>>();
        shared.forget_all::<super::embed::Queue>();
    }

    /// Holds the pages that were extracted against those before: what a killed run left unjudged is judged now.
    fn finish(&self, ctx: &Ctx<'_>) -> Result<Finish> {
        let sources = ctx.settings::<Sources>()?;
        // The stages after it need the memory.
        sources.reader.rest();
        let drifts = super::drift::judge(&*ctx.store()?, &sources.sites)?;
        let notes = ctx.shared().find::<Shelves>("").map(|shelves| shelves.notes.clone()).unwrap_or_default();
        let write =
            move |writer: &Writer<'_>, run: i64| drifts.iter().try_for_each(|drift| writer.put_drift(run, drift));
        Ok(Finish { notes, write: Some(Box::new(write)) })
    }
}

/// The shelves, read once in a run.
fn shelves(ctx: &Ctx<'_>) -> Result<std::sync::Arc<Shelves>> {
    let sources = ctx.settings::<Sources>()?;
    ctx.shared().get("", || Shelves::read(&sources.shelves))
}

/// What a site's pages are extracted by: agreements of profile and generic extractor compare under one key alone.
/// `None` without a profile.
///
/// # Errors
/// Kind `Bug` only.
pub fn profile_key(site: &Site) -> Result<Option<String>> {
    site.extract.as_ref().map(|profile| super::fingerprint(&(VERSION, profile))).transpose()
}

fn site_of<'a>(sites: &'a [Site], page: &Page) -> Option<&'a Site> {
    sites.iter().find(|site| site.name == page.site)
}

/// The document of a page.
fn page_document(page: &Page, body: &[u8], site: &Site, params: &Params) -> Result<Commit> {
    let url = Url::parse(&page.url).context(ErrorKind::Bug, || format!("the archive names {:?}", page.url))?;
    let decoded = charset::decode(body, page.content_type.as_deref());
    // A feed's copy of a page has none of the page's layout, for a profile to find its way in.
    let of_layout = site.extract.as_ref().filter(|_| page.content_type.as_deref() != Some(FEED_COPY));
    let profile = of_layout.map(crate::extract::profile::Profile::compile).transpose()?;
    let extracted = html::extract(&decoded.text, &url, profile.as_ref());
    let mut builder = TextBuilder::default();
    if let Some(title) = &extracted.title {
        builder.push(BlockKind::Title, title, None);
    }
    for (kind, text) in &extracted.blocks {
        builder.push(*kind, text, None);
    }
    let (text, blocks) = builder.finish();
    let guess = identify(&text, params);
    // A layout that changed shows so: the profile takes another text than the generic extractor, or finds no body, and
    // the generic extractor had to step in.
    let by_profile = extracted.method == html::Method::Profile;
    let past_profile = profile.is_some() && !by_profile;
    let agreement = profile.is_some().then(|| html::extract(&decoded.text, &url, None));
    let agreement = agreement.and_then(|generic| agreement_of(&extracted, &generic));
    let note = profile_key(site)?.filter(|_| profile.is_some()).map(|key| PageNote {
        location: page.url.clone(),
        site: site.name.clone(),
        key,
        agreement,
        by_profile,
    });
    let twin_key = site
        .same_id
        .then(|| site.articles.iter().find_map(|pattern| pattern.captures(url.path())?.id))
        .flatten()
        .map(|id| format!("{}:{id}", site.name));
    let commit = finish(
        Document {
            id: DocumentId::of(&[page.url.as_bytes()]),
            location: page.url.clone(),
            site: site.name.clone(),
            kind: DocumentKind::Html,
            content_hash: page.body_hash.clone(),
            language: guess.map(|guess| guess.language),
            language_confidence: guess.map_or(0.0, |guess| guess.confidence),
            declared_language: extracted.declared_language,
            title: extracted.title,
            date: extracted.date,
            author: extracted.author,
            tags: extracted.tags,
            agreement,
            text,
            blocks,
            twins: extracted.twins,
            images: extracted.images,
            twin_key,
        },
        note,
        params,
    )?;
    Ok(if past_profile { commit.count("pages on which the profile's body selects nothing", 1.0) } else { commit })
}

/// The language that a text is in, among those that it may be taken for.
pub(super) fn identify(text: &str, params: &Params) -> Option<language::Guess> {
    language::identify(text, &params.languages)
}

/// A document, unless there is too little of it: then an older one of the page goes.
fn finish(document: Document, note: Option<PageNote>, params: &Params) -> Result<Commit> {
    let too_short = document.text.chars().count() < params.min_chars;
    let output = if too_short { "too short".to_owned() } else { crate::store::documents::fingerprint(&document)? };
    let commit = Commit::new(output, move |writer, run| {
        if let Some(note) = &note {
            writer.note_page(run, note)?;
        }
        if too_short { writer.delete_document(&document.location) } else { writer.put_document(&document) }
    });
    Ok(commit.count(if too_short { "too short" } else { "documents" }, 1.0))
}
