//! One HTTP request, one answer, within limits of time and size.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::address::{AddressRules, GuardedResolver};
use super::failure::{FetchError, Refusal};
use super::response::Response;
use super::url::MAX_CHARS;
use crate::error::{Context as _, Error, ErrorKind, Result};

/// What reqwest decodes for us (its features in `Cargo.toml`); sent as `Accept-Encoding`.
const ENCODINGS: &str = "gzip, br, deflate";

/// How requests are made. None of it changes what a page says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `User-Agent`; by custom `name/version (+URL of a page about the crawler)`.
    pub user_agent: String,
    /// For a whole exchange, from the start of connecting to the last byte of the body.
    pub timeout: Duration,
    /// For connecting alone.
    pub connect_timeout: Duration,
    /// The largest body in bytes, decompressed. Reading stops there.
    pub max_body_bytes: u64,
    /// Host name → the address it is reached at, whatever DNS says; such a host may be private. The URL keeps its name,
    /// and its port unless it is the scheme's own: then the port is the one given here. So the demo's pages are called
    /// `http://bossan.test/…` wherever their server listens.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// Hosts (names or address literals) that may lie in a private network.
    pub allow_private_hosts: BTreeSet<String>,
}

impl Settings {
    /// 30 s in all, 10 s to connect, bodies of 20 MB, no private hosts.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_body_bytes: 20_000_000,
            resolve: BTreeMap::new(),
            allow_private_hosts: BTreeSet::new(),
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub struct GetRequest<'a> {
    /// The URL; a fragment is not sent.
    pub url: &'a Url,
    /// `ETag` of the copy we have: answered with 304 when it still holds.
    pub etag: Option<&'a str>,
    /// `Last-Modified` of the copy we have, as it was sent.
    pub last_modified: Option<&'a str>,
    /// Further headers; they replace ours of the same name.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> GetRequest<'a> {
    /// An unconditional request.
    pub fn new(url: &'a Url) -> Self {
        Self { url, etag: None, last_modified: None, headers: &[] }
    }
}

/// An HTTP client that makes exactly one request a call. Cheap to share between threads, with connections kept alive.
#[derive(Debug)]
pub struct Client {
    http: blocking::Client,
    settings: Settings,
    rules: Arc<AddressRules>,
    /// Why https cannot work on this machine, if it cannot.
    no_tls: Option<String>,
}

impl Client {
    /// A client of these settings. Proxies of the environment are not used: they would hide the addresses we check.
    ///
    /// # Errors
    /// Kind `Config` for a `User-Agent` that HTTP cannot carry, kind `Network` when no client can be built.
    pub fn new(settings: &Settings) -> Result<Self> {
        HeaderValue::from_str(&settings.user_agent).context(ErrorKind::Config, || {
            format!("the user agent {:?} must be of printable ASCII characters", settings.user_agent)
        })?;
        let rules =
            Arc::new(AddressRules { fixed: settings.resolve.clone(), allowed: settings.allow_private_hosts.clone() });
        // TLS runs on ring, which builds with a C compiler alone; a provider that is there already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();

        // Without root certificates (a bare container) reqwest refuses to build a client, though http needs none. So
        // there the client trusts nobody, and https fails with a word on what is missing.
        let (http, no_tls) = match builder(settings, &rules).build() {
            Ok(http) => (http, None),
            Err(error) => match builder(settings, &rules).tls_certs_only([]).build() {
                Ok(http) => (http, Some(Error::with_source(ErrorKind::Network, "https is off", error).to_string())),
                Err(_) => return Err(Error::with_source(ErrorKind::Network, "building the HTTP client", error)),
            },
        };
        Ok(Self { http, settings: settings.clone(), rules, no_tls })
    }

    /// Gets one URL. Redirects are not followed.
    ///
    /// # Errors
    /// When there is no complete answer; a complete answer with an error status is `Ok`.
    pub fn get(&self, request: &GetRequest<'_>) -> Result<Response, FetchError> {
        let mut headers = self.own_headers();
        let conditions = [(header::IF_NONE_MATCH, request.etag), (header::IF_MODIFIED_SINCE, request.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                let value = header_value(request.url, name.as_str(), value)?;
                headers.insert(name, value);
            }
        }
        add_headers(&mut headers, request.url, request.headers)?;
        self.exchange(Method::GET, request.url, headers, None)
    }

