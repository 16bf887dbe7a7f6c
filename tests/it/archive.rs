//! The page archive and the database lose their agreement: by a power cut, a deleted or an old database, a cut file.

use std::path::PathBuf;
use std::process::{Command, Output};

use kopri::pipeline::{RunOptions, RunReport};

use crate::crawl::Crawler;
use crate::harness::text;
use crate::server::{Server, links, missing, page, respond};

const ARTICLES: usize = 6;

/// A site whose articles have ETags and answer 304 to them.
fn site() -> Server {
    Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => links(stream, &(1..=ARTICLES).map(|id| format!("/ru/news/{id}")).collect::<Vec<_>>()),
        path => {
            let tag = format!("\"{path}\"");
            if hit.headers.get("if-none-match") == Some(&tag) {
                return respond(stream, "304 Not Modified", &[("ETag", &tag)], b"");
            }
            let text = "В Ашхабаде открылась новая библиотека на 120 мест, и вход в неё бесплатный. ".repeat(4);
            let headers = [("Content-Type", "text/html; charset=utf-8"), ("ETag", tag.as_str())];
            respond(stream, "200 OK", &headers, format!("<h1>{path}</h1><p>{path} {text}</p>").as_bytes());
        }
    })
}

fn run(crawler: &Crawler) -> RunReport {
    let report = crawler.run(|toml| toml, RunOptions::default());
    assert_eq!(report.failed(), 0);
    report
}

fn attention(report: &RunReport) -> String {
    report.crawl.as_ref().unwrap().attention.join("\n")
}

fn notes(report: &RunReport) -> String {
    report.crawl.as_ref().unwrap().notes.join("\n")
}

fn documents(crawler: &Crawler) -> String {
    crawler.ask(
        "SELECT group_concat(row, char(10)) FROM
           (SELECT id || location || site || content_hash || fingerprint AS row FROM document ORDER BY id)",
    )
}

/// The one archive file.
fn file(crawler: &Crawler) -> PathBuf {
    let pages = crawler.path("work/pages");
    let mut files: Vec<PathBuf> = std::fs::read_dir(pages)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "gz"))
        .collect();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

fn delete_database(crawler: &Crawler) {
    for name in ["kopri.db", "kopri.db-wal", "kopri.db-shm"] {
        let _ = std::fs::remove_file(crawler.path("work").join(name));
    }
}

