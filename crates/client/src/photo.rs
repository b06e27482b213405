//! Photos as they may leave a phone: a picture and nothing that tells of it.
//!
//! A camera writes into a photo where it was, when, and with which device; a thumbnail of what was cut away; a name. A courier's
//! phone must not send that even sealed: who opens the photo is the owner, and where the courier was before is not theirs. So a
//! photo is a baseline or progressive JPEG whose segments are the picture's own: no application data but a JFIF header without
//! thumbnail, no comment, nothing behind the end. Sealing pads it to a multiple of 64 KiB, of which there are at most eight.

/// Largest photo, bytes: what the largest box holds.
pub const PHOTO_BYTES_MAX: usize = 8 * 64 * 1024 - 2048;

/// Why a photo may not leave the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBare {
    #[error("a photo is a JPEG with all its parts")]
    NotAJpeg,
    #[error("the photo carries data that is no picture (segment {0:#04x})")]
    Metadata(u8),
    #[error("something lies behind the photo's end")]
    Trailing,
    #[error("a photo is smaller than half a megabyte")]
    TooLarge,
}

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const APP0: u8 = 0xe0;

/// One marker with its payload.
struct Segment<'a> {
    marker: u8,
    payload: &'a [u8],
    /// Marker, length and payload, and of a scan the coded picture.
    all: &'a [u8],
}

/// Reads a JPEG's segments up to its end; returns what lies behind.
fn segments<'a>(
    photo: &'a [u8],
    mut each: impl FnMut(&Segment<'a>) -> Result<(), NotBare>,
) -> Result<&'a [u8], NotBare> {
    let mut rest = photo.strip_prefix(&[0xff, START]).ok_or(NotBare::NotAJpeg)?;
    let mut scanned = false;
    loop {
        let (&[sign, marker], behind) = rest.split_first_chunk::<2>().ok_or(NotBare::NotAJpeg)?;
        if sign != 0xff {
            return Err(NotBare::NotAJpeg);
        }
        if marker == END {
            return if scanned { Ok(behind) } else { Err(NotBare::NotAJpeg) };
        }
        let (length, _) = behind.split_first_chunk::<2>().ok_or(NotBare::NotAJpeg)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let payload = behind.get(2..length).ok_or(NotBare::NotAJpeg)?;
        let mut size = 2 + length;
        if marker == SCAN {
            scanned = true;
            size += coded(rest.get(size..).ok_or(NotBare::NotAJpeg)?);
        }
        let all = rest.get(..size).ok_or(NotBare::NotAJpeg)?;
        each(&Segment { marker, payload, all })?;
        rest = &rest[size..];
    }
}

/// Length of a scan's coded data: up to the next marker that is neither stuffing nor a restart.
fn coded(data: &[u8]) -> usize {
    let ends = data.windows(2).position(|w| w[0] == 0xff && w[1] != 0 && !(0xd0..=0xd7).contains(&w[1]));
    ends.unwrap_or(data.len())
}

/// Whether a segment belongs to the picture itself.
fn is_picture(s: &Segment<'_>) -> bool {
    match s.marker {
        // Identifier, version, units, densities, and a thumbnail of no width and height.
        APP0 => s.payload.len() == 14 && s.payload.starts_with(b"JFIF\0") && s.payload.ends_with(&[0, 0]),
        // Frames, tables, restarts, scans.
        0xc0..=0xcf | 0xdb | 0xdd | SCAN => true,
        _ => false,
    }
}

/// Refuses everything but a bare picture.
///
/// # Errors
/// [`NotBare`].
pub fn check(photo: &[u8]) -> Result<(), NotBare> {
    if photo.len() > PHOTO_BYTES_MAX {
        return Err(NotBare::TooLarge);
    }
    let behind = segments(photo, |s| if is_picture(s) { Ok(()) } else { Err(NotBare::Metadata(s.marker)) })?;
    if behind.is_empty() { Ok(()) } else { Err(NotBare::Trailing) }
}

