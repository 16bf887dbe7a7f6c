//! Shelves of schoolbooks through the whole pipeline: what hostile and damaged books cost, and what never gets through.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use kopri::engine::event::Silent;
use kopri::error::ErrorKind;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};
use kopri::stage::books::{Job, Reader};
use kopri::stage::extract::Params;
use kopri::store::Store;
use kopri::store::open::Access;
use lopdf::{Dictionary, Document, Object, ObjectId, Stream, dictionary};

use crate::harness::{assert_same, dump};

const KOPRI: &str = env!("CARGO_BIN_EXE_kopri");

/// A shelf in a temporary folder, and its pipeline.
struct Library {
    folder: tempfile::TempDir,
    more: String,
    reader: Reader,
}

impl Library {
    /// A library whose pipeline has some more tables.
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shelf")).unwrap();
        Self { folder, more: more.into(), reader: Reader::worker(KOPRI) }
    }

    /// A library with both editions of a book of the demo.
    fn with_a_book(more: &str) -> Self {
        let library = Self::new(more);
        for (from, to) in [("tebigat-4_rus.pdf", "tebigat-4_rus.pdf"), ("tebigat-4_tuk.pdf", "tebigat-4_tkm.pdf")] {
            let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/demo/textbooks").join(from);
            std::fs::copy(demo, library.path("shelf").join(to)).unwrap();
        }
        library
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path("shelf").join(name), bytes).unwrap();
    }

    /// A program of a few lines.
    fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn toml(&self, workspace: &str) -> String {
        format!(
            "version = 1\nname = \"library\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \"{workspace}\"\n{}\n\
             [[shelf]]\nname = \"s\"\nfolder = \"shelf\"\npatterns = [\"{{subject}}-{{grade}}_{{language}}.pdf\"]\n\
             [neighbours]\nindex = \"exact\"\n[export]\nfiles = [{{ format = \"tsv\", path = \"pairs.tsv\" }}]\n",
            self.more
        )
    }

    fn run_until(&self, workspace: &str, units: Option<u64>) -> kopri::error::Result<RunReport> {
        let folder = self.folder.path().to_path_buf();
        let mut pipeline = Pipeline::parse(&self.toml(workspace), "library.toml", folder, &[])?;
        pipeline.reader = self.reader.clone();
        kopri::pipeline::run(&pipeline, RunOptions { stop_after: units, ..RunOptions::default() }, &mut Silent)
    }

    fn run(&self) -> RunReport {
        self.run_until("w", None).unwrap()
    }

    /// The failure of a book.
    fn failure(&self, book: &str) -> String {
        let failed = self.store().failed_units().unwrap();
        let messages: Vec<_> = failed.iter().map(|unit| format!("{}: {}", unit.unit, unit.message)).collect();
        messages.iter().find(|message| message.starts_with(&format!("s/{book}"))).cloned().unwrap_or_else(|| {
            panic!("{book} did not fail; failed are {messages:#?}");
        })
    }

    fn store(&self) -> Store {
        Store::open(&self.path("w"), Access::Read).unwrap()
    }

    /// The program itself.
    fn kopri(&self, arguments: &[&str]) -> Output {
        std::fs::write(self.path("library.toml"), self.toml("w")).unwrap();
        Command::new(KOPRI).args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").output().unwrap()
    }
}

/// A PDF in the making.
struct Paper {
    document: Document,
    tree: ObjectId,
    pages: Vec<Object>,
}

impl Paper {
    fn new() -> Self {
        let mut document = Document::with_version("1.5");
        let tree = document.new_object_id();
        Self { document, tree, pages: Vec::new() }
    }

    fn page(&mut self, content: &[u8], resources: Dictionary) {
        let content = self.document.add_object(Stream::new(Dictionary::new(), content.to_vec()));
        let sides: Vec<Object> = vec![0.into(), 0.into(), 600.into(), 800.into()];
        let page = dictionary! {
            "Type" => "Page", "Parent" => self.tree, "Contents" => content, "MediaBox" => sides, "Resources" => resources,
        };
        self.pages.push(self.document.add_object(page).into());
    }

