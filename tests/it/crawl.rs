//! Crawling as a site's owner sees it: a server of traps and its log, and the store afterwards.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kopri::engine::event::Silent;
use kopri::pipeline::run::Only;
use kopri::pipeline::{Pipeline, RunOptions};
use kopri::stage::crawl::Tally;

use crate::server::{Hit, Server, links, missing, page, respond};

/// A workspace that crawls a server.
pub(crate) struct Crawler {
    folder: tempfile::TempDir,
    host: String,
    sets: Vec<String>,
}

impl Crawler {
    /// A crawler of one server, without delays, with settings laid over.
    pub(crate) fn of(server: &Server, sets: &[&str]) -> Self {
        Self::of_host(&server.host(), sets)
    }

    fn of_host(host: &str, sets: &[&str]) -> Self {
        let sets = sets.iter().map(|&set| set.to_owned()).collect();
        Self { folder: tempfile::tempdir().unwrap(), host: host.to_owned(), sets }
    }

    /// The pipeline file's text.
    pub(crate) fn toml(&self) -> String {
        let host = &self.host;
        format!(
            r#"
            version = 1
            name = "trap"
            source = "ru"
            target = "tk"
            workspace = "work"
            [[site]]
            name = "trap"
            hosts = ["{host}"]
            seeds = ["http://{host}/"]
            articles = ["/{{lang}}/news/{{id}}"]
            [crawl]
            contact = "test@example.org"
            allow-private = ["127.0.0.1"]
            delay = "0s"
            max-delay = "0s"
            retry-delay = "0s"
            revisit = "0s"
            revisit-lists = "0s"
            timeout = "2s"
            "#
        )
    }

    /// One round.
    pub(crate) fn crawl(&self) -> Tally {
        let folder: PathBuf = self.folder.path().to_path_buf();
        let pipeline = Pipeline::parse(&self.toml(), "trap.toml", folder, &self.sets).unwrap();
        let options = RunOptions { only: Some(Only::Crawl), ..RunOptions::default() };
        kopri::pipeline::run(&pipeline, options, &mut Silent).unwrap().crawl.unwrap()
    }

    /// One text of the workspace's database.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let database = rusqlite::Connection::open(self.folder.path().join("work/kopri.db")).unwrap();
        database.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A whole run, of a pipeline file changed before.
    pub(crate) fn run(&self, change: impl Fn(String) -> String, options: RunOptions) -> kopri::pipeline::RunReport {
        let folder: PathBuf = self.folder.path().to_path_buf();
        let pipeline = Pipeline::parse(&change(self.toml()), "trap.toml", folder, &self.sets).unwrap();
        kopri::pipeline::run(&pipeline, options, &mut Silent).unwrap()
    }

    /// Lets all URLs of a role rest for eight days.
    pub(crate) fn put_off(&self, role: &str) {
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(8 * 24);
        self.ask(&format!("UPDATE url SET next_visit_at = '{then:.6}' WHERE role = '{role}' RETURNING url"));
    }

    /// State and error of a path.
    pub(crate) fn fate(&self, path: &str) -> String {
        self.ask(&format!(
            "SELECT state || ' ' || coalesce(error, '') FROM url WHERE url = 'http://{}{path}'",
            self.host
        ))
    }
}

/// A server of one hub that links `targets`; those answer by `answer`.
fn hub(targets: &'static [&'static str], answer: impl Fn(&Hit, &mut TcpStream) + Send + Sync + 'static) -> Server {
    Server::start(move |hit, stream| match hit.path.as_str() {
        "/" => links(stream, targets),
        "/robots.txt" => missing(stream),
        _ => answer(hit, stream),
    })
}

/// Time between the first two requests for a path.
fn gap(server: &Server, path: &str) -> Duration {
    let times: Vec<Instant> = server.hits().iter().filter(|hit| hit.path == path).map(|hit| hit.at).collect();
    times[1] - times[0]
}

