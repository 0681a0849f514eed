//! What `wit/` becomes in Rust: one module per released line, and the newest line's types for the rest of the gateway.
//!
//! A second line gets a module beside [`v0_1`] and conversions to the types of the newest one; nothing outside this
//! file changes.

/// Line 0.1.
#[expect(missing_docs, reason = "generated: the documentation stands in wit/")]
pub(super) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "wit/plugin-0.1",
        // A world of the host's own: a stock world never names what has to be granted.
        inline: "
            package portcullis:host;
            world every-plugin {
                include portcullis:plugin/policy@0.1.0;
                import portcullis:plugin/random@0.1.0;
                import portcullis:plugin/kv@0.1.0;
                import portcullis:plugin/http@0.1.0;
                import portcullis:plugin/schema@0.1.0;
            }
        ",
        world: "portcullis:host/every-plugin",
        imports: {
            "portcullis:plugin/http": async | trappable,
            "portcullis:plugin/schema": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
    });
}

pub(super) use v0_1::exports::portcullis::plugin as guest;
pub(super) use v0_1::portcullis::plugin as host;
pub(super) use v0_1::portcullis::plugin::types;
