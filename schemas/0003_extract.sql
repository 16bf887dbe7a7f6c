-- What extraction tells of a page beyond its text, what repeats from page to page, and how well profiles still fit.

ALTER TABLE document ADD COLUMN author TEXT;
ALTER TABLE document ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';    -- JSON [text]
ALTER TABLE document ADD COLUMN agreement REAL;                     -- profile and generic extractor, 0 to 1; NULL: no profile

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
    run        INTEGER NOT NULL REFERENCES run (id),
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
    run               INTEGER NOT NULL REFERENCES run (id),
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
