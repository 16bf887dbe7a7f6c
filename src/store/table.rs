//! The tables that stages read and write, so that a stage can declare which.

/// A table of the workspace. The ledger's own tables (`run`, `stage`, `unit`, `figure`, `workspace`, `clock`) are not among them:
/// any stage may ask what another has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Hosts that were crawled.
    Host,
    /// The frontier and the page archive's index.
    Url,
    /// Archive files.
    Warc,
    /// Crawl rounds.
    CrawlRound,
    /// Documents.
    Document,
    /// Blocks that may be boilerplate.
    Block,
    /// Sentences.
    Sentence,
    /// Fitted models and calibrations.
    Artefact,
    /// Files of vectors.
    Shard,
    /// Vectors' places in files.
    Vector,
    /// Pairs of documents.
    DocumentPair,
    /// Neighbour lists.
    Neighbours,
    /// Text pairs.
    TextPair,
    /// What made occurrences.
    Producer,
    /// Where text pairs occur.
    Occurrence,
    /// Scores of text pairs, by scorer.
    Score,
    /// Near duplicates.
    NearDuplicate,
    /// Locality-sensitive hashes of text pairs.
    Signature,
    /// Comparisons of text pairs.
    Comparison,
    /// Imported files.
    Import,
    /// Texts in which an encoder finds no token.
    NoVector,
    /// Annotations that a server listed when it was last asked.
    Listing,
    /// Verdicts on pairs.
    Verdict,
    /// Measurements of pairs.
    PairFeatures,
    /// Answers of annotators.
    Annotation,
    /// What answers come to.
    Adjudication,
    /// Questions.
    Task,
    /// Projects on annotation servers.
    Project,
    /// Where questions are asked.
    Placement,
    /// Names of annotators.
    AnnotatorAlias,
    /// What profiles took from pages, by run.
    Extraction,
    /// What was judged of profiles, by run.
    Drift,
    /// Pages of books.
    BookPage,
    /// Repaired fonts of books.
    BookRepair,
}

impl Table {
    const ALL: [(Self, &'static str); 34] = [
        (Self::Host, "host"),
        (Self::Url, "url"),
        (Self::Warc, "warc"),
        (Self::CrawlRound, "crawl_round"),
        (Self::Document, "document"),
        (Self::Block, "block"),
        (Self::Sentence, "sentence"),
        (Self::Artefact, "artefact"),
        (Self::Shard, "shard"),
        (Self::Vector, "vector"),
        (Self::DocumentPair, "document_pair"),
        (Self::Neighbours, "neighbours"),
        (Self::TextPair, "text_pair"),
        (Self::Producer, "producer"),
        (Self::Occurrence, "occurrence"),
        (Self::Score, "score"),
        (Self::NearDuplicate, "near_duplicate"),
        (Self::Signature, "signature"),
        (Self::Comparison, "comparison"),
        (Self::Import, "import"),
        (Self::NoVector, "no_vector"),
        (Self::Listing, "listing"),
        (Self::Verdict, "verdict"),
        (Self::PairFeatures, "pair_features"),
        (Self::Annotation, "annotation"),
        (Self::Adjudication, "adjudication"),
        (Self::Task, "task"),
        (Self::Project, "project"),
        (Self::Placement, "placement"),
        (Self::AnnotatorAlias, "annotator_alias"),
        (Self::Extraction, "extraction"),
        (Self::Drift, "drift"),
        (Self::BookPage, "book_page"),
        (Self::BookRepair, "book_repair"),
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(table, _)| *table == self).map_or("", |(_, name)| name)
    }

    /// The table of a name; `None`: a table of the ledger, a view or one of SQLite's own.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(table, _)| *table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::open::Access;

    #[test]
    fn every_table_of_the_schema_is_known_or_belongs_to_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Access::Write).unwrap();
        let names: Vec<String> = store
            .rows("", "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", [], |row| row.get(0))
            .unwrap();
        let ledger = ["clock", "figure", "run", "stage", "unit", "workspace"];
        let known = |name: &&String| Table::of_name(name).is_some() || ledger.contains(&name.as_str());
        let unknown: Vec<&String> = names.iter().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(names.len(), Table::ALL.len() + ledger.len());
        for (table, name) in Table::ALL {
            assert_eq!((table.name(), Table::of_name(name)), (name, Some(table)));
        }
    }
}
