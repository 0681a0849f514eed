//! Plugins for tests: real components, made of text as authors' tools make them of code.

mod guest;
mod image;
mod trial;

pub(crate) use guest::{EVIL, Guest, RESULT};
pub(crate) use image::Image;
pub(crate) use trial::Trial;
