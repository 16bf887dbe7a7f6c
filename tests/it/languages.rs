//! Pipelines in other languages than those of the demo: what comes of them, and what is said when nothing does.

use std::path::{Path, PathBuf};
use std::process::Command;

use kopri::engine::event::Silent;
use kopri::pipeline::{Pipeline, RunOptions, RunReport};
use kopri::record::Language;
use kopri::store::Store;
use kopri::store::open::Access;

/// The same eight sentences in two languages, the languages' codes first.
type Texts = ([&'static str; 2], [[&'static str; 2]; 8]);

const GERMAN_FRENCH: Texts = (
    ["de", "fr"],
    [
        [
            "In Straßburg wurde eine neue Bibliothek mit 120 Plätzen eröffnet.",
            "À Strasbourg, une nouvelle bibliothèque de 120 places a été ouverte.",
        ],
        ["Die Firma Bauwerk hat sie in acht Monaten gebaut.", "L'entreprise Bauwerk l'a construite en huit mois."],
        [
            "Im Lesesaal stehen 35 Computer für die Besucher.",
            "Dans la salle de lecture, il y a 35 ordinateurs pour les visiteurs.",
        ],
        [
            "Die Leiterin Anna Keller sprach über die Pläne für das Jahr 2026.",
            "La directrice Anna Keller a parlé des projets pour l'année 2026.",
        ],
        [
            "Im Sommer wird hier eine Ausstellung von Zeichnungen der Kinder gezeigt.",
            "En été, une exposition de dessins des enfants sera présentée ici.",
        ],
        ["Die Karte kostet für Erwachsene 10 Euro.", "Le billet coûte 10 euros pour les adultes."],
        ["Für die Schüler ist der Eintritt frei.", "L'entrée est gratuite pour les élèves."],
        [
            "Die Bibliothek ist jeden Tag von 9:00 bis 18:00 Uhr geöffnet.",
            "La bibliothèque est ouverte tous les jours de 9:00 à 18:00.",
        ],
    ],
);

const KYRGYZ_RUSSIAN: Texts = (
    ["ky", "ru"],
    [
        ["Бишкекте 120 орундуу жаңы китепкана ачылды.", "В Бишкеке открылась новая библиотека на 120 мест."],
        ["Аны «Курулуш» ишканасы сегиз айда курду.", "Её построила компания «Курулуш» за восемь месяцев."],
        ["Окуу залында 35 компьютер бар.", "В читальном зале стоят 35 компьютеров."],
        [
            "Директор Анна Келдибекова 2026-жылдын пландары жөнүндө айтып берди.",
            "Директор Анна Келдибекова рассказала о планах на 2026 год.",
        ],
        ["Жайында бул жерде балдардын сүрөттөрүнүн көргөзмөсү болот.", "Летом здесь пройдёт выставка рисунков детей."],
        ["Чоңдор үчүн билет 10 сом турат.", "Билет для взрослых стоит 10 сомов."],
        ["Окуучулар үчүн кирүү акысыз.", "Для школьников вход бесплатный."],
        ["Китепкана күн сайын 9:00дөн 18:00гө чейин иштейт.", "Библиотека работает ежедневно с 9:00 до 18:00."],
    ],
);

