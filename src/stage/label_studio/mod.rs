//! Tasks go to a Label Studio server and people's answers come back, through its API (1.23).
//!
//! ```text
//! push   task ─ placement without a number ─▶ POST import ─▶ numbers ─▶ placement
//!                        └─ no reply: which tasks hold this data.batch? ◀─┘
//! pull   the first time: snapshot ─▶ file ─▶ annotations
//!        later: tasks whose updated_at has moved ─▶ annotations
//! ```
//!
//! The server knows no task twice only because we see to it: it makes a new task of every task that it is sent. So a
//! batch is written down before it leaves, its name stands in every task's data, and after a lost reply or a kill the
//! server is asked what it has of that batch before anything is sent again.
//!
//! Memory: a batch of [`push::BATCH`] tasks, a page of [`api::PAGE`], and some 50 bytes a task of the project while all
//! of it is compared. A snapshot is streamed to a file and from there.

pub mod api;
pub mod pull;
pub mod push;
pub mod retry;
pub mod server;
pub mod token;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::record::TaskId;

/// What the titles of our snapshots begin with: those that a killed pull left are known by it, and deleted.
pub const SNAPSHOT: &str = "kopri pull";

/// What push and pull tell while they work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'a> {
    /// So many tasks are to be sent; `None`: nobody knows how many will come.
    Begin(Option<u64>),
    /// So many more are done.
    Done(u64),
    /// Something that a person should know.
    Note(&'a str),
}

/// A condition of the server's task filters: a field of the data that equals a text.
fn data_equals(field: &str, value: &str) -> Value {
    json!({ "filter": format!("filter:tasks:data.{field}"), "operator": "equal", "type": "String", "value": value })
}

/// A task there, as far as push looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remote {
    /// Its number.
    number: i64,
    /// Our id of it.
    task: TaskId,
    /// Whether anybody has answered, skipped or begun it.
    touched: bool,
}

/// Reads a listed task; `None` when its data names no task of ours.
fn remote(task: &Value) -> Result<(i64, Option<Remote>)> {
    let number = task.get("id").and_then(Value::as_i64).ok_or_else(|| unlike("a task without an id"))?;
    let id = task.get("data").and_then(|data| data.get("task_id")).and_then(Value::as_str);
    let counted = |field: &str| task.get(field).and_then(Value::as_u64).is_some_and(|count| count > 0);
    let listed = |field: &str| task.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let touched = counted("total_annotations") || counted("cancelled_annotations") || listed("drafts");
    Ok((number, id.and_then(|id| id.parse().ok()).map(|task| Remote { number, task, touched })))
}

fn unlike(what: &str) -> Error {
    Error::new(crate::error::ErrorKind::Network, format!("the server sent {what}: is it Label Studio?"))
}
