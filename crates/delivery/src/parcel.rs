//! What may go into a car: every rule by its name.
//!
//! A parcel that breaks a rule is refused with all rules named, at checkout or at the van.

use core::fmt;

use parcelshelf_core::time::Window;

/// Longest sides of a box, millimetres, descending: 66×53×41 cm (26×21×16 in), what fits most trunks beside a spare
/// wheel.
pub const SIDES_MAX_MM: [u32; 3] = [660, 530, 410];
/// 22.7 kg (50 lb): what one person may lift over a sill.
pub const WEIGHT_MAX_G: u32 = 22_700;
/// $1,300, in cents.
pub const VALUE_MAX_USD_CENTS: u64 = 130_000;
/// Heat- or cold-sensitive goods must bear a closed car at least this long, minutes: a long window and the evening.
pub const TEMPERATURE_MINUTES_MIN: u32 = 480;
/// The two lengths of a window that a recipient can choose, minutes.
pub const WINDOW_MINUTES: [i64; 2] = [120, 240];

/// Three capital letters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);
impl Currency {
    /// US dollar.
    pub const USD: Self = Self(*b"USD");
    /// Reads three capital letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }
    #[must_use]
    pub fn code(&self) -> &str {
        // Capital letters by construction.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in the currency's smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    pub minor: u64,
    pub currency: Currency,
}

/// What is inside and what its handing-over needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Goods {
    pub needs_signature: bool,
    pub needs_age_check: bool,
    pub cash_on_delivery: bool,
    pub customs_due: bool,
    pub live: bool,
    pub aerosols: bool,
    pub loose_lithium_cells: bool,
    pub medicine: bool,
    /// Sensitive to heat or cold: the minutes it bears in a closed car. `None`: not sensitive.
    pub bears_closed_car_minutes: Option<u32>,
}

/// What is known of a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ParcelFacts {
    /// Sides in any order, millimetres.
    pub sides_mm: [u32; 3],
    pub weight_g: u32,
    pub value: Money,
    pub goods: Goods,
}
impl ParcelFacts {
    /// Sides in descending order, millimetres.
    #[must_use]
    pub fn sorted_sides_mm(&self) -> [u32; 3] {
        let mut sides = self.sides_mm;
        sides.sort_unstable_by(|a, b| b.cmp(a));
        sides
    }
}

/// A carrier's rules; the default is the product's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Largest sides, millimetres, in any order.
    pub sides_max_mm: [u32; 3],
    pub weight_max_g: u32,
    /// Largest value, per currency. A currency without an entry is refused: unknown counts as no.
    pub value_max: Vec<Money>,
    pub temperature_minutes_min: u32,
    pub window_minutes: Vec<i64>,
}
impl Default for Rules {
    fn default() -> Self {
        Self {
            sides_max_mm: SIDES_MAX_MM,
            weight_max_g: WEIGHT_MAX_G,
            value_max: vec![Money { minor: VALUE_MAX_USD_CENTS, currency: Currency::USD }],
            temperature_minutes_min: TEMPERATURE_MINUTES_MIN,
            window_minutes: WINDOW_MINUTES.to_vec(),
        }
    }
}

/// A rule that a parcel breaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
#[error("{}", self.code())]
pub enum Violation {
    /// A side is zero: no size is known.
    SizeUnknown,
    /// Weight zero: no weight is known.
    WeightUnknown,
    TooLarge,
    TooHeavy,
    TooValuable,
    /// No limit is set for the currency.
    CurrencyWithoutLimit,
    NeedsSignature,
    NeedsAgeCheck,
    CashOnDelivery,
    CustomsDue,
    LiveGoods,
    Aerosols,
    LooseLithiumCells,
    Medicine,
    /// Does not bear heat or cold for long enough.
    TemperatureSensitive,
}
impl Violation {
    pub const ALL: [Self; 15] = [
        Self::SizeUnknown,
        Self::WeightUnknown,
        Self::TooLarge,
        Self::TooHeavy,
        Self::TooValuable,
        Self::CurrencyWithoutLimit,
        Self::NeedsSignature,
        Self::NeedsAgeCheck,
        Self::CashOnDelivery,
        Self::CustomsDue,
        Self::LiveGoods,
        Self::Aerosols,
        Self::LooseLithiumCells,
        Self::Medicine,
        Self::TemperatureSensitive,
    ];
    /// The stable word in problems and outcomes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SizeUnknown => "size_unknown",
            Self::WeightUnknown => "weight_unknown",
            Self::TooLarge => "too_large",
            Self::TooHeavy => "too_heavy",
            Self::TooValuable => "too_valuable",
            Self::CurrencyWithoutLimit => "currency_without_limit",
            Self::NeedsSignature => "needs_signature",
            Self::NeedsAgeCheck => "needs_age_check",
            Self::CashOnDelivery => "cash_on_delivery",
            Self::CustomsDue => "customs_due",
            Self::LiveGoods => "live_goods",
            Self::Aerosols => "aerosols",
            Self::LooseLithiumCells => "loose_lithium_cells",
            Self::Medicine => "medicine",
            Self::TemperatureSensitive => "temperature_sensitive",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.code() == code)
    }
}

/// Judges a parcel.
///
/// # Errors
/// Every [`Violation`], in the order of their declaration.
pub fn check(parcel: &ParcelFacts, rules: &Rules) -> Result<(), Vec<Violation>> {
    let goods = &parcel.goods;
    let limit = rules.value_max.iter().find(|m| m.currency == parcel.value.currency);
    let tests = [
        (parcel.sides_mm.contains(&0), Violation::SizeUnknown),
        (parcel.weight_g == 0, Violation::WeightUnknown),
        (!fits(parcel.sides_mm, rules.sides_max_mm), Violation::TooLarge),
        (parcel.weight_g > rules.weight_max_g, Violation::TooHeavy),
        (limit.is_some_and(|m| parcel.value.minor > m.minor), Violation::TooValuable),
        (limit.is_none(), Violation::CurrencyWithoutLimit),
        (goods.needs_signature, Violation::NeedsSignature),
        (goods.needs_age_check, Violation::NeedsAgeCheck),
        (goods.cash_on_delivery, Violation::CashOnDelivery),
        (goods.customs_due, Violation::CustomsDue),
        (goods.live, Violation::LiveGoods),
        (goods.aerosols, Violation::Aerosols),
        (goods.loose_lithium_cells, Violation::LooseLithiumCells),
        (goods.medicine, Violation::Medicine),
        (
            goods.bears_closed_car_minutes.is_some_and(|m| m < rules.temperature_minutes_min),
            Violation::TemperatureSensitive,
        ),
    ];
    let broken: Vec<_> = tests.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, v)| v).collect();
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

/// Whether a box fits a space in any of its six orientations, along the axes: sorted side by sorted side.
#[must_use]
pub fn fits(mut sides: [u32; 3], mut space: [u32; 3]) -> bool {
    sides.sort_unstable();
    space.sort_unstable();
    sides.iter().zip(space).all(|(side, room)| *side <= room)
}

/// Whether a window has one of the lengths that can be chosen.
#[must_use]
pub fn window_allowed(window: &Window, rules: &Rules) -> bool {
    rules.window_minutes.iter().any(|m| window.millis() == m * 60_000)
}
