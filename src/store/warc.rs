//! The page archive: WARC 1.1 (ISO 28500:2017), one gzip member a record, as `warcio`, `pywb` and Heritrix read it.
//!
//! ```text
//! warcinfo │ request, response │ request, revisit │ resource │ …                each a gzip member of its own
//!                    ▲ WarcRef { file, offset, length }
//! ```
//!
//! A file only grows. What was appended is synced before a row of the store that names it is committed, so the file is
//! never shorter than the store says, unless somebody else cut it; it may be longer, after a kill or when an older copy
//! of the database was put back. Whole records that the store does not know are indexed ([`scan`]), never cut off.
//!
//! Bodies are stored as they are after transfer and content decoding, as every reader of the corpus wants them. Headers
//! that described the coded form are kept under the prefix `X-Archive-Orig-`. Digests are `sha1:` in Base32, the one
//! form that all tools check. Record ids are UUIDs (version 8) of the record's content, URL and date: what is written
//! twice has the same id.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use sha1::{Digest as _, Sha1};
use url::Url;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::WarcRef;

pub mod scan;

const VERSION: &str = "WARC/1.1";
const NOT_MODIFIED: &str = "http://netpreserve.org/warc/1.1/revisit/server-not-modified";
const IDENTICAL: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";

/// Headers that describe how a body was coded on its way.
const CODING_HEADERS: &[&str] = &["content-encoding", "transfer-encoding", "content-length"];

/// One GET request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The URL asked for.
    pub url: &'a str,
    /// When.
    pub at: Timestamp,
    /// The address that answered, if known.
    pub ip: Option<IpAddr>,
    /// What was sent.
    pub request_headers: &'a [(String, String)],
    /// HTTP status.
    pub status: u16,
    /// The words after the status, where the protocol has them.
    pub reason: Option<&'a str>,
    /// What came back.
    pub response_headers: &'a [(String, String)],
    /// The body, decoded.
    pub body: &'a [u8],
}

/// A response read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedResponse {
    /// The URL asked for.
    pub url: String,
    /// When.
    pub at: Timestamp,
    /// HTTP status.
    pub status: u16,
    /// Headers as archived, see the module's words on codings.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// A WARC file open at its end.
#[derive(Debug)]
pub struct WarcWriter {
    file: File,
    path: PathBuf,
    name: String,
    length: u64,
    /// Up to here everything is known to be on the disk.
    synced: u64,
}

