-- The workspace. Times are RFC 3339 in UTC. Ids are content hashes (record::id) unless said otherwise.

-- One row a run; everything a run made can be traced to its configuration and version, until `kopri prune` deletes the
-- row. Other tables' columns `run` are therefore no foreign keys.
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    outcome     TEXT,                       -- done | done with failures | done with alarms | done, needs attention |
                                            -- failed its gate | failed | interrupted; NULL: still running, or killed
    pipeline    TEXT NOT NULL,
    config      TEXT NOT NULL,              -- JSON, without secrets
    version     TEXT NOT NULL
) STRICT;

-- Whose workspace this is: one row. A pipeline of another name is refused.
CREATE TABLE workspace (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    pipeline TEXT NOT NULL
) STRICT;

-- What each stage was last run with: `kopri plan` tells the difference in words. A scope is a language pair, such as
-- 'ru-tk'; '' is the workspace, for stages that run once for all pairs.
CREATE TABLE stage (
    scope   TEXT NOT NULL,
    name    TEXT NOT NULL,
    key     TEXT NOT NULL,                  -- hash of all that can change its results
    parts   TEXT NOT NULL,                  -- JSON of what was hashed
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- The ledger. A unit is done for a stage key and an input; its records were written in the same transaction.
CREATE TABLE unit (
    scope       TEXT NOT NULL,              -- '' for stages that run once for all language pairs
    stage       TEXT NOT NULL,
    unit        TEXT NOT NULL,
    key         TEXT NOT NULL,
    input       TEXT NOT NULL,              -- fingerprint of what it read
    output      TEXT NOT NULL,              -- fingerprint of what it wrote when it last succeeded; '': it never has
    state       TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    attempts    INTEGER NOT NULL,
    error_kind  TEXT,
    error       TEXT,
    run         INTEGER NOT NULL,
    finished_at TEXT NOT NULL,
    -- A failed unit whose reason lies in what it reads: the limits under which it was tried. While key, input and limits are
    -- the same, it is not tried again. NULL: the next run tries again.
    given_up    TEXT,
    PRIMARY KEY (scope, stage, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX unit_failed ON unit (scope, stage) WHERE state = 'failed';    -- status lists failures

-- Counts and figures that a run leaves behind for its summary.
CREATE TABLE figure (
    run   INTEGER NOT NULL,
    scope TEXT NOT NULL,
    stage TEXT NOT NULL,
    name  TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, scope, stage, name)
) STRICT, WITHOUT ROWID;

-- Hosts: what robots.txt said, and when we may ask again. Survives a restart.
CREATE TABLE host (
    host              TEXT PRIMARY KEY,     -- with the port where it is not the scheme's own
    robots_status     INTEGER,              -- NULL: not reached
    robots_body       BLOB,
    robots_fetched_at TEXT,
    delay_ms          INTEGER NOT NULL DEFAULT 0,
    next_allowed_at   TEXT,
    -- robots_status, robots_body and robots_fetched_at are of the last answer that told something; this is of a later
    -- attempt that told nothing. NULL: there is none.
    robots_failed_at  TEXT,
    robots_error      TEXT,
    -- What was spent of a night's budget, and when that night began.
    night_began       TEXT,
    requests          INTEGER NOT NULL DEFAULT 0,
    bytes             INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The frontier and the page archive's index.
CREATE TABLE url (
    id             INTEGER PRIMARY KEY,
    url            TEXT NOT NULL UNIQUE,
    host           TEXT NOT NULL,
    site           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('seed', 'sitemap', 'feed', 'article', 'page')),
    role_rank      INTEGER NOT NULL,        -- order of visits: seeds, sitemaps, feeds, twins of articles, articles, other pages
    depth          INTEGER NOT NULL,
    redirects      INTEGER NOT NULL DEFAULT 0,
    via            INTEGER REFERENCES url (id),
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'fetched', 'redirect', 'gone', 'forbidden', 'failed')),
    -- To be visited in the open round, or the next: 1 seeds, sitemaps and feeds, 2 what was never visited, 3 what was. A
    -- budget that is spent on old pages first would never come to the new ones. 0: not due.
    due            INTEGER NOT NULL,
    next_visit_at  TEXT,                    -- NULL: never visited
    interval_s     INTEGER,
    status         INTEGER,
    content_type   TEXT,
    etag           TEXT,
    last_modified  TEXT,
    body_hash      TEXT,                    -- of the last 200
    warc_file      TEXT,
    warc_offset    INTEGER,
    warc_length    INTEGER,
    attempts       INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    fetched_at     TEXT,
    changed_at     TEXT,
    leased_at      TEXT,                    -- set while it is asked for; set when a run begins: in flight when the last was killed
    not_before     TEXT,                    -- a retry is not made before this instant
    ruling         TEXT,                    -- what robots.txt said of it at its last visit, in words
    shape          TEXT,                    -- the URL without its numbers and values: pages of one template share it
    said_changed_at TEXT,                   -- when it last changed, by a sitemap's word
    moved_to       TEXT,                    -- state 'redirect': the URL in scope that it redirects to; NULL: none is
    -- 1: the archive no longer holds the body that warc_* names. body_hash stays, so that what was extracted from it
    -- stays too; the next visit fetches the whole page again.
    body_lost      INTEGER NOT NULL DEFAULT 0,
    CHECK ((body_hash IS NULL) = (warc_file IS NULL))
) STRICT;
CREATE INDEX url_due ON url (host, due, next_visit_at, role_rank, depth, url) WHERE due > 0;   -- the next URL of a host
CREATE INDEX url_leased ON url (id) WHERE leased_at IS NOT NULL;            -- what a killed run left
CREATE INDEX url_shape ON url (host, shape) WHERE role = 'page';            -- counting pages that are alike
CREATE INDEX url_revisit ON url (next_visit_at) WHERE due = 0;                 -- what a new round makes due
CREATE INDEX url_articles ON url (site, role) WHERE body_hash IS NOT NULL;   -- what extraction reads
CREATE INDEX url_site ON url (site, role, state, status, body_hash IS NOT NULL);   -- a report counts URLs
CREATE INDEX url_archived ON url (warc_file, warc_offset) WHERE body_hash IS NOT NULL;   -- what a damaged archive file takes with it

