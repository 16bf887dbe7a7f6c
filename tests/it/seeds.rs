//! Where a crawl begins, and what is said when it ends there.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kopri::pipeline::RunOptions;
use kopri::pipeline::run::Only;

use crate::crawl::Crawler;
use crate::harness::text;
use crate::server::{Server, links, missing, page, respond};

const CRAWL: RunOptions =
    RunOptions { only: Some(Only::Crawl), no_crawl: false, take_over: false, stop_after: None, audit: false };

fn attention(crawler: &Crawler) -> String {
    crawler.run(|toml| toml, CRAWL).crawl.unwrap().attention.join("\n")
}

fn kopri(crawler: &Crawler) -> Output {
    std::fs::write(crawler.path("trap.toml"), crawler.toml()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    command.args(["crawl", "trap.toml", "--quiet"]).current_dir(crawler.path(".")).output().unwrap()
}

#[test]
fn a_seed_that_leads_to_another_host_is_named_and_the_exit_code_is_3() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/" => respond(stream, "301 Moved Permanently", &[("Location", "http://new.test/ru/")], b""),
        _ => missing(stream),
    });
    let crawler = Crawler::of(&server, &[]);
    let output = kopri(&crawler);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let seed =
        format!("the seed http://{}/ redirects to http://new.test/ru/, which no site's hosts list", server.host());
    assert!(said.contains(&seed) && said.contains("add \"new.test\""), "{said}");
    assert!(said.contains("no article of the site \"trap\" was fetched yet"), "{said}");
    // Said again by a run that has nothing to ask for.
    crawler.put_off("seed");
    assert!(attention(&crawler).contains("new.test"));
}

#[test]
fn a_seed_that_wants_a_cookie_gets_it_back() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" if !hit.headers.get("cookie").is_some_and(|cookie| cookie.contains("seen=1")) => {
            respond(stream, "302 Found", &[("Location", "/"), ("Set-Cookie", "seen=1; Path=/")], b"");
        }
        "/" => links(stream, &["/ru/news/1"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &["crawl.retries=0"]);
    assert_eq!(attention(&crawler), "");
    assert_eq!(server.count("/"), 2);
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");
}

#[test]
fn a_cookie_that_is_set_on_the_way_round_is_sent_too() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/check" => respond(stream, "302 Found", &[("Location", "/"), ("Set-Cookie", "seen=1")], b""),
        "/" if !hit.headers.contains_key("cookie") => respond(stream, "302 Found", &[("Location", "/check")], b""),
        "/" => links(stream, &["/ru/news/1"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    assert_eq!(attention(&crawler), "");
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");
}

#[test]
fn a_seed_that_redirects_to_itself_without_end_fails_once() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/" => {
            let cookie = format!("id={}", hit.earlier);
            respond(stream, "302 Found", &[("Location", "/"), ("Set-Cookie", &cookie)], b"");
        }
        _ => missing(stream),
    });
    let crawler = Crawler::of(&server, &[]);
    let said = attention(&crawler);
    assert_eq!(server.count("/"), 2);
    assert!(crawler.fate("/").starts_with("failed the server redirects the URL to itself"), "{}", crawler.fate("/"));
    assert!(said.contains("failed: the server redirects the URL to itself"), "{said}");
}

#[test]
fn a_meta_refresh_is_followed_in_scope_and_named_outside() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => page(stream, "<meta http-equiv=\"Refresh\" content=\"0; url=/ru/\">"),
        "/ru/" => links(stream, &["/ru/news/1"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    assert_eq!(attention(&crawler), "");
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");

    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        _ => page(stream, "<meta http-equiv=\"Refresh\" content=\"0; url=http://new.test/\">"),
    });
    let said = attention(&Crawler::of(&server, &[]));
    assert!(said.contains("sends its reader (meta refresh) to http://new.test/"), "{said}");
}

