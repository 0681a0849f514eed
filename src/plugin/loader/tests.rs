//! What is bounded when a plugin is let in.

use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::config::Activate;
use crate::plugin::trial::{EVIL, Guest, Trial};

fn loader() -> PluginLoader {
    PluginLoader::new(CompileCache::default(), Arc::default())
}

fn orders(dir: &Path) -> PluginOrders {
    PluginOrders {
        host: PluginHostConfig {
            dir: dir.to_owned(),
            activate: Activate::Named,
            require_signature: false,
            trusted_keys: Vec::new(),
            watch: false,
        },
        plugins: Vec::new(),
        parts: serde_json::Map::new(),
    }
}

fn new_folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("portcullis-loader-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&path).expect("a new folder");
    path
}

async fn loaded(loader: &PluginLoader, dir: &Path, name: &str) -> Result<LoadedPlugin, LoadError> {
    let folder = loader.read(dir.join(name)).await?;
    let spec = Arc::new(PluginSpec::unnamed(name));
    loader.load_untried(folder, &orders(dir), spec, None).await
}

// Where nothing else is to be done, the time of the test passes at once; that of the thread does not.
#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_not_waited_for_and_counts_until_it_is_done() {
    let loader = loader();
    let (done, rx) = mpsc::channel::<()>();
    let late = loader.work(move || rx.recv()).await;
    assert!(matches!(late, Err(LoadError::TooLong(_, WORK_MAX))), "{late:?}");
    assert_eq!(loader.workers.available_permits(), WORKERS - 1);
    drop(done);
    while loader.workers.available_permits() < WORKERS {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn smoke_cases_have_their_time_together() {
    let dir = new_folder();
    let mut trial = Trial::new("hostile", "1.0.0");
    let case = format!(
        "[[smoke]]\nname = \"s\"\nhook = \"on-message\"\ncontext = {{ method = \"{EVIL}\" }}\nexpect = \"pass\"\n"
    );
    trial.manifest = case.repeat(2);
    trial.drop_into(&dir);
    let spinning = Guest::new().doing("on-message", "(loop $l (br $l))");
    std::fs::write(dir.join("hostile/plugin.wasm"), spinning.component()).expect("written");
    let loader = loader();
    let plugin = loaded(&loader, &dir, "hostile").await.expect("it starts").plugin;
    let late = run_smoke(&plugin, Instant::now()).await;
    assert!(matches!(late, Err(LoadError::TooLong(..))), "{late:?}");
    let failed = run_smoke(&plugin, Instant::now() + SMOKE_TIME_MAX).await;
    assert!(
        matches!(&failed, Err(LoadError::Smoke(failures)) if failures.len() == 2),
        "{failed:?}"
    );
    std::fs::remove_dir_all(dir).expect("ours");
}

#[tokio::test]
async fn a_signature_that_is_not_needed_and_does_not_fit_is_told() {
    let dir = new_folder();
    Trial::new("guard", "1.0.0").drop_into(&dir);
    let loader = loader();
    let warnings = |loaded: Result<LoadedPlugin, LoadError>| loaded.expect("it is let in").warnings;
    assert_eq!(warnings(loaded(&loader, &dir, "guard").await), [""; 0]);
    std::fs::write(dir.join("guard/plugin.sig"), "no signature").expect("written");
    let doubts = warnings(loaded(&loader, &dir, "guard").await);
    assert!(
        doubts.len() == 1 && doubts[0].starts_with("plugin.sig: "),
        "{doubts:?}"
    );
    std::fs::remove_dir_all(dir).expect("ours");
}

#[tokio::test]
async fn a_store_is_kept_as_long_as_there_is_a_generation_of_its_plugin() {
    let dir = new_folder();
    Trial::new("guard", "1.0.0").drop_into(&dir);
    let loader = loader();
    let store = |plugin: &Plugin| Arc::as_ptr(&plugin.pool.template().shared.kv);
    let first = loaded(&loader, &dir, "guard").await.expect("it is let in").plugin;
    let second = loaded(&loader, &dir, "guard").await.expect("it is let in").plugin;
    assert_eq!(store(&first), store(&second));
    let kept = Arc::downgrade(&second.pool.template().shared.kv);
    drop((first, second));
    assert!(kept.upgrade().is_none());
    std::fs::remove_dir_all(dir).expect("ours");
}