#[test]
fn a_429_with_retry_after_stops_the_whole_host_for_that_long() {
    for form in ["seconds", "date"] {
        let server = hub(&["/ru/news/1", "/ru/news/2"], move |hit, stream| {
            if hit.path == "/ru/news/1" && hit.earlier == 0 {
                let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3));
                let wait = if form == "seconds" { "2" } else { &date };
                respond(stream, "429 Too Many Requests", &[("Retry-After", wait)], b"");
            } else {
                page(stream, "<p>text</p>");
            }
        });
        let crawler = Crawler::of(&server, &[]);
        let tally = crawler.crawl();
        assert_eq!((tally.postponed, tally.failed, tally.changed), (1, 0, 3), "{form}: {tally:?}");
        assert_eq!(server.count("/ru/news/1"), 2);
        // A date has whole seconds, so up to one of the three is lost.
        assert!(gap(&server, "/ru/news/1") >= Duration::from_millis(1900), "{form}: {:?}", gap(&server, "/ru/news/1"));
        let hits = server.hits();
        let other = hits.iter().find(|hit| hit.path == "/ru/news/2").unwrap();
        let refused = hits.iter().find(|hit| hit.path == "/ru/news/1").unwrap();
        assert!(other.at - refused.at >= Duration::from_millis(1900), "{form}: the other page came too early");
    }
}

#[test]
fn a_long_retry_after_outlives_the_run() {
    let server = hub(&["/ru/news/1", "/ru/news/2"], |_, stream| {
        respond(stream, "503 Service Unavailable", &[("Retry-After", "7200")], b"");
    });
    let crawler = Crawler::of(&server, &[]);
    let tally = crawler.crawl();
    assert_eq!(server.paths(), ["/robots.txt", "/", "/ru/news/1"]);
    assert!(tally.notes[0].contains("not to be asked before") && tally.notes[0].contains("2 URLs"), "{tally:?}");
    assert_eq!(crawler.crawl().requests, 0, "a second run asks for nothing");
    assert_eq!(server.hits().len(), 3);
}

#[test]
fn a_503_without_a_word_is_tried_again_later_and_later_and_then_left() {
    let server = hub(&["/ru/news/1", "/ru/news/2"], |hit, stream| match hit.path.as_str() {
        "/ru/news/1" => respond(stream, "503 Service Unavailable", &[], b""),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &["crawl.retry-delay=\"300ms\"", "crawl.max-delay=\"10s\""]);
    let tally = crawler.crawl();
    assert_eq!((tally.postponed, tally.failed), (2, 1));
    assert_eq!(server.count("/ru/news/1"), 3);
    assert!(gap(&server, "/ru/news/1") >= Duration::from_millis(300));
    assert!(crawler.fate("/ru/news/1").starts_with("failed the server answered 503 (3 attempts)"));
    assert_eq!(crawler.fate("/ru/news/2"), "fetched ");
}

#[test]
fn a_host_that_only_fails_is_left_alone() {
    let targets: &[&str] = Box::leak((0..30).map(|id| &*format!("/ru/news/{id}").leak()).collect::<Vec<_>>().into());
    let server = hub(targets, |_, stream| respond(stream, "500 Internal Server Error", &[], b""));
    let tally = Crawler::of(&server, &["crawl.retries=0"]).crawl();
    assert_eq!(server.hits().len(), 2 + 10);
    assert!(tally.notes[0].contains("10 requests failed in a row") && tally.notes[0].contains("20 URLs"), "{tally:?}");
}

#[test]
fn what_cannot_be_read_fails_alone() {
    let server = hub(
        &[
            "/ru/news/1",
            "/ru/news/2",
            "/ru/news/3",
            "/ru/news/4",
            "/ru/news/5",
            "/ru/news/6",
            "/ru/news/7",
            "/ru/news/8",
        ],
        |hit, stream| {
            let chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
            let drip = |stream: &mut TcpStream, bytes: &[u8], pause: u64| {
                while stream.write_all(bytes).is_ok() {
                    std::thread::sleep(Duration::from_millis(pause));
                }
            };
            match hit.path.as_str() {
                // A byte at a time, without end.
                "/ru/news/1" if stream.write_all(chunked).is_ok() => drip(stream, b"1\r\nx\r\n", 200),
                // As fast as it can, without end.
                "/ru/news/2" if stream.write_all(chunked).is_ok() => {
                    drip(stream, format!("{:x}\r\n{}\r\n", 65536, "x".repeat(65536)).as_bytes(), 0);
                }
                // 300 MB of nothing in 300 kB.
                "/ru/news/3" => {
                    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                    for _ in 0..300 {
                        bomb.write_all(&vec![0; 1_000_000]).unwrap();
                    }
                    let headers = [("Content-Type", "text/html"), ("Content-Encoding", "gzip")];
                    respond(stream, "200 OK", &headers, &bomb.finish().unwrap());
                }
                // Less than was promised.
                "/ru/news/4" => {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<p>half");
                }
                // More than was promised: HTTP says where the page ends.
                "/ru/news/5" => {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\nConnection: close\r\n\r\n<p>text</p>more",
                    );
                }
                // A chunk that breaks off.
                "/ru/news/6" => {
                    let _ = stream.write_all(&[chunked.as_slice(), b"ff\r\n<p>half"].concat());
                }
                // A film, 4 GB of it.
                "/ru/news/7" => {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 4000000000\r\n\r\nabc",
                    );
                }
                _ => page(stream, "<p>text</p>"),
            }
        },
    );
    let crawler = Crawler::of(&server, &["crawl.max-page=\"1MB\"", "crawl.retries=0"]);
    let began = Instant::now();
    let tally = crawler.crawl();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let expected = [
        ("/ru/news/1", "did not come within 2s"),
        ("/ru/news/2", "larger than 1000000 bytes"),
        ("/ru/news/3", "larger than 1000000 bytes"),
        ("/ru/news/4", "broke off before its end"),
        ("/ru/news/6", "broke off before its end"),
        ("/ru/news/7", "video/mp4"),
    ];
    for (path, why) in expected {
        let fate = crawler.fate(path);
        assert!(fate.starts_with("failed") && fate.contains(why), "{path}: {fate}");
    }
    assert_eq!((tally.failed, tally.changed), (6, 3));
    assert_eq!(crawler.fate("/ru/news/5"), "fetched ");
    assert_eq!(crawler.fate("/ru/news/8"), "fetched ");
}

