//! One program for all targets: `FUZZ_TARGET` names the one to run, everything else is libFuzzer's.

#![no_main]

use std::sync::LazyLock;

mod targets;

static CHOSEN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET names none of {:?}", targets::TARGETS.map(|(n, _)| n))).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| CHOSEN(data));
