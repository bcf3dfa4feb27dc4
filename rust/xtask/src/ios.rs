//! The libraries for iOS: compiled, checked, and put into an XCFramework.

use crate::macho::{self, System};
use crate::native;
use crate::setup::{IOS, IOS_SIMULATOR, IOS_SIMULATOR_PC};
use crate::shell::{self, Result};
use crate::tally::Tally;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One library.
pub struct Slice {
    target: &'static str,
    system: System,
}

/// A phone, the simulator on a Mac, and the simulator on an older Mac.
pub const SLICES: [Slice; 3] = [
    Slice { target: IOS, system: System::Device },
    Slice { target: IOS_SIMULATOR, system: System::Simulator },
    Slice { target: IOS_SIMULATOR_PC, system: System::Simulator },
];

impl Slice {
    /// Compiles the library and says where it is.
    pub fn build(&self) -> Result<PathBuf> {
        native::static_library(self.target)
    }

    /// Everything that is wrong with a library, said on standard output.
    pub fn check(&self, library: &Path) -> Result<Tally> {
        let bytes = fs::read(library).map_err(|error| format!("reading {}: {error}", library.display()))?;
        let complaints = macho::complaints(&bytes, self.system, &native::surface()?)?;
        let verdict = if complaints.is_empty() { "as it has to be" } else { "not as it has to be" };
        println!("the static library for {}: {verdict}", self.target);
        complaints.iter().for_each(|complaint| println!("  {complaint}"));
        Ok(Tally::of(complaints.is_empty()))
    }
}

/// Makes an XCFramework of libraries, in a folder; what else is in the folder is removed.
pub fn xcframework(folder: &Path, libraries: &[PathBuf]) -> Result<()> {
    shell::make_empty(folder)?;
    shell::run(script("ios/make-xcframework.sh").arg(folder).args(libraries))
}

/// Whether the privacy manifest has what the libraries call, neither less nor more.
pub fn check_privacy(libraries: &[PathBuf]) -> Tally {
    Tally::check(script("ios/check-privacy.sh").args(libraries))
}

fn script(path: &str) -> Command {
    shell::command(shell::root().join(path))
}

/// Builds and checks the libraries for a phone and for the simulator of a Mac, and what is made of them.
///
/// As they ship, for only then have they nothing that nobody calls: another crate's unused call of a function with a required reason
/// would count as one of ours. The one for older Macs is of the same sources, and a release checks it.
pub fn test() -> Tally {
    Tally::within(|| {
        let mut tally = Tally::check(&mut script("ios/Tests/xcframework.sh"));
        let [phone, simulator, _] = &SLICES;
        let libraries = [phone.build()?, simulator.build()?];
        tally += phone.check(&libraries[0])?;
        tally += simulator.check(&libraries[1])?;
        tally += check_privacy(&libraries);
        let made = xcframework(&shell::root().join("target/xtask/ios"), &libraries);
        tally += Tally::within(|| made.map(|()| Tally::of(true)));
        Ok(tally)
    })
}