#[test]
fn redirects_end_and_lead_nowhere_else() {
    let server = hub(&["/ru/news/1", "/ru/news/100", "/ru/news/200", "/ru/news/300"], |hit, stream| {
        let id: u32 = hit.path.rsplit('/').next().unwrap().parse().unwrap();
        let target = match id {
            1 => "/ru/news/2".to_owned(),
            2 => "/ru/news/1".to_owned(),
            100..=150 => format!("/ru/news/{}", id + 1),
            200 => "http://169.254.169.254/latest/meta-data/".to_owned(),
            _ => "file:///etc/passwd".to_owned(),
        };
        respond(stream, "302 Found", &[("Location", &target)], b"");
    });
    let crawler = Crawler::of(&server, &[]);
    crawler.crawl();
    assert_eq!((server.count("/ru/news/1"), server.count("/ru/news/2")), (1, 1), "a loop is walked once");
    assert_eq!(server.count("/ru/news/105"), 1, "five redirects are followed");
    assert_eq!(server.count("/ru/news/106"), 0);
    assert!(crawler.fate("/ru/news/105").contains("more than 5 redirects"));
    assert_eq!(crawler.fate("/ru/news/200"), "redirect ", "where it leads is none of our hosts");
    assert!(crawler.fate("/ru/news/300").contains("without a Location"), "{}", crawler.fate("/ru/news/300"));
}

#[test]
fn a_name_that_leads_into_a_private_network_is_not_asked() {
    let server = Server::start(|_, stream| page(stream, "secret"));
    let port = server.host().split(':').nth(1).unwrap().to_owned();
    let crawler = Crawler::of_host(&format!("localhost:{port}"), &[]);
    let tally = crawler.crawl();
    assert_eq!(server.hits().len(), 0);
    assert!(tally.notes[0].contains("loopback"), "{tally:?}");
}

#[test]
fn robots_txt_by_status() {
    for (status, is_asked) in [
        ("200 OK", false),
        ("301 Moved Permanently", true),
        ("403 Forbidden", true),
        ("404 Not Found", true),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let server = Server::start(move |hit, stream| match hit.path.as_str() {
            // A redirect that names itself comes to the end of its five hops.
            "/robots.txt" => {
                respond(stream, status, &[("Location", "/robots.txt")], b"User-agent: *\nDisallow: /\n");
            }
            _ => page(stream, "<p>text</p>"),
        });
        let tally = Crawler::of(&server, &[]).crawl();
        assert_eq!(server.count("/") > 0, is_asked, "{status}: {tally:?}");
        let attempts = if status.starts_with('3') { 6 } else { 1 };
        assert_eq!(server.count("/robots.txt"), attempts, "{status}");
    }
}

