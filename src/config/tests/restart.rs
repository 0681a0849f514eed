//! What of a changed configuration needs a restart.

use super::super::*;
use super::Directory;

fn loaded(directory: &Directory, text: &str) -> Loaded {
    directory.write("portcullis.toml", text);
    directory.loader(&[]).load().expect("valid")
}

#[test]
fn only_what_is_read_at_the_start_needs_one() {
    let first = "[servers.a]\ncommand = \"x\"\nenv = { KEY = \"one\" }\n";
    let directory = Directory::new();
    let running = loaded(&directory, first);
    let check = |text: &str, expect: &[&str]| {
        let keys = loaded(&directory, text).needs_restart_after(&running);
        assert_eq!(keys, expect, "{text}");
    };
    check(first, &[]);
    let followed = "default-mode = \"m\"\n[modes.m]\nx = 1\n[http]\nmode-header = true\n[anonymous]\nenabled = false\n\
                    [principals.p]\ntoken = \"0123456789abcdef\"\n[routes.r]\nservers = [\"a\"]\n\
                    [[plugins]]\nname = \"p\"\n[plugin-host]\nactivate = \"dropped\"\n";
    check(&format!("{followed}{first}"), &[]);
    // What may not be shown is compared all the same.
    check(&first.replace("one", "two"), &["servers.a"]);
    check("# nothing", &["servers.a"]);
    check(
        &format!(
            "listen = \"127.0.0.1:1\"\n[http]\nbody-max = \"1MiB\"\n[plugin-host]\nwatch = false\n{first}"
        ),
        &["http.body-max", "listen", "plugin-host.watch"],
    );
}
