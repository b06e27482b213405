//! Stories, tables and laws of the keyholder's machines.

mod attempt_laws;
mod attempt_story;
mod conditions;
mod grant;
mod support;