#[test]
fn the_last_good_robots_txt_serves_when_a_newer_one_cannot_be_had() {
    static IS_BROKEN: AtomicBool = AtomicBool::new(false);
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" if IS_BROKEN.load(Ordering::SeqCst) => respond(stream, "500 Internal Server Error", &[], b""),
        "/robots.txt" => respond(stream, "200 OK", &[], b"User-agent: kopri\nDisallow: /ru/news/2\n"),
        "/" => links(stream, &["/ru/news/1", "/ru/news/2"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    crawler.crawl();
    IS_BROKEN.store(true, Ordering::SeqCst);
    let date = |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
    for (days, asked) in [(2, 1), (31, 0)] {
        crawler.ask(&format!("UPDATE host SET robots_fetched_at = '{}' RETURNING host", date(days)));
        server.forget();
        let tally = crawler.crawl();
        assert_eq!(server.count("/robots.txt"), 1);
        assert_eq!(server.count("/ru/news/1"), asked, "{days} days old: {tally:?}");
        assert_eq!(server.count("/ru/news/2"), 0, "it stays forbidden");
    }
    assert_eq!(crawler.fate("/ru/news/2"), "forbidden ");
    let ruling = crawler.ask("SELECT ruling FROM url WHERE url LIKE '%/ru/news/2'");
    assert_eq!(ruling, "forbidden by line 2, Disallow: /ru/news/2");
    assert_eq!(crawler.ask("SELECT ruling FROM url WHERE url LIKE '%/ru/news/1'"), "allowed: no rule matches");
}

#[test]
fn a_crawl_delay_holds_from_the_first_page_on() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => respond(stream, "200 OK", &[], b"User-agent: *\nCrawl-delay: 0.7\n"),
        "/" => links(stream, &["/ru/news/1"]),
        _ => page(stream, "<p>text</p>"),
    });
    Crawler::of(&server, &[]).crawl();
    let times: Vec<Instant> = server.hits().iter().map(|hit| hit.at).collect();
    assert_eq!(times.len(), 3);
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(700), "{:?}", pair[1] - pair[0]);
    }
}

#[test]
fn a_spent_budget_holds_for_the_night_and_not_for_the_next() {
    let targets = &["/ru/news/1", "/ru/news/2", "/ru/news/3", "/ru/news/4", "/ru/news/5"];
    for set in ["crawl.requests-per-host=4", "crawl.requests=4", "crawl.bytes-per-host=\"350B\""] {
        let server = hub(targets, |_, stream| page(stream, &format!("<p>{}</p>", "x".repeat(60))));
        let crawler = Crawler::of(&server, &[set]);
        let tally = crawler.crawl();
        assert_eq!(tally.requests, 4, "{set}");
        assert!(tally.notes[0].contains("3 URLs left for the next run"), "{tally:?}");
        assert_eq!(crawler.crawl().requests, 0, "{set}: the same night");
        crawler.ask("UPDATE host SET night_began = '2026-01-01T00:00:00Z' RETURNING host");
        assert!(crawler.crawl().requests >= 3, "{set}: the next night");
        assert_eq!(crawler.fate("/ru/news/4"), "fetched ", "{set}");
    }
}

#[test]
fn twins_come_first_and_lists_are_followed_until_nothing_is_new() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => links(stream, &["/ru/news/1", "/ru/news/2", "/list?page=2"]),
        "/list?page=2" => links(stream, &["/ru/news/3", "/list?page=3"]),
        "/list?page=3" => links(stream, &["/ru/news/4"]),
        "/ru/news/1" => page(stream, "<link rel=alternate hreflang=tk href=/tm/news/9><p>text</p>"),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &["crawl.max-revisit=\"9d\""]);
    crawler.crawl();
    let order = ["/robots.txt", "/", "/ru/news/1", "/tm/news/9", "/ru/news/2", "/list?page=2", "/ru/news/3"];
    assert_eq!(server.paths()[..7], order);
    assert_eq!(server.count("/ru/news/4"), 1);

    // The next night has one new article on the first page: the second list is looked at, and the third is not.
    let later = |crawler: &Crawler| {
        crawler.put_off("page");
    };
    later(&crawler);
    server.forget();
    crawler.crawl();
    assert_eq!(server.count("/list?page=2"), 0, "nothing new on the first page");
}

