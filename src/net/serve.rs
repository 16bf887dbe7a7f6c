//! A web server for folders of files, on loopback: the sites of the demo and of the tests.
//!
//! It answers as a well-kept site does (validators, 304, redirects), so that a crawl of it exercises the same code as
//! one of the web. Files are read anew for each request: a test edits them between two runs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::url::encoded_byte;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;

/// The file of a site that holds its redirects: lines `/from /to 301`, `#` for comments. They win over files.
const REDIRECTS: &str = "_redirects";

/// One answered request: host, path with query as asked for, status.
pub type Logged = (String, String, u16);

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct SiteServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Host name in lower case → its folder.
    sites: BTreeMap<String, PathBuf>,
    log: Mutex<Vec<Logged>>,
}

impl SiteServer {
    /// Serves each folder under its host name, at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Kind `Input` for a folder that is not there, kind `Network` when the port or the thread cannot be had.
    pub fn start(sites: &[(String, PathBuf)]) -> Result<Self> {
        let mut by_host = BTreeMap::new();
        for (host, folder) in sites {
            let folder = folder
                .canonicalize()
                .context(ErrorKind::Input, || format!("serving {} as {host}", folder.display()))?;
            by_host.insert(host.to_ascii_lowercase(), folder);
        }
        let shared = Arc::new(Shared { sites: by_host, log: Mutex::default() });

        let doing = || "starting the site server on 127.0.0.1".to_owned();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context(ErrorKind::Network, doing)?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context(ErrorKind::Network, doing)?;
        let address = listener.local_addr().context(ErrorKind::Network, doing)?;
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("site-server".to_owned())
            .spawn(move || {
                // Dropping the runtime afterwards closes the connections that are still open.
                runtime.block_on(async {
                    tokio::select! {
                        () = serving => (),
                        _ = stopped => (),
                    }
                });
            })
            .context(ErrorKind::Network, doing)?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The hosts it serves, all at [`addr`](Self::addr), as [`Settings::resolve`](super::Settings::resolve) takes them.
    pub fn resolve(&self) -> BTreeMap<String, SocketAddr> {
        self.shared.sites.keys().map(|host| (host.clone(), self.address)).collect()
    }

    /// What was asked for so far, in order.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SiteServer {
    fn drop(&mut self) {
        // Sending fails only if the thread has ended by itself.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely; some come free when connections end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(|request: Request<Incoming>| {
                let reply = shared.answer(&request);
                async move { Ok::<_, Infallible>(reply.into_response()) }
            });
            // A client that goes away is no concern of the server.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A response before it takes hyper's form.
struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// A small page that says what the status means.
    fn page(status: StatusCode, words: &str) -> Self {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!("<!DOCTYPE html><title>{status}</title><h1>{status}</h1><p>{words}</p>\n").into_bytes();
        Self { status, headers: vec![(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned())], body }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = value.try_into() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl Shared {
    /// Answers and logs. Reading a file blocks the server's one thread, which is all that a handful of clients need.
    fn answer(&self, request: &Request<Incoming>) -> Reply {
        let host = host_name(request);
        let reply = match self.sites.get(&host) {
            None => Reply::page(StatusCode::NOT_FOUND, &format!("no site is called {host:?} here")),
            Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                let mut reply = Reply::page(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
                reply.headers.push((header::ALLOW, "GET, HEAD".to_owned()));
                reply
            }
            Some(folder) => answer_from(folder, request.uri().path(), request.headers())
                .unwrap_or_else(|error| Reply::page(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())),
        };
        let asked = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push((host, asked, reply.status.as_u16()));
        reply
    }
}

fn host_name(request: &Request<Incoming>) -> String {
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str()).or(header).unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    name.to_ascii_lowercase()
}

fn answer_from(folder: &Path, asked: &str, conditions: &HeaderMap) -> Result<Reply> {
    if let Some((status, target)) = redirect(folder, asked)? {
        let mut reply = Reply::page(status, &format!("moved to {target}"));
        reply.headers.push((header::LOCATION, target));
        return Ok(reply);
    }
    let Some(path) = find_file(folder, asked) else {
        return Ok(Reply::page(StatusCode::NOT_FOUND, &format!("there is no page {asked}")));
    };
    let body = files::read(&path)?;
    let modified = files::open(&path)?
        .metadata()
        .and_then(|metadata| metadata.modified())
        .context(ErrorKind::Input, || format!("reading the time of {}", path.display()))?;
    let tag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
    let mut headers = vec![(header::ETAG, tag.clone()), (header::LAST_MODIFIED, httpdate::fmt_http_date(modified))];
    if still_holds(conditions, &tag, modified) {
        return Ok(Reply { status: StatusCode::NOT_MODIFIED, headers, body: Vec::new() });
    }
    headers.push((header::CONTENT_TYPE, media_type(&path).to_owned()));
    Ok(Reply { status: StatusCode::OK, headers, body })
}

/// Whether the client's copy is the present one. `If-None-Match` decides alone when it is there (RFC 9110, 13.2.2).
fn still_holds(conditions: &HeaderMap, tag: &str, modified: SystemTime) -> bool {
    let text = |name: HeaderName| conditions.get(name).and_then(|value| value.to_str().ok());
    if let Some(tags) = text(header::IF_NONE_MATCH) {
        let strong = |candidate: &str| candidate.trim().trim_start_matches("W/") == tag;
        return tags.trim() == "*" || tags.split(',').any(strong);
    }
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    text(header::IF_MODIFIED_SINCE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .is_some_and(|since| seconds(modified) <= seconds(since))
}

/// What the site's `_redirects` says of a path.
fn redirect(folder: &Path, asked: &str) -> Result<Option<(StatusCode, String)>> {
    let path = folder.join(REDIRECTS);
    if !path.is_file() {
        return Ok(None);
    }
    for (index, line) in files::read_text(&path)?.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let fields: Vec<&str> = line.split_whitespace().collect();
        let status = |code: &str| {
            code.parse::<u16>()
                .ok()
                .filter(|code| matches!(code, 301 | 302 | 303 | 307 | 308))
                .and_then(|code| StatusCode::from_u16(code).ok())
        };
        match fields.as_slice() {
            [] => (),
            [from, to, code] if status(code).is_some() => {
                if decoded(from) == decoded(asked) {
                    return Ok(status(code).map(|status| (status, (*to).to_owned())));
                }
            }
            _ => {
                let at = format!("{} line {}", path.display(), index + 1);
                return Err(Error::input(format!("{at}: {line:?} is not `/from /to 301`")));
            }
        }
    }
    Ok(None)
}

/// The file that a path names: itself, with `.html`, or the `index.html` in it.
fn find_file(folder: &Path, asked: &str) -> Option<PathBuf> {
    let mut path = folder.to_path_buf();
    let mut name = None;
    for segment in asked.split('/').filter(|segment| !segment.is_empty()) {
        let segment = decoded(segment)?;
        if segment.starts_with('.') || segment == REDIRECTS || segment.contains(['/', '\\', '\0', ':']) {
            return None;
        }
        path.push(&segment);
        name = Some(segment);
    }
    let with_html = name.map(|name| path.with_file_name(name + ".html"));
    let candidates = [Some(path.clone()), with_html, Some(path.join("index.html"))];
    let found = candidates.into_iter().flatten().find(|candidate| candidate.is_file())?;
    // A symbolic link may still lead out of the folder.
    found.canonicalize().ok().filter(|real| real.starts_with(folder))
}

/// Percent-decoded; `None` when that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match encoded_byte(&bytes[at..]) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The media type of a file name. HTML and text go without a charset: the page's own declaration decides.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "xhtml" => "application/xhtml+xml",
        "xml" => "application/xml",
        "rss" => "application/rss+xml",
        "atom" => "application/atom+xml",
        "txt" => "text/plain",
        "css" => "text/css",
        "js" => "text/javascript",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};

    use url::Url;

    use super::super::{Client, GetRequest, Settings};
    use super::*;

    struct Site {
        folder: tempfile::TempDir,
        server: SiteServer,
        client: Client,
    }

    impl Site {
        fn new(pages: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in pages {
                let path = folder.path().join("site").join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let server = SiteServer::start(&[("Bossan.test".to_owned(), folder.path().join("site"))]).unwrap();
            let client =
                Client::new(&Settings { resolve: server.resolve(), ..Settings::new("kopri-test/1.0") }).unwrap();
            Self { folder, server, client }
        }

        fn get(&self, path: &str) -> super::super::Response {
            self.get_if(path, None, None)
        }

        fn get_if(&self, path: &str, etag: Option<&str>, date: Option<&str>) -> super::super::Response {
            let url = Url::parse(&format!("http://bossan.test{path}")).unwrap();
            self.client.get(&GetRequest { etag, last_modified: date, ..GetRequest::new(&url) }).unwrap()
        }

        /// Sends bytes as they are and returns the whole answer; the client would tidy them.
        fn raw(&self, request: &str) -> String {
            let mut stream = std::net::TcpStream::connect(self.server.addr()).unwrap();
            write!(stream, "{request}\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        }
    }

    #[test]
    fn a_path_is_tried_three_ways() {
        let site = Site::new(&[
            ("index.html", "home"),
            ("ru/news.html", "list"),
            ("tm/index.html", "tm"),
            ("новость.html", "cyrillic"),
            ("robots.txt", "User-agent: *\n"),
            ("sitemap.xml", "<urlset/>"),
        ]);
        let pages = [
            ("/", "home", "text/html"),
            ("/ru/news", "list", "text/html"),
            ("/ru/news.html", "list", "text/html"),
            ("/ru/news?page=2", "list", "text/html"),
            ("/tm", "tm", "text/html"),
            ("/tm/", "tm", "text/html"),
            ("/новость", "cyrillic", "text/html"),
            ("/robots.txt", "User-agent: *\n", "text/plain"),
            ("/sitemap.xml", "<urlset/>", "application/xml"),
        ];
        for (path, body, kind) in pages {
            let answer = site.get(path);
            assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (200, body), "{path}");
            assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        }
        assert_eq!(site.get("/ru").status, 404);
        let log = site.server.requests();
        assert_eq!(log.len(), pages.len() + 1);
        assert_eq!(log[3], ("bossan.test".to_owned(), "/ru/news?page=2".to_owned(), 200));
        assert_eq!(log[9], ("bossan.test".to_owned(), "/ru".to_owned(), 404));
    }

    #[test]
    fn validators_bring_304_until_the_file_changes() {
        let site = Site::new(&[("a.html", "one")]);
        let first = site.get("/a");
        let (etag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
        assert_eq!(site.get_if("/a", Some(etag), None).status, 304);
        assert_eq!(site.get_if("/a", None, Some(date)).status, 304);
        assert_eq!(site.get_if("/a", Some(&format!("\"x\", W/{etag}")), None).status, 304);
        assert_eq!(site.get_if("/a", Some("\"x\""), Some(date)).status, 200, "the tag decides");
        assert_eq!(site.get_if("/a", None, Some("Mon, 01 Jan 2001 00:00:00 GMT")).status, 200);
        fs::write(site.folder.path().join("site/a.html"), "two").unwrap();
        let second = site.get_if("/a", Some(etag), None);
        assert_eq!((second.status, second.body.as_slice()), (200, b"two".as_slice()));
        assert_ne!(second.header("etag"), Some(etag));
    }

    #[test]
    fn redirects_are_lines_of_a_file() {
        let lines = "# moved\n/old /new 301\n/%D1%82 http://orient.test/t 302 # away\n\n";
        let site = Site::new(&[("_redirects", lines), ("new.html", "new"), ("old.html", "shadowed")]);
        let answer = site.get("/old");
        assert_eq!((answer.status, answer.location().unwrap().path()), (301, "/new"));
        let answer = site.get("/т");
        assert_eq!((answer.status, answer.location().unwrap().as_str()), (302, "http://orient.test/t"));
        fs::write(site.folder.path().join("site/_redirects"), "/old /new 200\n").unwrap();
        let answer = site.get("/new");
        assert_eq!(answer.status, 500);
        assert!(String::from_utf8_lossy(&answer.body).contains("_redirects line 1"));
    }

    #[test]
    fn nothing_outside_the_folder_and_nothing_hidden_is_served() {
        let site = Site::new(&[("a.html", "a"), (".secret.html", "s"), ("_redirects", ""), ("../outside.html", "o")]);
        #[cfg(unix)]
        std::os::unix::fs::symlink(site.folder.path().join("outside.html"), site.folder.path().join("site/link.html"))
            .unwrap();
        for path in [
            "/../outside.html",
            "/%2e%2e/outside.html",
            "/..%2foutside.html",
            "/%2E%2E%5coutside.html",
            "/.secret",
            "/_redirects",
            "/%5fredirects",
            "/link",
            "/a%00",
            "/%ff",
        ] {
            let answer = site.raw(&format!("GET {path} HTTP/1.1\r\nHost: bossan.test"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
    }

    #[test]
    fn other_hosts_and_methods() {
        let site = Site::new(&[("a.html", "page")]);
        let port = site.server.addr().port();
        let answer = site.raw(&format!("GET /a HTTP/1.1\r\nHost: BOSSAN.test:{port}"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\npage"), "{answer}");
        let answer = site.raw("HEAD /a HTTP/1.1\r\nHost: bossan.test");
        assert!(answer.contains("content-length: 4\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(site.raw("GET /a HTTP/1.1\r\nHost: orient.test").starts_with("HTTP/1.1 404"));
        let answer = site.raw("DELETE /a HTTP/1.1\r\nHost: bossan.test");
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }

    #[test]
    fn it_stops_when_dropped_and_refuses_a_missing_folder() {
        let site = Site::new(&[("a.html", "a")]);
        let address = site.server.addr();
        assert_eq!(site.get("/a").status, 200);
        drop(site);
        assert!(std::net::TcpStream::connect(address).is_err());
        let error = SiteServer::start(&[("a.test".to_owned(), PathBuf::from("no/such/folder"))]).unwrap_err();
        assert!(error.to_string().contains("serving no/such/folder as a.test"), "{error}");
    }
}
