//! Label Studio as it should not be: a token that is not taken, a project that is gone, a server that lies. No run is
//! cancelled by it, no message shows a token, and nothing is read without limit.

use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{House, text};
use crate::labelstudio::{Desk, LEGACY, PERSONAL, said, small_server};
use crate::server::{Hit, Server, respond};

fn ok(stream: &mut TcpStream, answer: &Value) {
    respond(stream, "200 OK", &[("Content-Type", "application/json")], answer.to_string().as_bytes());
}

fn path(hit: &Hit) -> (&str, &str) {
    (hit.method.as_str(), hit.path.split('?').next().unwrap())
}

fn project(tasks: u64) -> Value {
    json!({ "id": 5, "title": "house: translation", "maximum_annotations": 3, "task_number": tasks,
        "label_config": include_str!("../../schemas/label-studio/translation.xml"), "total_annotations_number": 0 })
}

/// A house whose nightly runs pull from and push to this server.
fn nightly(house: &House, url: &str) -> Command {
    let mut kopri = Command::new(env!("CARGO_BIN_EXE_kopri"));
    kopri.arg("run").arg(house.write_pipeline("w")).args(["--no-crawl", "--set", "annotate.budget=4", "--set"]);
    kopri.arg(format!("annotate.label-studio={{url=\"{url}\",nightly=true}}"));
    kopri.env("NO_COLOR", "1").env("LABEL_STUDIO_TOKEN", LEGACY);
    kopri
}

/// Says that the project 7 was pushed to before.
fn pushed_before(house: &House, url: &str) {
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    let row = "INSERT OR IGNORE INTO project (server, remote, title, interface) VALUES (?1, 7, ?2, 'translation')";
    database.execute(row, [url, "house: translation"]).unwrap();
}

fn runs(house: &House) -> i64 {
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    database.query_row("SELECT count(*) FROM run WHERE outcome = 'done'", [], |row| row.get(0)).unwrap()
}

/// No token in what was printed, nor in any file of the workspace.
fn shows_no_token(output: &Output, folder: &std::path::Path) {
    let said = said(output);
    for secret in [LEGACY, PERSONAL, "bm9uZQ", "access-token-of-the-server", "\u{1b}"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    for file in ["kopri.db", "kopri.db-wal"] {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        for secret in [LEGACY, PERSONAL] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file} holds {secret}");
        }
    }
}

#[test]
fn no_fault_of_label_studio_cancels_a_nightly_run() {
    let house = House::new(2);
    house.run("w");
    let echo = format!("{{\"detail\":\"Invalid token \\u001b[31m{LEGACY}\"}}");
    let refusals = [
        ("401 Unauthorized", echo.clone(), "make a new one in Account & Settings"),
        ("403 Forbidden", echo.clone(), "make them a member of the project"),
        ("404 Not Found", "{}".to_owned(), "answered 404"),
        ("302 Found", String::new(), "set annotate.label-studio.url to where it is"),
        ("200 OK", "<html>".to_owned(), "did not answer as Label Studio does (an HTML page)"),
    ];
    for (status, body, advice) in refusals {
        let server = Server::start(move |_, stream| {
            respond(stream, status, &[("Location", &format!("https://a.example/?t={LEGACY}"))], body.as_bytes());
        });
        let url = format!("http://{}", server.host());
        pushed_before(&house, &url);
        let before = runs(&house);
        let output = nightly(&house, &url).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{status}: {said}");
        assert_eq!(runs(&house), before + 1, "{status}: {said}");
        assert!(said.contains("Label Studio: fetching answers: ") && said.contains(advice), "{status}: {said}");
        assert!(said.contains("Label Studio: sending questions: "), "{status}: {said}");
        shows_no_token(&output, &house.path("w"));
    }
    for (token, advice) in [("", "LABEL_STUDIO_TOKEN is not set"), ("a.b.c", "copy it again")] {
        let before = runs(&house);
        let output = nightly(&house, "http://127.0.0.1:9").env("LABEL_STUDIO_TOKEN", token).output().unwrap();
        assert_eq!((output.status.code(), runs(&house)), (Some(3), before + 1), "{}", said(&output));
        assert!(said(&output).contains(advice), "{}", said(&output));
    }
}

