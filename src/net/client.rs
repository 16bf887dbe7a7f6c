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

/// Redirects followed for a robots.txt.
const ROBOTS_HOPS: usize = 5;

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
    /// Media types that are wanted, in lower case: `text/html`, or with `/` at the end every one that begins so. A 200
    /// that names another is not read. Empty: anything is wanted.
    pub kinds: &'a [&'a str],
}

/// What an API is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Tell.
    Get,
    /// Make, or do.
    Post,
    /// Change some of it.
    Patch,
    /// Take away.
    Delete,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// A call of an API that speaks JSON.
#[derive(Debug, Clone, Copy)]
pub struct ApiRequest<'a> {
    /// What to do.
    pub verb: Verb,
    /// The URL; a fragment is not sent.
    pub url: &'a Url,
    /// Further headers; they replace ours of the same name.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, JSON as it is sent. `None`: no body.
    pub json: Option<&'a str>,
    /// For the whole exchange, instead of the time limit of the settings.
    pub timeout: Option<Duration>,
}

impl<'a> ApiRequest<'a> {
    /// A request without a body, within the time limit of the settings.
    pub fn new(verb: Verb, url: &'a Url) -> Self {
        Self { verb, url, headers: &[], json: None, timeout: None }
    }
}

impl<'a> GetRequest<'a> {
    /// An unconditional request.
    pub fn new(url: &'a Url) -> Self {
        Self { url, etag: None, last_modified: None, headers: &[], kinds: &[] }
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
        self.exchange(Method::GET, request.url, headers, None, request.kinds, self.settings.timeout)
    }

    /// Gets a robots.txt, through up to five redirects (RFC 9309, section 2.3.1.2). When they are used up, the answer is
    /// the last redirect.
    ///
    /// # Errors
    /// As [`get`](Self::get), of any hop.
    pub fn get_robots(&self, url: &Url) -> Result<Response, FetchError> {
        let mut response = self.get(&GetRequest::new(url))?;
        for _ in 0..ROBOTS_HOPS {
            let Some(target) = response.location().filter(|_| (300..400).contains(&response.status)) else { break };
            response = self.get(&GetRequest::new(&target))?;
        }
        Ok(response)
    }

    /// Calls an API and returns its answer, whatever its status.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn call(&self, request: &ApiRequest<'_>) -> Result<Response, FetchError> {
        let mut headers = self.own_headers();
        if request.json.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        add_headers(&mut headers, request.url, request.headers)?;
        let timeout = request.timeout.unwrap_or(self.settings.timeout);
        self.exchange(request.verb.method(), request.url, headers, request.json.map(str::to_owned), &[], timeout)
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
        self.call(&ApiRequest { headers, json: Some(&body.to_string()), ..ApiRequest::new(Verb::Post, url) })
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
        kinds: &[&str],
        timeout: Duration,
    ) -> Result<Response, FetchError> {
        self.check(url)?;
        let mut request_headers = vec![("host".to_owned(), host_header(url))];
        request_headers.extend(readable(&headers).into_iter().filter(|(name, _)| !is_secret(name)));

        let mut request = blocking::Request::new(method, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(blocking::Body::from);
        // Set on the request, the limit holds for the body too; that of the blocking client begins anew at each read.
        *request.timeout_mut() = Some(timeout);

        let started = Instant::now();
        let mut answer = self.http.execute(request).map_err(|error| {
            let limit = if error.is_connect() { self.settings.connect_timeout } else { timeout };
            FetchError::of_request(url, error, limit.min(timeout))
        })?;
        let latency = started.elapsed();
        let status = answer.status().as_u16();
        // Returning drops the answer, and with it a connection on which a body is still to come.
        if let Some(content_type) = answer.headers().get(header::CONTENT_TYPE).filter(|_| status == 200) {
            let content_type = String::from_utf8_lossy(content_type.as_bytes());
            if !is_of_kind(&content_type, kinds) {
                return Err(FetchError::WrongKind { url: url.to_string(), content_type: excerpt(&content_type) });
            }
        }
        let headers = readable(answer.headers());
        let address = answer.remote_addr().map(|socket| socket.ip());
        let body = match status {
            204 | 304 => Vec::new(),
            // A redirect says all in its headers.
            300..=399 => self.read_body(url, &mut answer, timeout).unwrap_or_default(),
            _ => self.read_body(url, &mut answer, timeout)?,
        };
        let elapsed = started.elapsed();
        Ok(Response { url: url.clone(), address, status, headers, body, latency, elapsed, request_headers })
    }

    fn read_body(&self, url: &Url, answer: &mut blocking::Response, timeout: Duration) -> Result<Vec<u8>, FetchError> {
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
            .map_err(|error| FetchError::of_body(url, error, timeout))?;
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

/// Whether a `Content-Type` names one of `kinds`; an empty one names nothing and passes, as a missing one does.
fn is_of_kind(content_type: &str, kinds: &[&str]) -> bool {
    // Some servers give the type twice, joined as HTTP joins headers.
    let named = content_type.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let matches = |&kind: &&str| named == kind || (kind.ends_with('/') && named.starts_with(kind));
    named.is_empty() || kinds.is_empty() || kinds.iter().any(matches)
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
    if text.len() <= MAX_CHARS { text } else { excerpt(&text) }
}

/// The first hundred characters of a text that may be of any length.
fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(100).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

pub mod stream;
#[cfg(test)]
mod tests;
