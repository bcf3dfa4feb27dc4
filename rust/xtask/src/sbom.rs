//! What a library of ours is made of, and what an AAR has an app bring along: a bill of materials in CycloneDX 1.5, and the licences of
//! others in full.

use crate::setup::{ANDROID, ANDROID_PC, IOS, PC};
use crate::shell::{self, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The targets whose crates are counted; what one of them links is in the bill.
const TARGETS: [&str; 4] = [ANDROID, ANDROID_PC, IOS, PC];

/// The crate that is linked into an app.
const OURS: &str = "nibble-ffi";

/// What a repository says of the AAR, and the build that gives the versions in it.
const AAR: &str = "android/nibble/src/aar/pom.xml";
const AAR_BUILD: &str = "android/nibble/pom.xml";

/// The licences of what the AAR depends on, which neither says, by the groups of Maven.
const GROUPS: [(&str, &str); 3] = [
    ("net.java.dev.jna", "LGPL-2.1-or-later OR Apache-2.0"),
    ("org.jetbrains.kotlin", "Apache-2.0"),
    ("org.jetbrains.kotlinx", "Apache-2.0"),
];

/// A crate, by name and version.
type Key = (String, String);

/// One part of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    name: String,
    version: String,
    /// An SPDX expression.
    licence: String,
    /// A package URL, where there is a package.
    purl: Option<String>,
    /// The SHA-256 of the package.
    checksum: Option<String>,
    /// The folder of its source.
    source: Option<PathBuf>,
}

