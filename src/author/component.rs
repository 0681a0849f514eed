//! From a core module to a component.

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::error::AuthorError;

/// Makes a component of a core module that carries its world in a custom section, as the bindings put it there.
pub(super) fn componentize(module: &[u8], wasi_remedy: &'static str) -> Result<Vec<u8>, AuthorError> {
    refuse_wasi(module, wasi_remedy)?;
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| AuthorError::NoComponent(format!("{error:#}")))
}

fn refuse_wasi(module: &[u8], remedy: &'static str) -> Result<(), AuthorError> {
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| AuthorError::NoComponent(error.to_string()))?;
        let Payload::ImportSection(section) = payload else {
            continue;
        };
        for import in section.into_imports() {
            let import = import.map_err(|error| AuthorError::NoComponent(error.to_string()))?;
            if import.module.starts_with("wasi") {
                imports.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    if imports.is_empty() {
        return Ok(());
    }
    Err(AuthorError::Wasi { imports, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> AuthorError {
        let module = wat::parse_str(text).expect("a module");
        componentize(&module, "do without").expect_err("refused")
    }

    #[test]
    fn a_module_that_wants_wasi_is_refused_with_the_remedy() {
        let error = refusal(
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#,
        );
        assert_eq!(
            error.to_string(),
            "it imports wasi_snapshot_preview1.fd_write, and the gateway has no WASI; do without"
        );
    }

    #[test]
    fn what_carries_no_world_makes_no_component() {
        let error = refusal(r#"(module (import "env" "f" (func)))"#);
        assert!(matches!(error, AuthorError::NoComponent(_)), "{error}");
        let error = componentize(b"MZ", "").expect_err("refused");
        assert!(matches!(error, AuthorError::NoComponent(_)), "{error}");
    }
}