    /// A page of lines in a font that says what its codes mean, or does not.
    fn text(&mut self, text: &str, mapped: bool) {
        let map = b"1 beginbfrange <0000> <FFFF> <0000> endbfrange".to_vec();
        let map = self.document.add_object(Stream::new(Dictionary::new(), map));
        let descendant = dictionary! { "Type" => "Font", "Subtype" => "CIDFontType2", "BaseFont" => "A", "DW" => 500 };
        let descendant = self.document.add_object(descendant);
        let mut font = dictionary! {
            "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "A", "Encoding" => "Identity-H",
            "DescendantFonts" => vec![descendant.into()],
        };
        if mapped {
            font.set("ToUnicode", map);
        }
        let font = self.document.add_object(font);
        let mut content = String::new();
        for (row, line) in text.lines().enumerate() {
            let hex: String = line.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
            content += &format!("BT /F 12 Tf 50 {} Td <{hex}> Tj ET\n", 740 - 16 * row);
        }
        self.page(content.as_bytes(), dictionary! { "Font" => dictionary! { "F" => font } });
    }

    /// A page that is one grey picture.
    fn picture(&mut self) {
        let dict = dictionary! {
            "Type" => "XObject", "Subtype" => "Image", "Width" => 600, "Height" => 800, "ColorSpace" => "DeviceGray",
            "BitsPerComponent" => 8,
        };
        let picture = self.document.add_object(Stream::new(dict, vec![200; 600 * 800]));
        self.page(b"q 600 0 0 800 0 0 cm /I Do Q", dictionary! { "XObject" => dictionary! { "I" => picture } });
    }

    fn bytes(mut self) -> Vec<u8> {
        let count = i64::try_from(self.pages.len()).unwrap();
        let tree = dictionary! { "Type" => "Pages", "Kids" => self.pages, "Count" => count };
        self.document.objects.insert(self.tree, tree.into());
        let catalog = self.document.add_object(dictionary! { "Type" => "Catalog", "Pages" => self.tree });
        self.document.trailer.set("Root", catalog);
        self.document.compress();
        let mut bytes = Vec::new();
        self.document.save_to(&mut bytes).unwrap();
        bytes
    }
}

/// A page whose content is small in the file and takes 60 MB in memory.
fn bomb() -> Vec<u8> {
    let mut paper = Paper::new();
    paper.text("Вода", true);
    paper.page(&b"0 0 m\n".repeat(10_000_000), Dictionary::new());
    paper.bytes()
}

const RUSSIAN: &str = "В тексте этой страницы рассказано о воде.\nВода бывает жидкой, твёрдой и газообразной.\n\
    Зимой реки и озёра замерзают, и дети катаются на коньках.\nЛетом вода испаряется и поднимается вверх.\n";

/// A reader of books that goes wrong as its file is called, and notes each start; other books it hands on.
fn moody() -> String {
    format!(
        "echo started >> \"${{0%/*}}/starts\"\nwhile read -r job; do\nnumber=${{job#[}}; number=${{number%%,*}}\n\
         case \"$job\" in\n*hang-*) echo \"[$number,{{\\\"page\\\":7}}]\"; sleep 100;;\n*crash-*) kill -SEGV $$;;\n\
         *mute-*) echo gibberish;;\n*other-*) echo \"[77777,{{\\\"page\\\":7}}]\";;\n\
         *) printf '%s\\n' \"$job\" | '{KOPRI}' \"$@\" || exit;;\nesac\ndone"
    )
}

#[test]
fn books_that_hang_crash_or_eat_memory_fail_alone() {
    let mut library = Library::with_a_book("[extract.limits]\nbook-memory = \"100MB\"\nbook-time = \"12s\"\n");
    for name in ["hang-1_ru.pdf", "crash-2_ru.pdf", "mute-3_ru.pdf", "junk-4_ru.pdf"] {
        library.put(name, b"no PDF");
    }
    library.put("bomb-5_ru.pdf", &bomb());
    library.put("leaflet.pdf", b"no book");
    library.reader = Reader::worker(library.script("worker", &moody()));
    let report = library.run();
    assert_eq!(report.failed(), 5, "{report:#?}");
    for (book, reason) in [
        ("hang", "it took longer than the 12s allowed (extract.limits.book-time), at page 7"),
        ("crash", "crashed (signal 11), before its first page"),
        ("mute", "it said: gibberish"),
        ("junk", "reading the PDF"),
        ("bomb", "it needs more than the 100MB of memory allowed (extract.limits.book-memory), at page 2"),
    ] {
        let message = library.failure(book);
        assert!(message.contains(reason), "{message}");
    }
    // The night went on: both editions are read, paired and aligned.
    let store = library.store();
    assert_eq!(store.document_pairs("ru-tk").unwrap().len(), 1);
    assert!(std::fs::read_to_string(library.path("w/export/pairs.tsv")).unwrap().lines().count() > 10);
    let extract = report.stage("extract").unwrap();
    assert_eq!(extract.notes, ["shelf s: no pattern fits 1 of its 8 PDFs: leaflet.pdf"]);
}

