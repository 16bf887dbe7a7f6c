//! Texts that a model has no token for: they are named and left alone, and the run goes on.

use kopri::engine::event::Silent;
use kopri::pipeline::RunOptions;

use crate::harness::{Desk, House, text};

/// A tokenizer of the BERT family, which drops the replacement character.
const BERT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bert-cls-dense");

#[test]
fn a_run_goes_on_past_a_text_without_a_token_and_does_not_try_it_again() {
    let house = House::new(2);
    house.change_articles(|page| page.replace("</article>", "<p>\u{fffd}</p></article>"));
    let pipeline = house.pipeline("w", &[&format!("embed.model={BERT}"), "neighbours.index=exact"]);
    let run = || kopri::pipeline::run(&pipeline, RunOptions::default(), &mut Silent).unwrap();
    let report = run();
    assert_eq!(report.failed(), 0);
    let embed = report.stage("embed").unwrap();
    assert_eq!(embed.counts.get("texts without a vector"), Some(&2.0), "one in each language");
    let note = embed.notes.iter().find(|note| note.contains("no vector")).unwrap();
    assert!(note.starts_with("2 texts have no vector") && note.contains("\\u{fffd}\" in http://house.test/"), "{note}");
    let align = report.stage("align").unwrap();
    assert_eq!(align.done, 2);
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT count(*) FROM sentence WHERE text = char(0xfffd)"), 4);
    assert_eq!(number("SELECT count(*) FROM no_vector"), 2);
    assert_eq!(number("SELECT count(*) FROM text_pair WHERE source_text LIKE '%' || char(0xfffd) || '%'"), 0);
    let without = "SELECT text_id FROM no_vector";
    assert_eq!(number(&format!("SELECT count(*) FROM neighbours WHERE text_id IN ({without})")), 0);
    assert!(number("SELECT count(*) FROM neighbours") > 20);
    assert!(run().is_nothing_new());
}

#[test]
fn two_signs_that_cancel_in_the_lexical_encoder_end_no_run() {
    let house = House::new(1);
    house.change_articles(|page| page.replace("</article>", "<p>🎓🎨</p><p>2 + 6</p></article>"));
    let report = house.run("w");
    assert_eq!(report.failed(), 0);
    assert!(house.run("w").is_nothing_new());
}

/// Line 4 of the source, behind an empty line and a double, is of characters that the tokenizer drops.
const SOURCE: &str = "Мост открыли весной.\n\nМост открыли весной.\n\u{fffd}\nВ зале стоят 35 компьютеров.\n\u{fffd}\n";
const TARGET: &str = "Köpri ýazda açyldy.\nZalda 35 kompýuter goýuldy.\n";

#[test]
fn align_and_mine_name_the_line_and_leave_it_alone() {
    for command in ["align", "mine"] {
        let desk = Desk::new(
            &[command, "--source", "ru.txt", "--target", "tk.txt", "--model", BERT],
            &[("ru.txt", SOURCE), ("tk.txt", TARGET)],
        );
        let output = desk.run(&["--format", "jsonl", "--out", "-"]);
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{command}: {said}");
        for line in [4, 6] {
            assert!(
                said.contains(&format!("ru.txt, line {line}: no token of the model is in it")),
                "{command}: {said}"
            );
        }
        assert!(!out.contains('\u{fffd}') && !out.contains("\\ufffd"), "{command}: {out}");
        assert!(out.lines().count() >= 2, "{command}: {out}");
        assert!(out.contains("В зале стоят 35 компьютеров."), "{command}: {out}");
        // Line 5 of the file, though the third text that has a vector (for mine, which reads doubles once, the second).
        let line = if command == "align" { "5]" } else { "\"source_line\":5" };
        assert!(out.contains(line), "{command}: {out}");
        desk.write("tk.txt", "\u{fffd}\n".as_bytes());
        let error = desk.error(3, &[]);
        assert!(error.contains("tk.txt: no line of it has a token of bert-"), "{command}: {error}");
    }
}

#[test]
fn lines_whose_signs_cancel_are_aligned() {
    let desk = Desk::new(
        &["align", "--source", "ru.txt", "--target", "tk.txt"],
        &[("ru.txt", "2 + 6\n✨^\nМост\n"), ("tk.txt", "2 + 6\n✨^\nKöpri\n")],
    );
    let output = desk.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let beads = text(&output.stdout);
    assert!(beads.starts_with("[0]:[0]:") && beads.contains("\n[1]:[1]:"), "{beads}");
}