#[test]
fn a_project_that_is_gone_or_renamed_is_reported_and_the_run_goes_on() {
    let house = House::new(2);
    house.run("w");
    let server = Server::start(|hit, stream| match path(hit) {
        ("GET", "/api/projects/") => ok(stream, &json!({ "count": 0, "results": [], "next": null })),
        ("POST", _) => respond(stream, "403 Forbidden", &[], b"{\"detail\":\"no\"}"),
        _ => respond(stream, "404 Not Found", &[], b"{}"),
    });
    let url = format!("http://{}", server.host());
    pushed_before(&house, &url);
    let output = nightly(&house, &url).output().unwrap();
    let said = said(&output);
    assert_eq!((output.status.code(), runs(&house)), (Some(3), 2), "{said}");
    assert!(said.contains("project 7 is no longer on") && said.contains("`kopri labelstudio push` makes it"), "{said}");
}

#[test]
fn a_push_after_a_run_is_interrupted_and_the_run_is_kept() {
    let house = House::new(2);
    house.run("w");
    let server = Server::start(|hit, stream| match path(hit) {
        ("GET", "/api/projects/") => ok(stream, &json!({ "count": 1, "results": [project(0)], "next": null })),
        (_, "/api/projects/5/") => ok(stream, &project(0)),
        ("GET", "/api/tasks/") => ok(stream, &json!({ "tasks": [], "total": 0 })),
        _ => respond(stream, "503 Busy", &[("Retry-After", "30")], b"{}"),
    });
    let mut kopri = nightly(&house, &format!("http://{}", server.host()));
    let child = kopri.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = std::time::Instant::now();
    while !server.paths().iter().any(|path| path.contains("/import")) {
        assert!(started.elapsed().as_secs() < 120, "nothing was pushed: {:?}", server.paths());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let interrupted = std::time::Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(interrupted.elapsed().as_secs() < 15, "{:?}", interrupted.elapsed());
    assert!(text(&output.stderr).contains("the next push or pull goes on from there"), "{}", text(&output.stderr));
    assert_eq!(runs(&house), 2);
}

#[test]
fn a_refresh_answer_shows_no_token_whatever_it_holds() {
    for body in [
        json!({ "token": "access-token-of-the-server", "refresh": PERSONAL }).to_string(),
        json!([PERSONAL, "access-token-of-the-server"]).to_string(),
        format!("{PERSONAL} access-token-of-the-server"),
    ] {
        let server = Server::start(move |_, stream| respond(stream, "200 OK", &[], body.as_bytes()));
        let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
        let output = desk.labelstudio(&["pull"], PERSONAL);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("did not answer with an access token"), "{}", said(&output));
        shows_no_token(&output, &desk.folder.path().join("workspace"));
    }
    // One that is taken, and comes back in a later answer: whole, or its signature alone.
    let server = Server::start(|hit, stream| match path(hit) {
        ("POST", "/api/token/refresh/") => ok(stream, &json!({ "access": "access-token-of-the-server" })),
        _ => {
            let body = format!("{{\"detail\":\"access-token-of-the-server, {PERSONAL}, bm9uZQ\"}}");
            respond(stream, "400 Bad", &[], body.as_bytes());
        }
    });
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let output = desk.labelstudio(&["pull"], PERSONAL);
    assert!(said(&output).contains("answered 400: (token), (token), (token)"), "{}", said(&output));
    shows_no_token(&output, &desk.folder.path().join("workspace"));
}

#[test]
fn pages_without_end_are_left() {
    let named = Mutex::new(100);
    let server = Server::start(move |hit, stream| {
        let mut last = named.lock().unwrap();
        *last += 1;
        match path(hit) {
            ("GET", "/api/projects/") if hit.path.contains("t-five") => {
                ok(stream, &json!({ "count": 1, "results": [{ "id": *last, "title": "other" }], "next": "more" }));
            }
            ("GET", "/api/projects/5/") => ok(stream, &project(10)),
            _ => ok(stream, &json!({ "total": 3, "tasks": [{ "id": *last, "data": {} }] })),
        }
    });
    let url = format!("http://{}", server.host());
    let desk = Desk::new(&url, "t-five");
    for (run, what) in [(&["push"][..], "listing the projects"), (&["push", "--project", "5"], "listing tasks")] {
        server.forget();
        let output = desk.labelstudio(run, LEGACY);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(&format!("{what}: the server names page after page")), "{}", said(&output));
        assert!(server.hits().len() < 20, "{}", server.hits().len());
    }
    // The same page again and again is the end.
    let same = json!({ "count": 9, "results": [{ "id": 1, "title": "other" }], "next": "more" });
    let server = Server::start(move |_, stream| ok(stream, &same));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let output = desk.labelstudio(&["pull"], LEGACY);
    assert!(said(&output).contains("has no project called \"t-five\""), "{}", said(&output));
    assert_eq!(server.hits().len(), 2);
}

