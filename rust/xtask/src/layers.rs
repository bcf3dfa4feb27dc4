//! The architecture, as a check: which crate may see which, where unsafe code may live, what a phone never links, and how long a sample is.
//!
//! `ARCHITECTURE.md` says why.

use crate::shell::{self, Result};
use crate::tally::Tally;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The one arrow: each crate of the workspace, and the crates of the workspace that it may see.
const ARROW: &[(&str, &[&str])] = &[
    ("nibble-kernels", &[]),
    ("nibble-engine", &["nibble-kernels"]),
    ("nibble-tasks", &["nibble-engine"]),
    ("nibble-ffi", &["nibble-engine", "nibble-tasks"]),
    ("nibble-uniffi-bindgen", &[]),
    ("nibble-workshop", &["nibble-kernels", "nibble-engine", "nibble-tasks"]),
    ("nibble-cli", &["nibble-engine", "nibble-tasks", "nibble-workshop"]),
    (
        "nibble-tests",
        &["nibble-kernels", "nibble-engine", "nibble-tasks", "nibble-ffi", "nibble-workshop", "nibble-cli"],
    ),
    ("xtask", &[]),
];

/// The crates that end up in a phone's app.
const SHIPPED: &[&str] = &["nibble-kernels", "nibble-engine", "nibble-tasks", "nibble-ffi"];

/// Crates that only some of ours may name.
const RESERVED: &[(&str, &[&str])] = &[("uniffi", &["nibble-ffi", "nibble-uniffi-bindgen"]), ("ureq", &["nibble-cli"])];

/// Crates that speak to a network. Nothing that ships may reach one, however indirectly: the SDK works offline and asks for
/// no permission.
const NETWORK: &[&str] = &["ureq", "reqwest", "hyper", "curl", "rustls", "native-tls", "openssl-sys", "hf-hub"];

/// Files and folders that may hold unsafe code.
const UNSAFE_ROOMS: &[&str] =
    &["rust/kernels/", "rust/engine/src/mmap.rs", "rust/engine/src/threads.rs", "bindings/ffi/"];

/// Folders of the project that hold Rust code.
const CODE: &[&str] = &["rust", "bindings", "tests"];

/// The folder of the sample apps, and how many lines of Kotlin or Swift each may have, tests left out: it is read in one sitting.
const SAMPLES: &str = "examples";
const SAMPLE_LINES: usize = 1500;

