-- The next nearest behind a list's k: when a neighbour vanishes, one of them takes its place.
ALTER TABLE neighbours ADD COLUMN spare BLOB NOT NULL DEFAULT x'';
