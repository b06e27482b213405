//! Where a page begins and ends: stretches of (key, id), and the opaque byte string that continues one.

use crate::KEY_BYTES_MAX;

/// The stretch of (key, id) that a query asks for: from `key`, `id` on, up to keys before `end`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) key: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Stretch {
    /// All keys with this prefix, after the cursor.
    pub(crate) fn new(prefix: &[u8], cursor: Option<&[u8]>) -> Self {
        let (key, id) = cursor.map_or_else(|| (Vec::new(), Vec::new()), read);
        // A cursor of another query may lie before the prefix; it never widens the stretch.
        let (key, id) = (key, id).max((prefix.to_vec(), Vec::new()));
        Self { key, id, end: after_prefix(prefix) }
    }

    pub(crate) fn contains(&self, key: &[u8], id: &[u8]) -> bool {
        (key, id) >= (self.key.as_slice(), self.id.as_slice()) && key < self.end.as_slice()
    }
}

/// The cursor after the row with this key and id: `u32be key length ‖ key ‖ id`.
pub(crate) fn write(key: &[u8], id: &[u8]) -> Vec<u8> {
    // Keys have at most KEY_BYTES_MAX bytes, so the length always fits.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), key, id].concat()
}

/// The first (key, id) after the cursor. A cursor that this module did not write lies after everything, so that a forged
/// one shows nothing instead of starting over.
fn read(cursor: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let parsed = cursor.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (length <= rest.len()).then(|| rest.split_at(length))
    });
    match parsed {
        // The next byte string after an id is that id with a zero byte behind it.
        Some((key, id)) => (key.to_vec(), [id, &[0]].concat()),
        None => (beyond(), Vec::new()),
    }
}

/// Greater than every key that can be stored.
fn beyond() -> Vec<u8> {
    vec![0xff; KEY_BYTES_MAX + 1]
}

/// The smallest key that is greater than every key with this prefix.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|b| *b != 0xff) else { return beyond() };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let table: [(&[u8], &[u8]); 4] = [(b"a", b"b"), (b"ab", b"ac"), (b"a\xff", b"b"), (b"a\xff\xff", b"b")];
        for (prefix, end) in table {
            assert_eq!(after_prefix(prefix), end, "{prefix:?}");
        }
        for open in [b"".as_slice(), b"\xff", b"\xff\xff"] {
            assert_eq!(after_prefix(open), beyond(), "{open:?}");
        }
    }

    #[test]
    fn a_forged_cursor_shows_nothing_and_never_widens_the_prefix() {
        for forged in [b"".as_slice(), b"abc", b"\xff\xff\xff\xffkey", b"\x00\x00\x00\x09short"] {
            let stretch = Stretch::new(b"", Some(forged));
            assert!(!stretch.contains(b"", b"") && !stretch.contains(&[0xff; KEY_BYTES_MAX], b"id"), "{forged:?}");
        }
        let foreign = Stretch::new(b"m", Some(&write(b"a", b"id")));
        assert!(!foreign.contains(b"b", b"id") && foreign.contains(b"m", b""));
    }

    #[test]
    fn a_cursor_continues_right_after_its_row() {
        let stretch = Stretch::new(b"", Some(&write(b"k", b"b")));
        assert!(!stretch.contains(b"k", b"b"));
        assert!(stretch.contains(b"k", b"b\x00") && stretch.contains(b"k", b"c") && stretch.contains(b"k\x00", b""));
    }
}
