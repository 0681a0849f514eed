//! What `portcullis plugin` does for the authors of plugins: from an empty folder to a tested component, with nothing to
//! install but the language.

pub mod anatomy;
pub mod bench;
pub mod build;
mod c;
pub mod cases;
mod component;
pub mod create;
pub mod dev;
pub mod doctor;
pub mod error;
mod js;
pub mod kit;
mod paths;
mod python;
mod rust;
pub mod signing;
mod template;
mod tool;
pub mod toolchain;
mod trial;
mod wit;

pub use anatomy::Anatomy;
pub use build::build;
pub use error::AuthorError;
