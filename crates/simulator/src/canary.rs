//! Canaries: values planted in a simulated world that some parties must never hold, and the search for them.
//!
//! A needle is searched for in every spelling in which a careless programmer, a serialiser or a compressor's literal run
//! could have left it: text, hexadecimal, base64 at all three alignments, and for places binary floats, E7 integers,
//! geohash and H3 cells finer than an area. A latitude alone proves little, so numbers count as *pairs* near each other.
//!
//! The search is only worth something if it can find: [`control`] builds a haystack that holds every needle once, and the
//! tests demand that each is found there.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How near the two halves of a pair must stand, in bytes.
const PAIR_WITHIN_BYTES: usize = 200;
/// Decimals of a place in text: about 11 m.
const DECIMALS: usize = 4;
/// Shorter patterns would match by chance in a few megabytes of ciphertext.
const SINGLE_BYTES_MIN: usize = 6;

/// Bytes of one coordinate.
type Spelling<'a> = &'a dyn Fn(f64) -> Vec<u8>;

/// A planted value.
#[derive(Clone, Debug)]
pub enum Canary {
    /// A VIN, a plate, a token, a name: searched for as text in several spellings.
    Text { what: String, value: String },
    /// A place, degrees.
    Place { what: String, latitude: f64, longitude: f64 },
    /// Some bytes of a picture.
    Bytes { what: String, value: Vec<u8> },
}

/// Something that was found where it must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The label of the haystack: a file, a log, a socket.
    pub haystack: String,
    /// Which canary, and in which spelling.
    pub needle: String,
    pub offset: usize,
}

/// All spellings of all canaries, ready to search.
#[derive(Debug)]
pub struct Needles {
    automaton: AhoCorasick,
    /// What each pattern of the automaton is.
    patterns: Vec<Pattern>,
    /// The name of each needle; a single has one pattern, a pair two.
    names: Vec<String>,
    bytes: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Whole,
    First,
    Second,
}

#[derive(Debug, Clone, Copy)]
struct Pattern {
    needle: usize,
    half: Half,
}

impl Needles {
    /// Builds every spelling of every canary.
    ///
    /// # Panics
    /// When a canary is too short to be told from chance, or there are more patterns than the automaton holds.
    #[must_use]
    pub fn new(canaries: &[Canary]) -> Self {
        let mut builder = Builder::default();
        for canary in canaries {
            match canary {
                Canary::Text { what, value } => builder.text(what, value),
                Canary::Place { what, latitude, longitude } => builder.place(what, *latitude, *longitude),
                Canary::Bytes { what, value } => {
                    builder.single(format!("{what} as bytes"), value.clone());
                    builder.encoded(what, value);
                }
            }
        }
        let automaton = AhoCorasick::new(&builder.bytes).expect("a few thousand short patterns fit");
        Self { automaton, patterns: builder.patterns, names: builder.names, bytes: builder.bytes }
    }

    /// The names of all needles.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Everything found in one haystack, each needle at most once.
    #[must_use]
    pub fn search(&self, label: &str, haystack: &[u8]) -> Vec<Sighting> {
        let mut first_half: Vec<Option<usize>> = vec![None; self.names.len()];
        let mut second_half: Vec<Option<usize>> = vec![None; self.names.len()];
        let mut seen: Vec<Option<usize>> = vec![None; self.names.len()];
        for hit in self.automaton.find_overlapping_iter(haystack) {
            let Pattern { needle, half } = self.patterns[hit.pattern().as_usize()];
            let at = hit.start();
            let other = match half {
                Half::Whole => Some(at),
                Half::First => {
                    first_half[needle] = Some(at);
                    second_half[needle]
                }
                Half::Second => {
                    second_half[needle] = Some(at);
                    first_half[needle]
                }
            };
            if seen[needle].is_none() && other.is_some_and(|o| at.abs_diff(o) <= PAIR_WITHIN_BYTES) {
                seen[needle] = Some(at);
            }
        }
        seen.into_iter()
            .enumerate()
            .filter_map(|(n, at)| {
                at.map(|offset| Sighting { haystack: label.to_owned(), needle: self.names[n].clone(), offset })
            })
            .collect()
    }

