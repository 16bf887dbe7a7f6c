//! Modules import downward only, and every heavy crate has one home.

use std::path::{Path, PathBuf};

/// Layers, lowest first. A module may import from lower layers, and from `error`, `files` and `record` always; never
/// from its own layer's other modules or from above.
const LAYERS: [&[&str]; 8] = [
    &["error", "files", "record"],
    &["text", "algo", "metric"],
    &["model", "net", "extract", "store"],
    // Exact search is made of libtorch's products.
    &["index"],
    // It runs stages and knows none.
    &["engine"],
    &["stage"],
    &["pipeline"],
    &["report", "cli"],
];

/// Pairs inside one layer that do import each other, with the reason.
const ALLOWED: [(&str, &str); 3] = [
    // Plain data needs the error type, and files too.
    ("record", "error"),
    ("files", "error"),
    // The command line prints reports.
    ("cli", "report"),
];

/// Crates and the only places that may name them.
const HOMES: [(&str, &[&str]); 12] = [
    ("tch", &["model/torch"]),
    ("tokenizers", &["model"]),
    ("safetensors", &["model"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["net"]),
    ("hyper", &["net"]),
    ("scraper", &["extract"]),
    ("lopdf", &["extract/pdf"]),
    ("read_fonts", &["extract/pdf"]),
    ("hayro_cmap", &["extract/pdf"]),
    ("clap", &["cli"]),
    ("indicatif", &["report"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Code without its comments: prose may name what code may not.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Modules of this crate that a file names: after `crate::`, grouped or not.
fn imported(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for piece in code.split("crate::").skip(1) {
        if let Some(group) = piece.strip_prefix('{') {
            let group = &group[..group.find('}').unwrap_or(group.len())];
            modules.extend(group.split(',').map(|name| name.trim().split("::").next().unwrap_or("").to_owned()));
        } else {
            modules.push(piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    modules
}

#[test]
fn modules_import_downward_only() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, text) in sources() {
        let own = file.split(['/', '.']).next().unwrap();
        let Some(own_layer) = layer(own) else { continue };
        for module in imported(&code(&text)) {
            let Some(other) = layer(&module) else { continue };
            checked += 1;
            let allowed = module == own || other < own_layer || ALLOWED.contains(&(own, module.as_str()));
            if !allowed {
                wrong.push(format!("{file} imports {module}"));
            }
        }
    }
    assert!(checked > 100, "the walk found hardly any import: {checked}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heavy_crates_stay_at_home() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        for (name, homes) in HOMES {
            // `dispatch::` names no tch.
            let whole = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let named = code.match_indices(&format!("{name}::")).any(|(at, _)| whole(at))
                || code.contains(&format!("use {name};"));
            if named && !homes.iter().any(|home| file.starts_with(home)) {
                wrong.push(format!("{file} names {name}, whose home is {}", homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}
