//! The lines of `wit/` that were released do not change.

use sha2::{Digest, Sha256};

/// A release adds a directory; what stands here stays. (Line 0.1 is frozen from the release of 0.1.0 on.)
const FROZEN: [(&str, &[u8], &str); 3] = [
    (
        "plugin-0.1/types.wit",
        include_bytes!("../../../wit/plugin-0.1/types.wit"),
        "bdcf1d14f7ae89a96225d7cfb039adb09dced71c174235a9ccb544054a0817bb",
    ),
    (
        "plugin-0.1/host.wit",
        include_bytes!("../../../wit/plugin-0.1/host.wit"),
        "0e0dfeba7ecb67939d676839d20ef537cdad8285bc86aba472a7652f176ac4aa",
    ),
    (
        "plugin-0.1/hooks.wit",
        include_bytes!("../../../wit/plugin-0.1/hooks.wit"),
        "2cc9be743fc432dfa9c88ff525c00ff6c8a97b13b6b1c419df2a0f8ee04e7c6f",
    ),
];

#[test]
fn released_lines_are_frozen() {
    for (file, bytes, expected) in FROZEN {
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            digest, expected,
            "wit/{file} has changed: every built plugin would have to be built anew"
        );
    }
}
