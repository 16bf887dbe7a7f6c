//! What people see of a site: its text by `kopri extract`, its selectors by `kopri site check`, the alarm when its layout
//! moves away from them, and what repeats on its pages.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use kopri::engine::event::Silent;
use kopri::error::ErrorKind;
use kopri::net::SiteServer;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};

use crate::harness::{House, assert_same};

fn run(pipeline: &Pipeline) -> RunReport {
    kopri::pipeline::run(pipeline, RunOptions::default(), &mut Silent).unwrap()
}

fn done(report: &RunReport, stage: &str) -> u64 {
    report.stage(stage).map_or(0, |tally| tally.done)
}

fn kopri(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
    command.args(arguments).env("NO_COLOR", "1").env_remove("KOPRI_WORKSPACE").env_remove("KOPRI_CONTACT");
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The house's pipeline as a file, for the binary.
fn pipeline_file(house: &House, pipeline: &Pipeline) -> String {
    let path = house.path("house.toml");
    std::fs::write(&path, toml::to_string(pipeline).unwrap()).unwrap();
    path.display().to_string()
}

const ARTICLE: &str = "http://house.test/ru/post/3/library";

#[test]
fn a_body_that_selects_nothing_any_more_raises_the_alarm_until_the_profile_is_mended() {
    let house = House::new(6);
    let mut pipeline = house.pipeline("w", &[]);
    assert!(run(&pipeline).alarms.is_empty());
    house.change_articles(|html| html.replace("article>", "section>"));
    let file = pipeline_file(&house, &pipeline);

    let night = kopri(&["run", &file, "--quiet"]);
    let (_, told) = texts(&night);
    assert_eq!(night.status.code(), Some(3), "{told}");
    assert!(told.contains("alarm: house: the profile's body selectors find nothing on 12 of 12 pages"), "{told}");
    let command = format!("kopri site check {file} http://house.test/");
    assert!(told.contains(&command), "{told}");
    let (status, _) = texts(&kopri(&["status", &file]));
    assert!(status.contains("done with alarms") && status.contains(&command), "{status}");
    assert!(house.read("w/report/latest.html").contains("Alarm: house."));

    // The next night has nothing new, and the alarm still holds.
    let (events, told) = texts(&kopri(&["run", &file, "--json"]));
    assert!(events.lines().any(|line| line.contains(r#""event":"alarm","site":"house""#)), "{events}{told}");

    let check = kopri(&["site", "check", &file, ARTICLE]);
    let (shown, told) = texts(&check);
    assert_eq!(check.status.code(), Some(0), "{told}");
    for expected in
        ["the profile's body selects nothing here", "✗ article  nothing", "✓ h1  1 element", "= 0 blocks, < 0, > 8"]
    {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }

    // The text was saved by the generic extractor all the while.
    assert!(house.read("w/export/pairs.tsv").contains(ARTICLE));
    if let Some(profile) = &mut pipeline.site[0].extract {
        profile.body = vec!["section".into()];
    }
    let mended = run(&pipeline);
    assert_eq!((mended.alarms.len(), done(&mended, "extract")), (0, 12));
}

#[test]
fn a_text_that_moved_out_of_the_body_raises_the_alarm() {
    let house = House::new(6);
    let pipeline = house.pipeline("w", &[]);
    run(&pipeline);
    house.change_articles(|html| {
        let html = html.replace("<article>", "<article><p>Читайте завтра.</p></article><div class=\"text\">");
        html.replace("</article></body>", "</div></body>")
    });
    let report = run(&pipeline);
    assert_eq!(report.alarms.len(), 1);
    let alarm = &report.alarms[0];
    assert_eq!((alarm.site.as_str(), alarm.pages, alarm.without_body, alarm.earlier_pages), ("house", 12, 0, 12));
    assert!(alarm.agreement.unwrap() < 0.1 && alarm.earlier_agreement.unwrap() > 0.9, "{alarm:?}");
    // A table over the archive says the same, and a floor makes it an exit code.
    let file = pipeline_file(&house, &pipeline);
    let table = kopri(&["site", "check", &file, "--min-agreement", "0.5"]);
    let (shown, told) = texts(&table);
    assert_eq!(table.status.code(), Some(4), "{shown}{told}");
    assert!(shown.contains("house: 12 archived pages, median agreement 0.0"), "{shown}");
}

#[test]
fn a_site_without_a_profile_keeps_no_diary() {
    let house = House::new(3);
    let mut pipeline = house.pipeline("w", &[]);
    pipeline.site[0].extract = None;
    run(&pipeline);
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM extraction"), 0);
    assert_eq!(count("SELECT count(*) FROM document WHERE agreement IS NOT NULL"), 0);
    assert_eq!(count("SELECT count(*) FROM document"), 6);
}

/// Six of the house's eight paragraphs are the same in all articles; two, and the title, have numbers of their own.
#[test]
fn what_stands_on_five_pages_makes_no_sentences_until_pages_go_away() {
    let house = House::new(4);
    let pipeline = house.pipeline("w", &["segment.boilerplate-pages=5", "extract.keep-vanished=false"]);
    run(&pipeline);
    let sentences = |language: &str| -> i64 {
        let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
        let sql = "SELECT count(*) FROM sentence JOIN document ON document.id = document WHERE document.language = ?1";
        database.query_row(sql, [language], |row| row.get(0)).unwrap()
    };
    assert_eq!((sentences("ru"), sentences("tk")), (4 * 9, 4 * 9), "four pages are not five");
    let before = house.dump("w");

    house.write_article(5, false);
    house.write_lists(&[1, 2, 3, 4, 5]);
    let report = run(&pipeline);
    assert_eq!((sentences("ru"), sentences("tk")), (5 * 3, 5 * 3));
    assert_eq!(done(&report, "segment"), 10, "all pages hold what became boilerplate");
    let text = kopri::store::Store::open(&pipeline.workspace_folder(), kopri::store::open::Access::Read).unwrap();
    let document = text.document_fingerprints().unwrap()[0].0;
    assert!(text.document(document).unwrap().unwrap().blocks.len() == 9, "the text itself stays as it is");
    drop(text);

    house.write_article(6, false);
    house.write_lists(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(done(&run(&pipeline), "segment"), 2, "what was boilerplate and still is costs nothing");

    house.remove_article(5);
    house.remove_article(6);
    house.write_lists(&[1, 2, 3, 4]);
    let report = run(&pipeline);
    assert_eq!(done(&report, "segment"), 8);
    let rows = |dump: &str, table: &str| -> String {
        let section = dump.split(&format!("== {table} ")).nth(1).unwrap();
        section.split("\n==").next().unwrap().to_owned()
    };
    for table in ["document", "block", "sentence"] {
        assert_same(&rows(&before, table), &rows(&house.dump("w"), table), table);
    }
}

#[test]
fn boilerplate_does_not_depend_on_where_a_run_was_stopped() {
    let house = House::new(3);
    let pipeline = |workspace: &str| house.pipeline(workspace, &["segment.boilerplate-pages=2"]);
    run(&pipeline("whole"));
    let whole = house.dump("whole");
    let mut stops = 0;
    for units in (0..).step_by(3) {
        let workspace = format!("stopped-{units}");
        let options = RunOptions { stop_after: Some(units), ..RunOptions::default() };
        match kopri::pipeline::run(&pipeline(&workspace), options, &mut Silent) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
        run(&pipeline(&workspace));
        assert_same(&whole, &house.dump(&workspace), &format!("stopped after {units} units"));
        stops += 1;
    }
    assert!(stops > 8, "only {stops} places to stop were found");
}

const PAGE: &str = "<html lang=ru><head><meta charset=utf-8><meta name=author content='А. Мырадов'>
    <meta name=keywords content='мост, река'></head><body><nav><a href=/>Главная</a></nav><article><h1>Новый мост</h1>
    <p>Мост через реку открыли в понедельник утром, сообщили в министерстве.</p><ul><li>длина 1200 м</li>
    <li>ширина 15 м</li></ul><blockquote>Мы ждали его три года.</blockquote></article></body></html>";

const TEXT: &str = "Новый мост\n\nМост через реку открыли в понедельник утром, сообщили в министерстве.\n\n\
                    - длина 1200 м\n- ширина 15 м\n\n> Мы ждали его три года.\n";

#[test]
fn extract_reads_pipes_files_and_urls() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bridge.html"), PAGE).unwrap();
    std::fs::write(folder.path().join("robots.txt"), "User-agent: kopri\nDisallow: /secret\n").unwrap();
    std::fs::write(folder.path().join("_redirects"), "/old /bridge.html 301\n").unwrap();
    let file = folder.path().join("bridge.html").display().to_string();

    assert_eq!(texts(&kopri(&["extract", &file])).0, TEXT);

    let mut piped = command(&["extract"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(PAGE.as_bytes()).unwrap();
    assert_eq!(texts(&piped.wait_with_output().unwrap()).0, TEXT);

    let (json, _) = texts(&kopri(&["extract", "--json", &file]));
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((line["source"].as_str(), line["title"].as_str()), (Some(file.as_str()), Some("Новый мост")));
    assert_eq!((line["language"].as_str(), line["method"].as_str()), (Some("ru"), Some("generic")));
    assert_eq!((line["author"].as_str(), line["tags"][1].as_str()), (Some("А. Мырадов"), Some("река")));
    assert_eq!(line["blocks"][2], serde_json::json!({ "kind": "item", "text": "длина 1200 м" }));

    let server = SiteServer::start(&[("127.0.0.1".to_owned(), folder.path().to_path_buf())]).unwrap();
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.addr().port());
    let refused = kopri(&["extract", &at("/old")]);
    assert!(refused.status.code() == Some(2) && texts(&refused).1.contains("--allow-private 127.0.0.1"));
    let (json, told) = texts(&kopri(&["extract", "--json", "--allow-private", "127.0.0.1", &at("/old")]));
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(line["url"].as_str(), Some(at("/bridge.html").as_str()));
    assert_eq!(line["title"].as_str(), Some("Новый мост"));

    // What fails is told, and the others go on.
    let some = kopri(&["extract", "--allow-private", "127.0.0.1", &at("/secret"), "nowhere.html", &file]);
    let (shown, told) = texts(&some);
    assert_eq!(some.status.code(), Some(3));
    assert!(told.contains("robots.txt of 127.0.0.1 forbids it") && told.contains("reading nowhere.html"), "{told}");
    assert!(shown.ends_with(TEXT), "{shown}");
    assert!(server.requests().iter().all(|(_, path, _)| path != "/secret"), "a forbidden page was asked for");
}

#[test]
fn extract_takes_a_pipelines_selectors() {
    let house = House::new(2);
    let mut pipeline = house.pipeline("w", &[]);
    if let Some(profile) = &mut pipeline.site[0].extract {
        profile.body = vec!["li".into()];
        profile.author = vec!["h1".into()];
    }
    let file = pipeline_file(&house, &pipeline);
    let page = house.path("page.html");
    std::fs::write(&page, PAGE).unwrap();
    let (json, told) = texts(&kopri(&["extract", "--json", "--profile", &file, page.to_str().unwrap()]));
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!((line["method"].as_str(), line["author"].as_str()), (Some("profile"), Some("Новый мост")));
    assert_eq!(line["blocks"].as_array().unwrap().len(), 3, "title and two items: {line}");
    let named = kopri(&["extract", "--profile", &format!("{file}:nobody"), page.to_str().unwrap()]);
    let (_, told) = texts(&named);
    assert!(named.status.code() == Some(2) && told.contains("it has house"), "{told}");
}