-- How far each archive file is indexed in `url`. Records past it are indexed before the next crawl; if the file is
-- shorter, the URLs whose bodies are missing are fetched again.
CREATE TABLE warc (
    file   TEXT PRIMARY KEY,
    length INTEGER NOT NULL
) STRICT;

-- A crawl round that is open was interrupted; the next run goes on with it.
CREATE TABLE crawl_round (
    id          INTEGER PRIMARY KEY,
    started_at  TEXT NOT NULL,
    finished_at TEXT
) STRICT;

CREATE TABLE document (
    id                  INTEGER PRIMARY KEY,
    location            TEXT NOT NULL UNIQUE,
    site                TEXT NOT NULL,
    kind                TEXT NOT NULL,
    content_hash        TEXT NOT NULL,
    language            TEXT,
    language_confidence REAL NOT NULL,
    declared_language   TEXT,
    title               TEXT,
    date                TEXT,
    text                TEXT NOT NULL,
    blocks              TEXT NOT NULL,      -- JSON [Block]
    twins               TEXT NOT NULL,      -- JSON [TwinLink]
    images              TEXT NOT NULL,      -- JSON [url]
    twin_key            TEXT,
    fingerprint         TEXT NOT NULL,       -- hash of all columns that later stages read
    author              TEXT,
    tags                TEXT NOT NULL DEFAULT '[]',     -- JSON [text]
    agreement           REAL                -- profile and generic extractor, 0 to 1; NULL: no profile
) STRICT;
CREATE INDEX document_site ON document (site, language);

CREATE TABLE sentence (
    id                  INTEGER PRIMARY KEY,
    document            INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    ordinal             INTEGER NOT NULL,
    block               INTEGER NOT NULL,
    start               INTEGER NOT NULL,   -- bytes in document.text
    "end"               INTEGER NOT NULL,
    text                TEXT NOT NULL,
    text_id             INTEGER NOT NULL,
    language            TEXT,               -- its own, else its document's; NULL: neither is known
    language_confidence REAL NOT NULL,
    UNIQUE (document, ordinal)
) STRICT;
CREATE INDEX sentence_text ON sentence (text_id);
CREATE INDEX sentence_language ON sentence (language, text_id);     -- the pools to embed and to mine