/// A site of some articles in two languages, and its pipeline.
struct Town {
    folder: tempfile::TempDir,
    languages: [&'static str; 2],
}

impl Town {
    /// With `articles` articles.
    fn new((languages, sentences): Texts, articles: u32) -> Self {
        let town = Self { folder: tempfile::tempdir().unwrap(), languages };
        for (side, language) in languages.into_iter().enumerate() {
            let mut links = String::new();
            for id in 1..=articles {
                let text = |text: &str| {
                    text.replace("120", &(100 + id * 7).to_string()).replace("35", &(20 + id * 3).to_string())
                };
                let paragraphs: String = sentences.iter().map(|pair| format!("<p>{}</p>", text(pair[side]))).collect();
                // Program code, as technical sites hold it, is longer than the text.
                let code = "int main(void) { return open_file(path, flags); }\n".repeat(30);
                town.write(
                    &format!("{language}/post/{id}/library.html"),
                    &format!(
                        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{id}</title></head>\
                         <body><h1>{id}</h1><article>{paragraphs}<pre>{code}</pre></article></body></html>"
                    ),
                );
                links += &format!("<li><a href=\"/{language}/post/{id}/library\">{id}</a></li>");
            }
            town.write(&format!("{language}/index.html"), &format!("<html><body><ul>{links}</ul></body></html>"));
        }
        town
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path("site").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn toml(&self, [source, target]: [&str; 2], more: &str) -> String {
        let seeds: Vec<_> = self.languages.iter().map(|code| format!("\"http://town.test/{code}/\"")).collect();
        format!(
            "version = 1\nname = \"town\"\nsource = \"{source}\"\ntarget = \"{target}\"\nworkspace = \"w\"\n\
             [[serve]]\nhost = \"town.test\"\nfolder = \"site\"\n\
             [[site]]\nname = \"town\"\nhosts = [\"town.test\"]\nseeds = [{}]\narticles = [\"/{{lang}}/post/{{id}}/*\"]\n\
             same-id = true\n[site.extract]\ntitle = [\"h1\"]\nbody = [\"article\"]\n\
             [crawl]\ndelay = \"0s\"\nretry-delay = \"0s\"\n[segment]\nboilerplate-pages = 0\n\
             [neighbours]\nindex = \"exact\"\n[export]\nfiles = [{{ format = \"tsv\", path = \"pairs.tsv\" }}]\n{more}",
            seeds.join(", ")
        )
    }

    fn run(&self, languages: [&str; 2], more: &str) -> RunReport {
        let folder: &Path = self.folder.path();
        let pipeline = Pipeline::parse(&self.toml(languages, more), "town.toml", folder.to_path_buf(), &[]).unwrap();
        kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap()
    }

    /// The program itself.
    fn kopri(&self, languages: [&str; 2], more: &str) -> std::process::Output {
        std::fs::write(self.path("town.toml"), self.toml(languages, more)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_kopri"))
            .args(["run", "town.toml"])
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }

    fn store(&self) -> Store {
        Store::open(&self.path("w"), Access::Read).unwrap()
    }

    /// The rows of the exported pairs, without the heading.
    fn pairs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("w/export/pairs.tsv")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }
}

#[test]
fn pipelines_of_other_languages_give_pairs_without_any_setting() {
    for texts in [GERMAN_FRENCH, KYRGYZ_RUSSIAN] {
        let (languages, sentences) = texts;
        let town = Town::new(texts, 3);
        let report = town.run(languages, "");
        assert_eq!((report.failed(), report.attention.as_slice()), (0, [].as_slice()), "{languages:?}");
        let counts: Vec<_> = town.store().document_languages().unwrap();
        let mut expected: Vec<_> = languages.iter().map(|code| (code.parse::<Language>().ok(), 3)).collect();
        expected.sort();
        assert_eq!(counts, expected);
        let pairs = town.pairs();
        assert!(pairs.len() >= 12, "{languages:?}: {pairs:#?}");
        // A sentence that all articles share, with its translation.
        let [source, target] = sentences[7];
        assert!(pairs.iter().any(|row| row.contains(source) && row.contains(target)), "{pairs:#?}");
    }
}

#[test]
fn documents_in_no_language_of_the_pipeline_end_no_run_as_a_success() {
    let town = Town::new(GERMAN_FRENCH, 3);
    let output = town.kopri(["tr", "pl"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("Attention 6 of 6 documents have no language"), "{said}");
    assert!(flat.contains("no document is in Turkish (tr)") && flat.contains("Check the sites' seeds"), "{said}");
    assert_eq!(town.store().runs(1).unwrap()[0].outcome.as_deref(), Some("done, needs attention"));
}

/// A reference of the first article only, of which one row has another translation than the site.
fn reference(town: &Town, urls: bool) {
    let [source, target] =
        ["de", "fr"].map(|code| if urls { format!("http://town.test/{code}/post/1/library") } else { String::new() });
    let mut rows = "source_url\ttarget_url\tsource_text\ttarget_text\n".to_owned();
    for (number, [german, french]) in GERMAN_FRENCH.1.iter().enumerate() {
        let text = |text: &str| text.replace("120", "107").replace("35", "23");
        let french = if number == 5 { "Pour les adultes, c'est 10 euros.".to_owned() } else { text(french) };
        rows += &format!("{source}\t{target}\t{}\t{french}\n", text(german));
    }
    std::fs::write(town.path("reference.tsv"), rows).unwrap();
}

#[test]
fn precision_counts_what_the_reference_covers() {
    let town = Town::new(GERMAN_FRENCH, 3);
    let kept = |town: &Town| -> Vec<[String; 2]> {
        town.pairs()
            .iter()
            .map(|row| {
                let columns: Vec<&str> = row.split('\t').collect();
                let position = |texts: usize| {
                    GERMAN_FRENCH
                        .1
                        .iter()
                        .flat_map(|pair| {
                            (1..=3_u32).map(|id| {
                                pair[texts]
                                    .replace("120", &(100 + id * 7).to_string())
                                    .replace("35", &(20 + id * 3).to_string())
                            })
                        })
                        .find(|text| columns.contains(&text.as_str()))
                        .unwrap_or_default()
                };
                [position(0), position(1)]
            })
            .collect()
    };
    for urls in [true, false] {
        reference(&town, urls);
        let report = town.run(["de", "fr"], "[evaluate]\npairs = \"reference.tsv\"\nmin-precision = 0.5\n");
        assert_eq!(report.gate, None);
        let figures = kopri::stage::evaluate::Figures::current(&town.store(), "de-fr").unwrap().unwrap();
        use kopri::stage::evaluate::figures as name;
        let count = |what| figures.count(what).unwrap();
        // Seven rows are the site's own sentences; those that are kept are found, wherever their one copy is kept.
        let of_first = |text: &str| text.replace("120", "107").replace("35", "23");
        let found = GERMAN_FRENCH
            .1
            .iter()
            .enumerate()
            .filter(|(number, pair)| *number != 5 && kept(&town).contains(&[of_first(pair[0]), of_first(pair[1])]))
            .count();
        assert_eq!((count(name::REFERENCE), count(name::FOUND)), (8, found), "{urls}");
        assert!(found >= 4 && count(name::COVERED) >= count(name::RIGHT) && count(name::COVERED) <= 10, "{figures:?}");
        if !urls {
            // By text, every kept pair of the eight German sentences is covered, and the one that is translated otherwise
            // is wrong.
            assert_eq!(count(name::RIGHT), found);
        }
    }
}

#[test]
fn a_gate_that_cannot_be_checked_is_not_passed() {
    let town = Town::new(GERMAN_FRENCH, 2);
    let fails = |more: &str, why: &str| {
        let output = town.kopri(["de", "fr"], more);
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(why), "{said}");
        assert_eq!(town.store().runs(1).unwrap()[0].outcome.as_deref(), Some("failed its gate"));
    };
    fails("[evaluate]\nmin-precision = 0.1\n", "names no reference");
    reference(&town, true);
    let set = "[evaluate]\npairs = \"reference.tsv\"\nmin-precision = 0.1\n";
    let output = town.kopri(["de", "fr"], set);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // Nothing changed: the figures hold, and so does the gate.
    assert_eq!(town.kopri(["de", "fr"], set).status.code(), Some(0));
    fails("[evaluate]\npairs = \"reference.tsv\"\nmin-recall = 1.0\n", "recall against the reference, strict, is");
    // The reference goes, the old figures stay in the workspace and count for nothing.
    fails("[evaluate]\nmin-precision = 0.1\n", "names no reference");
    std::fs::write(
        town.path("reference.tsv"),
        "source_text\ttarget_text\nEin Satz von anderswo.\tUne phrase d'ailleurs.\n",
    )
    .unwrap();
    fails(set, "no kept pair lies in what the reference covers");
    std::fs::write(town.path("reference.tsv"), "source_text\ttarget_text\nNur eine Seite.\t\n").unwrap();
    let output = town.kopri(["de", "fr"], set);
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("reference.tsv:2") && said.contains("target_text"), "{said}");
}
