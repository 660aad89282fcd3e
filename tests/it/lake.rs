//! The place the data goes to: what happens where it refuses, runs full, or was meddled with.

use std::path::{Path, PathBuf};
use std::process::Command;

use simulator::{Dataset, SimulatorConfig};
use tests::Context;

use crate::{small, start};

const DATASETS: [Dataset; 3] = [Dataset::Investigations, Dataset::VmAssets, Dataset::VmFindings];

/// Checks that a lake that cannot be written is found out before anything is asked of the platform.
fn check_refused(context: &Context, url: &Path) {
    let mut file = context.run_file().of(&DATASETS);
    file.url = url.display().to_string();
    context.write(&file);
    context.platform().clear_journal();
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(2), "{}: {}", url.display(), output.stderr);
    assert!(output.stderr.contains(&file.url), "the place is named: {}", output.stderr);
    assert_eq!(context.platform().journal().total.requests, 0, "{}", url.display());
}

#[test]
fn a_lake_that_cannot_be_written_is_found_out_first() {
    let context = start(small(1));
    let file = context.put("file", "not a folder");
    check_refused(&context, &file);
    check_refused(&context, &file.join("below"));
    check_refused(&context, Path::new("/proc/lake"));
    let lake = context.folder().join("lake");
    fs_err::create_dir(&lake).expect("a folder of this test");
    fs_err::write(lake.join("_tenantry"), "in the way").expect("a file of this test");
    check_refused(&context, &lake);
}

#[test]
fn a_lake_for_reading_only_is_found_out_first() {
    let context = start(small(1));
    let Some(_mount) = Mount::tmpfs(&context.folder().join("small"), "size=64k,ro") else { return };
    check_refused(&context, &context.folder().join("small/lake"));
    // Nor is one that was written before.
    let Some(mount) = Mount::tmpfs(&context.folder().join("later"), "size=64m") else { return };
    let lake = context.folder().join("later/lake");
    let mut file = context.run_file().of(&DATASETS);
    file.url = lake.display().to_string();
    context.write(&file);
    assert_eq!(context.run(&["run"]).code, Some(0));
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&mount.0).status();
    assert!(remounted.is_ok_and(|status| status.success()), "it may be mounted anew as well");
    check_refused(&context, &lake);
}

#[test]
fn a_dataset_s_folder_for_reading_only_is_found_out_first() {
    let context = start(small(1));
    context.write(&context.run_file().of(&DATASETS));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let lake = context.folder().join("lake");
    let Some(_mount) = Mount::read_only(&lake.join("vm_assets")) else { return };
    check_refused(&context, &lake);
}

/// A small file system of its own, gone with the test.
struct Mount(PathBuf);

