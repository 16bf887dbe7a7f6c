//! What sites publish for crawlers: sitemaps, and RSS, Atom and JSON feeds.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use url::Url;

use super::{charset, dates, dom};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::text::normalise;

/// Largest sitemap after decompression, in bytes: the sitemap protocol's 50 MB and some room.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Largest feed after decompression, in bytes. All of it is held in memory, several times its size.
const MAX_FEED_BYTES: u64 = 16 * 1024 * 1024;

/// Most items that a feed may have: feeds are the latest news, and have some tens.
const MAX_ITEMS: usize = 10_000;

/// Longest address that is read from a sitemap, in bytes: the protocol allows 2,048 characters.
const MAX_LOCATION: usize = 8 * 1024;

/// Bytes of all addresses of one sitemap: 50,000 addresses of 200 bytes.
const MAX_LOCATIONS: usize = 10_000_000;

/// Elements of a sitemap inside each other: extensions have five.
const MAX_DEPTH: usize = 100;

/// Most entries taken from one sitemap: the protocol's limit.
const MAX_ENTRIES: usize = 50_000;

/// What a sitemap lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Pages, with the time of their last change if it is given, as written and in order.
    pub urls: Vec<(String, Option<Timestamp>)>,
    /// Further sitemaps (a sitemap index), likewise.
    pub sitemaps: Vec<(String, Option<Timestamp>)>,
    /// Why the sitemap was not read to its end, if it was not. What stands above was read before.
    pub warning: Option<String>,
}

/// Reads a sitemap or a sitemap index, gzipped or plain.
///
/// Entities are not expanded beyond the five of XML and character references. Damage after the beginning and limits
/// (64 MiB, 50,000 entries, 10 MB of addresses, 100 elements inside each other) end the reading with a warning.
///
/// # Errors
/// Kind `Input`, when the bytes are no sitemap.
pub fn sitemap(bytes: &[u8]) -> Result<Sitemap> {
    let (bytes, cut) = decompressed(bytes, MAX_BYTES);
    let text = charset::decode(&bytes, None).text;
    let mut reading = SitemapReading::default();
    let mut reader = Reader::from_str(&text);
    reader.config_mut().allow_dangling_amp = true;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) if reading.path.is_empty() => break,
            Ok(Event::Eof) => {
                reading.warn("the sitemap ends in the middle");
                break;
            }
            Ok(event) => reading.take(event)?,
            Err(error) => {
                reading.warn(&format!("damaged at byte {}: {error}", reader.error_position()));
                break;
            }
        }
        if let Some(limit) = reading.limit() {
            reading.warn(&format!("more than {limit}; the rest was left out"));
            break;
        }
    }
    if !reading.has_root {
        let reason = reading.sitemap.warning.map(|warning| format!(" ({warning})")).unwrap_or_default();
        return Err(Error::input(format!("reading a sitemap: no <urlset> or <sitemapindex>{reason}")));
    }
    if let Some(cut) = cut {
        reading.warn(&cut);
    }
    Ok(reading.sitemap)
}

#[derive(Default)]
struct SitemapReading {
    sitemap: Sitemap,
    has_root: bool,
    /// Local names of the open elements.
    path: Vec<String>,
    location: String,
    last_change: String,
    /// Bytes of the addresses so far.
    locations: usize,
}

