//! A small pipeline of its own in a temporary folder, and the store's contents as text that two runs must agree on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kopri::engine::event::Silent;
use kopri::error::Result;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};

/// A temporary site of a few articles, its pipeline and workspaces.
pub(crate) struct House {
    folder: tempfile::TempDir,
}

/// Eight sentences in both languages, enough for language and alignment to be sure.
const SENTENCES: [(&str, &str); 8] = [
    ("В Ашхабаде открылась новая библиотека на 120 мест.", "Aşgabatda 120 orunlyk täze kitaphana açyldy."),
    ("Её построила компания «Гурлушык» за восемь месяцев.", "Ony «Gurluşyk» kärhanasy sekiz aýda gurdy."),
    ("В читальном зале стоят 35 компьютеров.", "Okalga zalynda 35 kompýuter goýuldy."),
    (
        "Директор библиотеки Мая Аннаева рассказала о планах на 2026 год.",
        "Kitaphananyň müdiri Maýa Annaýewa 2026-njy ýylyň meýilnamalary barada gürrüň berdi.",
    ),
    ("Летом здесь пройдёт выставка детских рисунков.", "Tomusda bu ýerde çagalaryň suratlarynyň sergisi geçiriler."),
    ("Билет для взрослых стоит 10 манатов.", "Ulular üçin petek 10 manat durýar."),
    ("Для школьников вход бесплатный.", "Okuwçylar üçin giriş mugt."),
    ("Библиотека работает ежедневно с 9:00 до 18:00.", "Kitaphana her gün 9:00-dan 18:00-a çenli işleýär."),
];

/// What an edit adds, in both languages.
const EDIT: [&str; 2] = ["Открытие прошло торжественно.", "Açylyş dabaraly geçdi."];

impl House {
    /// A house with `articles` articles, 1 to `articles`.
    pub(crate) fn new(articles: u32) -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        for id in 1..=articles {
            house.write_article(id, false);
        }
        house.write_lists(&(1..=articles).collect::<Vec<_>>());
        house
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Writes both sides of an article; an edited one says one sentence more on either side.
    pub(crate) fn write_article(&self, id: u32, edited: bool) {
        for (language, twin, side) in [("ru", "tm", 0), ("tm", "ru", 1)] {
            let mut paragraphs = String::new();
            for (index, pair) in SENTENCES.iter().enumerate() {
                let text = if side == 0 { pair.0 } else { pair.1 };
                // Every article has numbers of its own, so that no two are duplicates.
                let text = text.replace("120", &(100 + id * 7).to_string()).replace("35", &(20 + id * 3).to_string());
                let text = if index == 3 && edited { format!("{text} {}", EDIT[side]) } else { text };
                let _ = write!(paragraphs, "<p>{text}</p>");
            }
            let title = if side == 0 {
                format!("Библиотека номер {id}")
            } else {
                format!("Kitaphana belgisi {id}")
            };
            self.write(
                &format!("{language}/post/{id}/library.html"),
                &format!(
                    "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{title}</title></head><body>\
                     <ul class=\"lang\"><li><a href=\"/{twin}/post/{id}/library\">{twin}</a></li></ul>\
                     <h1>{title}</h1><article>{paragraphs}</article></body></html>"
                ),
            );
        }
    }

    /// Writes the list pages that link these articles.
    pub(crate) fn write_lists(&self, ids: &[u32]) {
        for language in ["ru", "tm"] {
            let links: String =
                ids.iter().map(|id| format!("<li><a href=\"/{language}/post/{id}/library\">{id}</a></li>")).collect();
            self.write(&format!("{language}/index.html"), &format!("<html><body><ul>{links}</ul></body></html>"));
        }
    }

    /// Takes both sides of an article off the site.
    pub(crate) fn remove_article(&self, id: u32) {
        for language in ["ru", "tm"] {
            std::fs::remove_file(self.site().join(format!("{language}/post/{id}/library.html"))).unwrap();
        }
    }

