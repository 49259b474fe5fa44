//! The rules that hold on every route (API rules): each in one place, none in a handler.

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod conditional;
pub(crate) mod durations;
pub(crate) mod edge;
pub(crate) mod events;
pub(crate) mod failure;
pub(crate) mod fields;
pub(crate) mod gate;
pub(crate) mod limiter;
pub(crate) mod long;
pub(crate) mod money;
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod pairs;
pub(crate) mod params;
#[cfg(test)]
mod parsers;
pub(crate) mod prefer;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod reply;
pub(crate) mod resource;
pub(crate) mod told;
pub(crate) mod trace;
pub(crate) mod view;
pub(crate) mod words;
