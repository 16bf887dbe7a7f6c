//! The server: a call is made again, with growing pauses, while it or what stands before it fails for now, if it may be
//! made twice without harm; a personal access token is exchanged as often as it takes.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Step;
use super::retry::{Patience, is_for_now};
use super::token::{Access, Credentials, VARIABLE};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::net::{ApiRequest, Client, FetchError, GetRequest, Response, Settings, Stream, Verb};

/// One answer may be as large: a page of tasks with long texts and many annotations.
const MAX_ANSWER: u64 = 200_000_000;
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
    /// Nothing was sent, or there is no use in sending it again.
    Final(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost { error, .. } | Failure::Final(error) => error,
            Failure::Refused { status: 401, words, doing } => Error::new(
                ErrorKind::Usage,
                format!(
                    "{doing}: Label Studio does not take the token in {VARIABLE} (401: {words}): make a new one in Account & Settings; legacy tokens must be allowed by the organisation"
                ),
            ),
            Failure::Refused { status: 403, words, doing } => Error::new(
                ErrorKind::Usage,
                format!("{doing}: the owner of the token in {VARIABLE} may not do that (403: {words})"),
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
    patience: Patience,
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
        tell: &'t mut dyn FnMut(Step<'_>),
    ) -> Result<Self> {
        let mut http = Settings::new(concat!("kopri/", env!("CARGO_PKG_VERSION")));
        http.max_body_bytes = MAX_ANSWER;
        http.timeout = CALL_TIME;
        if let Some(host) = base.host_str() {
            http.allow_private_hosts.insert(host.trim_matches(['[', ']']).to_owned());
        }
        let client = Client::new(&http)?;
        Ok(Self { client, base: base.clone(), credentials, access: None, patience, answered: false, tell })
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
                std::thread::sleep(pause);
                Ok(())
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
            let authorization = self.authorization()?;
            let headers = [("authorization", authorization.as_str())];
            let request = ApiRequest {
                verb: call.verb,
                url: &url,
                headers: &headers,
                json: call.body,
                timeout: Some(call.timeout),
            };
            let response = self.client.call(&request).map_err(|error| lost(call.doing, error))?;
            if response.status == 401 && !renewed && matches!(self.credentials, Credentials::Personal(_)) {
                self.access = None;
                renewed = true;
                continue;
            }
            let answer = judge(call.doing, response);
            // A proxy may answer for a server that is down.
            self.answered |= !matches!(answer, Err(Failure::Lost { .. }));
            return answer;
        }
    }

    /// Gets an answer as a stream, once.
    pub(super) fn stream(&mut self, call: Call<'_>) -> Result<Stream, Failure> {
        let (doing, url) = (call.doing, self.url(call.path, call.query)?);
        let authorization = self.authorization()?;
        let headers = [("authorization", authorization.as_str())];
        let stream = self.client.stream(&GetRequest { headers: &headers, ..GetRequest::new(&url) }, 0);
        let stream = stream.map_err(|error| lost(doing, error))?;
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
        let response = judge(doing, self.client.call(&request).map_err(|error| lost(doing, error))?)?;
        let renewed: Renewed = read(doing, &response).map_err(Failure::Final)?;
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
}

/// Nothing came back.
fn lost(doing: &str, error: FetchError) -> Failure {
    let passing = error.is_transient();
    let error = Error::from(error).while_doing(doing);
    if passing { Failure::Lost { error, status: None, wait: None } } else { Failure::Final(error) }
}

/// What an answer means.
fn judge(doing: &str, response: Response) -> Result<Response, Failure> {
    let status = response.status;
    match status {
        200..300 => Ok(response),
        300..400 => {
            let to = response.location().map_or_else(|| "elsewhere".to_owned(), |to| to.to_string());
            let words = format!("{doing}: the server sends us to {to}: set annotate.label-studio.url to where it is");
            Err(Failure::Final(Error::new(ErrorKind::Config, words)))
        }
        _ if is_for_now(status) => {
            let words = format!("{doing}: the server answered {status}: {}", words_of(&response.body));
            let wait = response.retry_after(Timestamp::now());
            Err(Failure::Lost { error: Error::new(ErrorKind::Network, words), status: Some(status), wait })
        }
        _ => Err(Failure::Refused { status, words: words_of(&response.body), doing: doing.to_owned() }),
    }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(doing: &str, response: &Response) -> Result<T> {
    serde_json::from_slice(&response.body).context(ErrorKind::Network, || {
        format!("{doing}: {} did not answer as Label Studio does ({})", response.url.path(), words_of(&response.body))
    })
}

/// What the server says of an error: its `detail` and `validation_errors`, or the beginning of whatever it sent.
fn words_of(body: &[u8]) -> String {
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
}
