//! Where a car may stand ([`Area`], coarse, shared) and where it does stand ([`Position`], exact, never stored).
//!
//! An area is a set of whole H3 cells of resolution 7 (about 5 km², edge about 1.2 km): coarser than what laws call
//! precise geolocation (radius 1,850 ft = 564 m). One bit "inside or not" is all that leaves the keyholder.

use core::fmt;
use core::str::FromStr as _;

/// The only H3 resolution an area is made of.
pub const AREA_RESOLUTION: u8 = 7;
/// Most cells in one area: about 160 km², a mid-sized town.
pub const AREA_CELLS_MAX: usize = 32;
/// About the distance from a cell's centre to its corners, metres.
const CELL_RADIUS_M: f64 = 1_400.0;
/// Mean radius of the Earth in metres (IUGG R1), for great-circle distances.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// One whole H3 cell of resolution 7.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(h3o::CellIndex);

/// Why a text or set is not an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnArea {
    #[error("a cell is written as 15 lower-case hexadecimal digits of an H3 index of resolution 7")]
    NotACell,
    #[error("an area has 1 to {AREA_CELLS_MAX} cells")]
    CellCount,
    #[error("the cells of an area are in ascending order, each once")]
    NotSorted,
}

impl Cell {
    /// Reads 15 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`NotAnArea::NotACell`] for another spelling, resolution or index.
    pub fn parse(text: &str) -> Result<Self, NotAnArea> {
        if text.len() != 15 || text.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NotAnArea::NotACell);
        }
        let cell = h3o::CellIndex::from_str(text).map_err(|_| NotAnArea::NotACell)?;
        if u8::from(cell.resolution()) == AREA_RESOLUTION { Ok(Self(cell)) } else { Err(NotAnArea::NotACell) }
    }
    /// The cell that holds a position.
    #[must_use]
    pub fn of(position: &Position) -> Self {
        Self(position.lat_lng().to_cell(h3o::Resolution::Seven))
    }
    /// Latitude and longitude of the cell's centre, degrees. A cell is coarse, so its centre is no secret.
    #[must_use]
    pub fn centre(self) -> (f64, f64) {
        let c = h3o::LatLng::from(self.0);
        (c.lat(), c.lng())
    }
    /// The cell's centre as a position that is meant within the cell's radius.
    #[must_use]
    pub fn middle(self) -> Position {
        let (latitude, longitude) = self.centre();
        Position { latitude, longitude, accuracy_m: CELL_RADIUS_M }
    }
    /// The cell and its neighbours out to `rings` steps.
    #[must_use]
    pub fn disk(self, rings: u32) -> Vec<Self> {
        self.0.grid_disk::<Vec<_>>(rings).into_iter().map(Self).collect()
    }
}
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", u64::from(self.0))
    }
}
impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({self})")
    }
}

/// One to 32 whole cells, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Area(Vec<Cell>);

impl Area {
    /// # Errors
    /// [`NotAnArea`] unless there are 1 to 32 cells in strictly ascending order.
    pub fn new(cells: Vec<Cell>) -> Result<Self, NotAnArea> {
        if cells.is_empty() || cells.len() > AREA_CELLS_MAX {
            return Err(NotAnArea::CellCount);
        }
        if cells.windows(2).any(|w| w[0] >= w[1]) {
            return Err(NotAnArea::NotSorted);
        }
        Ok(Self(cells))
    }
    /// # Errors
    /// [`NotAnArea`] as for [`Area::new`] and [`Cell::parse`].
    pub fn parse<S: AsRef<str>>(cells: &[S]) -> Result<Self, NotAnArea> {
        if cells.len() > AREA_CELLS_MAX {
            return Err(NotAnArea::CellCount);
        }
        Self::new(cells.iter().map(|c| Cell::parse(c.as_ref())).collect::<Result<_, _>>()?)
    }
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.0
    }
    /// Spelled cells in order, as the wire carries them.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(Cell::to_string).collect()
    }
    #[must_use]
    pub fn contains(&self, position: &Position) -> bool {
        self.0.binary_search(&Cell::of(position)).is_ok()
    }
    /// Whether every cell of `inner` is also in `self`.
    #[must_use]
    pub fn encloses(&self, inner: &Self) -> bool {
        inner.0.iter().all(|c| self.0.binary_search(c).is_ok())
    }
    /// Whether `position` is inside, or at most `margin_m` metres from a point inside. The margin is walked in 16
    /// directions and 4 distances, which is finer than a cell's edge for margins up to about 1.5 km.
    #[must_use]
    pub fn within(&self, position: &Position, margin_m: f64) -> bool {
        if self.contains(position) {
            return true;
        }
        (0..16).any(|d| {
            (1..=4).any(|r| self.contains(&position.moved(f64::from(d) * 22.5, margin_m * f64::from(r) / 4.0)))
        })
    }
}

