//! The token file and the address file, on a real disk.

use std::os::unix::fs::PermissionsExt;

use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-state-{}", Uuid::new_v4()));
        fs::create_dir(&path).expect("the temporary directory is writable");
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("deep/state")
    }

    fn token_file(&self) -> PathBuf {
        self.state().join("admin-token")
    }

    fn prepared(&self) -> Result<String, String> {
        let token = prepare(&self.token_file()).map_err(|error| error.to_string())?;
        Ok(token.expose().to_owned())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_token_is_made_once_for_its_owner_alone() {
    let directory = Directory::new();
    let token = directory.prepared().expect("a fresh directory");
    assert_eq!(token.len(), 64);
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(
        (mode(&directory.state()), mode(&directory.token_file())),
        (0o700, 0o600)
    );
    assert_eq!(directory.prepared(), Ok(token.clone()), "it stays what it is");
    let names: Vec<_> = fs::read_dir(directory.state())
        .expect("it is there")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(names, ["admin-token"], "nothing else is left behind");
    assert_ne!(Directory::new().prepared(), Ok(token));
}

#[test]
fn of_many_starts_at_once_one_makes_the_token() {
    let directory = Directory::new();
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| directory.prepared())).collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("no panic"))
            .collect()
    });
    assert!(tokens[0].is_ok());
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
fn what_others_could_have_read_or_written_is_refused_with_the_remedy() {
    let directory = Directory::new();
    let token = directory.prepared().expect("a fresh directory");
    let (state, file) = (directory.state(), directory.token_file());
    for exposed in [0o644, 0o640, 0o620, 0o601] {
        chmod(&file, exposed);
        let error = directory.prepared().expect_err("others have access");
        assert!(
            error.contains(&format!("chmod 600 {}", file.display())),
            "{error}"
        );
        assert!(!error.contains(&token));
    }
    chmod(&file, 0o400);
    assert_eq!(directory.prepared(), Ok(token.clone()));
    chmod(&state, 0o777);
    let error = directory.prepared().expect_err("others can write there");
    assert!(
        error.ends_with(&format!("; chmod 700 {}", state.display())),
        "{error}"
    );
    chmod(&state, 0o755);
    assert_eq!(
        directory.prepared(),
        Ok(token),
        "others may see that there is a token"
    );
}

#[test]
fn what_is_no_token_is_not_replaced() {
    let directory = Directory::new();
    directory.prepared().expect("a fresh directory");
    let file = directory.token_file();
    for text in ["", "short", &"x ".repeat(40), &"é".repeat(40)] {
        fs::write(&file, text).expect("it is ours");
        let error = directory.prepared().expect_err("no token");
        assert!(
            error.contains("holds no token") && error.contains("remove the file"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
    }
    fs::write(&file, format!("  {}\r\n", "x".repeat(32))).expect("it is ours");
    assert_eq!(directory.prepared(), Ok("x".repeat(32)), "written by hand");
}

#[test]
fn the_addresses_are_those_of_a_running_gateway() {
    // Where the admin API is not served nobody has made the directory for its token.
    let directory = Directory::new();
    let state = directory.state();
    let written = Addresses {
        address: "127.0.0.1:4100".parse().expect("an address"),
        admin: Some("127.0.0.1:4101".parse().expect("an address")),
    };
    let not_running = |what: &str| {
        assert!(
            matches!(addresses(&state), Err(StateError::NotRunning(_))),
            "{what}"
        );
    };
    not_running("before the first start");
    let claim = Claim::new(&state, &written)
        .expect("writable")
        .expect("the first one");
    assert_eq!(addresses(&state).expect("it runs"), written);
    assert_eq!(mode(&state.join(ADDRESS_FILE)), 0o600);
    assert!(
        Claim::new(&state, &written).expect("writable").is_none(),
        "one at a time"
    );
    assert_eq!(addresses(&state).expect("the first one still runs"), written);
    // As after SIGKILL: the file stays, the lock does not.
    let text = fs::read_to_string(state.join(ADDRESS_FILE)).expect("it is there");
    drop(claim);
    not_running("after its end");
    fs::write(state.join(ADDRESS_FILE), text).expect("it is ours");
    not_running("an old file is not believed");
    let claim = Claim::new(&state, &written).expect("writable");
    assert!(claim.is_some(), "the next start takes the place");
}
