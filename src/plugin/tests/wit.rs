//! The lines of `wit/` that were released do not change.

use sha2::{Digest, Sha256};

use crate::plugin::folder::hexadecimal;

/// A release adds a directory; what stands here stays. (Line 0.1 is frozen from the release of 0.1.0 on.)
const FROZEN: [(&str, &[u8], &str); 3] = [
    (
        "plugin-0.1/types.wit",
        include_bytes!("../../../wit/plugin-0.1/types.wit"),
        "472a31cf8ba2428a04d7058251f93f939ccdfd39c89bb416d0b544c4d97da31b",
    ),
    (
        "plugin-0.1/host.wit",
        include_bytes!("../../../wit/plugin-0.1/host.wit"),
        "198e3ee8649abfc660dc17e7276895e8f9c5be22bc9417ae00faddaaa3b47c3a",
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
        let digest = hexadecimal(&Sha256::digest(bytes));
        assert_eq!(
            digest, expected,
            "wit/{file} has changed: every built plugin would have to be built anew"
        );
    }
}
