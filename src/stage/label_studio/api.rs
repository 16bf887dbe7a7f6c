//! The calls of Label Studio's API that are needed here, one function a call. Fields that we do not know are ignored:
//! every release adds some.
//!
//! A call that may be made twice without harm is made again, with growing pauses, while the server or what stands
//! before it fails for now. [`Server::import`] may not, and is made once: who calls it looks afterwards what became
//! of it.

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

/// One answer may be as large: a page of [`PAGE`] tasks with long texts and many annotations.
const MAX_ANSWER: u64 = 200_000_000;
/// For one call; an import has [`IMPORT_TIME`].
const CALL_TIME: Duration = Duration::from_secs(60);
/// The server writes all tasks of an import before it answers.
const IMPORT_TIME: Duration = Duration::from_secs(600);
/// A server without a queue of jobs makes the whole snapshot before it answers: 2 ms a task.
const SNAPSHOT_TIME: Duration = Duration::from_secs(3600);
/// What a walk over tasks wants to know. A field that is named here is also one of what a task holds.
pub const IDS: &str = "id,data,drafts,total_annotations,cancelled_annotations";
/// What a pull wants to know. Listings never tell the `unique_id` of an annotation, and drafts of nobody but the
/// token's owner.
pub const ANSWERS: &str = "id,data,updated_at,total_annotations,cancelled_annotations,annotations,completed_by,result,\
    was_cancelled,ground_truth,lead_time,import_id,unique_id";
/// Tasks a page of a listing.
pub const PAGE: u32 = 500;
/// A 500 is a defect of the server more often than a passing trouble.
const DEFECTS: u32 = 4;

/// A project, as far as we look at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// Its number.
    pub id: i64,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its labelling interface, XML.
    #[serde(default)]
    pub label_config: String,
    /// Answers wanted a task.
    #[serde(default)]
    pub maximum_annotations: u32,
    /// How many tasks it holds.
    #[serde(default)]
    pub task_number: Option<u64>,
    /// How many annotations they have, skips not counted.
    #[serde(default)]
    pub total_annotations_number: Option<u64>,
}

/// The answer to an import.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Imported {
    /// How many tasks were made.
    #[serde(default)]
    pub task_count: u64,
    /// Their numbers, in the order of the body.
    #[serde(default)]
    pub task_ids: Vec<i64>,
}

/// A frozen export of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Its number.
    pub id: i64,
    /// Ours begin with [`super::SNAPSHOT`].
    #[serde(default)]
    pub title: Option<String>,
    /// `created`, `in_progress`, `completed`, `failed`.
    #[serde(default)]
    pub status: String,
    /// MD5 of its file, hexadecimal.
    #[serde(default)]
    pub md5: Option<String>,
    /// When it was begun, by the server's clock.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

/// Some of the tasks that a listing was asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TaskPage {
    /// The tasks, by number.
    pub tasks: Vec<Value>,
    /// How many there are in all, these included.
    #[serde(default)]
    pub total: u64,
}

impl TaskPage {
    /// Whether no more follow. A server may send fewer a page than it was asked for.
    pub fn is_last(&self) -> bool {
        self.tasks.is_empty() || self.tasks.len() as u64 >= self.total
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// Its address.
    #[serde(default)]
    pub email: String,
}

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
struct Call<'a> {
    doing: &'a str,
    verb: Verb,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a str>,
    timeout: Duration,
}