/// Everything that the library links: crates, Rust's standard library, and on Android an unwinder; and what the AAR depends on.
pub fn parts() -> Result<Vec<Part>> {
    let mut linked = BTreeSet::new();
    for target in TARGETS {
        let mut tree = shell::cargo();
        tree.args(["tree", "--locked", "-p", OURS, "--target", target, "--edges", "normal,no-proc-macro"]);
        linked.extend(crates_in(&shell::output(tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]))?));
    }
    let json = shell::output(shell::cargo().args(["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Metadata = serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))?;
    let lock: Lock = toml::from_str(&text("Cargo.lock")?).map_err(|error| format!("Cargo.lock: {error}"))?;
    let mut parts = join(&linked, metadata, lock)?;
    parts.extend(of_the_toolchain()?);
    parts.extend(of_the_aar(&text(AAR)?, &text(AAR_BUILD)?)?);
    Ok(parts)
}

/// A file of ours.
fn text(path: &str) -> Result<String> {
    fs::read_to_string(shell::root().join(path)).map_err(|error| format!("reading {path}: {error}"))
}

/// The crates in the lines of `cargo tree`, each `name vVERSION` and maybe more.
fn crates_in(tree: &str) -> BTreeSet<Key> {
    let key = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(key).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` is what lies in this repository.
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

fn join(linked: &BTreeSet<Key>, metadata: Metadata, lock: Lock) -> Result<Vec<Part>> {
    let sums = lock.package.into_iter().filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)));
    let mut sums: BTreeMap<Key, String> = sums.collect();
    let mut packages: BTreeMap<Key, Package> = metadata
        .packages
        .into_iter()
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect();
    let part = |key: &Key| {
        let (name, version) = key;
        let package = packages.remove(key).ok_or_else(|| format!("cargo metadata knows no {name} {version}"))?;
        // Before SPDX expressions a slash meant a choice.
        let licence = package.license.map(|licence| licence.replace('/', " OR ").replace("  ", " "));
        let checksum = sums.remove(key);
        if package.source.is_some() && checksum.is_none() {
            return Err(format!("Cargo.lock has no checksum of {name} {version}"));
        }
        Ok(Part {
            name: name.clone(),
            version: version.clone(),
            licence: licence.ok_or_else(|| format!("{name} {version} names no licence"))?,
            purl: package.source.is_some().then(|| format!("pkg:cargo/{name}@{version}")),
            checksum,
            source: package.source.and(package.manifest_path.parent().map(Path::to_owned)),
        })
    };
    linked.iter().map(part).collect()
}

/// What comes with compilers and is linked all the same.
fn of_the_toolchain() -> Result<[Part; 2]> {
    let rustc = shell::output(shell::command("rustc").arg("--version"))?;
    let release = rustc.split(' ').nth(1).ok_or_else(|| format!("rustc --version says {rustc:?}"))?;
    let part = |name: &str, version: &str, licence: &str| Part {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.to_owned(),
        purl: None,
        checksum: None,
        source: None,
    };
    Ok([
        part("Rust standard library", release, "MIT OR Apache-2.0"),
        part("LLVM libunwind (Android)", "14 or that of the NDK", "Apache-2.0 WITH LLVM-exception"),
    ])
}

/// What the POM of the AAR has an app bring along. A version may be a property of the build.
fn of_the_aar(aar: &str, build: &str) -> Result<Vec<Part>> {
    let part = |dependency: &str| {
        let field = |name| element(dependency, name).ok_or_else(|| format!("a dependency in {AAR} has no {name}"));
        let (group, name, version) = (field("groupId")?, field("artifactId")?, field("version")?);
        let property = version.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let version = property.map_or(Some(version), |property| element(build, property));
        let version = version.ok_or_else(|| format!("{AAR_BUILD} does not say the version of {name}"))?;
        let licence = GROUPS.iter().find(|(known, _)| *known == group);
        let (_, licence) =
            licence.ok_or_else(|| format!("no licence is written down for {group}, which {AAR} names"))?;
        let kind = element(dependency, "type").map(|kind| format!("?type={kind}")).unwrap_or_default();
        Ok(Part {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: (*licence).to_owned(),
            purl: Some(format!("pkg:maven/{group}/{name}@{version}{kind}")),
            checksum: None,
            source: None,
        })
    };
    aar.split("<dependency>").skip(1).map(part).collect()
}

/// What the first element of a name holds.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    Some(xml.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0)
}

/// The bill of materials. It has no time and no serial number, so that the same parts give the same bytes.
pub fn bill(parts: &[Part]) -> Value {
    let components: Vec<Value> = parts.iter().map(component).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": "nibble",
                "name": "nibble",
                "version": shell::VERSION,
                "licenses": [{ "expression": "Apache-2.0" }],
            },
        },
        "components": components,
    })
}

fn component(part: &Part) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": part.purl.clone().unwrap_or_else(|| format!("{} {}", part.name, part.version)),
        "name": part.name,
        "version": part.version,
        "licenses": [{ "expression": part.licence }],
    });
    if let Some(purl) = &part.purl {
        component["purl"] = json!(purl);
    }
    if let Some(checksum) = &part.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The names and licences of what others wrote, and the texts that come with it, each text once.
pub fn notices(parts: &[Part]) -> Result<String> {
    let others = || parts.iter().filter(|part| !part.name.starts_with("nibble-"));
    let mut text =
        "What Nibble's libraries are built of, what the AAR has an app bring along, and the licences that it comes with. \
                    The sources are in Rust's package registry, and in Maven Central, under these names and versions.\n\n"
            .to_owned();
    for part in others() {
        text += &format!("{} {}: {}\n", part.name, part.version, part.licence);
    }
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in others() {
        for licence in part.source.iter().map(|source| licence_texts(source)).collect::<Result<Vec<_>>>()?.concat() {
            texts.entry(licence).or_default().push(format!("{} {}", part.name, part.version));
        }
    }
    for (licence, users) in texts {
        text += &format!("\n{}\n{}\n\n{}\n", "-".repeat(80), users.join(", "), licence.trim_end());
    }
    Ok(text)
}

/// The files of a package that are its licence or go with it.
fn licence_texts(package: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(package).map_err(|error| format!("reading {}: {error}", package.display()))?;
    let is_licence = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        path.is_file() && ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|start| name.starts_with(start))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_licence).collect();
    files.sort();
    let read =
        |path: &PathBuf| fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()));
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_from_the_tree() {
        let tree = "nibble-ffi v0.1.0 (/x)\nlog v0.4.35\nlog v0.4.35 (*)\n\n";
        let keys: Vec<Key> = crates_in(tree).into_iter().collect();
        assert_eq!(keys, [("log", "0.4.35"), ("nibble-ffi", "0.1.0")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    fn joined(license: Option<&str>, checksum: Option<&str>) -> Result<Vec<Part>> {
        let package = json!({ "name": "a", "version": "1.0.0", "license": license, "source": "registry", "manifest_path": "/a/Cargo.toml" });
        let metadata = serde_json::from_value(json!({ "packages": [package] })).unwrap();
        let locked = json!({ "package": [{ "name": "a", "version": "1.0.0", "checksum": checksum }] });
        join(&crates_in("a v1.0.0"), metadata, serde_json::from_value(locked).unwrap())
    }

    #[test]
    fn a_part_has_a_licence_and_a_checksum_or_there_is_no_bill() {
        let part = joined(Some("MIT/Apache-2.0"), Some("00")).unwrap().remove(0);
        assert_eq!((part.licence.as_str(), part.purl.as_deref()), ("MIT OR Apache-2.0", Some("pkg:cargo/a@1.0.0")));
        assert!(joined(None, Some("00")).unwrap_err().contains("no licence"));
        assert!(joined(Some("MIT"), None).unwrap_err().contains("no checksum"));
    }

    #[test]
    fn what_the_aar_depends_on_has_a_version_and_a_licence_or_there_is_no_bill() {
        let aar = |group: &str, version: &str| {
            format!(
                "<groupId>ours</groupId><dependency><groupId>{group}</groupId><artifactId>jna</artifactId>\
                 <version>{version}</version><type>aar</type></dependency>"
            )
        };
        let of = |group: &str, version: &str| of_the_aar(&aar(group, version), "<jna.version>5.0</jna.version>");
        let [part] = of("net.java.dev.jna", "${jna.version}").unwrap().try_into().unwrap();
        assert_eq!((part.name.as_str(), part.version.as_str()), ("jna", "5.0"));
        assert_eq!(part.licence, "LGPL-2.1-or-later OR Apache-2.0");
        assert_eq!(part.purl.as_deref(), Some("pkg:maven/net.java.dev.jna/jna@5.0?type=aar"));
        assert_eq!(of("net.java.dev.jna", "6.0").unwrap()[0].version, "6.0");
        assert!(of("net.java.dev.jna", "${other}").unwrap_err().contains("version of jna"));
        assert!(of("org.other", "6.0").unwrap_err().contains("no licence"));
    }

    #[test]
    fn the_bill_of_our_library_is_whole_and_well_formed() {
        let parts = parts().unwrap();
        let bill = bill(&parts);
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        assert_eq!(bill["metadata"]["component"]["version"], shell::VERSION);
        let components = bill["components"].as_array().unwrap();
        let text = |component: &Value, field: &str| component[field].as_str().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = components.iter().map(|component| text(component, "name")).collect();
        for linked in ["nibble-kernels", "candle-core", "uniffi_core", "memmap2"] {
            assert!(names.contains(linked), "{linked}");
        }
        for brought in ["jna", "kotlin-stdlib", "kotlinx-coroutines-core"] {
            assert!(names.contains(brought), "{brought}");
        }
        // A desktop's, a test's, a build's, a macro, a test's in Kotlin.
        for other in ["ureq", "proptest", "plotters", "serde_derive", "kotlin-reflect"] {
            assert!(!names.contains(other), "{other}");
        }
        let references: BTreeSet<String> = components.iter().map(|component| text(component, "bom-ref")).collect();
        assert_eq!(references.len(), components.len());
        for component in components {
            assert!(!text(&component["licenses"][0], "expression").contains('/'), "{component}");
            if text(component, "purl").starts_with("pkg:cargo/") {
                let sum = text(&component["hashes"][0], "content");
                assert!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()), "{component}");
            }
        }
        let notices = notices(&parts).unwrap();
        assert!(notices.contains("\ncandle-core ") && notices.contains("Permission is hereby granted"));
        assert!(!notices.contains("nibble-kernels "));
    }
}
