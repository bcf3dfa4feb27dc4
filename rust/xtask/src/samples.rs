//! `cargo xtask samples`: the sample apps for Android, from their sources to packages that a phone takes and pictures of them, and what
//! they have to be.
//!
//! Maven makes the resources and the classes, R8 included; here they are packed, signed and read again. A package is for one ABI, as
//! an app store hands them out: it has the libraries as they are, uncompressed, to be mapped.

use crate::android::{ABIS, Abi, LIBRARY};
use crate::bindings::{self, Prepared};
use crate::setup::{self, ANDROID, ANDROID_PC, Need};
use crate::shell::{self, Result};
use crate::tally::Tally;
use crate::{budget, elf};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// What it takes.
pub const NEEDS: [Need; 6] =
    [Need::Maven, Need::ApkTools, Need::Models, Need::Std(ANDROID), Need::Std(ANDROID_PC), Need::AndroidLinker];

/// The apps: folders under `examples`.
const SAMPLES: [&str; 2] = ["android-reply", "android-keyboard"];

/// The pages of newer phones: a library that is mapped out of a package begins on one.
const PAGE: u16 = 16 * 1024;

/// Makes a package of each app for each ABI, and checks them; and draws the app with the real model, and compares.
pub fn run() -> Result<()> {
    if let Some(unmet) = setup::ensure(&NEEDS).first() {
        return Err(format!("{} is missing: {}", unmet.need, unmet.advice));
    }
    let tally = make(&Prepared::new("kotlin")?, Some(PICTURES))?;
    if tally.failed == 0 { Ok(()) } else { Err(format!("{} checks failed", tally.failed)) }
}

/// The tests that draw.
const PICTURES: &str = "-Dtest=AppTest#*picture*";

/// Makes the same after all tests of each app.
pub fn test() -> Tally {
    Tally::within(|| make(&Prepared::new("kotlin")?, None))
}

/// Makes everything of each app, where all its tests pass, or those that are named.
fn make(prepared: &Prepared, tests: Option<&str>) -> Result<Tally> {
    sdk(&prepared.generated)?;
    let mut tally = Tally::default();
    for sample in SAMPLES {
        let tested = prepared.test_by_maven(app(sample).args(tests));
        tally += tested;
        if tested.failed == 0 {
            for abi in &ABIS {
                tally += package(sample, abi)?;
            }
            show_pictures(sample)?;
        }
    }
    Ok(tally)
}

/// Puts what an app's tests have drawn beside its packages.
fn show_pictures(sample: &str) -> Result<()> {
    let made = made(sample);
    let show = || -> io::Result<()> {
        for entry in fs::read_dir(&made)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("screenshot") {
                let picture = made.with_file_name(format!("{sample}-{name}"));
                fs::copy(made.join(&*name), &picture)?;
                println!("{}", picture.display());
            }
        }
        Ok(())
    };
    show().map_err(|error| format!("looking for pictures in {}: {error}", made.display()))
}

/// The folder of what the build of an app makes.
fn made(sample: &str) -> PathBuf {
    shell::root().join("target/examples").join(sample)
}

/// The classes of the SDK, which the apps are compiled against.
fn sdk(generated: &Path) -> Result<()> {
    shell::run(bindings::maven("compile", generated).arg("jar:jar"))
}

/// The command that makes an app's resources and classes, and runs its tests.
fn app(sample: &str) -> Command {
    let mut maven = shell::command("mvn");
    maven.args(["-q", "-B", "-ntp", "-f", &format!("examples/{sample}/pom.xml"), "prepare-package"]);
    maven
}

/// Makes an app's package for an ABI, and says what is wrong with it.
fn package(sample: &str, abi: &Abi) -> Result<Tally> {
    let made = made(sample);
    let libraries = [(LIBRARY, read(&abi.build()?)?), (JNA, jna(&made, abi)?)];
    let apk = made.with_file_name(format!("{sample}-{}.apk", abi.name));
    let packed = || -> io::Result<()> {
        let mut zip = ZipWriter::new(File::create(&apk)?);
        let mut resources = ZipArchive::new(File::open(made.join("resources.ap_"))?)?;
        for index in 0..resources.len() {
            let mut entry = resources.by_index(index)?;
            // Android maps the table of resources, and looks at nothing else where it lies.
            let name = entry.name()?.into_owned();
            let options = if name == "resources.arsc" { stored(4) } else { deflated() };
            zip.start_file(name, options)?;
            io::copy(&mut entry, &mut zip)?;
        }
        for asset in assets(sample)? {
            // An app maps the model, or reads it at its own pace: neither wants it compressed, and it would hardly shrink.
            let name = asset.file_name().unwrap_or_default().to_string_lossy().into_owned();
            zip.start_file(format!("{ASSETS}{name}"), stored(4))?;
            io::copy(&mut File::open(&asset)?, &mut zip)?;
        }
        zip.start_file("classes.dex", deflated())?;
        zip.write_all(&fs::read(made.join("dex/classes.dex"))?)?;
        for (name, library) in &libraries {
            zip.start_file(format!("lib/{}/{name}", abi.name), stored(PAGE))?;
            zip.write_all(library)?;
        }
        zip.finish().map(drop).map_err(Into::into)
    };
    packed().map_err(|error| format!("packing {}: {error}", apk.display()))?;
    sign(&apk)?;
    check(&apk, &libraries)
}

