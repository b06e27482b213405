//! Narrowing: a later link may permit less than the one before, never more. Widening is refused, not clipped.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::Window;

use crate::grant::Disclose;
use crate::refused::Refused;

/// The six fields that a delegation repeats and may narrow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope<'a> {
    pub purpose: Purpose,
    pub opens: &'a [AccessClass],
    pub uses: u32,
    pub area: &'a Area,
    pub disclose: Disclose,
    pub window: &'a Window,
}

/// Whether `inner` permits nothing that `outer` does not.
///
/// # Errors
/// The `delegation_widens_…` code of the first field that is wider, in the order of [`Scope`].
pub fn check(outer: &Scope<'_>, inner: &Scope<'_>) -> Result<(), Refused> {
    if inner.purpose != outer.purpose {
        return Err(Refused::DelegationWidensPurpose);
    }
    if !inner.opens.iter().all(|class| outer.opens.contains(class)) {
        return Err(Refused::DelegationWidensOpens);
    }
    if inner.uses > outer.uses {
        return Err(Refused::DelegationWidensUses);
    }
    if !outer.area.encloses(inner.area) {
        return Err(Refused::DelegationWidensArea);
    }
    if inner.disclose > outer.disclose {
        return Err(Refused::DelegationWidensDisclose);
    }
    if !outer.window.encloses(inner.window) {
        return Err(Refused::DelegationWidensWindow);
    }
    Ok(())
}