impl Mount {
    /// Mounts it, or says that this machine does not let us.
    fn tmpfs(place: &Path, options: &str) -> Option<Self> {
        fs_err::create_dir_all(place).expect("a folder of this test");
        Self::mounted(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place), place)
    }

    /// Lets nothing be written below a folder any more.
    fn read_only(folder: &Path) -> Option<Self> {
        let mount = Self::mounted(Command::new("mount").arg("--bind").args([folder, folder]), folder)?;
        let remounted = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(folder).status();
        assert!(remounted.is_ok_and(|status| status.success()), "it may be mounted anew as well");
        Some(mount)
    }

    fn mounted(mount: &mut Command, place: &Path) -> Option<Self> {
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(place.to_owned())),
            _ => {
                #[expect(clippy::print_stderr, reason = "who skips a test has to say so")]
                {
                    eprintln!("SKIPPED: mounting a file system is not allowed here, so none can refuse");
                }
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn last_good_a_disk_that_runs_full_shows_nothing_half_and_goes_on_when_there_is_room() {
    let context = start(SimulatorConfig { rows: 1.0, ..small(8) });
    let place = context.folder().join("disk");
    let Some(mount) = Mount::tmpfs(&place, "size=2m") else { return };
    let mut file = context.run_file().of(&DATASETS);
    file.url = place.join("lake").display().to_string();
    file.rest = "[run]\nconcurrency = 2\n".to_owned();
    context.write(&file);
    // Room for the first commits only.
    let ballast = place.join("ballast");
    fs_err::write(&ballast, vec![1; 1_920_000]).expect("the disk is still empty");
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(6), "{}", output.stderr);
    assert!(output.stderr.contains("No space left") || output.stderr.contains("disk"), "{}", output.stderr);
    let lake = tests::Lake::at(place.join("lake"));
    let rows = |lake: &tests::Lake| DATASETS.iter().map(|dataset| lake.rows(dataset.name())).sum::<usize>();
    let first = rows(&lake);
    context.check_verified();

    fs_err::remove_file(&ballast).expect("it was written above");
    let output = context.run(&["run"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.check_verified();
    let truth = |dataset| context.tenants().iter().map(move |tenant| (dataset, tenant));
    for (dataset, tenant) in DATASETS.into_iter().flat_map(truth) {
        let keys = lake.keys(dataset.name()).remove(&tenant.id).unwrap_or_default();
        assert_eq!(keys, context.truth(dataset, &tenant.id), "{} of {}", dataset.name(), tenant.name);
    }
    assert!(first < rows(&lake), "the disk was large enough for everything: {first} rows");
    drop(mount);
}

#[test]
fn a_file_for_people_is_there_whole_or_not_at_all() {
    let context = start(small(1));
    context.write(&context.run_file().of(&[Dataset::Users]));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let check = |place: &str, code: i32, said: &str| {
        let into = |name| format!("{place}/{name}");
        for flags in [
            &["demo", "--into", &into("lake")][..],
            &["init", "--into", &into("run.toml")],
            &["init", "--force", "--into", &into("old.toml")],
            &["report", "--month", "2001-02", "--into", place],
        ] {
            let output = context.run(flags);
            assert_eq!(output.code, Some(code), "{flags:?}: {}", output.stderr);
            assert!(output.stderr.contains(said) && output.stderr.contains("--into"), "{}", output.stderr);
        }
    };
    check("/proc/nowhere", 2, "hint: ");
    let Some(_mount) = Mount::tmpfs(&context.folder().join("small"), "size=64k") else { return };
    context.put("small/old.toml", "mine = true\n");
    let ballast = context.folder().join("small/ballast");
    assert!(fs_err::write(&ballast, vec![1; 128 << 10]).is_err(), "the disk is smaller than that");
    check("small", 6, "hint: free some space");
    let mut left: Vec<_> = fs_err::read_dir(context.folder().join("small"))
        .expect("the mount")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["ballast", "old.toml"]);
    let kept = fs_err::read_to_string(context.folder().join("small/old.toml"));
    assert_eq!(kept.ok().as_deref(), Some("mine = true\n"));
}

/// A listing's records are remembered in a temporary file once they are many: here there is no room for it.
#[test]
fn last_good_no_room_for_temporary_files_says_so_and_loses_nothing() {
    let context = start(SimulatorConfig { row_counts: [(Dataset::Users, 80_000)].into(), ..small(1) });
    context.write(&context.run_file().of(&[Dataset::VmAssets, Dataset::Users]));
    let check = |folder: &Path| {
        let command = context.command(&["run"]).env("TMPDIR", folder).spawn();
        let output = tests::Output::of(command.expect("the program under test"));
        assert_eq!(output.code, Some(6), "{}", output.stderr);
        assert!(output.stderr.contains("`TMPDIR` names another"), "{}", output.stderr);
        assert_eq!(context.lake().rows("users"), 0);
        context.check_verified();
    };
    check(&context.folder().join("missing"));
    if let Some(_mount) = Mount::tmpfs(&context.folder().join("small"), "size=64k") {
        check(&context.folder().join("small"));
    }
    assert_eq!(context.run(&["run"]).code, Some(0));
    context.check_whole(&[Dataset::VmAssets, Dataset::Users]);
    context.check_verified();
}

/// Checks that a damage is found and the file named.
fn check_damage(context: &Context, damage: impl FnOnce(&Path), path: &Path) {
    let kept = fs_err::read(path).expect("a file of the lake");
    damage(path);
    let output = context.run(&["verify"]);
    let lake = context.lake();
    let relative = path.strip_prefix(lake.root()).expect("it lies in the lake").display().to_string();
    assert_eq!(output.code, Some(6), "{relative}: {}", output.stdout);
    assert!(output.stdout.contains(&relative), "{relative}: {}", output.stdout);
    let told: serde_json::Value =
        serde_json::from_str(&context.run(&["verify", "--json"]).stdout).expect("JSON");
    assert!(told["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{told}");
    fs_err::write(path, kept).expect("a file of the lake");
    context.check_verified();
}

#[test]
fn completeness_damage_to_the_lake_is_found_and_named() {
    let context = start(small(2));
    context.write(&context.run_file().of(&DATASETS));
    assert_eq!(context.run(&["run"]).code, Some(0));
    let lake = context.lake();
    let data = lake.data_files().swap_remove(0);
    let edit = |path: &Path, at: usize| {
        let mut bytes = fs_err::read(path).expect("a file of the lake");
        bytes[at] ^= 1;
        fs_err::write(path, bytes).expect("a file of the lake");
    };
    check_damage(&context, |path| edit(path, 200), &data);
    check_damage(&context, |path| fs_err::write(path, b"PAR1").expect("a file of the lake"), &data);
    check_damage(&context, |path| fs_err::remove_file(path).expect("a file of the lake"), &data);
    let commits = lake.root().join("_tenantry/commits");
    let record = lake.files().into_iter().find(|path| path.starts_with("_tenantry/commits/"));
    let record = lake.root().join(record.expect("there was a commit"));
    assert!(record.starts_with(commits));
    check_damage(&context, |path| edit(path, 90), &record);
    // A file that nobody committed is no part of the lake, however well it is written.
    let stranger = data.with_file_name("stranger.parquet");
    fs_err::copy(&data, &stranger).expect("a file of the lake");
    let output = context.run(&["verify"]);
    assert_eq!(output.code, Some(6), "{}", output.stdout);
    assert!(output.stdout.contains("stranger.parquet"), "{}", output.stdout);
}
