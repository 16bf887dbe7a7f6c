//! A run's summary for the tests, with figures that add up and sentences written for it.

use super::summary::{
    Alarm, CalibrationReport, Failure, GraphReport, Histogram, IndexReport, Metric, Outcome, SampleGroup, SamplePair,
    SiteRow, StageRow, Summary, WaterfallRow, WaterfallStep,
};
use crate::metric::reliability::{Bin, Reliability};
use crate::record::{Interface, Language, Origin, PairId, Scope};
use crate::stage::agreement::{Agreement, Conflict, Controls, Couple, Person, Question, Said};

/// The language pair of the sample.
pub(super) const PAIR: Scope = Scope { source: Language::RUSSIAN, target: Language::TURKMEN };

/// A nightly run of a Russian–Turkmen pipeline in which a server was down for a while.
pub(super) fn summary() -> Summary {
    Summary {
        pipeline: "turkmen-russian".into(),
        workspace: "workspaces/nightly".into(),
        run: 42,
        started: "2025-11-21T02:00:07Z".parse().unwrap(),
        finished: Some("2025-11-21T02:12:11Z".parse().unwrap()),
        outcome: Outcome::SomeFailed,
        pairs: vec![PAIR],
        stages: stages(),
        waterfall: waterfall(),
        histograms: vec![
            histogram("aligned", 0.62, 0.80, 41_870.0),
            histogram("mined", 0.71, 0.46, 18_432.0),
            // What an unjudged import leaves: bins without pairs.
            Histogram::new("imported", 0.0, 1.0, 10, None),
        ],
        samples: samples(),
        sites: sites(),
        books: Vec::new(),
        notes: Vec::new(),
        index: vec![IndexReport {
            pair: PAIR,
            kind: "hnsw".into(),
            recall_at_k: Some(0.987),
            k: 8,
            sample: 1000,
            seconds: 41.6,
            graph: Some(GraphReport { kept: 1_200, inserted: 34, gone: 2 }),
        }],
        calibration: vec![calibration()],
        evaluation: vec![
            metric(
                "precision against gold",
                0.943,
                Some((0.921, 0.961)),
                "400 pairs judged by two annotators; 95 % bootstrap",
            ),
            metric("recall against gold", 0.872, Some((0.838, 0.904)), "of 512 aligned by hand in 12 documents"),
            metric("xsim error rate", 0.031, None, "Russian → Turkmen, 1012 sentences"),
            metric("chrF of the translation control", 48.27, Some((47.1, 49.5)), "1012 sentences"),
        ],
        agreement: Some(agreement()),
        attention: Vec::new(),
        alarms: vec![Alarm {
            site: "habar".into(),
            message: "the profile's body selectors find nothing on 14 of 16 pages".into(),
            example: "https://habar.example/tm/habar/suw?id=5051".into(),
            command: "kopri site check nightly.toml https://habar.example/tm/habar/suw?id=5051".into(),
        }],
        failures: failures(),
        exports: vec![
            ("workspaces/nightly/export/ru-tk.tsv".into(), 25_464),
            ("workspaces/nightly/export/ru-tk.tmx".into(), 25_464),
            ("workspaces/nightly/export/dropped.jsonl".into(), 34_838),
        ],
        report: Some("workspaces/nightly/reports/run-42.html".into()),
    }
}