-- Models fitted on the workspace's own text (the lexical encoder's weights).
CREATE TABLE artefact (
    name TEXT PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE shard (
    id    INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    file  TEXT NOT NULL UNIQUE,             -- inside vectors/
    rows  INTEGER NOT NULL,
    dim   INTEGER NOT NULL
) STRICT;

CREATE TABLE vector (
    model   TEXT NOT NULL,
    text_id INTEGER NOT NULL,
    shard   INTEGER NOT NULL REFERENCES shard (id),
    row     INTEGER NOT NULL,
    PRIMARY KEY (model, text_id)
) STRICT, WITHOUT ROWID;

-- Texts that have no vector of a model, since no token of it is in them; they are not encoded again.
CREATE TABLE no_vector (
    model   TEXT NOT NULL,
    text_id INTEGER NOT NULL,
    PRIMARY KEY (model, text_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE document_pair (
    scope    TEXT NOT NULL,                 -- the language pair
    source   INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    target   INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    site     TEXT NOT NULL,
    score    REAL NOT NULL,
    evidence TEXT NOT NULL,                 -- JSON [Evidence]
    PRIMARY KEY (scope, source, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_pair_source ON document_pair (source);    -- what goes with a document
CREATE INDEX document_pair_target ON document_pair (target);
CREATE INDEX document_pair_site ON document_pair (scope, site);

-- k nearest neighbours of each text in the other language: (text id, cosine) pairs, best first.
CREATE TABLE neighbours (
    scope     TEXT NOT NULL,                -- the language pair
    direction TEXT NOT NULL CHECK (direction IN ('forward', 'backward')),
    text_id   INTEGER NOT NULL,
    key       TEXT NOT NULL,                -- stage key under which the list was made
    list      BLOB NOT NULL,
    spare     BLOB NOT NULL DEFAULT x'',    -- the next nearest: when a neighbour vanishes, one of them takes its place
    PRIMARY KEY (scope, direction, text_id)
) STRICT, WITHOUT ROWID;

-- Counts writing transactions that changed what files and reports hold. A stamp is its value at such a change, so that
-- what changed since an earlier stamp is found by an index.
CREATE TABLE clock (
    now    INTEGER NOT NULL,
    pruned INTEGER NOT NULL                 -- the last stamp at which text pairs were deleted: files older than it are written anew
) STRICT;
INSERT INTO clock (now, pruned) VALUES (0, 0);

-- Two texts that may translate each other. It owns all that is true of the pair of texts wherever it occurs: scores,
-- verdict, tasks, annotations, adjudication, split. Its id is a hash of both languages and both dedup keys.
CREATE TABLE text_pair (
    id          INTEGER PRIMARY KEY,
    scope       TEXT NOT NULL,              -- language pair, 'ru-tk'
    source_text TEXT NOT NULL,              -- as the best occurrence has it; kept when no occurrence is left
    target_text TEXT NOT NULL,
    source_key  INTEGER NOT NULL,           -- hash of the dedup key
    target_key  INTEGER NOT NULL,
    best        INTEGER,                    -- the best occurrence: corrected first, then the highest score, then the lowest id;
                                            -- NULL: no occurrence is left
    stale       INTEGER NOT NULL,           -- 1: changed since the filter saw it; 2: unchanged, the rules changed; 0: neither
    split       TEXT                        -- 'train', 'dev' or 'test', once it is part of a dataset; never changes by itself
) STRICT;
CREATE INDEX text_pair_scope ON text_pair (scope, id);
CREATE INDEX text_pair_source ON text_pair (source_key);                   -- what a text is paired with
CREATE INDEX text_pair_target ON text_pair (target_key);
CREATE INDEX text_pair_stale ON text_pair (scope, id) WHERE stale <> 0;    -- the filter's queue

-- What made occurrences: a unit of a stage.
CREATE TABLE producer (
    id    INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    stage TEXT NOT NULL,
    unit  TEXT NOT NULL,
    UNIQUE (scope, stage, unit)
) STRICT;

-- Where a text pair occurs.
CREATE TABLE occurrence (
    id               INTEGER PRIMARY KEY,   -- hash of producer, text pair and both sides' sentences
    pair             INTEGER NOT NULL REFERENCES text_pair (id) ON DELETE CASCADE,
    producer         INTEGER NOT NULL REFERENCES producer (id),
    origin           TEXT NOT NULL CHECK (origin IN ('aligned', 'mined', 'imported', 'corrected', 'translated')),
    source_document  INTEGER,               -- NULL: bare text
    target_document  INTEGER,
    source_sentences TEXT NOT NULL,         -- JSON [sentence id]
    target_sentences TEXT NOT NULL,
    source_text      TEXT,                  -- NULL: as in text_pair; else differs in case, punctuation or white space
    target_text      TEXT,
    score            REAL NOT NULL,         -- confidence of the producer, 0 to 1, higher is surer
    scores           TEXT NOT NULL,         -- JSON {scorer: value}: what else the producer measured
    parent           INTEGER,               -- the text pair that this one corrects
    digest           INTEGER NOT NULL       -- hash of all columns before it: whether a new run says the same
) STRICT;
CREATE INDEX occurrence_pair ON occurrence (pair);
CREATE INDEX occurrence_producer ON occurrence (producer);
CREATE INDEX occurrence_source ON occurrence (source_document);            -- an evaluation looks occurrences up by document

-- Files of pairs that were brought in. Each is a unit of the stage "import", under its id.
CREATE TABLE import (
    id          TEXT PRIMARY KEY,           -- hash of the canonical path
    path        TEXT NOT NULL,              -- canonical, to be shown
    content     TEXT NOT NULL UNIQUE,       -- hash of the file's bytes
    reading     TEXT NOT NULL,              -- how it was read: format, languages and version of the reader
    format      TEXT NOT NULL,
    pairs       INTEGER NOT NULL,
    left_out    INTEGER NOT NULL,           -- bad rows
    licence     TEXT,                       -- as the user gave it; NULL: not given
    imported_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Scores of a text pair, a row for each scorer: 'probability' is the calibrated probability that it is a translation, 0 to 1.
CREATE TABLE score (
    pair   INTEGER NOT NULL REFERENCES text_pair (id) ON DELETE CASCADE,
    scorer TEXT NOT NULL,
    value  REAL NOT NULL,
    PRIMARY KEY (pair, scorer)
) STRICT, WITHOUT ROWID;

-- What the filter decided on each text pair, with what reports count by. A dropped pair stays, with the rule and the value
-- that the rule saw.
CREATE TABLE verdict (
    pair   INTEGER PRIMARY KEY REFERENCES text_pair (id) ON DELETE CASCADE,
    scope  TEXT NOT NULL,
    reason TEXT,                            -- the rule that drops it; 'vanished': no occurrence is left; NULL: kept
    detail TEXT NOT NULL,
    origin TEXT NOT NULL,                   -- of the best occurrence
    score  REAL NOT NULL,                   -- of the best occurrence
    rank   INTEGER NOT NULL,                -- score × 10,000 as files print it: they are sorted by it
    source TEXT NOT NULL,                   -- the site, collection or import that it is from
    stamp  INTEGER NOT NULL                 -- when any of this, or the best occurrence, last changed
) STRICT;
CREATE INDEX verdict_stamp ON verdict (scope, stamp);

-- Near duplicates: kept text pairs that repeat a better one. `of` is NULL for one that no longer does.
CREATE TABLE near_duplicate (
    pair    INTEGER PRIMARY KEY REFERENCES text_pair (id) ON DELETE CASCADE,
    scope   TEXT NOT NULL,
    of      INTEGER,
    jaccard REAL NOT NULL,                  -- share of n-grams that both have, 0 to 1
    stamp   INTEGER NOT NULL
) STRICT;
CREATE INDEX near_duplicate_stamp ON near_duplicate (scope, stamp);
CREATE INDEX near_duplicate_of ON near_duplicate (of) WHERE of IS NOT NULL;

-- Locality-sensitive hashes of text pairs, and comparisons made: both follow from the texts alone, so a run computes them
-- for new text pairs only.
CREATE TABLE signature (
    pair  INTEGER PRIMARY KEY REFERENCES text_pair (id) ON DELETE CASCADE,
    bands BLOB NOT NULL                     -- 4 bytes of how it was made, then 4 bytes a band
) STRICT;
CREATE TABLE comparison (
    pair    INTEGER NOT NULL REFERENCES text_pair (id) ON DELETE CASCADE,
    other   INTEGER NOT NULL REFERENCES text_pair (id) ON DELETE CASCADE,
    jaccard REAL,                           -- share of n-grams that both have, 0 to 1; NULL: they name different numbers
    PRIMARY KEY (pair, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX comparison_other ON comparison (other);

-- The filter's verdict and near duplicates in one: reason is NULL for a text pair that is kept.
CREATE VIEW judgement AS
SELECT verdict.pair, verdict.scope, origin, score, rank, source,
       CASE WHEN reason IS NULL AND of IS NOT NULL THEN 'near-duplicate' ELSE reason END AS reason,
       CASE WHEN reason IS NULL AND of IS NOT NULL
            THEN printf('%.3f of the n-grams shared with p%016x', jaccard, of) ELSE detail END AS detail
FROM verdict LEFT JOIN near_duplicate ON near_duplicate.pair = verdict.pair AND of IS NOT NULL
WHERE reason IS NOT 'vanished';

-- What people said of text pairs, whether these occur at present or not.
CREATE TABLE annotation (
    external_id  TEXT PRIMARY KEY,
    pair         INTEGER NOT NULL,
    annotator    TEXT NOT NULL,
    verdict      TEXT,
    problems     TEXT NOT NULL,             -- JSON [text]
    sts          INTEGER,
    source_fix   TEXT,
    target_fix   TEXT,
    lead_time    REAL,
    updated_at   TEXT,
    ground_truth INTEGER NOT NULL,
    task         INTEGER,                   -- NULL: the tool did not say
    remote       INTEGER,                   -- its number in the tool
    skipped      INTEGER NOT NULL DEFAULT 0,
    preferred    INTEGER,                   -- the pair chosen of two
    project      INTEGER                    -- the project that it was read from; NULL: not known
) STRICT;
CREATE INDEX annotation_pair ON annotation (pair);
CREATE INDEX annotation_remote ON annotation (remote, pair);
CREATE INDEX annotation_task ON annotation (task, annotator);

-- Blocks of pages that may turn out to be boilerplate: all but titles and headings. Written with their document.
CREATE TABLE block (
    document INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    ordinal  INTEGER NOT NULL,              -- place among the document's blocks
    hash     INTEGER NOT NULL,              -- of site, language and folded text
    PRIMARY KEY (document, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX block_hash ON block (hash);    -- which texts stand in many documents

-- A diary: what a profile took from each page, whenever one was extracted.
CREATE TABLE extraction (
    run        INTEGER NOT NULL,
    location   TEXT NOT NULL,
    site       TEXT NOT NULL,
    key        TEXT NOT NULL,               -- of the profile and the extractor: agreements compare under one key alone
    agreement  REAL,                        -- 0 to 1; NULL: no text either way
    by_profile INTEGER NOT NULL,            -- 0: the profile's body selected nothing
    PRIMARY KEY (run, location)
) STRICT, WITHOUT ROWID;
CREATE INDEX extraction_site ON extraction (site, key, run);

-- A diary: how well a site's profile fitted the pages of a run. The newest row of a site is what holds.
CREATE TABLE drift (
    run               INTEGER NOT NULL,
    site              TEXT NOT NULL,
    key               TEXT NOT NULL,
    pages             INTEGER NOT NULL,
    without_body      INTEGER NOT NULL,     -- pages on which the profile's body selected nothing
    agreement         REAL,                 -- median of these pages; NULL: none has text
    earlier_pages     INTEGER NOT NULL,
    earlier_agreement REAL,                 -- median of the pages before; NULL: too few
    example           TEXT NOT NULL,        -- the page with the least agreement
    alarm             TEXT,                 -- what is wrong, in words; NULL: nothing
    PRIMARY KEY (run, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE book_page (
    location   TEXT NOT NULL,               -- of the book, as in `document`; a book without text has pages all the same
    shelf      TEXT NOT NULL,
    page       INTEGER NOT NULL,            -- counted from 1
    state      TEXT NOT NULL,               -- 'text', 'garbled', 'scanned', 'empty'
    evidence   TEXT NOT NULL,               -- what the state rests on, in words
    ocr        INTEGER,                     -- 1: its text was recognised; 0: that was tried in vain; NULL: not tried
    confidence REAL,                        -- of the recognised words, 0 to 100; NULL: none
    ocr_note   TEXT,                        -- what recognition rests on, or why it was in vain
    PRIMARY KEY (location, page)
) STRICT, WITHOUT ROWID;

-- A font of a book whose signs stood for other letters: the Turkmen alphabets of the 1990s. One row for each sign.
CREATE TABLE book_repair (
    location TEXT NOT NULL,                 -- of the book, as in `book_page`
    number   INTEGER NOT NULL,              -- of the font, among the book's repaired ones; two may share a name
    font     TEXT NOT NULL,
    by_table TEXT NOT NULL,                 -- name of the table of letters
    sign     TEXT NOT NULL,                 -- what the file says
    letter   TEXT NOT NULL,                 -- what was read instead; it stood nowhere else in the font's text
    times    INTEGER NOT NULL,              -- how often
    PRIMARY KEY (location, number, sign)
) STRICT, WITHOUT ROWID;

-- What the filter measured of each pair, apart from what it decided: other limits need no other measurements.
CREATE TABLE pair_features (
    pair     INTEGER PRIMARY KEY REFERENCES text_pair (id) ON DELETE CASCADE,
    key      INTEGER NOT NULL,              -- hash of the texts, their languages and the version of the measuring
    features TEXT NOT NULL                  -- JSON Features
) STRICT;

-- Questions put to people, where they are asked, what was answered and what the answers come to.
CREATE TABLE task (
    id        INTEGER PRIMARY KEY,
    interface TEXT NOT NULL,
    scope     TEXT NOT NULL,                -- of the text pair
    pair      INTEGER NOT NULL,             -- text pair
    other     INTEGER,                      -- text pair of the second candidate, of a choice between two
    strategy  TEXT NOT NULL,
    control   TEXT,                         -- the answer that is known, of a control item
    asked_at  TEXT NOT NULL,
    body      TEXT NOT NULL                 -- JSON: the task as it leaves
) STRICT;
CREATE INDEX task_pair ON task (pair);

-- A project on an annotation server.
CREATE TABLE project (
    id           INTEGER PRIMARY KEY,
    server       TEXT NOT NULL,             -- its URL, without credentials
    remote       INTEGER NOT NULL,          -- its number there
    title        TEXT NOT NULL,
    interface    TEXT NOT NULL,
    pulled_until TEXT,                      -- the newest change that has been pulled
    compared     TEXT,                      -- JSON of store::placements::Compared; NULL: never compared as a whole
    UNIQUE (server, remote)
) STRICT;

-- Where a question is asked.
CREATE TABLE placement (
    project INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    task    INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    batch   TEXT NOT NULL,
    remote  INTEGER,                        -- its number there; NULL: it was sent, and no reply has come
    PRIMARY KEY (project, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX placement_in_flight ON placement (project, batch) WHERE remote IS NULL;

-- Which annotations a task had on the server when it was last pulled with all of them: what it lacked then, and is not
-- newer, was taken back, and does not come back from an older file.
CREATE TABLE listing (
    project INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    task    INTEGER NOT NULL,
    at      TEXT NOT NULL,                  -- the task's updated_at there
    numbers TEXT NOT NULL,                  -- JSON [number]
    PRIMARY KEY (project, task)
) STRICT, WITHOUT ROWID;

-- Some exports name people by number, others by address.
CREATE TABLE annotator_alias (
    alias TEXT PRIMARY KEY,                 -- "user 3"
    name  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE adjudication (
    pair       INTEGER PRIMARY KEY,         -- text pair
    scope      TEXT NOT NULL,
    verdict    TEXT,                        -- NULL: undecided
    confidence REAL NOT NULL,
    sts        REAL,
    yes        INTEGER NOT NULL,
    partly     INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    gold       INTEGER NOT NULL,            -- 1: a gold answer decided
    corrected  INTEGER                      -- the text pair that stands for this one; itself, where only its writing changed
) STRICT;
CREATE INDEX adjudication_scope ON adjudication (scope, pair);
