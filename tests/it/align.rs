//! `kopri align`: two texts into every format, ready vectors, gold beads, and what is said of wrong input.

use crate::harness::{Desk, KNOWS_LANGUAGES, text};

/// Sentences whose translations share names and numbers; the target joins the third and the fourth, and says one more.
const SOURCE: &str = "\
В Ашхабаде открылась библиотека на 120 мест.
Её построила компания «Гурлушык» <за 8> месяцев.

В зале стоят 35 компьютеров.
Билет стоит 10 манатов.
Директор Мая Аннаева рассказала о планах на 2026 год.
";
const TARGET: &str = "\
Aşgabatda 120 orunlyk kitaphana açyldy.
Ony «Gurluşyk» & kärhanasy 8 aýda gurdy.

Zalda 35 kompýuter goýuldy, petek 10 manat durýar.
Direktor Maýa Annaýewa 2026-njy ýylyň meýilnamalary barada aýtdy.
";
const GOLD: &str = "[0]:[0]\n[1]:[1]\n[3, 4]:[3]\n[5]:[4]\n";

fn desk() -> Desk {
    let files = [("ru.txt", SOURCE), ("tk.txt", TARGET), ("gold.beads", GOLD)];
    Desk::new(&["align", "--source", "ru.txt", "--target", "tk.txt"], &files)
}

#[test]
fn every_format_says_the_same_with_the_lines_of_the_files() {
    let desk = desk();
    let output = desk.run(&[]);
    let beads = text(&output.stdout);
    let shapes: Vec<&str> = beads.lines().filter_map(|line| line.rsplit_once(':')).map(|(bead, _)| bead).collect();
    assert_eq!(shapes, GOLD.lines().collect::<Vec<_>>(), "{beads}");
    assert!(text(&output.stderr).contains("5 and 4 lines: 4 beads, 0 lines left alone"), "{}", text(&output.stderr));

    for name in ["out.tsv", "out.tmx", "out.jsonl", "out.html", "out.beads"] {
        let output = desk.run(&["--out", name, "--quiet"]);
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{name}");
    }
    assert_eq!(desk.read("out.beads"), beads);
    let tsv = desk.read("out.tsv");
    let row: Vec<&str> = tsv.lines().nth(3).unwrap().split('\t').collect();
    assert_eq!(row[0], "В зале стоят 35 компьютеров. Билет стоит 10 манатов.");
    assert_eq!(row[5..], ["4,5", "4"]);
    let tmx = desk.read("out.tmx");
    assert!(tmx.contains("srclang=\"ru\"") && tmx.contains("<tuv xml:lang=\"tk\">"), "{tmx}");
    assert!(tmx.contains("&lt;за 8&gt;") && tmx.contains("» &amp; k") && tmx.contains("ru.txt#L4-L5"), "{tmx}");
    let third: serde_json::Value = serde_json::from_str(desk.read("out.jsonl").lines().nth(2).unwrap()).unwrap();
    assert_eq!((&third["source_lines"], &third["target_lines"]), (&serde_json::json!([4, 5]), &serde_json::json!([4])));
    let html = desk.read("out.html");
    assert!(html.contains("&lt;за 8&gt;") && html.contains("4<br>5") && html.contains("<th>2:1</th>"), "{html}");
    assert!(!html.contains("://"), "nothing is fetched");

    desk.run(&["--out", "sure.tsv", "--min-probability", "1"]);
    assert!(desk.read("sure.tsv").lines().count() < tsv.lines().count());
}

#[test]
fn gold_beads_give_scores_with_their_counts() {
    let desk = desk();
    let output = desk.run(&["--gold", "gold.beads"]);
    let scores = text(&output.stdout);
    assert_eq!(
        scores,
        "strict  P 1.000 (4/4)  R 1.000 (4/4)  F1 1.000\nlax     P 1.000 (4/4)  R 1.000 (4/4)  F1 1.000\n"
    );
    let single = text(&desk.run(&["--gold", "gold.beads", "--max-bead", "1"]).stdout);
    assert!(
        single.starts_with("strict  P 0.600 (3/5)  R 0.750 (3/4)  F1 0.667\nlax     P 0.800 (4/5)  R 1.000"),
        "{single}"
    );
}

/// An .npy file of f32.
fn npy(shape: &str, numbers: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &raw(numbers)].concat()
}

