//! Whether a VIN, a plate, a place, an owner's login or a maker's token stands in any log of the services. At the level `trace` they say
//! everything that they ever say.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use parcelshelf_simulator::canary::{Canary, Needles};

use super::day::Day;
use super::owner::plate;

/// Cars that are searched for: each has dozens of spellings. Every car of a larger day logs through the same code.
const CARS_MAX: usize = 300;
/// Tokens of each maker that are searched for.
const TOKENS_MAX: usize = 200;
/// Bytes searched at once, and how much of them again with the next.
const PIECE: usize = 16 << 20;
const OVERLAP: u64 = 4 << 10;

/// What was searched, and what was found where.
#[derive(Debug, Default, Clone)]
pub struct Leaks {
    pub searched_bytes: u64,
    pub needles: usize,
    pub found: BTreeSet<String>,
}

/// Searches everything that the services of this run have logged.
///
/// # Errors
/// When a log cannot be read, or the search does not find what it must.
pub fn search(dir: &Path, day: &Day) -> anyhow::Result<Leaks> {
    let mut canaries = Vec::new();
    for (n, (car, errand)) in day.cars.iter().zip(&day.city.errands).enumerate().take(CARS_MAX) {
        let text = |what: &str, value: &str| Canary::Text { what: format!("{what} {n}"), value: value.to_owned() };
        canaries.extend([text("VIN", &car.vin), text("plate", &plate(n)), text("login", &car.login)]);
        let (latitude, longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        canaries.push(Canary::Place { what: format!("place {n}"), latitude, longitude });
    }
    for maker in day.cars.iter().map(|car| car.maker).collect::<BTreeSet<_>>() {
        for (n, value) in day.garages.of(maker).tokens().into_iter().take(TOKENS_MAX).enumerate() {
            canaries.push(Canary::Text { what: format!("token {n} of {maker}"), value });
        }
    }
    let needles = Needles::new(&canaries);
    let control = needles.search("control", &needles.control()).len();
    anyhow::ensure!(control == needles.names().len(), "the search does not find its own needles");
    let mut leaks = Leaks { needles: control, ..Leaks::default() };
    let mut piece = vec![0; PIECE];
    for entry in fs::read_dir(dir.join("log")).context("no logs")? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut file = File::open(&path)?;
        loop {
            let length = fill(&mut file, &mut piece)?;
            leaks.searched_bytes += length as u64;
            let seen = needles.search(&name, piece.get(..length).unwrap_or_default());
            leaks.found.extend(seen.into_iter().map(|s| format!("{} in {}", s.needle, s.haystack)));
            if length < PIECE {
                break;
            }
            // What lies across the border is seen with the next piece.
            let back = i64::try_from(OVERLAP).unwrap_or(0);
            file.seek(SeekFrom::Current(-back))?;
            leaks.searched_bytes -= OVERLAP;
        }
    }
    Ok(leaks)
}

/// Reads until the piece is full or the file ends.
fn fill(file: &mut File, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = piece.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            n => length += n,
        }
    }
    Ok(length)
}