#[test]
fn a_list_that_brought_something_new_wakes_the_next_page() {
    let server = Server::start(|hit, stream| match (hit.path.as_str(), hit.earlier) {
        ("/robots.txt", _) => missing(stream),
        ("/", 0) => links(stream, &["/ru/news/1", "/list?page=2"]),
        ("/", _) => links(stream, &["/ru/news/5", "/ru/news/1", "/list?page=2"]),
        ("/list?page=2", _) => links(stream, &["/ru/news/3", "/list?page=3"]),
        ("/list?page=3", _) => links(stream, &["/ru/news/4"]),
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    crawler.crawl();
    crawler.put_off("page");
    crawler.crawl();
    assert_eq!(server.count("/ru/news/5"), 1);
    assert_eq!(server.count("/list?page=2"), 2, "page 1 had news");
    assert_eq!(server.count("/list?page=3"), 1, "page 2 had none");
}

#[test]
fn pages_that_are_alike_without_end_are_not_followed_without_end() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => links(stream, &["/days/0", "/ru/news/1"]),
        path => match path.strip_prefix("/days/").and_then(|day| day.parse::<u64>().ok()) {
            Some(day) => links(stream, &[format!("/days/{}", day + 1), format!("/days/{}", day + 1000)]),
            None => page(stream, "<p>text</p>"),
        },
    });
    let crawler = Crawler::of(&server, &["crawl.max-alike=20", "crawl.max-depth=1000"]);
    let tally = crawler.crawl();
    let days = server.paths().iter().filter(|path| path.starts_with("/days/")).count();
    assert_eq!(days, 20);
    assert!(tally.notes[0].contains("max-alike") && tally.notes[0].contains("/days/0"), "{tally:?}");
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");
}

#[test]
fn calendars_and_paths_that_append_to_themselves_are_not_followed() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        "/" => links(stream, &["/calendar?month=2026-11", "/a/", "/ru/news/1"]),
        path if path.starts_with("/calendar") => {
            let (year, month) = path.rsplit_once('=').unwrap().1.split_once('-').unwrap();
            let (year, month): (u32, u32) = (year.parse().unwrap(), month.parse().unwrap());
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            links(stream, &[format!("/calendar?month={}-{:02}", next.0, next.1)]);
        }
        path if path.starts_with("/a/") => {
            links(stream, &[format!("{path}a/"), format!("{path}?PHPSESSID={}", path.len())])
        }
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &["crawl.max-depth=10000"]);
    let tally = crawler.crawl();
    let of = |start: &str| server.paths().iter().filter(|path| path.starts_with(start)).count();
    assert!((1..=27).contains(&of("/calendar")), "two years ahead and no further: {}", of("/calendar"));
    assert!((1..=3).contains(&of("/a/")), "{}", of("/a/"));
    assert!(tally.trapped >= 2 && tally.notes[0].contains("traps"), "{tally:?}");
    assert_eq!(crawler.fate("/ru/news/1"), "fetched ");
}

#[test]
fn a_sitemap_wakes_what_it_says_has_changed_and_lets_its_parts_rest() {
    let map = |stream: &mut TcpStream, body: String| {
        respond(stream, "200 OK", &[("Content-Type", "application/xml")], body.as_bytes());
    };
    let server = Server::start(move |hit, stream| match (hit.path.as_str(), hit.earlier) {
        ("/robots.txt", _) => {
            let host = &hit.headers["host"];
            respond(stream, "200 OK", &[], format!("Sitemap: http://{host}/index.xml\n").as_bytes());
        }
        ("/", _) => links(stream, &[] as &[&str]),
        ("/index.xml", _) => {
            let of = |name, time| {
                format!(
                    "<sitemap><loc>http://{}/{name}.xml</loc><lastmod>{time}</lastmod></sitemap>",
                    hit.headers["host"]
                )
            };
            let (old, new) = (of("old", "2020-01-01T00:00:00Z"), of("new", "2999-01-01T00:00:00Z"));
            map(stream, format!("<sitemapindex>{old}{new}</sitemapindex>"));
        }
        ("/old.xml" | "/new.xml", _) => {
            let of = |id, time| {
                format!("<url><loc>http://{}/ru/news/{id}</loc><lastmod>{time}</lastmod></url>", hit.headers["host"])
            };
            let urls = of(1, "2020-01-01T00:00:00Z") + &of(2, "2999-01-01T00:00:00Z");
            map(stream, format!("<urlset>{urls}<!-- {:?} --></urlset>", hit.at));
        }
        _ => page(stream, "<p>text</p>"),
    });
    let crawler = Crawler::of(&server, &[]);
    crawler.crawl();
    assert_eq!((server.count("/ru/news/1"), server.count("/ru/news/2")), (1, 1));
    crawler.put_off("article");
    server.forget();
    crawler.crawl();
    assert_eq!((server.count("/old.xml"), server.count("/new.xml")), (0, 1));
    assert_eq!((server.count("/ru/news/1"), server.count("/ru/news/2")), (0, 1));
}

