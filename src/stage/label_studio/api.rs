//! The calls of Label Studio's API that are needed here, one function a call. Fields that we do not know are ignored:
//! every release adds some.
//!
//! [`Server::import`], [`Server::create_project`] and [`Server::create_snapshot`] are made once: made twice, they would
//! do their work twice. Who calls them looks afterwards what became of it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::{Call, Failure, Server};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Stream, Verb};

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
/// No project has as many tasks.
const MOST_ENTRIES: u64 = 100_000_000;

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

/// Counts the pages of a listing, so that a server that always names another one is left.
#[derive(Debug, Default)]
pub(super) struct Pages {
    taken: u64,
    most: u64,
}

impl Pages {
    /// Takes a page of `length` entries that are new, where `total` entries are still to come, these included.
    ///
    /// # Errors
    /// Kind `Network`: there are more pages than the first one said.
    pub(super) fn take(&mut self, doing: &str, length: u64, total: u64) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Network, format!("{doing}: {what}: is it Label Studio?")));
        if total > MOST_ENTRIES {
            return wrong(format!("the server says that {total} entries are to come"));
        }
        if self.taken == 0 {
            // Later pages may hold fewer, and more may be added meanwhile.
            self.most = 2 * (total.div_ceil(length.max(1)) + 1);
        }
        self.taken += 1;
        if self.taken > self.most {
            return wrong(format!("the server names page after page, {} where {} were to come", self.taken, self.most));
        }
        Ok(())
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

impl Server<'_> {
    /// A project; `None` when there is none of that number.
    ///
    /// # Errors
    /// As every call: kind `Usage` when the token is not taken, kind `Network` when patience ends, kind `Input` when the
    /// server refuses.
    pub fn project(&mut self, id: i64) -> Result<Option<Project>> {
        let doing = format!("looking at project {id}");
        let path = format!("api/projects/{id}/");
        match self.ask(Call::new(&doing, Verb::Get, &path)) {
            Ok(response) => self.read(&doing, &response).map(Some),
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
            #[serde(default)]
            count: Option<u64>,
            results: Vec<Project>,
            next: Option<String>,
        }
        let doing = "listing the projects";
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut pages = Pages::default();
        for number in 1_u32.. {
            let number = number.to_string();
            let query = [("page", number.as_str()), ("page_size", "100"), ("title", title)];
            let response = self.ask(Call { query: &query, ..Call::new(doing, Verb::Get, "api/projects/") })?;
            let page: Page = self.read(doing, &response)?;
            let is_new = page.results.iter().filter(|project| seen.insert(project.id)).count() > 0;
            // A page that brings nothing new is one that came before.
            if page.next.is_none() || !is_new {
                found.extend(page.results.into_iter().filter(|project| project.title == title));
                break;
            }
            pages.take(doing, page.results.len() as u64, page.count.unwrap_or(page.results.len() as u64))?;
            // The server looks for titles that hold this one.
            found.extend(page.results.into_iter().filter(|project| project.title == title));
        }
        found.sort_by_key(|project: &Project| project.id);
        found.dedup_by_key(|project| project.id);
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
        self.read(doing, &response).map_err(Failure::Final)
    }

    /// Changes fields of a project.
    ///
    /// # Errors
    /// As every call.
    pub fn change_project(&mut self, id: i64, fields: &Value) -> Result<Project> {
        let doing = format!("changing project {id}");
        let (path, body) = (format!("api/projects/{id}/"), fields.to_string());
        let response = self.ask(Call { body: Some(&body), ..Call::new(&doing, Verb::Patch, &path) })?;
        self.read(&doing, &response)
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
        });
        let response = response.map_err(|failure| match failure {
            Failure::TooLarge(error) => Failure::Lost { error, status: None, wait: None },
            failure => failure,
        })?;
        // The tasks are there, though what was said of them cannot be read.
        self.read(&doing, &response).map_err(|error| Failure::Lost { error, status: None, wait: None })
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
        let project = project.to_string();
        loop {
            let page_size = self.page.to_string();
            let query = [
                ("project", project.as_str()),
                ("page", "1"),
                ("page_size", page_size.as_str()),
                ("fields", "all"),
                ("include", fields),
                ("query", wanted.as_str()),
            ];
            match self.ask(Call { query: &query, ..Call::new(&doing, Verb::Get, "api/tasks/") }) {
                Ok(response) => return self.read(&doing, &response),
                // Long texts with many answers: fewer tasks at once.
                Err(Failure::TooLarge(_)) if self.page > 1 => self.page = self.page.div_ceil(4),
                Err(failure) => return Err(failure.into()),
            }
        }
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
        self.read(&doing, &response)
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
        self.read(&doing, &response).map_err(Failure::Final)
    }

    /// How far a snapshot is.
    ///
    /// # Errors
    /// As every call.
    pub fn snapshot(&mut self, project: i64, snapshot: i64) -> Result<Snapshot> {
        let doing = format!("looking at snapshot {snapshot} of project {project}");
        let path = format!("api/projects/{project}/exports/{snapshot}");
        let response = self.ask(Call::new(&doing, Verb::Get, &path))?;
        self.read(&doing, &response)
    }

    /// A snapshot's file, as a stream.
    ///
    /// # Errors
    /// Why there is no good answer.
    pub fn download(&mut self, project: i64, snapshot: i64) -> Result<Stream, Failure> {
        let doing = format!("fetching snapshot {snapshot} of project {project}");
        let path = format!("api/projects/{project}/exports/{snapshot}/download");
        self.stream(Call { query: &[("exportType", "JSON")], ..Call::new(&doing, Verb::Get, &path) })
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
        self.read(doing, &response)
    }

    fn delete(&mut self, doing: &str, path: &str) -> Result<()> {
        match self.ask(Call::new(doing, Verb::Delete, path)) {
            Ok(_) | Err(Failure::Refused { status: 404, .. }) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end() {
        let walk = |length: u64, total: u64| {
            let mut pages = Pages::default();
            (0..10_000).take_while(|_| pages.take("listing", length, total).is_ok()).count()
        };
        assert_eq!(walk(2, 7), 10, "four pages and some more");
        assert_eq!(walk(500, 500), 4);
        assert_eq!(walk(1, u64::MAX), 0);
    }
}
