//! `kopri mine`: pairs among the lines of two texts that share names and numbers, given pairs, and wrong input.

use std::process::Output;

use crate::harness::{Desk, text};

/// Translations stand on other lines; each side has a sentence without one, and the source an empty line and a copy.
const SOURCE: &str = "\
В Ашхабаде открылась библиотека на 120 мест.
Завтра будет дождь.

Директор Мая Аннаева рассказала о планах на 2026 год.
В зале стоят 35 компьютеров.
В Ашхабаде открылась библиотека на 120 мест.
";
const TARGET: &str = "\
Zalda 35 kompýuter goýuldy.
Aşgabatda 120 orunlyk kitaphana açyldy.
Gowunlar bişdi.
Direktor Maýa Annaýewa 2026-njy ýylyň meýilnamalary barada aýtdy.
";

fn desk() -> Desk {
    Desk::new(&["mine", "--source", "ru.txt", "--target", "tk.txt"], &[("ru.txt", SOURCE), ("tk.txt", TARGET)])
}

/// Runs with two neighbours.
fn mine(desk: &Desk, arguments: &[&str]) -> Output {
    desk.run(&[&["-k", "2"], arguments].concat())
}

/// Pairs of line numbers that a run writes as TSV.
fn pairs(desk: &Desk, arguments: &[&str]) -> Vec<(usize, usize)> {
    let output = mine(desk, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let field = |line: &str, at: usize| line.split('\t').nth(at).unwrap().parse().unwrap();
    text(&output.stdout).lines().skip(1).map(|line| (field(line, 2), field(line, 3))).collect()
}

const RIGHT: [(usize, usize); 3] = [(1, 2), (4, 4), (5, 1)];

#[test]
fn translations_are_found_on_whatever_line_they_stand() {
    let desk = desk();
    for retrieval in ["forward", "backward", "intersect", "max"] {
        let found = pairs(&desk, &["--retrieval", retrieval]);
        assert!(RIGHT.iter().all(|pair| found.contains(pair)), "{retrieval}: {found:?}");
        // The best three are the right ones, and a threshold holds in every mode.
        let mut best = found[..3].to_vec();
        best.sort_unstable();
        assert_eq!(best, RIGHT, "{retrieval}");
        assert!(pairs(&desk, &["--retrieval", retrieval, "--threshold", "1e9"]).is_empty(), "{retrieval}");
        assert!(pairs(&desk, &["--retrieval", retrieval, "--max-score=-1"]).is_empty(), "{retrieval}");
    }
    for margin in ["distance", "absolute"] {
        let found = pairs(&desk, &["--margin", margin, "--retrieval", "intersect"]);
        assert!(RIGHT.iter().all(|pair| found.contains(pair)), "{margin}: {found:?}");
    }
    let one = pairs(&desk, &["--retrieval", "forward", "--one-to-one"]);
    let targets: std::collections::HashSet<_> = one.iter().map(|(_, target)| target).collect();
    assert_eq!(targets.len(), one.len());
    let graph = mine(&desk, &["--index", "hnsw"]);
    assert!(
        text(&graph.stderr).contains("in a graph that finds 1.000 of the true neighbours"),
        "{}",
        text(&graph.stderr)
    );
}

#[test]
fn files_say_the_same_in_every_format_and_gold_pairs_judge_them() {
    let desk = desk();
    let (tsv, jsonl) = (desk.path("m.tsv"), desk.path("m.jsonl"));
    for path in [&tsv, &jsonl] {
        assert_eq!(mine(&desk, &["--out", path.to_str().unwrap()]).status.code(), Some(0));
    }
    let rows: Vec<String> = std::fs::read_to_string(tsv).unwrap().lines().skip(1).map(str::to_owned).collect();
    let objects: Vec<serde_json::Value> =
        std::fs::read_to_string(jsonl).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let laser = text(&mine(&desk, &["--format", "laser"]).stdout);
    assert_eq!((rows.len(), laser.lines().count()), (objects.len(), objects.len()));
    for ((row, object), laser) in rows.iter().zip(&objects).zip(laser.lines()) {
        let fields: Vec<&str> = row.split('\t').collect();
        assert_eq!(fields[2].parse::<u64>().ok(), object["source_line"].as_u64());
        assert_eq!(object["target"].as_str(), Some(fields[5]));
        assert_eq!(laser.split('\t').collect::<Vec<_>>(), [fields[0], fields[4], fields[5]]);
        assert!((object["score"].as_f64().unwrap() - fields[0].parse::<f64>().unwrap()).abs() < 1e-5);
    }

    desk.write("gold.tsv", b"1\t2\n4\t4\n5\t1\n");
    let judged = text(&mine(&desk, &["--gold", "gold.tsv", "--retrieval", "intersect"]).stdout);
    assert!(judged.contains("R 1.000 (3/3)") && judged.contains("odd lines, best threshold"), "{judged}");
}

#[test]
fn given_pairs_are_scored_line_by_line() {
    let desk = desk();
    desk.write("tk.txt", "Aşgabatda 120 orunlyk kitaphana açyldy.\nZalda 35 kompýuter goýuldy.\n\nDirektor Maýa Annaýewa 2026-njy ýylyň meýilnamalary barada aýtdy.\nGowunlar bişdi.\nAşgabatda 120 orunlyk kitaphana açyldy.\n".as_bytes());
    let output = text(&mine(&desk, &["--score"]).stdout);
    let score = |line: usize| -> f64 {
        let row = output.lines().skip(1).find(|row| row.split('\t').nth(2) == Some(&line.to_string())).unwrap();
        row.split('\t').next().unwrap().parse().unwrap()
    };
    assert_eq!(output.lines().count(), 6, "{output}");
    assert!(score(1) > score(2) && score(4) > score(5), "{output}");
    assert_eq!(score(1), score(6), "the same pair on another line");
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_line() {
    let desk = desk();
    assert!(desk.error(2, &["--score"]).contains("ru.txt has 6 lines, tk.txt has 4"));
    assert!(desk.error(2, &["-k", "0"]).contains("--k is 0"));
    desk.write("gold.tsv", b"1\t2\n3\t1\n");
    assert!(desk.error(3, &["--gold", "gold.tsv"]).contains("gold.tsv, line 2: ru.txt has no sentence on line 3"));
    desk.write("gold.tsv", b"one\ttwo\n");
    assert!(desk.error(3, &["--gold", "gold.tsv"]).contains("gold.tsv, line 1: wanted are two line numbers"));
    desk.write("tk.txt", b"Salam\n\xff\n");
    assert!(desk.error(3, &[]).contains("tk.txt, line 2: it is not UTF-8"));
    desk.write("tk.txt", b"\n \n");
    assert!(desk.error(3, &[]).contains("no line of it has text"));
    assert!(desk.error(2, &["--out", "x.doc"]).contains("name a file that ends in .tsv or .jsonl"));
}

#[test]
fn a_model_that_must_know_languages_is_told_each_sides() {
    let desk = desk();
    desk.tells_a_model_the_languages(&["-k", "2"]);
    let other = desk.error(2, &["--target-lang", "tk"]);
    assert!(other.contains("--target-lang is \"tk\", and lexical") && other.contains("knows no languages"), "{other}");
}
