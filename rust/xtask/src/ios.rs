//! The libraries for iOS: compiled and checked. An XCFramework is made of them.

use crate::macho::{self, System};
use crate::native::{self, Profile};
use crate::setup::{IOS, IOS_SIMULATOR, IOS_SIMULATOR_PC};
use crate::shell::Result;
use crate::tally::Tally;
use std::fs;
use std::path::{Path, PathBuf};

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
    pub fn build(&self, profile: Profile) -> Result<PathBuf> {
        native::static_library(self.target, profile)
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

/// Builds and checks the libraries for a phone and for the simulator, as fast as can be.
pub fn test() -> Tally {
    SLICES[..2].iter().map(|slice| Tally::within(|| slice.check(&slice.build(Profile::Cross)?))).sum()
}
