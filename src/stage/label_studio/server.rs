//! The server: a call is made again, with growing pauses, while it or what stands before it fails for now, if it may be
//! made twice without harm; a personal access token is exchanged as often as it takes.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Step;
use super::api::PAGE;
use super::retry::{Patience, is_for_now};
use super::token::{Access, Credentials, Secrets, VARIABLE};
use crate::engine::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{ApiRequest, Client, FetchError, GetRequest, Response, Settings, Stream, Verb};
use crate::text::json::repaired;
use crate::text::printable::printable;

/// How often a pause looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// For a call that does not say otherwise.
const CALL_TIME: Duration = Duration::from_secs(60);
/// A 500 is a defect of the server more often than a passing trouble.
const DEFECTS: u32 = 4;

/// Why there is no good answer.
#[derive(Debug)]
pub enum Failure {
    /// No answer, or one that does not tell what was done: the call may have been carried out.
    Lost {
        /// What failed.
        error: Error,
        /// The status, when there was one.
        status: Option<u16>,
        /// How long the server asked us to wait.
        wait: Option<Duration>,
    },
    /// The server says no.
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        words: String,
        /// What was asked of it.
        doing: String,
    },
    /// The answer is larger than the settings allow: to ask for less may help.
    TooLarge(Error),
    /// Nothing was sent, or there is no use in sending it again.
    Final(Error),
}

/// How much a server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer in JSON, decompressed. Read, they take up to twenty times as much memory.
    pub answer: u64,
    /// Bytes of a snapshot's file.
    pub snapshot: u64,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost { error, .. } | Failure::TooLarge(error) | Failure::Final(error) => error,
            Failure::Refused { status: 401, words, doing } => Error::new(
                ErrorKind::Usage,
                format!(
                    "{doing}: Label Studio does not take the token in {VARIABLE} (401: {words}): make a new one in Account & Settings; legacy tokens must be allowed by the organisation"
                ),
            ),
            Failure::Refused { status: 403, words, doing } => Error::new(
                ErrorKind::Usage,
                format!(
                    "{doing}: the owner of the token in {VARIABLE} may not do that (403: {words}): make them a member of the project, or use the token of somebody who is"
                ),
            ),
            Failure::Refused { status, words, doing } => {
                Error::new(ErrorKind::Input, format!("{doing}: Label Studio answered {status}: {words}"))
            }
        }
    }
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) doing: &'a str,
    pub(super) verb: Verb,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a str>,
    pub(super) timeout: Duration,
}

impl<'a> Call<'a> {
    pub(super) fn new(doing: &'a str, verb: Verb, path: &'a str) -> Self {
        Self { doing, verb, path, query: &[], body: None, timeout: CALL_TIME }
    }
}

/// A Label Studio server, and who asks it.
pub struct Server<'t> {
    client: Client,
    base: Url,
    credentials: Credentials,
    access: Option<Access>,
    /// All tokens that were sent or came, so that no message shows them.
    secrets: Secrets,
    patience: Patience,
    limits: Limits,
    /// Tasks a page of a listing: fewer when a page was too large.
    pub(super) page: u32,
    /// Broken characters in answers that were replaced.
    pub(super) replaced: u64,
    /// Set when the user wants the work to end.
    stop: Option<Stop>,
    /// Whether it has answered in this run.
    answered: bool,
    tell: &'t mut dyn FnMut(Step<'_>),
}

