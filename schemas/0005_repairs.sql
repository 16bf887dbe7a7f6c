-- What was read instead of what a book's fonts say, so that it can be undone; and failures that are no use to try again.

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

-- A failed unit whose reason lies in what it reads: the limits under which it was tried. While key, input and limits are
-- the same, it is not tried again. NULL: the next run tries again.
ALTER TABLE unit ADD COLUMN given_up TEXT;