/// Three annotators, of whom one was not timed.
fn agreement() -> Agreement {
    let person = |name: &str, answers, skipped, seconds: Option<f64>, controls, estimated| Person {
        name: name.into(),
        answers,
        skipped,
        median_seconds: seconds,
        mean_seconds: seconds.map(|seconds| seconds * 1.4),
        untimed: if seconds.is_some() { 0 } else { answers },
        controls,
        estimated,
    };
    let question = |interface, items, alpha, interval: Option<(f64, f64)>| Question {
        interface,
        items,
        ratings: items * 2 + 3,
        equal: Some(0.85),
        alpha: Some(alpha),
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
    };
    let said = |who: &str, answer: &str, gold| Said { who: who.into(), answer: answer.into(), gold };
    Agreement {
        people: vec![
            person("aýna@habar.example", 200, 3, Some(11.5), Some(controls(38, 40)), Some(0.957)),
            person("майя@habar.example", 180, 0, Some(74.0), Some(controls(27, 40)), Some(0.702)),
            person("user 3", 40, 12, None, None, None),
        ],
        questions: vec![
            question(Interface::Translation, 180, 0.712, Some((0.631, 0.784))),
            question(Interface::Similarity, 12, 0.84, None),
        ],
        couples: vec![Couple {
            interface: Interface::Translation,
            one: "aýna@habar.example".into(),
            other: "майя@habar.example".into(),
            items: 170,
            equal: 0.86,
            kappa: Some(0.724),
        }],
        conflicts: vec![
            Conflict {
                interface: Interface::Translation,
                pair: PairId(0x77),
                scope: Some(PAIR.name()),
                apart: 1.0,
                source: Some("Мост открыли в пятницу <вечером>.".into()),
                target: Some("Köpri şenbe güni açyldy.".into()),
                other: None,
                answers: vec![said("aýna@habar.example", "no", true), said("майя@habar.example", "yes", false)],
            },
            Conflict {
                interface: Interface::Similarity,
                pair: PairId(0x78),
                scope: None,
                apart: 0.4,
                source: None,
                target: None,
                other: None,
                answers: vec![said("user 3", "2", false), said("aýna@habar.example", "4", false)],
            },
        ],
        all_conflicts: 31,
    }
}

fn controls(right: usize, of: usize) -> Controls {
    let (low, high) = crate::metric::pairs::wilson(right, of).unwrap();
    Controls { right, of, low, high }
}

fn calibration() -> CalibrationReport {
    let bin = |told, right, count| {
        let (low, high) = (right - 0.05, right + 0.04);
        Bin { told, right, low, high, count }
    };
    let bins = vec![bin(0.15, 0.11, 60), bin(0.55, 0.61, 44), bin(0.9, 0.92, 296)];
    CalibrationReport {
        pair: PAIR,
        model: "lexical-1".into(),
        method: "logistic".into(),
        fitted: "2025-11-21T02:11:00Z".parse().ok(),
        annotated: 1,
        sure: 320,
        spoiled: vec![("another number".into(), 40), ("negation".into(), 39)],
        weights: vec![("similarity".into(), 1.25), ("numbers on one side only".into(), -2.5)],
        reliability: Reliability { bins, ece: 0.027, brier: 0.081, brier_of_mean: 0.16, count: 400 },
        auc: 0.914,
    }
}

fn stages() -> Vec<StageRow> {
    let row = |name: &str, done, failed, skipped_unchanged, seconds, note: &str| StageRow {
        name: name.into(),
        done,
        failed,
        skipped_unchanged,
        seconds,
        note: note.into(),
    };
    vec![
        row("crawl", 1_204, 4, 11_272, 482.3, "waited 6 min for a polite delay"),
        row("extract", 311, 1, 9_620, 14.2, ""),
        row("segment", 311, 0, 9_620, 3.1, ""),
        row("embed", 9, 0, 287, 92.4, "LaBSE on the CPU"),
        row("pair", 1, 0, 0, 4.0, ""),
        row("align", 148, 0, 4_402, 21.7, ""),
        row("mine", 1, 0, 0, 63.9, "margin threshold 1.06"),
        row("filter", 60, 0, 543, 5.8, ""),
        row("export", 3, 0, 0, 0.74, ""),
    ]
}

