//! Extraction: the bytes of a page or a book become a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::books::{self, Ocr, Reader, Shelf, Shelves};
use super::pages::{Cost, PageJob, ReadPage};
use super::site::Site;
use super::{Listing, Look, Output, Records, Session, Unit, Work, combined};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::html;
use crate::record::document::TextBuilder;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, Language, Page};
use crate::store::extraction::PageNote;
use crate::store::visit::FEED_COPY;
use crate::store::warc;
use crate::text::language;

/// Raised when the same bytes give another document.
pub const VERSION: u32 = 5;

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

/// Where documents come from.
#[derive(Debug, Clone, Copy)]
pub struct Origins<'a> {
    /// Sites.
    pub sites: &'a [Site],
    /// Shelves of books, their folders relative to where the program runs.
    pub shelves: &'a [Shelf],
    /// Who reads books.
    pub reader: &'a Reader,
}

/// Every archived article, and every book of the shelves.
///
/// # Errors
/// Kind `Store`; kind `Input` for a manifest that cannot be read.
pub fn units(look: &Look<'_>, params: &Params, origins: Origins<'_>, session: &mut Session) -> Result<Listing> {
    let mut units = Vec::new();
    let mut profiles = BTreeMap::new();
    for site in origins.sites {
        profiles.insert(site.name.as_str(), super::fingerprint(&(&site.extract, &site.articles, site.same_id))?);
    }
    let page_limits = super::fingerprint(&(params.limits.page_memory, params.limits.page_time))?;
    for (url, site, body_hash) in look.store.archived_articles(params.keep_vanished)? {
        let Some(profile) = profiles.get(site.as_str()) else { continue };
        let limits = Some(page_limits.clone());
        units.push(Unit { limits, ..Unit::new(url, combined(&[&body_hash, profile])) });
    }
    let recogniser = match params.ocr {
        Ocr::Tesseract if !origins.shelves.is_empty() => {
            Some(session.recogniser.get_or_insert_with(|| books::ocr::version(&params.ocr_program)).clone())
        }
        _ => None,
    };
    units.extend(books::units(shelves(origins, session)?, params, recogniser.as_deref())?);
    Ok(Listing::All(units))
}

/// Reads a unit's bytes; extraction itself runs on any thread.
///
/// # Errors
/// Kind `Store` or `Input`, naming the page or the book.
pub fn prepare(
    look: &Look<'_>,
    params: &Params,
    origins: Origins<'_>,
    session: &mut Session,
    unit: &Unit,
) -> Result<Work> {
    if let Some(page) = look.store.page(&unit.name)? {
        let site = site_of(origins.sites, &page)
            .cloned()
            .ok_or_else(|| Error::bug(format!("the page {} belongs to no site", page.url)))?;
        let (folder, params, reader) = (look.store.pages_folder(), params.clone(), origins.reader.clone());
        return Ok(Box::new(move || {
            let archived = warc::read(&folder, &page.warc)?;
            page_document(&page, &archived.body, &site, &params, &reader)
                .map_err(|error| error.while_doing(format!("extracting {}", page.url)))
        }));
    }
    let book = shelves(origins, session)?.books.get(&unit.name);
    let book = book.ok_or_else(|| Error::bug(format!("{} is neither a page nor a book", unit.name)))?;
    Ok(books::prepare(&unit.name, book, params, origins.reader))
}

/// The shelves, read once in a run.
fn shelves<'a>(origins: Origins<'_>, session: &'a mut Session) -> Result<&'a Shelves> {
    let shelves = match session.shelves.take() {
        Some(shelves) => shelves,
        None => Shelves::read(origins.shelves)?,
    };
    Ok(session.shelves.insert(shelves))
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
fn page_document(page: &Page, body: &[u8], site: &Site, params: &Params, reader: &Reader) -> Result<Output> {
    let url = Url::parse(&page.url).context(ErrorKind::Bug, || format!("the archive names {:?}", page.url))?;
    // A feed's copy of a page has none of the page's layout, for a profile to find its way in.
    let of_layout = site.extract.as_ref().filter(|_| page.content_type.as_deref() != Some(FEED_COPY));
    let job = PageJob::text(&page.url, page.content_type.as_deref(), of_layout.cloned(), Cost::from(&params.limits))?;
    let ReadPage::Text { extracted, agreement } = reader.page(&job, body)? else {
        return Err(Error::bug("asked for a page's text, a process answered with its links"));
    };
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
    let past_profile = of_layout.is_some() && !by_profile;
    let note = profile_key(site)?.filter(|_| of_layout.is_some()).map(|key| PageNote {
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
    let output = finish(
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
    Ok(if past_profile { output.count("pages on which the profile's body selects nothing", 1.0) } else { output })
}

/// The language that a text is in, among those that it may be taken for.
pub(super) fn identify(text: &str, params: &Params) -> Option<language::Guess> {
    language::identify(text, &params.languages)
}

/// A document, unless there is too little of it.
fn finish(document: Document, note: Option<PageNote>, params: &Params) -> Result<Output> {
    if document.text.chars().count() < params.min_chars {
        let records = Records::NoDocument { location: document.location, note };
        return Ok(Output { records, fingerprint: "too short".into(), counts: vec![("too short", 1.0)] });
    }
    let fingerprint = crate::store::documents::fingerprint(&document)?;
    Ok(Output { records: Records::Document { document, note }, fingerprint, counts: vec![("documents", 1.0)] })
}