    /// Changes every article's page, as a new layout does.
    pub(crate) fn change_articles(&self, change: impl Fn(&str) -> String) {
        for language in ["ru", "tm"] {
            for article in std::fs::read_dir(self.site().join(language).join("post")).unwrap() {
                let page = article.unwrap().path().join("library.html");
                let text = std::fs::read_to_string(&page).unwrap();
                std::fs::write(page, change(&text)).unwrap();
            }
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.site().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What the site redirects: lines `/from /to 301`.
    pub(crate) fn redirect(&self, lines: &str) {
        self.write("_redirects", lines);
    }

    /// A text of the workspace's database.
    pub(crate) fn ask(&self, workspace: &str, sql: &str) -> String {
        let database = rusqlite::Connection::open(self.path(workspace).join("kopri.db")).unwrap();
        database.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
    }

    /// Makes the site answer 500 to everything, or mends it.
    pub(crate) fn set_broken(&self, broken: bool) {
        let path = self.site().join("_redirects");
        if broken { std::fs::write(path, "a line that makes no sense\n") } else { std::fs::remove_file(path) }.unwrap();
    }

    /// The pipeline, with a workspace of the given name.
    pub(crate) fn pipeline(&self, workspace: &str, sets: &[&str]) -> Pipeline {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Pipeline::parse(&text_of(workspace), "house.toml", self.folder.path().to_path_buf(), &sets).unwrap()
    }

    /// The pipeline with other languages.
    pub(crate) fn pipeline_of(&self, workspace: &str, languages: &str, sets: &[&str]) -> Pipeline {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let text = text_of(workspace).replace("source = \"ru\"", languages).replace("target = \"tk\"", "");
        Pipeline::parse(&text, "house.toml", self.folder.path().to_path_buf(), &sets).unwrap()
    }

    /// The same pipeline as a file, for the binary.
    pub(crate) fn write_pipeline(&self, workspace: &str) -> PathBuf {
        let file = self.path("house.toml");
        std::fs::write(&file, text_of(workspace)).unwrap();
        file
    }

    /// Runs the pipeline in a workspace.
    pub(crate) fn run(&self, workspace: &str) -> RunReport {
        kopri::pipeline::run(&self.pipeline(workspace, &[]), RunOptions::default(), &mut Silent).unwrap()
    }

    /// Runs the pipeline, its file changed before, in a workspace.
    pub(crate) fn run_changed(&self, workspace: &str, change: impl Fn(String) -> String) -> RunReport {
        let text = change(text_of(workspace));
        let pipeline = Pipeline::parse(&text, "house.toml", self.folder.path().to_path_buf(), &[]).unwrap();
        kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap()
    }

    /// Runs, and stops as if killed after so many units. Answers whether it ran to its end.
    pub(crate) fn run_until(&self, workspace: &str, units: u64) -> Result<RunReport> {
        let options = RunOptions { stop_after: Some(units), ..RunOptions::default() };
        kopri::pipeline::run(&self.pipeline(workspace, &[]), options, &mut Silent)
    }

    /// The workspace's contents.
    pub(crate) fn dump(&self, workspace: &str) -> String {
        dump(&self.folder.path().join(workspace))
    }

    /// Where a file of a workspace lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file of a workspace.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
}

/// The house's pipeline.
fn text_of(workspace: &str) -> String {
    format!(
        r#"
            version = 1
            name = "house"
            source = "ru"
            target = "tk"
            workspace = "{workspace}"
            [[serve]]
            host = "house.test"
            folder = "site"
            [[site]]
            name = "house"
            hosts = ["house.test"]
            seeds = ["http://house.test/ru/", "http://house.test/tm/"]
            articles = ["/{{lang}}/post/{{id}}/*"]
            same-id = true
            [site.extract]
            title = ["h1"]
            body = ["article"]
            language-switch = ["ul.lang a"]
            [crawl]
            delay = "0s"
            retry-delay = "0s"
            revisit = "0s"
            revisit-lists = "0s"
            [segment]
            boilerplate-pages = 0
            [embed.limits]
            batch = 16
            [neighbours]
            index = "exact"
            [neighbours.limits]
            batch = 16
            [export]
            files = [{{ format = "tsv", path = "pairs.tsv" }}]
            "#
    )
}

/// Columns that tell when and in which run, not what.
const VOLATILE: &[(&str, &[&str])] = &[
    // Inputs and outputs hold stamps, which count commits.
    ("unit", &["attempts", "run", "finished_at", "input", "output"]),
    ("producer", &["id"]),
    ("occurrence", &["producer"]),
    ("verdict", &["stamp"]),
    ("near_duplicate", &["stamp"]),
    (
        "url",
        &[
            "status",
            "next_visit_at",
            "interval_s",
            "warc_file",
            "warc_offset",
            "warc_length",
            "fetched_at",
            "changed_at",
            "leased_at",
            "not_before",
        ],
    ),
    (
        "host",
        &["robots_fetched_at", "robots_failed_at", "delay_ms", "next_allowed_at", "night_began", "requests", "bytes"],
    ),
    ("warc", &["length", "file"]),
    ("task", &["asked_at"]),
    ("vector", &["shard"]),
    ("shard", &["id"]),
];

/// Tables that are a diary of runs, or of files outside the workspace.
const DIARIES: &[&str] = &["clock", "run", "figure", "crawl_round", "extraction", "drift", "sqlite_sequence"];

/// Every row of every table but the diaries, without the columns that tell of time, sorted: two stores with the same
/// dump hold the same. Vector shards are dumped by their bytes' hash.
pub(crate) fn dump(workspace: &Path) -> String {
    let database =
        rusqlite::Connection::open_with_flags(workspace.join("kopri.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    let names = |sql: &str| -> Vec<String> {
        database
            .prepare(sql)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    };
    let mut text = String::new();
    for table in names("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
        if DIARIES.contains(&table.as_str()) {
            continue;
        }
        let volatile = VOLATILE.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, columns)| columns);
        let columns: Vec<String> = names(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))
            .into_iter()
            .filter(|column| !volatile.contains(&column.as_str()))
            .map(|column| format!("quote(\"{column}\")"))
            .collect();
        if columns.is_empty() {
            continue;
        }
        let mut rows = names(&format!("SELECT {} FROM \"{table}\"", columns.join(" || ' | ' || ")));
        rows.sort();
        let _ = writeln!(text, "== {table} ({} rows)\n{}", rows.len(), rows.join("\n"));
    }
    for file in names("SELECT file FROM shard ORDER BY file") {
        let bytes = std::fs::read(workspace.join("vectors").join(&file)).unwrap();
        let _ = writeln!(text, "{file} {}", blake3::hash(&bytes).to_hex());
    }
    text
}

