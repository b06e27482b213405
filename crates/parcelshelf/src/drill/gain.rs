//! What an attack gained, counted by the attacker and by the cars' own records.

use std::collections::BTreeMap;

use parcelshelf_client::Failure;
use serde_json::{Map, Value, json};

/// The outcome of one drill.
#[derive(Debug, Default)]
pub struct Gain {
    /// What the attacker has and the design denies; empty: the attack failed.
    pub won: Vec<String>,
    figures: Map<String, Value>,
    /// Every attack with the codes of its refusals.
    tried: BTreeMap<&'static str, BTreeMap<String, u64>>,
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
    /// An attempt that must be refused.
    pub fn refused<T>(&mut self, attack: &'static str, answer: &Result<T, Failure>) {
        let word = match answer {
            Ok(_) => {
                self.won.push(format!("{attack} was let through"));
                String::from("let_through")
            }
            Err(failure) => failure.code().map_or_else(|| failure.to_string(), str::to_owned),
        };
        self.count(attack, &word);
    }
    /// An answer that proves nothing by itself, counted.
    pub fn count(&mut self, attack: &'static str, word: &str) {
        *self.tried.entry(attack).or_default().entry(word.to_owned()).or_default() += 1;
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
        // The first few say what is wrong; a thousand of the same would hide it.
        let won: Vec<&String> = self.won.iter().take(12).collect();
        json!({"name": name, "attack_succeeded": !self.won.is_empty(), "won": won, "figures": figures})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_through_is_a_gain_and_what_is_refused_is_counted() {
        let mut gain = Gain::default();
        let refused = Failure::Problem {
            status: 403,
            code: String::from("proof_wrong_device"),
            detail: String::new(),
            retry_after_s: None,
        };
        gain.refused("a strange device", &Err::<(), _>(refused));
        assert_eq!(gain.to_json("x")["attack_succeeded"], json!(false));
        gain.refused("a strange device", &Ok(()));
        let told = gain.to_json("x");
        assert_eq!(told["attack_succeeded"], json!(true));
        assert_eq!(told["figures"]["tried"]["a strange device"], json!({"proof_wrong_device": 1, "let_through": 1}));
        assert_eq!(gain.tries(), 2);
    }
}
