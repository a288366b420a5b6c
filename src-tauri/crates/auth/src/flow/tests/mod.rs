//! The flow against scripted worlds and against random ones. Each test is named after the rule
//! that it holds.

mod by_name;
mod callback;
mod endings;
mod issuers;
mod ladder;
mod preflight;
mod properties;
mod random_world;
mod requests;
mod resource;
mod ride;
mod second_document;
mod stepping_down;
mod survey;
mod world;