/// Where a package has what was put into an app for a build: the model, or the word list.
const ASSETS: &str = "assets/";

/// What was put into an app; the repository has nothing there.
fn assets(sample: &str) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(shell::root().join(format!("examples/{sample}/src/main/assets"))) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).last_modified_time(DateTime::default())
}

fn stored(alignment: u16) -> SimpleFileOptions {
    deflated().compression_method(CompressionMethod::Stored).with_alignment(alignment)
}

/// JNA's own library, and where its AAR has it.
const JNA: &str = "libjnidispatch.so";

fn jna(made: &Path, abi: &Abi) -> Result<Vec<u8>> {
    let aar = made.join("tools/jna.aar");
    let member = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        ZipArchive::new(File::open(&aar)?)?.by_name(&format!("jni/{}/{JNA}", abi.name))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    member().map_err(|error| format!("reading {JNA} in {}: {error}", aar.display()))
}

/// Signs a package in its place, with a key that is good for nothing but trying the app out.
fn sign(apk: &Path) -> Result<()> {
    let key = apk.with_file_name("debug.keystore");
    if !key.is_file() {
        let mut keytool = shell::command("keytool");
        keytool.args(["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-alias", "debug"]);
        keytool.args(["-dname", "CN=Debug", "-storepass", PASSWORD, "-keypass", PASSWORD, "-keystore"]).arg(&key);
        shell::output(&mut keytool)?;
    }
    let mut apksigner = shell::command("apksigner");
    // The older scheme, of Android before 7, changes what is in the package.
    apksigner.args(["sign", "--v1-signing-enabled", "false", "--ks-pass"]);
    shell::run(apksigner.arg(format!("pass:{PASSWORD}")).arg("--ks").arg(key).arg(apk))
}

/// That of every debug key.
const PASSWORD: &str = "android";

/// Everything that is wrong with a package, said on standard output, and its size beside what it may be.
fn check(apk: &Path, libraries: &[(&str, Vec<u8>)]) -> Result<Tally> {
    println!("{}", apk.display());
    let verified = shell::output(shell::command("apksigner").args(["verify", "--verbose"]).arg(apk));
    let permissions = shell::output(shell::command("aapt2").args(["dump", "permissions"]).arg(apk))?;
    let mut facts = vec![
        ("it is signed", verified.is_ok_and(|said| said.contains("(APK Signature Scheme v2): true"))),
        ("it is aligned", shell::works(shell::command("zipalign").args(["-c", "-p", "4"]).arg(apk))),
        ("its libraries lie uncompressed on pages of 16 KiB", libraries_lie_on_pages(apk, libraries.len())?),
        ("it asks for no permission", !permissions.contains("permission:")),
    ];
    for (_, library) in libraries {
        facts.push(("its libraries are made for pages of 16 KiB", elf::is_for_large_pages(library)?));
    }
    let mut tally = Tally::default();
    for (fact, holds) in facts {
        println!("  {fact}: {}", if holds { "yes" } else { "no" });
        tally += Tally::of(holds);
    }
    let mut sizes = entries(apk)?;
    let put_in: usize = sizes.iter().filter(|(name, _)| name == ASSETS).map(|(_, size)| size).sum();
    sizes.push((budget::APK.to_owned(), read(apk)?.len() - put_in));
    tally += budget::check(&sizes);
    Ok(tally)
}

/// What is in a package, with what it takes there: code, libraries, what was put in, and the rest.
fn entries(apk: &Path) -> Result<Vec<(String, usize)>> {
    let mut sizes: Vec<(String, usize)> = Vec::new();
    each(apk, |entry| {
        let name = entry.name()?.into_owned();
        let part = match name {
            name if name.starts_with("lib/") || name == "classes.dex" => name,
            name if name.starts_with(ASSETS) => ASSETS.to_owned(),
            _ => "resources".to_owned(),
        };
        let size = usize::try_from(entry.compressed_size()).map_err(io::Error::other)?;
        match sizes.iter_mut().find(|(known, _)| *known == part) {
            Some((_, sum)) => *sum += size,
            None => sizes.push((part, size)),
        }
        Ok(())
    })?;
    Ok(sizes)
}

fn libraries_lie_on_pages(apk: &Path, expected: usize) -> Result<bool> {
    let mut lying = Vec::new();
    each(apk, |entry| {
        if entry.name()?.starts_with("lib/") {
            let starts = entry.data_start().is_some_and(|start| start % u64::from(PAGE) == 0);
            lying.push(starts && entry.compression() == CompressionMethod::Stored);
        }
        Ok(())
    })?;
    Ok(lying.len() == expected && lying.into_iter().all(|good| good))
}

fn each(apk: &Path, mut visit: impl FnMut(&zip::read::ZipFile<'_, File>) -> io::Result<()>) -> Result<()> {
    let mut look = || -> io::Result<()> {
        let mut archive = ZipArchive::new(File::open(apk)?)?;
        (0..archive.len()).try_for_each(|index| visit(&archive.by_index(index)?))
    };
    look().map_err(|error| format!("reading {}: {error}", apk.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))
}