fn waterfall() -> Vec<WaterfallRow> {
    use WaterfallStep::{Candidates, Dropped, Kept, Volume};
    let row = |step, label: &str, count, note: &str| {
        let pair = (step != Volume).then_some(PAIR);
        WaterfallRow { pair, step, label: label.into(), count, note: note.into() }
    };
    vec![
        row(Volume, "pages fetched", 12_480, ""),
        row(Volume, "documents", 9_931, ""),
        row(Volume, "sentences", 301_223, ""),
        row(Candidates, "candidates, aligned", 41_870, "in 4 550 document pairs"),
        row(Candidates, "candidates, mined", 18_432, "ratio margin, 8 neighbours"),
        row(Dropped, "annotator said no", 14, ""),
        row(Dropped, "identical", 1_204, "both sides are the same text"),
        row(Dropped, "other language", 2_310, "confidence under 0.7"),
        row(Dropped, "length", 1_876, "under 3 or over 80 words"),
        row(Dropped, "length ratio", 2_944, "over 2.5"),
        row(Dropped, "numbers differ", 1_511, ""),
        row(Dropped, "score", 21_877, "under 0.62 aligned, 0.71 mined"),
        row(Dropped, "duplicate", 3_102, "but for case and punctuation"),
        row(Kept, "kept", 25_464, ""),
    ]
}

/// Two humps, as such scores have: translations right of the threshold, chance neighbours left of it.
fn histogram(name: &str, threshold: f64, good: f64, pairs: f64) -> Histogram {
    let mut histogram = Histogram::new(name, 0.0, 1.0, 20, Some(threshold));
    for bin in 0..20 {
        let score = (f64::from(bin) + 0.5) / 20.0;
        let hump = |centre: f64, width: f64| (-((score - centre) / width).powi(2)).exp();
        let count = |share: f64| (pairs / 9.0 * share).round() as u64;
        let (translations, chance) = (good * hump(0.82, 0.11), (1.3 - good) * hump(0.44, 0.16));
        let above = score > threshold;
        histogram.kept[bin as usize] = if above { count(0.9 * translations) } else { 0 };
        histogram.dropped[bin as usize] = count(chance + if above { 0.1 } else { 1.0 } * translations);
    }
    histogram
}

fn samples() -> Vec<SampleGroup> {
    vec![
        SampleGroup {
            languages: PAIR,
            title: "Best".into(),
            explanation: "The highest scores. A wrong pair here means that something is wrong at large.".into(),
            pairs: vec![
                pair(
                    0.97,
                    Some(0.93),
                    Some(1.31),
                    "most",
                    "Длина нового моста — 1236 метров.",
                    "Täze köpriniň uzynlygy 1236 metre barabardyr.",
                    None,
                ),
                pair(
                    0.96,
                    Some(0.91),
                    Some(1.28),
                    "harvest",
                    "В этом году пшеницу в долине убрали за двадцать четыре дня.",
                    "Bu ýyl jülgede bugdaý ýigrimi dört günde ýygnaldy.",
                    None,
                ),
                pair(
                    0.94,
                    Some(0.90),
                    Some(1.24),
                    "school",
                    "Ученики седьмого класса посадили возле школы сорок саженцев, а вечером полили их водой из старого арыка, который сами же весной и вычистили.",
                    "Ýedinji synp okuwçylary mekdebiň ýanynda kyrk düýp nahal oturtdylar, agşamlyk bolsa olary ýazda özleriniň arassalan köne ýabynyň suwy bilen suwardylar.",
                    None,
                ),
            ],
        },
        SampleGroup {
            languages: PAIR,
            title: "Borderline".into(),
            explanation: "Just above the threshold. If most of these are translations, the threshold may go down."
                .into(),
            pairs: vec![
                pair(
                    0.63,
                    Some(0.71),
                    Some(1.07),
                    "train",
                    "Поезд отправляется рано утром и прибывает поздно вечером.",
                    "Otly säher bilen ugraýar.",
                    None,
                ),
                pair(
                    0.62,
                    Some(0.70),
                    Some(1.06),
                    "publisher",
                    "Издательство «Мир & Слово» выпустило <новый> словарь.",
                    "Neşirýat täze sözlük çap etdi.",
                    None,
                ),
            ],
        },
        SampleGroup {
            languages: PAIR,
            title: "Dropped".into(),
            explanation: "Drawn at random from each reason. Good pairs here show a rule that is too strict.".into(),
            pairs: vec![
                pair(
                    0.81,
                    Some(0.86),
                    Some(1.15),
                    "library",
                    "В библиотеку привезли 350 новых книг.",
                    "Kitaphana 530 sany täze kitap getirildi.",
                    Some("numbers: 350 ≠ 530"),
                ),
                pair(
                    0.31,
                    Some(0.44),
                    Some(0.98),
                    "match",
                    "Матч закончился вничью.",
                    "Sergide el halylary görkezildi.",
                    Some("score: 0.31 < 0.62"),
                ),
                SamplePair {
                    source_url: Some("книги/география-7.pdf, с. 41".into()),
                    target_url: None,
                    similarity: None,
                    margin: None,
                    origin: Origin::Imported,
                    ..pair(
                        0.50,
                        None,
                        None,
                        "",
                        "Телефон: 22-14-08",
                        "Телефон: 22-14-08",
                        Some("identical: both sides are the same text"),
                    )
                },
            ],
        },
    ]
}

