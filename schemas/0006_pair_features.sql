-- What the filter measured of each pair, apart from what it decided: other limits need no other measurements.
CREATE TABLE pair_features (
    pair     INTEGER PRIMARY KEY REFERENCES pair (id) ON DELETE CASCADE,
    key      INTEGER NOT NULL,              -- hash of the texts, their languages and the version of the measuring
    features TEXT NOT NULL                  -- JSON Features
) STRICT;

-- Duplicates that are not quite the same: the share of n-grams that both pairs have. NULL: the same text.
ALTER TABLE verdict ADD COLUMN jaccard REAL;

DROP VIEW judgement;
CREATE VIEW judgement AS
SELECT pair, fold,
       CASE WHEN reason IS NOT NULL OR duplicate_of IS NULL THEN reason
            WHEN jaccard IS NULL THEN 'duplicate' ELSE 'near-duplicate' END AS reason,
       CASE WHEN reason IS NOT NULL OR duplicate_of IS NULL THEN detail
            WHEN jaccard IS NULL THEN printf('same text as p%016x', duplicate_of)
            ELSE printf('%.3f of the n-grams shared with p%016x', jaccard, duplicate_of) END AS detail
FROM verdict;