    /// A haystack that holds each needle once, between filler: the search must find every one of them.
    #[must_use]
    pub fn control(&self) -> Vec<u8> {
        let mut haystack = Vec::new();
        let mut previous = usize::MAX;
        for (pattern, bytes) in self.patterns.iter().zip(&self.bytes) {
            // Halves of one pair stand next to each other; needles stand far apart.
            if pattern.needle != previous {
                haystack.extend(std::iter::repeat_n(b'.', PAIR_WITHIN_BYTES * 2));
            }
            previous = pattern.needle;
            haystack.extend_from_slice(b"<");
            haystack.extend_from_slice(bytes);
            haystack.extend_from_slice(b">");
        }
        haystack
    }
}

/// The haystack that holds every needle; see [`Needles::control`].
#[must_use]
pub fn control(needles: &Needles) -> Vec<u8> {
    needles.control()
}

#[derive(Default)]
struct Builder {
    patterns: Vec<Pattern>,
    names: Vec<String>,
    bytes: Vec<Vec<u8>>,
}

impl Builder {
    fn single(&mut self, name: String, bytes: Vec<u8>) {
        if bytes.len() < SINGLE_BYTES_MIN {
            return;
        }
        self.patterns.push(Pattern { needle: self.names.len(), half: Half::Whole });
        self.bytes.push(bytes);
        self.names.push(name);
    }

    fn pair(&mut self, name: String, first: Vec<u8>, second: Vec<u8>) {
        let needle = self.names.len();
        self.patterns.push(Pattern { needle, half: Half::First });
        self.bytes.push(first);
        self.patterns.push(Pattern { needle, half: Half::Second });
        self.bytes.push(second);
        self.names.push(name);
    }

    fn text(&mut self, what: &str, value: &str) {
        assert!(value.len() >= SINGLE_BYTES_MIN, "{what} is too short to be told from chance");
        self.single(format!("{what} as text"), value.as_bytes().to_vec());
        let lower = value.to_ascii_lowercase();
        if lower != value {
            self.single(format!("{what} in lower case"), lower.into_bytes());
        }
        let bare: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
        if bare != value {
            self.single(format!("{what} without separators"), bare.into_bytes());
        }
        let utf16: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.single(format!("{what} as UTF-16"), utf16);
        self.encoded(what, value.as_bytes());
    }

    /// Hexadecimal and base64 of bytes, base64 at each alignment with the characters that depend on neighbours cut off.
    fn encoded(&mut self, what: &str, bytes: &[u8]) {
        self.single(format!("{what} in hex"), hex(bytes).into_bytes());
        self.single(format!("{what} in upper-case hex"), hex(bytes).to_ascii_uppercase().into_bytes());
        for shift in 0..3 {
            for (alphabet, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
                let mut padded = vec![0; shift];
                padded.extend_from_slice(bytes);
                let text = engine.encode(&padded);
                let skip = [0, 2, 3][shift];
                let keep = padded.len() * 8 / 6;
                if keep > skip {
                    self.single(
                        format!("{what} in {alphabet}, alignment {shift}"),
                        text.as_bytes()[skip..keep].to_vec(),
                    );
                }
            }
        }
    }