    /// Posts JSON to an API and returns its answer.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post_json(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
    ) -> Result<Response, FetchError> {
        let mut all = self.own_headers();
        all.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        add_headers(&mut all, url, headers)?;
        self.exchange(Method::POST, url, all, Some(body.to_string()))
    }

    fn own_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(agent) = HeaderValue::from_str(&self.settings.user_agent) {
            headers.insert(header::USER_AGENT, agent);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
        headers
    }

    /// Refuses what must not be asked for, as far as the URL alone tells; the resolver does the rest.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let refused = |reason| Err(FetchError::Refused { url: shown(url), reason });
        let Some(host) = url.host().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return refused(Refusal::Scheme);
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused(Refusal::Credentials);
        }
        if url.as_str().len() > MAX_CHARS {
            return refused(Refusal::TooLong);
        }
        if let Err(address) = self.rules.check_literal(&host) {
            return refused(Refusal::Private(address));
        }
        match &self.no_tls {
            Some(why) if url.scheme() == "https" => Err(FetchError::Network {
                url: url.to_string(),
                source: format!("{why}; install the system's CA certificates").into(),
            }),
            _ => Ok(()),
        }
    }

    fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Response, FetchError> {
        self.check(url)?;
        let mut request_headers = vec![("host".to_owned(), host_header(url))];
        request_headers.extend(readable(&headers).into_iter().filter(|(name, _)| !is_secret(name)));

        let mut request = blocking::Request::new(method, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(blocking::Body::from);
        // Set on the request, the limit holds for the body too; that of the blocking client begins anew at each read.
        *request.timeout_mut() = Some(self.settings.timeout);

        let started = Instant::now();
        let mut answer = self.http.execute(request).map_err(|error| {
            let limit = if error.is_connect() { self.settings.connect_timeout } else { self.settings.timeout };
            FetchError::of_request(url, error, limit.min(self.settings.timeout))
        })?;
        let latency = started.elapsed();
        let status = answer.status().as_u16();
        let headers = readable(answer.headers());
        let address = answer.remote_addr().map(|socket| socket.ip());
        let body = match status {
            204 | 304 => Vec::new(),
            // A redirect says all in its headers.
            300..=399 => self.read_body(url, &mut answer).unwrap_or_default(),
            _ => self.read_body(url, &mut answer)?,
        };
        let elapsed = started.elapsed();
        Ok(Response { url: url.clone(), address, status, headers, body, latency, elapsed, request_headers })
    }

    fn read_body(&self, url: &Url, answer: &mut blocking::Response) -> Result<Vec<u8>, FetchError> {
        // reqwest takes the header away when it decodes.
        if let Some(encoding) = answer.headers().get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(FetchError::Encoding { url: url.to_string(), encoding });
        }
        let limit = self.settings.max_body_bytes;
        let too_large = || FetchError::TooLarge { url: url.to_string(), limit };
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        answer
            .take(limit.saturating_add(1))
            .read_to_end(&mut body)
            .map_err(|error| FetchError::of_body(url, error, self.settings.timeout))?;
        if body.len() as u64 > limit { Err(too_large()) } else { Ok(body) }
    }
}

fn builder(settings: &Settings, rules: &Arc<AddressRules>) -> blocking::ClientBuilder {
    blocking::Client::builder()
        .tls_backend_rustls()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .dns_resolver(Arc::new(GuardedResolver(Arc::clone(rules))))
}

fn add_headers(headers: &mut HeaderMap, url: &Url, more: &[(&str, &str)]) -> Result<(), FetchError> {
    for (name, value) in more {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| FetchError::Refused { url: url.to_string(), reason: Refusal::Header((*name).to_owned()) })?;
        let value = header_value(url, name, value)?;
        headers.insert(key, value);
    }
    Ok(())
}

fn header_value(url: &Url, name: &str, value: &str) -> Result<HeaderValue, FetchError> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| FetchError::Refused { url: url.to_string(), reason: Refusal::Header(name.to_owned()) })
}

fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn is_secret(name: &str) -> bool {
    matches!(name, "authorization" | "proxy-authorization" | "cookie" | "x-api-key")
}