#[test]
fn one_process_reads_book_after_book_and_is_replaced_when_it_fails() {
    let library = Library::with_a_book("");
    for name in ["hang", "crash", "mute", "other"] {
        library.put(&format!("{name}-1_ru.pdf"), b"no PDF");
    }
    library.put("bomb-5_ru.pdf", &bomb());
    library.put("junk-5_ru.pdf", b"no PDF");
    let job = |name: &str, seconds| Job {
        path: library.path("shelf").join(name),
        time: Duration::from_secs(seconds),
        memory: 100_000_000,
        ..Job::to_look_at(&Params::default())
    };
    let good = |reader: &Reader| reader.read(&job("tebigat-4_rus.pdf", 60)).unwrap();
    let alone = good(&Reader::worker(KOPRI));
    let script = moody();
    for (name, seconds, starts, reason) in [
        // The process is as good as before.
        ("junk-5_ru.pdf", 60, 1, "reading the PDF"),
        // What fails after other books is read once more by a new process, which is replaced for the book after it.
        ("crash-1_ru.pdf", 60, 3, "crashed (signal 11), before its first page"),
        ("mute-1_ru.pdf", 60, 3, "before its first page; it said: gibberish"),
        ("other-1_ru.pdf", 60, 3, "of another book"),
        ("bomb-5_ru.pdf", 60, 3, "it needs more than the 100MB of memory allowed"),
        // Other limits need another process; what took too long is not read again.
        ("hang-1_ru.pdf", 1, 3, "longer than the 1s allowed (extract.limits.book-time), at page 7"),
    ] {
        let _ = std::fs::remove_file(library.path("starts"));
        let reader = Reader::worker(library.script("worker", &script));
        assert_eq!((good(&reader), good(&reader)), (alone.clone(), alone.clone()), "before {name}");
        let error = reader.read(&job(name, seconds)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!((good(&reader), good(&reader)), (alone.clone(), alone.clone()), "after {name}");
        let started = std::fs::read_to_string(library.path("starts")).unwrap().lines().count();
        assert_eq!(started, starts, "{name}");
        // Nothing of it is left when it rests; the next book starts a new one.
        reader.rest();
        good(&reader);
        assert_eq!(std::fs::read_to_string(library.path("starts")).unwrap().lines().count(), starts + 1);
    }
}

#[test]
fn a_process_does_not_grow_from_book_to_book() {
    let library = Library::with_a_book("");
    let reader = Reader::worker(library.script("worker", &format!("echo >> \"$0.starts\"\nexec '{KOPRI}' \"$@\"")));
    library.put("bomb-5_ru.pdf", &bomb());
    let job = |name: &str| Job {
        path: library.path("shelf").join(name),
        memory: 100_000_000,
        ..Job::to_look_at(&Params::default())
    };
    let first = reader.read(&job("tebigat-4_rus.pdf")).unwrap();
    for _ in 0..20 {
        assert_eq!(reader.read(&job("tebigat-4_rus.pdf")).unwrap(), first);
    }
    let started = std::fs::read_to_string(library.path("worker.starts")).unwrap().lines().count();
    assert!(started <= 2, "{started} starts");
    // A book too large is too large for a used process and for a new one.
    assert!(reader.read(&job("bomb-5_ru.pdf")).unwrap_err().is_lasting());
    assert_eq!(reader.read(&job("tebigat-4_rus.pdf")).unwrap(), first);
}

#[test]
fn the_program_ends_with_3_and_says_which_limit_and_where() {
    let library = Library::new("[extract.limits]\nbook-memory = \"100MB\"\n");
    library.put("bomb-5_ru.pdf", &bomb());
    let run = library.kopri(&["run", "library.toml"]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(3), "{told}");
    assert!(told.contains("s/bomb-5_ru.pdf") && told.contains("at page 2"), "{told}");
    let status = library.kopri(&["status", "library.toml"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("extract.limits.book-memory"));
}

#[test]
fn stopped_and_resumed_the_store_is_the_same_and_a_second_run_does_nothing() {
    let library = Library::with_a_book("");
    library.run();
    let whole = dump(&library.path("w"));
    assert!(whole.contains("== book_page (18 rows)"), "{whole:.300}");
    assert!(library.run().is_nothing_new());
    assert_same(&whole, &dump(&library.path("w")), "a second run");
    for units in 0..6 {
        let workspace = format!("stopped-{units}");
        let error = library.run_until(&workspace, Some(units)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        library.run_until(&workspace, None).unwrap();
        assert_same(&whole, &dump(&library.path(&workspace)), &format!("stopped after {units} units"));
    }
    // A limit is no setting: raising it does nothing again.
    let raised = Library { more: "[extract.limits]\nbook-time = \"9m\"\n".into(), ..library };
    assert!(raised.run().is_nothing_new());
}

#[test]
fn nothing_garbled_reaches_the_corpus_and_each_page_says_why() {
    let library = Library::new("");
    let mut paper = Paper::new();
    paper.text(RUSSIAN, true);
    // A font that does not say what its codes mean; windows-1251 read as windows-1252; a picture.
    paper.text(RUSSIAN, false);
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(RUSSIAN);
    paper.text(&encoding_rs::WINDOWS_1252.decode(&bytes).0, true);
    paper.picture();
    library.put("suw-4_ru.pdf", &paper.bytes());
    // Nothing but garbage makes no document, and is told all the same.
    let mut paper = Paper::new();
    paper.text(RUSSIAN, false);
    library.put("hapa-4_ru.pdf", &paper.bytes());
    library.run();

    let store = library.store();
    let documents = store.document_fingerprints().unwrap();
    assert_eq!(documents.len(), 1);
    let document = store.document(documents[0].0).unwrap().unwrap();
    assert_eq!(document.text.split_whitespace().collect::<Vec<_>>(), RUSSIAN.split_whitespace().collect::<Vec<_>>());
    let shown = library.kopri(&["show", "library.toml", "s/suw-4_ru.pdf"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for line in [
        "4 pages: 1 text; left out: 1 scanned, 2 garbled",
        "page 2         left out, garbled: ",
        "page 3         left out, garbled: ",
        "page 4         left out, scanned: ",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let shown = library.kopri(&["show", "library.toml", "s/hapa-4_ru.pdf"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("too little text"));
    let status = library.kopri(&["status", "library.toml"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("1 page: none with text; left out: 1 garbled"));
}

#[test]
fn a_font_of_old_letters_is_on_record_and_its_text_can_be_restored() {
    let library = Library::new("");
    let turkmen = "Gyşda derýalar we köller doňýar, çagalar bolsa köçä çykýarlar.\nTomsuna suw bugaryp, ýokary galýar.\n\
        Şol ýerde bulut emele gelýär we ýagyş ýagýar.\nSuwuň güýji ýere uly täsir edýär, şonuň üçin ony goraýarlar.\n\
        Ýazda daglaryň garlary ereýär we çeşmeler joşýar.\n";
    let table = &kopri::extract::pdf::TABLES[0];
    let written = |text: &str| -> String {
        let sign = |c| table.letters.iter().find(|(_, letter)| *letter == c).map_or(c, |(sign, _)| *sign);
        text.chars().map(sign).collect()
    };
    let mut paper = Paper::new();
    paper.text(&written(turkmen), true);
    library.put("suw-4_tk.pdf", &paper.bytes());
    library.run();
    let store = library.store();
    let document = store.document(store.document_fingerprints().unwrap()[0].0).unwrap().unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&document.text), words(turkmen));
    let repairs = store.book_repairs("s/suw-4_tk.pdf").unwrap();
    let [repair] = &repairs[..] else { panic!("{repairs:?}") };
    assert_eq!((repair.font.as_str(), repair.table.as_str()), ("A", table.name));
    let differing = turkmen.chars().zip(written(turkmen).chars()).filter(|(letter, sign)| letter != sign).count();
    assert_eq!(repair.times(), differing as u64);
    let sign = |c| repair.letters.iter().find(|(_, letter, _)| *letter == c).map_or(c, |(sign, ..)| *sign);
    assert_eq!(words(&document.text.chars().map(sign).collect::<String>()), words(&written(turkmen)));
    let shown = library.kopri(&["show", "library.toml", &document.id.to_string()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("repaired       {}", repair.words())), "{shown}");
    assert!(shown.contains(&format!("1 page: 1 text; {differing} letters of 1 font read by a table")), "{shown}");
    // What goes with the book goes from the store.
    std::fs::remove_file(library.path("shelf/suw-4_tk.pdf")).unwrap();
    library.run();
    assert_eq!(library.store().book_repairs("s/suw-4_tk.pdf").unwrap(), []);
}

#[test]
fn a_book_that_can_only_fail_is_tried_again_when_something_has_changed() {
    let mut library = Library::new("[extract.limits]\nbook-memory = \"100MB\"\n");
    for name in ["crash-2_ru.pdf", "junk-4_ru.pdf"] {
        library.put(name, b"no PDF");
    }
    library.put("bomb-5_ru.pdf", &bomb());
    library.reader = Reader::worker(library.script("worker", &moody()));
    let tried = |library: &Library| {
        let report = library.run();
        (report.failed(), report.given_up())
    };
    assert_eq!(tried(&library), (3, 0));
    let first = library.store().failed_units().unwrap();
    // A crash may pass; what lies in the file does not.
    assert_eq!(tried(&library), (1, 2));
    let failed = library.store().failed_units().unwrap();
    let times =
        |name: &str| failed.iter().find(|unit| unit.unit.contains(name)).map(|unit| (unit.attempts, unit.given_up));
    assert_eq!((times("crash"), times("junk"), times("bomb")), (Some((2, false)), Some((1, true)), Some((1, true))));
    // They stay among what is told, and the run ends as one in which something failed.
    assert_eq!(failed.len(), first.len());
    std::fs::remove_file(library.path("shelf/crash-2_ru.pdf")).unwrap();
    assert_eq!(tried(&library), (0, 2));
    let run = library.kopri(&["run", "library.toml"]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(3), "{told}");
    assert!(told.contains("2 that failed before: s/bomb-5_ru.pdf, s/junk-4_ru.pdf"), "{told}");
    let report = std::fs::read_to_string(library.path("w/report/latest.html")).unwrap();
    assert!(report.contains("s/junk-4_ru.pdf") && report.contains("(known since run 1)"));
    let status = library.kopri(&["status", "library.toml"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("(1 tries, not tried again until the file"));
    // Other bytes, then other limits.
    library.put("junk-4_ru.pdf", b"no PDF either");
    assert_eq!(tried(&library), (1, 1));
    library.more = "[extract.limits]\nbook-memory = \"110MB\"\n".into();
    assert_eq!(tried(&library), (2, 0));
    assert_eq!(tried(&library), (0, 2));
}

/// What Tesseract answers on a picture.
fn table(words: &str, confidence: u32) -> String {
    let head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";
    let row = |word: &str| format!("5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t{confidence}\t{word}\n");
    head.to_owned() + &words.split_whitespace().map(row).collect::<String>()
}

/// A library with a page of text and one that is a picture, in some language, and a recogniser.
fn scanned(language: &str, pack: &str, answer: &str) -> Library {
    let mut library = Library::new("");
    std::fs::write(library.path("answer"), answer).unwrap();
    std::fs::write(library.path("version"), "tesseract 5.3.0\n leptonica-1.82.0\n").unwrap();
    let script = "case \"$1\" in\n--version) cat \"${0%/*}/version\";;\n--list-langs) printf 'List of available languages (2):\\nrus\\nslk\\n';;\n\
                  *) head -c 2 > \"$0.saw\"; echo \"$@\" > \"$0.asked\"; cat \"${0%/*}/answer\";;\nesac";
    let program = library.script("recogniser", script);
    library.more = format!(
        "[extract]\nmin-chars = 20\nocr = \"tesseract\"\nocr-program = {:?}\nocr-languages = {{ {language} = \"{pack}\" }}\n",
        program.display().to_string()
    );
    let mut paper = Paper::new();
    paper.text(RUSSIAN, true);
    paper.picture();
    library.put(&format!("suw-4_{language}.pdf"), &paper.bytes());
    library
}

#[test]
fn a_picture_is_recognised_and_its_page_says_so() {
    let words = "Снег и лёд тоже состоят из воды, и весной они тают.";
    let library = scanned("ru", "rus", &table(words, 93));
    assert_eq!(library.run().failed(), 0);
    assert_eq!(std::fs::read_to_string(library.path("recogniser.saw")).unwrap(), "P5");
    let asked = std::fs::read_to_string(library.path("recogniser.asked")).unwrap();
    assert_eq!(asked.trim(), "stdin stdout -l rus --dpi 72 tsv");
    let page = &library.store().book_pages("s/suw-4_ru.pdf").unwrap()[1];
    assert_eq!(page.ocr.as_ref().map(|ocr| (ocr.used, ocr.confidence)), Some((true, Some(93.0))));
    let shown = library.kopri(&["show", "library.toml", "s/suw-4_ru.pdf"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("page 2         recognised, scanned: ") && shown.contains(words), "{shown}");
    assert!(library.run().is_nothing_new());
    // Another version may read otherwise.
    std::fs::write(library.path("version"), "tesseract 5.5.0\n").unwrap();
    std::fs::write(library.path("answer"), table(words, 91)).unwrap();
    assert!(!library.run().is_nothing_new());
    let page = &library.store().book_pages("s/suw-4_ru.pdf").unwrap()[1];
    assert_eq!(page.ocr.as_ref().and_then(|ocr| ocr.confidence), Some(91.0));
    assert!(library.run().is_nothing_new());
}

#[test]
fn what_was_recognised_badly_or_in_another_language_stays_out() {
    for (words, confidence, reason) in [
        ("Снег и лёд тоже состоят из воды.", 41, "none of 1 paragraphs is surer than 80"),
        ("Suw tebigatda üç görnüşde bolýar we ýagyş ýagýar.", 95, "letters are of the script of Russian"),
    ] {
        let library = scanned("ru", "rus", &table(words, confidence));
        assert_eq!(library.run().failed(), 0);
        let page = &library.store().book_pages("s/suw-4_ru.pdf").unwrap()[1];
        assert!(page.is_left_out() && page.reason().contains(reason), "{page:?}");
    }
}

#[test]
fn a_missing_recogniser_or_pack_says_what_to_install_and_other_books_go_on() {
    let library = scanned("ru", "rus+tat", "");
    let mut paper = Paper::new();
    paper.text(RUSSIAN, true);
    library.put("gar-4_ru.pdf", &paper.bytes());
    assert_eq!(library.run().failed(), 1);
    assert!(library.failure("suw").contains("apt-get install tesseract-ocr-tat"), "{}", library.failure("suw"));
    std::fs::remove_file(library.path("recogniser")).unwrap();
    assert_eq!(library.run().failed(), 1);
    assert!(library.failure("suw").contains("apt-get install tesseract-ocr)"), "{}", library.failure("suw"));
}

#[test]
fn a_manifest_that_names_a_missing_file_is_one_failure_with_its_line() {
    let library = Library::with_a_book("");
    let rows = "subject,grade,language,file\ntebigat,4,rus,tebigat-4_rus.pdf\ntebigat,4,tm,tebigat-4_tkm.pdf\nsuw,1,ru,gone.pdf\n";
    std::fs::write(library.path("shelf/manifest.csv"), rows).unwrap();
    let toml = library.toml("w");
    let patterns = toml.lines().find(|line| line.starts_with("patterns")).unwrap();
    let mut pipeline =
        Pipeline::parse(&toml.replace(patterns, ""), "m.toml", library.folder.path().to_path_buf(), &[]).unwrap();
    // Nobody reads books, unless somebody is named.
    let error = kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("Pipeline::reader"), "{error}");
    pipeline.reader = Reader::InProcess;
    let report = kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap();
    assert_eq!((report.failed(), library.store().document_pairs("ru-tk").unwrap().len()), (1, 1));
    let message = library.failure("gone");
    assert!(message.contains("manifest.csv:4 names") && message.contains("which is not there"), "{message}");
}

#[test]
fn a_listing_reads_no_file_that_looks_as_before() {
    let library = Library::with_a_book("");
    let books = ["tebigat-4_rus.pdf", "tebigat-4_tkm.pdf"].map(|name| library.path("shelf").join(name));
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let set_time = |path: &Path, time| {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    books.iter().for_each(|book| set_time(book, long_ago));
    let extracted = |report: &RunReport| {
        let tally = report.stage("extract").unwrap();
        (tally.done + tally.failed, tally.unchanged)
    };
    assert_eq!(extracted(&library.run()), (2, 0));
    // Other bytes that look the same: the hash is the one that is known, so the file was not read.
    let length = std::fs::metadata(&books[0]).unwrap().len();
    std::fs::write(&books[0], vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    set_time(&books[0], long_ago);
    assert_eq!(extracted(&library.run()), (0, 2));
    // Touched: it is read, and is another file.
    set_time(&books[0], long_ago + Duration::from_secs(1));
    assert_eq!(extracted(&library.run()), (1, 1));
    // Touched without a change: it is read, and is the same.
    set_time(&books[1], long_ago + Duration::from_secs(1));
    let unchanged = extracted(&library.run());
    assert_eq!(unchanged.0, 0, "{unchanged:?}");
}
