//! Where a page ended: the last key and id, in one opaque byte string.

/// `u32be key length ‖ key ‖ id`.
pub(crate) fn write(key: &[u8], id: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), key, id].concat()
}

/// Key and id of a cursor; a cursor that this module did not write begins after everything, so that a forged one shows
/// nothing instead of starting over.
pub(crate) fn read(cursor: Option<&[u8]>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let Some(cursor) = cursor else { return (None, None) };
    let parsed = cursor.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (length <= rest.len()).then(|| rest.split_at(length))
    });
    match parsed {
        Some((key, id)) => (Some(key.to_vec()), Some(id.to_vec())),
        None => (Some(vec![0xff; crate::KEY_BYTES_MAX + 1]), Some(vec![0xff; crate::KEY_BYTES_MAX + 1])),
    }
}

/// The smallest key that is greater than every key with this prefix; `None` if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
