//! `kopri labelstudio` against what a real server has said: `tests/golden/label-studio`, recorded by
//! `tests/external/annotate_with_label_studio.py --record` from Label Studio 1.23.2.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::server::{Hit, Server, respond};

/// A personal access token with the claims `token_type: refresh` and nothing that any server would take.
pub(crate) const PERSONAL: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCIsImV4cCI6ODA3MTExNDg3MywiaWF0IjoxfQ.bm9uZQ";
pub(crate) const LEGACY: &str = "0123456789abcdef0123456789abcdef01234567";
const TASKS: &str = "id, interface, scope, pair, other, strategy, control, asked_at, body";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/label-studio").join(name)
}

fn recorded() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden("exchanges.json")).unwrap()).unwrap()
}

/// A pipeline with the recorded pairs and questions.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new(url: &str, title: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let pipeline = format!(
            "version = 1\nname = \"golden\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \"workspace\"\n\
             [annotate]\nannotators = 3\n[annotate.label-studio]\nurl = {url:?}\ntitle = {title:?}\n"
        );
        std::fs::write(desk.folder.path().join("pipeline.toml"), pipeline).unwrap();
        std::fs::copy(golden("pairs.tsv"), desk.folder.path().join("pairs.tsv")).unwrap();
        let output = desk.kopri(&["import", "pipeline.toml", "tsv", "pairs.tsv"], LEGACY);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let store = desk.store();
        for line in std::fs::read_to_string(golden("tasks.jsonl")).unwrap().lines() {
            let task: Value = serde_json::from_str(line).unwrap();
            let values: Vec<rusqlite::types::Value> = TASKS.split(", ").map(|column| sql(&task[column])).collect();
            let sql = format!("INSERT INTO task ({TASKS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
            store.execute(&sql, rusqlite::params_from_iter(values)).unwrap();
        }
        let orphans: u64 = store
            .query_row("SELECT count(*) FROM task WHERE pair NOT IN (SELECT id FROM text_pair)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(orphans, 0, "pairs have other ids than when it was recorded: record again");
        desk
    }

    fn store(&self) -> Connection {
        Connection::open(self.folder.path().join("workspace/kopri.db")).unwrap()
    }

    fn kopri(&self, arguments: &[&str], token: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
        command.args(arguments).env("LABEL_STUDIO_TOKEN", token).env("NO_COLOR", "1");
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// `push` or `pull` with arguments, as recorded.
    pub(crate) fn labelstudio(&self, run: &[&str], token: &str) -> Output {
        self.kopri(&[&["labelstudio", run[0], "pipeline.toml"], &run[1..]].concat(), token)
    }

    /// Rows as JSON.
    fn rows(&self, query: &str) -> Value {
        let store = self.store();
        let mut statement = store.prepare(query).unwrap();
        let columns = statement.column_count();
        let rows =
            statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect::<Result<Vec<_>, _>>());
        let rows: Vec<Vec<rusqlite::types::Value>> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        json!(rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>()).collect::<Vec<_>>())
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn sql(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Number(number) => rusqlite::types::Value::Integer(number.as_i64().unwrap()),
        Value::String(text) => rusqlite::types::Value::Text(text.clone()),
        _ => rusqlite::types::Value::Null,
    }
}

fn plain(value: &rusqlite::types::Value) -> Value {
    match value {
        rusqlite::types::Value::Integer(number) => json!(number),
        rusqlite::types::Value::Text(text) => json!(text),
        _ => Value::Null,
    }
}

/// Labelling interfaces are recorded by name: what is sent is what ships today.
fn with_interfaces(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("shipped:") {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/label-studio/{name}.xml"));
                *text = std::fs::read_to_string(path).unwrap();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(with_interfaces),
        Value::Object(fields) => fields.values_mut().for_each(with_interfaces),
        _ => {}
    }
}

/// What is left of a recording, and what came that was not in it.
#[derive(Default)]
struct Script {
    left: VecDeque<Value>,
    wrong: Vec<String>,
}

impl Script {
    /// The recorded answer, if this is the request that comes next.
    fn next(&mut self, hit: &Hit) -> Option<Value> {
        let url = url::Url::parse(&format!("http://server{}", hit.path)).unwrap();
        let mut body: Value = serde_json::from_slice(&hit.body).unwrap_or_default();
        if body.get("refresh").is_some() {
            assert_eq!(body["refresh"], PERSONAL);
            body["refresh"] = json!("scrubbed");
        }
        let scheme = hit.headers.get("authorization").and_then(|value| value.split(' ').next()).unwrap_or_default();
        let mut came = json!({
            "method": hit.method,
            "path": url.path(),
            "query": url.query_pairs().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "authorization": scheme,
        });
        if !body.is_null() {
            came["body"] = body;
        }
        let mut exchange = self.left.pop_front().unwrap_or_default();
        with_interfaces(&mut exchange);
        if exchange["request"] == came {
            return Some(exchange);
        }
        self.wrong.push(format!("expected {}\n     got {came}", exchange["request"]));
        None
    }
}

