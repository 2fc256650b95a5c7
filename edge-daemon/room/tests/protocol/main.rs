//! The kurento-room protocol, WHIP and WHEP as scripted conversations on a virtual clock.

mod admin;
mod candidates;
mod chat;
mod edge;
mod envelope;
mod handover;
mod joining;
mod layouts;
mod leaving;
mod limits;
mod losses;
mod media;
mod properties;
mod publishing;
mod reconnecting;
mod repeating;
mod speaking;
mod subscribing;
mod volume;
mod watchdog;
mod whip;