impl std::fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl<'t> Server<'t> {
    /// A server at `base`, whose host a person has named: it may lie in a private network.
    ///
    /// # Errors
    /// Kind `Network`: no HTTP client can be built.
    pub fn new(
        base: &Url,
        credentials: Credentials,
        patience: Patience,
        limits: Limits,
        tell: &'t mut dyn FnMut(Step<'_>),
    ) -> Result<Self> {
        let mut http = Settings::new(concat!("kopri/", env!("CARGO_PKG_VERSION")));
        http.max_body_bytes = limits.answer;
        http.timeout = CALL_TIME;
        if let Some(host) = base.host_str() {
            http.allow_private_hosts.insert(host.trim_matches(['[', ']']).to_owned());
        }
        let client = Client::new(&http)?;
        Ok(Self {
            client,
            base: base.clone(),
            secrets: Secrets::of(&credentials),
            credentials,
            access: None,
            patience,
            limits,
            page: PAGE,
            replaced: 0,
            stop: None,
            answered: false,
            tell,
        })
    }

    /// The same server, that is asked for nothing more once `stop` is set.
    #[must_use]
    pub fn stopping_at(self, stop: Option<Stop>) -> Self {
        Self { stop, ..self }
    }

    /// How much it may send.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Looks whether the work is to end.
    ///
    /// # Errors
    /// Kind `Interrupted`.
    pub fn go_on(&self) -> Result<()> {
        match &self.stop {
            Some(stop) if stop.is_set() => Err(Error::new(
                ErrorKind::Interrupted,
                "interrupted: what is done is kept, and the next push or pull goes on from there",
            )),
            _ => Ok(()),
        }
    }

    /// Waits, but no longer than the work goes on.
    ///
    /// # Errors
    /// Kind `Interrupted`.
    pub fn pause(&self, pause: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            self.go_on()?;
            let left = pause.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// A value from elsewhere without our tokens.
    pub fn hide_in(&self, value: &mut Value) {
        self.secrets.hide_in(value);
    }

    /// Passes a word on to whoever watches.
    pub fn tell(&mut self, step: Step<'_>) {
        (self.tell)(step);
    }

    /// Makes a call until there is an answer or patience ends.
    pub(super) fn ask(&mut self, call: Call<'_>) -> Result<Response, Failure> {
        let (started, mut failures) = (Instant::now(), 0);
        loop {
            match self.once(call) {
                Err(failure @ Failure::Lost { .. }) => {
                    failures += 1;
                    self.wait(failure, failures, started)?;
                }
                answer => return answer,
            }
        }
    }

    /// Waits after a failure, the `failures`-th since `started`.
    ///
    /// # Errors
    /// The failure itself when patience ends, or when it is none that passes.
    pub fn wait(&mut self, failure: Failure, failures: u32, started: Instant) -> Result<(), Failure> {
        let Failure::Lost { error, status, wait } = failure else { return Err(failure) };
        let elapsed = started.elapsed();
        let pause = self.patience.pause(failures, elapsed, wait, self.answered);
        match pause.filter(|_| status != Some(500) || failures <= DEFECTS) {
            Some(pause) => {
                self.tell(Step::Note(&format!("{error}; trying again in {} s", pause.as_secs_f64())));
                self.pause(pause).map_err(Failure::Final)
            }
            None => {
                let doing = format!("given up after {failures} attempts in {} s", elapsed.as_secs());
                Err(Failure::Lost { error: error.while_doing(doing), status, wait })
            }
        }
    }

    /// Makes a call once, and once more when the access token has run out.
    pub(super) fn once(&mut self, call: Call<'_>) -> Result<Response, Failure> {
        let url = self.url(call.path, call.query)?;
        let mut renewed = self.access.is_none();
        loop {
            self.go_on().map_err(Failure::Final)?;
            let authorization = self.authorization()?;
            let headers = [("authorization", authorization.as_str())];
            let request = ApiRequest {
                verb: call.verb,
                url: &url,
                headers: &headers,
                json: call.body,
                timeout: Some(call.timeout),
            };
            let response = self.client.call(&request).map_err(|error| self.lost(call.doing, error))?;
            if response.status == 401 && !renewed && matches!(self.credentials, Credentials::Personal(_)) {
                self.access = None;
                renewed = true;
                continue;
            }
            let answer = self.judge(call.doing, response);
            // A proxy may answer for a server that is down.
            self.answered |= !matches!(answer, Err(Failure::Lost { .. }));
            return answer;
        }
    }

    /// Gets an answer as a stream, once.
    pub(super) fn stream(&mut self, call: Call<'_>) -> Result<Stream, Failure> {
        let (doing, url) = (call.doing, self.url(call.path, call.query)?);
        self.go_on().map_err(Failure::Final)?;
        let authorization = self.authorization()?;
        let headers = [("authorization", authorization.as_str())];
        let stream = self.client.stream(&GetRequest { headers: &headers, ..GetRequest::new(&url) }, 0);
        let stream = stream.map_err(|error| self.lost(doing, error))?;
        match stream.status {
            200 => Ok(stream),
            status if is_for_now(status) || status == 401 => {
                self.access = None;
                let error = Error::new(ErrorKind::Network, format!("{doing}: the server answered {status}"));
                Err(Failure::Lost { error, status: Some(status), wait: None })
            }
            status => Err(Failure::Refused { status, words: "no file".into(), doing: doing.to_owned() }),
        }
    }

    /// The value of `Authorization`; a personal access token is exchanged when it is time to.
    fn authorization(&mut self) -> Result<String, Failure> {
        let secret = match &self.credentials {
            Credentials::Legacy(token) => return Ok(format!("Token {}", token.reveal())),
            Credentials::Personal(token) => token.clone(),
        };
        if let Some(access) = self.access.as_ref().filter(|access| !access.is_stale()) {
            return Ok(access.header().reveal().to_owned());
        }
        #[derive(Deserialize)]
        struct Renewed {
            access: String,
        }
        let doing = "exchanging the personal access token";
        let url = self.url("api/token/refresh/", &[])?;
        let body = json!({ "refresh": secret.reveal() }).to_string();
        let request = ApiRequest { json: Some(&body), ..ApiRequest::new(Verb::Post, &url) };
        let response = self.client.call(&request).map_err(|error| self.lost(doing, error))?;
        let response = self.judge(doing, response)?;
        // What such an answer holds is secret whatever its form: no word of it is repeated.
        let renewed: Renewed = serde_json::from_slice(&response.body).map_err(|_| {
            let words = format!("{doing}: {} did not answer with an access token: is it Label Studio?", url.path());
            Failure::Final(Error::new(ErrorKind::Network, words))
        })?;
        self.secrets.add(&renewed.access);
        let access = Access::new(&renewed.access);
        let header = access.header().reveal().to_owned();
        self.access = Some(access);
        Ok(header)
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Failure> {
        let text = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).map_err(|_| Failure::Final(Error::bug(format!("{text} is no URL"))))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Nothing came back, or more than may.
    fn lost(&self, doing: &str, error: FetchError) -> Failure {
        let (passing, too_large) = (error.is_transient(), matches!(error, FetchError::TooLarge { .. }));
        let error = Error::from(error);
        let error = Error::new(error.kind(), format!("{doing}: {}", printable(&self.secrets.hide(&error.to_string()))));
        match (passing, too_large) {
            (true, _) => Failure::Lost { error, status: None, wait: None },
            (false, true) => Failure::TooLarge(error.while_doing("more than annotate.label-studio.max-answer allows")),
            (false, false) => Failure::Final(error),
        }
    }

    /// What an answer means.
    fn judge(&self, doing: &str, response: Response) -> Result<Response, Failure> {
        let status = response.status;
        let words = || words_of(&response.body, &self.secrets);
        match status {
            200..300 => Ok(response),
            300..400 => {
                let to =
                    response.location().map_or_else(|| "elsewhere".to_owned(), |to| self.secrets.hide(to.as_str()));
                let words =
                    format!("{doing}: the server sends us to {to}: set annotate.label-studio.url to where it is");
                Err(Failure::Final(Error::new(ErrorKind::Config, words)))
            }
            _ if is_for_now(status) => {
                let words = format!("{doing}: the server answered {status}: {}", words());
                let wait = response.retry_after(Timestamp::now());
                Err(Failure::Lost { error: Error::new(ErrorKind::Network, words), status: Some(status), wait })
            }
            _ => Err(Failure::Refused { status, words: words(), doing: doing.to_owned() }),
        }
    }

    /// Reads an answer. Our tokens do not come back in it, whatever the server puts there, and broken characters are
    /// replaced.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&mut self, doing: &str, response: &Response) -> Result<T> {
        let (body, repairs) = repaired(&response.body);
        let read = serde_json::from_slice(&body).and_then(|mut value: Value| {
            self.secrets.hide_in(&mut value);
            serde_json::from_value(value)
        });
        self.replaced += repairs.characters;
        read.map_err(|error| {
            let (path, words) = (response.url.path(), words_of(&response.body, &self.secrets));
            let error = printable(&self.secrets.hide(&error.to_string()));
            let words = format!("{doing}: {path} did not answer as Label Studio does ({words}): {error}");
            Error::new(ErrorKind::Network, words)
        })
    }
}