    fn place(&mut self, what: &str, latitude: f64, longitude: f64) {
        // Text from 4 decimals (about 11 m) on: a longer spelling begins with the truncated shorter one.
        let cut = |v: f64| {
            let text = format!("{v:.9}");
            let dot = text.find('.').unwrap_or(text.len());
            text.as_bytes()[..dot + 1 + DECIMALS].to_vec()
        };
        self.pair(format!("{what} as decimal text"), cut(latitude), cut(longitude));
        let both = |f: &dyn Fn(f64) -> Vec<u8>| (f(latitude), f(longitude));
        let binary: [(&str, Spelling<'_>); 8] = [
            ("f64 little-endian", &|v| v.to_le_bytes().to_vec()),
            ("f64 big-endian", &|v| v.to_be_bytes().to_vec()),
            ("f32 little-endian", &|v| (v as f32).to_le_bytes().to_vec()),
            ("f32 big-endian", &|v| (v as f32).to_be_bytes().to_vec()),
            ("E7 little-endian", &|v| e7(v).to_le_bytes().to_vec()),
            ("E7 big-endian", &|v| e7(v).to_be_bytes().to_vec()),
            ("E7 text", &|v| e7(v).to_string().into_bytes()),
            ("f64 in hex", &|v| hex(&v.to_be_bytes()).into_bytes()),
        ];
        for (spelling, encode) in binary {
            let (a, b) = both(encode);
            self.pair(format!("{what} as {spelling}"), a, b);
        }
        let mut coordinates = latitude.to_le_bytes().to_vec();
        coordinates.extend_from_slice(&longitude.to_le_bytes());
        self.encoded(&format!("{what} as two f64"), &coordinates);
        let decimal = format!("{latitude},{longitude}");
        self.encoded(&format!("{what} as text"), decimal.as_bytes());
        self.single(format!("{what} as geohash"), geohash(latitude, longitude, 6).into_bytes());
        self.cells(what, latitude, longitude);
    }

    fn cells(&mut self, what: &str, latitude: f64, longitude: f64) {
        let Ok(point) = h3o::LatLng::new(latitude, longitude) else { return };
        for resolution in 8_u8..=15 {
            let Ok(resolution) = h3o::Resolution::try_from(resolution) else { continue };
            let cell = u64::from(point.to_cell(resolution));
            let name = format!("{what} as H3 cell of resolution {}", u8::from(resolution));
            self.single(name.clone(), format!("{cell:x}").into_bytes());
            self.single(format!("{name}, decimal"), cell.to_string().into_bytes());
            self.single(format!("{name}, little-endian"), cell.to_le_bytes().to_vec());
            self.single(format!("{name}, big-endian"), cell.to_be_bytes().to_vec());
        }
    }
}

/// Degrees in units of 10⁻⁷, as many receivers and protocol buffers keep them.
fn e7(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Geohash of `length` characters.
fn geohash(latitude: f64, longitude: f64, length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let (mut lat, mut lng) = ((-90.0, 90.0), (-180.0, 180.0));
    let mut even = true;
    let mut text = String::new();
    for _ in 0..length {
        let mut index = 0;
        for _ in 0..5 {
            let (range, value) = if even { (&mut lng, longitude) } else { (&mut lat, latitude) };
            let middle = f64::midpoint(range.0, range.1);
            index <<= 1;
            if value >= middle {
                index |= 1;
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            even = !even;
        }
        text.push(char::from(ALPHABET[index]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted() -> Vec<Canary> {
        vec![
            Canary::Text { what: "VIN".into(), value: "YV1XZK9V5N2000017".into() },
            Canary::Text { what: "plate".into(), value: "XKZ 48Q".into() },
            Canary::Place { what: "place".into(), latitude: 57.725_374_825_892_84, longitude: 11.849_843_629_550_225 },
        ]
    }

    #[test]
    fn the_control_file_shows_that_every_needle_is_found() {
        let needles = Needles::new(&planted());
        let found = needles.search("control", &needles.control());
        assert_eq!(found.len(), needles.names().len());
        assert!(needles.names().len() > 60);
    }

    #[test]
    fn a_known_geohash() {
        assert_eq!(geohash(57.649_11, 10.407_44, 11), "u4pruydqqvj");
    }

    #[test]
    fn a_latitude_alone_is_no_sighting() {
        let needles = Needles::new(&planted());
        assert!(needles.search("x", b"{\"battery\":57.7253,\"other\":12.0}").is_empty());
        assert!(!needles.search("x", b"{\"lat\":57.72537482,\"lng\":11.84984362}").is_empty());
    }

    #[test]
    fn a_token_inside_base64_is_seen_at_every_alignment() {
        let needles = Needles::new(&planted());
        for prefix in ["", "a", "ab", "abc"] {
            let text = STANDARD_NO_PAD.encode(format!("{prefix}YV1XZK9V5N2000017 and more"));
            assert!(!needles.search("x", text.as_bytes()).is_empty(), "{prefix:?}");
        }
    }
}
