//! Durable steps by name, for tests that kill a process at an exact point. `None` in production.

use std::sync::Arc;

use parcelshelf_store::sqlite::{OnStep, Step};

/// Hears `before:KIND` and `after:KIND` of every journal entry's commit.
pub type Steps = Option<Arc<dyn Fn(&str) + Send + Sync>>;

/// The engine's hook that tells it.
#[must_use]
pub fn on_step(steps: &Steps) -> Option<OnStep> {
    let steps = Arc::clone(steps.as_ref()?);
    Some(Arc::new(move |step: Step<'_>| {
        let (word, kinds) = match step {
            Step::BeforeCommit { journal_kinds } => ("before", journal_kinds),
            Step::AfterCommit { journal_kinds } => ("after", journal_kinds),
        };
        for kind in kinds {
            steps(&format!("{word}:{kind}"));
        }
    }))
}
