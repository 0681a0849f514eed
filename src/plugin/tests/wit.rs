//! The lines of `wit/` that were released do not change.

use sha2::{Digest, Sha256};

use crate::plugin::folder::hexadecimal;

/// A release adds a directory; what stands here stays. (Line 0.1 is frozen from the release of 0.1.0 on.)
const FROZEN: [(&str, &[u8], &str); 3] = [
    (
        "plugin-0.1/types.wit",
        include_bytes!("../../../wit/plugin-0.1/types.wit"),
        "7e299f14fa23d87701303c56216097f7f31f32956458d957a19364a5323c115c",
    ),
    (
        "plugin-0.1/host.wit",
        include_bytes!("../../../wit/plugin-0.1/host.wit"),
        "b958587b02157c23aec3880fe6075fde25fa23acb964ccad8827e84c650dede2",
    ),
    (
        "plugin-0.1/hooks.wit",
        include_bytes!("../../../wit/plugin-0.1/hooks.wit"),
        "5c87fb2614e044ca33f07beaf42fe9d45139243cb550ce1a45bb543c17d482b9",
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
