//! Several runs of one workspace: pages change, vanish, come back, move, stand behind a maintenance page, and sites are
//! renamed. What was fetched and made of it must never be lost on the way.

use kopri::pipeline::{RunOptions, RunReport};

use crate::crawl::Crawler;
use crate::harness::House;
use crate::server::{Server, links, missing, page, respond};

fn documents(house: &House) -> Vec<String> {
    let all = house.ask(
        "work",
        "SELECT group_concat(path, ' ') FROM
        (SELECT replace(replace(location, 'http://house.test/', ''), '/library', '') AS path FROM document ORDER BY 1)",
    );
    all.split_whitespace().map(str::to_owned).collect()
}

fn extract_notes(report: &RunReport) -> String {
    let tally = report.stage("extract").unwrap();
    tally.notes.join("\n")
}

#[test]
fn a_night_of_maintenance_takes_nothing_away() {
    let house = House::new(3);
    house.run("work");
    let before = documents(&house);
    assert_eq!(before.len(), 6);
    let kept = || house.ask("work", "SELECT cast(count(*) AS TEXT) FROM judgement WHERE reason IS NULL");
    let (kept_before, interval) = (kept(), house.ask("work", "SELECT cast(max(interval_s) AS TEXT) FROM url"));

    for status in [302, 303, 307] {
        let lines: Vec<String> = before.iter().map(|path| format!("/{path}/library /maintenance {status}")).collect();
        house.redirect(&lines.join("\n"));
        let report = house.run("work");
        let tally = report.crawl.as_ref().unwrap();
        assert_eq!((tally.suspended, tally.redirected), (6, 6), "{tally:?}");
        assert!(tally.notes.iter().any(|note| note.contains("6 archived pages redirected for now")), "{tally:?}");
        assert_eq!(documents(&house), before, "{status}");
        assert_eq!(kept(), kept_before, "{status}");
        let article = "FROM url WHERE url LIKE '%/ru/post/1/library'";
        assert_eq!(house.ask("work", &format!("SELECT state {article}")), "fetched");
        assert!(house.ask("work", &format!("SELECT error {article}")).contains("/maintenance for now"));
        assert_eq!(house.ask("work", &format!("SELECT cast(interval_s AS TEXT) {article}")), interval);
    }

    // The night after, one article was edited, and none is missed.
    house.redirect("");
    house.write_article(2, true);
    let report = house.run("work");
    assert_eq!(report.crawl.as_ref().unwrap().changed, 2);
    assert_eq!(documents(&house), before);
    assert_eq!(house.ask("work", "SELECT cast(count(error) AS TEXT) FROM url WHERE role = 'article'"), "0");
}

#[test]
fn an_article_that_moved_keeps_its_document_until_the_new_one_is_there() {
    let house = House::new(2);
    house.run("work");
    // Article 1 moved to 9, which is not there yet; 2 redirects to the home page and has vanished so.
    house.redirect(
        "/ru/post/1/library /ru/post/9/library 301\n/ru/post/2/library /ru/ 301\n/ru/post/9/library /none 302",
    );
    house.run("work");
    assert_eq!(documents(&house), ["ru/post/1", "ru/post/2", "tm/post/1", "tm/post/2"]);
    house.redirect("/ru/post/1/library /ru/post/9/library 301\n/ru/post/2/library /ru/ 301");
    house.write_article(9, false);
    house.run("work");
    assert_eq!(documents(&house), ["ru/post/2", "ru/post/9", "tm/post/1", "tm/post/2", "tm/post/9"]);
    // And back.
    house.redirect("");
    house.run("work");
    assert_eq!(documents(&house).len(), 6);
}