/// A point on the Earth, WGS 84 degrees, with the radius in metres within which it is meant. Does not print.
#[derive(Clone, Copy, PartialEq)]
pub struct Position {
    latitude: f64,
    longitude: f64,
    accuracy_m: f64,
}

/// Degrees or accuracy out of range, or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position: latitude -90 to 90, longitude -180 to 180, accuracy 0 to 100000 m are expected")]
pub struct NotAPosition;

impl Position {
    /// # Errors
    /// [`NotAPosition`] when a number is not finite or out of range.
    pub fn new(latitude_deg: f64, longitude_deg: f64, accuracy_m: f64) -> Result<Self, NotAPosition> {
        let ok = (-90.0..=90.0).contains(&latitude_deg)
            && (-180.0..=180.0).contains(&longitude_deg)
            && (0.0..=100_000.0).contains(&accuracy_m);
        if ok { Ok(Self { latitude: latitude_deg, longitude: longitude_deg, accuracy_m }) } else { Err(NotAPosition) }
    }
    #[must_use]
    pub const fn latitude_deg(&self) -> f64 {
        self.latitude
    }
    #[must_use]
    pub const fn longitude_deg(&self) -> f64 {
        self.longitude
    }
    #[must_use]
    pub const fn accuracy_m(&self) -> f64 {
        self.accuracy_m
    }
    /// Great-circle distance in metres (haversine; error below 0.6 % against the ellipsoid).
    #[must_use]
    pub fn distance_m(&self, other: &Self) -> f64 {
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let (dlat, dlng) = (lat2 - lat1, (other.longitude - self.longitude).to_radians());
        let a = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlng / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_M * a.sqrt().min(1.0).asin()
    }
    /// The point `distance_m` metres away in direction `bearing_deg` (0 = north, clockwise), same accuracy.
    #[must_use]
    pub fn moved(&self, bearing_deg: f64, distance_m: f64) -> Self {
        let (lat, b, d) = (self.latitude.to_radians(), bearing_deg.to_radians(), distance_m / EARTH_RADIUS_M);
        let lat2 = (lat.sin() * d.cos() + lat.cos() * d.sin() * b.cos()).asin();
        let lng2 =
            self.longitude.to_radians() + (b.sin() * d.sin() * lat.cos()).atan2(d.cos() - lat.sin() * lat2.sin());
        let lng_deg = (lng2.to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
        Self {
            latitude: lat2.to_degrees().clamp(-90.0, 90.0),
            longitude: lng_deg.clamp(-180.0, 180.0),
            accuracy_m: self.accuracy_m,
        }
    }
    fn lat_lng(&self) -> h3o::LatLng {
        // Both are finite and in range by construction; the fallback cannot be reached and is still a valid point.
        h3o::LatLng::new(self.latitude, self.longitude).unwrap_or_default()
    }
}
impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(lat: f64, lng: f64) -> Position {
        Position::new(lat, lng, 5.0).unwrap()
    }

    #[test]
    fn a_position_does_not_print() {
        assert_eq!(format!("{:?}", at(57.7, 11.9)), "Position(<redacted>)");
    }

    #[test]
    fn cells_of_another_resolution_or_spelling_are_refused() {
        let cell = Cell::of(&at(57.725, 11.849));
        assert_eq!(Cell::parse(&cell.to_string()), Ok(cell));
        assert!(Cell::parse(&cell.to_string().to_uppercase()).is_err());
        assert!(Cell::parse("881f1d48a1fffff").is_err(), "resolution 8");
        assert_eq!(Area::new(vec![cell, cell]), Err(NotAnArea::NotSorted));
        assert_eq!(Area::new(vec![]), Err(NotAnArea::CellCount));
    }

    proptest! {
        #[test]
        fn moving_away_moves_as_far_as_said(lat in -80.0..80.0f64, lng in -179.0..179.0f64, bearing in 0.0..360.0f64, d in 1.0..2_000.0f64) {
            let a = at(lat, lng);
            prop_assert!((a.distance_m(&a.moved(bearing, d)) - d).abs() < 0.01 + d * 1e-6);
        }
        #[test]
        fn an_area_contains_what_its_cell_contains(lat in -80.0..80.0f64, lng in -179.0..179.0f64) {
            let a = at(lat, lng);
            let area = Area::new(vec![Cell::of(&a)]).unwrap();
            prop_assert!(area.contains(&a) && area.within(&a, 1_000.0));
            prop_assert!(!area.within(&a.moved(90.0, 20_000.0), 1_000.0));
        }
    }
}
