//! The pipeline file: TOML, one table a stage. Unknown keys are errors that name the line and the nearest valid key.
//!
//! Three layers make a configuration: the stages' own defaults, the file, and `--set key=value` of the command line.
//! Secrets are no part of it: they come from the environment alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::record::{Language, Scope};
use crate::stage::books::{Reader, Shelf, Shelves};
use crate::stage::site::Site;
use crate::stage::{
    adjudicate, align, ask, calibrate, crawl, dataset, dedup, embed, evaluate, export, extract, filter, matching, mine,
    neighbours, segment,
};
use crate::text::confusables;

/// A whole pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pipeline {
    /// Version of this format: 1.
    pub version: u32,
    /// A short name, for reports.
    pub name: String,
    /// The source language, where there is one language pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Language>,
    /// The target language, where there is one language pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Language>,
    /// The language pairs, source first, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<[Language; 2]>,
    /// Where everything is kept, relative to this file.
    pub workspace: PathBuf,
    /// Folders served as web sites on loopback while the run goes on.
    #[serde(default)]
    pub serve: Vec<Serve>,
    /// Web sites.
    #[serde(default)]
    pub site: Vec<Site>,
    /// Shelves of schoolbooks.
    #[serde(default)]
    pub shelf: Vec<Shelf>,
    /// Stage by stage.
    #[serde(default)]
    pub crawl: crawl::Crawl,
    /// Pages and books to documents.
    #[serde(default)]
    pub extract: extract::Params,
    /// Documents to sentences.
    #[serde(default)]
    pub segment: segment::Params,
    /// Texts to vectors.
    #[serde(default)]
    pub embed: embed::Params,
    /// Documents to pairs of documents.
    #[serde(default, rename = "match")]
    pub matching: matching::Params,
    /// Pairs of documents to pairs of sentences.
    #[serde(default)]
    pub align: align::Params,
    /// Texts to their neighbours.
    #[serde(default)]
    pub neighbours: neighbours::Params,
    /// Neighbours to pairs of sentences.
    #[serde(default)]
    pub mine: mine::Params,
    /// Annotations to one answer a pair.
    #[serde(default)]
    pub adjudicate: adjudicate::Params,
    /// Scored pairs to probabilities.
    #[serde(default)]
    pub calibrate: calibrate::Params,
    /// Pairs to verdicts.
    #[serde(default)]
    pub filter: filter::Params,
    /// Verdicts to duplicates.
    #[serde(default)]
    pub dedup: dedup::Params,
    /// Kept pairs against gold.
    #[serde(default)]
    pub evaluate: evaluate::Params,
    /// Questions for people, and where they go.
    #[serde(default)]
    pub annotate: ask::Params,
    /// Kept pairs to files.
    #[serde(default)]
    pub export: export::Params,
    /// Answers to training data.
    #[serde(default)]
    pub dataset: dataset::Params,
    /// What is deleted that nothing refers to. No stage's results depend on it.
    #[serde(default)]
    pub prune: super::prune::Params,
    /// Tables of single language pairs, by the pair's name (`ru-tk`) and the table's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scope: BTreeMap<String, toml::Table>,
    /// The settings of the pairs that override any.
    #[serde(skip)]
    pub(super) scoped: Vec<(Scope, Pipeline)>,
    /// The folder of the file: other paths are relative to it.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Who reads books: set by the program that runs the pipeline.
    #[serde(skip)]
    pub reader: Reader,
    /// The file itself, as it was named; empty for a pipeline that came from text.
    #[serde(skip)]
    pub file: PathBuf,
}

/// A folder served as a web site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Serve {
    /// The host name under which the crawler finds it.
    pub host: String,
    /// The folder, relative to this file.
    pub folder: PathBuf,
}

