-- The workspace, first version. Times are RFC 3339 in UTC. Ids are content hashes (record::id) unless said otherwise.

-- One row a run; everything a run made can be traced to its configuration and version.
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    outcome     TEXT,                       -- done | failed | interrupted; NULL: still running, or killed
    pipeline    TEXT NOT NULL,
    config      TEXT NOT NULL,              -- JSON, without secrets
    version     TEXT NOT NULL
) STRICT;

-- What each stage was last run with: `kopri plan` tells the difference in words.
CREATE TABLE stage (
    name    TEXT PRIMARY KEY,
    key     TEXT NOT NULL,                  -- hash of all that can change its results
    parts   TEXT NOT NULL                   -- JSON of what was hashed
) STRICT;

-- The ledger. A unit is done for a stage key and an input; its records were written in the same transaction.
CREATE TABLE unit (
    stage       TEXT NOT NULL,
    unit        TEXT NOT NULL,
    key         TEXT NOT NULL,
    input       TEXT NOT NULL,              -- fingerprint of what it read
    output      TEXT NOT NULL,              -- fingerprint of what it wrote; '' when it failed
    state       TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    attempts    INTEGER NOT NULL,
    error_kind  TEXT,
    error       TEXT,
    run         INTEGER NOT NULL REFERENCES run (id),
    finished_at TEXT NOT NULL,
    PRIMARY KEY (stage, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX unit_failed ON unit (stage) WHERE state = 'failed';    -- status lists failures

-- Counts and figures that a run leaves behind for its summary.
CREATE TABLE figure (
    run   INTEGER NOT NULL REFERENCES run (id),
    stage TEXT NOT NULL,
    name  TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, stage, name)
) STRICT, WITHOUT ROWID;

-- Hosts: what robots.txt said, and when we may ask again. Survives a restart.
CREATE TABLE host (
    host              TEXT PRIMARY KEY,     -- with the port where it is not the scheme's own
    robots_status     INTEGER,              -- NULL: not reached
    robots_body       BLOB,
    robots_fetched_at TEXT,
    delay_ms          INTEGER NOT NULL DEFAULT 0,
    next_allowed_at   TEXT
) STRICT;

-- The frontier and the page archive's index.
CREATE TABLE url (
    id             INTEGER PRIMARY KEY,
    url            TEXT NOT NULL UNIQUE,
    host           TEXT NOT NULL,
    site           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('seed', 'sitemap', 'feed', 'article', 'page')),
    role_rank      INTEGER NOT NULL,        -- order of visits: seeds, sitemaps, feeds, articles, other pages
    depth          INTEGER NOT NULL,
    redirects      INTEGER NOT NULL DEFAULT 0,
    via            INTEGER REFERENCES url (id),
    state          TEXT NOT NULL CHECK (state IN ('waiting', 'fetched', 'redirect', 'gone', 'forbidden', 'failed')),
    due            INTEGER NOT NULL,        -- 1: to be visited in the open round, or the next
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
    CHECK ((body_hash IS NULL) = (warc_file IS NULL))
) STRICT;
CREATE INDEX url_due ON url (host, role_rank, depth, url) WHERE due = 1;       -- the next URL of a host
CREATE INDEX url_revisit ON url (next_visit_at) WHERE due = 0;                 -- what a new round makes due
CREATE INDEX url_articles ON url (site, role) WHERE body_hash IS NOT NULL;   -- what extraction reads

-- How far each archive file is committed: bytes past it belong to no row and are cut off on opening.
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
    fingerprint         TEXT NOT NULL       -- hash of all columns that later stages read
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

CREATE TABLE document_pair (
    source   INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    target   INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    site     TEXT NOT NULL,
    score    REAL NOT NULL,
    evidence TEXT NOT NULL,                 -- JSON [Evidence]
    PRIMARY KEY (source, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_pair_target ON document_pair (target);

-- k nearest neighbours of each text in the other language: (text id, cosine) pairs, best first.
CREATE TABLE neighbours (
    direction TEXT NOT NULL CHECK (direction IN ('forward', 'backward')),
    text_id   INTEGER NOT NULL,
    key       TEXT NOT NULL,                -- stage key under which the list was made
    list      BLOB NOT NULL,
    PRIMARY KEY (direction, text_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pair (
    id               INTEGER PRIMARY KEY,
    stage            TEXT NOT NULL,         -- the unit that made it
    unit             TEXT NOT NULL,
    origin           TEXT NOT NULL,
    source_document  INTEGER,
    target_document  INTEGER,
    source_sentences TEXT NOT NULL,         -- JSON [sentence id]
    target_sentences TEXT NOT NULL,
    source_text      TEXT NOT NULL,
    target_text      TEXT NOT NULL,
    similarity       REAL,
    margin           REAL,
    score            REAL NOT NULL
) STRICT;
CREATE INDEX pair_unit ON pair (stage, unit);

-- What the filter made of each pair. A dropped pair stays, with the rule and what it saw.
CREATE TABLE verdict (
    pair   INTEGER PRIMARY KEY REFERENCES pair (id) ON DELETE CASCADE,
    fold   INTEGER NOT NULL,                -- hash of both sides without case and punctuation
    reason TEXT,                            -- the rule that objects; NULL: none does
    detail TEXT NOT NULL,
    duplicate_of INTEGER                    -- the better pair that says the same; kept by another stage than the rules
) STRICT;

-- Rules and duplicates in one: reason is NULL for a pair that is kept.
CREATE VIEW judgement AS
SELECT pair, fold,
       CASE WHEN reason IS NULL AND duplicate_of IS NOT NULL THEN 'duplicate' ELSE reason END AS reason,
       CASE WHEN reason IS NULL AND duplicate_of IS NOT NULL THEN printf('same text as p%016x', duplicate_of) ELSE detail END AS detail
FROM verdict;

-- Judgements outlive the pairs they judge: a page may come back.
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
    ground_truth INTEGER NOT NULL
) STRICT;
CREATE INDEX annotation_pair ON annotation (pair);
