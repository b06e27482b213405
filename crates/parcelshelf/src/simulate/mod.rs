//! A whole day over real HTTP.

pub mod conductor;
pub mod quiet;
