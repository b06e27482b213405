-- Current state, one row per aggregate.
CREATE TABLE rows (
  tab     TEXT    NOT NULL,
  id      BLOB    NOT NULL,
  version INTEGER NOT NULL,
  state   BLOB    NOT NULL,
  PRIMARY KEY (tab, id)
) WITHOUT ROWID;

CREATE TABLE row_index (
  tab  TEXT NOT NULL,
  name TEXT NOT NULL,
  key  BLOB NOT NULL,
  id   BLOB NOT NULL,
  PRIMARY KEY (tab, name, key, id)
) WITHOUT ROWID;
CREATE INDEX row_index_by_row ON row_index (tab, id);

-- What happened, in order: timeline, outbox and audit trail.
CREATE TABLE journal (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  tab   TEXT    NOT NULL,
  id    BLOB    NOT NULL,
  kind  TEXT    NOT NULL,
  event BLOB    NOT NULL,
  at_ms INTEGER NOT NULL
);
CREATE INDEX journal_by_row ON journal (tab, id, seq);

-- Append-only sequences, dense from 0.
CREATE TABLE streams (
  stream TEXT    NOT NULL,
  pos    INTEGER NOT NULL,
  bytes  BLOB    NOT NULL,
  PRIMARY KEY (stream, pos)
) WITHOUT ROWID;

CREATE TABLE jobs (
  queue       TEXT    NOT NULL,
  id          BLOB    NOT NULL,
  run_at_ms   INTEGER NOT NULL,
  lease_until_ms INTEGER NOT NULL DEFAULT 0,
  attempts    INTEGER NOT NULL DEFAULT 0,
  payload     BLOB    NOT NULL,
  PRIMARY KEY (queue, id)
) WITHOUT ROWID;
-- When a job can be claimed: due, and its lease over.
CREATE INDEX jobs_by_time ON jobs (queue, max(run_at_ms, lease_until_ms), id);

CREATE TABLE answers (
  principal    TEXT    NOT NULL,
  key          TEXT    NOT NULL,
  request_hash BLOB    NOT NULL,
  status       INTEGER NOT NULL,
  body         BLOB    NOT NULL,
  at_ms        INTEGER NOT NULL,
  PRIMARY KEY (principal, key)
) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (at_ms);
