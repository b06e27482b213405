//! Both engines keep the promises of the port, and a store survives being closed.

mod backup;
mod engines;
mod keys;
mod model;
mod observe;
mod reopen;