#[test]
fn a_feeds_whole_text_stands_in_for_a_page_that_cannot_be_had() {
    let server = Server::start(|hit, stream| match hit.path.as_str() {
        "/" => links(stream, &[] as &[&str]),
        "/rss" => {
            let item = |id: u32| {
                let text =
                    format!("<p>{}</p>", format!("Täze köpri açyldy we ýol {id} kilometr gysgaldy. ").repeat(12));
                format!(
                    "<item><title>Köpri {id}</title><link>/tm/news/{id}</link><content:encoded><![CDATA[{text}]]></content:encoded></item>"
                )
            };
            let rss = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><rss version=\"2.0\" xmlns:content=\"http://purl.org/rss/1.0/modules/content/\"><channel><title>t</title>{}{}</channel></rss>",
                item(1),
                item(2)
            );
            respond(stream, "200 OK", &[("Content-Type", "application/rss+xml")], rss.as_bytes());
        }
        "/tm/news/2" => page(stream, "<article><p>Sahypanyň özi.</p></article>"),
        _ => missing(stream),
    });
    let feed = format!("site.0.feeds=[\"http://{}/rss\"]", server.host());
    let crawler = Crawler::of(&server, &[]);
    let toml = crawler.toml().replace("articles =", &format!("{}\n articles =", feed.replace("site.0.", "")));
    let pipeline = Pipeline::parse(&toml, "trap.toml", crawler.folder.path().to_path_buf(), &[]).unwrap();
    for night in 0..2 {
        let report = kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap();
        assert_eq!(report.failed(), 0, "night {night}");
        assert_eq!(crawler.fate("/tm/news/1"), "gone ");
        let text = crawler.ask("SELECT text FROM document WHERE location LIKE '%/tm/news/1'");
        assert!(text.starts_with("Köpri 1\n\nTäze köpri açyldy we ýol 1 kilometr"), "{text}");
        let copies = crawler.ask("SELECT group_concat(url) FROM url WHERE content_type LIKE '%source=feed'");
        assert!(copies.ends_with("/tm/news/1"), "the page that was fetched is its own: {copies}");
    }
}

#[test]
fn an_unchanged_site_of_500_pages_costs_conditional_requests_and_under_two_seconds() {
    let targets: &[&str] = Box::leak((0..500).map(|id| &*format!("/ru/news/{id}").leak()).collect::<Vec<_>>().into());
    let server = Server::start(move |hit, stream| match hit.path.as_str() {
        "/robots.txt" => missing(stream),
        _ if hit.headers.get("if-none-match").is_some_and(|tag| *tag == format!("\"{}\"", hit.path)) => {
            respond(stream, "304 Not Modified", &[], b"");
        }
        path => {
            let body = if path == "/" {
                targets.iter().map(|to| format!("<a href={to}>x</a>")).collect()
            } else {
                format!("<p>{path}</p>")
            };
            let headers = [("Content-Type", "text/html"), ("ETag", &*format!("\"{path}\""))];
            respond(stream, "200 OK", &headers, body.as_bytes());
        }
    });
    let crawler = Crawler::of(&server, &[]);
    assert_eq!(crawler.crawl().changed, 501);
    let archived = crawler.ask("SELECT cast(length AS TEXT) FROM warc");
    server.forget();
    let began = Instant::now();
    let tally = crawler.crawl();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((tally.requests, tally.unchanged, tally.changed), (501, 501, 0));
    assert!(server.hits().iter().all(|hit| hit.headers.contains_key("if-none-match")));
    assert_ne!(archived, crawler.ask("SELECT cast(length AS TEXT) FROM warc"), "revisits are archived");
}
