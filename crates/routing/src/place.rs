//! A stop as a phone sees it.

use parcelshelf_core::area::{Cell, Position};

/// Where a stop is, as far as the phone may know. A hidden stop carries no place, so nothing can read one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    Known(Position),
    Hidden(Cell),
}

impl Place {
    /// The place to reckon with: the place itself, or the centre of the area.
    #[must_use]
    pub fn reckoned(&self) -> Position {
        match self {
            Self::Known(place) => *place,
            Self::Hidden(cell) => cell.middle(),
        }
    }
    /// The cell in which the stop lies; of a hidden stop it is all that is known.
    #[must_use]
    pub fn cell(&self) -> Cell {
        match self {
            Self::Known(place) => Cell::of(place),
            Self::Hidden(cell) => *cell,
        }
    }
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden(_))
    }
}
