-- Rows of one to four KB filled half of every page: a tree that is ordered by keys keeps but a quarter of a page of each
-- row in place. In order of arrival they lie close together, new ones in the same page.
CREATE TABLE rows_in_order (
  number  INTEGER PRIMARY KEY,
  tab     TEXT    NOT NULL,
  id      BLOB    NOT NULL,
  version INTEGER NOT NULL,
  state   BLOB    NOT NULL
);
INSERT INTO rows_in_order (tab, id, version, state) SELECT tab, id, version, state FROM rows;
DROP TABLE rows;
ALTER TABLE rows_in_order RENAME TO rows;
CREATE UNIQUE INDEX rows_by_id ON rows (tab, id);

CREATE TABLE answers_in_order (
  number       INTEGER PRIMARY KEY,
  principal    TEXT    NOT NULL,
  key          TEXT    NOT NULL,
  request_hash BLOB    NOT NULL,
  status       INTEGER NOT NULL,
  body         BLOB    NOT NULL,
  at_ms        INTEGER NOT NULL
);
INSERT INTO answers_in_order (principal, key, request_hash, status, body, at_ms)
  SELECT principal, key, request_hash, status, body, at_ms FROM answers;
DROP TABLE answers;
ALTER TABLE answers_in_order RENAME TO answers;
CREATE UNIQUE INDEX answers_by_key ON answers (principal, key);
CREATE INDEX answers_by_time ON answers (at_ms);