#[test]
fn a_site_that_gives_nothing_says_why() {
    for (body, why) in [
        ("<meta name=robots content=nofollow><a href=/ru/news/1>x</a>", "asks robots not to follow its links"),
        (
            "<a href=/about>x</a><a href=http://b.test/>x</a>",
            "has 2 links, 1 on the site's hosts, and none of them matches",
        ),
        ("<a rel=nofollow href=/ru/news/1>x</a>", "1 of them match `articles`, 1 are marked rel=nofollow"),
    ] {
        let server = Server::start(move |hit, stream| match hit.path.as_str() {
            "/" => page(stream, body),
            _ => missing(stream),
        });
        let crawler = Crawler::of(&server, &[]);
        let output = kopri(&crawler);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(why), "{why}: {said}");
    }
    let forbidden = Server::start(|_, stream| respond(stream, "200 OK", &[], b"User-agent: *\nDisallow: /\n"));
    let said = attention(&Crawler::of(&forbidden, &[]));
    assert!(said.contains("is forbidden by line 2, Disallow: / in robots.txt"), "{said}");
}

#[test]
fn the_same_host_with_www_is_taken_for_the_same_site() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("bare/_redirects", "/ http://www.a.test/ 301\n");
    write("www/index.html", "<a href=/ru/news/1>x</a>");
    let article = format!("<h1>a</h1><p>{}</p>", "Билет для взрослых стоит 10 манатов. ".repeat(9));
    write("www/ru/news/1.html", &article);
    let toml = r#"
        version = 1
        name = "www"
        source = "ru"
        target = "tk"
        workspace = "work"
        [[serve]]
        host = "a.test"
        folder = "bare"
        [[serve]]
        host = "www.a.test"
        folder = "www"
        [[site]]
        name = "a"
        hosts = ["a.test"]
        seeds = ["http://a.test/"]
        articles = ["/{lang}/news/{id}"]
        [crawl]
        delay = "0s"
        revisit = "0s"
        revisit-lists = "0s"
    "#;
    for night in 0..2 {
        let pipeline = kopri::pipeline::Pipeline::parse(toml, "www.toml", folder.path().to_path_buf(), &[]).unwrap();
        let report = kopri::pipeline::run(&pipeline, RunOptions::default(), &mut kopri::engine::event::Silent).unwrap();
        let tally = report.crawl.as_ref().unwrap();
        assert!(tally.attention.is_empty(), "night {night}: {tally:?}");
        assert_eq!(report.failed(), 0);
        let said =
            tally.notes.iter().any(|note| note.contains("a.test redirects to www.a.test, which is taken for a host"));
        assert_eq!(said, night == 0, "{tally:?}");
        let database = rusqlite::Connection::open(folder.path().join("work/kopri.db")).unwrap();
        let document: String =
            database.query_row("SELECT location || ' ' || site FROM document", [], |row| row.get(0)).unwrap();
        assert_eq!(document, "http://www.a.test/ru/news/1 a", "night {night}");
    }
}

#[test]
fn a_page_of_400_000_templates_is_done_with_at_once() {
    let word = |number: u32| -> String {
        let letter = |at: u32| char::from(b'a' + u8::try_from(number / 26_u32.pow(at) % 26).unwrap());
        (0..5).map(letter).collect()
    };
    let body: String = (0..400_000).map(|number| format!("<a href=/{}>x</a>", word(number))).collect();
    let body = format!("{body}<a href=/ru/news/1>x</a>");
    let server = Server::start(move |hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => page(stream, &body),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &["crawl.max-alike=0"]);
    let began = Instant::now();
    let tally = crawler.crawl();
    // 4 s of processor time when built for tests; a busy machine takes longer.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(tally.notes.len() < 20, "{} notes", tally.notes.len());
    assert!(tally.notes.iter().any(|note| note.contains("380001 links too many")), "{:?}", tally.notes);
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ", "articles come before other links");
}
