//! Which parcels may go into a car. A parcel that breaks a rule is refused with the rule named, at checkout or at the van.

/// What a carrier knows of a parcel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParcelFacts {
    /// Outer dimensions in millimetres, in any order.
    pub size_mm: [u32; 3],
    pub weight_g: u32,
    pub value: Money,
    pub traits: Vec<Trait>,
    /// Longest time from the van into a car that the goods bear, minutes; `None`: no limit.
    pub bears_minutes_in_car: Option<u32>,
}

/// An amount in the smallest unit of an ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Money {
    pub minor: u64,
    pub currency: [u8; 3],
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word in interfaces.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code),+ } }
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> { Self::ALL.iter().copied().find(|c| c.code() == code) }
        }
    };
}

words! {
    /// What a parcel needs or holds that a locked trunk cannot give.
    Trait {
        Signature = "signature", AgeCheck = "age_check", CashOnDelivery = "cash_on_delivery", Customs = "customs",
        LiveGoods = "live_goods", Aerosol = "aerosol", LooseLithiumCells = "loose_lithium_cells", Medicine = "medicine",
    }
}

words! {
    /// A broken rule.
    Violation {
        TooLarge = "too_large", TooHeavy = "too_heavy", TooValuable = "too_valuable",
        /// The value is in a currency for which no limit is configured: unknown counts as no.
        UnknownCurrency = "unknown_currency",
        NoDimensions = "no_dimensions",
        SignatureNeeded = "signature_needed", AgeCheckNeeded = "age_check_needed", CashNeeded = "cash_needed",
        CustomsNeeded = "customs_needed", LiveGoods = "live_goods", Aerosol = "aerosol",
        LooseLithiumCells = "loose_lithium_cells", Medicine = "medicine", HeatOrColdSensitive = "heat_or_cold_sensitive",
    }
}

/// Limits, configurable by the carrier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Largest box in millimetres; a parcel fits if it fits in some orientation along the axes.
    pub box_mm: [u32; 3],
    pub weight_g_max: u32,
    /// Largest value per currency.
    pub value_max: Vec<Money>,
    /// Goods must bear a car for at least this long, minutes: until their owner comes.
    pub minutes_in_car: u32,
}

impl Default for Rules {
    /// 66×53×41 cm (26×21×16 in), 22.7 kg (50 lb), 1,300 dollars or euros; goods must bear a car for four hours.
    fn default() -> Self {
        let limit = |currency: &[u8; 3]| Money { minor: 130_000, currency: *currency };
        Self {
            box_mm: [660, 530, 410],
            weight_g_max: 22_700,
            value_max: vec![limit(b"USD"), limit(b"EUR")],
            minutes_in_car: 240,
        }
    }
}

/// Checks a parcel against all rules.
///
/// # Errors
/// Every broken rule, in the order of [`Violation`].
pub fn check(parcel: &ParcelFacts, rules: &Rules) -> Result<(), Vec<Violation>> {
    let mut broken = Vec::new();
    let mut rule = |broken_if: bool, violation| {
        if broken_if {
            broken.push(violation);
        }
    };
    let (mut size, mut room) = (parcel.size_mm, rules.box_mm);
    size.sort_unstable();
    room.sort_unstable();
    rule(size.iter().zip(room).any(|(s, r)| *s > r), Violation::TooLarge);
    rule(parcel.weight_g > rules.weight_g_max, Violation::TooHeavy);
    match rules.value_max.iter().find(|m| m.currency == parcel.value.currency) {
        Some(most) => rule(parcel.value.minor > most.minor, Violation::TooValuable),
        None => rule(true, Violation::UnknownCurrency),
    }
    rule(parcel.size_mm.contains(&0) || parcel.weight_g == 0, Violation::NoDimensions);
    for (needs, violation) in [
        (Trait::Signature, Violation::SignatureNeeded),
        (Trait::AgeCheck, Violation::AgeCheckNeeded),
        (Trait::CashOnDelivery, Violation::CashNeeded),
        (Trait::Customs, Violation::CustomsNeeded),
        (Trait::LiveGoods, Violation::LiveGoods),
        (Trait::Aerosol, Violation::Aerosol),
        (Trait::LooseLithiumCells, Violation::LooseLithiumCells),
        (Trait::Medicine, Violation::Medicine),
    ] {
        rule(parcel.traits.contains(&needs), violation);
    }
    rule(parcel.bears_minutes_in_car.is_some_and(|m| m < rules.minutes_in_car), Violation::HeatOrColdSensitive);
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shoes() -> ParcelFacts {
        ParcelFacts {
            size_mm: [350, 250, 130],
            weight_g: 1_200,
            value: Money { minor: 8_900, currency: *b"EUR" },
            traits: vec![],
            bears_minutes_in_car: None,
        }
    }

    #[test]
    fn every_rule_is_named() {
        assert_eq!(check(&shoes(), &Rules::default()), Ok(()));
        let with = |change: &dyn Fn(&mut ParcelFacts)| {
            let mut parcel = shoes();
            change(&mut parcel);
            check(&parcel, &Rules::default()).unwrap_err()
        };
        assert_eq!(with(&|p| p.size_mm = [661, 530, 410]), [Violation::TooLarge]);
        assert_eq!(with(&|p| p.weight_g = 22_701), [Violation::TooHeavy]);
        assert_eq!(with(&|p| p.value.minor = 130_001), [Violation::TooValuable]);
        assert_eq!(with(&|p| p.value.currency = *b"SEK"), [Violation::UnknownCurrency]);
        assert_eq!(with(&|p| p.size_mm[1] = 0), [Violation::NoDimensions]);
        assert_eq!(with(&|p| p.bears_minutes_in_car = Some(239)), [Violation::HeatOrColdSensitive]);
        for needs in Trait::ALL {
            assert_eq!(with(&|p| p.traits = vec![*needs]).len(), 1, "{needs:?}");
        }
        assert_eq!(
            with(&|p| (p.weight_g, p.traits) = (30_000, vec![Trait::Aerosol])),
            [Violation::TooHeavy, Violation::Aerosol]
        );
    }

    proptest! {
        #[test]
        fn turning_a_box_changes_nothing(mut size in proptest::array::uniform3(1..900u32), turns in 0..3usize) {
            let parcel = ParcelFacts { size_mm: size, ..shoes() };
            size.rotate_left(turns);
            let turned = ParcelFacts { size_mm: size, ..shoes() };
            prop_assert_eq!(check(&parcel, &Rules::default()), check(&turned, &Rules::default()));
        }
        #[test]
        fn less_of_everything_breaks_no_more_rules(size in proptest::array::uniform3(1..900u32), weight in 1..40_000u32, minor in 0..200_000u64) {
            let parcel = ParcelFacts { size_mm: size, weight_g: weight, value: Money { minor, currency: *b"USD" }, ..shoes() };
            let less = ParcelFacts { size_mm: size.map(|s| s.div_ceil(2)), weight_g: weight.div_ceil(2), value: Money { minor: minor / 2, currency: *b"USD" }, ..shoes() };
            let broken = |p: &ParcelFacts| check(p, &Rules::default()).err().unwrap_or_default();
            prop_assert!(broken(&less).iter().all(|v| broken(&parcel).contains(v)));
        }
    }
}