impl WarcWriter {
    /// Opens `file_name` in `folder` for appending at its end. A new file begins with its `warcinfo` record. What the
    /// file ends with must be a whole record: [`scan`] finds that out.
    ///
    /// # Errors
    /// Kind `Store`: the file cannot be written.
    pub fn open(folder: &Path, file_name: &str) -> Result<Self> {
        let path = path_in(folder, file_name)?;
        files::create_folder(folder)?;
        let doing = || format!("opening the page archive {}", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .context(ErrorKind::Store, doing)?;
        let length = file.metadata().context(ErrorKind::Store, doing)?.len();
        let mut writer = Self { file, path, name: file_name.to_owned(), length, synced: length };
        if length == 0 {
            writer.write_info()?;
            // The new name itself must survive a power cut too.
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .context(ErrorKind::Store, || format!("syncing the folder {}", folder.display()))?;
        }
        Ok(writer)
    }

    /// Appends a request and its response; the reference is to the response.
    ///
    /// # Errors
    /// Kind `Store`; the file is then as before.
    pub fn append(&mut self, exchange: &Exchange<'_>) -> Result<WarcRef> {
        let head = response_head(exchange);
        let mut block = head.clone().into_bytes();
        block.extend_from_slice(exchange.body);
        let mut record = Record::new("response", exchange, block);
        record.field("Content-Type", "application/http;msgtype=response");
        record.field("WARC-Payload-Digest", &sha1_digest(exchange.body));
        self.append_with_request(exchange, record)
    }

    /// Appends a request whose answer says that the page is as it was fetched before, at `original` if known: a 304, or
    /// the same bytes once more, which are then not stored again.
    ///
    /// # Errors
    /// Kind `Store`; the file is then as before.
    pub fn append_revisit(&mut self, exchange: &Exchange<'_>, original: Option<Timestamp>) -> Result<WarcRef> {
        let mut record = Record::new("revisit", exchange, response_head(exchange).into_bytes());
        record.field("Content-Type", "application/http;msgtype=response");
        if exchange.status == 304 {
            record.field("WARC-Profile", NOT_MODIFIED);
        } else {
            record.field("WARC-Profile", IDENTICAL);
            record.field("WARC-Payload-Digest", &sha1_digest(exchange.body));
        }
        if let Some(original) = original {
            record.field("WARC-Refers-To-Target-URI", exchange.url);
            record.field("WARC-Refers-To-Date", &original.to_string());
        }
        self.append_with_request(exchange, record)
    }

    /// Appends what a feed says of a page, under the page's URL: a `resource`, since no request was made for it.
    ///
    /// # Errors
    /// Kind `Store`; the file is then as before.
    pub fn append_resource(&mut self, url: &str, at: Timestamp, content_type: &str, body: &[u8]) -> Result<WarcRef> {
        let mut record = Record::bare("resource", record_id("resource", url, at, body), at, body);
        record.field("WARC-Target-URI", url);
        record.field("WARC-Payload-Digest", &sha1_digest(body));
        record.field("Content-Type", content_type);
        let doing = || format!("packing the feed's copy of {url} for {}", self.path.display());
        let member = record.compressed().context(ErrorKind::Store, doing)?;
        let offset = self.length;
        self.write(&member)?;
        Ok(WarcRef { file: self.name.clone(), offset, length: self.length - offset })
    }

    /// Waits until everything appended lies on the disk. Due before a row that names it is committed.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sync(&mut self) -> Result<()> {
        if self.synced < self.length {
            self.file.sync_data().context(ErrorKind::Store, || format!("syncing {}", self.path.display()))?;
            self.synced = self.length;
        }
        Ok(())
    }

    /// Its name inside the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a file that is open has at least its warcinfo record")]
    pub fn len(&self) -> u64 {
        self.length
    }

    fn write_info(&mut self) -> Result<()> {
        let block = format!(
            "software: {} {}\r\nformat: WARC File Format 1.1\r\n\
             conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
        );
        let now = Timestamp::now();
        let mut record = Record::bare("warcinfo", record_id("warcinfo", &self.name, now, block.as_bytes()), now, block);
        record.field("WARC-Filename", &self.name);
        record.field("Content-Type", "application/warc-fields");
        let member =
            record.compressed().context(ErrorKind::Store, || format!("packing for {}", self.path.display()))?;
        self.write(&member)
    }

    fn append_with_request(&mut self, exchange: &Exchange<'_>, answer: Record) -> Result<WarcRef> {
        let mut request = Record::new("request", exchange, request_head(exchange)?.into_bytes());
        request.field("Content-Type", "application/http;msgtype=request");
        request.field("WARC-Concurrent-To", &answer.id);
        let doing = || format!("packing {} for {}", exchange.url, self.path.display());
        let mut members = request.compressed().context(ErrorKind::Store, doing)?;
        let request_length = members.len() as u64;
        members.extend(answer.compressed().context(ErrorKind::Store, doing)?);
        let offset = self.length + request_length;
        self.write(&members)?;
        Ok(WarcRef { file: self.name.clone(), offset, length: self.length - offset })
    }

    /// Writes at the end, or not at all.
    fn write(&mut self, members: &[u8]) -> Result<()> {
        let result = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(members));
        if let Err(error) = result {
            // Half a record is cut off now or, if that fails as well, overwritten by the next.
            let _ = self.file.set_len(self.length);
            let doing = format!("writing {} at byte {}", self.path.display(), self.length);
            return Err(Error::with_source(ErrorKind::Store, doing, error));
        }
        self.length += members.len() as u64;
        Ok(())
    }
}