/// The picture alone: what a camera wrote besides is left out. The picture's bytes stay as they are.
///
/// # Errors
/// [`NotBare`] when it is no JPEG, or too large even so.
pub fn stripped(photo: &[u8]) -> Result<Vec<u8>, NotBare> {
    let mut bare = vec![0xff, START];
    segments(photo, |s| {
        if is_picture(s) {
            bare.extend_from_slice(s.all);
        }
        Ok(())
    })?;
    bare.extend([0xff, END]);
    check(&bare).map(|()| bare)
}

/// The smallest picture: one grey square of eight by eight. For rehearsals and tests.
#[must_use]
pub fn specimen() -> Vec<u8> {
    let mut photo = vec![0xff, START];
    let mut segment = |marker: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
        photo.extend([0xff, marker]);
        photo.extend(length);
        photo.extend_from_slice(payload);
    };
    segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    segment(0xdb, &[&[0_u8][..], &[16; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    // One code each, of one bit: no difference, end of block.
    for class in [0x00, 0x10] {
        segment(0xc4, &[&[class, 1][..], &[0; 15], &[0]].concat());
    }
    segment(SCAN, &[1, 1, 0, 0, 63, 0]);
    photo.extend([0b0011_1111, 0xff, END]);
    photo
}

/// A photo of about so many bytes, as a simulated camera takes it.
#[must_use]
pub fn specimen_of(bytes: usize) -> Vec<u8> {
    let mut photo = specimen();
    let at = photo.len() - 2;
    let more = bytes.saturating_sub(photo.len());
    photo.splice(at..at, std::iter::repeat_n(0x5a, more));
    photo
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        let specimen = specimen();
        [&specimen[..2], &[0xff, marker], &length, payload, &specimen[2..]].concat()
    }

    #[test]
    fn a_bare_picture_passes_and_stays_as_it_is() {
        let photo = specimen();
        check(&photo).unwrap();
        assert_eq!(stripped(&photo).unwrap(), photo);
        let large = specimen_of(300_000);
        assert_eq!((large.len(), check(&large)), (300_000, Ok(())));
    }

    #[test]
    fn what_a_camera_writes_beside_the_picture_is_refused_and_can_be_taken_out() {
        let exif = b"Exif\0\0MM\0*needle: 57.7254 N 11.8498 E, phone of Sam";
        for (marker, payload) in [
            (0xe1, &exif[..]),
            (0xe1, b"http://ns.adobe.com/xap/1.0/\0<needle/>"),
            (0xe2, b"ICC_PROFILE\0needle"),
            (0xed, b"Photoshop 3.0\0needle"),
            // A comment.
            (0xfe, b"needle"),
            // A header with a thumbnail of what was cut away, and one of another kind.
            (APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01needle"),
            (APP0, b"JFXX\0\x10needle"),
        ] {
            let photo = with(marker, payload);
            assert_eq!(check(&photo), Err(NotBare::Metadata(marker)));
            let bare = stripped(&photo).unwrap();
            assert_eq!(bare, specimen());
            assert!(!bare.windows(6).any(|w| w == b"needle"));
        }
        let behind = [&specimen()[..], b"needle"].concat();
        assert_eq!(check(&behind), Err(NotBare::Trailing));
        assert_eq!(stripped(&behind).unwrap(), specimen());
    }

    #[test]
    fn what_is_no_picture_is_none() {
        let photo = specimen();
        for cut in 0..photo.len() {
            assert_eq!(check(&photo[..cut]), Err(NotBare::NotAJpeg), "cut at {cut}");
        }
        assert_eq!(check(b"a closed lid"), Err(NotBare::NotAJpeg));
        assert_eq!(check(&[0xff, START, 0xff, END]), Err(NotBare::NotAJpeg), "no picture in it");
        let large = with(0xdb, &[1; 60_000]);
        assert_eq!(check(&[&large[..], &vec![0; PHOTO_BYTES_MAX]].concat()), Err(NotBare::TooLarge));
    }
}
