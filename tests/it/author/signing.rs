//! `plugin keygen`, `sign` and `verify`.

use super::folder::Folder;

#[test]
fn a_signature_is_of_these_bytes_and_this_key() {
    let folder = Folder::new("sign");
    folder.write("p/plugin.toml", "manifest");
    folder.write("p/plugin.wasm", "component");
    let key = folder.does(&["keygen", "a.key"]);
    let other = folder.does(&["keygen", "b.key"]);
    assert!(key.starts_with("ed25519:") && key != other, "{key}");
    folder.does(&["sign", "p", "--key", "a.key"]);
    folder.does(&["verify", "p"]);
    folder.does(&["verify", "p", "--trusted", other.trim(), "--trusted", key.trim()]);
    let why = folder.refuses(&["verify", "p", "--trusted", other.trim()]);
    assert!(why.contains("not trusted"), "{why}");
    folder.write("p/plugin.wasm", "another");
    let why = folder.refuses(&["verify", "p"]);
    assert!(why.contains("was changed after it was made"), "{why}");
    let why = folder.refuses(&["sign", "p", "--key", "p/plugin.toml"]);
    assert!(why.contains("this is no secret key"), "{why}");
}

#[cfg(unix)]
#[test]
fn a_key_is_for_its_owner_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("key");
    folder.does(&["keygen", "a.key"]);
    let path = folder.path().join("a.key");
    let first = std::fs::read_to_string(&path).expect("it is there");
    let mode = std::fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    folder.refuses(&["keygen", "a.key"]);
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), first);
}