/// Fails with the first lines that differ.
pub(crate) fn assert_same(left: &str, right: &str, what: &str) {
    if left == right {
        return;
    }
    let differing: Vec<String> = left
        .lines()
        .zip(right.lines())
        .filter(|(a, b)| a != b)
        .take(5)
        .map(|(a, b)| format!("- {:.300}\n+ {:.300}", a, b))
        .collect();
    panic!(
        "{what}: {} and {} lines, the first that differ:\n{}",
        left.lines().count(),
        right.lines().count(),
        differing.join("\n")
    );
}

/// A folder of files, in which one command runs again and again.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    command: Vec<String>,
}

/// A tiny model that must be told the language of a text.
pub(crate) const KNOWS_LANGUAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/m2m100-tiny");

impl Desk {
    /// `command` stands before the arguments of each run.
    pub(crate) fn new(command: &[&str], files: &[(&str, &str)]) -> Self {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        let desk = Self { folder: tempfile::tempdir().unwrap(), command };
        files.iter().for_each(|(name, text)| desk.write(name, text.as_bytes()));
        desk
    }

    /// A command with `--model` tells a model each side's language, by name or code, and asks for the ones it lacks.
    pub(crate) fn tells_a_model_the_languages(&self, more: &[&str]) {
        let by = |languages: &[&'static str]| [&["--model", KNOWS_LANGUAGES], languages].concat();
        let told = |languages: &[&'static str]| {
            let output = self.run(&[more, &by(languages)].concat());
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            text(&output.stdout)
        };
        let right = told(&["--source-lang", "ru", "--target-lang", "tuk_Latn"]);
        assert_eq!(right, told(&["--source-lang", "rus_Cyrl", "--target-lang", "tk"]), "a code is a name");
        assert_ne!(right, told(&["--source-lang", "tk", "--target-lang", "ru"]), "each side has its own");

        let untold = self.error(2, &by(&["--source-lang", "ru"]));
        assert!(untold.contains("must know the language") && untold.contains("--target-lang"), "{untold}");
        let unknown = self.error(6, &by(&["--source-lang", "ru", "--target-lang", "tuk_Cyrl"]));
        assert!(unknown.contains("--target-lang tuk_Cyrl: the model has no language \"tuk_Cyrl\""), "{unknown}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs in the folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopri"));
        command.args(&self.command).args(arguments).env("NO_COLOR", "1");
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// The error of a run that must fail with this code.
    pub(crate) fn error(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
