//! `kopri import` of pairs: what is listed, replaced, left out and removed.

use crate::harness::{House, text};

fn kopri(house: &House, arguments: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kopri"));
    let output = command.arg("import").args(arguments).current_dir(house.path("")).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn two_files_of_one_name_are_two_imports_that_can_be_listed_and_removed() {
    let house = House::new(1);
    house.write_pipeline("w");
    for (folder, pair) in [("a", "Мост открыли.\tKöpri açyldy."), ("b", "Идёт снег.\tGar ýagýar.")]
    {
        std::fs::create_dir_all(house.path(folder)).unwrap();
        std::fs::write(house.path(&format!("{folder}/ru-tk.tsv")), format!("source\ttarget\n{pair}\n")).unwrap();
    }
    let import = |file: &str| kopri(&house, &["house.toml", "tsv", file]);
    let (code, _, said) = kopri(&house, &["house.toml", "tsv", "a/ru-tk.tsv", "--licence", "CC0-1.0"]);
    assert!(code == 0 && said.contains("1 pair imported from"), "{said}");
    assert_eq!(import("b/ru-tk.tsv").0, 0);
    let list = || kopri(&house, &["house.toml", "--list"]).1;
    let listed = list();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let row = |name: &str| listed.lines().find(|line| line.ends_with(name)).unwrap().to_owned();
    assert!(row("/a/ru-tk.tsv").contains("  tsv ") && row("/a/ru-tk.tsv").contains("CC0-1.0"), "{listed}");
    assert!(row("/b/ru-tk.tsv").contains("not given"), "{listed}");

    let (code, _, said) = import("a/ru-tk.tsv");
    assert!(code == 0 && said.starts_with("unchanged: "), "{said}");
    std::fs::copy(house.path("a/ru-tk.tsv"), house.path("copy.tsv")).unwrap();
    let (code, _, said) = import("copy.tsv");
    assert!(code == 0 && said.starts_with("already imported: copy.tsv has the same content as "), "{said}");

    // Bad rows are named, ten of them, and the others read.
    let bad = "only one column\n".repeat(12);
    std::fs::write(house.path("a/ru-tk.tsv"), format!("source\ttarget\n{bad}Мост\tKöpri\n")).unwrap();
    let (code, _, said) = import("a/ru-tk.tsv");
    assert_eq!(code, 3, "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("a/ru-tk.tsv, line ")).count(), 10, "{said}");
    assert!(said.contains("line 11: 1 fields") && said.contains("left out: 2 rows more"), "{said}");
    assert!(said.contains("1 pair imported") && said.contains("12 bad rows left out"), "{said}");

    // A file without a pair is an error, and what its path brought before stays.
    let before = list();
    std::fs::write(house.path("a/ru-tk.tsv"), "source\ttarget\n").unwrap();
    let (code, _, said) = import("a/ru-tk.tsv");
    assert!(code == 3 && said.contains("no pair was found in it"), "{said}");
    assert_eq!(list(), before);

    let (code, _, said) = kopri(&house, &["house.toml", "--remove", "b/ru-tk.tsv"]);
    assert!(code == 0 && said.contains(": 1 pair of ") && said.contains("/b/ru-tk.tsv"), "{said}");
    let id = list().lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(kopri(&house, &["house.toml", "--remove", &id]).0, 0);
    assert_eq!(kopri(&house, &["house.toml", "--remove", &id]).0, 2);
    assert_eq!(list(), "");
    assert_eq!(kopri(&house, &["house.toml"]).0, 2, "neither a file nor an option");
    let database = rusqlite::Connection::open(house.path("w/kopri.db")).unwrap();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        (number("SELECT count(*) FROM occurrence"), number("SELECT count(*) FROM unit WHERE stage = 'import'")),
        (0, 0)
    );
}
