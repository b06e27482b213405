//! What dispatch has to look at, decided from what the carrier knows. Pure.

use parcelshelf_core::time::Timestamp;

/// A lid that is open, or of which nobody knows, is somebody's business after this long.
const LID_MS: i64 = 120_000;
/// A courier under way who has not been heard for this long.
const SILENT_MS: i64 = 15 * 60_000;
/// So long before its end a window that has not been used is at risk; a stop takes a quarter of an hour with its way.
const AT_RISK_MS: i64 = 45 * 60_000;

/// Why something is on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// Something may be open at a car.
    Lid,
    /// A parcel is on its way elsewhere, and nobody carries it.
    NoNextStep,
    /// The window ends soon and no courier has set out.
    WindowAtRisk,
    /// The car was said not to be ready.
    NotReady,
    /// Nothing is heard of a courier who is under way.
    SilentCourier,
}
impl Why {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lid => "lid",
            Self::NoNextStep => "no_next_step",
            Self::WindowAtRisk => "window_at_risk",
            Self::NotReady => "not_ready",
            Self::SilentCourier => "silent_courier",
        }
    }
}

/// A delivery as the board sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen<'a> {
    pub phase: &'a str,
    /// What the gateway said last of the car's access.
    pub access: &'a str,
    pub access_since: Option<Timestamp>,
    pub access_ends: Option<Timestamp>,
    pub carried: bool,
    pub ready: Option<&'a str>,
}

/// Why a delivery is on the board, most urgent first.
pub(crate) fn of_delivery(d: &Seen<'_>, now: Timestamp) -> Vec<(Why, Option<Timestamp>)> {
    let mut all = Vec::new();
    if may_be_open(d.access) {
        // Not heard since the start: long enough.
        let long = d.access == "alarm" || d.access_since.is_none_or(|since| now.millis_since(since) > LID_MS);
        if long {
            all.push((Why::Lid, d.access_since));
        }
    }
    if d.phase == "falling_back" && !d.carried {
        all.push((Why::NoNextStep, None));
    }
    let waits = matches!(d.phase, "accepted" | "loaded");
    if waits && d.access_ends.is_some_and(|end| end.millis_since(now) < AT_RISK_MS) {
        all.push((Why::WindowAtRisk, d.access_ends));
    }
    if waits && d.ready == Some("no") {
        all.push((Why::NotReady, None));
    }
    all
}

/// Whether a courier with parcels under way has fallen silent.
pub(crate) fn is_silent(under_way: bool, heard: Option<Timestamp>, now: Timestamp) -> bool {
    under_way && heard.is_none_or(|at| now.millis_since(at) > SILENT_MS)
}

/// The gateway's words for a car at which something may be open.
pub(crate) fn may_be_open(access: &str) -> bool {
    matches!(access, "opening" | "opened" | "closed" | "released" | "recalled" | "alarm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000)
    }
    fn why(d: &Seen<'_>) -> Vec<Why> {
        of_delivery(d, now()).into_iter().map(|(w, _)| w).collect()
    }

    #[test]
    fn a_lid_is_somebodys_business_after_two_minutes_and_an_alarm_at_once() {
        let open = |access, ago_s: i64| Seen {
            phase: "at_stop",
            access,
            access_since: Some(now().plus_seconds(-ago_s)),
            carried: true,
            ..Seen::default()
        };
        assert_eq!(why(&open("opened", 110)), []);
        assert_eq!(why(&open("opened", 121)), [Why::Lid]);
        assert_eq!(why(&open("opening", 121)), [Why::Lid], "nobody knows");
        assert_eq!(why(&open("alarm", 0)), [Why::Lid]);
        assert_eq!(why(&open("located", 999)), []);
        assert_eq!(why(&open("ended", 999)), []);
        let unheard = Seen { access_since: None, ..open("opened", 0) };
        assert_eq!(why(&unheard), [Why::Lid], "after a start nothing is known");
    }

    #[test]
    fn a_parcel_that_nobody_carries_elsewhere_has_no_next_step() {
        let falling = |carried| Seen { phase: "falling_back", carried, ..Seen::default() };
        assert_eq!(why(&falling(false)), [Why::NoNextStep]);
        assert_eq!(why(&falling(true)), []);
    }

    #[test]
    fn a_window_is_at_risk_while_nobody_has_set_out() {
        let ends = |phase, minutes: i64| Seen {
            phase,
            access_ends: Some(now().plus_seconds(minutes * 60)),
            carried: true,
            ..Seen::default()
        };
        assert_eq!(why(&ends("loaded", 44)), [Why::WindowAtRisk]);
        assert_eq!(why(&ends("loaded", 46)), []);
        assert_eq!(why(&ends("leg", 10)), [], "somebody is on the way");
        assert_eq!(why(&Seen { ready: Some("no"), ..ends("accepted", 200) }), [Why::NotReady]);
    }

    #[test]
    fn silence_counts_under_way_only() {
        let ago = |minutes: i64| Some(now().plus_seconds(-minutes * 60));
        assert!(is_silent(true, ago(16), now()) && is_silent(true, None, now()));
        assert!(!is_silent(true, ago(14), now()) && !is_silent(false, None, now()));
    }
}
