//! Simulated makers' clouds, the people around a car, and the tools that judge a run from outside.

pub mod canary;
pub mod clock;
pub mod cloud;
pub mod garage;
pub mod homeassistant;
pub mod onstar;
pub mod sabotage;
pub mod smartcar;
pub mod tesla;
pub mod volvo;
pub mod wire;
pub mod wiretap;
