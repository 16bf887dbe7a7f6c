-- What became of each page of each book: the page gate's answer, and what character recognition made of it.

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
