//! The tools for authors, as far as no compiler is needed: `tests/author` has the rest.

mod folder;
mod new;
mod signing;
mod toolchains;