/// A WARC record before compression.
struct Record {
    id: String,
    head: String,
    block: Vec<u8>,
}

impl Record {
    fn new(kind: &str, exchange: &Exchange<'_>, block: Vec<u8>) -> Self {
        let id = record_id(kind, exchange.url, exchange.at, &block);
        let mut record = Self::bare(kind, id, exchange.at, block);
        record.field("WARC-Target-URI", exchange.url);
        if let Some(ip) = exchange.ip {
            record.field("WARC-IP-Address", &ip.to_string());
        }
        record
    }

    fn bare(kind: &str, id: String, at: Timestamp, block: impl Into<Vec<u8>>) -> Self {
        let mut record = Self { id, head: format!("{VERSION}\r\n"), block: block.into() };
        let id = record.id.clone();
        record.field("WARC-Type", kind);
        record.field("WARC-Record-ID", &id);
        record.field("WARC-Date", &at.to_string());
        record.field("WARC-Block-Digest", &sha1_digest(&record.block));
        record.field("Content-Length", &record.block.len().to_string());
        record
    }

    fn field(&mut self, name: &str, value: &str) {
        push_field(&mut self.head, name, value);
    }

    fn compressed(&self) -> std::io::Result<Vec<u8>> {
        let mut member = GzEncoder::new(Vec::new(), Compression::default());
        member.write_all(self.head.as_bytes())?;
        member.write_all(b"\r\n")?;
        member.write_all(&self.block)?;
        member.write_all(b"\r\n\r\n")?;
        member.finish()
    }
}

/// Reads the response at `at` in `folder`, or the copy of a page that a feed carried (status 200, no headers).
///
/// # Errors
/// Kind `Store`, naming file and offset: the file is gone, shorter, or damaged there, or holds another kind of record.
pub fn read(folder: &Path, at: &WarcRef) -> Result<ArchivedResponse> {
    let path = path_in(folder, &at.file)?;
    let place = || format!("reading the page archive {} at byte {}", path.display(), at.offset);
    let damaged = |what: &str| Error::new(ErrorKind::Store, format!("{}: {what}; restore the file", place()));

    let mut file = File::open(&path).context(ErrorKind::Store, place)?;
    let file_length = file.metadata().context(ErrorKind::Store, place)?.len();
    // Before memory is set aside for it: the length may be as damaged as the file.
    if at.offset.checked_add(at.length).is_none_or(|end| end > file_length) {
        return Err(damaged(&format!("the record of {} bytes ends after the file's {file_length}", at.length)));
    }
    file.seek(SeekFrom::Start(at.offset)).context(ErrorKind::Store, place)?;
    let mut member = Vec::new();
    file.take(at.length).read_to_end(&mut member).context(ErrorKind::Store, place)?;
    let mut decoder = GzDecoder::new(member.as_slice());
    let mut record = Vec::new();
    decoder.read_to_end(&mut record).map_err(|error| damaged(&format!("the gzip member is broken ({error})")))?;
    if !decoder.into_inner().is_empty() {
        return Err(damaged("the gzip member ends too early"));
    }
    parse_response(&record).map_err(damaged)
}