/// A server that plays what was recorded, in its order; anything else is answered 418 and kept.
fn replay() -> (Server, Arc<Mutex<Script>>) {
    let script = Arc::new(Mutex::new(Script::default()));
    let played = Arc::clone(&script);
    let server = Server::start(move |hit, stream| {
        let Some(exchange) = played.lock().unwrap().next(hit) else {
            return respond(stream, "418 I'm a teapot", &[], b"{}");
        };
        // A lost reply: the connection ends without a word.
        let Some(response) = exchange.get("response") else { return };
        let body = match &response["text"] {
            Value::String(text) => text.clone(),
            _ if response["json"].is_null() => String::new(),
            _ => response["json"].to_string(),
        };
        let headers: Vec<(&str, &str)> = response["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        respond(stream, &format!("{} Recorded", response["status"]), &headers, body.as_bytes());
    });
    (server, script)
}

#[test]
fn every_exchange_with_a_real_server_is_as_it_was_recorded() {
    let recording = recorded();
    let (server, script) = replay();
    let desk = Desk::new(&format!("http://{}", server.host()), recording["title"].as_str().unwrap());
    for (number, step) in recording["steps"].as_array().unwrap().iter().enumerate() {
        if let Some(sql) = step["sql"].as_str() {
            desk.store().execute(sql, []).unwrap();
            continue;
        }
        let exchanges = step["exchanges"].as_array().unwrap();
        *script.lock().unwrap() = Script { left: exchanges.iter().cloned().collect(), wrong: Vec::new() };
        let mut run: Vec<&str> = step["run"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        run.extend(step.get("out").map(|_| "--json"));
        let token = if step["token"] == "legacy" { LEGACY } else { PERSONAL };
        let output = desk.labelstudio(&run, token);
        let (said, script) = (said(&output), script.lock().unwrap());
        let at = format!("step {number}, {run:?}");
        assert!(script.wrong.is_empty(), "{at}:\n{}\n{said}", script.wrong.join("\n"));
        assert!(script.left.is_empty(), "{at}: {} exchanges are left\n{said}", script.left.len());
        assert_eq!(output.status.code().map(i64::from), step["code"].as_i64(), "{at}: {said}");
        assert!(!said.contains(PERSONAL) && !said.contains(LEGACY) && !said.contains("Bearer"), "{at}: {said}");
        if let Some(expected) = step.get("out") {
            let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(told.as_object_mut().unwrap().remove("seconds").is_some());
            assert_eq!(&told, expected, "{at}");
        }
        let placements = desk.rows("SELECT printf('q%016x', task), batch, remote FROM placement ORDER BY task");
        assert_eq!(placements, step["placements"], "{at}");
        let annotations = desk
            .rows("SELECT printf('q%016x', task), remote, annotator, verdict, skipped FROM annotation ORDER BY remote");
        assert_eq!(annotations, step["annotations"], "{at}");
    }
}

/// The answers of a small server of our own, which keeps what it is sent, at most so many tasks at once.
pub(crate) fn small_server(
    hit: &Hit,
    stream: &mut std::net::TcpStream,
    tasks: &Mutex<Vec<Value>>,
    most: usize,
    killed: &Mutex<Option<u32>>,
) {
    let ok = |stream: &mut std::net::TcpStream, answer: Value| {
        respond(stream, "200 OK", &[("Content-Type", "application/json")], answer.to_string().as_bytes());
    };
    let mut held = tasks.lock().unwrap();
    let project = json!({ "id": 5, "title": "t-five", "label_config": include_str!("../../schemas/label-studio/translation.xml"),
        "maximum_annotations": 3, "task_number": held.len(), "total_annotations_number": 0 });
    match (hit.method.as_str(), hit.path.split('?').next().unwrap()) {
        ("GET", "/api/projects/") => ok(stream, json!({ "results": [project], "next": null })),
        ("GET", "/api/projects/5/") => ok(stream, project),
        ("POST", "/api/projects/5/import") => {
            let sent: Vec<Value> = serde_json::from_slice(&hit.body).unwrap();
            if sent.len() > most {
                return respond(stream, "413 Too Large", &[], b"<html>too large</html>");
            }
            let first = held.len();
            held.extend(sent.into_iter().enumerate().map(|(index, mut task)| {
                task["id"] = json!(first + index + 1);
                task
            }));
            let numbers: Vec<usize> = (first + 1..=held.len()).collect();
            drop(held);
            if let Some(process) = killed.lock().unwrap().take() {
                // It has taken the batch, and whoever sent it dies before the answer.
                let status = Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
                assert!(status.success());
                return;
            }
            ok(stream, json!({ "task_count": numbers.len(), "task_ids": numbers }));
        }
        ("GET", "/api/tasks/") => {
            let url = url::Url::parse(&format!("http://server{}", hit.path)).unwrap();
            let query = url.query_pairs().find(|(name, _)| name == "query").unwrap().1.into_owned();
            let query: Value = serde_json::from_str(&query).unwrap();
            let fits = |task: &&Value| {
                query["filters"]["items"].as_array().unwrap().iter().all(|item| {
                    match item["filter"].as_str().unwrap() {
                        "filter:tasks:id" => task["id"].as_i64() > item["value"].as_i64(),
                        "filter:tasks:data.batch" => task["data"]["batch"] == item["value"],
                        other => panic!("{other}"),
                    }
                })
            };
            let found: Vec<&Value> = held.iter().filter(fits).collect();
            // Two a page, whatever was asked for.
            ok(stream, json!({ "total": found.len(), "tasks": found[..found.len().min(2)] }));
        }
        _ => respond(stream, "404 Not Found", &[], b"{}"),
    }
}

#[test]
fn a_push_that_is_killed_after_the_server_took_the_batch_sends_nothing_twice() {
    let (tasks, killed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let (held, victim) = (Arc::clone(&tasks), Arc::clone(&killed));
    let server = Server::start(move |hit, stream| small_server(hit, stream, &held, 500, &victim));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");

    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    command.args(["labelstudio", "push", "pipeline.toml", "--quiet"]).env("LABEL_STUDIO_TOKEN", LEGACY);
    // The server waits for the number of the process that it is to kill.
    let mut waiting = killed.lock().unwrap();
    let mut process = command.current_dir(desk.folder.path()).spawn().unwrap();
    *waiting = Some(process.id());
    drop(waiting);
    assert_eq!(process.wait().unwrap().code(), None, "it ended by itself");
    assert_eq!(tasks.lock().unwrap().len(), 7, "all of them are there");
    assert_eq!(desk.rows("SELECT count(*), count(remote) FROM placement"), json!([[7, 0]]));

    let output = desk.labelstudio(&["push", "--json"], LEGACY);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["sent"], &told["found"]), (&json!(0), &json!(7)), "{}", said(&output));
    assert_eq!(server.count("/api/projects/5/import?return_task_ids=true&commit_to_project=true"), 1);
    let there: Vec<Value> =
        tasks.lock().unwrap().iter().map(|task| json!([task["data"]["task_id"], task["id"]])).collect();
    let mut known = desk.rows("SELECT printf('q%016x', task), remote FROM placement ORDER BY remote");
    assert_eq!(known.as_array_mut().unwrap(), &there);
}

#[test]
fn a_proxy_that_takes_little_at_once_gets_smaller_batches() {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&tasks);
    let server = Server::start(move |hit, stream| small_server(hit, stream, &held, 3, &Mutex::new(None)));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let output = desk.labelstudio(&["push"], LEGACY);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("7 tasks at once are too many for the server or its proxy: 4 from now on"), "{said}");
    assert!(said.contains("4 tasks at once") && said.contains(": 2 from now on"), "{said}");
    let sizes: Vec<usize> = server
        .hits()
        .iter()
        .filter(|hit| hit.path.contains("/import?"))
        .map(|hit| serde_json::from_slice::<Vec<Value>>(&hit.body).unwrap().len())
        .collect();
    assert_eq!(sizes, [7, 4, 2, 2, 2, 1]);
    assert_eq!(desk.rows("SELECT count(remote), count(DISTINCT batch) FROM placement"), json!([[7, 4]]));
}

