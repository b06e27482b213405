//! Durable steps by name, for tests that kill a process at an exact point. `None` in production.

use std::sync::Arc;

use parcelshelf_store::sqlite::{Fate, OnStep, Step};

/// What a test does at a step.
pub trait Hook: Send + Sync {
    /// It has been reached. Whoever wants to stop the process here does not return.
    fn reached(&self, step: &str);
    /// Whether the commit at this step fails.
    fn fails(&self, step: &str) -> bool;
}

/// Hears `before:KIND` and `after:KIND` of every journal entry's commit.
pub type Steps = Option<Arc<dyn Hook>>;

/// The engine's hook that tells it.
#[must_use]
pub fn on_step(steps: &Steps) -> Option<OnStep> {
    let steps = Arc::clone(steps.as_ref()?);
    Some(Arc::new(move |step: Step<'_>| {
        let (word, kinds) = match step {
            Step::BeforeCommit { journal_kinds } => ("before", journal_kinds),
            Step::AfterCommit { journal_kinds } => ("after", journal_kinds),
        };
        let mut fate = Fate::Goes;
        for kind in kinds {
            let step = format!("{word}:{kind}");
            steps.reached(&step);
            if word == "before" && steps.fails(&step) {
                fate = Fate::Fails;
            }
        }
        fate
    }))
}