#[test]
fn answers_and_snapshots_have_limits_that_settings_name() {
    let server = Server::start(|hit, stream| match path(hit) {
        ("GET", "/api/projects/5/") => ok(stream, &project(0)),
        ("GET", "/api/projects/5/exports/") => ok(stream, &json!([])),
        ("POST", _) => ok(stream, &json!({ "id": 1, "status": "completed" })),
        _ => respond(stream, "200 OK", &[], &vec![b' '; 50_000]),
    });
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let limited = |limit: &str| {
        let set = format!("annotate.label-studio.{limit}");
        let output = desk.labelstudio(&["pull", "--project", "5", "--set", &set], LEGACY);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        said(&output)
    };
    assert!(limited("max-answer=\"1kB\"").contains("annotate.label-studio.max-answer"));
    let large = limited("max-snapshot=\"20kB\"");
    assert!(large.contains("larger than 20000 bytes: raise annotate.label-studio.max-snapshot"), "{large}");
    assert!(limited("max-snapshot=\"1MB\"").contains("breaks off"), "50 kB of nothing are within the limit");
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_parts() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sizes = Arc::clone(&asked);
    let server = Server::start(move |hit, stream| match path(hit) {
        ("GET", "/api/projects/5/") => ok(stream, &project(1)),
        ("GET", "/api/tasks/") => {
            let url = url::Url::parse(&format!("http://server{}", hit.path)).unwrap();
            let size = url.query_pairs().find(|(name, _)| name == "page_size").unwrap().1.parse::<usize>().unwrap();
            sizes.lock().unwrap().push(size);
            let filler = "x".repeat(size * 500);
            ok(stream, &json!({ "total": 1, "tasks": [{ "id": 1, "data": { "filler": filler } }] }));
        }
        _ => ok(stream, &json!({ "task_count": 7, "task_ids": [2, 3, 4, 5, 6, 7, 8] })),
    });
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let set = "annotate.label-studio.max-answer=\"30kB\"";
    let output = desk.labelstudio(&["push", "--project", "5", "--set", set], LEGACY);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(*asked.lock().unwrap(), [500, 125, 32]);
}

#[test]
fn what_was_compared_once_is_compared_again_only_when_it_changes() {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&tasks);
    let server = Server::start(move |hit, stream| small_server(hit, stream, &held, 500, &Mutex::new(None)));
    let desk = Desk::new(&format!("http://{}", server.host()), "t-five");
    let push = || -> (Value, usize) {
        server.forget();
        let output = desk.labelstudio(&["push", "--json"], LEGACY);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let walked = server.paths().iter().filter(|path| path.contains("/api/tasks/")).count();
        (serde_json::from_slice(&output.stdout).unwrap(), walked)
    };
    assert_eq!(push().1, 0, "a new project");
    // Somebody deletes one of seven, and adds two of their own.
    tasks.lock().unwrap().remove(3);
    tasks.lock().unwrap().extend([json!({ "id": 50, "data": {} }), json!({ "id": 51, "data": {} })]);
    let (told, walked) = push();
    assert!(walked > 0);
    assert_eq!((&told["gone"], &told["foreign"], &told["sent"]), (&json!(1), &json!(2), &json!(0)));
    let (told, walked) = push();
    assert_eq!((walked, &told["gone"], &told["foreign"]), (0, &json!(1), &json!(2)), "nothing has changed");
    tasks.lock().unwrap().pop();
    let (told, walked) = push();
    assert!(walked > 0);
    assert_eq!((&told["gone"], &told["foreign"]), (&json!(1), &json!(1)));
    assert_eq!(push().1, 0);
}
