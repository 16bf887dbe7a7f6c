-- Questions put to people, where they are asked, what was answered and what the answers come to.
CREATE TABLE task (
    id        INTEGER PRIMARY KEY,
    interface TEXT NOT NULL,
    pair      INTEGER NOT NULL,             -- a question outlives its pair, as answers do
    other     INTEGER,                      -- the second candidate of a choice between two
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

ALTER TABLE annotation ADD COLUMN task INTEGER;                         -- NULL: the tool did not say
ALTER TABLE annotation ADD COLUMN remote INTEGER;                       -- its number in the tool
ALTER TABLE annotation ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE annotation ADD COLUMN preferred INTEGER;                    -- the pair chosen of two
UPDATE annotation SET skipped = 1 WHERE verdict IS NULL AND sts IS NULL AND source_fix IS NULL AND target_fix IS NULL;
CREATE INDEX annotation_remote ON annotation (remote, pair);
CREATE INDEX annotation_task ON annotation (task, annotator);

-- Some exports name people by number, others by address.
CREATE TABLE annotator_alias (
    alias TEXT PRIMARY KEY,                 -- "user 3"
    name  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE adjudication (
    pair       INTEGER PRIMARY KEY,
    verdict    TEXT,                        -- NULL: undecided
    confidence REAL NOT NULL,
    sts        REAL,
    yes        INTEGER NOT NULL,
    partly     INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    gold       INTEGER NOT NULL,            -- 1: a gold answer decided
    corrected  INTEGER                      -- the pair that stands for this one
) STRICT;

ALTER TABLE pair ADD COLUMN parent INTEGER; -- the pair that this one corrects
CREATE INDEX verdict_fold ON verdict (fold);            -- whether two texts are a pair