impl SitemapReading {
    fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Start(start) => {
                let name = start.local_name().into_inner().to_owned();
                if self.path.is_empty() {
                    self.root(&name)?;
                }
                self.path.push(name);
            }
            Event::Empty(start) if self.path.is_empty() => self.root(start.local_name().into_inner())?,
            Event::End(_) => {
                self.path.pop();
                if self.path.len() == 1 {
                    self.end_entry();
                }
            }
            Event::Text(text) => self.text(&text),
            Event::CData(text) => self.text(&text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => self.text(character.encode_utf8(&mut [0; 4])),
                _ => match resolve_xml_entity(&reference) {
                    Some(text) => self.text(text),
                    None => self.text(&format!("&{};", &*reference)),
                },
            },
            _ => {}
        }
        Ok(())
    }

    fn root(&mut self, name: &str) -> Result<()> {
        if !matches!(name, "urlset" | "sitemapindex") {
            return Err(Error::input(format!(
                "reading a sitemap: the document is a <{name}>, no <urlset> or <sitemapindex>"
            )));
        }
        self.has_root = true;
        Ok(())
    }

    /// Only `loc` and `lastmod` of the entry itself count: image extensions have a `loc` of their own, further down.
    fn text(&mut self, text: &str) {
        let [_, entry, field] = &self.path[..] else { return };
        match (entry.as_str(), field.as_str()) {
            ("url" | "sitemap", "loc") if self.location.len() <= MAX_LOCATION => self.location.push_str(text),
            ("url" | "sitemap", "lastmod") if self.last_change.len() <= MAX_LOCATION => self.last_change.push_str(text),
            _ => {}
        }
    }

    fn end_entry(&mut self) {
        let location = std::mem::take(&mut self.location);
        let last_change = std::mem::take(&mut self.last_change);
        if location.trim().is_empty() {
            return;
        }
        if location.len() > MAX_LOCATION {
            self.warn(&format!("addresses longer than {MAX_LOCATION} bytes were left out"));
            return;
        }
        self.locations += location.trim().len();
        let entry = (location.trim().to_owned(), dates::parse(&last_change, dates::TURKMENISTAN));
        if self.path[0] == "urlset" {
            self.sitemap.urls.push(entry);
        } else {
            self.sitemap.sitemaps.push(entry);
        }
    }

    /// The limit that was passed.
    fn limit(&self) -> Option<String> {
        if self.sitemap.urls.len() + self.sitemap.sitemaps.len() >= MAX_ENTRIES && self.path.len() > 1 {
            return Some(format!("{MAX_ENTRIES} entries"));
        }
        if self.locations > MAX_LOCATIONS {
            return Some(format!("{MAX_LOCATIONS} bytes of addresses"));
        }
        (self.path.len() > MAX_DEPTH).then(|| format!("{MAX_DEPTH} elements inside each other"))
    }

    fn warn(&mut self, warning: &str) {
        self.sitemap.warning.get_or_insert_with(|| warning.to_owned());
    }
}

/// An item of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedItem {
    /// The page that it announces.
    pub url: Url,
    /// Its title as text.
    pub title: Option<String>,
    /// When it was published, or else last changed.
    pub published: Option<Timestamp>,
    /// The whole text as HTML, if the feed carries it (`content:encoded`, Atom `content`).
    pub content_html: Option<String>,
}

/// Reads an RSS, Atom or JSON feed. `base` is the address it was fetched from. Items without a link are left out.
///
/// # Errors
/// Kind `Input`, when the bytes are no feed, are larger than 16 MiB, or have more than 10,000 items.
pub fn feed(bytes: &[u8], base: &Url) -> Result<Vec<FeedItem>> {
    let doing = || format!("reading the feed {base}");
    let (bytes, cut) = decompressed(bytes, MAX_FEED_BYTES);
    if let Some(cut) = cut {
        return Err(Error::input(cut).while_doing(doing()));
    }
    // Counted before anything is made of them; prefixes (`rss:item`) count as well, other elements do not.
    let items = bytes.split(|&byte| byte == b'<').filter(|tag| is_item(tag)).nth(MAX_ITEMS);
    if items.is_some() {
        let message = format!("it has more than the {MAX_ITEMS} items allowed; the site's sitemap may list its pages");
        return Err(Error::input(message).while_doing(doing()));
    }
    let parser = feed_rs::parser::Builder::new().base_uri(Some(base)).sanitize_content(false).build();
    let feed = parser.parse(&*bytes).context(ErrorKind::Input, doing)?;
    let item = |entry: feed_rs::model::Entry| {
        let link = entry.links.iter().find(|link| link.rel.as_deref().is_none_or(|rel| rel == "alternate"))?;
        let published = entry.published.or(entry.updated);
        Some(FeedItem {
            url: dom::resolve(base, &link.href)?,
            title: entry.title.map(|title| plain(&title.content)).filter(|title| !title.is_empty()),
            published: published.and_then(|time| Timestamp::from_second(time.timestamp()).ok()),
            content_html: entry.content.and_then(|content| content.body).filter(|body| !body.trim().is_empty()),
        })
    };
    Ok(feed.entries.into_iter().filter_map(item).collect())
}

