//! A crawl that is killed fifty times: nothing lost, nothing that was written down asked for again. Signals that ask a
//! crawl to end.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::server::{Server, missing, page};

const PAGES: usize = 500;
const KILLS: usize = 50;

/// The pipeline's program, crawling in `folder`.
fn kopri(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    command.args(["crawl", "trap.toml", "--quiet"]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn killed_fifty_times_it_loses_no_page_and_asks_for_none_again_that_was_written_down() {
    // Every page links the next two, so that the frontier grows while it is crawled.
    let answered: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let log = Arc::clone(&answered);
    let server = Server::start(move |hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        path => {
            let id: usize = path.rsplit('/').next().unwrap().parse().unwrap_or(0);
            let next: String = [2 * id + 1, 2 * id + 2]
                .iter()
                .filter(|next| **next < PAGES)
                .map(|next| format!("<a href=/ru/news/{next}>x</a>"))
                .collect();
            std::thread::sleep(Duration::from_millis(4));
            page(stream, &format!("<p>{id}</p>{next}"));
            *log.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        }
    });
    let crawler = super::crawl::Crawler::of(&server, &[]);
    let folder = tempfile::tempdir().unwrap();
    // A night is a night: what is fetched in it is not due again.
    let toml =
        crawler.toml().replace("revisit = \"0s\"", "revisit = \"1d\"").replace("delay = \"0s\"", "delay = \"15ms\"");
    std::fs::write(folder.path().join("trap.toml"), toml.replace("max-delay = \"15ms\"", "max-delay = \"20ms\""))
        .unwrap();
    let database = || rusqlite::Connection::open(folder.path().join("work/kopri.db")).unwrap();

    let mut doubtful: BTreeMap<String, usize> = BTreeMap::new();
    let mut seed = 1_u64;
    for _ in 0..KILLS {
        let mut child = kopri(folder.path()).spawn().unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Some pages later, at any moment between two requests or inside one.
        let (pages, micros) = ((seed >> 33) % 14, (seed >> 40) % 20_000);
        let goal = server.hits().len() + pages as usize;
        while server.hits().len() < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was in flight: nobody knows whether its answer came.
        if !folder.path().join("work/kopri.db").exists() {
            continue;
        }
        let database = database();
        let Ok(mut leased) = database.prepare("SELECT url FROM url WHERE leased_at IS NOT NULL") else { continue };
        for url in leased.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            let url = url.unwrap();
            *doubtful.entry(url[format!("http://{}", server.host()).len()..].to_owned()).or_default() += 1;
        }
    }
    let output = kopri(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let database = database();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, usize>(0)).unwrap();
    assert_eq!(number("SELECT count(*) FROM url WHERE state = 'fetched' AND body_hash IS NOT NULL"), PAGES);
    assert_eq!(number("SELECT count(*) FROM url WHERE due > 0 OR leased_at IS NOT NULL"), 0);
    let answered = answered.lock().unwrap();
    assert_eq!(answered.len(), PAGES);
    for (path, count) in answered.iter().filter(|(_, count)| **count > 1) {
        let excuse = doubtful.get(path).copied().unwrap_or(0);
        assert!(*count <= 1 + excuse, "{path} was answered {count} times, and in flight at {excuse} kills");
    }
    let in_flight = doubtful.values().sum::<usize>();
    assert!((1..=KILLS).contains(&in_flight), "one request at a time, and some of them were hit: {in_flight}");
    println!("{KILLS} kills, {} of them while a request was in flight: {doubtful:?}", in_flight);
}

/// Sends a signal to a process.
#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A crawl of pages that link the next two, in a folder; page 0 is the seed.
#[cfg(unix)]
fn pages_and_crawler(pages: usize, answer_after: Duration) -> (Server, tempfile::TempDir) {
    let server = Server::start(move |hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        path => {
            let id: usize = path.rsplit('/').next().unwrap().parse().unwrap_or(0);
            std::thread::sleep(answer_after);
            let next: String = [2 * id + 1, 2 * id + 2]
                .iter()
                .filter(|next| **next < pages)
                .map(|next| format!("<a href=/ru/news/{next}>x</a>"))
                .collect();
            page(stream, &format!("<p>{id}</p>{next}"));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let toml = super::crawl::Crawler::of(&server, &[]).toml().replace("revisit = \"0s\"", "revisit = \"1d\"");
    std::fs::write(folder.path().join("trap.toml"), toml.replace("timeout = \"2s\"", "timeout = \"20s\"")).unwrap();
    (server, folder)
}

/// Waits until a crawl has asked for so many URLs.
#[cfg(unix)]
fn wait_for(server: &Server, hits: usize) {
    for _ in 0..3_000 {
        if server.hits().len() >= hits {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the crawl has asked for {} URLs in 30 s", server.hits().len());
}

#[cfg(unix)]
#[test]
fn a_signal_to_end_or_to_hang_up_ends_the_run_after_the_unit_in_hand() {
    for name in ["INT", "TERM", "HUP"] {
        let (server, folder) = pages_and_crawler(400, Duration::from_millis(10));
        let child = kopri(folder.path()).spawn().unwrap();
        wait_for(&server, 5);
        let status = Command::new(env!("CARGO_BIN_EXE_kopri"))
            .args(["status", "trap.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let status = String::from_utf8(status.stdout).unwrap();
        assert!(status.lines().next().unwrap().ends_with("  running"), "{status}");
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "SIG{name}: {}", String::from_utf8_lossy(&output.stderr));
        let database = rusqlite::Connection::open(folder.path().join("work/kopri.db")).unwrap();
        let text = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(text("SELECT outcome FROM run"), "interrupted", "SIG{name}");
        assert_eq!(
            text("SELECT count(*) || '' FROM url WHERE leased_at IS NOT NULL"),
            "0",
            "nothing is left in flight"
        );
        assert!(server.hits().len() < 300, "it went on for {} URLs", server.hits().len());
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_run_at_once_and_status_says_that_it_was_killed() {
    use std::os::unix::process::ExitStatusExt as _;
    let (server, folder) = pages_and_crawler(2, Duration::from_secs(15));
    let mut child = kopri(folder.path()).spawn().unwrap();
    wait_for(&server, 2);
    let began = std::time::Instant::now();
    signal(&child, "TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "the first waits for the answer");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((output.status.code(), output.status.signal()), (Some(130), None));
    let status = Command::new(env!("CARGO_BIN_EXE_kopri"))
        .args(["status", "trap.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.lines().next().unwrap().contains("it was killed"), "{status}");
}

#[cfg(unix)]
#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let (server, folder) = pages_and_crawler(40, Duration::from_millis(20));
    // What nohup does.
    let child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" crawl trap.toml --quiet", env!("CARGO_BIN_EXE_kopri")])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&server, 5);
    signal(&child, "HUP");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.hits().iter().filter(|hit| hit.path.starts_with("/ru/news/")).count(), 39);
}