fn host_header(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A refused URL as a message may show it: without credentials, and not thousands of characters long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.has_host() {
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    let text = String::from(url);
    if text.len() <= MAX_CHARS { text } else { text.chars().take(100).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A server that answers each connection with `answer`, after reading the request's head, which it hands on.
    fn raw_server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, heads) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                    head.push(byte[0]);
                }
                if send.send(String::from_utf8(head).unwrap()).is_err() {
                    return;
                }
                answer(&mut stream);
            }
        });
        (address, heads)
    }

    fn saying(answer: impl Into<Vec<u8>>) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
        let answer = answer.into();
        raw_server(move |stream| drop(stream.write_all(&answer)))
    }

    /// Gets `http://site.test/page` from the server at `address`.
    fn fetch(address: SocketAddr, change: impl FnOnce(&mut Settings)) -> Result<Response, FetchError> {
        let mut settings = Settings::new("kopri-test/1.0");
        settings.resolve.insert("site.test".to_owned(), address);
        change(&mut settings);
        let url = Url::parse("http://site.test/page").unwrap();
        Client::new(&settings).unwrap().get(&GetRequest::new(&url))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn with_length(head: &str, body: &[u8]) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answer
    }

    #[test]
    fn a_page_under_its_own_name() {
        let (address, heads) =
            saying(with_length("200 OK\r\nContent-Type: text/html\r\nX-A: 1\r\nX-A: 2", b"<p>sal</p>"));
        let response = fetch(address, |_| ()).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (200, b"<p>sal</p>".as_slice()));
        assert_eq!(response.header("content-type"), Some("text/html"));
        assert_eq!(response.headers.iter().filter(|(name, _)| name == "x-a").count(), 2);
        assert_eq!(response.address, Some(address.ip()));
        assert!(response.latency <= response.elapsed);
        let head = heads.recv().unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get /page http/1.1\r\n"), "{head}");
        for (name, value) in &response.request_headers {
            assert!(head.contains(&format!("\r\n{name}: {}\r\n", value.to_ascii_lowercase())), "{name} in {head}");
        }
        assert_eq!(head.lines().count(), response.request_headers.len() + 2, "all of it is recorded: {head}");
    }

    #[test]
    fn conditions_are_sent_and_304_has_no_body() {
        // Some servers name the encoding of the body that they do not send.
        let (address, heads) = saying("HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\nETag: \"v2\"\r\n\r\n");
        let mut settings = Settings::new("kopri-test/1.0");
        settings.resolve.insert("site.test".to_owned(), address);
        let client = Client::new(&settings).unwrap();
        let url = Url::parse("http://site.test/page#top").unwrap();
        let request = GetRequest {
            etag: Some("\"v1\""),
            last_modified: Some("Mon, 01 Jan 2024 00:00:00 GMT"),
            headers: &[("Accept", "text/html"), ("Authorization", "Api-Key secret")],
            ..GetRequest::new(&url)
        };
        let response = client.get(&request).unwrap();
        assert_eq!((response.status, response.body.len(), response.header("etag")), (304, 0, Some("\"v2\"")));
        let head = heads.recv().unwrap();
        assert!(head.starts_with("GET /page HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("if-none-match: \"v1\"\r\n"), "{head}");
        assert!(head.contains("if-modified-since: Mon, 01 Jan 2024 00:00:00 GMT\r\n"), "{head}");
        assert!(head.contains("accept: text/html\r\n") && head.contains("Api-Key secret"), "{head}");
        assert!(!format!("{:?}", response.request_headers).contains("secret"));
    }

    #[test]
    fn a_redirect_is_an_answer() {
        let (address, heads) = saying(with_length("301 Moved Permanently\r\nLocation: /new#a", b""));
        let response = fetch(address, |_| ()).unwrap();
        assert_eq!(response.location().unwrap().as_str(), "http://site.test/new");
        assert_eq!((response.status, heads.try_iter().count()), (301, 1));
    }

    #[test]
    fn gzip_is_decoded() {
        let page = "Türkmenistan ".repeat(1000);
        let (address, _heads) = saying(with_length("200 OK\r\nContent-Encoding: gzip", &gzip(page.as_bytes())));
        assert_eq!(fetch(address, |_| ()).unwrap().body, page.as_bytes());
    }

    #[test]
    fn size_is_limited_as_announced_as_read_and_as_decompressed() {
        let bomb = gzip(&vec![0; 3_000_000]);
        assert!(bomb.len() < 10_000);
        let answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\nabc".to_vec(),
            [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; 10_001]].concat(),
            with_length("200 OK\r\nContent-Encoding: gzip", &bomb),
        ];
        for answer in answers {
            let (address, _heads) = saying(answer);
            let error = fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap_err();
            assert!(matches!(error, FetchError::TooLarge { limit: 10_000, .. }), "{error:?}");
        }
        let (address, _heads) = saying(with_length("200 OK", &[b'a'; 10_000]));
        assert_eq!(fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap().body.len(), 10_000);
    }

    #[test]
    fn a_slow_drip_ends_with_the_time_of_the_whole_exchange() {
        let (address, _heads) = raw_server(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            // Each byte comes well within the limit; together they do not.
            while stream.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let started = Instant::now();
        let error = fetch(address, |settings| settings.timeout = Duration::from_millis(400)).unwrap_err();
        assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        assert!(Error::from(error).to_string().contains("http://site.test/page did not come within 400ms"));
    }

    #[test]
    fn what_breaks_off_is_told_from_what_ends() {
        let compressed = gzip("salam ".repeat(100).as_bytes());
        let answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n".to_vec(),
            with_length("200 OK\r\nContent-Encoding: gzip", &compressed[..compressed.len() - 9]),
            b"HTTP/1.1 200 OK\r\nContent-".to_vec(),
        ];
        for answer in answers {
            let text = String::from_utf8_lossy(&answer).into_owned();
            let (address, _heads) = saying(answer);
            let error = fetch(address, |_| ()).unwrap_err();
            assert!(matches!(error, FetchError::Truncated { .. }) && error.is_transient(), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn nonsense_and_absence_are_network_errors() {
        let (address, _heads) = saying("SSH-2.0-OpenSSH_9.6\r\n");
        let error = fetch(address, |_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Network { .. }), "{error:?}");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Error::from(fetch(closed, |_| ()).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains("http://site.test/page cannot be reached"), "{error}");
        let (address, _heads) = saying(with_length("200 OK\r\nContent-Encoding: zstd", b"????"));
        assert!(matches!(fetch(address, |_| ()).unwrap_err(), FetchError::Encoding { .. }));
    }

    #[test]
    fn private_hosts_are_refused_by_literal_and_by_name_unless_allowed() {
        let (address, heads) = saying(with_length("200 OK", b"inside"));
        let get = |host: &str, allowed: &[&str]| {
            let mut settings = Settings::new("kopri-test/1.0");
            settings.allow_private_hosts = allowed.iter().map(|&host| host.to_owned()).collect();
            let url = Url::parse(&format!("http://{host}:{}/", address.port())).unwrap();
            Client::new(&settings).unwrap().get(&GetRequest::new(&url))
        };
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let error = get(host, &[]).unwrap_err();
            assert!(matches!(error, FetchError::Refused { reason: Refusal::Private(_), .. }), "{error:?}");
        }
        assert_eq!(heads.try_iter().count(), 0, "nothing was sent");
        assert_eq!(get("127.0.0.1", &["127.0.0.1"]).unwrap().body, b"inside");
        assert_eq!(get("localhost", &["localhost"]).unwrap().body, b"inside");
    }

    #[test]
    fn what_must_not_be_asked_for_is_not() {
        let client = Client::new(&Settings::new("kopri-test/1.0")).unwrap();
        let refusal = |text: &str, headers: &[(&str, &str)]| {
            let url = Url::parse(text).unwrap();
            match client.get(&GetRequest { headers, ..GetRequest::new(&url) }).unwrap_err() {
                FetchError::Refused { url, reason } => (url, reason),
                error => panic!("{error:?}"),
            }
        };
        assert_eq!(refusal("ftp://a.test/", &[]).1, Refusal::Scheme);
        assert_eq!(refusal("file:///etc/passwd", &[]).1, Refusal::Scheme);
        assert_eq!(refusal("http://me:word@a.test/", &[]), ("http://a.test/".to_owned(), Refusal::Credentials));
        assert_eq!(refusal(&format!("http://a.test/{}", "a".repeat(2000)), &[]).1, Refusal::TooLong);
        assert_eq!(refusal("http://a.test/", &[("x-a", "1\r\nx-b: 2")]).1, Refusal::Header("x-a".to_owned()));
    }

    #[test]
    fn json_is_posted() {
        let (address, heads) = raw_server(|stream| {
            let mut body = [0; 15];
            stream.read_exact(&mut body).unwrap();
            let _ = stream.write_all(&with_length("200 OK", &body));
        });
        let mut settings = Settings::new("kopri-test/1.0");
        settings.resolve.insert("api.test".to_owned(), address);
        let url = Url::parse("http://api.test/v2").unwrap();
        let body = serde_json::json!({"texts": ["a"]});
        let response =
            Client::new(&settings).unwrap().post_json(&url, &[("authorization", "Bearer t")], &body).unwrap();
        assert_eq!(response.body, br#"{"texts":["a"]}"#);
        let head = heads.recv().unwrap();
        assert!(head.starts_with("POST /v2 ") && head.contains("content-type: application/json\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer t\r\n"), "{head}");
    }

    #[test]
    fn without_root_certificates_https_fails_and_says_why_but_http_works() {
        let (address, _heads) = saying(with_length("200 OK", b"plain"));
        let mut settings = Settings::new("kopri-test/1.0");
        settings.resolve.insert("site.test".to_owned(), address);
        let mut client = Client::new(&settings).unwrap();
        let rules = AddressRules { fixed: settings.resolve.clone(), ..Default::default() };
        client.http = builder(&settings, &Arc::new(rules)).tls_certs_only([]).build().unwrap();
        client.no_tls = Some("https is off: no CA certificates".to_owned());
        let get = |text: &str| client.get(&GetRequest::new(&Url::parse(text).unwrap()));
        assert_eq!(get("http://site.test/").unwrap().body, b"plain");
        let message = Error::from(get("https://site.test/").unwrap_err()).to_string();
        assert!(message.ends_with("no CA certificates; install the system's CA certificates"), "{message}");
    }
}