/// Takes a response record apart; the error says what is wrong with it.
fn parse_response(record: &[u8]) -> Result<ArchivedResponse, &'static str> {
    let (version, fields, block) = split_head(record).ok_or("the record has no head")?;
    let field = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if !version.starts_with("WARC/1.") {
        return Err("it is no WARC record");
    }
    let is_resource = match field("WARC-Type").map(String::as_str) {
        Some("response") => false,
        Some("resource") => true,
        _ => return Err("the record is no response"),
    };
    let length: usize = field("Content-Length").and_then(|text| text.parse().ok()).ok_or("the record has no length")?;
    let block = block
        .strip_suffix(b"\r\n\r\n")
        .filter(|block| block.len() == length)
        .ok_or("the record's length is not the one in its head")?;
    let url = field("WARC-Target-URI").ok_or("the record has no URL")?.clone();
    let at = field("WARC-Date").and_then(|text| text.parse().ok()).ok_or("the record has no date")?;
    if is_resource {
        return Ok(ArchivedResponse { url, at, status: 200, headers: Vec::new(), body: block.to_vec() });
    }
    let (status_line, headers, body) = split_head(block).ok_or("the response has no head")?;
    let status =
        status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("the response has no status")?;
    Ok(ArchivedResponse { url, at, status, headers, body: body.to_vec() })
}

type Head<'a> = (String, Vec<(String, String)>, &'a [u8]);

/// First line, header fields, and what follows the empty line.
fn split_head(bytes: &[u8]) -> Option<Head<'_>> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let first = lines.next()?.to_owned();
    let fields = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect::<Option<Vec<_>>>()?;
    Some((first, fields, &bytes[end + 4..]))
}

fn request_head(exchange: &Exchange<'_>) -> Result<String> {
    let url = Url::parse(exchange.url)
        .context(ErrorKind::Bug, || format!("archiving an exchange whose URL is {:?}", exchange.url))?;
    let mut head = format!("GET {} HTTP/1.1\r\n", &url[url::Position::BeforePath..url::Position::AfterQuery]);
    if !exchange.request_headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        push_field(&mut head, "host", &url[url::Position::BeforeHost..url::Position::AfterPort]);
    }
    for (name, value) in exchange.request_headers {
        push_field(&mut head, name, value);
    }
    head.push_str("\r\n");
    Ok(head)
}

/// Status line and headers, the latter true of the body as it is stored.
fn response_head(exchange: &Exchange<'_>) -> String {
    let mut head = String::new();
    let status = format!("HTTP/1.1 {} {}", exchange.status, exchange.reason.unwrap_or_default());
    head.extend(status.chars().map(without_control));
    head.push_str("\r\n");
    // A 304 may state the length of the body that it does not send; nothing was decoded there.
    let stored_length = exchange.body.len().to_string();
    let has_body = exchange.status != 304;
    for (name, value) in exchange.response_headers {
        let describes_coding = has_body && CODING_HEADERS.iter().any(|coding| name.eq_ignore_ascii_case(coding));
        if describes_coding && *value != stored_length {
            push_field(&mut head, &format!("X-Archive-Orig-{name}"), value);
        } else if !describes_coding {
            push_field(&mut head, name, value);
        }
    }
    if has_body {
        push_field(&mut head, "content-length", &stored_length);
    }
    head.push_str("\r\n");
    head
}

/// Appends `name: value`. A line break inside either would begin a field of its own, so it becomes a space.
fn push_field(head: &mut String, name: &str, value: &str) {
    head.extend(name.chars().map(without_control));
    head.push_str(": ");
    head.extend(value.chars().map(without_control));
    head.push_str("\r\n");
}

fn without_control(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// A UUID of version 8 (RFC 9562: free use) from what the record says.
fn record_id(kind: &str, url: &str, at: Timestamp, block: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [kind.as_bytes(), url.as_bytes(), at.to_string().as_bytes(), block] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<urn:uuid:{}-{}-{}-{}-{}>", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn sha1_digest(bytes: &[u8]) -> String {
    format!("sha1:{}", base32(&Sha1::digest(bytes)))
}

/// Base32 by RFC 4648 of a whole number of five-byte groups, as SHA-1's 20 bytes are: no padding arises.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let groups = bytes.chunks_exact(5).flat_map(|group| {
        let bits = group.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        (0..8).rev().map(move |at| char::from(ALPHABET[(bits >> (5 * at)) as usize & 31]))
    });
    groups.collect()
}

