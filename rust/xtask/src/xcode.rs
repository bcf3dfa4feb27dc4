//! The projects of the sample apps for iOS. No Xcode is here to open them: all that they name is looked for instead, and that they ask
//! the system for nothing but the container that an app shares with its extension.

use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use plist::{Dictionary, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The apps: folders under `examples`, each with a project.
const SAMPLES: [&str; 2] = ["ios-keyboard", "ios-reply"];

/// The only thing that a target is entitled to.
const APP_GROUP: &str = "com.apple.security.application-groups";

/// The privacy manifest of a target, or of the SDK.
const MANIFEST: &str = "PrivacyInfo.xcprivacy";

/// The settings that `project.yml` has as the project does.
const SHARED: [&str; 7] = [
    "INFOPLIST_FILE",
    "CODE_SIGN_ENTITLEMENTS",
    "PRODUCT_BUNDLE_IDENTIFIER",
    "SAMPLE_ID",
    "IPHONEOS_DEPLOYMENT_TARGET",
    "SWIFT_VERSION",
    "TARGETED_DEVICE_FAMILY",
];

const ASKS: &str = "what Apple asks a reason for is in the privacy manifest";

/// What Apple asks a reason for, by the category under which a privacy manifest gives it: "Describing use of required reason API".
const REASONED: [(&str, &str); 5] = [
    (
        "FileTimestamp",
        "creationDate creationDateKey modificationDate fileModificationDate contentModificationDate contentModificationDateKey \
         getattrlist getattrlistat getattrlistbulk fgetattrlist stat fstat fstatat lstat",
    ),
    ("SystemBootTime", "systemUptime mach_absolute_time"),
    (
        "DiskSpace",
        "volumeAvailableCapacity volumeAvailableCapacityKey volumeAvailableCapacityForImportantUsage \
         volumeAvailableCapacityForImportantUsageKey volumeAvailableCapacityForOpportunisticUsage \
         volumeAvailableCapacityForOpportunisticUsageKey volumeTotalCapacity volumeTotalCapacityKey systemFreeSize systemSize \
         statfs statvfs fstatfs fstatvfs",
    ),
    ("ActiveKeyboards", "activeInputModes"),
    ("UserDefaults", "UserDefaults AppStorage"),
];

/// Looks through the project of each sample, and at what the SDK and the samples ask of the system.
pub fn check() -> Result<Tally> {
    let examples = shell::root().join("examples");
    let package = text(&examples.join("Package.swift"))?;
    let mut tally =
        SAMPLES.iter().map(|sample| check_sample(&examples.join(sample), &package)).sum::<Result<Tally>>()?;
    let sdk = shell::root().join("ios/Sources/Nibble");
    tally += outcome(&sdk, ASKS, undeclared(&sdk.join(MANIFEST), &[&sdk])?);
    tally += outcome(&examples, "the page names what no compiler has seen here", unnamed(&examples, &sdk)?);
    Ok(tally)
}

/// The Swift sources that have lines for Apple's systems alone, and of which the page of the samples says nothing.
fn unnamed(examples: &Path, sdk: &Path) -> Result<Vec<String>> {
    let page = text(&examples.join("README.md"))?;
    let mut found = vec![];
    for file in [swift_files(examples)?, swift_files(sdk)?].concat() {
        let is_apart = text(&file)?.lines().any(|line| line.trim_start().starts_with("#if canImport("));
        if is_apart && !page.contains(&*file.file_name().unwrap_or_default().to_string_lossy()) {
            found.push(file.display().to_string());
        }
    }
    Ok(found)
}

fn outcome(folder: &Path, what: &str, wrong: Vec<String>) -> Tally {
    println!("{}: {what}: {}", folder.display(), if wrong.is_empty() { "yes" } else { "no" });
    wrong.iter().for_each(|wrong| println!("  {wrong}"));
    Tally::of(wrong.is_empty())
}

fn check_sample(folder: &Path, package: &str) -> Result<Tally> {
    let project = Project::open(folder)?;
    let mut tally = Tally::default();
    let mut expect = |what: &str, wrong: Vec<String>| tally += outcome(folder, what, wrong);
    expect("every object of the project is there, and is used", project.wrong_references());
    let products = project.texts("XCSwiftPackageProductDependency", "productName");
    let unknown = |product: &&String| !package.contains(&format!(".library(name: \"{product}\""));
    expect("the package has what the targets link", products.iter().filter(unknown).cloned().collect());
    let folders = project.texts("PBXFileSystemSynchronizedRootGroup", "path");
    let mut named = folders.clone();
    for setting in ["INFOPLIST_FILE", "CODE_SIGN_ENTITLEMENTS"] {
        named.extend(project.settings(setting));
    }
    named.extend(folders.iter().map(|target| format!("{target}/{MANIFEST}")));
    expect("its files are there", named.into_iter().filter(|name| !folder.join(name).exists()).collect());
    let described = text(&folder.join("project.yml"))?;
    let mut shared = project.texts("PBXNativeTarget", "name");
    shared.extend(products);
    for setting in SHARED {
        shared.extend(project.settings(setting));
    }
    let versions = project.settings("MARKETING_VERSION");
    // With its name: other things have numbers like it.
    shared.extend(versions.iter().map(|version| format!("MARKETING_VERSION: \"{version}\"")));
    expect("project.yml describes the same", shared.into_iter().filter(|name| !described.contains(name)).collect());
    let ours = BTreeSet::from([VERSION.to_owned()]);
    expect("its version is that of the crates", versions.symmetric_difference(&ours).cloned().collect());
    let entitled = project.settings("CODE_SIGN_ENTITLEMENTS");
    let asked = entitled.iter().map(|file| dictionary(&folder.join(file))).collect::<Result<Vec<_>>>()?;
    let others = asked.iter().flat_map(Dictionary::keys).filter(|key| *key != APP_GROUP).cloned();
    expect("its targets are entitled to their App Group alone", others.collect());
    let manifests = folders.iter().map(|target| dictionary(&folder.join(target).join(MANIFEST)));
    expect("nothing is collected, and nobody tracked", {
        let untrue = |manifest: &Dictionary| {
            let tracks = manifest.get("NSPrivacyTracking").and_then(Value::as_boolean) != Some(false);
            let collects = manifest
                .get("NSPrivacyCollectedDataTypes")
                .and_then(Value::as_array)
                .is_none_or(|types| !types.is_empty());
            tracks || collects
        };
        let manifests = manifests.collect::<Result<Vec<_>>>()?;
        folders
            .iter()
            .zip(&manifests)
            .filter(|(_, manifest)| untrue(manifest))
            .map(|(target, _)| target.clone())
            .collect()
    });
    let (own, common) = (folder.join("Sources"), folder.with_file_name("ios-common").join("Sources"));
    let asked = folders.iter().map(|target| {
        let target = folder.join(target);
        undeclared(&target.join(MANIFEST), &[&target, &own, &common])
    });
    expect(ASKS, asked.collect::<Result<Vec<_>>>()?.concat());
    Ok(tally)
}

/// What the Swift sources of some folders ask of the system that a manifest gives no reason for.
fn undeclared(manifest: &Path, folders: &[&Path]) -> Result<Vec<String>> {
    let given = text(manifest)?;
    let mut found = vec![];
    for file in folders.iter().map(|folder| swift_files(folder)).collect::<Result<Vec<_>>>()?.concat() {
        found.extend(without_reason(&text(&file)?, &given).map(|call| format!("{}: {call}", file.display())));
    }
    Ok(found)
}

/// The words of a source, comments left out, that Apple asks a reason for and a manifest has none.
fn without_reason<'a>(source: &'a str, manifest: &'a str) -> impl Iterator<Item = &'a str> {
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(move |word| {
        REASONED.iter().any(|(category, calls)| {
            let given = format!("<string>NSPrivacyAccessedAPICategory{category}</string>");
            calls.split(' ').any(|call| call == *word) && !manifest.contains(&given)
        })
    })
}

fn swift_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("reading {}: {error}", folder.display()))?;
    let mut found = vec![];
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(swift_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "swift") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A `project.pbxproj`: objects that name each other.
struct Project {
    root: String,
    objects: Dictionary,
}