fn raw(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Rows that point along these axes of four.
fn along(axes: &[usize]) -> Vec<f32> {
    axes.iter().flat_map(|axis| (0..4).map(|at| if at == *axis { 1.0 } else { 0.01 * (*axis as f32 + 1.0) })).collect()
}

#[test]
fn ready_vectors_in_all_their_forms_give_one_alignment() {
    let desk = desk();
    desk.write("ru.txt", b"a b\nc\nd\n");
    desk.write("tk.txt", b"x\ny\n");
    // c and d are y together; a run lies where its last line does, and before the first run there is anything.
    desk.write("a.npy", &npy("2, 3, 4", &[along(&[0, 1, 2]), vec![f32::NAN; 4], along(&[1, 3])].concat()));
    desk.write("b.npy", &npy("2, 2, 4", &[along(&[0, 3]), vec![f32::NAN; 4], along(&[2])].concat()));
    desk.write("a.txt", "c d\na b\nc\nd\na b c\n".as_bytes());
    desk.write("b.txt", "y\nx\nx y\n".as_bytes());
    desk.write("a.emb", &raw(&along(&[3, 0, 1, 2, 1])));
    desk.write("b.emb", &raw(&along(&[3, 0, 2])));
    let ready = ["--source-vectors", "a.npy", "--target-vectors", "b.npy"];
    let beads = text(&desk.run(&[&ready[..], &["--set", "skip=-3"]].concat()).stdout);
    assert!(beads.starts_with("[0]:[0]:") && beads.contains("\n[1, 2]:[1]:"), "{beads}");
    let spans = [
        "--source-vectors",
        "a.emb",
        "--target-vectors",
        "b.emb",
        "--source-spans",
        "a.txt",
        "--target-spans",
        "b.txt",
    ];
    let again = text(&desk.run(&[&spans[..], &["--max-bead", "2", "--set", "skip=-3"]].concat()).stdout);
    assert_eq!(again, beads);

    desk.write("a.txt", "c d\na b\nc\nd\na b  c\n".as_bytes());
    let said = desk.error(3, &spans);
    assert!(said.contains("a.txt lacks the span of ru.txt, lines 1 to 2: \"a b c\""), "{said}");
    let said = desk.error(3, &[&ready[..], &["--max-bead", "3"]].concat());
    assert!(said.contains("a.npy: it has runs of up to 2 lines, and --max-bead asks for 3"), "{said}");
    desk.write("b.npy", &npy("3, 4", &along(&[0, 1, 2])));
    assert!(desk.error(3, &ready).contains("b.npy has 3 rows and tk.txt 2 lines"));
    desk.write("b.npy", &npy("2, 4", &[along(&[0]), vec![0.0; 4]].concat()));
    let said = desk.error(3, &ready);
    assert!(said.contains("b.npy: row 1, of tk.txt, line 2, is no usable vector"), "{said}");
    desk.write("b.npy", &npy("2, 3", &[1.0; 6]));
    assert!(desk.error(3, &ready).contains("a.npy has vectors of 4 numbers and b.npy of 3"));
    let said = desk.error(2, &["--source-vectors", "a.emb", "--target-vectors", "b.emb"]);
    assert!(said.contains("a.emb is no .npy file: give --dim"), "{said}");
}

#[test]
fn wrong_input_is_named_with_file_and_line() {
    let desk = desk();
    desk.write("gold.beads", b"[0]:[0]\n\n[1:[2]\n");
    assert!(desk.error(3, &["--gold", "gold.beads"]).contains("gold.beads, line 3: \"[1:[2]\" is no bead"));
    assert!(desk.error(2, &["--out", "out.doc"]).contains("out.doc: name a file that ends in .beads"));
    assert!(desk.error(2, &["--set", "skipp=1"]).contains("--set: unknown field `skipp`"));
    assert!(desk.error(2, &["--min-probability", "0.5", "--out", "a.html"]).contains("beads and html show every line"));
    assert!(desk.error(6, &["--model", "org/none"]).contains("kopri models get org/none"));
    desk.write("tk.txt", b"bir\n\xff\n");
    assert!(desk.error(3, &[]).contains("tk.txt, line 2: it is not UTF-8"));
    desk.write("tk.txt", b"\n \n");
    assert!(desk.error(3, &[]).contains("tk.txt: no line of it has text"));
    desk.write("tk.txt", b"1\n2\n");
    assert!(desk.error(2, &["--format", "tmx"]).contains("tk.txt: its language is unclear: give --target-lang"));
}

#[test]
fn a_model_that_must_know_languages_is_told_each_sides() {
    let desk = desk();
    desk.tells_a_model_the_languages(&[]);
    let languages = ["--model", KNOWS_LANGUAGES, "--source-lang", "ru", "--target-lang", "tk"];
    let output = desk.run(&[&languages[..], &["--encode-runs", "--out", "a.tmx"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(desk.read("a.tmx").contains("srclang=\"ru\""));

    // To a model without languages they are of no use, unless the file names them.
    let other = ["--source-lang", "ru"];
    assert!(desk.error(2, &other).contains("--source-lang is \"ru\", and lexical"), "{}", desk.error(2, &other));
    assert!(desk.run(&["--source-lang", "tr", "--out", "b.tmx"]).status.success());
    assert!(desk.read("b.tmx").contains("srclang=\"tr\""));
    assert!(
        desk.error(2, &["--source-lang", "xx", "--out", "b.tmx"]).contains("--source-lang: unknown language \"xx\"")
    );
}