#[test]
fn renaming_a_site_loses_no_document() {
    let house = House::new(2);
    house.run("work");
    assert_eq!(documents(&house).len(), 4);
    let renamed =
        |text: String| text.replace("[[site]]\n            name = \"house\"", "[[site]]\n            name = \"home\"");
    house.write_article(3, false);
    house.write_lists(&[1, 2, 3]);
    let report = house.run_changed("work", renamed);
    assert_eq!(documents(&house).len(), 6);
    let of =
        |site: &str| house.ask("work", &format!("SELECT cast(count(*) AS TEXT) FROM document WHERE site = '{site}'"));
    assert_eq!((of("home"), of("house")), ("6".into(), "0".into()), "old and new ones are of one site");
    assert_eq!(report.stages.iter().map(|report| report.tally.failed).sum::<u64>(), 0);
    let pairs = |house: &House| house.ask("work", "SELECT cast(count(*) AS TEXT) FROM document_pair");
    assert_eq!(pairs(&house), "3");

    house.write_article(4, false);
    house.write_lists(&[1, 2, 3, 4]);
    house.run("work");
    assert_eq!(documents(&house).len(), 8);
    assert_eq!((of("home"), of("house")), ("0".into(), "8".into()));
    assert_eq!(pairs(&house), "4");

    // A host that no site names any more: its documents go, and it is said how many.
    let other = |text: String| {
        text.replace("hosts = [\"house.test\"]", "hosts = [\"other.test\"]")
            .replace("seeds = [\"http://house.test/ru/\", \"http://house.test/tm/\"]", "seeds = []")
            .replace("[crawl]", "[crawl]\n            contact = \"test@example.org\"")
    };
    let report = house.run_changed("work", other);
    let said = extract_notes(&report);
    assert!(said.contains("8 archived articles make no documents") && said.contains("house.test: 8"), "{said}");
    house.run("work");
    assert_eq!(documents(&house).len(), 8, "and they are back with the host");
}

#[test]
fn six_runs_of_change_lose_no_document() {
    let house = House::new(3);
    let mut least = 0;
    for night in 0..6_u32 {
        match night {
            1 => house.write_article(1, true),
            2 => house.remove_article(2),
            3 => house.set_broken(true),
            4 => {
                house.set_broken(false);
                house.write_article(2, false);
            }
            5 => house.redirect("/ru/post/3/library /login 302"),
            _ => {}
        }
        house.write_article(10 + night, false);
        let there: Vec<u32> = (1..=3).chain((0..=night).map(|night| 10 + night)).collect();
        house.write_lists(&there);
        house.run("work");
        let now = documents(&house).len();
        assert!(now >= least, "night {night}: {now} documents, {least} before");
        least = now;
    }
    assert_eq!(least, 2 * (3 + 6));
}

#[test]
fn a_crawl_with_the_clock_a_year_ahead_does_not_silence_that_year() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => links(stream, &["/ru/news/1", "/ru/news/2"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    crawler.crawl();
    let year = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(365 * 24)).to_string();
    crawler.ask(&format!(
        "UPDATE url SET fetched_at = '{year}', changed_at = '{year}', next_visit_at = '{year}' RETURNING url"
    ));
    crawler.ask(&format!(
        "UPDATE host SET robots_fetched_at = '{year}', next_allowed_at = '{year}', night_began = '{year}', requests = 5000
         RETURNING host"
    ));
    server.forget();
    let tally = crawler.crawl();
    assert_eq!(server.hits().len(), 4, "robots.txt and three pages: {tally:?}");
    assert!(tally.notes.iter().any(|note| note.contains("3 visits dated after now")), "{tally:?}");
    // Only the next visit is out of reach.
    crawler.ask(&format!("UPDATE url SET next_visit_at = '{year}' RETURNING url"));
    assert_eq!(crawler.crawl().requests, 3);
}

#[test]
fn an_outage_of_the_whole_host_keeps_every_document() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NIGHT: AtomicU32 = AtomicU32::new(0);
    let server = Server::start(|hit, stream| match (hit.path.as_str(), NIGHT.load(Ordering::SeqCst)) {
        ("/robots.txt", _) => missing(stream),
        (_, 1) => respond(stream, "502 Bad Gateway", &[], b""),
        (path, 2) if path != "/login" => respond(stream, "302 Found", &[("Location", "/login")], b""),
        ("/", _) => links(stream, &["/ru/news/1", "/ru/news/2"]),
        (path, _) => {
            page(stream, &format!("<p>{path}</p><p>{}</p>", "Билет для взрослых стоит 10 манатов. ".repeat(9)))
        }
    });
    let crawler = Crawler::of(&server, &["crawl.retries=0"]);
    for night in 0..4 {
        NIGHT.store(night, Ordering::SeqCst);
        crawler.run(|toml| toml, RunOptions::default());
        assert_eq!(crawler.ask("SELECT cast(count(*) AS TEXT) FROM document"), "2", "night {night}");
    }
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");
}