impl Project {
    fn open(folder: &Path) -> Result<Self> {
        let inside = fs::read_dir(folder).map_err(|error| format!("reading {}: {error}", folder.display()))?;
        let is_project = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "xcodeproj");
        let bundle = inside.filter_map(|entry| Some(entry.ok()?.path())).find(is_project);
        let file = bundle.ok_or_else(|| format!("{} has no Xcode project", folder.display()))?.join("project.pbxproj");
        let mut all = dictionary(&file)?;
        let root = all.get("rootObject").and_then(Value::as_string).unwrap_or_default().to_owned();
        let objects = all.remove("objects").and_then(Value::into_dictionary);
        Ok(Self { root, objects: objects.ok_or_else(|| format!("{} has no objects", file.display()))? })
    }

    /// The objects of a class.
    fn of<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Dictionary> {
        let objects = self.objects.values().filter_map(Value::as_dictionary);
        objects.filter(move |object| object.get("isa").and_then(Value::as_string) == Some(class))
    }

    /// What the objects of a class have under a key, each once.
    fn texts(&self, class: &str, key: &str) -> BTreeSet<String> {
        self.of(class).filter_map(|object| object.get(key)?.as_string()).map(str::to_owned).collect()
    }

    /// What a build setting is, in all configurations.
    fn settings(&self, name: &str) -> BTreeSet<String> {
        let settings =
            self.of("XCBuildConfiguration").filter_map(|object| object.get("buildSettings")?.as_dictionary());
        settings.filter_map(|settings| settings.get(name)?.as_string()).map(str::to_owned).collect()
    }

    /// Names of objects that are not there, and objects that nothing names.
    fn wrong_references(&self) -> Vec<String> {
        let mut named = BTreeSet::from([self.root.clone()]);
        self.objects.values().for_each(|object| names(object, &mut named));
        let missing =
            named.iter().filter(|name| !self.objects.contains_key(name)).map(|name| format!("{name} is not there"));
        let idle = self.objects.keys().filter(|name| !named.contains(*name)).map(|name| format!("{name} is not used"));
        missing.chain(idle).collect()
    }
}