fn pair(
    score: f64,
    similarity: Option<f64>,
    margin: Option<f64>,
    page: &str,
    source: &str,
    target: &str,
    reason: Option<&str>,
) -> SamplePair {
    SamplePair {
        id: PairId::of(&[source.as_bytes(), target.as_bytes()]),
        source: source.into(),
        target: target.into(),
        source_url: Some(format!("https://habar.example/ru/news/{page}?id=5047&from=feed")),
        target_url: Some(format!("https://habar.example/tm/habar/{page}?id=5047")),
        score,
        similarity,
        margin,
        origin: if score > 0.95 { Origin::Mined } else { Origin::Aligned },
        reason: reason.map(str::to_owned),
    }
}

fn sites() -> Vec<SiteRow> {
    let (ru, tk, en) = (Language::RUSSIAN, Language::TURKMEN, Language::ENGLISH);
    vec![
        SiteRow {
            site: "habar.example".into(),
            languages: vec![(ru, 3_902), (tk, 3_788), (en, 120)],
            pages: 9_840,
            articles: 7_911,
            not_modified: 8_802,
            errors: 3,
            documents: 7_810,
            document_pairs: 3_640,
            sentences: 214_077,
            pairs_kept: 19_816,
        },
        SiteRow {
            site: "köpri-gazeti.example".into(),
            languages: vec![(tk, 1_204), (ru, 871)],
            pages: 2_640,
            articles: 2_088,
            not_modified: 2_470,
            errors: 1,
            documents: 2_081,
            document_pairs: 892,
            sentences: 61_315,
            pairs_kept: 4_102,
        },
        SiteRow {
            site: "schoolbooks".into(),
            languages: vec![(ru, 21), (tk, 19)],
            pages: 0,
            articles: 0,
            not_modified: 0,
            errors: 0,
            documents: 40,
            document_pairs: 18,
            sentences: 25_831,
            pairs_kept: 1_546,
        },
    ]
}

fn metric(name: &str, value: f64, interval: Option<(f64, f64)>, note: &str) -> Metric {
    let (low, high) = (interval.map(|(low, _)| low), interval.map(|(_, high)| high));
    Metric { name: name.into(), value, low, high, note: note.into() }
}

fn failures() -> Vec<Failure> {
    let failure = |stage: &str, unit: &str, kind: &str, message: &str| Failure {
        stage: stage.into(),
        unit: unit.into(),
        kind: kind.into(),
        message: message.into(),
    };
    vec![
        failure(
            "crawl",
            "https://habar.example/ru/news/5101",
            "network",
            "asking habar.example: no answer within 30 s",
        ),
        failure(
            "crawl",
            "https://habar.example/tm/habar/5101",
            "network",
            "asking habar.example: no answer within 30 s",
        ),
        failure(
            "extract",
            "книги/физика-8.pdf",
            "input",
            "reading page 3 of книги/физика-8.pdf: the font F2 has no ToUnicode table",
        ),
        failure("crawl", "https://habar.example/ru/news/5102", "network", "asking habar.example: status 503"),
        failure(
            "crawl",
            "https://köpri-gazeti.example/täzelik/77",
            "network",
            "asking köpri-gazeti.example: connection refused",
        ),
    ]
}
