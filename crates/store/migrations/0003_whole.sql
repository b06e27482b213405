-- A keyed proof over everything that decides: see src/whole.rs.
CREATE TABLE whole (
  id  INTEGER PRIMARY KEY CHECK (id = 1),
  tag BLOB    NOT NULL
);