#[test]
fn a_prediction_that_would_be_hidden_stays_here_and_the_others_go() {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&tasks);
    let server = Server::start(move |hit, stream| small_server(hit, stream, &held, 500, &Mutex::new(None)));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let one = "(SELECT min(id) FROM task)";
    let name = desk.rows(&format!("SELECT printf('q%016x', {one})"))[0][0].as_str().unwrap().to_owned();
    let changed =
        format!("UPDATE task SET body = replace(body, '\"choices\":[\"', '\"choices\":[\"most-') WHERE id = {one}");
    assert_eq!(desk.store().execute(&changed, []).unwrap(), 1);
    let output = desk.labelstudio(&["push"], LEGACY);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains(&format!("the task {name} is not sent: verdict does not offer \"most-")),
        "{}",
        said(&output)
    );
    assert_eq!(tasks.lock().unwrap().len(), 6);
}

#[test]
fn what_is_wrong_before_anything_is_sent_is_said() {
    let server =
        Server::start(|_, stream| respond(stream, "301 Moved", &[("Location", "https://label.example.org/")], b""));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let output = desk.labelstudio(&["push"], LEGACY);
    assert!(
        said(&output).contains("sends us to https://label.example.org/: set annotate.label-studio.url"),
        "{}",
        said(&output)
    );
    assert_eq!(output.status.code(), Some(2));
    for (token, part) in [("", "LABEL_STUDIO_TOKEN is not set"), ("a.b.c", "copy it again")] {
        let output = desk.labelstudio(&["pull"], token);
        assert!(output.status.code() == Some(2) && said(&output).contains(part), "{}", said(&output));
    }
    for (url, part) in [("ftp://a.test", "http(s)"), ("http://me:word@a.test", "without user name")] {
        let set = format!("annotate.label-studio.url={url}");
        let output = desk.labelstudio(&["push", "--set", &set], LEGACY);
        assert!(output.status.code() == Some(2) && said(&output).contains(part), "{}", said(&output));
        assert!(!said(&output).contains("me:word"), "{}", said(&output));
    }
    assert_eq!(server.hits().len(), 1, "nothing else was asked for");
}