/// Runs the four checks and says what is wrong.
pub fn check() -> Tally {
    let metadata = metadata();
    let arrow = metadata.as_ref().map(broken_arrows).map_err(Clone::clone);
    let network = metadata.as_ref().map(reached_networks).map_err(Clone::clone);
    let mut tally = Tally::default();
    for (what, outcome) in [
        ("each crate sees only the layers below it", arrow),
        ("nothing that ships reaches a network", network),
        ("unsafe code stays in its rooms", stray_unsafe(shell::root())),
        (
            "each sample is short",
            sources(shell::root(), &[SAMPLES], &["kt", "swift"]).map(|files| long_samples(&files)),
        ),
    ] {
        let complaints = outcome.unwrap_or_else(|message| vec![message]);
        println!("{what}: {}", if complaints.is_empty() { "yes" } else { "no" });
        for complaint in &complaints {
            println!("  {complaint}");
        }
        tally += Tally::of(complaints.is_empty());
    }
    tally
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` is what gets linked; otherwise `dev` or `build`.
    kind: Option<String>,
}

fn metadata() -> Result<Metadata> {
    let json = shell::output(shell::cargo().args(["metadata", "--format-version=1", "--all-features"]))?;
    serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))
}

impl Metadata {
    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

fn broken_arrows(metadata: &Metadata) -> Vec<String> {
    let names: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut complaints = Vec::new();
    for package in metadata.members() {
        let name = package.name.as_str();
        let Some((_, allowed)) = ARROW.iter().find(|(member, _)| *member == name) else {
            complaints.push(format!("{name} has no place in the arrow; give it one in layers.rs and ARCHITECTURE.md"));
            continue;
        };
        for dependency in package.dependencies.iter().map(|dependency| dependency.name.as_str()) {
            if names.contains(dependency) && !allowed.contains(&dependency) {
                complaints.push(format!("{name} must not depend on {dependency}"));
            }
            if let Some((_, owners)) =
                RESERVED.iter().find(|(reserved, owners)| *reserved == dependency && !owners.contains(&name))
            {
                complaints.push(format!("{name} must not depend on {dependency}; only {} does", owners.join(" or ")));
            }
        }
    }
    complaints
}

fn reached_networks(metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let linked: BTreeMap<&str, Vec<&str>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            let edges = node.deps.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            (node.id.as_str(), edges.map(|edge| edge.pkg.as_str()).collect())
        })
        .collect();
    let mut complaints = Vec::new();
    for package in metadata.members().filter(|package| SHIPPED.contains(&package.name.as_str())) {
        let (mut seen, mut open) = (BTreeSet::new(), vec![package.id.as_str()]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(linked.get(id).into_iter().flatten());
            }
        }
        let reached = seen.iter().filter_map(|id| names.get(id)).filter(|name| NETWORK.contains(name));
        complaints.extend(reached.map(|name| format!("{} links {name}", package.name)));
    }
    complaints
}

/// Every line with unsafe code that is not in one of its rooms, as `file:line`.
fn stray_unsafe(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (place, text) in sources(root, CODE, &["rs"])? {
        if !UNSAFE_ROOMS.iter().any(|room| place.starts_with(room)) {
            complaints
                .extend(unsafe_lines(&text).map(|line| format!("{place}:{line} is unsafe code outside of its rooms")));
        }
    }
    Ok(complaints)
}

/// Of these files the samples with more lines than are read in one sitting.
fn long_samples(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, text) in files {
        let mut folders = place.split('/').skip(1);
        let sample = folders.next().unwrap_or_default();
        if !folders.any(|folder| matches!(folder, "test" | "Tests" | "StandIns")) {
            *lines.entry(sample).or_default() += text.lines().count();
        }
    }
    let long = lines.iter().filter(|(_, lines)| **lines > SAMPLE_LINES);
    long.map(|(sample, lines)| format!("{SAMPLES}/{sample} has {lines} lines, and may have {SAMPLE_LINES}")).collect()
}

/// The files below some folders whose names end in one of these ways, with their text, in the order of their places.
fn sources(root: &Path, folders: &[&str], extensions: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(path) = open.pop() {
        let place = path.strip_prefix(root).expect("the walk starts at the root").to_string_lossy().replace('\\', "/");
        if path.is_dir() {
            let entries = fs::read_dir(&path).map_err(|error| format!("reading {place}: {error}"))?;
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
            let text = fs::read_to_string(&path).map_err(|error| format!("reading {place}: {error}"))?;
            found.insert(place, text);
        }
    }
    Ok(found)
}

/// The numbers of the lines that open an unsafe block or declare something unsafe; comments do not count.
fn unsafe_lines(text: &str) -> impl Iterator<Item = usize> {
    const KEYWORD: &str = "unsafe";
    let opens = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(KEYWORD).any(|(at, _)| {
            let rest = code[at + KEYWORD.len()..].trim_start();
            let alone = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            alone && ["{", "(", "fn ", "impl", "trait ", "extern "].iter().any(|next| rest.starts_with(next))
        })
    };
    text.lines().enumerate().filter(move |(_, line)| opens(line)).map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of the named crates, with their dependencies, plus crates from elsewhere.
    fn workspace(members: &[(&str, &[&str])], others: &[(&str, &[&str])]) -> Metadata {
        let package = |(name, dependencies): &(&str, &[&str])| {
            let dependencies: Vec<_> = dependencies.iter().map(|name| serde_json::json!({ "name": name })).collect();
            serde_json::json!({ "id": name, "name": name, "dependencies": dependencies })
        };
        let node = |(name, dependencies): &(&str, &[&str])| {
            let deps: Vec<_> = dependencies
                .iter()
                .map(|name| serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": null }] }))
                .collect();
            serde_json::json!({ "id": name, "deps": deps })
        };
        let all = || members.iter().chain(others);
        serde_json::from_value(serde_json::json!({
            "packages": all().map(package).collect::<Vec<_>>(),
            "workspace_members": members.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "resolve": { "nodes": all().map(node).collect::<Vec<_>>() },
        }))
        .unwrap()
    }

    #[test]
    fn the_arrow_points_one_way() {
        let good =
            workspace(&[("nibble-kernels", &[]), ("nibble-engine", &["nibble-kernels", "half"])], &[("half", &[])]);
        assert!(broken_arrows(&good).is_empty());
        let bad = workspace(&[("nibble-kernels", &["nibble-engine"]), ("nibble-engine", &[])], &[]);
        assert_eq!(broken_arrows(&bad), ["nibble-kernels must not depend on nibble-engine"]);
    }

    #[test]
    fn a_crate_without_a_place_is_named() {
        let complaints = broken_arrows(&workspace(&[("nibble-new", &[])], &[]));
        assert!(complaints[0].starts_with("nibble-new has no place"), "{complaints:?}");
    }

    #[test]
    fn bindings_are_named_in_one_crate() {
        let complaints = broken_arrows(&workspace(&[("nibble-tasks", &["uniffi"])], &[("uniffi", &[])]));
        assert_eq!(
            complaints,
            ["nibble-tasks must not depend on uniffi; only nibble-ffi or nibble-uniffi-bindgen does"]
        );
    }

    #[test]
    fn a_network_is_found_behind_others() {
        let members: &[(&str, &[&str])] = &[("nibble-engine", &["hub"]), ("nibble-cli", &["ureq"])];
        let others: &[(&str, &[&str])] = &[("hub", &["ureq"]), ("ureq", &[])];
        assert_eq!(reached_networks(&workspace(members, others)), ["nibble-engine links ureq"]);
    }

    #[test]
    fn a_sample_is_as_long_as_its_own_code() {
        let files = [
            ("one/App/App.swift", SAMPLE_LINES),
            ("one/Tests/AppTests.swift", 9),
            ("two/src/main/App.kt", SAMPLE_LINES),
            ("two/src/main/View.kt", 1),
            ("two/src/test/AppTest.kt", 9),
        ];
        let files = files.map(|(place, lines)| (format!("{SAMPLES}/{place}"), "line\n".repeat(lines)));
        assert_eq!(long_samples(&files.into()), ["examples/two has 1501 lines, and may have 1500"]);
    }

    #[test]
    fn unsafe_code_is_seen_and_talk_of_it_is_not() {
        // Written apart, so that this file does not accuse itself.
        let [block, function] = ["{ read() }", "fn f() {}"].map(|rest| ["unsafe ", rest].concat());
        let text = format!("let x = {block};\n// {block}\npub {function}\n#![deny(unsafe_code)]\nnot_{function}\n");
        assert_eq!(unsafe_lines(&text).collect::<Vec<_>>(), [1, 3]);
    }
}