/// `folder/name`, for a plain name: a reference must not lead out of the archive.
fn path_in(folder: &Path, name: &str) -> Result<PathBuf> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(Error::new(ErrorKind::Store, format!("{name:?} is no name of a page archive file")));
    }
    Ok(folder.join(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::store) const NAME: &str = "kopri-00001.warc.gz";

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub(in crate::store) fn append(
        writer: &mut WarcWriter,
        url: &str,
        response_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<WarcRef> {
        writer.append(&Exchange {
            url,
            at: "2024-05-06T07:08:09.25Z".parse().unwrap(),
            ip: Some(IpAddr::from([127, 0, 0, 1])),
            request_headers: &headers(&[("user-agent", "kopri-test/1.0")]),
            status: 200,
            reason: Some("OK"),
            response_headers: &headers(response_headers),
            body,
        })
    }

    fn unzip(bytes: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_is_appended_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        let body = "<p>Aşgabat</p>\r\n\r\nmore".as_bytes();
        let sent = [("content-type", "text/html"), ("transfer-encoding", "chunked"), ("content-encoding", "gzip")];
        let first = append(&mut writer, "http://bossan.test/tm/1?a=b", &sent, body).unwrap();
        let second = append(&mut writer, "http://bossan.test/2", &[("content-length", "0")], b"").unwrap();
        writer.sync().unwrap();
        assert_eq!(second.offset + second.length, writer.len());

        let page = read(folder.path(), &first).unwrap();
        assert_eq!((page.url.as_str(), page.status), ("http://bossan.test/tm/1?a=b", 200));
        assert_eq!(page.at.to_string(), "2024-05-06T07:08:09.25Z");
        assert_eq!(page.body, body);
        let expected = [
            ("content-type", "text/html"),
            ("X-Archive-Orig-transfer-encoding", "chunked"),
            ("X-Archive-Orig-content-encoding", "gzip"),
            ("content-length", "23"),
        ];
        assert_eq!(page.headers, headers(&expected));
        let empty = read(folder.path(), &second).unwrap();
        assert_eq!((empty.body.len(), empty.headers), (0, headers(&[("content-length", "0")])));
    }

    #[test]
    fn the_records_are_those_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        let at = append(&mut writer, "http://bossan.test:8080/tm/1?a=b#c", &[], b"abc").unwrap();
        let bytes = files::read(&folder.path().join(NAME)).unwrap();
        let all = unzip(&bytes);
        assert!(all.starts_with("WARC/1.1\r\nWARC-Type: warcinfo\r\n"), "{all}");
        assert!(all.contains("GET /tm/1?a=b HTTP/1.1\r\nhost: bossan.test:8080\r\nuser-agent: kopri-test/1.0\r\n\r\n"));
        let response = unzip(&bytes[usize::try_from(at.offset).unwrap()..]);
        // SHA-1 of "abc" is a9993e36 4706816a ba3e2571 7850c26c 9cd0d89d (FIPS 180-2, appendix A).
        assert!(response.contains("WARC-Payload-Digest: sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5\r\n"), "{response}");
        assert!(response.contains("WARC-IP-Address: 127.0.0.1\r\n"));
        assert!(response.ends_with("\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\r\n\r\n"), "{response}");
        let id = response.split("WARC-Record-ID: ").nth(1).unwrap().split("\r\n").next().unwrap();
        assert_eq!((id.len(), &id[24..25]), ("<urn:uuid:12345678-1234-1234-1234-123456789012>".len(), "8"));
        assert!(all.contains(&format!("WARC-Concurrent-To: {id}\r\n")));
    }

    #[test]
    fn a_revisit_says_what_it_revisits_and_is_no_response() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        let exchange = Exchange {
            url: "http://bossan.test/1",
            at: "2024-05-07T00:00:00Z".parse().unwrap(),
            ip: None,
            request_headers: &headers(&[("if-none-match", "\"v1\"")]),
            status: 304,
            reason: Some("Not Modified"),
            response_headers: &headers(&[("etag", "\"v1\""), ("content-length", "900")]),
            body: b"",
        };
        let at = writer.append_revisit(&exchange, Some("2024-05-06T00:00:00Z".parse().unwrap())).unwrap();
        let bytes = files::read(&folder.path().join(NAME)).unwrap();
        let record = unzip(&bytes[usize::try_from(at.offset).unwrap()..]);
        assert!(record.contains(&format!("WARC-Profile: {NOT_MODIFIED}\r\n")), "{record}");
        assert!(record.contains("WARC-Refers-To-Date: 2024-05-06T00:00:00Z\r\n"), "{record}");
        let head = "HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\ncontent-length: 900\r\n\r\n\r\n\r\n";
        assert!(record.ends_with(head), "{record}");
        let error = read(folder.path(), &at).unwrap_err().to_string();
        assert!(error.contains("the record is no response"), "{error}");
    }

    #[test]
    fn a_file_is_gone_on_with_at_its_end_and_never_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        let first = append(&mut writer, "http://bossan.test/1", &[], b"one").unwrap();
        drop(writer);
        let path = folder.path().join(NAME);
        let before = files::read(&path).unwrap();

        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        assert_eq!(writer.len(), first.offset + first.length, "no second warcinfo");
        let second = append(&mut writer, "http://bossan.test/2", &[], b"two").unwrap();
        writer.sync().unwrap();
        assert!(files::read(&path).unwrap().starts_with(&before));
        assert_eq!(read(folder.path(), &first).unwrap().body, b"one");
        assert_eq!(read(folder.path(), &second).unwrap().body, b"two");
        assert!(WarcWriter::open(folder.path(), "../out.warc.gz").is_err());
    }

    #[test]
    fn damage_is_named_with_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        let first = append(&mut writer, "http://bossan.test/1", &[], &b"one two three ".repeat(50)).unwrap();
        let second = append(&mut writer, "http://bossan.test/2", &[], b"two").unwrap();
        let path = folder.path().join(NAME);
        let whole = files::read(&path).unwrap();
        let middle = usize::try_from(first.offset + first.length / 2).unwrap();

        let mut flipped = whole.clone();
        flipped[middle] ^= 0x10;
        std::fs::write(&path, flipped).unwrap();
        let error = read(folder.path(), &first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains(&format!("{NAME} at byte {}", first.offset)), "{error}");
        assert!(read(folder.path(), &second).is_ok(), "the next record is whole");

        std::fs::write(&path, &whole[..middle]).unwrap();
        let error = read(folder.path(), &first).unwrap_err();
        assert!(error.to_string().contains("ends after the file's"), "{error}");

        std::fs::write(&path, &whole).unwrap();
        let shorter = WarcRef { length: first.length - 3, ..first.clone() };
        assert!(read(folder.path(), &shorter).is_err());
        let longer = WarcRef { length: first.length + 3, ..first.clone() };
        assert!(read(folder.path(), &longer).unwrap_err().to_string().contains("ends too early"));
        let beside = WarcRef { file: "../secret".to_owned(), ..first };
        assert!(read(folder.path(), &beside).is_err());
    }

    proptest! {
        #[test]
        fn any_body_and_any_header_value_come_back(
            body in proptest::collection::vec(any::<u8>(), 0..400),
            value in "[ -~а-яşňž\r\n]{0,30}",
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
            let at = append(&mut writer, "http://bossan.test/x", &[("x-any", &value)], &body).unwrap();
            let page = read(folder.path(), &at).unwrap();
            prop_assert_eq!(page.body, body);
            let expected = value.replace(['\r', '\n'], " ").trim().to_owned();
            prop_assert_eq!(&page.headers[0], &("x-any".to_owned(), expected));
        }
    }
}