impl<'a> Call<'a> {
    fn new(doing: &'a str, verb: Verb, path: &'a str) -> Self {
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

    /// A project; `None` when there is none of that number.
    ///
    /// # Errors
    /// As every call: kind `Usage` when the token is not taken, kind `Network` when patience ends, kind `Input` when the
    /// server refuses.
    pub fn project(&mut self, id: i64) -> Result<Option<Project>> {
        let doing = format!("looking at project {id}");
        let path = format!("api/projects/{id}/");
        match self.ask(Call::new(&doing, Verb::Get, &path)) {
            Ok(response) => read(&doing, &response).map(Some),
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Projects of exactly this title.
    ///
    /// # Errors
    /// As every call.
    pub fn projects_titled(&mut self, title: &str) -> Result<Vec<Project>> {
        #[derive(Deserialize)]
        struct Page {
            results: Vec<Project>,
            next: Option<String>,
        }
        let doing = "listing the projects";
        let mut found = Vec::new();
        for page in 1_u32.. {
            let page = page.to_string();
            let query = [("page", page.as_str()), ("page_size", "100"), ("title", title)];
            let response = self.ask(Call { query: &query, ..Call::new(doing, Verb::Get, "api/projects/") })?;
            let page: Page = read(doing, &response)?;
            // The server looks for titles that hold this one.
            found.extend(page.results.into_iter().filter(|project| project.title == title));
            if page.next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Makes a project. Made once: a lost reply is [`Failure::Lost`].
    ///
    /// # Errors
    /// Why there is no good answer.
    pub fn create_project(&mut self, title: &str, config: &str, answers: u32) -> Result<Project, Failure> {
        let doing = "making a project";
        let body = json!({ "title": title, "label_config": config, "maximum_annotations": answers }).to_string();
        let response = self.once(Call { body: Some(&body), ..Call::new(doing, Verb::Post, "api/projects/") })?;
        read(doing, &response).map_err(Failure::Final)
    }

    /// Changes fields of a project.
    ///
    /// # Errors
    /// As every call.
    pub fn change_project(&mut self, id: i64, fields: &Value) -> Result<Project> {
        let doing = format!("changing project {id}");
        let (path, body) = (format!("api/projects/{id}/"), fields.to_string());
        let response = self.ask(Call { body: Some(&body), ..Call::new(&doing, Verb::Patch, &path) })?;
        read(&doing, &response)
    }

    /// Imports tasks, all or none. Made once: a lost reply is [`Failure::Lost`].
    ///
    /// # Errors
    /// Why there is no good answer.
    pub fn import(&mut self, project: i64, body: &str) -> Result<Imported, Failure> {
        let doing = format!("importing tasks into project {project}");
        let path = format!("api/projects/{project}/import");
        let query = [("return_task_ids", "true"), ("commit_to_project", "true")];
        let response = self.once(Call {
            query: &query,
            body: Some(body),
            timeout: IMPORT_TIME,
            ..Call::new(&doing, Verb::Post, &path)
        })?;
        // The tasks are there, though what was said of them cannot be read.
        read(&doing, &response).map_err(|error| Failure::Lost { error, status: None, wait: None })
    }

    /// Tasks of a project by number, after the number `after`: at most [`PAGE`] of them. `filters` are
    /// further conditions that all must hold, `fields` what is told of each ([`IDS`], [`ANSWERS`]); all fields would take
    /// the server ten times as long. Pages by number, not by offset: tasks that come and go between two pages move no
    /// other.
    ///
    /// # Errors
    /// As every call.
    pub fn tasks_after(&mut self, project: i64, after: i64, filters: &[Value], fields: &str) -> Result<TaskPage> {
        let doing = format!("listing tasks of project {project}");
        let mut items =
            vec![json!({ "filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after })];
        items.extend_from_slice(filters);
        let wanted =
            json!({ "filters": { "conjunction": "and", "items": items }, "ordering": ["tasks:id"] }).to_string();
        let (project, page_size) = (project.to_string(), PAGE.to_string());
        let query = [
            ("project", project.as_str()),
            ("page", "1"),
            ("page_size", page_size.as_str()),
            ("fields", "all"),
            ("include", fields),
            ("query", wanted.as_str()),
        ];
        let response = self.ask(Call { query: &query, ..Call::new(&doing, Verb::Get, "api/tasks/") })?;
        read(&doing, &response)
    }

    /// Deletes a task; one that is gone already is as good.
    ///
    /// # Errors
    /// As every call.
    pub fn delete_task(&mut self, task: i64) -> Result<()> {
        let doing = format!("deleting task {task}");
        self.delete(&doing, &format!("api/tasks/{task}/"))
    }

    /// The snapshots of a project.
    ///
    /// # Errors
    /// As every call.
    pub fn snapshots(&mut self, project: i64) -> Result<Vec<Snapshot>> {
        let doing = format!("listing the snapshots of project {project}");
        let path = format!("api/projects/{project}/exports/");
        let response = self.ask(Call::new(&doing, Verb::Get, &path))?;
        read(&doing, &response)
    }

    /// Begins a snapshot of all tasks, with annotations of every kind and who made them. Made once: a lost reply is
    /// [`Failure::Lost`].
    ///
    /// # Errors
    /// Why there is no good answer.
    pub fn create_snapshot(&mut self, project: i64, title: &str) -> Result<Snapshot, Failure> {
        let doing = format!("making a snapshot of project {project}");
        let path = format!("api/projects/{project}/exports/");
        let body = json!({
            "title": title,
            "annotation_filter_options": { "usual": true, "ground_truth": true, "skipped": true },
            "serialization_options": {
                "drafts": { "only_id": true },
                "predictions": { "only_id": true },
                "annotations__completed_by": { "only_id": false },
            },
        });
        let body = body.to_string();
        let timeout = SNAPSHOT_TIME;
        let response = self.once(Call { body: Some(&body), timeout, ..Call::new(&doing, Verb::Post, &path) })?;
        read(&doing, &response).map_err(Failure::Final)
    }

    /// How far a snapshot is.
    ///
    /// # Errors
    /// As every call.
    pub fn snapshot(&mut self, project: i64, snapshot: i64) -> Result<Snapshot> {
        let doing = format!("looking at snapshot {snapshot} of project {project}");
        let path = format!("api/projects/{project}/exports/{snapshot}");
        let response = self.ask(Call::new(&doing, Verb::Get, &path))?;
        read(&doing, &response)
    }

    /// A snapshot's file, as a stream.
    ///
    /// # Errors
    /// Why there is no good answer.
    pub fn download(&mut self, project: i64, snapshot: i64) -> Result<Stream, Failure> {
        let doing = format!("fetching snapshot {snapshot} of project {project}");
        let url =
            self.url(&format!("api/projects/{project}/exports/{snapshot}/download"), &[("exportType", "JSON")])?;
        let authorization = self.authorization()?;
        let headers = [("authorization", authorization.as_str())];
        let stream = self.client.stream(&GetRequest { headers: &headers, ..GetRequest::new(&url) }, 0);
        let stream = stream.map_err(|error| lost(&doing, error))?;
        match stream.status {
            200 => Ok(stream),
            status if is_for_now(status) || status == 401 => {
                self.access = None;
                let error = Error::new(ErrorKind::Network, format!("{doing}: the server answered {status}"));
                Err(Failure::Lost { error, status: Some(status), wait: None })
            }
            status => Err(Failure::Refused { status, words: "no file".into(), doing }),
        }
    }

    /// Deletes a snapshot; one that is gone already is as good.
    ///
    /// # Errors
    /// As every call.
    pub fn delete_snapshot(&mut self, project: i64, snapshot: i64) -> Result<()> {
        let doing = format!("deleting snapshot {snapshot} of project {project}");
        self.delete(&doing, &format!("api/projects/{project}/exports/{snapshot}"))
    }

    /// The people of the organisation.
    ///
    /// # Errors
    /// As every call.
    pub fn users(&mut self) -> Result<Vec<User>> {
        let doing = "listing the users";
        let response = self.ask(Call::new(doing, Verb::Get, "api/users/"))?;
        read(doing, &response)
    }

    fn delete(&mut self, doing: &str, path: &str) -> Result<()> {
        match self.ask(Call::new(doing, Verb::Delete, path)) {
            Ok(_) | Err(Failure::Refused { status: 404, .. }) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Makes a call until there is an answer or patience ends.
    fn ask(&mut self, call: Call<'_>) -> Result<Response, Failure> {
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
    fn once(&mut self, call: Call<'_>) -> Result<Response, Failure> {
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

fn read<T: serde::de::DeserializeOwned>(doing: &str, response: &Response) -> Result<T> {
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