/// Whether what follows a `<` is the start tag of an item of RSS or an entry of Atom.
fn is_item(tag: &[u8]) -> bool {
    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte)).unwrap_or(tag.len());
    let local = tag[..end].rsplit(|&byte| byte == b':').next();
    matches!(local, Some(b"item" | b"entry"))
}

/// The least text of an item that is taken for the whole article, in characters: teasers are shorter.
const WHOLE_TEXT: usize = 300;

/// An item's whole text as an HTML page of its own, with title and time where extraction looks for them; `None` when
/// the feed carries no text, or hardly more than a teaser.
pub fn page_of(item: &FeedItem) -> Option<String> {
    let content = item.content_html.as_deref()?;
    let text = dom::text(dom::parse(content).root_element());
    if text.chars().count() < WHOLE_TEXT {
        return None;
    }
    let title = escaped(item.title.as_deref().unwrap_or_default());
    let time = item.published.map(|time| format!("<meta property=\"article:published_time\" content=\"{time}\">"));
    Some(format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>{title}</title>{}</head>\
         <body><h1>{title}</h1><article>{content}</article></body></html>",
        time.unwrap_or_default()
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Titles are escaped once or twice, depending on the feed.
fn plain(title: &str) -> String {
    if title.contains(['&', '<']) { dom::text(dom::parse(title).root_element()) } else { normalise(title) }
}

/// Unpacks gzip, told by its first bytes, up to the limit; the second value says that and why something is missing.
fn decompressed(bytes: &[u8], most: u64) -> (Vec<u8>, Option<String>) {
    let mut unpacked = Vec::new();
    let outcome = if bytes.starts_with(&[0x1F, 0x8B]) {
        MultiGzDecoder::new(bytes).take(most + 1).read_to_end(&mut unpacked)
    } else {
        bytes.take(most + 1).read_to_end(&mut unpacked)
    };
    if unpacked.len() as u64 > most {
        unpacked.truncate(most as usize);
        return (unpacked, Some(format!("larger than {most} bytes after decompression")));
    }
    (unpacked, outcome.err().map(|error| format!("damaged gzip: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const URLSET: &str = r#"<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE urlset [<!ENTITY big "ha">]>
        <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="i">
        <url><loc> https://a.tm/?a=1&amp;b=&#50; </loc><lastmod>2026-03-14</lastmod>
          <image:image><image:loc>https://a.tm/x.jpg</image:loc></image:image></url>
        <url><loc><![CDATA[https://a.tm/c&d]]></loc></url><url><loc>https://a.tm/&big;</loc></url><url/></urlset>"#;

    #[test]
    fn a_urlset_plain_and_gzipped() {
        let expected = Sitemap {
            urls: vec![
                ("https://a.tm/?a=1&b=2".into(), Some("2026-03-13T19:00:00Z".parse().unwrap())),
                ("https://a.tm/c&d".into(), None),
                ("https://a.tm/&big;".into(), None),
            ],
            ..Sitemap::default()
        };
        assert_eq!(sitemap(URLSET.as_bytes()).unwrap(), expected);
        assert_eq!(sitemap(&gzip(URLSET.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn an_index() {
        let xml = "<sitemapindex><sitemap><loc>https://a.tm/1.xml.gz</loc><lastmod>2026-03-14T09:30:00+05:00</lastmod></sitemap></sitemapindex>";
        let found = sitemap(xml.as_bytes()).unwrap();
        assert_eq!(found.sitemaps, [("https://a.tm/1.xml.gz".into(), Some("2026-03-14T04:30:00Z".parse().unwrap()))]);
        assert_eq!((found.urls.len(), found.warning), (0, None));
    }

    #[test]
    fn damage_keeps_what_came_before_and_warns() {
        for xml in [
            "<urlset><url><loc>x</loc></url><url><lo",
            "<urlset><url><loc>x</loc></url><url></loc>",
            "<urlset><url><loc>x</loc></url>",
        ] {
            let found = sitemap(xml.as_bytes()).unwrap();
            assert_eq!(found.urls, [("x".to_owned(), None)], "{xml}");
            assert!(found.warning.is_some(), "{xml}");
        }
        let mut packed = gzip(URLSET.repeat(9).as_bytes());
        packed.truncate(packed.len() - 9);
        assert!(sitemap(&packed).unwrap().warning.is_some());
    }

    #[test]
    fn limits_hold() {
        let entry = "<url><loc>https://a.tm/</loc></url>";
        let exactly = format!("<urlset>{}</urlset>", entry.repeat(MAX_ENTRIES));
        assert_eq!(sitemap(exactly.as_bytes()).unwrap().warning, None);
        let more = format!("<urlset>{}</urlset>", entry.repeat(MAX_ENTRIES + 5));
        let found = sitemap(&gzip(more.as_bytes())).unwrap();
        assert_eq!(found.urls.len(), MAX_ENTRIES);
        assert!(found.warning.unwrap().contains("50000"));
        let bomb = gzip(&vec![b' '; MAX_BYTES as usize + 10]);
        assert!(sitemap(&[gzip(b"<urlset>"), bomb].concat()).unwrap().warning.is_some());
    }

    #[test]
    fn bombs_end_with_a_note_and_little_memory() {
        let nested = [b"<urlset><url><loc>https://a.tm/1</loc></url>".as_slice(), &b"<a>".repeat(20_000_000)].concat();
        let found = sitemap(&gzip(&nested)).unwrap();
        assert_eq!(found.urls.len(), 1);
        assert!(found.warning.unwrap().contains("100 elements inside each other"));
        let long = format!("<url><loc>https://a.tm/{}</loc></url>", "b".repeat(6_000));
        let found = sitemap(&gzip(format!("<urlset>{}</urlset>", long.repeat(5_000)).as_bytes())).unwrap();
        assert!((1_600..1_700).contains(&found.urls.len()), "{}", found.urls.len());
        assert!(found.warning.unwrap().contains("bytes of addresses"));
        let longer =
            format!("<urlset><url><loc>https://a.tm/{}</loc></url><url><loc>x</loc></url></urlset>", "b".repeat(9_000));
        let found = sitemap(longer.as_bytes()).unwrap();
        assert_eq!((found.urls.len(), found.urls[0].0.as_str()), (1, "x"));
        assert!(found.warning.unwrap().contains("longer than"));
    }

    #[test]
    fn feeds_have_a_limit_of_items_and_bytes() {
        let base = Url::parse("https://a.tm/rss").unwrap();
        let of = |items: usize| {
            let items = "<item><link>/7</link><itemid/></item>".repeat(items);
            gzip(format!("<rss version='2.0'><channel>{items}</channel></rss>").as_bytes())
        };
        assert_eq!(feed(&of(MAX_ITEMS), &base).unwrap().len(), MAX_ITEMS);
        let error = feed(&of(MAX_ITEMS + 1), &base).unwrap_err().to_string();
        assert!(error.contains("https://a.tm/rss") && error.contains("10000 items"), "{error}");
        let error = feed(&gzip(&vec![b' '; MAX_FEED_BYTES as usize + 1]), &base).unwrap_err().to_string();
        assert!(error.contains("larger than 16777216 bytes"), "{error}");
    }

    #[test]
    fn other_documents_are_errors_that_say_what_they_are() {
        let error = sitemap(b"<!doctype html><html><body>404").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("<html>"), "{error}");
        assert!(sitemap(b"").is_err());
        assert!(sitemap(b"not found").is_err());
    }

    #[test]
    fn an_rss_feed_with_whole_texts() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
            <channel><title>t</title><item><title>T&amp;auml;ze &lt;b&gt;k&ouml;pri&lt;/b&gt;</title><link>/tm/news/7</link>
            <pubDate>Sat, 14 Mar 2026 09:30:00 +0500</pubDate><description>short</description>
            <content:encoded><![CDATA[<p>Doly <i>tekst</i></p>]]></content:encoded></item>
            <item><title>no link</title></item></channel></rss>"#.replace("&ouml;", "ö");
        let base = Url::parse("https://a.tm/tm/rss").unwrap();
        let expected = FeedItem {
            url: Url::parse("https://a.tm/tm/news/7").unwrap(),
            title: Some("Täze köpri".into()),
            published: Some("2026-03-14T04:30:00Z".parse().unwrap()),
            content_html: Some("<p>Doly <i>tekst</i></p>".into()),
        };
        let items = feed(xml.as_bytes(), &base).unwrap();
        assert_eq!(items, [expected]);
        assert_eq!(page_of(&items[0]), None, "two words are no article");
    }

    #[test]
    fn a_whole_text_becomes_a_page_that_extraction_reads() {
        let sentence = "Täze köpri açyldy we ýol gysgaldy. ";
        let item = FeedItem {
            url: Url::parse("https://a.tm/tm/news/7").unwrap(),
            title: Some("Köpri <7> & ýol".into()),
            published: Some("2026-03-14T04:30:00Z".parse().unwrap()),
            content_html: Some(format!("<p>{}</p><p>Soňky habar şu.</p>", sentence.repeat(10))),
        };
        let page = page_of(&item).unwrap();
        let found = super::super::html::extract(&page, &item.url, None);
        assert_eq!((found.title, found.date), (item.title, item.published));
        assert_eq!(found.blocks.len(), 2);
        assert_eq!(found.blocks[0].1, sentence.repeat(10).trim());
    }

    #[test]
    fn deep_nesting_in_a_feed_is_harmless() {
        let deep = 100_000;
        let inside = format!("{}{}", "<a>".repeat(deep), "</a>".repeat(deep));
        let base = Url::parse("https://a.tm/rss").unwrap();
        for xml in [
            format!("<rss version='2.0'><channel><item><link>/7</link><x>{inside}</x></item></channel></rss>"),
            format!(
                "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='xhtml'>{inside}</content></entry></feed>"
            ),
        ] {
            let _either = feed(xml.as_bytes(), &base);
        }
        assert!(sitemap(format!("<urlset>{inside}</urlset>").as_bytes()).unwrap().urls.is_empty());
    }

    #[test]
    fn an_atom_feed_and_no_feed() {
        let xml = r#"<feed xmlns="http://www.w3.org/2005/Atom"><id>i</id><title>t</title><updated>2026-03-14T00:00:00Z</updated>
            <entry><id>e</id><title>x</title><updated>2026-03-14T04:30:00Z</updated>
            <link rel="self" href="https://a.tm/self"/><link rel="alternate" href="https://a.tm/8"/></entry></feed>"#;
        let base = Url::parse("https://a.tm/atom").unwrap();
        let items = feed(xml.as_bytes(), &base).unwrap();
        assert_eq!(
            (items[0].url.as_str(), items[0].published.unwrap().to_string().as_str()),
            ("https://a.tm/8", "2026-03-14T04:30:00Z")
        );
        let error = feed(b"<html></html>", &base).unwrap_err();
        assert!(error.to_string().contains("https://a.tm/atom"), "{error}");
    }
}
