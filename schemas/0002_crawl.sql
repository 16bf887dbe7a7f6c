-- Crawling: leases, retries, budgets that survive a restart, and the last good robots.txt.

-- Set while a URL is asked for. One that is set when a run begins was in flight when the last run was killed.
ALTER TABLE url ADD COLUMN leased_at TEXT;
-- A retry is not made before this instant.
ALTER TABLE url ADD COLUMN not_before TEXT;
-- What robots.txt said of the URL at its last visit, in words.
ALTER TABLE url ADD COLUMN ruling TEXT;
-- The URL with its numbers and values taken out: pages of one template share it.
ALTER TABLE url ADD COLUMN shape TEXT;
CREATE INDEX url_leased ON url (id) WHERE leased_at IS NOT NULL;            -- what a killed run left
CREATE INDEX url_shape ON url (host, shape) WHERE role = 'page';            -- counting pages that are alike

-- robots_status, robots_body and robots_fetched_at are of the last answer that told something; this is of a later
-- attempt that told nothing. NULL: there is none.
ALTER TABLE host ADD COLUMN robots_failed_at TEXT;
ALTER TABLE host ADD COLUMN robots_error TEXT;
-- What was spent of a night's budget, and when that night began.
ALTER TABLE host ADD COLUMN night_began TEXT;
ALTER TABLE host ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE host ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

-- When the URL last changed, by a sitemap's word.
ALTER TABLE url ADD COLUMN said_changed_at TEXT;

-- The order of visits has a new place: seeds, sitemaps, feeds, twins of articles, articles, other pages.
UPDATE url SET role_rank = role_rank + 1 WHERE role_rank >= 3;
-- And what is due has an order before that: 1 seeds, sitemaps and feeds, 2 what was never visited, 3 what was. A
-- budget that is spent on old pages first would never come to the new ones.
UPDATE url SET due = CASE WHEN role_rank < 3 THEN 1 WHEN next_visit_at IS NULL THEN 2 ELSE 3 END WHERE due = 1;
DROP INDEX url_due;
CREATE INDEX url_due ON url (host, due, next_visit_at, role_rank, depth, url) WHERE due > 0;
