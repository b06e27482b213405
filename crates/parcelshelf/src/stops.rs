//! Stops of a file: CSV with the header `id,latitude,longitude`; the row `depot` is where vans start.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_core::area::Position;

use crate::simulate::dice::Dice;

/// Most stops that are read from a file.
pub const STOPS_MAX: usize = 100_000;
/// Doors of an invented city.
const INVENTED: u64 = 4_000;
/// Within how many metres a stop of a file is meant.
const ACCURACY_M: f64 = 10.0;

/// What a file holds.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Stops {
    /// In the order of the file, the depot left out.
    pub stops: Vec<Position>,
    pub depot: Option<Position>,
}

impl Stops {
    /// # Errors
    /// When the file cannot be read, has no stops or more than 100,000, or a row is not `id,latitude,longitude` with real
    /// coordinates; the message names the row.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(file).with_context(|| format!("{} is not a file of stops", path.display()))
    }

    /// An invented city: a depot and some thousand doors within a dozen kilometres, thicker towards the middle.
    ///
    /// # Panics
    /// Never: every place is near one that is on Earth.
    #[must_use]
    pub fn invented(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let depot = Position::new(30.4, -97.7, ACCURACY_M).expect("a place on Earth");
        let door = |n| depot.moved(360.0 * dice.share("bearing", n), 300.0 + 12_000.0 * dice.share("away", n));
        Self { stops: (0..INVENTED).map(door).collect(), depot: Some(depot) }
    }

    /// # Errors
    /// As for [`Stops::read`].
    pub fn parse(input: impl Read) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
        ensure!(
            reader.headers()?.iter().take(3).eq(["id", "latitude", "longitude"]),
            "the first row is the header id,latitude,longitude"
        );
        let mut all = Self::default();
        for (n, row) in reader.records().enumerate() {
            let row_number = n + 2;
            let row = row.with_context(|| format!("row {row_number} cannot be read"))?;
            let degrees = |i: usize| row.get(i).and_then(|t| t.parse::<f64>().ok());
            let (Some(id), Some(latitude), Some(longitude)) = (row.get(0), degrees(1), degrees(2)) else {
                bail!("row {row_number}: each row has id,latitude,longitude");
            };
            let place = Position::new(latitude, longitude, ACCURACY_M)
                .map_err(|_| anyhow::anyhow!("row {row_number}: not a place on Earth"))?;
            if id == "depot" {
                ensure!(all.depot.replace(place).is_none(), "row {row_number}: there is a depot already");
            } else {
                ensure!(all.stops.len() < STOPS_MAX, "row {row_number}: more than {STOPS_MAX} stops");
                all.stops.push(place);
            }
        }
        ensure!(!all.stops.is_empty(), "there are no stops");
        Ok(all)
    }

    /// The depot, or the first stop of a file without one.
    #[must_use]
    pub fn depot_or_first(&self) -> Option<Position> {
        self.depot.or_else(|| self.stops.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Stops::parse(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn stops_and_a_depot_are_read() {
        let all = Stops::parse("id,latitude,longitude\ndepot,30.4,-97.7\n1, 30.5 ,-97.6\n".as_bytes()).unwrap();
        assert_eq!((all.stops.len(), all.depot.is_some()), (1, true));
    }

    #[test]
    fn a_bad_row_is_refused_by_its_number() {
        let header = "id,latitude,longitude\n1,1,1\n";
        for bad in ["2,x,1\n", "2,91,1\n", "2,NaN,1\n", "2,1\n", "depot,1,1\ndepot,1,1\n"] {
            let said = refusal(&format!("{header}{bad}"));
            assert!(said.contains("row 3") || said.contains("row 4"), "{said}");
        }
        assert!(refusal("lat,lng\n1,2\n").contains("header"));
        assert!(refusal("id,latitude,longitude\n").contains("no stops"));
    }
}