/// The names of objects in a value: 24 hexadecimal digits each.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            found.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        Value::Dictionary(values) => values.values().for_each(|value| names(value, found)),
        _ => {}
    }
}

fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))
}

fn dictionary(file: &Path) -> Result<Dictionary> {
    let value = Value::from_file(file).map_err(|error| format!("reading {}: {error}", file.display()))?;
    value.into_dictionary().ok_or_else(|| format!("{} is no dictionary", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apple_asks_a_reason_for_and_the_manifest_does_not_have_is_found() {
        let source = "let now = ProcessInfo.processInfo.systemUptime // not UserDefaults\nstat(path, &state)";
        let found = |manifest| without_reason(source, manifest).collect::<Vec<_>>();
        assert_eq!(found(""), ["systemUptime", "stat"]);
        assert_eq!(found("<string>NSPrivacyAccessedAPICategoryFileTimestamp</string>"), ["systemUptime"]);
    }

    #[test]
    fn what_is_named_and_not_there_is_found() {
        let objects = "{ rootObject = A00000000000000000000001; objects = { A00000000000000000000001 = { isa = PBXProject; targets = \
                       ( A00000000000000000000002 /* gone */ ); }; A00000000000000000000003 = { isa = PBXGroup; path = \"a b\"; }; }; }";
        let mut all = Value::from_reader(std::io::Cursor::new(objects))
            .expect("a property list")
            .into_dictionary()
            .expect("a dictionary");
        let objects = all.remove("objects").and_then(Value::into_dictionary).expect("objects");
        let project = Project { root: "A00000000000000000000001".to_owned(), objects };
        let wrong = ["A00000000000000000000002 is not there", "A00000000000000000000003 is not used"];
        assert_eq!(project.wrong_references(), wrong);
        assert_eq!(project.texts("PBXGroup", "path"), BTreeSet::from(["a b".to_owned()]));
    }
}