/// What the server says of an error: its `detail` and `validation_errors`, or the beginning of whatever it sent; on one
/// line that a terminal may show, and without the tokens that were sent.
fn words_of(body: &[u8], secrets: &Secrets) -> String {
    let text = String::from_utf8_lossy(body);
    let words = match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let mut found = Vec::new();
            let parts = [value.get("detail"), value.get("validation_errors")];
            if parts.iter().any(Option::is_some) {
                parts.into_iter().flatten().for_each(|part| leaves(part, &mut found));
            } else {
                leaves(&value, &mut found);
            }
            found.join("; ")
        }
        Err(_) if text.trim_start().starts_with('<') => "an HTML page".to_owned(),
        Err(_) => text.trim().to_owned(),
    };
    // Before it is cut: half a token is one too.
    let words = printable(&secrets.hide(&words));
    let mut short: String = words.chars().take(600).collect();
    if short.len() < words.len() {
        short.push('…');
    }
    if short.is_empty() { "no words".into() } else { short }
}

/// All texts inside a value.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The task that an error is about, counted from 0, when the server names one: `Error at item 3: …`.
pub fn item_at_fault(words: &str) -> Option<usize> {
    let after = words.split_once("item ")?.1;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(body: &[u8]) -> String {
        super::words_of(body, &Secrets::default())
    }

    #[test]
    fn the_words_of_an_error_are_found() {
        let body = br#"{"id":"x","status_code":400,"version":"1.23.2","detail":"Validation error","exc_info":null,
            "validation_errors":{"non_field_errors":["Error at item 3: \"tgt_text\" key is expected"]}}"#;
        let words = words_of(body);
        assert_eq!(words, "Validation error; Error at item 3: \"tgt_text\" key is expected");
        assert_eq!(item_at_fault(&words), Some(3));
        assert_eq!(item_at_fault("Validation error"), None);
        assert_eq!(words_of(br#"{"title":["too long"]}"#), "too long");
        assert_eq!(words_of(b" <!doctype html><p>"), "an HTML page");
        assert_eq!((words_of(b"bad gateway").as_str(), words_of(b"").as_str()), ("bad gateway", "no words"));
        assert_eq!(words_of(&vec![b'a'; 5000]).chars().count(), 601);
    }

    #[test]
    fn words_show_neither_tokens_nor_escapes() {
        let mut secrets = Secrets::default();
        secrets.add("0123456789abcdef0123456789abcdef01234567");
        let body = br#"{"detail":"Invalid token \u001b[31m\u003012345\u0036789abcdef0123456789abcdef01234567\u202e!"}"#;
        assert_eq!(super::words_of(body, &secrets), "Invalid token \u{fffd}[31m(token)!");
        let late = format!("{}0123456789abcdef0123456789abcdef01234567", "x".repeat(590));
        let words = super::words_of(late.as_bytes(), &secrets);
        assert!(words.ends_with("x(token)") && !words.contains("0123"), "{words}");
    }
}
