//! What an attack gained, counted by the attacker and by the cars' own records.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use anyhow::ensure;
use parcelshelf_client::Failure;
use serde_json::{Map, Value, json};

/// So many of a kind are named; a thousand of the same would hide what is wrong.
const TOLD: usize = 12;

/// The outcome of one drill.
#[derive(Debug, Default)]
pub struct Gain {
    /// What the attacker has and the design denies; empty: the attack failed.
    pub won: Vec<String>,
    figures: Map<String, Value>,
    /// Every attack with the codes of its refusals.
    tried: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Attempts that came to nothing for another reason than the one that is drilled.
    astray: Vec<String>,
}

impl Gain {
    /// A figure of the report.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }
    /// The attacker has something that the design denies.
    pub fn win(&mut self, what: impl Into<String>) {
        self.won.push(what.into());
    }
    /// The attack wins if this does not hold.
    pub fn must(&mut self, holds: bool, or_else: impl FnOnce() -> String) {
        if !holds {
            self.won.push(or_else());
        }
    }
    /// An attempt that must be refused, with one of these codes. A service that is down refuses nobody, and a request that
    /// nobody understands tries nothing: the drill ends with an error then.
    pub fn refused<T>(&mut self, attack: &'static str, codes: &[&str], answer: &Result<T, impl Borrow<Failure>>) {
        let word = match answer {
            Ok(_) => {
                self.won.push(format!("{attack} was let through"));
                String::from("let_through")
            }
            Err(failure) => {
                let failure = failure.borrow();
                failure.code().map_or_else(|| failure.to_string(), str::to_owned)
            }
        };
        if answer.is_err() && !codes.contains(&word.as_str()) {
            self.astray.push(format!("{attack}: {word}, not {}", codes.join(" or ")));
        }
        self.count(attack, &word);
    }
    /// Something has to have happened so often: who attacked nothing has gained nothing, and shows nothing.
    pub fn at_least(&mut self, least: u64, of: u64, what: &str) {
        if of < least {
            self.astray.push(format!("{what}: {of}, which is less than {least}"));
        }
    }
    /// Whether everything was tried that this says. What was won counts in any case.
    ///
    /// # Errors
    /// When something was not.
    pub fn tried_all(self) -> anyhow::Result<Self> {
        let (astray, won) = (self.astray.len(), self.won.len());
        let some = self.astray.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
        ensure!(astray == 0 || won > 0, "{astray} attempts tried nothing: {some}");
        Ok(self)
    }
    /// An answer that proves nothing by itself, counted.
    pub fn count(&mut self, attack: &'static str, word: &str) {
        *self.tried.entry(attack).or_default().entry(word.to_owned()).or_default() += 1;
    }
    /// What another part of the same drill has gained.
    pub fn add(&mut self, other: Self) {
        self.won.extend(other.won);
        self.figures.extend(other.figures);
        self.astray.extend(other.astray);
        for (attack, codes) in other.tried {
            let sum = self.tried.entry(attack).or_default();
            for (code, times) in codes {
                *sum.entry(code).or_default() += times;
            }
        }
    }
    /// How often an attack was tried.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.tried.values().flat_map(BTreeMap::values).sum()
    }

    /// The drill's entry in the report.
    #[must_use]
    pub fn to_json(&self, name: &str) -> Value {
        let mut figures = self.figures.clone();
        if !self.tried.is_empty() {
            figures.insert(String::from("tried"), json!(self.tried));
        }
        let won: Vec<&String> = self.won.iter().take(TOLD).collect();
        json!({"name": name, "attack_succeeded": !self.won.is_empty(), "won": won, "figures": figures})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Failure {
        Failure::Problem { status, code: code.to_owned(), detail: String::new(), retry_after_s: None }
    }

    #[test]
    fn what_is_let_through_is_a_gain_and_what_is_refused_is_counted() {
        let mut gain = Gain::default();
        let refused = problem(403, "proof_wrong_device");
        gain.refused("a strange device", &["proof_wrong_device"], &Err::<(), _>(refused));
        let mut gain = gain.tried_all().unwrap();
        assert_eq!(gain.to_json("x")["attack_succeeded"], json!(false));
        gain.refused("a strange device", &["proof_wrong_device"], &Ok::<(), Failure>(()));
        let mut sum = Gain::default();
        sum.count("a strange device", "let_through");
        sum.add(gain);
        let told = sum.to_json("x");
        assert_eq!(told["attack_succeeded"], json!(true));
        let gain = sum;
        assert_eq!(told["figures"]["tried"]["a strange device"], json!({"proof_wrong_device": 1, "let_through": 2}));
        assert_eq!(gain.tries(), 3);
    }

    #[test]
    fn whoever_is_not_there_refuses_nobody() {
        for failure in [
            Failure::Unexpected("not JSON"),
            problem(503, "store_busy"),
            problem(404, "not_found"),
            problem(422, "body_malformed"),
        ] {
            let mut gain = Gain::default();
            gain.refused("a strange device", &["proof_wrong_device"], &Err::<(), _>(failure));
            let told = format!("{:#}", gain.tried_all().unwrap_err());
            assert!(told.contains("a strange device") && told.contains("proof_wrong_device"), "{told}");
        }
    }

    #[test]
    fn a_drill_that_attacked_nothing_is_none_and_one_that_won_has_won() {
        let mut gain = Gain::default();
        gain.at_least(3, 3, "openings");
        let mut gain = gain.tried_all().unwrap();
        gain.at_least(1, 0, "blocks that were first");
        gain.win("a place");
        let gain = gain.tried_all().unwrap();
        assert_eq!(gain.to_json("x")["attack_succeeded"], json!(true));
        let mut nothing = Gain::default();
        nothing.at_least(1, 0, "blocks that were first");
        assert!(nothing.tried_all().is_err());
    }
}