impl Pipeline {
    /// Reads a pipeline file and lays `--set` values over it.
    ///
    /// # Errors
    /// Kind `Config`, naming the file, the line, the key and the nearest valid key.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = files::read_text(path).map_err(|error| Error::config(error.to_string()))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let pipeline = Self::parse(&text, &path.display().to_string(), folder, sets)?;
        Ok(Self { file: path.to_path_buf(), ..pipeline })
    }

    /// Reads a pipeline from text. `name` stands for the file in errors.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn parse(text: &str, name: &str, folder: PathBuf, sets: &[String]) -> Result<Self> {
        let mut pipeline: Self = toml::from_str(text).map_err(|error| explain(&error, name))?;
        let table = layered(text, name, sets)?;
        if !sets.is_empty() {
            pipeline = Self::deserialize(toml::Value::Table(table.clone())).map_err(|error| {
                let message = error.message().to_owned();
                Error::config(format!("--set {}: {}{}", sets.join(" --set "), message, nearest_hint(&message)))
            })?;
        }
        pipeline.folder = folder;
        for shelf in &mut pipeline.shelf {
            shelf.folder = pipeline.folder.join(&shelf.folder);
        }
        pipeline.check(name)?;
        if pipeline.extract.languages.is_empty() {
            pipeline.extract.languages = confusables::candidates(&pipeline.all_languages());
        }
        pipeline.with_scopes(name, &table)
    }

    /// What types alone cannot say.
    fn check(&self, name: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::config(format!("{name}: {message}")));
        if self.version != 1 {
            return wrong(format!("version = {}: this kopri reads version 1", self.version));
        }
        self.check_pairs(name)?;
        if !self.extract.languages.is_empty() {
            let languages = self.all_languages();
            let lacking = languages.iter().find(|language| !self.extract.languages.contains(language));
            if let Some(language) = lacking {
                return wrong(format!(
                    "extract.languages lacks {language}, a language of the pipeline: no document could be in it. Add \
                     \"{language}\", or leave the setting out: then it is the pipeline's languages and those that are \
                     mistaken for them"
                ));
            }
        }
        let mut names: Vec<&str> = self
            .site
            .iter()
            .map(|site| site.name.as_str())
            .chain(self.shelf.iter().map(|shelf| shelf.name.as_str()))
            .collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!("the name {:?} belongs to two sites or shelves", twice[0]));
        }
        for site in &self.site {
            if let Some(profile) = &site.extract {
                profile.compile().map_err(|error| error.while_doing(format!("{name}: site {}", site.name)))?;
            }
        }
        self.check_tables(name)?;
        if self.segment.boilerplate_pages == 1 {
            return wrong(
                "segment.boilerplate-pages = 1 would take every block for boilerplate; 0 turns it off".into(),
            );
        }
        self.prune.check().map_err(|error| error.while_doing(name.to_owned()))?;
        self.extract.limits.check().map_err(|error| error.while_doing(name.to_owned()))?;
        self.check_files(name)?;
        crawl::Scope::new(&self.site, self.crawl.max_depth).map_err(|error| error.while_doing(name.to_owned()))?;
        let on_the_web = self.site.iter().flat_map(|site| &site.hosts).find(|host| !self.is_local(host));
        if let Some(host) = on_the_web.filter(|_| self.crawl.contact.is_none()) {
            return wrong(format!(
                "crawl.contact is missing: before {host} is asked for anything, its owner must be able to reach you. Set it to a URL or mail address"
            ));
        }
        Ok(())
    }

    /// What types alone cannot say of the tables that a language pair may override.
    pub(super) fn check_tables(&self, name: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::config(format!("{name}: {message}")));
        if !(0.0..=1.0).contains(&self.calibrate.spoiled) {
            return wrong(format!("calibrate.spoiled = {}: a share from 0 to 1 is wanted", self.calibrate.spoiled));
        }
        if !(0.0..=1.0).contains(&self.filter.min_precision) {
            let floor = self.filter.min_precision;
            return wrong(format!("filter.min-precision = {floor}: a share from 0 (off) to 1 is wanted"));
        }
        if !(0.0..=1.0).contains(&self.dedup.near) {
            return wrong(format!("dedup.near = {}: a share from 0 (off) to 1 is wanted", self.dedup.near));
        }
        let neighbours = &self.neighbours;
        if neighbours.k == 0 || !(2..=256).contains(&neighbours.hnsw.links) {
            let (k, links) = (neighbours.k, neighbours.hnsw.links);
            return wrong(format!("neighbours.k = {k}, hnsw.links = {links}: at least 1 and 2 to 256 are wanted"));
        }
        if !(0.0..=1.0).contains(&neighbours.min_recall) {
            let floor = neighbours.min_recall;
            return wrong(format!("neighbours.min-recall = {floor}: a share from 0 to 1 is wanted"));
        }
        if !(0.0..1.0).contains(&self.adjudicate.min_confidence) {
            let floor = self.adjudicate.min_confidence;
            return wrong(format!("adjudicate.min-confidence = {floor}: a share from 0 to below 1 is wanted"));
        }
        self.export
            .files
            .iter()
            .try_for_each(export::File::check)
            .map_err(|error| error.while_doing(name.to_owned()))?;
        self.dataset.check().map_err(|error| error.while_doing(name.to_owned()))?;
        self.annotate.check(&self.folder).map_err(|error| error.while_doing(name.to_owned()))?;
        for gold in [&self.evaluate.pairs, &self.evaluate.documents].into_iter().flatten() {
            let gold = self.folder.join(gold);
            if !gold.is_file() {
                return wrong(format!("the gold file {} is not there", gold.display()));
            }
        }
        Ok(())
    }

    /// Files and folders that a night would miss only after hours of crawling.
    fn check_files(&self, name: &str) -> Result<()> {
        let missing = |what: String| Err(Error::config(format!("{name}: {what}")));
        for serve in &self.serve {
            let folder = self.folder.join(&serve.folder);
            if !folder.is_dir() {
                return missing(format!("serve.folder {} is no folder", folder.display()));
            }
        }
        for shelf in &self.shelf {
            shelf.check().map_err(|error| error.while_doing(name.to_owned()))?;
        }
        // A manifest with a mistake in it would take books away; better nothing is done.
        Shelves::read(&self.shelf).map_err(|error| Error::config(format!("{name}: {error}")))?;
        Ok(())
    }

    /// Whether a host is served by the pipeline itself, or allowed to be private.
    fn is_local(&self, host: &str) -> bool {
        self.serve.iter().any(|serve| serve.host == host)
            || self.crawl.allow_private.iter().any(|allowed| host.split(':').next() == Some(allowed))
    }

    /// The workspace's folder.
    pub fn workspace_folder(&self) -> PathBuf {
        self.folder.join(&self.workspace)
    }

    /// The command that shows what the profile of a page's site takes from it.
    pub fn check_command(&self, page: &str) -> String {
        let file = if self.file.as_os_str().is_empty() { Path::new("PIPELINE.toml") } else { &self.file };
        format!("kopri site check {} {page}", file.display())
    }

    /// Every language of the pipeline, each once.
    pub fn all_languages(&self) -> Vec<Language> {
        let mut languages: Vec<Language> = self.scopes().into_iter().flat_map(Scope::both).collect();
        languages.sort();
        languages.dedup();
        languages
    }

    /// Every value with the layer that set it: dotted key, value, `default`, `file` or `--set`.
    ///
    /// # Errors
    /// Kind `Config` for a text that [`Self::parse`] refuses.
    pub fn origins(&self, text: &str, sets: &[String]) -> Result<Vec<(String, String, &'static str)>> {
        let in_file = flat(&toml::from_str(text).map_err(|error| explain(&error, "the pipeline"))?);
        let set: Vec<&str> = sets.iter().filter_map(|set| set.split_once('=')).map(|(key, _)| key.trim()).collect();
        let all = toml::Table::try_from(self).map_err(|error| Error::bug(error.to_string()))?;
        Ok(flat(&all)
            .into_iter()
            .map(|(key, value)| {
                let layer = if set.contains(&key.as_str()) {
                    "--set"
                } else if in_file.iter().any(|(other, _)| *other == key) {
                    "file"
                } else {
                    "default"
                };
                (key, value, layer)
            })
            .collect())
    }
}