fn kopri(crawler: &Crawler, arguments: &[&str]) -> Output {
    std::fs::write(crawler.path("trap.toml"), crawler.toml()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    command.args(arguments).arg("trap.toml").current_dir(crawler.path(".")).output().unwrap()
}

#[test]
fn pages_that_a_power_cut_took_are_fetched_again_and_their_documents_stay() {
    let server = site();
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let before = documents(&crawler);
    assert_eq!(before.lines().count(), ARTICLES);
    // What lies past the middle never reached the disk; the database did.
    let archive = file(&crawler);
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    server.forget();

    // Without the network nothing is gained and nothing lost.
    let offline = crawler.run(|toml| toml, RunOptions { no_crawl: true, ..RunOptions::default() });
    assert_eq!(offline.failed(), 0);
    assert_eq!(documents(&crawler), before);

    let report = run(&crawler);
    let said = attention(&report);
    assert!(said.contains("archived pages lost") && said.contains("their documents stay"), "{said}");
    let tally = report.crawl.as_ref().unwrap();
    assert!(tally.changed > 0 && tally.unchanged > 0, "{tally:?}");
    let hits = server.hits();
    let unconditional =
        hits.iter().filter(|hit| hit.path.starts_with("/ru") && !hit.headers.contains_key("if-none-match"));
    assert_eq!(unconditional.count() as u64, tally.changed, "what is lost is fetched in full, the rest is asked about");
    assert_eq!(documents(&crawler), before);
    assert!(std::fs::read(&archive).unwrap().starts_with(&whole[..whole.len() / 4]));

    let report = run(&crawler);
    assert_eq!(attention(&report), "", "it is said once");
    assert_eq!(report.crawl.as_ref().unwrap().changed, 0);
    assert_eq!(crawler.ask("SELECT cast(count(*) AS TEXT) FROM url WHERE body_lost = 1"), "0");
    // Every body is where the index says: all documents can be made anew.
    let anew = crawler
        .run(|toml| toml + "\n[extract]\nmin-chars = 100\n", RunOptions { no_crawl: true, ..RunOptions::default() });
    assert_eq!(anew.failed(), 0);
    assert_eq!(documents(&crawler), before);
}

#[test]
fn an_archive_that_is_gone_is_fetched_again() {
    let server = site();
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let before = documents(&crawler);
    std::fs::remove_dir_all(crawler.path("work/pages")).unwrap();
    let report = run(&crawler);
    assert!(attention(&report).contains("is gone or empty: 7 archived pages lost"), "{}", attention(&report));
    assert_eq!(report.crawl.as_ref().unwrap().changed, 7);
    assert_eq!(documents(&crawler), before);
}

#[test]
fn a_lost_database_is_made_anew_from_the_archive() {
    let server = site();
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let before = documents(&crawler);
    let archive = std::fs::read(file(&crawler)).unwrap();
    delete_database(&crawler);
    server.forget();
    let output = kopri(&crawler, &["pages", "reindex"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("7 pages: 7 indexed that were not, 0 still lost"),
        "{}",
        text(&output.stderr)
    );
    let report = crawler.run(|toml| toml, RunOptions { no_crawl: true, ..RunOptions::default() });
    assert_eq!(report.failed(), 0);
    assert_eq!(documents(&crawler), before);
    assert_eq!(server.hits().len(), 0, "nothing was fetched");
    assert_eq!(std::fs::read(file(&crawler)).unwrap(), archive);
    // A second time there is nothing to do; an archive that is not there is an error of usage.
    let output = kopri(&crawler, &["pages", "reindex"]);
    assert!(text(&output.stderr).contains("0 indexed that were not"), "{}", text(&output.stderr));
    std::fs::remove_dir_all(crawler.path("work/pages")).unwrap();
    assert_eq!(kopri(&crawler, &["pages", "reindex"]).status.code(), Some(2));
}

#[test]
fn a_crawl_without_its_database_cuts_nothing_and_asks_what_changed() {
    let server = site();
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let before = documents(&crawler);
    let archive = std::fs::read(file(&crawler)).unwrap();
    delete_database(&crawler);
    server.forget();
    let report = run(&crawler);
    assert!(notes(&report).contains("7 archived pages that the store did not know"), "{}", notes(&report));
    assert_eq!(attention(&report), "");
    assert_eq!(documents(&crawler), before);
    assert!(std::fs::read(file(&crawler)).unwrap().starts_with(&archive));
    let tally = report.crawl.as_ref().unwrap();
    assert_eq!((tally.changed, tally.unchanged), (0, 7), "{tally:?}");
}

#[test]
fn yesterdays_database_learns_what_the_archive_got_since() {
    let server = Server::start(|hit, stream| match (hit.path.as_str(), hit.earlier) {
        ("/robots.txt", _) => missing(stream),
        ("/", 0) => links(stream, &["/ru/news/1"]),
        ("/", 1) => links(stream, &["/ru/news/1", "/ru/news/2"]),
        // Since then the list names neither.
        ("/", _) => links(stream, &["/ru/news/3"]),
        (path, _) => {
            page(stream, &format!("<p>{path}</p><p>{}</p>", "Билет для взрослых стоит 10 манатов. ".repeat(9)))
        }
    });
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let yesterday = crawler.path("work/kopri.db");
    // By SQLite, so that what is in its log is copied too.
    let copy = crawler.path("copy.db");
    let database = rusqlite::Connection::open(&yesterday).unwrap();
    database.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(database);
    run(&crawler);
    let archive = std::fs::read(file(&crawler)).unwrap();
    delete_database(&crawler);
    std::fs::copy(&copy, &yesterday).unwrap();
    let report = run(&crawler);
    assert!(notes(&report).contains("that the store did not know"), "{}", notes(&report));
    assert!(std::fs::read(file(&crawler)).unwrap().starts_with(&archive));
    assert_eq!(documents(&crawler).lines().count(), 3, "{}", documents(&crawler));
}

#[test]
fn a_torn_record_is_set_aside_and_the_rest_indexed() {
    let server = site();
    let crawler = Crawler::of(&server, &[]);
    run(&crawler);
    let archive = file(&crawler);
    let whole = std::fs::read(&archive).unwrap();
    // A kill in the middle of a record.
    std::fs::write(&archive, [whole.as_slice(), &whole[..40]].concat()).unwrap();
    let report = run(&crawler);
    assert!(notes(&report).contains("ended inside a record"), "{}", notes(&report));
    assert_eq!(attention(&report), "");
    let copy = format!("{}.torn", archive.display());
    assert_eq!(std::fs::read(copy).unwrap(), whole[..40]);
    assert!(std::fs::read(&archive).unwrap().starts_with(&whole));
    assert!(!notes(&run(&crawler)).contains("ended inside"));
}