/// Leaves of a table, as dotted keys. Entries of arrays of tables are numbered from 0.
fn flat(table: &toml::Table) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &toml::Value, leaves: &mut Vec<(String, String)>) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| {
                    walk(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, leaves)
                });
            }
            toml::Value::Array(entries) if entries.iter().any(toml::Value::is_table) => {
                entries
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| walk(&format!("{prefix}[{index}]"), value, leaves));
            }
            // A 32-bit setting is shown as it was written, not as its 64-bit neighbour.
            #[expect(clippy::cast_possible_truncation, reason = "that is the test")]
            toml::Value::Float(number) if f64::from(*number as f32).to_bits() == number.to_bits() => {
                leaves.push((prefix.to_owned(), format!("{:?}", *number as f32)));
            }
            leaf => leaves.push((prefix.to_owned(), leaf.to_string())),
        }
    }
    let mut leaves = Vec::new();
    walk("", &toml::Value::Table(table.clone()), &mut leaves);
    leaves
}

/// The file with `--set` values laid over it.
fn layered(text: &str, name: &str, sets: &[String]) -> Result<toml::Table> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| explain(&error, name))?;
    for set in sets {
        let wrong = || {
            Error::new(
                crate::error::ErrorKind::Usage,
                format!("--set {set:?}: expected key=value, such as --set mine.min-margin=1.2"),
            )
        };
        let (key, value) = set.split_once('=').ok_or_else(wrong)?;
        // A bare word is text: `--set embed.model=lexical` needs no quotes.
        let value: toml::Value = toml::from_str::<toml::Table>(&format!("v = {value}"))
            .ok()
            .and_then(|mut table| table.remove("v"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let mut parts: Vec<&str> = key.trim().split('.').collect();
        let last = parts.pop().ok_or_else(wrong)?;
        let mut place = &mut table;
        for part in parts {
            place = place
                .entry(part.to_owned())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .ok_or_else(wrong)?;
        }
        place.insert(last.to_owned(), value);
    }
    Ok(table)
}

/// The TOML error with the file's name and, for an unknown key, the nearest valid one.
fn explain(error: &toml::de::Error, name: &str) -> Error {
    let text = error.to_string();
    Error::config(format!("{name}: {}{}", text.trim_end(), nearest_hint(error.message())))
}

/// serde lists what it expected between backticks, after what it found.
pub(super) fn nearest_hint(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((found, expected)) = names.split_first().filter(|_| message.contains("unknown")) else {
        return String::new();
    };
    expected
        .iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .map(|(_, name)| format!("\ndid you mean `{name}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "version = 1\nname = \"t\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \"w\"\n";

    fn parse(more: &str, sets: &[&str]) -> Result<Pipeline> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Pipeline::parse(&format!("{SMALL}{more}"), "t.toml", PathBuf::from("pipelines"), &sets)
    }

    #[test]
    fn defaults_fill_what_the_file_does_not_say() {
        let pipeline = parse("", &[]).unwrap();
        assert_eq!(pipeline.mine, mine::Params::default());
        assert_eq!(pipeline.workspace_folder(), Path::new("pipelines/w"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_name() {
        let error = parse("[mine]\nmin-margn = 1.1\n", &[]).unwrap_err().to_string();
        assert!(error.contains("t.toml") && error.contains("line 7") && error.contains("min-margn"), "{error}");
        assert!(error.contains("did you mean `min-margin`?"), "{error}");
        let error = parse("", &["mine.min-margn=2"]).unwrap_err().to_string();
        assert!(error.contains("did you mean `min-margin`?"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let error = parse("[crawl]\ndelay = \"soon\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 7") && error.contains("\"soon\" is no duration"), "{error}");
        let error = parse("[mine]\nmargin = \"ratoi\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `ratio`?"), "{error}");
    }

    #[test]
    fn a_block_on_one_page_is_no_boilerplate() {
        assert!(parse("[segment]\nboilerplate-pages = 1\n", &[]).unwrap_err().to_string().contains("0 turns it off"));
        assert_eq!(parse("[segment]\nboilerplate-pages = 0\n", &[]).unwrap().segment.boilerplate_pages, 0);
    }

    #[test]
    fn candidates_are_the_pipelines_languages_and_their_neighbours_unless_set() {
        let of = |source: &str, target: &str, more: &str| {
            let text = format!(
                "version = 1\nname = \"t\"\nsource = \"{source}\"\ntarget = \"{target}\"\nworkspace = \"w\"\n{more}"
            );
            Pipeline::parse(&text, "t.toml", PathBuf::new(), &[])
        };
        let codes =
            |pipeline: Pipeline| -> Vec<&str> { pipeline.extract.languages.into_iter().map(Language::code).collect() };
        let german = codes(of("de", "fr", "").unwrap());
        assert!(german.starts_with(&["de", "fr"]) && german.contains(&"nl"), "{german:?}");
        assert_eq!(codes(of("de", "fr", "[extract]\nlanguages = [\"fr\", \"de\"]\n").unwrap()), ["fr", "de"]);
        let error = of("de", "fr", "[extract]\nlanguages = [\"de\", \"en\"]\n").unwrap_err();
        assert!(error.kind() == crate::error::ErrorKind::Config, "{error}");
        assert!(error.to_string().starts_with("t.toml: extract.languages lacks fr"), "{error}");
    }

    #[test]
    fn a_number_out_of_its_range_is_told_with_the_range() {
        for (set, told) in [
            ("neighbours.k=0", "neighbours.k = 0"),
            ("neighbours.hnsw.links=1", "2 to 256"),
            ("neighbours.hnsw.links=257", "2 to 256"),
            ("neighbours.min-recall=1.5", "min-recall = 1.5"),
            ("dedup.near=-0.1", "dedup.near = -0.1"),
        ] {
            let error = parse("", &[set]).unwrap_err().to_string();
            assert!(error.contains(told), "{set}: {error}");
        }
        parse("", &["neighbours.k=1", "neighbours.hnsw.links=256", "neighbours.min-recall=1.0"]).unwrap();
    }

    #[test]
    fn set_lies_over_the_file() {
        let pipeline = parse("[mine]\nmin-margin = 1.1\n", &["mine.min-margin=1.3", "embed.model=models/x"]).unwrap();
        assert!((pipeline.mine.min_margin - 1.3).abs() < 1e-6);
        assert_eq!(pipeline.embed.model, "models/x");
        let origins =
            pipeline.origins(&format!("{SMALL}[mine]\nmin-margin = 1.1\n"), &["mine.min-margin=1.3".into()]).unwrap();
        let layer = |key: &str| origins.iter().find(|(other, ..)| other == key).map(|(.., layer)| *layer);
        assert_eq!(
            (layer("mine.min-margin"), layer("name"), layer("mine.margin")),
            (Some("--set"), Some("file"), Some("default"))
        );
    }

    #[test]
    fn the_real_web_needs_a_contact_and_a_served_folder_does_not() {
        let site =
            "[[site]]\nname = \"a\"\nhosts = [\"a.test\"]\nseeds = [\"http://a.test/\"]\narticles = [\"/{id}\"]\n";
        let error = parse(site, &[]).unwrap_err().to_string();
        assert!(error.contains("crawl.contact"), "{error}");
        let served = std::env::temp_dir().display().to_string();
        parse(&format!("{site}[[serve]]\nhost = \"a.test\"\nfolder = {served:?}\n"), &[]).unwrap();
        parse(&format!("{site}[crawl]\ncontact = \"me@example.org\"\n"), &[]).unwrap();
    }

    #[test]
    fn what_a_night_would_miss_is_missed_at_once() {
        let error = parse("[evaluate]\npairs = \"nowhere.tsv\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("nowhere.tsv is not there"), "{error}");
        let error = parse("[[shelf]]\nname = \"b\"\nfolder = \"nowhere\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("the shelf b has no manifest"), "{error}");
    }

    #[test]
    fn a_mistake_in_a_manifest_or_a_limit_is_told_before_anything_is_done() {
        let shelf = tempfile::tempdir().unwrap();
        std::fs::write(shelf.path().join("manifest.csv"), "subject,language,file\nmath,klingon,a.pdf\n").unwrap();
        let table = format!("[[shelf]]\nname = \"b\"\nfolder = {:?}\n", shelf.path().display().to_string());
        let error = parse(&table, &[]).unwrap_err();
        assert!(
            error.kind() == crate::error::ErrorKind::Config && error.to_string().contains("manifest.csv:2"),
            "{error}"
        );
        let error =
            parse(&format!("{table}manifest = \"a.csv\"\npatterns = [\"{{subject}}_{{language}}.pdf\"]\n"), &[]);
        assert!(error.unwrap_err().to_string().contains("choose one"));
        let error = parse("[extract.limits]\nbook-memory = \"1MB\"\n", &[]).unwrap_err();
        assert!(error.to_string().contains("less than 100MB"), "{error}");
    }

    #[test]
    fn an_entry_point_on_a_foreign_host_is_refused() {
        let site = "[[site]]\nname = \"a\"\nhosts = [\"a.test\"]\nseeds = [\"http://b.test/\"]\narticles = [\"/{id}\"]\n[crawl]\ncontact = \"c\"\n";
        assert!(parse(site, &[]).unwrap_err().to_string().contains("http://b.test/"));
    }

    #[test]
    fn printing_and_reading_gives_the_same_pipeline() {
        let shelf = tempfile::tempdir().unwrap();
        std::fs::write(shelf.path().join("manifest.csv"), "subject,language,file\n").unwrap();
        let folder = shelf.path().display().to_string();
        let files = "[export]\nfiles = [{ format = \"tmx\", path = \"a.tmx\" }]\n";
        let pipeline = parse(&format!("[[shelf]]\nname = \"b\"\nfolder = {folder:?}\n{files}"), &[]).unwrap();
        let printed = toml::to_string(&pipeline).unwrap();
        assert_eq!(Pipeline::parse(&printed, "again", PathBuf::from("pipelines"), &[]).unwrap(), pipeline);
    }
}
